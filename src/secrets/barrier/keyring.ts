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
  /** Seals bytes, or a text, for a place. Randomness may be the same for several places. */
  seal(place: string, content: Uint8Array | string, random: Pick<Random, 'bytes'>): Buffer
  /** What was sealed for the same place; undefined where it was moved, changed or never ours. */
  open(place: string, sealed: Buffer): Buffer | undefined
  /** The keyed hash of a secret, in hexadecimal: what its row is found by. */
  hashOf(secret: string): string
  /** What was opened and may be kept as long as this server is unsealed, by its row. */
  readonly opened: Recent<object, unknown>
  /** The same, of short texts that are given out as they are. */
  readonly texts: Recent<object, string>
  /** What records say in the place of texts that are given out, by those. */
  readonly audited: Recent<string, string>
}

const TERM_SIZE_BYTES = 4
const TAG_SIZE_BYTES = 16
const FRESH_SIZE_BYTES = 16
export const KEY_SIZE_BYTES = 32
/** Where the place begins in what is hashed: behind the key and what is fresh. */
const PLACE_AT = KEY_SIZE_BYTES + FRESH_SIZE_BYTES
const HEAD_SIZE_BYTES = TERM_SIZE_BYTES + NONCE_SIZE_BYTES
/** A character of UTF-16 is at most so many bytes in UTF-8. */
const CHAR_SIZE_BYTES = 3
/** What is longer is sealed too, at the price of memory of its own. */
const SCRATCH_SIZE_BYTES = 16_384

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
  readonly texts = new Recent<object, string>(limits.openedTexts)
  readonly audited = new Recent<string, string>(limits.auditedTexts)
  readonly #terms = new Map<number, TermKeys>()
  readonly #hashing: HashKey
  readonly #care: KeyringCare
  #term = 0
  /** Where texts are put together to be hashed and sealed; overwritten each time. */
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_SIZE_BYTES)
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

  seal(place: string, content: Uint8Array | string, random: Pick<Random, 'bytes'>): Buffer {
    const { sealing, nonces } = this.#keysOf(this.#term) ?? sealedFault()
    this.#count()
    // One piece of memory: the key of nonces, what is fresh, the place, a zero, the content.
    const mostBytes = PLACE_AT + 1 + CHAR_SIZE_BYTES * (place.length + content.length)
    const whole =
      mostBytes <= SCRATCH_SIZE_BYTES ? this.#scratch : Buffer.allocUnsafeSlow(mostBytes)
    nonces.copy(whole, 0)
    random.bytes(FRESH_SIZE_BYTES).copy(whole, KEY_SIZE_BYTES)
    const placeEnd = PLACE_AT + whole.write(place, PLACE_AT)
    whole[placeEnd] = 0
    const contentAt = placeEnd + 1
    const sizeBytes = putInto(whole, contentAt, content)
    const end = contentAt + sizeBytes
    const sealed = Buffer.allocUnsafe(HEAD_SIZE_BYTES + sizeBytes + TAG_SIZE_BYTES)
    sealed.writeUInt32BE(this.#term, 0)
    // Cut to a third, a hash over a key and a text gives nothing away that could be gone on with.
    const hashed = hash('sha256', whole.subarray(0, end), 'latin1')
    sealed.write(hashed, TERM_SIZE_BYTES, NONCE_SIZE_BYTES, 'latin1')
    const nonce = sealed.subarray(TERM_SIZE_BYTES, HEAD_SIZE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', sealing, nonce)
    cipher.setAAD(whole.subarray(PLACE_AT, placeEnd))
    cipher.update(whole.subarray(contentAt, end)).copy(sealed, HEAD_SIZE_BYTES)
    cipher.final()
    cipher.getAuthTag().copy(sealed, HEAD_SIZE_BYTES + sizeBytes)
    whole.fill(0, 0, end)
    return sealed
  }

  open(place: string, sealed: Buffer): Buffer | undefined {
    const bodyAt = HEAD_SIZE_BYTES
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
    this.#scratch.fill(0)
    this.opened.clear()
    this.texts.clear()
    this.audited.clear()
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

/** Writes a content behind what is there; gives its size. */
function putInto(whole: Buffer, at: number, content: Uint8Array | string): number {
  if (typeof content === 'string') return whole.write(content, at)
  whole.set(content, at)
  return content.length
}

/** Whoever holds a keyring that was wiped is told what everybody is told while sealed. */
function sealedFault(): never {
  throw new OperatingError(OperatingCode.unavailable, SEALED_TEXT)
}

const termKeysOf = (key: Buffer): TermKeys => ({
  sealing: deriveKey(key, 'gatehouse secrets sealing'),
  nonces: deriveKey(key, 'gatehouse secrets nonces'),
})
