/**
 * Sealing bytes by AES-256-GCM, each for a place (NIST SP 800-38D).
 *
 * Owns the form of what is sealed: nonce, ciphertext, tag, in base64. The place is authenticated,
 * so that what was sealed for one cannot stand in another. Draws no nonce: whoever seals says it,
 * and must never give the same one to two texts under one key.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'

/** Bytes of a nonce. */
export const NONCE_SIZE_BYTES = 12
const TAG_SIZE_BYTES = 16
const KEY_SIZE_BYTES = 32

/** A key for one purpose, from a key that has several (HKDF, RFC 5869). */
export const deriveKey = (key: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), purpose, KEY_SIZE_BYTES))

/** Seals bytes for a place. `key` is 32 bytes, `nonce` NONCE_SIZE_BYTES. */
export function sealFor(place: string, bytes: Uint8Array, key: Buffer, nonce: Buffer): string {
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(place))
  const body = Buffer.concat([cipher.update(bytes), cipher.final()])
  return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64')
}

/** What was sealed for the same place; undefined where it was not, or not by this key. */
export function openFor(place: string, sealed: string, key: Buffer): Buffer | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < NONCE_SIZE_BYTES + TAG_SIZE_BYTES) return undefined
  const nonce = bytes.subarray(0, NONCE_SIZE_BYTES)
  const body = bytes.subarray(NONCE_SIZE_BYTES, -TAG_SIZE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_SIZE_BYTES })
  decipher.setAAD(Buffer.from(place))
  decipher.setAuthTag(bytes.subarray(-TAG_SIZE_BYTES))
  try {
    return Buffer.concat([decipher.update(body), decipher.final()])
  } catch {
    // Another key, another place, or not what was sealed: they cannot be told apart.
    return undefined
  }
}
