/**
 * What waits for slow readers: the bytes that were sent and not taken, each buffer counted once.
 *
 * Owns the count and the order in which readers became slow. Pure.
 */
export class Pending<R> {
  readonly #maxSizeBytes: number
  readonly #buffers = new Map<R, Buffer>()
  readonly #holders = new Map<Buffer, number>()
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

  add(reader: R, buffer: Buffer): void {
    this.remove(reader)
    this.#buffers.set(reader, buffer)
    const holders = this.#holders.get(buffer) ?? 0
    this.#holders.set(buffer, holders + 1)
    if (holders === 0) this.#sizeBytes += buffer.length
  }

  remove(reader: R): void {
    const buffer = this.#buffers.get(reader)
    if (buffer === undefined) return
    this.#buffers.delete(reader)
    const holders = this.#holders.get(buffer)! - 1
    if (holders > 0) this.#holders.set(buffer, holders)
    else {
      this.#holders.delete(buffer)
      this.#sizeBytes -= buffer.length
    }
  }
}
