/**
 * Many short texts encrypted or decrypted under one key, in one piece of memory.
 *
 * Owns the arithmetic over that memory and how it lies there: the key, and behind it each text as
 * nonce, body and tag. What comes of a text stands in its place. The key is wiped.
 */
import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto'

/** What is done, and to what. Whose turn it is to work on its memory has it alone. */
export interface CipherRun {
  /** node:crypto's name of a cipher with nonces of 12 bytes and tags of 16. */
  readonly cipher: string
  readonly isSealing: boolean
  readonly keySizeBytes: number
  readonly memory: Uint8Array<ArrayBuffer>
  /** Of each body. */
  readonly sizesBytes: Uint32Array<ArrayBuffer>
  /** Whether every text that was to be decrypted was what had been encrypted. */
  readonly isWhole: boolean
}

export const NONCE_SIZE_BYTES = 12
export const TAG_SIZE_BYTES = 16
const WITH_TAG = { authTagLength: TAG_SIZE_BYTES } as const

/** Does all of it. Where one text is not authentic nothing is left of any. */
export function runCiphers(run: CipherRun): CipherRun {
  const { isSealing, keySizeBytes, memory, sizesBytes } = run
  const cipher = run.cipher as CipherGCMTypes
  const key = memory.subarray(0, keySizeBytes)
  let at = keySizeBytes
  let isWhole = true
  for (const sizeBytes of sizesBytes) {
    const bodyAt = at + NONCE_SIZE_BYTES
    const tagAt = bodyAt + sizeBytes
    const nonce = memory.subarray(at, bodyAt)
    const body = memory.subarray(bodyAt, tagAt)
    at = tagAt + TAG_SIZE_BYTES
    if (isSealing) {
      const sealing = createCipheriv(cipher, key, nonce, WITH_TAG)
      memory.set(sealing.update(body), bodyAt)
      sealing.final()
      memory.set(sealing.getAuthTag(), tagAt)
      continue
    }
    const opening = createDecipheriv(cipher, key, nonce, WITH_TAG)
    opening.setAuthTag(memory.subarray(tagAt, at))
    const opened = opening.update(body)
    memory.set(opened, bodyAt)
    opened.fill(0)
    try {
      opening.final()
    } catch {
      isWhole = false
      break
    }
  }
  memory.fill(0, 0, isWhole ? keySizeBytes : memory.length)
  return { ...run, isWhole }
}
