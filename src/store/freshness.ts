/**
 * How old this server's view may be: the time since it was last known to be the newest.
 *
 * Owns the asking: an idle server asks several times a second. Where nobody else writes to the
 * store the view is always the newest, and nothing is asked. A view that could not be confirmed for
 * a second is degraded: what rights it tells of may have been taken away meanwhile.
 */
import type { Clock, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Store } from './store.ts'

/** What faces ask. */
export interface Age {
  /** Milliseconds since the view was the newest for sure; 0 where nobody else writes. */
  ageMs(): number
  /** Whether that is too long to trust what the view says of rights. */
  readonly isDegraded: boolean
}

/** The age of a view that nobody else can write past. */
export const ageless: Age = { ageMs: () => 0, isDegraded: false }

export class Freshness implements Age {
  readonly #store: Pick<Store, 'readIndex' | 'supports'>
  readonly #clock: Clock
  #confirmedMs: number
  #timer: Timer | undefined
  #isStopped = false

  /** Begins fresh: a store that was just opened was read whole. */
  constructor(store: Pick<Store, 'readIndex' | 'supports'>, clock: Clock) {
    this.#store = store
    this.#clock = clock
    this.#confirmedMs = clock.monotonic()
  }

  /** Asks from now on; returns at once. */
  start(): void {
    if (this.#store.supports.shared) void this.#ask()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.clear()
  }

  ageMs(): number {
    return this.#store.supports.shared ? this.#clock.monotonic() - this.#confirmedMs : 0
  }

  get isDegraded(): boolean {
    return this.ageMs() > limits.viewDegradedMs
  }

  /** An answer that this server had to a read that it sent at that time shows that it was fresh. */
  confirmed(sentMs: number): void {
    this.#confirmedMs = Math.max(this.#confirmedMs, sentMs)
  }

  async #ask(): Promise<void> {
    const sentMs = this.#clock.monotonic()
    try {
      await this.#store.readIndex()
      this.confirmed(sentMs)
    } catch {
      // The age tells it.
    }
    if (this.#isStopped) return
    const pauseMs = Math.max(0, sentMs + limits.viewConfirmMs - this.#clock.monotonic())
    this.#timer = this.#clock.after(pauseMs, () => void this.#ask())
  }
}
