/**
 * Keys that travel: wrapped for an RSA key of another's.
 *
 * Owns the form of PKCS #11's CKM_RSA_AES_KEY_WRAP: an AES-256 key encrypted by RSA-OAEP, and
 * behind it the travelling key, wrapped by that one (AES-KWP, RFC 5649). How unwrapping fails is
 * told in one sentence, whatever failed.
 */
import { createCipheriv, createDecipheriv, type KeyObject, publicEncrypt } from 'node:crypto'
import { OperatingError, Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'

const KWP = 'id-aes256-wrap-pad'
/** The alternative initial value of RFC 5649. */
const KWP_IV = Buffer.from('a65959a6', 'hex')
const AES_KEY_SIZE_BYTES = 32

/** The hash for OAEP by the name that requests give it; '' is one of none. */
export function hashOfWrapping(name: string): string | Refusal {
  const hash = name.toLowerCase()
  return /^sha(1|224|256|384|512)$/.test(hash)
    ? hash
    : new Refusal(400, `unknown hash function: ${name}`)
}

/** Wraps a key for whoever has the private part of an RSA key. `ephemeral` is 32 random bytes. */
export function wrapKey(
  target: KeyObject,
  key: Buffer,
  { hash, ephemeral }: { readonly hash: string; readonly ephemeral: Buffer },
): Buffer {
  const cipher = createCipheriv(KWP, ephemeral, KWP_IV)
  const wrapped = Buffer.concat([cipher.update(key), cipher.final()])
  return Buffer.concat([publicEncrypt({ key: target, oaepHash: hash }, ephemeral), wrapped])
}

/** Unwraps what was wrapped for an RSA key. */
export async function unwrapKey(
  arithmetic: Arithmetic,
  key: KeyObject,
  { wrapped, hash }: { readonly wrapped: Buffer; readonly hash: string },
): Promise<Buffer | Refusal> {
  const sizeBytes = key.asymmetricKeyDetails!.modulusLength! / 8
  if (wrapped.length <= sizeBytes) {
    return new Refusal(400, 'provided ciphertext is too short')
  }
  try {
    const data = wrapped.subarray(0, sizeBytes)
    const ephemeral = await arithmetic.decrypt({ key, data, oaepHash: hash })
    if (ephemeral.length !== AES_KEY_SIZE_BYTES) return UNREADABLE
    const decipher = createDecipheriv(KWP, ephemeral, KWP_IV)
    const unwrapped = Buffer.concat([
      decipher.update(wrapped.subarray(sizeBytes)),
      decipher.final(),
    ])
    ephemeral.fill(0)
    return unwrapped
  } catch (error) {
    if (isOurs(error)) throw error
    return UNREADABLE
  }
}

/** Whether an error is not about what was sent: too much is to be done, or nothing any more. */
const isOurs = (error: unknown): boolean => error instanceof OperatingError

const UNREADABLE = new Refusal(400, 'error importing key: it was not wrapped for this wrapping key')
