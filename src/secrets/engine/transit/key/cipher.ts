/**
 * Encrypting and decrypting bytes under one symmetric key.
 *
 * Owns the form of what is encrypted: nonce, encrypted bytes and, of all but CBC, a tag of 16 bytes
 * (NIST SP 800-38D, RFC 8439, draft-irtf-cfrg-xchacha; SP 800-38A). Draws no nonce: whoever seals
 * says it, and must never give the same one to two texts under one key.
 */
import {
  type CipherGCMTypes,
  type CipherKey,
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
} from 'node:crypto'
import { Fault } from './fault.ts'
import type { KeyType } from './type.ts'

/** What of a type of key ciphers ask for. */
export type CipherType = Pick<KeyType, 'kind' | 'cipher' | 'nonceSizeBytes'>

const TAG_SIZE_BYTES = 16
const BLOCK_SIZE_BYTES = 16
const WITH_TAG = { authTagLength: TAG_SIZE_BYTES } as const
const CHACHA = 'chacha20-poly1305'

/** What encrypted bytes come to at most, with their nonce. */
export const sealedSizeMax = ({ nonceSizeBytes }: CipherType, sizeBytes: number): number =>
  nonceSizeBytes + sizeBytes + BLOCK_SIZE_BYTES

/**
 * Encrypts: writes nonce, encrypted bytes and tag to the beginning of `target`, which must have
 * room for `sealedSizeMax`. Gives how many bytes it wrote.
 */
export function sealInto(
  target: Buffer,
  type: CipherType,
  key: CipherKey,
  nonce: Buffer,
  plaintext: Uint8Array,
  associated: Uint8Array | undefined,
): number {
  if (type.kind === 'cbc') return sealCbc(target, type, key, nonce, plaintext)
  const cipher =
    type.cipher === ''
      ? createCipheriv(CHACHA, subkeyOf(key, nonce), shortNonceOf(nonce), WITH_TAG)
      : createCipheriv(type.cipher as CipherGCMTypes, key, nonce, WITH_TAG)
  if (associated !== undefined) cipher.setAAD(associated as Buffer)
  const body = cipher.update(plaintext)
  cipher.final()
  const bodyAt = nonce.length
  const tagAt = bodyAt + body.length
  target.set(nonce)
  target.set(body, bodyAt)
  target.set(cipher.getAuthTag(), tagAt)
  return tagAt + TAG_SIZE_BYTES
}

function sealCbc(
  target: Buffer,
  type: CipherType,
  key: CipherKey,
  nonce: Buffer,
  plaintext: Uint8Array,
): number {
  const cipher = createCipheriv(type.cipher, key, nonce)
  const body = cipher.update(plaintext)
  const rest = cipher.final()
  target.set(nonce)
  target.set(body, nonce.length)
  target.set(rest, nonce.length + body.length)
  return nonce.length + body.length + rest.length
}

const TOO_SHORT = new Fault('invalid ciphertext length')
const NOT_AUTHENTIC = new Fault('cipher: message authentication failed')
/** The same for all that is wrong with the padding, which an attacker must not tell apart. */
const NOT_PADDED = new Fault('cipher: message decryption failed')

/** What was encrypted, cut. */
export interface SealedParts {
  readonly nonce: Uint8Array
  readonly body: Uint8Array
  /** Empty for CBC. */
  readonly tag: Uint8Array
}

/**
 * Cuts what `sealInto` wrote. `nonce` is for those ciphertexts alone that come without theirs.
 */
export function partsOf(
  { kind, nonceSizeBytes }: CipherType,
  sealed: Uint8Array,
  nonce?: Uint8Array,
): SealedParts | Fault {
  const bodyAt = nonce === undefined ? nonceSizeBytes : 0
  const tagAt = kind === 'cbc' ? sealed.length : sealed.length - TAG_SIZE_BYTES
  if (sealed.length < bodyAt) return TOO_SHORT
  if (tagAt < bodyAt) return NOT_AUTHENTIC
  return {
    nonce: nonce ?? sealed.subarray(0, bodyAt),
    body: sealed.subarray(bodyAt, tagAt),
    tag: sealed.subarray(tagAt),
  }
}

/** Decrypts what was cut. The plaintext is a buffer of its own. */
export function open(
  type: CipherType,
  key: CipherKey,
  { nonce, body, tag }: SealedParts,
  associated: Uint8Array | undefined,
): Buffer | Fault {
  if (type.kind === 'cbc') return openCbc(type, key, nonce, body)
  const decipher =
    type.cipher === ''
      ? createDecipheriv(CHACHA, subkeyOf(key, nonce), shortNonceOf(nonce), WITH_TAG)
      : createDecipheriv(type.cipher as CipherGCMTypes, key, nonce, WITH_TAG)
  if (associated !== undefined) decipher.setAAD(associated as Buffer)
  decipher.setAuthTag(tag)
  const opened = decipher.update(body)
  try {
    decipher.final()
  } catch {
    opened.fill(0)
    return NOT_AUTHENTIC
  }
  return opened
}

function openCbc(
  type: CipherType,
  key: CipherKey,
  iv: Uint8Array,
  body: Uint8Array,
): Buffer | Fault {
  if (body.length === 0 || body.length % BLOCK_SIZE_BYTES !== 0) return TOO_SHORT
  const decipher = createDecipheriv(type.cipher, key, iv)
  try {
    return Buffer.concat([decipher.update(body), decipher.final()])
  } catch {
    return NOT_PADDED
  }
}

/** `expand 32-byte k` (RFC 8439, section 2.3), and its nonce: the words before any round. */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const
const NO_BLOCK = Buffer.alloc(64)
const LONG_NONCE_HEAD_BYTES = 16

/**
 * HChaCha20 (draft-irtf-cfrg-xchacha, section 2.2): the rounds of ChaCha20, without the words
 * that it began with, which a block of ChaCha20 has added to them.
 */
function subkeyOf(key: CipherKey, nonce: Uint8Array): Buffer {
  const head = nonce.subarray(0, LONG_NONCE_HEAD_BYTES)
  const block = createCipheriv('chacha20', key, head).update(NO_BLOCK)
  const words = new DataView(head.buffer, head.byteOffset, LONG_NONCE_HEAD_BYTES)
  const subkey = Buffer.alloc(32)
  for (let word = 0; word < 4; word++) {
    const first = (block.readUInt32LE(4 * word) - CONSTANTS[word]!) >>> 0
    const last = (block.readUInt32LE(48 + 4 * word) - words.getUint32(4 * word, true)) >>> 0
    subkey.writeUInt32LE(first, 4 * word)
    subkey.writeUInt32LE(last, 16 + 4 * word)
  }
  return subkey
}

/** The nonce that is left for ChaCha20-Poly1305: four zeros before it. */
function shortNonceOf(nonce: Uint8Array): Buffer {
  const short = Buffer.alloc(12)
  short.set(nonce.subarray(LONG_NONCE_HEAD_BYTES), 4)
  return short
}

/** The nonce of convergent encryption: the same text under the same key gives the same one. */
export const convergentNonce = (
  key: KeyObject | Buffer,
  plaintext: Uint8Array,
  { nonceSizeBytes }: CipherType,
): Buffer => createHmac('sha256', key).update(plaintext).digest().subarray(0, nonceSizeBytes)
