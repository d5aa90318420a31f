/**
 * ECDSA (FIPS 186-5) of digests that somebody else made: node:crypto signs what it hashed itself.
 *
 * Owns the way around that. A signature (r, s) of the digest z under the key d is one of another
 * digest y under the key d·y/z, with s·y/z in place of s: so OpenSSL signs or verifies a text of
 * ours under such a key, and what it says is brought back. It alone draws nonces and multiplies
 * points; here, numbers are multiplied modulo the order of the curve. Pure but for its nonces.
 */
import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  ECDH,
  hash,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'

interface Curve {
  /** OpenSSL's name, and that of JSON Web Keys. */
  readonly name: string
  readonly jwk: string
  readonly order: bigint
  readonly prime: bigint
  readonly orderBits: number
  readonly sizeBytes: number
}

const curveOf = (name: string, jwk: string, bits: number, order: string, prime: bigint): Curve => ({
  ...{ name, jwk, order: BigInt(`0x${order}`), prime },
  ...{ orderBits: bits, sizeBytes: Math.ceil(bits / 8) },
})

/** FIPS 186-5 and SP 800-186: P-256, P-384, P-521. */
const curves: readonly Curve[] = [
  curveOf(
    'prime256v1',
    'P-256',
    256,
    'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
    2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
  ),
  curveOf(
    'secp384r1',
    'P-384',
    384,
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
  ),
  curveOf(
    'secp521r1',
    'P-521',
    521,
    '1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
    2n ** 521n - 1n,
  ),
]
const curveNamed = (name: string): Curve => curves.find(curve => curve.name === name)!

/** Bytes of one of the two numbers of a signature. */
export const numberSizeBytes = (curve: string): number => curveNamed(curve).sizeBytes

/** The text that OpenSSL signs in place of a digest, and what it is hashed to. */
const TEXT = Buffer.from('gatehouse')
const TEXT_HASH = 'sha256'
const TEXT_DIGEST = hash(TEXT_HASH, TEXT, 'buffer')

const numberOf = (bytes: Uint8Array): bigint =>
  bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const bytesOf = (number: bigint, sizeBytes: number): Buffer =>
  Buffer.from(number.toString(16).padStart(sizeBytes * 2, '0'), 'hex')

/** The number that a digest stands for: its first bits, as many as the order has. */
function digestNumber({ order, orderBits }: Curve, digest: Uint8Array): bigint {
  const excess = BigInt(Math.max(0, digest.length * 8 - orderBits))
  return (numberOf(digest) >> excess) % order
}

/** What a number is to be multiplied with for a remainder of 1; the modulus is a prime. */
function inverse(number: bigint, modulus: bigint): bigint {
  let [rest, next] = [modulus, number % modulus]
  let [factor, nextFactor] = [0n, 1n]
  while (next !== 0n) {
    const quotient = rest / next
    ;[rest, next] = [next, rest - quotient * next]
    ;[factor, nextFactor] = [nextFactor, factor - quotient * nextFactor]
  }
  return factor < 0n ? factor + modulus : factor
}

/** How a digest and the one of our text relate: y/z. Undefined for a digest that stands for 0. */
function ratioOf(curve: Curve, digest: Uint8Array): bigint | undefined {
  const number = digestNumber(curve, digest)
  if (number === 0n) return undefined
  return (digestNumber(curve, TEXT_DIGEST) * inverse(number, curve.order)) % curve.order
}

/**
 * Signs a digest: the two numbers, one behind the other. Undefined for a digest of zeros, which no
 * hash gives.
 */
export function signDigest(key: KeyObject, digest: Uint8Array): Buffer | undefined {
  const curve = curveNamed(key.asymmetricKeyDetails!.namedCurve!)
  const ratio = ratioOf(curve, digest)
  if (ratio === undefined) return undefined
  const own = numberOf(Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url'))
  const other = keyOf(curve, (own * ratio) % curve.order)
  const signature = sign(TEXT_HASH, TEXT, { key: other, dsaEncoding: 'ieee-p1363' })
  const s = numberOf(signature.subarray(curve.sizeBytes)) * inverse(ratio, curve.order)
  return Buffer.concat([
    signature.subarray(0, curve.sizeBytes),
    bytesOf(s % curve.order, curve.sizeBytes),
  ])
}

function keyOf({ name, jwk, sizeBytes }: Curve, number: bigint): KeyObject {
  const pair = createECDH(name)
  const secret = bytesOf(number, sizeBytes)
  pair.setPrivateKey(secret)
  const point = pair.getPublicKey()
  const d = secret.toString('base64url')
  return createPrivateKey({ format: 'jwk', key: { ...publicJwk(jwk, point), d } })
}

/** A point without compression, as a JSON Web Key. */
const publicJwk = (crv: string, point: Buffer) => ({
  ...{ kty: 'EC', crv },
  x: point.subarray(1, (point.length + 1) / 2).toString('base64url'),
  y: point.subarray((point.length + 1) / 2).toString('base64url'),
})

/** Whether two numbers, one behind the other, are a signature of a digest. */
export function verifyDigest(key: KeyObject, digest: Uint8Array, signature: Buffer): boolean {
  const curve = curveNamed(key.asymmetricKeyDetails!.namedCurve!)
  if (signature.length !== 2 * curve.sizeBytes) return false
  const ratio = ratioOf(curve, digest)
  const s = numberOf(signature.subarray(curve.sizeBytes))
  if (ratio === undefined || s === 0n || s >= curve.order) return false
  const { x, y } = key.export({ format: 'jwk' })
  const [left, right] = [Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')]
  const point = Buffer.concat([Buffer.from([4]), left, right])
  const other = createPublicKey({
    ...{ format: 'jwk', key: publicJwk(curve.jwk, multiple(curve, point, ratio)) },
  })
  const moved = Buffer.concat([
    signature.subarray(0, curve.sizeBytes),
    bytesOf((s * ratio) % curve.order, curve.sizeBytes),
  ])
  return verify(TEXT_HASH, TEXT, { key: other, dsaEncoding: 'ieee-p1363' }, moved)
}

/**
 * A public point times a number. OpenSSL gives the x of it (ECDH); which of the two points of that
 * x it is, the sum with the first one says, whose x is that of the next multiple.
 */
function multiple(curve: Curve, point: Buffer, number: bigint): Buffer {
  if (number === 1n) return point
  const x = xOfMultiple(curve, point, number)
  const [even, odd] = [0x02, 0x03].map(
    sign =>
      ECDH.convertKey(
        ...([Buffer.concat([Buffer.from([sign]), x]), curve.name] as const),
        ...([undefined, undefined, 'uncompressed'] as const),
      ) as Buffer,
  ) as [Buffer, Buffer]
  if (x.equals(point.subarray(1, 1 + curve.sizeBytes))) return point.equals(even) ? odd : even
  const next = numberOf(xOfMultiple(curve, point, number + 1n))
  return xOfSum(curve, point, even) === next ? even : odd
}

function xOfMultiple({ name, sizeBytes }: Curve, point: Buffer, number: bigint): Buffer {
  const pair = createECDH(name)
  pair.setPrivateKey(bytesOf(number, sizeBytes))
  return pair.computeSecret(point)
}

/** The x of the sum of two points of different x. */
function xOfSum({ prime, sizeBytes }: Curve, one: Buffer, other: Buffer): bigint {
  const [x1, x2] = [one, other].map(at => numberOf(at.subarray(1, 1 + sizeBytes)))
  const [y1, y2] = [one, other].map(at => numberOf(at.subarray(1 + sizeBytes)))
  const run = (x2! - x1! + prime) % prime
  const slope = ((y2! - y1! + prime) * inverse(run, prime)) % prime
  return (((slope * slope - x1! - x2!) % prime) + 2n * prime) % prime
}

const SEQUENCE = 0x30
const INTEGER = 0x02

/** Two numbers, one behind the other, as ASN.1 has them (RFC 3279, section 2.2.3). */
export function toAsn1(signature: Buffer): Buffer {
  const half = signature.length / 2
  const parts = [signature.subarray(0, half), signature.subarray(half)].map(number => {
    let at = 0
    while (at < number.length - 1 && number[at] === 0) at++
    const bytes = number.subarray(at)
    const padded = bytes[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes
    return Buffer.concat([Buffer.from([INTEGER, padded.length]), padded])
  })
  const body = Buffer.concat(parts)
  const head = body.length < 0x80 ? [SEQUENCE, body.length] : [SEQUENCE, 0x81, body.length]
  return Buffer.concat([Buffer.from(head), body])
}

/**
 * The numbers of a signature in ASN.1, strictly DER, one behind the other: `invalid` for what is
 * none, `extra` where something stands behind it, `outside` for numbers that no signature has.
 */
export function fromAsn1(
  curve: string,
  signature: Buffer,
): Buffer | 'invalid' | 'extra' | 'outside' {
  const { sizeBytes } = curveNamed(curve)
  const body = readElement(signature, SEQUENCE)
  if (body === undefined) return 'invalid'
  const r = readElement(body.content, INTEGER)
  const s = r && readElement(r.rest, INTEGER)
  if (r === undefined || s === undefined || s.rest.length > 0) return 'invalid'
  if (!isMinimal(r.content) || !isMinimal(s.content)) return 'invalid'
  if (body.rest.length > 0) return 'extra'
  const numbers = [r.content, s.content].map(number => fitted(number, sizeBytes))
  return numbers.every(number => number !== undefined) ? Buffer.concat(numbers) : 'outside'
}

interface Element {
  readonly content: Buffer
  readonly rest: Buffer
}

/** An element at the beginning of bytes; no signature needs more than a byte of length. */
function readElement(bytes: Buffer, tag: number): Element | undefined {
  if (bytes.length < 2 || bytes[0] !== tag) return undefined
  const isLong = bytes[1] === 0x81
  const length = isLong ? bytes[2] : bytes[1]
  if (length === undefined || (isLong ? length < 0x80 : length > 0x7f)) return undefined
  const start = isLong ? 3 : 2
  if (bytes.length < start + length) return undefined
  return { content: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) }
}

const isMinimal = (number: Buffer): boolean =>
  number.length > 0 &&
  !(number.length > 1 && number[0] === 0 && number[1]! < 0x80) &&
  !(number.length > 1 && number[0] === 0xff && number[1]! >= 0x80)

/** A number that is not negative, at a size; undefined for others. */
function fitted(number: Buffer, sizeBytes: number): Buffer | undefined {
  if (number[0]! >= 0x80) return undefined
  const bytes = number[0] === 0 ? number.subarray(1) : number
  if (bytes.length > sizeBytes) return undefined
  return Buffer.concat([Buffer.alloc(sizeBytes - bytes.length), bytes])
}
