/**
 * The keyring: what seals and opens every row behind the barrier.
 *
 * Owns the form of what is sealed (AES-256-GCM, NIST SP 800-38D): term, nonce, ciphertext, tag, for
 * a place that is authenticated. A nonce is a keyed hash over fresh randomness, the place and the
 * text: a rule that is run again with the same randomness never gives one nonce to two texts.
 * Must never give out a key, nor quote what it opens.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { deriveKey, NONCE_SIZE_BYTES } from '../../base/aead.ts'
import type { Random } from '../../base/clock.ts'

/** What rules seal and open rows with. */
export interface Barrier {
  /** The term that new rows are sealed in. */
  readonly term: number
  /** Seals bytes for a place. */
  seal(place: string, bytes: Uint8Array, random: Random): Buffer
  /** What was sealed for the same place; undefined where it was moved, changed or never ours. */
  open(place: string, sealed: Buffer): Buffer | undefined
  /** The keyed hash of a secret, in hexadecimal: what its row is found by. */
  hashOf(secret: string): string
  /** What was opened and may be kept as long as this server is unsealed, by the cell it lay in. */
  readonly opened: WeakMap<object, unknown>
}

const TERM_SIZE_BYTES = 4
const TAG_SIZE_BYTES = 16
const FRESH_SIZE_BYTES = 16
export const KEY_SIZE_BYTES = 32

interface TermKeys {
  readonly sealing: Buffer
  readonly nonces: Buffer
}

export class Keyring implements Barrier {
  readonly term: number
  readonly opened = new WeakMap<object, unknown>()
  readonly #terms: ReadonlyMap<number, TermKeys>
  readonly #hashing: Buffer

  /** `keys` by term; the highest seals. `hashKey` never changes: rows are found by it. */
  constructor(keys: ReadonlyMap<number, Buffer>, hashKey: Buffer) {
    this.term = Math.max(...keys.keys())
    this.#terms = new Map([...keys].map(([term, key]) => [term, termKeysOf(key)]))
    this.#hashing = deriveKey(hashKey, 'gatehouse secrets hashing')
  }

  seal(place: string, bytes: Uint8Array, random: Random): Buffer {
    const { sealing, nonces } = this.#terms.get(this.term)!
    const nonce = createHmac('sha256', nonces)
      .update(random.bytes(FRESH_SIZE_BYTES))
      .update(`${place}\0`)
      .update(bytes)
      .digest()
      .subarray(0, NONCE_SIZE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', sealing, nonce)
    cipher.setAAD(Buffer.from(place))
    const head = Buffer.allocUnsafe(TERM_SIZE_BYTES)
    head.writeUInt32BE(this.term, 0)
    return Buffer.concat([head, nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
  }

  open(place: string, sealed: Buffer): Buffer | undefined {
    const bodyAt = TERM_SIZE_BYTES + NONCE_SIZE_BYTES
    if (sealed.length < bodyAt + TAG_SIZE_BYTES) return undefined
    const keys = this.#terms.get(sealed.readUInt32BE(0))
    if (keys === undefined) return undefined
    const nonce = sealed.subarray(TERM_SIZE_BYTES, bodyAt)
    const decipher = createDecipheriv('aes-256-gcm', keys.sealing, nonce, {
      authTagLength: TAG_SIZE_BYTES,
    })
    decipher.setAAD(Buffer.from(place))
    decipher.setAuthTag(sealed.subarray(-TAG_SIZE_BYTES))
    const body = decipher.update(sealed.subarray(bodyAt, -TAG_SIZE_BYTES))
    try {
      decipher.final()
    } catch {
      // Another place, another key, or not what was sealed: they cannot be told apart.
      return undefined
    }
    return body
  }

  hashOf(secret: string): string {
    return createHmac('sha256', this.#hashing).update(secret).digest('hex')
  }

  /** Overwrites the keys: it seals and opens nothing any more. */
  wipe(): void {
    for (const { sealing, nonces } of this.#terms.values()) {
      sealing.fill(0)
      nonces.fill(0)
    }
    this.#hashing.fill(0)
  }
}

const termKeysOf = (key: Buffer): TermKeys => ({
  sealing: deriveKey(key, 'gatehouse secrets sealing'),
  nonces: deriveKey(key, 'gatehouse secrets nonces'),
})
