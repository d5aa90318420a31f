/**
 * The registry key: what the secrets of tokens are hashed and sealed with.
 *
 * Owns the derivation of its two halves and the form of what is sealed. The key itself lies in a
 * file on each server, never in the store: whoever reads the rows can neither show a token nor try
 * guesses against them. Must never give out a half, log or quote what it opens.
 */
import { hash } from 'node:crypto'
import { deriveKey, NONCE_SIZE_BYTES, openFor, sealFor } from '../base/aead.ts'
import type { Sealer } from '../base/sealer.ts'

export const REGISTRY_KEY_SIZE_BYTES = 32

const BLOCK_SIZE_BYTES = 64
const HASH_SIZE_BYTES = 32
/** Longer secrets are hashed as well, at the price of a copy. */
const HASHED_SIZE_BYTES = 1_024

export class RegistryKey {
  readonly #bytes: Buffer
  readonly #sealing: Buffer
  readonly #tokens: HashKey
  readonly #nonces: HashKey

  /** `key` is REGISTRY_KEY_SIZE_BYTES of randomness. */
  constructor(key: Buffer) {
    this.#bytes = key
    this.#sealing = deriveKey(key, 'gatehouse registry sealing')
    this.#tokens = new HashKey(deriveKey(key, 'gatehouse registry tokens'))
    this.#nonces = new HashKey(deriveKey(key, 'gatehouse registry nonces'))
  }

  /** The key itself, for a server that joins. */
  bytes(): Buffer {
    return this.#bytes
  }

  /** The keyed hash of a secret, in hexadecimal: the key of its token's row. */
  hashOf(secret: string): string {
    return this.#tokens.hash(secret)
  }

  /**
   * Seals a text for a place by AES-256-GCM; '' stays ''. The place is authenticated, so that
   * rows cannot be swapped. The nonce is a keyed hash of both: the same text in the same place is
   * sealed alike, so that writing a row again as it is remains no write.
   */
  seal(text: string, place: string): string {
    if (text === '') return ''
    const hashed = Buffer.from(this.#nonces.hash(`${place}\u0000${text}`), 'hex')
    const nonce = hashed.subarray(0, NONCE_SIZE_BYTES)
    return sealFor(place, Buffer.from(text, 'utf8'), this.#sealing, nonce)
  }

  /** What was sealed for the same place; undefined where it was not, or not by this key. */
  open(sealed: string, place: string): string | undefined {
    if (sealed === '') return ''
    return openFor(place, sealed, this.#sealing)?.toString('utf8')
  }
}

/** Seals for one place. What cannot be opened there is '', which is nobody's token. */
export const sealerFor = (key: RegistryKey, place: string): Sealer => ({
  seal: text => key.seal(text, place),
  open: sealed => key.open(sealed, place) ?? '',
})

/**
 * HMAC-SHA-256 (RFC 2104) by two one-shot hashes over memory of its own: a third of what an Hmac
 * object costs, and every request is hashed once.
 */
class HashKey {
  readonly #inner: Buffer
  readonly #outer = Buffer.allocUnsafeSlow(BLOCK_SIZE_BYTES + HASH_SIZE_BYTES)

  constructor(key: Buffer) {
    this.#inner = Buffer.allocUnsafeSlow(BLOCK_SIZE_BYTES + HASHED_SIZE_BYTES)
    padInto(this.#inner, key, 0x36)
    padInto(this.#outer, key, 0x5c)
  }

  /** In hexadecimal. */
  hash(text: string): string {
    // A character is at most three bytes in UTF-8.
    const isShort = text.length * 3 <= HASHED_SIZE_BYTES
    const inner = isShort ? this.#short(text) : this.#long(text)
    this.#outer.write(hash('sha256', inner, 'latin1'), BLOCK_SIZE_BYTES, 'latin1')
    inner.fill(0, BLOCK_SIZE_BYTES)
    return hash('sha256', this.#outer, 'hex')
  }

  #short(text: string): Buffer {
    const sizeBytes = this.#inner.write(text, BLOCK_SIZE_BYTES, 'utf8')
    return this.#inner.subarray(0, BLOCK_SIZE_BYTES + sizeBytes)
  }

  #long(text: string): Buffer {
    return Buffer.concat([this.#inner.subarray(0, BLOCK_SIZE_BYTES), Buffer.from(text)])
  }
}

function padInto(block: Buffer, key: Buffer, byte: number): void {
  block.fill(byte, 0, BLOCK_SIZE_BYTES)
  for (const [i, one] of key.entries()) block[i] = byte ^ one
}
