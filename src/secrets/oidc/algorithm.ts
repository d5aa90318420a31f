/**
 * The algorithms that tokens are signed with (RFC 7518, RFC 8037).
 *
 * Owns which there are, what a pair for one is drawn of, and how node:crypto is asked to sign and
 * to hash. Pure.
 */
import { hash as digest, type KeyObject } from 'node:crypto'
import type { KeyKind } from '../../base/io/arithmetic.ts'

interface Facts {
  readonly kind: KeyKind
  /** What node:crypto hashes with before it signs; null where the key has a hash of its own. */
  readonly hash: string | null
  /** What `at_hash` and `c_hash` are made with (OpenID Connect Core 1.0, section 3.1.3.6). */
  readonly claimHash: string
}

const rsa = (hash: string): Facts => ({ kind: { type: 'rsa', bits: 2048 }, hash, claimHash: hash })
const ec = (curve: string, hash: string): Facts => ({
  kind: { type: 'ec', curve },
  ...{ hash, claimHash: hash },
})

const FACTS = {
  RS256: rsa('sha256'),
  RS384: rsa('sha384'),
  RS512: rsa('sha512'),
  ES256: ec('prime256v1', 'sha256'),
  ES384: ec('secp384r1', 'sha384'),
  ES512: ec('secp521r1', 'sha512'),
  EdDSA: { kind: { type: 'ed25519' }, hash: null, claimHash: 'sha512' },
} satisfies Record<string, Facts>

export type Algorithm = keyof typeof FACTS

export const ALGORITHMS = Object.keys(FACTS) as readonly Algorithm[]

export const isAlgorithm = (text: string): text is Algorithm => Object.hasOwn(FACTS, text)

/** What a pair for an algorithm is drawn of. */
export const kindFor = (algorithm: Algorithm): KeyKind => FACTS[algorithm].kind

/** How it is signed with: RSA as PKCS #1 v1.5, numbers of ECDSA one behind the other. */
export const howToSign = (algorithm: Algorithm) =>
  ({ hash: FACTS[algorithm].hash, dsaEncoding: 'ieee-p1363' }) as const

/** Whether a pair, or its public half, is one for an algorithm. */
export function fits(algorithm: Algorithm, key: KeyObject): boolean {
  const { kind } = FACTS[algorithm]
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== kind.type) return false
  if (kind.type === 'ec') return namedCurve === kind.curve
  return kind.type !== 'rsa' || modulusLength === kind.bits
}

/** The half of a text's hash that a token says of it. */
export function hashClaim(algorithm: Algorithm, text: string): string {
  const whole = digest(FACTS[algorithm].claimHash, text, 'buffer')
  return whole.subarray(0, whole.length / 2).toString('base64url')
}
