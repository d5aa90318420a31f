/**
 * Work that comes in as others' does, and must not hold them up.
 *
 * Owns how much of it is done in one turn of the loop: as it comes, as long as the turn has time
 * for it; what is left in later turns, in its order, with what others want between.
 */
import { afterPoll } from './slices.ts'

export class Turns<T> {
  readonly #run: (work: T) => void
  readonly #nowMs: () => number
  readonly #turnMs: number
  /** What was not begun yet, from `#next` on. */
  #queue: T[] = []
  #next = 0
  #spentMs = 0
  #isScheduled = false

  /** `run` must not throw; `nowMs` never goes back. */
  constructor(run: (work: T) => void, nowMs: () => number, turnMs: number) {
    this.#run = run
    this.#nowMs = nowMs
    this.#turnMs = turnMs
  }

  /** Does it now, or soon. */
  take(work: T): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true
      afterPoll(() => this.#turn())
    }
    if (this.#queue.length > 0 || this.#spentMs >= this.#turnMs) this.#queue.push(work)
    else this.#do(work)
  }

  /** How much waits. */
  get waiting(): number {
    return this.#queue.length - this.#next
  }

  #do(work: T): void {
    const beganMs = this.#nowMs()
    this.#run(work)
    this.#spentMs += this.#nowMs() - beganMs
  }

  #turn(): void {
    this.#isScheduled = false
    this.#spentMs = 0
    while (this.#next < this.#queue.length && this.#spentMs < this.#turnMs) {
      this.#do(this.#queue[this.#next++]!)
    }
    if (this.#next < this.#queue.length) {
      this.#isScheduled = true
      afterPoll(() => this.#turn())
    } else if (this.#queue.length > 0) {
      this.#queue = []
      this.#next = 0
    }
  }
}
