/**
 * The scheduler of a simulation: virtual time, one event after the other, randomness by seed.
 *
 * Owns the order of everything. After each event all promises that it settled are run to their end
 * before the next one, so that the same seed gives the same run, to the byte of its trace. Real
 * time passes as fast as the machine can. A `Machine` is one process in it: its clocks run at their
 * own rates, it can be paused (nothing reaches it) and killed (nothing of it goes on).
 */
import { type MonotonicMs, monotonicMs, type WallMs, wallMs } from '../../src/base/brand.ts'
import type { Clock, Random, Timer } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { type Loop, useLoop } from '../../src/base/slices.ts'
import { type Draw, seeded } from '../fake/random.ts'

interface Scheduled {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

/** How many events are run before the real loop may turn. */
const EVENTS_PER_TURN = 20_000
/** Events of one instant: more than this is a loop that never ends. */
const MOST_AT_ONCE = 200_000

export class World {
  readonly seed: number
  readonly draw: Draw
  #nowMs = 0
  #order = 0
  #events = 0
  readonly #heap: Scheduled[] = []
  readonly #lines: string[] | undefined
  #hash = 0
  /** Called after each event, once everything that it caused has settled. */
  afterEach: () => void = () => {}

  constructor(seed: number, options: { readonly traced?: boolean } = {}) {
    this.seed = seed
    this.draw = seeded(seed)
    this.#lines = options.traced === true ? [] : undefined
  }

  /** Milliseconds of true time since the beginning: what no machine in the world can know. */
  get nowMs(): number {
    return this.#nowMs
  }

  get events(): number {
    return this.#events
  }

  /** A number from `least` up to `most`. */
  between(least: number, most: number): number {
    return least + (this.draw.below(1_000_000) / 1_000_000) * (most - least)
  }

  /** Randomness of its own for somebody; equal names of one seed draw equal numbers. */
  random(name: string): Random {
    return seededRandom(Buffer.from(`${this.seed}/${name}`))
  }

  /** Calls `run` in `delayMs` of true time. */
  after(delayMs: number, run: () => void): Timer {
    const atMs = this.#nowMs + Math.max(0, delayMs)
    const scheduled: Scheduled = { atMs, order: this.#order++, run }
    this.#push(scheduled)
    return {
      clear() {
        scheduled.run = undefined
      },
    }
  }

  /** Tells what happens. The trace is kept only when it was asked for, its hash always. */
  trace(who: string, what: string): void {
    const line = `${this.#nowMs.toFixed(3).padStart(10)} ${who.padEnd(4)} ${what}`
    for (let at = 0; at < line.length; at++) {
      this.#hash = (Math.imul(this.#hash, 31) + line.charCodeAt(at)) | 0
    }
    this.#lines?.push(line)
  }

  get traced(): readonly string[] {
    return this.#lines ?? []
  }

  /** Equal for equal runs. */
  get fingerprint(): string {
    return `${(this.#hash >>> 0).toString(16)}-${this.#events}`
  }

  /** Runs everything up to a time, then stands still there. Rejects with what an event threw. */
  run(untilMs: number): Promise<void> {
    const giveBack = useLoop(this.#loop)
    let [instantMs, atOnce] = [-1, 0]
    return new Promise<void>((resolve, reject) => {
      const step = (): void => {
        try {
          this.afterEach()
          const next = this.#pop(untilMs)
          if (next === undefined) {
            this.#nowMs = Math.max(this.#nowMs, untilMs)
            resolve()
            return
          }
          this.#nowMs = next.atMs
          atOnce = next.atMs === instantMs ? atOnce + 1 : 0
          instantMs = next.atMs
          if (atOnce > MOST_AT_ONCE) throw new Error('time stands still: something never ends')
          this.#events++
          next.run?.()
        } catch (error) {
          reject(error)
          return
        }
        // A tick that is asked for by a promise's reaction comes when no reaction is left.
        if (this.#events % EVENTS_PER_TURN === 0) setImmediate(step)
        else queueMicrotask(() => process.nextTick(step))
      }
      setImmediate(step)
    }).finally(giveBack)
  }

  #workedMs = 0

  /** The loop as long work sees it: now and then a slice has lasted long enough, by the seed. */
  readonly #loop: Loop = {
    now: () => {
      if (this.draw.chance(10)) this.#workedMs += 3
      return this.#workedMs
    },
    afterPoll: run => void this.after(0, run),
  }

  #push(scheduled: Scheduled): void {
    const heap = this.#heap
    let at = heap.push(scheduled) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(scheduled, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = scheduled
  }

  #pop(untilMs: number): Scheduled | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.atMs > untilMs) return undefined
      this.#sift()
      if (first.run !== undefined) return first
    }
  }

  #sift(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

const isBefore = (a: Scheduled, b: Scheduled): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

/** 2026, so that dates in rows look like dates. */
const START_WALL_MS = 1_767_225_600_000

/** One process of the world, from its start to its end. It is the clock of all that runs in it. */
export class Machine implements Clock {
  readonly name: string
  readonly #world: World
  /** Milliseconds of its own clocks for one of true time. */
  readonly rate: number
  #wallLeadMs = 0
  #isDead = false
  #isPaused = false
  readonly #waiting: (() => void)[] = []

  constructor(world: World, name: string, rate = 1) {
    this.#world = world
    this.name = name
    this.rate = rate
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  monotonic(): MonotonicMs {
    return monotonicMs(1_000 + this.#world.nowMs * this.rate)
  }

  wall(): WallMs {
    return wallMs(Math.floor(START_WALL_MS + this.#world.nowMs * this.rate + this.#wallLeadMs))
  }

  /** Timers are never early, mostly punctual, and sometimes late together with others. */
  after(delayMs: number, run: () => void): Timer {
    const { draw } = this.#world
    let isSet = true
    const lateMs = draw.chance(2) ? this.#world.between(1, 80) : 0
    const fire = (): void => this.reach(() => isSet && run())
    const timer = this.#world.after(Math.max(0, delayMs) / this.rate + lateMs, fire)
    return {
      clear() {
        isSet = false
        timer.clear()
      },
    }
  }

  /** Lets something come to it: now, after its pause, or never. */
  reach(run: () => void): void {
    if (this.#isDead) return
    if (this.#isPaused) this.#waiting.push(run)
    else run()
  }

  setWall(byMs: number): void {
    this.#wallLeadMs += byMs
  }

  pause(): void {
    this.#isPaused = true
  }

  /** Goes on; what waited comes in its order, each in an event of its own. */
  resume(): void {
    this.#isPaused = false
    for (const run of this.#waiting.splice(0)) this.#world.after(0, () => this.reach(run))
  }

  kill(): void {
    this.#isDead = true
    this.#waiting.length = 0
  }
}
