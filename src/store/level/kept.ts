/**
 * Which records the change log on disk has: what trimming it and finding a place in it need.
 *
 * Owns two numbers a record and nothing of what records hold: there are tens of thousands of them.
 * Records follow each other without a gap, so that where one ends the next begins.
 */
import { type Revision, revision } from '../../base/brand.ts'

export class KeptRecords {
  #floor: Revision
  #sizeBytes = 0
  /** Oldest first. */
  readonly #lasts: Revision[] = []
  readonly #sizesBytes: number[] = []

  /** No records yet; the first one begins after `floor`. */
  constructor(floor: Revision) {
    this.#floor = floor
  }

  get count(): number {
    return this.#lasts.length
  }

  /** All records together. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Adds the record that follows the newest: it holds the revisions up to `last`. */
  add(last: Revision, sizeBytes: number): void {
    this.#lasts.push(last)
    this.#sizesBytes.push(sizeBytes)
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
    let high = this.#lasts.length
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
    for (const sizeBytes of this.#sizesBytes.splice(0, count)) this.#sizeBytes -= sizeBytes
    this.#floor = this.#lasts.splice(0, count).at(-1) ?? this.#floor
    return this.#floor
  }
}
