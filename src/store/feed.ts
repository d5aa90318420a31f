/**
 * The feed: every change in revision order, resumable until it is compacted.
 *
 * Owns the ring of recent changes and the readers' places in it. A reader that falls behind the
 * ring reads older changes from the engine's history, and is told to resync when those are gone.
 * Memory is bounded whatever the readers do: nothing is kept for one reader alone.
 */
import { assert } from '../base/assert.ts'
import { type Revision, revision } from '../base/brand.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import type { Eventually } from '../base/eventually.ts'
import { limits } from '../base/limits.ts'
import type { Change, Cursor } from './store.ts'

type History = (after: Revision, limit: number) => Promise<Change[] | undefined>

const HISTORY_PAGE_CHANGES = 512
const TRIMMED_CHANGES = 512

export class FeedRing {
  /** Changes newer than `#floor`, oldest first. */
  #changes: Change[] = []
  #floor: Revision
  #newest: Revision
  /** Raised at each restore: cursors of an older epoch must resync. */
  #epoch = 0
  #closed = false
  #wakers: (() => void)[] = []
  /** Signals whose abort wakes everybody: who was not meant looks, and waits on. */
  readonly #heard = new WeakSet<AbortSignal>()
  readonly #history: History

  constructor(newest: Revision, history: History) {
    this.#floor = newest
    this.#newest = newest
    this.#history = history
  }

  push(change: Change): void {
    assert(change.revision > this.#newest, 'the feed goes forward')
    this.#changes.push(change)
    this.#newest = change.revision
    // Trimmed by several at a time, so that the cost of moving the rest is spread; not by many, as
    // changes hold the rows before and after them.
    if (this.#changes.length > limits.feedBacklogChanges + TRIMMED_CHANGES) {
      this.#dropBefore(TRIMMED_CHANGES)
    }
    this.#wake()
  }

  #dropBefore(count: number): void {
    if (count <= 0) return
    this.#floor = this.#changes[count - 1]!.revision
    this.#changes = this.#changes.slice(count)
  }

  #wake(): void {
    if (this.#wakers.length === 0) return
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }

  /** Forgets changes up to a revision. */
  forget(upTo: Revision): void {
    this.#dropBefore(this.#after(upTo))
  }

  /** Starts over at a revision: the store was restored. */
  restart(newest: Revision): void {
    this.#changes = []
    this.#floor = newest
    this.#newest = newest
    this.#epoch++
    this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#wake()
  }

  /** Where the first change after a revision stands in the ring. */
  #after(at: Revision): number {
    const first = this.#changes[0]?.revision ?? 0
    const next = at + 1 - first
    if (this.#changes[next]?.revision === at + 1) return next
    let low = 0
    let high = this.#changes.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#changes[middle]!.revision <= at) low = middle + 1
      else high = middle
    }
    return low
  }

  open(after: Revision, compacted: Revision): Cursor {
    if (after < compacted) {
      throw new OperatingError(OperatingCode.compacted, `revision ${after} has been compacted`)
    }
    let at = after
    let pages: Change[] = []
    const epoch = this.#epoch
    const known = (): Change | undefined => {
      const change =
        pages.shift() ?? (at >= this.#floor ? this.#changes[this.#after(at)] : undefined)
      if (change !== undefined) at = change.revision
      return change
    }
    const later = async (signal: AbortSignal): Promise<Change | 'resync' | undefined> => {
      for (;;) {
        if (signal.aborted || this.#closed) return undefined
        if (epoch !== this.#epoch) return 'resync'
        const change = known()
        if (change !== undefined) return change
        if (at >= this.#floor) await this.#changed(signal)
        else {
          const older = await this.#history(at, HISTORY_PAGE_CHANGES)
          // What is on disk may be ahead of what was published.
          pages = older?.filter(({ revision: to }) => to <= this.#newest) ?? []
          if (pages.length === 0) return 'resync'
        }
      }
    }
    const next = (signal: AbortSignal): Eventually<Change | 'resync' | undefined> => {
      if (signal.aborted || this.#closed || epoch !== this.#epoch) return later(signal)
      return known() ?? later(signal)
    }
    const isAtEnd = (): boolean => epoch === this.#epoch && at >= this.#newest
    return { next, isAtEnd }
  }

  #changed(signal: AbortSignal): Promise<void> {
    if (!this.#heard.has(signal)) {
      this.#heard.add(signal)
      signal.addEventListener('abort', () => this.#wake(), { once: true })
    }
    return new Promise(resolve => this.#wakers.push(resolve))
  }

  /** The newest revision that was pushed. */
  get newest(): Revision {
    return revision(this.#newest)
  }
}
