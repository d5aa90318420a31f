/**
 * Issuers that others made: their certificates, with keys or for keys that are here.
 *
 * Owns the paths that take them, which all do the same and differ in whether keys may come along.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, type Outcome, path } from '../../../declare.ts'
import { str } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { readBundle } from '../pem.ts'
import { bad } from '../refusals.ts'
import { issuerAt, issuersConfigOf, saysNothing, urlsOf } from '../rows.ts'
import { warnings as texts } from './asked.ts'
import { keepIssuer, keepKey, setDefaultIssuer } from './keep.ts'

const bundleFields = {
  pem_bundle: str('Certificates and private keys, in PEM.', { initial: '', isSecret: true }),
}
const signedFields = {
  certificate: str('The certificate that was asked for, and those above it, in PEM.', {
    initial: '',
  }),
}

const importShape = shape.object({
  mapping: shape.anyObject,
  imported_keys: shape.nullable(shape.texts),
  imported_issuers: shape.nullable(shape.texts),
  existing_keys: shape.nullable(shape.texts),
  existing_issuers: shape.nullable(shape.texts),
})

const importing = (pattern: string, takesKeys: boolean, synopsis: string) =>
  path({
    pattern,
    help: {
      synopsis,
      description: takesKeys
        ? 'Certificates of authorities and their private keys, in any order.'
        : 'Certificates of authorities; keys are refused.',
    },
    fields: bundleFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Takes in what is not here yet.',
        answer: importShape,
        run: call => takeIn(call, call.fields.pem_bundle ?? '', takesKeys),
      },
    },
  })

/** The paths. */
export const importPaths = [
  importing('issuers/import/cert', false, 'Issuers without keys.'),
  importing('issuers/import/bundle', true, 'Issuers with their keys.'),
  importing('config/ca', true, 'Issuers with their keys.'),
  path({
    pattern: 'intermediate/set-signed',
    help: {
      synopsis: 'The certificate that was asked for.',
      description: 'Signed by another authority, for a key that is here.',
    },
    fields: signedFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Takes in what is not here yet.',
        answer: importShape,
        run: call => takeIn(call, call.fields.certificate ?? '', false),
      },
    },
  }),
]

/** Shorter ones are names of files. */
const MIN_CHARS = 75

function takeIn(call: Call, text: string, takesKeys: boolean): Outcome {
  if (text === '') return bad("'pem_bundle' and 'certificate' parameters were empty")
  if (text.length < MIN_CHARS) {
    return bad(
      'provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file',
    )
  }
  const bundle = readBundle(text)
  if (bundle instanceof Refusal) return bundle
  if (bundle.keys.length > 0 && !takesKeys) {
    return bad(
      'private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle',
    )
  }
  const keys = { imported: [] as string[], existing: [] as string[] }
  for (const [at, key] of bundle.keys.entries()) {
    const kept = keepKey(call, key, '')
    if (kept instanceof Refusal) return bad(`Error parsing key ${at}: ${kept.text}`)
    keys[kept.isNew ? 'imported' : 'existing'].push(kept.row.id)
  }
  const issuers = { imported: [] as string[], existing: [] as string[] }
  for (const [at, certificate] of bundle.certificates.entries()) {
    const kept = keepIssuer(call, certificate, { name: '' })
    if (kept instanceof Refusal) return bad(`Error parsing issuer ${at}: ${kept.text}`)
    issuers[kept.isNew ? 'imported' : 'existing'].push(kept.row.id)
  }
  const { storage } = call
  const keyOfIssuer = (id: string): string => issuerAt(storage, id)?.keyId ?? ''
  const all = [...issuers.imported, ...issuers.existing]
  const mapping = Object.fromEntries(all.map(id => [id, keyOfIssuer(id)]))
  const warnings = chooseDefault(call, issuers.imported, mapping)
  if (saysNothing(urlsOf(storage))) warnings.push(texts.noUrls)
  return {
    warnings,
    data: {
      existing_issuers: orNull(issuers.existing),
      existing_keys: orNull(keys.existing),
      imported_issuers: orNull(issuers.imported),
      imported_keys: orNull(keys.imported),
      mapping,
    },
  }
}

const orNull = (ids: readonly string[]): readonly string[] | null => (ids.length === 0 ? null : ids)

/** Follows the latest where that is wanted, and tells what may be wrong about the default. */
function chooseDefault(
  call: Call,
  imported: readonly string[],
  mapping: Readonly<Record<string, string>>,
): string[] {
  const { storage } = call
  const warnings: string[] = []
  const withKeys = imported.filter(id => mapping[id] !== '')
  if (issuersConfigOf(storage).followsLatest) {
    if (withKeys.length === 1) setDefaultIssuer(call, withKeys[0]!)
    else if (withKeys.length > 1) warnings.push(UNCHANGED)
  }
  const { default: id } = issuersConfigOf(storage)
  if (Object.hasOwn(mapping, id) && mapping[id] === '') warnings.push(texts.noKeyOfDefault)
  if (withKeys.length > 1 && imported.includes(id)) warnings.push(SEVERAL)
  return warnings
}

const UNCHANGED =
  'Default issuer left unchanged: could not select new issuer automatically as multiple imported issuers had key material in Vault.'
const SEVERAL =
  'The imported bundle contained multiple certs matching keys, the default issuer that was ' +
  'selected should be verified and manually changed if incorrect.'
