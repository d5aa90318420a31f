/**
 * The end of a text that may be endless: the last bytes, in bounded memory.
 *
 * Owns the buffer. Must never hold more than twice what is kept, plus one chunk.
 */
export class Tail {
  /** How many bytes are kept at most. */
  readonly keptBytes: number
  #chunks: Uint8Array[] = []
  #heldBytes = 0
  #seenBytes = 0

  constructor(keptBytes: number) {
    this.keptBytes = keptBytes
  }

  /** How many bytes came by, kept or not. */
  get seenBytes(): number {
    return this.#seenBytes
  }

  /** Adds what came next. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#seenBytes += chunk.length
    this.#heldBytes += chunk.length
    if (this.#heldBytes > 2 * this.keptBytes) this.#chunks = [this.#end()]
  }

  /** What is kept, as text; a character that the cut went through is left out. */
  text(): string {
    const end = this.#end()
    const isCut = this.#seenBytes > end.length
    const start = isCut ? end.findIndex(byte => (byte & 0xc0) !== 0x80) : 0
    return end.toString('utf8', start === -1 ? end.length : start)
  }

  #end(): Buffer {
    const all = Buffer.concat(this.#chunks)
    // Copied out, so that the chunks that it was cut from can go.
    const end = Buffer.from(all.subarray(Math.max(0, all.length - this.keptBytes)))
    this.#heldBytes = end.length
    return end
  }
}
