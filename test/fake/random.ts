/**
 * Cheap randomness under a seed, for workloads and damage: the same seed, the same run.
 */

/** Draws numbers; made by `seeded`. */
export interface Draw {
  /** A whole number from 0 up to, not including, `end`. */
  below(end: number): number
  /** True in `percent` of a hundred draws. */
  chance(percent: number): boolean
  pick<T>(choices: readonly T[]): T
}

/** A generator (mulberry32) that starts at a seed. */
export function seeded(seed: number): Draw {
  let state = Math.imul(seed + 1, 0x9e3779b9)
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number): number => Math.floor(next() * end)
  return {
    below,
    chance: percent => next() * 100 < percent,
    pick: choices => choices[below(choices.length)]!,
  }
}
