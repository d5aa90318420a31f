/**
 * Making keys and their next versions.
 *
 * Owns what a new key is, what is wrong about a wish for one, and what a version is drawn from:
 * symmetric keys of the transaction's own randomness, pairs by what was drawn before it. Pure.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Random } from '../../../../base/clock.ts'
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { limits } from '../../../../base/limits.ts'
import type { Storage } from '../../../storage.ts'
import { type KeyRow, newKeyId, putKey, type VersionRow, versionAt } from '../rows.ts'
import {
  isSymmetric,
  type KeyType,
  parameterSetsOf,
  type TypeName,
  typeNamed,
  typeOf,
} from './type.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** What a key is to be. */
export interface KeyWish {
  readonly type: string
  readonly derived?: boolean | undefined
  readonly convergent?: boolean | undefined
  readonly exportable?: boolean | undefined
  readonly allowPlaintextBackup?: boolean | undefined
  readonly autoRotateMs?: number | undefined
  /** Of a key for HMACs; 0 for the usual one. */
  readonly keySizeBytes?: number | undefined
  /** Of the types that have several; '' for the usual one. */
  readonly parameterSet?: string | undefined
}

/** A call, as far as keys are made by it. */
export interface Making {
  readonly storage: Storage
  readonly random: Random
  readonly now: number
}

/** Scheme 3 of nonces for convergent encryption: the one that is still in use. */
const CONVERGENT_VERSION = 3

const LATER = new Map([
  ['managed_key', 'keys that another system keeps'],
  ['external-key', 'keys that another system keeps'],
  ['hybrid', 'keys of two algorithms'],
])

/** The type that a wish names. */
function typeWished(name: string): KeyType | Refusal {
  const type = typeNamed(name)
  if (type !== undefined) return type
  const later = LATER.get(name)
  return later === undefined
    ? bad(`unknown key type ${name}`)
    : new Refusal(501, `not served yet: type ${name} (${later})`)
}

/** A key without versions, as wished for. */
export function keyWished(random: Random, wish: KeyWish): KeyRow | Refusal {
  const type = typeWished(wish.type)
  if (type instanceof Refusal) return type
  const refused = refuseWish(type, wish)
  if (refused !== undefined) return refused
  const parameterSet = parameterSetOf(type, wish)
  const { derived = false, convergent = false, keySizeBytes = 0 } = wish
  return {
    id: newKeyId(random),
    type: type.name as TypeName,
    ...(type.kind === 'hmac' && {
      keySizeBytes: keySizeBytes || limits.transitHmacKeyMinSizeBytes,
    }),
    ...(parameterSet !== undefined && { parameterSet }),
    ...{ derived, convergent, convergentVersion: convergent ? -1 : 0, kdf: 'hkdf_sha256' },
    exportable: wish.exportable ?? false,
    allowPlaintextBackup: wish.allowPlaintextBackup ?? false,
    autoRotateMs: wish.autoRotateMs ?? 0,
    deletionAllowed: false,
    ...{ minDecryption: 1, minEncryption: 0, minAvailable: 0, latest: 0 },
    ...{ imported: false, allowRotation: false, softDeleted: false },
  }
}

function refuseWish(type: KeyType, wish: KeyWish): Refusal | undefined {
  const { derived = false, convergent = false, keySizeBytes = 0, parameterSet = '' } = wish
  const period = refusePeriod(wish.autoRotateMs ?? 0)
  if (period !== undefined) return period
  if (!derived && convergent) {
    return bad('convergent encryption requires derivation to be enabled')
  }
  if (derived && !type.derives) {
    return bad(
      `key derivation and convergent encryption not supported for keys of type ${type.name}`,
    )
  }
  if (convergent && !type.converges) {
    return bad(`convergent encryption not supported for keys of type ${type.name}`)
  }
  if (keySizeBytes !== 0) {
    if (type.kind !== 'hmac') return bad(`key_size is not valid for algorithm ${type.name}`)
    if (!isHmacKeySize(keySizeBytes)) return bad(`invalid key_size ${keySizeBytes}`)
  }
  const sets = parameterSetsOf(type)
  if (parameterSet !== '' && !sets.has(parameterSet)) {
    return bad(`invalid parameter_set ${parameterSet} for key type ${type.name}`)
  }
  return undefined
}

/** The refusal of a period after which a key is to rotate; undefined where it may. */
export const refusePeriod = (periodMs: number): Refusal | undefined =>
  periodMs !== 0 && periodMs < limits.transitAutoRotateMinMs
    ? bad('auto rotate period must be 0 to disable or at least an hour')
    : undefined

export const isHmacKeySize = (sizeBytes: number): boolean =>
  sizeBytes >= limits.transitHmacKeyMinSizeBytes && sizeBytes <= limits.transitHmacKeyMaxSizeBytes

/** The parameter set that is meant: unless said, 65 of ML-DSA, a fast one of SLH-DSA. */
function parameterSetOf(type: KeyType, { parameterSet = '' }: KeyWish): string | undefined {
  if (type.kind === 'ml-dsa') return parameterSet || '65'
  if (type.kind === 'slh-dsa') return parameterSet || 'sha2-128f'
  return undefined
}

/** A pair for a version of a key, drawn before the transaction; undefined where none is needed. */
export function drawFor(
  arithmetic: Arithmetic,
  key: Pick<KeyRow, 'type' | 'parameterSet'>,
): Promise<KeyObject> | undefined {
  const type = typeOf(key)
  switch (type.kind) {
    case 'rsa':
      return arithmetic.generateKey({ type: 'rsa', bits: type.bits })
    case 'ecdsa':
      return arithmetic.generateKey({ type: 'ec', curve: type.curve })
    case 'ed25519':
      return arithmetic.generateKey({ type: 'ed25519' })
    case 'ml-dsa':
    case 'slh-dsa':
      return arithmetic.generateKey({
        ...{ type: 'named', name: parameterSetsOf(type).get(key.parameterSet!)! },
      })
    default:
      return undefined
  }
}

/** Whether a pair is one that a key can have. */
export function fits(key: Pick<KeyRow, 'type' | 'parameterSet'>, pair: KeyObject): boolean {
  const type = typeOf(key)
  const { modulusLength, namedCurve } = pair.asymmetricKeyDetails ?? {}
  switch (type.kind) {
    case 'rsa':
      return pair.asymmetricKeyType === 'rsa' && modulusLength === type.bits && isOdd(pair)
    case 'ecdsa':
      return pair.asymmetricKeyType === 'ec' && namedCurve === type.curve
    case 'ed25519':
      return pair.asymmetricKeyType === 'ed25519'
    default:
      return pair.asymmetricKeyType === parameterSetsOf(type).get(key.parameterSet ?? '')
  }
}

/** Whether an RSA key's public exponent is odd and above 1, as one that hides anything. */
export function isOdd(pair: KeyObject): boolean {
  const { publicExponent = 0n } = pair.asymmetricKeyDetails ?? {}
  return publicExponent > 1n && publicExponent % 2n === 1n
}

/** What a version is made of: the bytes of a symmetric key, a pair, or a public key alone. */
export type Ingredients =
  | { readonly bytes: Buffer }
  | { readonly privateKey: KeyObject }
  | { readonly publicKey: KeyObject }

/** The row of a new version of a key. */
function versionOf(
  { random, now }: Omit<Making, 'storage'>,
  key: KeyRow,
  ingredients: Ingredients,
): VersionRow {
  const type = typeOf(key)
  const hasHmacKey = type.authenticates && type.kind !== 'hmac'
  const common = {
    createdAtMs: now,
    convergentVersion: convergentVersionOf(key),
    ...(hasHmacKey && { hmacKey: random.bytes(HMAC_KEY_SIZE_BYTES).toString('base64') }),
  }
  if ('bytes' in ingredients) return { ...common, bytes: ingredients.bytes.toString('base64') }
  return { ...common, ...pairOf(ingredients) }
}

export const HMAC_KEY_SIZE_BYTES = 32

/** A pair, or a public key alone, as rows have it. */
export function pairOf(
  pair: Exclude<Ingredients, { bytes: Buffer }>,
): Pick<VersionRow, 'privateKey' | 'publicKey'> {
  if ('publicKey' in pair) return { publicKey: base64Of(pair.publicKey, 'spki') }
  const { privateKey } = pair
  return {
    privateKey: base64Of(privateKey, 'pkcs8'),
    publicKey: base64Of(createPublicKey(privateKey), 'spki'),
  }
}

const base64Of = (key: KeyObject, type: 'pkcs8' | 'spki'): string =>
  key.export({ format: 'der', type }).toString('base64')

/** The scheme of a new version; versions of keys with the first one have no scheme of their own. */
const convergentVersionOf = ({ convergent, convergentVersion }: KeyRow): number =>
  convergent && (convergentVersion === -1 || convergentVersion > 1) ? CONVERGENT_VERSION : 0

/** What a new version of a key is drawn from. */
export function drawn(
  random: Random,
  key: KeyRow,
  pair: KeyObject | undefined,
): Ingredients | Refusal {
  const type = typeOf(key)
  if (isSymmetric(type)) {
    const sizeBytes = type.kind === 'hmac' ? key.keySizeBytes! : type.sizeBytes
    return { bytes: random.bytes(sizeBytes) }
  }
  return pair !== undefined && fits(key, pair) ? { privateKey: pair } : CHANGED
}

/** What was prepared is for another key: one was made or deleted in the meantime. */
const CHANGED = new Refusal(503, 'the key was replaced by another request meanwhile: try again')

/** Makes a key with its first version. Nothing may have its name. */
export function makeKey(
  making: Making,
  name: string,
  wish: KeyWish,
  pair?: KeyObject,
): KeyRow | Refusal {
  const key = keyWished(making.random, wish)
  if (key instanceof Refusal) return key
  const ingredients = drawn(making.random, key, pair)
  if (ingredients instanceof Refusal) return ingredients
  return addVersion(making, name, key, ingredients)
}

/** Makes a key whose first version is of these bytes. Nothing may have its name. */
export function makeKeyOf(
  making: Making,
  name: string,
  wish: KeyWish,
  bytes: Buffer,
): KeyRow | Refusal {
  const key = keyWished(making.random, wish)
  return key instanceof Refusal ? key : addVersion(making, name, key, { bytes })
}

/** Gives a key its next version; gives the row that the key has then. */
export function addVersion(
  making: Making,
  name: string,
  key: KeyRow,
  ingredients: Ingredients,
): KeyRow {
  const { storage, now } = making
  const row = { ...key, latest: key.latest + 1 }
  putKey(storage, name, {
    row,
    versions: [[row.latest, versionOf(making, key, ingredients)]],
    rotatesAtMs: rotationMs(row, now),
  })
  return row
}

/**
 * Gives a key a next version that was drawn here: no imported one, and neither is a key whose
 * latest it is.
 */
export const rotateKey = (
  making: Making,
  name: string,
  key: KeyRow,
  ingredients: Ingredients,
): KeyRow => addVersion(making, name, { ...key, imported: false }, ingredients)

/** When a key whose latest version was made at a time rotates by itself; undefined for never. */
export function rotationMs(
  { autoRotateMs, imported, allowRotation, softDeleted }: KeyRow,
  madeMs: number,
): number | undefined {
  const isOff = autoRotateMs === 0 || softDeleted || (imported && !allowRotation)
  return isOff ? undefined : madeMs + autoRotateMs
}

/** The same of a key that is kept. */
export const rotationOf = (storage: Storage, key: KeyRow): number | undefined =>
  rotationMs(key, versionAt(storage, key, key.latest)?.createdAtMs ?? 0)
