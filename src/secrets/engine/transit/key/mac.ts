/**
 * Codes of authentication: HMAC (RFC 2104) and CMAC of AES (RFC 4493, NIST SP 800-38B).
 *
 * Owns both, and comparing them in constant time. Pure.
 */
import { createCipheriv, createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'

/** The HMAC of an input, by one of Node's hash names. */
export const hmacOf = (hash: string, key: KeyObject, input: Uint8Array): Buffer =>
  createHmac(hash, key).update(input).digest()

/** Whether two codes are the same; the time that it takes tells their lengths alone. */
export const isSameCode = (one: Buffer, other: Buffer): boolean =>
  one.length === other.length && timingSafeEqual(one, other)

/** Bytes of a whole CMAC. */
export const CMAC_SIZE_BYTES = 16
const NO_IV = Buffer.alloc(CMAC_SIZE_BYTES)
/** What is added where a bit falls off as a block is doubled (RFC 4493, section 2.3). */
const REDUCTION = 0x87

/** The CMAC of an input under an AES key of 16, 24 or 32 bytes. */
export function cmacOf(key: KeyObject, input: Uint8Array): Buffer {
  const bits = key.symmetricKeySize! * 8
  const first = doubled(createCipheriv(`aes-${bits}-ecb`, key, null).update(NO_IV))
  const isWhole = input.length > 0 && input.length % CMAC_SIZE_BYTES === 0
  const lastAt = isWhole
    ? input.length - CMAC_SIZE_BYTES
    : input.length - (input.length % CMAC_SIZE_BYTES)
  const last = Buffer.alloc(CMAC_SIZE_BYTES)
  last.set(input.subarray(lastAt))
  if (!isWhole) last[input.length - lastAt] = 0x80
  const mask = isWhole ? first : doubled(first)
  for (let at = 0; at < CMAC_SIZE_BYTES; at++) last[at]! ^= mask[at]!
  const cipher = createCipheriv(`aes-${bits}-cbc`, key, NO_IV)
  if (lastAt > 0) cipher.update(input.subarray(0, lastAt))
  return cipher.update(last)
}

/** A block times x in GF(2^128); takes the same time for all. */
function doubled(block: Buffer): Buffer {
  const out = Buffer.alloc(CMAC_SIZE_BYTES)
  let carry = 0
  for (let at = CMAC_SIZE_BYTES - 1; at >= 0; at--) {
    const byte = block[at]!
    out[at] = (byte << 1) | carry
    carry = byte >> 7
  }
  out[CMAC_SIZE_BYTES - 1]! ^= REDUCTION & -carry
  return out
}
