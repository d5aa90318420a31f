/**
 * Work that comes in as others' does, and must not hold them up.
 *
 * Owns how much of it is done in one turn of the loop. The first piece of a turn is begun as it
 * comes; all others once the loop has read what came in for everybody, in their order, for as long
 * as the turn has time for it, and in later turns. Short pieces and long ones are begun by turns,
 * so that neither wait for all of the others. What is left to do of work that was begun goes
 * ahead of what was not, and is done together: to write to a socket wakes whoever waits on it, and
 * on a machine that the client shares one that is awake takes the next answers at half the price.
 * Long turns are cheaper, as more is read and written in each: they are short only while somebody
 * else asks for something.
 */
import { afterPoll } from './slices.ts'

/** What is done of a piece of work: its beginning, and what is left when it is known. */
export interface Steps<Begun, Known> {
  begin(work: Begun): void
  end(known: Known): void
}

/** How long work is done in one turn, in milliseconds. */
export interface TurnBounds {
  readonly turnMs: number
  /** The same while others are there. */
  readonly besideOthersMs: number
  /** For how long they are taken to be there, once one has asked. */
  readonly othersStayMs: number
}

export class Turns<Begun, Known> {
  readonly #steps: Steps<Begun, Known>
  readonly #nowMs: () => number
  readonly #bounds: TurnBounds
  readonly #short = new Line<Begun>()
  readonly #long = new Line<Begun>()
  readonly #toEnd = new Line<Known>()
  #isShortNext = true
  #hasBegun = false
  #isScheduled = false
  #othersUntilMs = Number.NEGATIVE_INFINITY

  /** Steps must not throw; `nowMs` never goes back. */
  constructor(steps: Steps<Begun, Known>, nowMs: () => number, bounds: TurnBounds) {
    this.#steps = steps
    this.#nowMs = nowMs
    this.#bounds = bounds
  }

  /** Somebody else has asked for something: turns are short for a while. */
  makeWay(): void {
    this.#othersUntilMs = this.#nowMs() + this.#bounds.othersStayMs
  }

  /** Begins it now, or soon; `isShort`: it takes a small part of what others take. */
  begin(work: Begun, isShort = false): void {
    this.#schedule()
    if (this.#hasBegun || this.waiting > 0) (isShort ? this.#short : this.#long).add(work)
    else {
      this.#hasBegun = true
      this.#steps.begin(work)
    }
  }

  /** Ends it soon. */
  end(known: Known): void {
    this.#schedule()
    this.#toEnd.add(known)
  }

  /** How much waits. */
  get waiting(): number {
    return this.#short.size + this.#long.size + this.#toEnd.size
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    afterPoll(() => this.#turn())
  }

  #turn(): void {
    this.#isScheduled = false
    this.#hasBegun = false
    const nowMs = this.#nowMs()
    const { turnMs, besideOthersMs } = this.#bounds
    const untilMs = nowMs + (nowMs < this.#othersUntilMs ? besideOthersMs : turnMs)
    const hasTime = (): boolean => this.#nowMs() < untilMs
    this.#toEnd.each(known => this.#steps.end(known), hasTime)
    // What of these is known at once ends in the next turn, together.
    while (hasTime() && this.#short.size + this.#long.size > 0) this.#beginNext()
    if (this.waiting > 0) this.#schedule()
  }

  #beginNext(): void {
    const isShort = this.#long.size === 0 || (this.#isShortNext && this.#short.size > 0)
    this.#isShortNext = !isShort
    const line = isShort ? this.#short : this.#long
    line.next(work => this.#steps.begin(work))
  }
}

/** First in, first out. */
class Line<T> {
  #items: T[] = []
  /** Those before it were taken out. */
  #next = 0

  get size(): number {
    return this.#items.length - this.#next
  }

  add(item: T): void {
    this.#items.push(item)
  }

  /** Takes items out, one at least, as long as there is time. */
  each(run: (item: T) => void, hasTime: () => boolean): void {
    do this.next(run)
    while (this.size > 0 && hasTime())
  }

  /** Takes one out, where there is one. */
  next(run: (item: T) => void): void {
    if (this.size === 0) return
    const item = this.#items[this.#next++]!
    // What was taken out is let go of, also where something waits all the time.
    const isWorthIt = this.#next >= LET_GO && this.#next * 2 >= this.#items.length
    if (this.size === 0 || isWorthIt) {
      this.#items = this.#items.slice(this.#next)
      this.#next = 0
    }
    run(item)
  }
}

/** Fewer are not worth the copying of what waits behind them. */
const LET_GO = 32
