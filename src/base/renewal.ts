/**
 * When what ends by itself is renewed, and when that is tried again.
 *
 * Owns the two rules, which `gatehouse cert watch` and the stream of certificates share. Pure.
 */
import type { Random } from './clock.ts'
import { limits } from './limits.ts'

/** How early something is renewed. */
export interface RenewalPace {
  /** Of its life, after which it is renewed. */
  readonly renewAt: number
  /** Of its life, by which that is earlier or later by chance. */
  readonly jitter: number
}

export const usualPace: RenewalPace = { renewAt: 2 / 3, jitter: 0.05 }

/**
 * When it is renewed, by the clock of `fromMs` and `untilMs`: not all at the same time where many
 * were given together. Never at once, where the clocks disagree.
 */
export function renewalMs(
  { fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number },
  { renewAt, jitter }: RenewalPace,
  random: Pick<Random, 'fraction'>,
): number {
  const share = renewAt + (random.fraction() * 2 - 1) * jitter
  return fromMs + Math.max(limits.certRetryMs, (untilMs - fromMs) * share)
}

/**
 * How long until it is tried again: later each time, but often enough for what is left of the life
 * (0 for nothing). `failures` is how many there were before this one.
 */
export function retryInMs(
  failures: number,
  leftMs: number,
  random: Pick<Random, 'fraction'>,
): number {
  const longestMs = leftMs > 0 ? Math.max(limits.certRetryMs, leftMs / 10) : limits.certRetryMaxMs
  const plainMs = limits.certRetryMs * 2 ** Math.min(failures, 16)
  const boundMs = Math.min(plainMs, limits.certRetryMaxMs, longestMs)
  return Math.round(boundMs * (0.75 + random.fraction() / 2))
}
