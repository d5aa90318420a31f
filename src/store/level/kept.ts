/**
 * Which records the change log on disk has: what trimming it and finding a place in it need.
 *
 * Owns two numbers a record and nothing of what records hold: there are tens of thousands of them.
 * Records follow each other without a gap, so that where one ends the next begins.
 */
import { type Revision, revision } from '../../base/brand.ts'

/** For so many records more there is room each time it has run out. */
const STEP = 4_096

export class KeptRecords {
  #floor: Revision
  #sizeBytes = 0
  #count = 0
  /** Oldest first. Not lists: those take half as much again, and twice that while they grow. */
  #lasts = new Float64Array(STEP)
  #sizesBytes = new Uint32Array(STEP)

  /** No records yet; the first one begins after `floor`. */
  constructor(floor: Revision) {
    this.#floor = floor
  }

  get count(): number {
    return this.#count
  }

  /** All records together. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Adds the record that follows the newest: it holds the revisions up to `last`. */
  add(last: Revision, sizeBytes: number): void {
    if (this.#count === this.#lasts.length) this.#resize(0, this.#count + STEP)
    this.#lasts[this.#count] = last
    this.#sizesBytes[this.#count] = sizeBytes
    this.#count++
    this.#sizeBytes += sizeBytes
  }

  /** The first revision of a record, counted from the oldest; past the newest, of the next one. */
  firstOf(index: number): Revision {
    const before = index === 0 ? this.#floor : this.#lasts[index - 1]!
    return revision(before + 1)
  }

  /** How many records hold nothing newer than a revision: the oldest ones. */
  countUpTo(at: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#lasts[middle]! <= at) low = middle + 1
      else high = middle
    }
    return low
  }

  /** How many of the oldest must go until the others have a size at most. */
  countAbove(sizeBytes: number): number {
    let left = this.#sizeBytes
    let count = 0
    while (left > sizeBytes) left -= this.#sizesBytes[count++]!
    return count
  }

  /** Forgets the oldest records. Returns the newest revision among them. */
  drop(count: number): Revision {
    if (count === 0) return this.#floor
    this.#floor = revision(this.#lasts[count - 1]!)
    for (const sizeBytes of this.#sizesBytes.subarray(0, count)) this.#sizeBytes -= sizeBytes
    const left = this.#count - count
    this.#resize(count, Math.ceil((left + 1) / STEP) * STEP)
    this.#count = left
    return this.#floor
  }

  /** Takes other memory, for so many records; those before `from` stay behind. */
  #resize(from: number, room: number): void {
    const lasts = new Float64Array(room)
    const sizesBytes = new Uint32Array(room)
    lasts.set(this.#lasts.subarray(from, this.#count))
    sizesBytes.set(this.#sizesBytes.subarray(from, this.#count))
    this.#lasts = lasts
    this.#sizesBytes = sizesBytes
  }
}
