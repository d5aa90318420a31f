/**
 * The registry key: what the secrets of tokens are hashed and sealed with.
 *
 * Owns the derivation of its two halves and the form of what is sealed. The key itself lies in a
 * file on each server, never in the store: whoever reads the rows can neither show a token nor try
 * guesses against them. Must never give out a half, log or quote what it opens.
 */
import { deriveKey, NONCE_SIZE_BYTES, openFor, sealFor } from '../base/aead.ts'
import { HashKey } from '../base/hash-key.ts'
import type { Sealer } from '../base/sealer.ts'

export const REGISTRY_KEY_SIZE_BYTES = 32

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
