/**
 * What waits for slow readers: the bytes that were sent and not taken, each buffer counted once.
 *
 * Owns the count and the order in which readers became slow. Pure.
 */
export class Pending<R> {
  readonly #maxSizeBytes: number
  readonly #buffers = new Map<R, Waiting>()
  /** How many hold a buffer together; each copy is a thing of its own. */
  readonly #holders = new Map<object, number>()
  #sizeBytes = 0

  constructor(maxSizeBytes: number) {
    this.#maxSizeBytes = maxSizeBytes
  }

  get readers(): number {
    return this.#buffers.size
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Whether more waits than may. */
  get isOver(): boolean {
    return this.#sizeBytes > this.#maxSizeBytes && this.#buffers.size > 1
  }

  /** The reader who waits the longest. */
  get slowest(): R | undefined {
    return this.#buffers.keys().next().value
  }

  /** A buffer waits for a reader: itself, or a copy of it. */
  add(reader: R, buffer: Buffer, isCopy: boolean): void {
    this.remove(reader)
    const { length: sizeBytes } = buffer
    const waiting = { of: isCopy ? {} : buffer, sizeBytes }
    this.#buffers.set(reader, waiting)
    const holders = this.#holders.get(waiting.of) ?? 0
    this.#holders.set(waiting.of, holders + 1)
    if (holders === 0) this.#sizeBytes += sizeBytes
  }

  remove(reader: R): void {
    const waiting = this.#buffers.get(reader)
    if (waiting === undefined) return
    this.#buffers.delete(reader)
    const holders = this.#holders.get(waiting.of)! - 1
    if (holders > 0) this.#holders.set(waiting.of, holders)
    else {
      this.#holders.delete(waiting.of)
      this.#sizeBytes -= waiting.sizeBytes
    }
  }
}

interface Waiting {
  /** What is counted once. */
  readonly of: object
  readonly sizeBytes: number
}
