/**
 * Paths for keys that others made: a new key of one, and its further versions.
 *
 * Owns these paths' declarations and rules. Unwrapping and the proof that a pair is one come before
 * the transaction, in threads where that takes long; what was found is held against the rows again.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { Refusal } from '../../../base/errors.ts'
import type { Arithmetic } from '../../../base/io/arithmetic.ts'
import { limits } from '../../../base/limits.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path, prepared } from '../../declare.ts'
import { bool, int, str } from '../../field.ts'
import { UNSUPPORTED_PATH } from '../../refusals.ts'
import { SOFT_DELETED } from './config.ts'
import { decode, illegalBase64 } from './key/base64.ts'
import { addVersion, type Ingredients, keyWished, pairOf, rotationOf } from './key/make.ts'
import { materialOf } from './key/material.ts'
import { readPrivate, readPublic } from './key/parse.run.ts'
import { isSymmetric, typeOf } from './key/type.ts'
import { hashOfWrapping, unwrapKey } from './key/wrap.run.ts'
import { wishFields } from './keys.ts'
import { isKeyName, type KeyRow, keyAt, putKey, versionAt } from './rows.ts'
import { wrappingKey } from './wrapping-key.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** What is imported, as requests say it. */
const sentFields = {
  ciphertext: str('Base64 of the key, wrapped for the wrapping key.', { isSecret: true }),
  public_key: str('PEM of a public key, where its private part is not to be known here.'),
  hash_function: str('The hash of the wrapping: SHA1, SHA224, SHA256, SHA384 or SHA512.', {
    initial: 'SHA256',
  }),
}
const importFields = {
  ...wishFields,
  ...sentFields,
  allow_rotation: bool('Whether next versions may be drawn here.'),
  parameter_set: str('Of ML-DSA (44, 65 or 87) and SLH-DSA (such as sha2-128s).'),
}
const versionFields = {
  name: wishFields.name,
  ...sentFields,
  version: int('A version whose private part is sent; a new one unless it is said.'),
}
type SentCall = Call<typeof sentFields>

export const importPaths = (arithmetic: Arithmetic): PathSpec[] => [
  path({
    pattern: 'keys/{name}/import',
    help: {
      synopsis: 'A new key of what somebody else drew.',
      description: 'It is wrapped for the wrapping key; or a public key, as it is.',
    },
    fields: importFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof importFields, Ingredients>({
        summary: 'Makes a key of one that was drawn elsewhere.',
        prepare: call => readNew(arithmetic, call),
        run: importKey,
        examples: [{ type: 'aes256-gcm96', ciphertext: 'example' }],
      }),
    },
  }),
  path({
    pattern: 'keys/{name}/import_version',
    help: {
      synopsis: 'A further version of a key that was imported.',
      description: 'Or the private part of a version whose public part is there.',
    },
    fields: versionFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof versionFields, Ingredients>({
        summary: 'Gives an imported key a further version.',
        prepare: call => readNext(arithmetic, call),
        run: importVersion,
        examples: [{ ciphertext: 'example' }],
      }),
    },
  }),
]

/** Whether a private key is sent; a public one is passed over then. */
const isPrivate = ({ given }: SentCall): boolean => given('ciphertext')

/** The key that is to be made, without a version. */
function wished(call: Call<typeof importFields>): KeyRow | Refusal {
  const { storage, random, fields, data } = call
  const name = fields.name!
  if (!isKeyName(name)) return UNSUPPORTED_PATH
  if (Object.hasOwn(data, 'convergent_encryption')) {
    return bad('import cannot be used on keys with convergent encryption enabled')
  }
  const { auto_rotate_period: autoRotateMs = 0, allow_rotation: allowRotation = false } = fields
  if (autoRotateMs > 0 && !allowRotation) {
    return bad('allow_rotation must be set to true if auto-rotation is enabled')
  }
  const { derived = false, exportable, allow_plaintext_backup: allowPlaintextBackup } = fields
  const type = fields.type!.toLowerCase()
  const wish = { type, derived, exportable, allowPlaintextBackup, autoRotateMs }
  const row = keyWished(random, { ...wish, parameterSet: fields.parameter_set })
  if (row instanceof Refusal) return row
  if (keyAt(storage, name) !== undefined) {
    return bad(
      'the import path cannot be used with an existing key; use import-version to rotate an existing imported key',
    )
  }
  return { ...row, imported: true, allowRotation }
}

async function readNew(
  arithmetic: Arithmetic,
  call: Call<typeof importFields>,
): Promise<Ingredients | Refusal> {
  const row = wished(call)
  return row instanceof Refusal ? row : readSent(arithmetic, call as never, row)
}

function importKey(call: Call<typeof importFields, Ingredients>): Outcome {
  const row = wished(call as unknown as Call<typeof importFields>)
  if (row instanceof Refusal) return row
  addVersion(call, call.fields.name!, withSize(row, call.prepared), call.prepared)
  return NOTHING
}

/** Keys for HMACs say how long they are: as long as the latest version. */
const withSize = (row: KeyRow, ingredients: Ingredients): KeyRow =>
  row.type === 'hmac' && 'bytes' in ingredients
    ? { ...row, keySizeBytes: ingredients.bytes.length }
    : row

/** What a request sends, unwrapped and held against the type of the key. */
async function readSent(
  arithmetic: Arithmetic,
  call: SentCall,
  row: KeyRow,
): Promise<Ingredients | Refusal> {
  const { storage, fields } = call
  if (!isPrivate(call)) {
    if (!typeOf(row).importsPublicKeys) {
      return bad('provided type does not support public_key import')
    }
    if (row.derived) return DERIVED_PUBLIC
    return readPublic(row, fields.public_key ?? '')
  }
  const hash = hashOfWrapping(fields.hash_function!)
  if (hash instanceof Refusal) return hash
  const text = fields.ciphertext!
  if (text.length > limits.transitImportChars) {
    return bad(`ciphertext is longer than ${limits.transitImportChars} characters`)
  }
  const wrapped = decode(text)
  if (wrapped === undefined) return bad(illegalBase64(text))
  const key = wrappingKey(storage)
  if (key === undefined) return NO_WRAPPING_KEY
  const bytes = await unwrapKey(arithmetic, key, { wrapped, hash })
  return bytes instanceof Refusal ? bytes : readPrivate(arithmetic, row, bytes)
}

const DERIVED_PUBLIC = bad(
  'unable to import only public key for derived Ed25519 key: imported key should not be an Ed25519 key pair but is instead an HKDF key',
)
const NO_WRAPPING_KEY = bad(
  'error importing key: this mount has no wrapping key yet: read wrapping_key and wrap for it',
)

/** The key that a further version is for. */
function importable({ storage, fields }: Call<typeof versionFields>): KeyRow | Refusal {
  const row = keyAt(storage, fields.name!)
  if (row === undefined) {
    return bad(
      `no key found with name ${fields.name}; to import a new key, use the import/ endpoint`,
    )
  }
  if (!row.imported) {
    return bad('the import_version endpoint can only be used with an imported key')
  }
  if (row.convergent) {
    return bad('import_version cannot be used on keys with convergent encryption enabled')
  }
  return row.softDeleted ? SOFT_DELETED : row
}

async function readNext(
  arithmetic: Arithmetic,
  call: Call<typeof versionFields>,
): Promise<Ingredients | Refusal> {
  const row = importable(call)
  if (row instanceof Refusal) return row
  const refused = refuseVersion(call, row)
  return refused ?? readSent(arithmetic, call as never, row)
}

/** The refusal of a version that is to get its private part; undefined where it may. */
function refuseVersion(
  { storage, fields, given }: Call<typeof versionFields>,
  row: KeyRow,
): Refusal | undefined {
  if (!given('version')) return undefined
  const version = versionAt(storage, row, fields.version!)
  if (version === undefined || fields.version! < row.minDecryption) return NO_VERSION
  if (isSymmetric(typeOf(row))) {
    return bad('provided type does not support importing key versions')
  }
  if (version.privateKey !== undefined) {
    return bad('private key imported, key version cannot be updated')
  }
  return given('ciphertext')
    ? undefined
    : bad('cannot add a public key to a key version that already has a public key set')
}

const NO_VERSION = bad('no such key version')

function importVersion(call: Call<typeof versionFields, Ingredients>): Outcome {
  const { fields, prepared: ingredients } = call
  const row = importable(call as unknown as Call<typeof versionFields>)
  if (row instanceof Refusal) return row
  const refused = refuseVersion(call as unknown as Call<typeof versionFields>, row)
  if (refused !== undefined) return refused
  const version = call.given('version') ? fields.version! : row.latest
  if ('privateKey' in ingredients && isPublicPartOf(call, row, version, ingredients.privateKey)) {
    complete(call, row, version, ingredients)
    return NOTHING
  }
  if (call.given('version')) return bad('cannot import key, key pair does not match')
  addVersion(call, fields.name!, withSize(row, ingredients), ingredients)
  return NOTHING
}

/** Whether a version has the public part of a pair, and no private one. */
function isPublicPartOf(
  { storage }: Pick<Call, 'storage'>,
  row: KeyRow,
  version: number,
  pair: KeyObject,
): boolean {
  const material = materialOf(storage, row, version)
  if (material?.publicKey === undefined || material.privateKey !== undefined) return false
  return createPublicKey(pair).equals(material.publicKey)
}

/** Gives a version its private part. */
function complete(
  { storage, fields }: Call<typeof versionFields, Ingredients>,
  row: KeyRow,
  version: number,
  pair: Exclude<Ingredients, { bytes: Buffer }>,
): void {
  const whole = { ...versionAt(storage, row, version)!, ...pairOf(pair) }
  putKey(storage, fields.name!, {
    row: { ...row },
    versions: [[version, whole]],
    rotatesAtMs: rotationOf(storage, row),
  })
}
