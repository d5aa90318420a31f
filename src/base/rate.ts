/**
 * A rate with a burst: how many of something may happen, counted in tokens.
 *
 * Owns the bucket's arithmetic. Reads no clock: whoever asks says what time it is. Holds two
 * numbers, whatever happens.
 */

export class Rate {
  readonly perSecond: number
  readonly burst: number
  #tokens: number
  #atMs: number | undefined

  /** `perSecond` below 0 is no limit. The bucket begins full. */
  constructor(perSecond: number, burst: number) {
    this.perSecond = perSecond
    this.burst = burst
    this.#tokens = burst
  }

  /** Takes one token; false where there is none. `nowMs` never goes back. */
  take(nowMs: number): boolean {
    if (this.perSecond < 0) return true
    const passedMs = nowMs - (this.#atMs ?? nowMs)
    this.#atMs = nowMs
    this.#tokens = Math.min(this.burst, this.#tokens + (passedMs * this.perSecond) / 1000)
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
