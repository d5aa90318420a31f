/**
 * Public keys that signatures are verified with: from PEM texts and from key sets (RFC 7517).
 *
 * Owns which key may be used with which algorithm. It goes by what the key is, never by what a
 * token says of it, so that no token can have a public key taken for a shared secret. Keys that are
 * secret or too weak are refused. Pure.
 */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { limits } from '../../base/limits.ts'

/** Algorithms that a configuration may name, as in Consul. */
export const ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512'],
  ...['ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512'],
]

/** The same with that of Ed25519 keys, which Consul takes where no algorithms are named. */
export const ALL_ALGORITHMS: readonly string[] = [...ALGORITHMS, 'EdDSA']

export interface PublicKey {
  readonly key: KeyObject
  /** What the key set calls it. */
  readonly id: string | undefined
  /** The one algorithm that the key set allows it for. */
  readonly algorithm: string | undefined
}

const CURVES: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}

/** Whether a key is one that an algorithm signs with. */
function fits({ key, algorithm }: PublicKey, wanted: string): boolean {
  if (algorithm !== undefined && algorithm !== wanted) return false
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (/^[RP]S(256|384|512)$/.test(wanted)) return type === 'rsa'
  if (wanted === 'EdDSA') return type === 'ed25519'
  return type === 'ec' && Object.hasOwn(CURVES, wanted) && details?.namedCurve === CURVES[wanted]
}

/** The keys of a token that names this key id and algorithm, in the order to try them. */
export function keysFor(
  keys: readonly PublicKey[],
  algorithm: string,
  keyId: string | undefined,
): readonly PublicKey[] {
  // A key without an id, such as one of the configuration, may be anybody's.
  const named = keys.filter(({ id }) => keyId === undefined || id === undefined || id === keyId)
  return named.filter(key => fits(key, algorithm)).slice(0, limits.jwtKeysTried)
}

const NONE = 'data does not contain any valid RSA, ECDSA, or ED25519 public keys'

/** The key of a PEM text: a public key or a certificate. What is wrong with it where it is none. */
export function keyOfPem(pem: string): PublicKey | string {
  const [, label] = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem) ?? []
  // Node would take the public half out of a private key; such a key must not lie here.
  if (label?.includes('PRIVATE') === true) return 'it is a private key'
  try {
    const key = label === 'CERTIFICATE' ? new X509Certificate(pem).publicKey : createPublicKey(pem)
    return usable({ key, id: undefined, algorithm: undefined })
  } catch {
    return NONE
  }
}

function usable(key: PublicKey): PublicKey | string {
  const { asymmetricKeyDetails: details } = key.key
  if (!ALL_ALGORITHMS.some(one => fits({ ...key, algorithm: undefined }, one))) return NONE
  const bits = details?.modulusLength
  if (bits !== undefined && bits < limits.jwtRsaMinBits) {
    return `an RSA key needs ${limits.jwtRsaMinBits} bits`
  }
  return key
}

/**
 * The keys of a key set that signatures can be verified with; the others in it are left out. What
 * is wrong with the text where it is no key set.
 */
export function keysOfSet(text: string): readonly PublicKey[] | string {
  const set = parsed(text)
  if (!isRecord(set) || !Object.hasOwn(set, 'keys') || !Array.isArray(set.keys)) {
    return 'the answer is no key set'
  }
  if (set.keys.length > limits.jwtKeys) return `it holds more than ${limits.jwtKeys} keys`
  return set.keys.flatMap(keyOfJwk)
}

function keyOfJwk(jwk: unknown): PublicKey[] {
  if (!isRecord(jwk)) return []
  const { kty, kid, alg, use, key_ops } = jwk
  const isSecret = kty === 'oct' || Object.hasOwn(jwk, 'd') || Object.hasOwn(jwk, 'k')
  const isForMore = use !== undefined && use !== 'sig'
  const isForLess = Array.isArray(key_ops) && !key_ops.includes('verify')
  if (isSecret || isForMore || isForLess) return []
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' && value !== '' ? value : undefined
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const made = usable({ key, id: text(kid), algorithm: text(alg) })
    return typeof made === 'string' ? [] : [made]
  } catch {
    return []
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
