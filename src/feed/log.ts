/**
 * What changed of one subject, in order: the log that its readers follow.
 *
 * Owns the entries and their numbers, and what several of them come to by key. A reader is a number
 * in it and no more, so that a slow one costs nothing. Pure.
 */
import type { Revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Access } from '../base/who.ts'
import type { AnyItem } from '../store/topic.ts'

/** One item's change. */
export interface Entry {
  /** The newest revision that is in it. */
  readonly at: Revision
  /** Everything up to here was in `before`. */
  readonly from: Revision
  readonly key: Bytes
  readonly before: AnyItem | undefined
  readonly after: AnyItem | undefined
  /** Whether `before` does not tell what a reader may have had. */
  readonly isBeforeUnknown: boolean
  /** The rights to see what there may have been, where `before` does not tell: any of these. */
  readonly was: readonly (readonly Access[])[] | undefined
  /** Whether it is the same before and after, and was something else in between. */
  readonly isQuiet: boolean
}

/** What a reader is told of an item: what it is now, and whether he can have had it. */
export type Step = Pick<Entry, 'key' | 'before' | 'after' | 'isBeforeUnknown' | 'was'>

export class ChangeLog {
  #entries: Entry[] = []
  /** The number of the first entry. */
  #first = 0
  #floor: Revision

  constructor(floor: Revision) {
    this.#floor = floor
  }

  /** All changes after this revision are here. */
  get floor(): Revision {
    return this.#floor
  }

  get first(): number {
    return this.#first
  }

  /** The number that the next entry gets. */
  get end(): number {
    return this.#first + this.#entries.length
  }

  get size(): number {
    return this.#entries.length
  }

  /** Adds entries that belong together. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) this.#entries.push(entry)
  }

  at(number: number): Entry {
    return this.#entries[number - this.#first]!
  }

  /** The number of the first entry after a revision. */
  after(at: Revision): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#entries[middle]!.at <= at) low = middle + 1
      else high = middle
    }
    return this.#first + low
  }

  /** Forgets what is not newer than a revision. Gives how many went. */
  forget(upTo: Revision): number {
    if (upTo <= this.#floor) return 0
    const count = this.after(upTo) - this.#first
    this.#entries = this.#entries.slice(count)
    this.#first += count
    this.#floor = upTo
    return count
  }

  /** Forgets all, and begins again at a revision: readers of before are told so. */
  restart(floor: Revision): number {
    const count = this.#entries.length
    this.#first += count + 1
    this.#entries = []
    this.#floor = floor
    return count
  }

  /** The end of those that have the revision of the entry with this number. */
  endOfRevision(number: number): number {
    const { at } = this.at(number)
    let next = number + 1
    while (next < this.end && this.at(next).at === at) next++
    return next
  }

  /**
   * What entries come to: each key once, in the order in which they changed last. For somebody who
   * stands at a revision within an entry, what was before that entry says nothing.
   */
  steps(from: number, to: number, since?: Revision): Step[] {
    const steps = new Map<Bytes, Step>()
    for (let number = from; number < to; number++) {
      const entry = this.at(number)
      const { key, after } = entry
      const isWithin = since !== undefined && entry.from < since
      if (entry.isQuiet && !isWithin) continue
      const known = steps.get(key)
      if (known === undefined) {
        steps.set(key, isWithin ? { ...entry, isBeforeUnknown: true } : entry)
        continue
      }
      steps.delete(key)
      steps.set(key, { ...known, after })
    }
    return [...steps.values()]
  }
}
