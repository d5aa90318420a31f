/**
 * Time in which agents could be heard: the monotonic clock without the pauses of this process.
 *
 * Owns the sum. A process that was stopped heard nobody, and holds that against nobody.
 */
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'

export class HeardTime {
  readonly #clock: Clock
  #heardMs: number
  #readAtMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#readAtMs = clock.monotonic()
    this.#heardMs = this.#readAtMs
  }

  /** Milliseconds; between two calls it moves by no more than what counts as a pause. */
  now(): number {
    const nowMs = this.#clock.monotonic()
    this.#heardMs += Math.min(nowMs - this.#readAtMs, limits.pauseMs)
    this.#readAtMs = nowMs
    return this.#heardMs
  }
}
