/**
 * Paths by which keys leave: as they are, or wrapped for an RSA key of another's.
 *
 * Owns these paths' declarations, and that nothing private leaves which was not made exportable.
 * The work is done in slices before the rule: a key may have thousands of versions.
 */
import { Refusal } from '../../../base/errors.ts'
import { inSlices } from '../../../base/slices.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import { str } from '../../field.ts'
import * as shape from '../../shape.ts'
import type { Storage } from '../../storage.ts'
import { SOFT_DELETED } from './config.ts'
import {
  type ExportFormat,
  type ExportType,
  exported,
  exportFormats,
  exportTypes,
  isPublicExport,
  refuseExport,
} from './key/export.ts'
import { type Material, materialOf } from './key/material.ts'
import { isSymmetric, typeOf } from './key/type.ts'
import { hashOfWrapping, wrapKey } from './key/wrap.run.ts'
import { type KeyRow, keyAt } from './rows.ts'
import { opened, usable } from './show.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const version = str('A version, or `latest`; all unless it is said.')
const exportFields = {
  type: str('What is exported: encryption-key, signing-key, hmac-key, public-key and the like.'),
  name: str('Name of the key.'),
  version,
  format: str('`` for what is usual for the type of key, or raw, der, pem.', { initial: '' }),
}
const wrapFields = {
  destination: str('Name of the RSA key that is wrapped for.'),
  source: str('Name of the key that leaves.'),
  version,
  hash: str('The hash of the wrapping.', { initial: 'SHA256' }),
}
const exportShape = shape.object({
  name: shape.text,
  type: shape.text,
  keys: shape.mapOf(shape.text),
})

/** What leaves, by version; undefined for a key that is not there. */
type Leaving = { readonly row: KeyRow; readonly keys: Readonly<Record<string, string>> } | undefined

const exportHelp = {
  synopsis: 'A key as it is, where it was made exportable.',
  description: 'Public keys and certificates may always be exported.',
}
const exportOperation = prepared<typeof exportFields, Leaving>({
  summary: 'Exports a key.',
  answer: exportShape,
  prepare: takeOut,
  run: ({ prepared: leaving, fields: { name } }) => answerOf(leaving, name!),
})
const wrapHelp = {
  synopsis: 'A key, wrapped for an RSA key.',
  description: 'As another mount imports it: nobody between the two sees the key.',
}
const wrapOperation = prepared<typeof wrapFields, Leaving>({
  summary: 'Exports a key, wrapped for another one.',
  answer: exportShape,
  prepare: wrapOut,
  run: ({ prepared: leaving, fields: { source } }) => answerOf(leaving, source!),
})

export const exportPaths: readonly PathSpec[] = ['', '/{version}'].flatMap(rest => [
  path({
    pattern: `export/{type}/{name}${rest}`,
    help: exportHelp,
    fields: exportFields,
    access: 'authorized',
    operations: { read: exportOperation },
  }),
  path({
    pattern: `byok-export/{destination}/{source}${rest}`,
    help: wrapHelp,
    fields: wrapFields,
    access: 'authorized',
    operations: { read: wrapOperation },
  }),
])

const answerOf = (leaving: Leaving, name: string): Outcome =>
  leaving === undefined ? NOTHING : { data: { name, type: leaving.row.type, keys: leaving.keys } }

async function takeOut({ storage, fields }: Call<typeof exportFields>): Promise<Leaving | Refusal> {
  await opened(storage, fields.name!)

  const type = exportTypes.find(one => one === fields.type)
  if (type === undefined) return bad(`invalid export type: ${fields.type}`)
  const format = exportFormats.find(one => one === fields.format)
  if (format === undefined) return bad(`invalid format: ${fields.format}`)
  const row = keyAt(storage, fields.name!)
  if (row === undefined) return undefined
  if (!row.exportable && !isPublicExport(type)) {
    return bad('private key material is not exportable')
  }
  if (row.softDeleted) return SOFT_DELETED
  const refused = refuseExport(typeOf(row), type)
  if (refused !== undefined) return refused
  const versions = versionsAsked(storage, row, fields.version)
  return versions instanceof Refusal ? versions : exportAll(row, versions, { type, format })
}

function exportAll(
  row: KeyRow,
  versions: readonly Material[],
  { type, format }: { readonly type: ExportType; readonly format: ExportFormat },
) {
  return each(row, versions, material => exported(row, material, type, format))
}

/** The versions that a request asks for: one, or all that are in use. */
function versionsAsked(
  storage: Storage,
  row: KeyRow,
  text: string | undefined,
): readonly Material[] | Refusal {
  if (text === undefined || text === '') return usable(storage, row)
  const isNumber = /^v?\d{1,9}$/.test(text)
  if (text !== 'latest' && !isNumber) return bad('invalid key version')
  const version = text === 'latest' ? row.latest : Number(text.replace(/^v/, ''))
  if (version < row.minDecryption) {
    return bad('version for export is below minimum decryption version')
  }
  const material = materialOf(storage, row, version)
  return material === undefined ? bad('version does not exist or cannot be found') : [material]
}

/** Makes something of each version. */
async function each(
  row: KeyRow,
  versions: readonly Material[],
  make: (material: Material) => string | Refusal,
): Promise<Leaving | Refusal> {
  const keys: Record<string, string> = {}
  let refused: Refusal | undefined
  const step = (material: Material): void => {
    if (refused !== undefined) return
    const made = make(material)
    if (made instanceof Refusal) refused = made
    else keys[material.version] = made
  }
  await inSlices(versions, step, 1)
  return refused ?? { row, keys }
}

async function wrapOut({
  storage,
  random,
  fields,
}: Call<typeof wrapFields>): Promise<Leaving | Refusal> {
  await opened(storage, fields.source!)
  const target = keyAt(storage, fields.destination!)
  if (target === undefined) return bad('no such destination key to export to')
  if (target.softDeleted) return bad(`for destination key: ${SOFT_DELETED.text}`)
  const row = keyAt(storage, fields.source!)
  if (row === undefined) return bad('no such source key for export')
  if (!row.exportable) return bad('key is not exportable')
  if (row.softDeleted) return bad(`for source key: ${SOFT_DELETED.text}`)
  const hash = hashOfWrapping(fields.hash!)
  if (hash instanceof Refusal) return hash
  if (typeOf(target).kind !== 'rsa') {
    return bad('unsupported key type in use; must be a rsa key')
  }
  const publicKey = materialOf(storage, target, target.latest)!.publicKey!
  const versions = versionsAsked(storage, row, fields.version)
  if (versions instanceof Refusal) return versions
  return each(row, versions, material => {
    const key = travelling(row, material)
    if (key === undefined) {
      return bad(`version ${material.version} has no private part that could be exported`)
    }
    return wrapKey(publicKey, key, { hash, ephemeral: random.bytes(32) }).toString('base64')
  })
}

/** A version as it is wrapped: the bytes of a symmetric key, PKCS #8 of a pair. */
const travelling = (row: KeyRow, material: Material): Buffer | undefined =>
  isSymmetric(typeOf(row))
    ? material.raw
    : material.privateKey?.export({ format: 'der', type: 'pkcs8' })
