/**
 * A clock for thousands of agents: time moves by hand, in steps, and a step's timers fire together.
 *
 * Timers lie in a heap, so that tens of thousands of them cost little; the loop turns after each
 * step and not after each timer.
 */
import { type MonotonicMs, monotonicMs, type WallMs, wallMs } from '../../src/base/brand.ts'
import type { Clock, Timer } from '../../src/base/clock.ts'

const START_MS = 1_000
const START_WALL_MS = 1_700_000_000_000
const TURNS = 2

interface Pending {
  readonly dueMs: number
  readonly order: number
  run: (() => void) | undefined
}

export class SteppedClock implements Clock {
  readonly #stepMs: number
  #nowMs = START_MS
  #heap: Pending[] = []
  #order = 0
  /** Real time that the steps took, so that it can be told what one of them holds the loop. */
  longestStepMs = 0

  /** `stepMs`: what lies within one step may seem to take up to as long. */
  constructor(stepMs = 25) {
    this.#stepMs = stepMs
  }

  monotonic(): MonotonicMs {
    return monotonicMs(this.#nowMs)
  }

  wall(): WallMs {
    return wallMs(START_WALL_MS + this.#nowMs - START_MS)
  }

  after(delayMs: number, run: () => void): Timer {
    const dueMs = this.#nowMs + Math.max(0, delayMs)
    const pending: Pending = { dueMs, order: this.#order++, run }
    this.#push(pending)
    return {
      clear() {
        pending.run = undefined
      },
    }
  }

  /** Moves on by `ms`. */
  async advance(ms: number): Promise<void> {
    const target = this.#nowMs + ms
    while (this.#nowMs < target) {
      const soonest = this.#heap[0]?.dueMs ?? target
      const end = Math.min(Math.max(soonest, this.#nowMs) + this.#stepMs, target)
      do {
        this.#fireUntil(end)
        for (let turn = 0; turn < TURNS; turn++) {
          await new Promise(resolve => setImmediate(resolve))
        }
      } while (this.#heap[0] !== undefined && this.#heap[0].dueMs <= end)
      this.#nowMs = end
    }
  }

  #fireUntil(end: number): void {
    const startedMs = performance.now()
    for (let next = this.#heap[0]; next !== undefined && next.dueMs <= end; next = this.#heap[0]) {
      this.#pop()
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.run?.()
    }
    this.longestStepMs = Math.max(this.longestStepMs, performance.now() - startedMs)
  }

  #push(pending: Pending): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(pending)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(pending, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = pending
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++
      if (!isBefore(heap[below]!, last)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
  }
}

const isBefore = (one: Pending, other: Pending): boolean =>
  one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order)
