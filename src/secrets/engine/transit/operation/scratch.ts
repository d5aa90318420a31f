/**
 * Memory where texts lie while they are encrypted or decrypted, one after the other.
 *
 * Owns the views of it: they are made anew only where a text is of another size than the one
 * before, since a batch has many of one size, and a view costs as much as decoding a short text.
 */
import { type CipherType, partsOf, type SealedParts } from '../key/cipher.ts'
import type { Fault } from '../key/fault.ts'

export class Scratch {
  readonly bytes: Buffer
  #first: Buffer
  #parts: { readonly type: CipherType; readonly view: Buffer; readonly are: Parts } | undefined

  constructor(sizeBytes: number) {
    this.bytes = Buffer.alloc(sizeBytes)
    this.#first = this.bytes
  }

  /** The first so many bytes. */
  first(sizeBytes: number): Buffer {
    if (this.#first.length !== sizeBytes) this.#first = this.bytes.subarray(0, sizeBytes)
    return this.#first
  }

  /** The first so many bytes as what was encrypted with its nonce, cut. */
  parts(type: CipherType, sizeBytes: number): Parts {
    const view = this.first(sizeBytes)
    const known = this.#parts
    if (known?.view === view && known.type === type) return known.are
    const are = partsOf(type, view)
    this.#parts = { type, view, are }
    return are
  }
}

type Parts = SealedParts | Fault

/** Longer texts have memory of their own. */
const SHARED_SIZE_BYTES = 16_384

/**
 * Gives memory of at least so many bytes. No item leaves anything in what is shared for longer than
 * it takes.
 */
export const scratchOf = (shared: Scratch, sizeBytes: number): Scratch =>
  sizeBytes <= SHARED_SIZE_BYTES ? shared : new Scratch(sizeBytes)

/** Plaintexts that are encrypted. */
export const plainScratch = new Scratch(SHARED_SIZE_BYTES)
/** What is decrypted, and what was encrypted. */
export const sealedScratch = new Scratch(SHARED_SIZE_BYTES)
