/**
 * Key pairs as numbers, as backups have them.
 *
 * Owns the way between node:crypto's keys and whole numbers: coordinates, moduli, primes. What is
 * made of numbers is not proven here to be a pair. Pure.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/** A number of a JWK. */
const numberOf = (text: string): bigint =>
  BigInt(`0x${Buffer.from(text, 'base64url').toString('hex') || '0'}`)

/** A number for a JWK, of at least so many bytes. */
function textOf(number: bigint, sizeBytes = 0): string {
  const hex = number.toString(16)
  const digits = Math.max(hex.length + (hex.length % 2), sizeBytes * 2)
  return Buffer.from(hex.padStart(digits, '0'), 'hex').toString('base64url')
}

export interface RsaNumbers {
  readonly n: bigint
  readonly e: bigint
  /** What is private; undefined for a public key. */
  readonly secret: { readonly d: bigint; readonly p: bigint; readonly q: bigint } | undefined
}

/** The numbers of an RSA key. */
export function rsaNumbers(key: KeyObject): RsaNumbers {
  const { n, e, d, p, q } = key.export({ format: 'jwk' })
  const secret = d === undefined ? undefined : { d: numberOf(d), p: numberOf(p!), q: numberOf(q!) }
  return { n: numberOf(n!), e: numberOf(e!), secret }
}

/** What follows from an RSA key's primes: the exponents of each, and the inverse of the second. */
export const rsaExponents = ({ d, p, q }: NonNullable<RsaNumbers['secret']>) => ({
  dp: d % (p - 1n),
  dq: d % (q - 1n),
  qi: inverse(q, p),
})

/** The inverse of a number modulo a prime; 0 where it has none. */
function inverse(number: bigint, prime: bigint): bigint {
  let [r, next] = [prime, number % prime]
  let [t, nextT] = [0n, 1n]
  while (next !== 0n) {
    const quotient = r / next
    ;[r, next] = [next, r - quotient * next]
    ;[t, nextT] = [nextT, t - quotient * nextT]
  }
  return r === 1n ? ((t % prime) + prime) % prime : 0n
}

/** A key of these numbers. Throws what node:crypto throws. */
export function rsaKey({ n, e, secret }: RsaNumbers): KeyObject {
  const common = { kty: 'RSA', n: textOf(n), e: textOf(e) }
  if (secret === undefined) return publicOf(common)
  const { dp, dq, qi } = rsaExponents(secret)
  const exponents = { dp: textOf(dp), dq: textOf(dq), qi: textOf(qi) }
  const primes = { d: textOf(secret.d), p: textOf(secret.p), q: textOf(secret.q) }
  return privateOf({ ...common, ...primes, ...exponents })
}

export interface EcNumbers {
  readonly x: bigint
  readonly y: bigint
  /** What is private; undefined for a public key. */
  readonly d: bigint | undefined
}

/** The numbers of a key on a curve. */
export function ecNumbers(key: KeyObject): EcNumbers {
  const { x, y, d } = key.export({ format: 'jwk' })
  return { x: numberOf(x!), y: numberOf(y!), d: d === undefined ? undefined : numberOf(d) }
}

/** A key of these numbers on a curve by its name in JWKs. Throws what node:crypto throws. */
export function ecKey(curve: string, { x, y, d }: EcNumbers): KeyObject {
  const sizeBytes = Math.ceil(Number(curve.slice(2)) / 8)
  const point = { kty: 'EC', crv: curve, x: textOf(x, sizeBytes), y: textOf(y, sizeBytes) }
  return d === undefined ? publicOf(point) : privateOf({ ...point, d: textOf(d, sizeBytes) })
}

/** An Ed25519 key of its seed and its public key, or of this one alone. */
export function ed25519Key(publicBytes: Buffer, seed: Buffer | undefined): KeyObject {
  const common = { kty: 'OKP', crv: 'Ed25519', x: publicBytes.toString('base64url') }
  return seed === undefined
    ? publicOf(common)
    : privateOf({ ...common, d: seed.toString('base64url') })
}

type Jwk = Readonly<Record<string, string>>

const publicOf = (key: Jwk): KeyObject => createPublicKey({ key, format: 'jwk' })
const privateOf = (key: Jwk): KeyObject => createPrivateKey({ key, format: 'jwk' })
