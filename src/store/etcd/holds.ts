/**
 * What the writes of this server that are not answered yet read and write.
 *
 * Owns the rule of who must wait for whom: two may be under way at the same time only if neither
 * writes a key or range that the other writes or reads. So writes that touch the same rows are
 * decided in the order of their calls, and what shares one transaction of etcd's is independent.
 * Pure; knows neither rules nor etcd.
 */
import type { Bytes } from '../../base/bytes.ts'

/**
 * What a write does with a key. `touch` is to put a guard: it conflicts with whoever reads the
 * guard's range, not with others who put the same guard.
 */
export type Mode = 'read' | 'touch' | 'write'

/** Keys from `from` up to, not including, `to`, as byte strings. */
export interface KeyRange {
  readonly from: Bytes
  readonly to: Bytes
}

/** All that a write reads and writes. A key that is read and written counts as written. */
export interface Footprint {
  readonly modes: ReadonlyMap<Bytes, Mode>
  /** Ranges that are read. */
  readonly ranges: readonly KeyRange[]
}

/** A write that holds what it touches. */
export interface Holder {
  /** The order of the calls. */
  readonly sequence: number
  /** Under way to etcd already: it waits for nobody any more. */
  isUnderWay: boolean
}

interface Entry<H> {
  readonly counts: Record<Mode, number>
  readonly holders: { readonly holder: H; readonly mode: Mode }[]
}

const CONFLICTS: Readonly<Record<Mode, readonly Mode[]>> = {
  read: ['touch', 'write'],
  touch: ['read', 'write'],
  write: ['read', 'touch', 'write'],
}

export class Holds<H extends Holder> {
  readonly #held = new Map<H, Footprint>()
  readonly #keys = new Map<Bytes, Entry<H>>()
  readonly #ranged = new Set<H>()

  /** A write touches this, and nothing else any more. */
  hold(holder: H, footprint: Footprint): void {
    this.release(holder)
    this.#held.set(holder, footprint)
    for (const [key, mode] of footprint.modes) {
      let entry = this.#keys.get(key)
      if (entry === undefined) {
        entry = { counts: { read: 0, touch: 0, write: 0 }, holders: [] }
        this.#keys.set(key, entry)
      }
      entry.counts[mode]++
      entry.holders.push({ holder, mode })
    }
    if (footprint.ranges.length > 0) this.#ranged.add(holder)
  }

  /** A write is over. */
  release(holder: H): void {
    const footprint = this.#held.get(holder)
    if (footprint === undefined) return
    this.#held.delete(holder)
    this.#ranged.delete(holder)
    for (const [key, mode] of footprint.modes) {
      const entry = this.#keys.get(key)!
      entry.counts[mode]--
      if (entry.holders.length === 1) this.#keys.delete(key)
      else {
        const at = entry.holders.findIndex(one => one.holder === holder)
        entry.holders.splice(at, 1)
      }
    }
  }

  /**
   * One that this write must wait for: called earlier, or under way already, and in conflict with
   * it. Undefined where there is none.
   */
  before(holder: H): H | undefined {
    const footprint = this.#held.get(holder)!
    for (const [key, mode] of footprint.modes) {
      const found = this.#beforeAt(holder, this.#keys.get(key)!, mode)
      if (found !== undefined) return found
    }
    return this.#writerWithin(holder, footprint) ?? this.#readerAround(holder, footprint)
  }

  #beforeAt(holder: H, { counts, holders }: Entry<H>, mode: Mode): H | undefined {
    const conflicting = CONFLICTS[mode]
    const others = conflicting.reduce((total, one) => total + counts[one], 0)
    if (others === (mode === 'write' ? 1 : 0)) return undefined
    // From the newest on: whoever came last is over last.
    for (let at = holders.length - 1; at >= 0; at--) {
      const { holder: other, mode: held } = holders[at]!
      if (conflicting.includes(held) && isBefore(other, holder)) return other
    }
    return undefined
  }

  /** Who writes into a range that this one reads. */
  #writerWithin(holder: H, { ranges }: Footprint): H | undefined {
    if (ranges.length === 0) return undefined
    for (const [key, { holders }] of this.#keys) {
      if (!isWithin(key, ranges)) continue
      const found = holders.find(one => one.mode !== 'read' && isBefore(one.holder, holder))
      if (found !== undefined) return found.holder
    }
    return undefined
  }

  /** Who reads a range that this one writes into. */
  #readerAround(holder: H, { modes }: Footprint): H | undefined {
    for (const other of this.#ranged) {
      if (!isBefore(other, holder)) continue
      const { ranges } = this.#held.get(other)!
      for (const [key, mode] of modes) if (mode !== 'read' && isWithin(key, ranges)) return other
    }
    return undefined
  }
}

const isBefore = (other: Holder, holder: Holder): boolean =>
  other !== holder && (other.isUnderWay || other.sequence < holder.sequence)

const isWithin = (key: Bytes, ranges: readonly KeyRange[]): boolean =>
  ranges.some(({ from, to }) => key >= from && key < to)
