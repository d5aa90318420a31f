/**
 * A hierarchical timing wheel: a million deadlines at constant cost each.
 *
 * Owns nothing but the arithmetic of ticks; it is driven by whoever has the clock. An entry fires
 * at the first `advance` at or after its due time, never before. Time in which nothing is due
 * costs nothing, however long it is: empty levels are passed over in one step.
 */
import { assert } from './assert.ts'

const SLOT_BITS = 6
const SLOTS = 1 << SLOT_BITS
const LEVELS = 6

/** An entry of the wheel. `cancel` is safe at any time, also after it fired. */
export interface WheelEntry {
  readonly dueMs: number
  cancel(): void
}

/** One level: a slot stands for SLOTS times the ticks that a slot of the level below does. */
interface Level<T> {
  readonly spanTicks: number
  readonly slots: Slot<T>[]
  size: number
}

/** Entries in the order in which they came. They know each other: to leave costs no search. */
class Slot<T> {
  first: Entry<T> | undefined
  last: Entry<T> | undefined

  add(entry: Entry<T>): void {
    entry.before = this.last
    if (this.last === undefined) this.first = entry
    else this.last.behind = entry
    this.last = entry
  }

  drop(entry: Entry<T>): void {
    const { before, behind } = entry
    if (before === undefined) this.first = behind
    else before.behind = behind
    if (behind === undefined) this.last = before
    else behind.before = before
    entry.before = undefined
    entry.behind = undefined
  }
}

class Entry<T> implements WheelEntry {
  readonly dueMs: number
  readonly value: T
  level: Level<T> | undefined = undefined
  /** Undefined once it fired or was cancelled. */
  slot: Slot<T> | undefined = undefined
  before: Entry<T> | undefined = undefined
  behind: Entry<T> | undefined = undefined
  readonly #wheel: Wheel<T>

  constructor(wheel: Wheel<T>, dueMs: number, value: T) {
    this.#wheel = wheel
    this.dueMs = dueMs
    this.value = value
  }

  cancel(): void {
    if (this.slot === undefined) return
    this.slot.drop(this)
    this.slot = undefined
    this.level!.size--
    this.#wheel.size--
  }
}

export class Wheel<T> {
  readonly #tickMs: number
  readonly #levels: readonly Level<T>[]
  #tick: number
  /** The level that the last call left half emptied. */
  #unfinished: number | undefined
  /** How many entries wait. */
  size = 0

  /** `tickMs`: how late an entry may fire at most, once `advance` is called in time. */
  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs
    this.#tick = Math.floor(nowMs / tickMs)
    this.#levels = Array.from({ length: LEVELS }, (_, level) => ({
      spanTicks: SLOTS ** level,
      slots: Array.from({ length: SLOTS }, () => new Slot<T>()),
      size: 0,
    }))
  }

  /** `dueMs` may lie in the past (it fires at the next tick) or be Infinity (it never does). */
  add(dueMs: number, value: T): WheelEntry {
    assert(!Number.isNaN(dueMs), 'a deadline is a number')
    const entry = new Entry(this, dueMs, value)
    this.size++
    this.#place(entry, this.#tick + 1)
    return entry
  }

  #place(entry: Entry<T>, earliest: number): void {
    const due = Math.max(Math.ceil(entry.dueMs / this.#tickMs), earliest)
    // Beyond the last level an entry waits in its furthest slot and is placed again from there.
    const reach = Math.min(due, this.#tick + SLOTS ** LEVELS - 1)
    const ahead = reach - this.#tick
    const level = this.#levels.findLast(({ spanTicks }) => ahead >= spanTicks) ?? this.#levels[0]!
    const slot = level.slots[Math.floor(reach / level.spanTicks) % SLOTS]!
    slot.add(entry)
    level.size++
    entry.level = level
    entry.slot = slot
  }

  /** Whether `advance` left work over: it is to be called again before time moves on. */
  get isBehind(): boolean {
    return this.#unfinished !== undefined
  }

  /**
   * Moves to `nowMs` and gives the values that are due, in the order of their ticks. Touches no
   * more than `most` entries; where that is too few `isBehind` says so, and the next call goes on.
   */
  advance(nowMs: number, most = Number.POSITIVE_INFINITY): T[] {
    const due: T[] = []
    const target = Math.floor(nowMs / this.#tickMs)
    let left = most
    while (this.#unfinished !== undefined || this.#tick < target) {
      const first = this.#unfinished ?? LEVELS - 1
      if (this.#unfinished === undefined) this.#tick = this.#nextTick(target)
      this.#unfinished = undefined
      for (let index = first; index >= 0; index--) {
        const level = this.#levels[index]!
        if (this.#tick % level.spanTicks !== 0 || level.size === 0) continue
        left -= this.#empty(level, left, due)
        if (left > 0) continue
        this.#unfinished = index
        return due
      }
    }
    return due
  }

  /** Takes up to `most` entries out of the slot of this tick; gives how many. */
  #empty(level: Level<T>, most: number, due: T[]): number {
    const slot = level.slots[Math.floor(this.#tick / level.spanTicks) % SLOTS]!
    let taken = 0
    for (let entry = slot.first; entry !== undefined && taken < most; entry = slot.first) {
      taken++
      slot.drop(entry)
      level.size--
      if (level.spanTicks > 1) this.#place(entry, this.#tick)
      else {
        entry.slot = undefined
        this.size--
        due.push(entry.value)
      }
    }
    return taken
  }

  /** The next tick, up to `target`, at which an entry can fire or move to a lower level. */
  #nextTick(target: number): number {
    const first = this.#levels.find(({ size }) => size > 0)
    if (first === undefined) return target
    return Math.min(target, (Math.floor(this.#tick / first.spanTicks) + 1) * first.spanTicks)
  }
}
