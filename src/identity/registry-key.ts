/**
 * The registry key: what the secrets of tokens are hashed and sealed with.
 *
 * Owns the derivation of its two halves and the form of what is sealed. The key itself lies in a
 * file on each server, never in the store: whoever reads the rows can neither show a token nor try
 * guesses against them. Must never give out a half, log or quote what it opens.
 */
import { createCipheriv, createDecipheriv, hash, hkdfSync } from 'node:crypto'
import type { Sealer } from '../base/sealer.ts'

export const REGISTRY_KEY_SIZE_BYTES = 32

const NONCE_SIZE_BYTES = 12
const TAG_SIZE_BYTES = 16
const BLOCK_SIZE_BYTES = 64

export class RegistryKey {
  readonly #sealing: Buffer
  readonly #tokens: HashKey
  readonly #nonces: HashKey

  /** `key` is REGISTRY_KEY_SIZE_BYTES of randomness. */
  constructor(key: Buffer) {
    this.#sealing = derive(key, 'gatehouse registry sealing')
    this.#tokens = new HashKey(derive(key, 'gatehouse registry tokens'))
    this.#nonces = new HashKey(derive(key, 'gatehouse registry nonces'))
  }

  /** The keyed hash of a secret, in hexadecimal: the key of its token's row. */
  hashOf(secret: string): string {
    return this.#tokens.hash(Buffer.from(secret)).toString('hex')
  }

  /**
   * Seals a text for a place by AES-256-GCM; '' stays ''. The place is authenticated, so that
   * rows cannot be swapped. The nonce is a keyed hash of both: the same text in the same place is
   * sealed alike, so that writing a row again as it is remains no write.
   */
  seal(text: string, place: string): string {
    if (text === '') return ''
    const named = Buffer.from(`${place}\u0000${text}`)
    const nonce = this.#nonces.hash(named).subarray(0, NONCE_SIZE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#sealing, nonce)
    cipher.setAAD(Buffer.from(place))
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
    return Buffer.concat([nonce, body, cipher.getAuthTag()]).toString('base64')
  }

  /** What was sealed for the same place; undefined where it was not, or not by this key. */
  open(sealed: string, place: string): string | undefined {
    if (sealed === '') return ''
    const bytes = Buffer.from(sealed, 'base64')
    if (bytes.length < NONCE_SIZE_BYTES + TAG_SIZE_BYTES) return undefined
    const nonce = bytes.subarray(0, NONCE_SIZE_BYTES)
    const body = bytes.subarray(NONCE_SIZE_BYTES, -TAG_SIZE_BYTES)
    const cipher = createDecipheriv('aes-256-gcm', this.#sealing, nonce, {
      authTagLength: TAG_SIZE_BYTES,
    })
    cipher.setAAD(Buffer.from(place))
    cipher.setAuthTag(bytes.subarray(-TAG_SIZE_BYTES))
    try {
      return Buffer.concat([cipher.update(body), cipher.final()]).toString('utf8')
    } catch {
      // Another key, another place, or not what was sealed: they cannot be told apart.
      return undefined
    }
  }
}

/** Seals for one place. What cannot be opened there is '', which is nobody's token. */
export const sealerFor = (key: RegistryKey, place: string): Sealer => ({
  seal: text => key.seal(text, place),
  open: sealed => key.open(sealed, place) ?? '',
})

/** HMAC-SHA-256 (RFC 2104) by two one-shot hashes, which cost half of what an Hmac object does. */
class HashKey {
  readonly #inner: Buffer
  readonly #outer: Buffer

  constructor(key: Buffer) {
    this.#inner = padded(key, 0x36)
    this.#outer = padded(key, 0x5c)
  }

  hash(text: Buffer): Buffer {
    const inner = hash('sha256', Buffer.concat([this.#inner, text]), 'buffer')
    return hash('sha256', Buffer.concat([this.#outer, inner]), 'buffer')
  }
}

const derive = (key: Buffer, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), purpose, 32))

function padded(key: Buffer, byte: number): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE_BYTES, byte)
  for (const [i, one] of key.entries()) block[i] = byte ^ one
  return block
}
