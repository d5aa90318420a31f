/**
 * Paths of keys: made, read, listed, deleted, put away and taken back.
 *
 * Owns these paths' declarations and rules. Pure but for pairs that are drawn before the
 * transaction. Follows api-docs/secret/transit of Vault's docs.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import { bool, dur, int, str } from '../../field.ts'
import { UNSUPPORTED_PATH } from '../../refusals.ts'
import * as shape from '../../shape.ts'
import { keysAnswer } from '../kv/v1.ts'
import { drawFor, type KeyWish, keyWished, makeKey, rotationOf } from './key/make.ts'
import { DEFAULT_TYPE } from './key/type.ts'
import { deleteKey, isKeyName, type KeyRow, keyAt, keyNames, putKey } from './rows.ts'
import { keyAnswer, keyShape, opened } from './show.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const name = str('Name of the key.')
const pageFields = {
  after: str('List only what stands behind this name.'),
  limit: int('List at most so many names; 0 for all.'),
}
/** What making and importing a key have in common. */
export const wishFields = {
  name,
  type: str('The type of key to create.', { initial: DEFAULT_TYPE }),
  derived: bool('Whether each request gives a context that its key is derived from.'),
  exportable: bool('Whether the key may be exported; once set, it stays.'),
  allow_plaintext_backup: bool('Whether the key may be backed up; once set, it stays.'),
  auto_rotate_period: dur(
    'After how long it rotates by itself: 0 for never, else an hour or more.',
  ),
  context: str('Base64 of a context, for the public key of a derived key.'),
}
const keyFields = {
  ...wishFields,
  convergent_encryption: bool('Whether equal plaintexts in a context give equal ciphertexts.'),
  key_size: int('The size in bytes of a key for HMACs: 32 to 512.'),
  parameter_set: str('Of ML-DSA (44, 65 or 87) and SLH-DSA (such as sha2-128s).'),
  hybrid_key_type_pqc: str('Of keys of two algorithms: not served yet.'),
  hybrid_key_type_ec: str('Of keys of two algorithms: not served yet.'),
  managed_key_name: str('A key that another system keeps: not served yet.'),
  managed_key_id: str('A key that another system keeps: not served yet.'),
  external_key_ref: str('A key that another system keeps: not served yet.'),
}
const nameFields = { name }

/** The paths of keys themselves. */
export const keyPaths = (arithmetic: Arithmetic): PathSpec[] => [
  path({
    pattern: 'keys',
    help: { synopsis: 'The names of all keys.', description: 'Lists them.' },
    fields: pageFields,
    access: 'authorized',
    operations: { list: { summary: 'Lists all keys.', answer: shape.keys, run: list } },
  }),
  path({
    pattern: 'keys/{name}',
    help: {
      synopsis: 'A named key.',
      description: 'Makes it, tells what is public of it, deletes it where that is allowed.',
    },
    fields: keyFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Tells of a key.',
        answer: keyShape,
        prepare: ({ storage, fields }) => opened(storage, fields.name!),
        run: read,
      },
      update: prepared<typeof keyFields, KeyObject | undefined>({
        summary: 'Makes a key; one that is there stays as it is.',
        answer: keyShape,
        prepare: call => drawWished(arithmetic, call),
        run: make,
        examples: [{ type: 'aes256-gcm96' }, { type: 'ed25519', exportable: true }],
      }),
      delete: { summary: 'Deletes a key, where its configuration allows it.', run: remove },
    },
  }),
  path({
    pattern: 'keys/{name}/soft-delete',
    help: {
      synopsis: 'Puts a key away.',
      description: 'Nothing is done with it until it is taken back; nothing of it is lost.',
    },
    fields: nameFields,
    access: 'authorized',
    operations: {
      delete: {
        summary: 'Puts a key away.',
        answer: keyShape,
        prepare: ({ storage, fields }) => opened(storage, fields.name!),
        run: call => setAway(call, true),
      },
    },
  }),
  path({
    pattern: 'keys/{name}/soft-delete-restore',
    help: { synopsis: 'Takes a key back.', description: 'One that was put away is in use again.' },
    fields: nameFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Takes a key back that was put away.',
        answer: keyShape,
        prepare: ({ storage, fields }) => opened(storage, fields.name!),
        run: call => setAway(call, false),
      },
    },
  }),
]

function list({ storage, fields: { after = '', limit = 0 } }: Call<typeof pageFields>): Outcome {
  return keysAnswer(keyNames(storage, { after, limit }))
}

function read({ storage, fields: { name, context } }: Call<typeof keyFields>): Outcome {
  if (!isKeyName(name!)) return UNSUPPORTED_PATH
  const row = keyAt(storage, name!)
  return row === undefined ? NOTHING : keyAnswer(storage, name!, row, { context: context ?? '' })
}

/** What a request wishes a new key to be. */
const wishOf = ({ fields }: Pick<Call<typeof keyFields>, 'fields'>): KeyWish => ({
  type: fields.type!,
  derived: fields.derived,
  convergent: fields.convergent_encryption,
  exportable: fields.exportable,
  allowPlaintextBackup: fields.allow_plaintext_backup,
  autoRotateMs: fields.auto_rotate_period,
  keySizeBytes: fields.key_size,
  parameterSet: fields.parameter_set,
})

/** Draws the pair of a key that is to be made. */
function drawWished(
  arithmetic: Arithmetic,
  call: Call<typeof keyFields>,
): Promise<KeyObject | undefined> | Refusal | undefined {
  const { storage, random, fields } = call
  if (keyAt(storage, fields.name!) !== undefined) return opened(storage, fields.name!)
  const wished = keyWished(random, wishOf(call))
  return wished instanceof Refusal ? wished : drawFor(arithmetic, wished)
}

function make(call: Call<typeof keyFields, KeyObject | undefined>): Outcome {
  const { storage, fields } = call
  if (!isKeyName(fields.name!)) return UNSUPPORTED_PATH
  const there = keyAt(storage, fields.name!)
  if (there !== undefined) {
    const warnings = [`key ${fields.name} already existed`]
    return keyAnswer(storage, fields.name!, there, { warnings })
  }
  const row = makeKey(call, fields.name!, wishOf(call), call.prepared)
  return row instanceof Refusal ? row : keyAnswer(storage, fields.name!, row)
}

function remove({ storage, now, fields: { name } }: Call<typeof keyFields>): Outcome {
  if (!isKeyName(name!)) return UNSUPPORTED_PATH
  const row = keyAt(storage, name!)
  if (row === undefined)
    return bad(`error deleting policy ${name}: could not delete key; not found`)
  if (!row.deletionAllowed) {
    return bad(`error deleting policy ${name}: deletion is not allowed for this key`)
  }
  deleteKey(storage, name!, now)
  return NOTHING
}

/** Puts a key away or takes it back; one that is not there is nothing to say. */
function setAway(
  { storage, fields: { name } }: Call<typeof nameFields>,
  softDeleted: boolean,
): Outcome {
  if (!isKeyName(name!)) return UNSUPPORTED_PATH
  const row = keyAt(storage, name!)
  if (row === undefined) return NOTHING
  if (row.softDeleted === softDeleted) {
    const warnings = [`key was already ${softDeleted ? 'marked as soft deleted' : 'restored'}`]
    return keyAnswer(storage, name!, row, { warnings })
  }
  const changed: KeyRow = { ...row, softDeleted }
  putKey(storage, name!, { row: changed, rotatesAtMs: rotationOf(storage, changed) })
  return keyAnswer(storage, name!, changed)
}
