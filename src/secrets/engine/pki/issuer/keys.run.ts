/**
 * Keys as they are drawn, imported, listed, named and ended.
 *
 * Owns the paths `keys`, `key/{key_ref}`, `keys/generate/…` and `keys/import`.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { sha1KeyId } from '../../../../x509/certificate.ts'
import { type Call, NOTHING, type Outcome, path, prepared } from '../../../declare.ts'
import { str } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import { blocksOf, keyOf } from '../pem.ts'
import type { PkiPorts } from '../ports.ts'
import { bad, later } from '../refusals.ts'
import { issuersOf, type KeyRow, keyAt, keysConfigOf, putKey } from '../rows.ts'
import { serialText } from '../serial.ts'
import { askedKeyName, isGiven } from './asked.ts'
import { keyFields, keyRef, pageFields } from './fields.ts'
import { dropKey, keepKey } from './keep.ts'
import { keyKindOf, keyText } from './key.ts'
import { keyIdOf, storedKey } from './stored.ts'

const oneFields = { key_ref: keyRef, key_name: keyFields.key_name }
const drawnFields = {
  kind: str('`internal`, or `exported` to be told the key, once.'),
  key_name: keyFields.key_name,
  key_type: keyFields.key_type,
  key_bits: keyFields.key_bits,
}
const importFields = {
  key_name: keyFields.key_name,
  pem_bundle: str('The private key, in PEM.', { initial: '', isSecret: true }),
}

const named = { key_id: shape.text, key_name: shape.text, key_type: shape.text }

/** The paths. */
export const keyPaths = ({ arithmetic }: PkiPorts) => [
  path({
    pattern: 'keys',
    help: { synopsis: 'All keys.', description: 'By id.' },
    fields: pageFields,
    access: 'authorized',
    operations: { list: { summary: 'Lists all keys.', answer: shape.keys, run: listKeys } },
  }),
  path({
    pattern: 'key/{key_ref}',
    help: { synopsis: 'A key.', description: 'The private half is never told again.' },
    fields: oneFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads what a key is.',
        answer: shape.object({ ...named, subject_key_id: shape.text }),
        run: read,
      },
      update: { summary: 'Names a key.', answer: shape.object(named), run: rename },
      delete: { summary: 'Ends a key that no issuer has.', run: remove },
    },
  }),
  path({
    pattern: 'keys/generate/{kind}',
    help: { synopsis: 'Draws a key.', description: 'For issuers to come.' },
    fields: drawnFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof drawnFields, KeyObject>({
        summary: 'Draws a key.',
        answer: shape.object({ ...named, private_key: shape.optional(shape.text) }),
        async prepare(call) {
          const { fields } = call
          const kind = fields.kind!
          if (kind === 'kms') return later('keys that a KMS holds')
          if (kind !== 'internal' && kind !== 'exported') {
            return bad('Unknown type of key to generate')
          }
          const name = askedKeyName(call, fields.key_name)
          if (name instanceof Refusal) return name
          const wanted = keyKindOf(fields.key_type!, fields.key_bits!)
          return wanted instanceof Refusal
            ? bad(`Validation for key_type, key_bits failed: ${wanted.text}`)
            : arithmetic.generateKey(wanted)
        },
        run: keepDrawn,
        examples: [{ key_type: 'ec', key_name: 'root-2027' }],
      }),
    },
  }),
  path({
    pattern: 'keys/import',
    help: { synopsis: 'Takes in a key.', description: 'One that others drew.' },
    fields: importFields,
    access: 'authorized',
    operations: {
      update: { summary: 'Takes in a key.', answer: shape.object(named), run: takeIn },
    },
  }),
]

function listKeys({ storage, fields }: Call<typeof pageFields>): Outcome {
  const { after = '', limit = 0 } = fields
  const keys = storage.list('key/', { after, limit })
  if (keys.length === 0) return NOTHING
  const { default: standard } = keysConfigOf(storage)
  const about = keys.map(id => {
    const { name } = keyAt(storage, id)!
    return [id, { is_default: id === standard, key_name: name }] as const
  })
  return { data: { key_info: Object.fromEntries(about), keys } }
}

const tell = ({ id, name, type }: KeyRow) => ({ key_id: id, key_name: name, key_type: type })

function read({ storage, fields }: Call<typeof oneFields>): Outcome {
  const row = storedKey(storage, fields.key_ref!)
  if (row instanceof Refusal) return row
  const keyId = sha1KeyId(Buffer.from(row.spki, 'base64')).toString('hex')
  return { data: { ...tell(row), subject_key_id: serialText(keyId) } }
}

function rename(call: Call<typeof oneFields>): Outcome {
  const { storage, fields } = call
  const row = storedKey(storage, fields.key_ref!)
  if (row instanceof Refusal) return row
  const isNamed = isGiven(call, 'key_name') && fields.key_name !== ''
  const name = isNamed ? askedKeyName(call, fields.key_name, row.id) : ''
  if (name instanceof Refusal) return name
  const renamed = { ...row, name }
  if (name !== row.name) putKey(storage, renamed)
  const warnings =
    name === ''
      ? [`Name successfully deleted, you will now need to reference this key by it's Id: ${row.id}`]
      : []
  return { data: tell(renamed), warnings }
}

function remove({ storage, fields }: Call<typeof oneFields>): Outcome {
  const reference = fields.key_ref!
  const id = keyIdOf(storage, reference)
  const row = id instanceof Refusal ? undefined : keyAt(storage, id)
  if (row === undefined) return NOTHING
  const user = issuersOf(storage).find(issuer => issuer.keyId === row.id)
  if (user !== undefined) return bad(`Failed to Delete Key.  Key in Use by Issuer: ${user.id}`)
  if (!dropKey(storage, row)) return NOTHING
  return {
    warnings: [
      `Deleted key ${row.id} (via key_ref ${reference}); this was configured as the default key. Operations without an explicit key will not work until a new default is configured.`,
    ],
  }
}

function keepDrawn(call: Call<typeof drawnFields, KeyObject>): Outcome {
  const { fields, prepared: key } = call
  const name = askedKeyName(call, fields.key_name)
  if (name instanceof Refusal) return name
  const kept = keepKey(call, key, name)
  if (kept instanceof Refusal) return kept
  const secret =
    fields.kind === 'exported'
      ? { private_key: keyText(key, { isDer: false, isPkcs8: false }) }
      : {}
  return { data: { ...tell(kept.row), ...secret } }
}

/** Shorter ones are names of files. */
const MIN_CHARS = 64

function takeIn(call: Call<typeof importFields>): Outcome {
  const { fields } = call
  const name = askedKeyName(call, fields.key_name)
  if (name instanceof Refusal) return name
  const text = fields.pem_bundle!
  if (text.length < MIN_CHARS) {
    return bad(
      'provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file',
    )
  }
  const blocks = blocksOf(text)
  if (blocks instanceof Refusal) return blocks
  const [block, ...more] = blocks.filter(({ label }) => !label.startsWith('EC PARAM'))
  if (block === undefined || more.length > 0) {
    return bad('only a single key can be present within the pem_bundle for importing')
  }
  const key = keyOf(block)
  if (key === undefined) {
    return bad('failed to parse PEM block: no unencrypted private key of PKCS #1, SEC 1 or PKCS #8')
  }
  const kept = keepKey(call, key, name)
  if (kept instanceof Refusal) return kept
  const warnings = kept.isNew ? [] : ['Key already imported, use key/ endpoint to update name.']
  return { data: tell(kept.row), warnings }
}
