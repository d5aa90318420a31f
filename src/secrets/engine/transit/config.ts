/**
 * Changing keys that are there: their configuration, their next version, the end of old ones.
 *
 * Owns these paths' declarations and rules: what may only ever be switched on, and how the three
 * bounds on versions stand to each other. Pure but for pairs that are drawn before the transaction.
 */
import type { KeyObject } from 'node:crypto'
import { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import { bool, dur, int, str } from '../../field.ts'
import { drawFor, drawn, refusePeriod, rotateKey, rotationOf } from './key/make.ts'
import { type KeyRow, keyAt, putKey, removeVersions } from './rows.ts'
import { keyAnswer, keyShape, opened } from './show.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const name = str('Name of the key.')
const configFields = {
  name,
  min_decryption_version: int('Older versions neither decrypt nor verify.'),
  min_encryption_version: int('Older versions neither encrypt nor sign; 0 for the latest alone.'),
  deletion_allowed: bool('Whether the key may be deleted.'),
  exportable: bool('Whether the key may be exported; once set, it stays.'),
  allow_plaintext_backup: bool('Whether the key may be backed up; once set, it stays.'),
  auto_rotate_period: dur(
    'After how long it rotates by itself: 0 for never, else an hour or more.',
  ),
}
const rotateFields = {
  name,
  managed_key_name: str('A key that another system keeps: not served yet.'),
  managed_key_id: str('A key that another system keeps: not served yet.'),
}
const trimFields = {
  name,
  min_available_version: int('Versions before it are deleted for good.'),
}

/** The paths that change a key. */
export const configPaths = (arithmetic: Arithmetic): PathSpec[] => [
  path({
    pattern: 'keys/{name}/config',
    help: {
      synopsis: 'The configuration of a key.',
      description: 'Which versions are in use, whether it may be deleted, exported, backed up.',
    },
    fields: configFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Configures a key.',
        answer: keyShape,
        prepare: ({ storage, fields }) =>
          opened(storage, fields.name!, fields.min_decryption_version),
        run: configure,
        examples: [{ deletion_allowed: true }, { min_decryption_version: 2 }],
      },
    },
  }),
  path({
    pattern: 'keys/{name}/rotate',
    help: {
      synopsis: 'The next version of a key.',
      description: 'What is encrypted from now on is so with it; older versions still decrypt.',
    },
    fields: rotateFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof rotateFields, KeyObject | undefined>({
        summary: 'Gives a key its next version.',
        answer: keyShape,
        prepare: call => drawNext(arithmetic, call),
        run: rotate,
      }),
    },
  }),
  path({
    pattern: 'keys/{name}/trim',
    help: {
      synopsis: 'The end of old versions.',
      description: 'Deletes for good what is older than both minimum versions.',
    },
    fields: trimFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Deletes old versions of a key.',
        answer: keyShape,
        prepare: ({ storage, fields }) => opened(storage, fields.name!),
        run: trim,
        examples: [{ min_available_version: 2 }],
      },
    },
  }),
]

function configure({ storage, fields }: Call<typeof configFields>): Outcome {
  const name = fields.name!
  const before = keyAt(storage, name)
  if (before === undefined) return bad(`no existing key named ${name} could be found`)
  const warnings: string[] = []
  const row: KeyRow = {
    ...before,
    minDecryption: fields.min_decryption_version ?? before.minDecryption,
    minEncryption: fields.min_encryption_version ?? before.minEncryption,
    deletionAllowed: fields.deletion_allowed ?? before.deletionAllowed,
    exportable: before.exportable || fields.exportable === true,
    allowPlaintextBackup: before.allowPlaintextBackup || fields.allow_plaintext_backup === true,
    autoRotateMs: fields.auto_rotate_period ?? before.autoRotateMs,
  }
  const configured = fields.min_decryption_version === 0 ? { ...row, minDecryption: 1 } : row
  if (configured !== row) warnings.push('key versions start at 1: the minimum is 1')
  const refused = refuseBounds(before, configured) ?? refusePeriod(row.autoRotateMs)
  if (refused !== undefined) return refused
  putKey(storage, name, { row: configured, rotatesAtMs: rotationOf(storage, configured) })
  return keyAnswer(storage, name, configured, { warnings })
}

/** The refusal of minimum versions that do not stand as they must; undefined where they do. */
function refuseBounds(before: KeyRow, row: KeyRow): Refusal | undefined {
  const { minDecryption, minEncryption, minAvailable, latest } = row
  if (minDecryption < 0) return bad('min decryption version cannot be negative')
  if (minDecryption > latest) {
    return bad(
      `cannot set min decryption version of ${minDecryption}, latest key version is ${latest}`,
    )
  }
  if (minEncryption < 0) return bad('min encryption version cannot be negative')
  if (minEncryption > latest) {
    return bad(
      `cannot set min encryption version of ${minEncryption}, latest key version is ${latest}`,
    )
  }
  if (minEncryption > 0 && minEncryption < minDecryption) {
    return bad(
      `cannot set min encryption/decryption values; min encryption version of ${minEncryption} must be greater than or equal to min decryption version of ${minDecryption}`,
    )
  }
  const isMoved = minDecryption !== before.minDecryption || minEncryption !== before.minEncryption
  if (!isMoved) return undefined
  if (minAvailable > minEncryption) {
    return bad('min encryption version should not be less than min available version')
  }
  return minAvailable > minDecryption
    ? bad('min decryption version should not be less then min available version')
    : undefined
}

/** What is said of a key that was put away. */
export const SOFT_DELETED = bad('refusing to use soft-deleted key')

const NOT_FOUND = bad('key not found')

/** The key whose next version is to be drawn, where it can have one. */
function rotatable({ storage, fields }: Call<typeof rotateFields>): KeyRow | Refusal {
  const row = keyAt(storage, fields.name!)
  if (row === undefined) return NOT_FOUND
  if (row.softDeleted) return SOFT_DELETED
  return row.imported && !row.allowRotation
    ? bad(`imported key ${fields.name} does not allow rotation within Vault`)
    : row
}

function drawNext(
  arithmetic: Arithmetic,
  call: Call<typeof rotateFields>,
): Promise<KeyObject | undefined> | Refusal | undefined {
  const row = rotatable(call)
  if (row instanceof Refusal) return row
  const opening = opened(call.storage, call.fields.name!)
  const draw = () => drawFor(arithmetic, row)
  return opening === undefined ? draw() : opening.then(draw)
}

function rotate(call: Call<typeof rotateFields, KeyObject | undefined>): Outcome {
  const row = rotatable(call as unknown as Call<typeof rotateFields>)
  if (row instanceof Refusal) return row
  const ingredients = drawn(call.random, row, call.prepared)
  if (ingredients instanceof Refusal) return ingredients
  const name = call.fields.name!
  return keyAnswer(call.storage, name, rotateKey(call, name, row, ingredients))
}

function trim({ storage, now, fields }: Call<typeof trimFields>): Outcome {
  const name = fields.name!
  const row = keyAt(storage, name)
  if (row === undefined) return bad('invalid key name')
  const minAvailable = fields.min_available_version
  if (minAvailable === undefined) return bad('missing min_available_version')
  const refused = refuseTrim(row, minAvailable)
  if (refused !== undefined) return refused
  const trimmed = { ...row, minAvailable }
  putKey(storage, name, { row: trimmed, rotatesAtMs: rotationOf(storage, trimmed) })
  removeVersions(storage, row, minAvailable, now)
  return keyAnswer(storage, name, trimmed)
}

function refuseTrim(row: KeyRow, minAvailable: number): Refusal | undefined {
  const text = 'minimum available version'
  if (minAvailable < row.minAvailable) return bad(`${text} cannot be decremented`)
  if (row.minEncryption === 0) {
    return bad(`${text} cannot be set when minimum encryption version is not set`)
  }
  if (minAvailable > row.minEncryption) {
    return bad(`${text} cannot be greater than minmum encryption version`)
  }
  if (minAvailable > row.minDecryption) {
    return bad(`${text} cannot be greater than minimum decryption version`)
  }
  return minAvailable === 0 ? bad(`${text} should be positive`) : undefined
}
