/**
 * Asking: how a read gets a consistent view, its index, and a wait for its next change.
 *
 * Owns the rules of blocking reads for every face: when to answer at once, when to sleep, which
 * index to give. Never renders and never decides what a question reads; rooms say that.
 */
import { type PublicIndex, type Revision, revision } from '../base/brand.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { Slicer } from '../base/slices.ts'
import type { Timeouts } from '../base/timeouts.ts'
import { type Age, ageless } from './freshness.ts'
import type { Interest } from './replica/interest.ts'
import type { Store, Version as StoreView } from './store.ts'
import type { Reader } from './view.ts'
import type { Scopes, Target } from './wait.ts'

export type View = Reader & StoreView

/** A read that can be asked again when its answer changes. Made by rooms, rendered by faces. */
export interface Question<T> {
  /** Says the whole question: equal keys, equal questions. Rendered answers are shared by it. */
  readonly key: string
  /** What wakes it. */
  readonly target: Target
  /**
   * What an agent that keeps a part of a store must follow to answer it. Undefined where only a
   * store can.
   */
  readonly standsOn?: readonly Interest[]
  /** The newest revision of the answer, deletions included. */
  newest(view: View, scopes: Scopes): Revision
  read(view: View): T
}

export const Consistency = { default: 'default', consistent: 'consistent', stale: 'stale' } as const
export type Consistency = (typeof Consistency)[keyof typeof Consistency]

export interface AskOptions {
  readonly consistency: Consistency
  /** Blocks while the answer's index is not above this; 0 answers at once. */
  readonly index: number
  /** How long to block at most. */
  readonly waitMs: number
  /** How old a stale view may be at most; any age unless given. */
  readonly maxAgeMs?: number
}

/** That of a view that nobody looks after. */
const unknownAge: Age = { ageMs: () => Number.POSITIVE_INFINITY, isDegraded: false }

/** A view to answer from, and the index to answer with. */
export interface Asked {
  readonly view: View
  /** The newest revision of the answer. */
  readonly newest: Revision
  readonly index: PublicIndex
}

/** What becomes of a question: one of the two is called, once. */
export interface Settle {
  answer(asked: Asked): void
  fail(error: unknown): void
}

/**
 * How a face tells that nobody waits for an answer any more. An AbortSignal says the same, but at
 * a price that thousands who are woken at once would pay one after the other.
 */
export class Departure {
  left = false
  /** Set by whoever has something to undo. */
  onLeave: (() => void) | undefined

  leave(): void {
    this.left = true
    this.onLeave?.()
  }
}

/** Who waits for a read of the linearizable point. */
interface Confirming {
  start(): void
  fail(error: unknown): void
}

export class Asker {
  readonly #store: Store
  readonly #timeouts: Timeouts
  /** Whether any answer from the own view is linearizable. */
  readonly #alone: boolean
  readonly #age: Age
  readonly #slicer = new Slicer()
  /** Those who came while others were seen to: they share the next read of the point. */
  #gathering: Confirming[] = []
  #isConfirming = false
  #waiting = 0

  /** Where no `age` is given, that of a view of a shared store is not known: it is no stale one. */
  constructor(store: Store, timeouts: Timeouts, age?: Age) {
    this.#store = store
    this.#timeouts = timeouts
    this.#alone = !store.supports.shared
    this.#age = this.#alone ? ageless : (age ?? unknownAge)
  }

  /** How old the view may be, and whether that is too old to vouch for it. */
  get age(): Age {
    return this.#age
  }

  /** How many questions wait for a change. */
  get waiting(): number {
    return this.#waiting
  }

  /** Whether the view is linearizable as it is: nobody else writes to the store. */
  get isAlone(): boolean {
    return this.#alone
  }

  /** What tells whether an answer that was kept still holds. */
  get scopes(): Scopes {
    return this.#store.scopes
  }

  /** The view as it is now; where others write too it may be older than the last `confirm`. */
  view(): View {
    return this.#store.view() as View
  }

  /** The index that clients see for a revision. */
  indexOf(at: Revision): PublicIndex {
    return this.#store.indexOf(at)
  }

  /** Resolves once the view shows everything that was acknowledged before this call. */
  async confirm(): Promise<void> {
    if (!this.#alone) await this.#store.readIndex()
  }

  /**
   * The answer at once where that is right: nothing to wait for, and the view is linearizable or
   * staleness allowed. Undefined where `ask` must be used.
   */
  now<T>(question: Question<T>, options: AskOptions): Asked | undefined {
    if (!this.#mayBeAnswered(options)) return undefined
    const asked = this.#look(question, options.index)
    return this.#blocks(asked, options.index) ? undefined : asked
  }

  /**
   * Settles once: with the view to answer from, after a wait if the question blocks, or with what
   * went wrong. It calls back instead of resolving, since a promise would put the work of thousands
   * that are woken in slices off to the end of the slice, all in one piece.
   */
  ask<T>(question: Question<T>, options: AskOptions, departure: Departure, settle: Settle): void {
    const start = (): void => {
      const asked = this.#tried(settle, () => this.#start(question, options, departure, settle))
      if (asked !== undefined) settle.answer(asked)
    }
    if (this.#mayBeAnswered(options)) start()
    else this.#confirmed({ start, fail: settle.fail })
  }

  /**
   * Settles once, as `ask` does, for a question that waits for no change: with a view that shows
   * everything that was acknowledged before this call.
   */
  confirmed<T>(question: Question<T>, settle: Settle): void {
    const start = (): void => {
      const asked = this.#tried(settle, () => this.#look(question, 0))
      if (asked !== undefined) settle.answer(asked)
    }
    if (this.#alone) start()
    else this.#confirmed({ start, fail: settle.fail })
  }

  /**
   * Goes on once the view is linearizable. Who comes while others wait for their read of the point,
   * or are answered, shares the next one: a read costs as much as many answers.
   */
  #confirmed(member: Confirming): void {
    this.#gathering.push(member)
    if (!this.#isConfirming) this.#confirmGathered()
  }

  /** Reads the point for all who have come so far, and sees to them in slices. */
  #confirmGathered(): void {
    const members = this.#gathering
    const last = members.at(-1)
    this.#isConfirming = last !== undefined
    if (last === undefined) return
    this.#gathering = []
    const over = (run: (one: Confirming) => void): void => {
      this.#slicer.each(members, one => {
        // Earlier it would be shared by fewer, who would be kept while these are answered.
        if (one === last) this.#confirmGathered()
        run(one)
      })
    }
    this.#store.readIndex().then(
      () => over(({ start }) => start()),
      (error: unknown) => over(({ fail }) => fail(error)),
    )
  }

  /** Whether the view answers as it is. */
  #mayBeAnswered({ consistency, maxAgeMs }: AskOptions): boolean {
    if (this.#alone) return true
    if (consistency !== Consistency.stale) return false
    return maxAgeMs === undefined || this.#age.ageMs() <= maxAgeMs
  }

  /** What answers at once; undefined where it waits. */
  #start<T>(
    question: Question<T>,
    { index, waitMs }: AskOptions,
    departure: Departure,
    settle: Settle,
  ): Asked | undefined {
    const asked = this.#look(question, index)
    // Who went away meanwhile must not wait: nothing would wake it.
    if (!this.#blocks(asked, index) || departure.left) return asked
    if (this.#store.scopes.waiting >= limits.waiters) {
      throw new OperatingError(OperatingCode.limit, 'too many blocking queries')
    }
    const done = (): void => {
      this.#waiting--
      waiter.cancel()
      timeout.cancel()
      departure.onLeave = undefined
      const late = this.#tried(settle, () => this.#look(question, index))
      if (late !== undefined) settle.answer(late)
    }
    const waiter = this.#store.scopes.wait(question.target, done)
    const timeout = this.#timeouts.after(waitMs, done)
    departure.onLeave = done
    this.#waiting++
    return undefined
  }

  /** Fails where the work throws. What the answer's taker throws is not caught: it was told. */
  #tried<R>(settle: Settle, work: () => R): R | undefined {
    try {
      return work()
    } catch (error) {
      settle.fail(error)
      return undefined
    }
  }

  #look<T>(question: Question<T>, index: number): Asked {
    const view = this.#store.view() as View
    const own = question.newest(view, this.#store.scopes)
    // Restored rows were written before they became the store, and their like meanwhile.
    const newest = revision(Math.max(own, view.origin ?? 0))
    const asked = this.#store.revisionOf(index)
    // A client that knows a later index than the answer's keeps it, if it is not of the future:
    // an index never goes back under a client.
    const given = asked > newest && asked <= view.revision ? revision(asked) : newest
    return { view, newest, index: this.#store.indexOf(given) }
  }

  #blocks(asked: Asked, index: number): boolean {
    return index > 0 && this.#store.indexOf(asked.newest) <= index
  }
}
