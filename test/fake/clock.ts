/**
 * A clock that moves by hand: time stands still until a test moves it, and timers fire in the
 * order of their times.
 *
 * The loop turns between timers, so that promises and gathered batches settle as they would.
 */
import { type MonotonicMs, monotonicMs, type WallMs, wallMs } from '../../src/base/brand.ts'
import type { Clock, Timer } from '../../src/base/clock.ts'

const START_MS = 1_000
const START_WALL_MS = 1_700_000_000_000
const TURNS = 6

/** Lets the loop turn a few times: microtasks, gathered writes and slices are over after it. */
export async function settled(turns = TURNS): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise(resolve => setImmediate(resolve))
}

interface Pending {
  readonly dueMs: number
  readonly run: () => void
}

export class FakeClock implements Clock {
  #nowMs = START_MS
  #wallLeadMs = START_WALL_MS - START_MS
  readonly #pending = new Set<Pending>()

  monotonic(): MonotonicMs {
    return monotonicMs(this.#nowMs)
  }

  wall(): WallMs {
    return wallMs(this.#nowMs + this.#wallLeadMs)
  }

  after(delayMs: number, run: () => void): Timer {
    const pending = { dueMs: this.#nowMs + Math.max(0, delayMs), run }
    this.#pending.add(pending)
    return { clear: () => this.#pending.delete(pending) }
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#pending.size
  }

  /** Moves on by `ms`; each timer fires at its own time. */
  async advance(ms: number): Promise<void> {
    const target = this.#nowMs + ms
    await settled()
    for (let next = this.#next(target); next !== undefined; next = this.#next(target)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.#pending.delete(next)
      next.run()
      await settled()
    }
    this.#nowMs = target
    await settled()
  }

  /** Time passes, but nothing runs, as when the process was stopped; what is due fires then. */
  async pause(ms: number): Promise<void> {
    this.elapse(ms)
    await this.advance(0)
  }

  /** Time passes and nothing runs: the first half of a pause. */
  elapse(ms: number): void {
    this.#nowMs += ms
  }

  /** Fires what is due now, in one go: the loop does not turn in between. */
  fire(): void {
    for (let next = this.#next(this.#nowMs); next !== undefined; next = this.#next(this.#nowMs)) {
      this.#pending.delete(next)
      next.run()
    }
  }

  /** Sets the wall clock forward, or back. */
  setWall(byMs: number): void {
    this.#wallLeadMs += byMs
  }

  #next(target: number): Pending | undefined {
    let first: Pending | undefined
    for (const one of this.#pending) {
      if (one.dueMs <= target && (first === undefined || one.dueMs < first.dueMs)) first = one
    }
    return first
  }
}
