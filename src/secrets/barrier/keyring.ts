/**
 * The keyring: what seals and opens every row behind the barrier.
 *
 * Owns the form of what is sealed (AES-256-GCM, NIST SP 800-38D): term, nonce, ciphertext, tag, for
 * a place that is authenticated. A nonce is a keyed hash over fresh randomness, the place and the
 * text: a rule that is run again with the same randomness never gives one nonce to two texts.
 * Counts what it seals, since a term is good for so many texts only. Must never give out a key, nor
 * quote what it opens; once wiped it does nothing any more.
 */
import { createCipheriv, createDecipheriv, hash } from 'node:crypto'
import { deriveKey, NONCE_SIZE_BYTES } from '../../base/aead.ts'
import type { Random } from '../../base/clock.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { HashKey } from '../../base/hash-key.ts'
import { limits } from '../../base/limits.ts'
import { Recent } from '../../base/recent.ts'

/**
 * What rules seal and open rows with. Each of its methods throws OperatingError once it is sealed.
 */
export interface Barrier {
  /** The term that new rows are sealed in. */
  readonly term: number
  /** Seals bytes for a place. Randomness may be the same for several places. */
  seal(place: string, bytes: Uint8Array, random: Pick<Random, 'bytes'>): Buffer
  /** What was sealed for the same place; undefined where it was moved, changed or never ours. */
  open(place: string, sealed: Buffer): Buffer | undefined
  /** The keyed hash of a secret, in hexadecimal: what its row is found by. */
  hashOf(secret: string): string
  /** What was opened and may be kept as long as this server is unsealed, by its row. */
  readonly opened: Recent<object, unknown>
}

const NUL = Buffer.from([0])
const TERM_SIZE_BYTES = 4
const TAG_SIZE_BYTES = 16
const FRESH_SIZE_BYTES = 16
export const KEY_SIZE_BYTES = 32

/** What clients are told of every path while nothing can be opened. */
export const SEALED_TEXT = 'Vault is sealed'

/** Who looks after a keyring. */
export interface KeyringCare {
  /** A row is of a term that is not known: what the store says by now may be installed. */
  missing(term: number): void
  /** Half of the texts that it may seal are sealed. */
  low(): void
}

const NO_CARE: KeyringCare = { missing: () => {}, low: () => {} }

interface TermKeys {
  readonly sealing: Buffer
  readonly nonces: Buffer
}

export class Keyring implements Barrier {
  readonly opened = new Recent<object, unknown>(limits.openedRows)
  readonly #terms = new Map<number, TermKeys>()
  readonly #hashing: HashKey
  readonly #care: KeyringCare
  #term = 0
  #sealed = 0
  #allowed = Number.POSITIVE_INFINITY
  #block = 0
  #isReserved = false

  /**
   * `keys` by term; the highest seals. `hashKey` never changes: rows are found by it. All keys are
   * copied.
   */
  constructor(keys: ReadonlyMap<number, Buffer>, hashKey: Buffer, care: KeyringCare = NO_CARE) {
    this.#care = care
    this.#hashing = new HashKey(deriveKey(hashKey, 'gatehouse secrets hashing'))
    this.install(keys)
  }

  get term(): number {
    return this.#term
  }

  /** How many texts were sealed in this term by this server since it was unsealed. */
  get sealedInTerm(): number {
    return this.#sealed
  }

  /** How many it may seal in this term. */
  get allowed(): number {
    return this.#allowed
  }

  /** Whether half of the newest block of those is used up. */
  get isLow(): boolean {
    return this.#sealed >= this.#allowed - this.#block / 2
  }

  /** Whether what it may seal is counted in the store. */
  get isReserved(): boolean {
    return this.#isReserved
  }

  /** Lets it seal so many texts in each term before that is counted, and bounds it from now on. */
  allow(count: number): void {
    this.#block = count
    this.#allowed = count
  }

  /** So many more texts of a term are counted in the store: the first ones are those it has. */
  reserved(term: number, count: number): void {
    if (term !== this.#term) return
    if (this.#isReserved) this.#allowed += count
    this.#isReserved = true
  }

  /** Takes over terms; those that it has stay. The highest seals from now on. */
  install(keys: ReadonlyMap<number, Buffer>): void {
    for (const [term, key] of keys) {
      if (!this.#terms.has(term)) this.#terms.set(term, termKeysOf(key))
    }
    const term = Math.max(...keys.keys(), this.#term)
    if (term === this.#term) return
    this.#term = term
    this.#sealed = 0
    this.#isReserved = false
    if (this.#block > 0) this.#allowed = this.#block
  }

  seal(place: string, bytes: Uint8Array, random: Pick<Random, 'bytes'>): Buffer {
    const { sealing, nonces } = this.#keysOf(this.#term) ?? sealedFault()
    this.#count()
    const where = Buffer.from(place)
    // Cut to a third, a hash over a key and a text gives nothing away that could be gone on with.
    const fresh = random.bytes(FRESH_SIZE_BYTES)
    const hashed = hash('sha256', Buffer.concat([nonces, fresh, where, NUL, bytes]), 'buffer')
    const nonce = hashed.subarray(0, NONCE_SIZE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', sealing, nonce)
    cipher.setAAD(where)
    const head = Buffer.allocUnsafe(TERM_SIZE_BYTES)
    head.writeUInt32BE(this.#term, 0)
    return Buffer.concat([head, nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
  }

  open(place: string, sealed: Buffer): Buffer | undefined {
    const bodyAt = TERM_SIZE_BYTES + NONCE_SIZE_BYTES
    if (sealed.length < bodyAt + TAG_SIZE_BYTES) return undefined
    const keys = this.#keysOf(sealed.readUInt32BE(0))
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

  #count(): void {
    if (this.#sealed >= this.#allowed) {
      throw new OperatingError(OperatingCode.busy, 'uses of the key cannot be counted just now')
    }
    this.#sealed++
    if (this.#block > 0 && this.isLow) this.#care.low()
  }

  hashOf(secret: string): string {
    if (this.isWiped) sealedFault()
    return this.#hashing.hash(secret)
  }

  get isWiped(): boolean {
    return this.#terms.size === 0
  }

  /** Overwrites the keys: it seals and opens nothing any more. */
  wipe(): void {
    for (const { sealing, nonces } of this.#terms.values()) {
      sealing.fill(0)
      nonces.fill(0)
    }
    this.#terms.clear()
    this.#hashing.wipe()
    this.opened.clear()
  }

  #keysOf(term: number): TermKeys | undefined {
    if (this.isWiped) sealedFault()
    const known = this.#terms.get(term)
    if (known !== undefined) return known
    this.#care.missing(term)
    if (this.isWiped) sealedFault()
    return this.#terms.get(term)
  }
}

/** Whoever holds a keyring that was wiped is told what everybody is told while sealed. */
function sealedFault(): never {
  throw new OperatingError(OperatingCode.unavailable, SEALED_TEXT)
}

const termKeysOf = (key: Buffer): TermKeys => ({
  sealing: deriveKey(key, 'gatehouse secrets sealing'),
  nonces: deriveKey(key, 'gatehouse secrets nonces'),
})
