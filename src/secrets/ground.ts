/**
 * What follows from rows that nearly every request stands on and that seldom change: mounts,
 * namespaces, policies, conditions, quotas, settings.
 *
 * Owns that it is worked out once for as long as none of these rows changes, and kept by the
 * barrier that they were opened with: once it is sealed, nothing of it is left. Where the view
 * notes what is read, or the transaction itself changed such a row, it is worked out anew. Pure.
 */
import type { Barrier } from './barrier/keyring.ts'
import type { Draft } from './storage.ts'

/** Stands for rows of a kind as they are, opened by one barrier. */
export type Ground = object

const grounds = new WeakMap<Barrier, WeakMap<object, Ground>>()

/** What stands for the rows of an era. */
export function groundIn(barrier: Barrier, era: object): Ground {
  const all = grounds.get(barrier) ?? new WeakMap<object, Ground>()
  grounds.set(barrier, all)
  const ground = all.get(era) ?? {}
  all.set(era, ground)
  return ground
}

/** Something that follows from the ground alone. */
export class OfGround<T> {
  readonly #make: (draft: Draft) => T
  readonly #known = new WeakMap<Ground, T>()

  constructor(make: (draft: Draft) => T) {
    this.#make = make
  }

  /** What it comes to; undefined where it must be worked out from the rows that matter. */
  known(draft: Draft): T | undefined {
    const ground = draft.ground('ground')
    if (ground === undefined) return undefined
    const known = this.#known.get(ground)
    if (known !== undefined) return known
    const made = this.#make(draft)
    this.#known.set(ground, made)
    return made
  }
}
