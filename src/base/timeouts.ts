/**
 * Coarse time-outs by the ten thousand: one timer of the clock behind all of them.
 *
 * For waits whose end nobody measures to the millisecond, such as blocking queries. A time-out
 * never fires early, and at most about two ticks late on an idle loop. Does not tick while nothing
 * waits; holds the process open no more than the clock's own timers do.
 */
import type { Clock, Timer } from './clock.ts'
import { Slicer } from './slices.ts'
import { Wheel, type WheelEntry } from './wheel.ts'

const TICK_MS = 20

/** A time-out that was set; `cancel` is safe at any time, also after it fired. */
export interface Timeout {
  cancel(): void
}

class Armed implements Timeout {
  #run: (() => void) | undefined
  #entry: WheelEntry | undefined

  constructor(run: () => void) {
    this.#run = run
  }

  waitIn(wheel: Wheel<Armed>, dueMs: number): void {
    this.#entry = wheel.add(dueMs, this)
  }

  /** Its slice may come after a cancel: then there is nothing left to run. */
  fire(): void {
    this.#run?.()
  }

  cancel(): void {
    this.#run = undefined
    this.#entry?.cancel()
  }
}

export class Timeouts {
  readonly #clock: Clock
  readonly #wheel: Wheel<Armed>
  readonly #slicer = new Slicer()
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#wheel = new Wheel(TICK_MS, clock.monotonic())
  }

  /** How many wait now. */
  get waiting(): number {
    return this.#wheel.size
  }

  /** Calls `run` once, `delayMs` from now or a little later, in a slice of its own. */
  after(delayMs: number, run: () => void): Timeout {
    const armed = new Armed(run)
    armed.waitIn(this.#wheel, this.#clock.monotonic() + delayMs)
    this.#timer ??= this.#clock.after(TICK_MS, this.#tick)
    return armed
  }

  readonly #tick = (): void => {
    const due = this.#wheel.advance(this.#clock.monotonic())
    this.#timer = this.#wheel.size === 0 ? undefined : this.#clock.after(TICK_MS, this.#tick)
    this.#slicer.each(due, armed => armed.fire())
  }
}
