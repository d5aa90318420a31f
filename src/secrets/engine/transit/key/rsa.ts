/**
 * RSA signatures (RFC 8017) of digests that somebody else made: node:crypto signs what it hashed
 * itself.
 *
 * Owns what is put under the bare RSA operation, which OpenSSL does, and how it is checked. Pure.
 */
import {
  constants,
  hash as digestOf,
  type KeyObject,
  publicDecrypt,
  timingSafeEqual,
} from 'node:crypto'
import type { Hash } from './hash.ts'

/** Whether the salt of PSS is as long as it can be, as the digest, or so many bytes. */
export type SaltLength = 'auto' | 'hash' | number

const bitsOf = (key: KeyObject): number => key.asymmetricKeyDetails!.modulusLength!
const sizeBytesOf = (key: KeyObject): number => Math.ceil(bitsOf(key) / 8)

/** The longest salt that a signature of a key has room for. */
export const saltSizeMax = (key: KeyObject, hash: Hash): number =>
  Math.ceil((bitsOf(key) - 1) / 8) - 2 - hash.sizeBytes

/** A digest as PKCS #1 v1.5 signs it (section 9.2); without a hash, it signs the bytes. */
export function encodePkcs1(
  key: KeyObject,
  hash: Hash | undefined,
  digest: Uint8Array,
): Buffer | undefined {
  const info = hash === undefined ? digest : Buffer.concat([hash.digestInfo, digest])
  const filled = sizeBytesOf(key) - info.length - 3
  if (filled < 8) return undefined
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(filled, 0xff), Buffer.from([0]), info])
}

/** Whether a signature is one of PKCS #1 v1.5. */
export function verifyPkcs1(
  key: KeyObject,
  hash: Hash | undefined,
  digest: Uint8Array,
  signature: Buffer,
): boolean {
  const encoded = openSignature(key, signature)
  const expected = encodePkcs1(key, hash, digest)
  return encoded !== undefined && expected !== undefined && timingSafeEqual(encoded, expected)
}

/** A digest as PSS signs it (section 9.1.1). There must be room for the salt. */
export function encodePss(key: KeyObject, hash: Hash, digest: Uint8Array, salt: Buffer): Buffer {
  const bits = bitsOf(key) - 1
  const sizeBytes = Math.ceil(bits / 8)
  const code = pssCode(hash, digest, salt)
  const maskedSize = sizeBytes - hash.sizeBytes - 1
  const masked = Buffer.alloc(maskedSize)
  masked[maskedSize - salt.length - 1] = 1
  masked.set(salt, maskedSize - salt.length)
  mask(masked, hash, code)
  masked[0]! &= 0xff >> (8 * sizeBytes - bits)
  const encoded = Buffer.concat([masked, code, Buffer.from([TRAILER])])
  return Buffer.concat([Buffer.alloc(sizeBytesOf(key) - sizeBytes), encoded])
}

const TRAILER = 0xbc

/** Whether a signature is one of PSS (section 9.1.2), with a salt of any length for `auto`. */
export function verifyPss(
  key: KeyObject,
  hash: Hash,
  digest: Uint8Array,
  saltLength: SaltLength,
  signature: Buffer,
): boolean {
  const bits = bitsOf(key) - 1
  const sizeBytes = Math.ceil(bits / 8)
  const whole = openSignature(key, signature)
  if (whole === undefined || sizeBytes < hash.sizeBytes + 2) return false
  const encoded = whole.subarray(whole.length - sizeBytes)
  if (whole.length > sizeBytes && whole[0] !== 0) return false
  if (encoded[sizeBytes - 1] !== TRAILER) return false
  const maskedSize = sizeBytes - hash.sizeBytes - 1
  const masked = encoded.subarray(0, maskedSize)
  const code = encoded.subarray(maskedSize, sizeBytes - 1)
  const head = 0xff >> (8 * sizeBytes - bits)
  if ((masked[0]! & ~head & 0xff) !== 0) return false
  mask(masked, hash, code)
  masked[0]! &= head
  const one = masked.findIndex(byte => byte !== 0)
  if (one === -1 || masked[one] !== 1) return false
  const salt = masked.subarray(one + 1)
  const wanted = saltLength === 'hash' ? hash.sizeBytes : saltLength
  if (wanted !== 'auto' && salt.length !== wanted) return false
  return timingSafeEqual(code, pssCode(hash, digest, salt))
}

const pssCode = (hash: Hash, digest: Uint8Array, salt: Buffer): Buffer =>
  digestOf(hash.name, Buffer.concat([Buffer.alloc(8), digest, salt]), 'buffer')

/** Adds the mask of a seed (MGF1, appendix B.2.1). */
function mask(bytes: Buffer, hash: Hash, seed: Buffer): void {
  const counter = Buffer.alloc(4)
  for (let block = 0; block * hash.sizeBytes < bytes.length; block++) {
    counter.writeUInt32BE(block)
    const part = digestOf(hash.name, Buffer.concat([seed, counter]), 'buffer')
    const start = block * hash.sizeBytes
    for (let at = 0; at < part.length && start + at < bytes.length; at++) {
      bytes[start + at]! ^= part[at]!
    }
  }
}

/** What a signature was made of; undefined for what is none of this key's. */
function openSignature(key: KeyObject, signature: Buffer): Buffer | undefined {
  if (signature.length !== sizeBytesOf(key)) return undefined
  try {
    return publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature)
  } catch {
    return undefined
  }
}
