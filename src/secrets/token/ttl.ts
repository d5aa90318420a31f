/**
 * How long a token or a lease lives: Vault's arithmetic, in whole seconds.
 *
 * Owns the caps with their warnings, and the one place that says how long something may still be
 * renewed. Pure.
 */
import type { WallMs } from '../../base/brand.ts'
import { formatDuration, SECOND_MS } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import type { MountTtls } from '../mount/ttl.ts'

/** What a lifetime is reckoned from; 0 where something was not said. */
export interface TtlWish {
  /** What the caller asks for. */
  readonly incrementMs?: number
  /** What the role says. */
  readonly ttlMs?: number
  readonly maxTtlMs?: number
  readonly explicitMaxTtlMs?: number
  readonly periodMs?: number
  /** When it was issued; all maxima count from there. */
  readonly issuedAtMs: number
}

export interface Ttl {
  /** From now, in milliseconds that are whole seconds. */
  readonly ttlMs: number
  readonly warnings: readonly string[]
}

/** Cuts a time to whole seconds: never later than it was. */
const wholeSeconds = (timeMs: number): number => Math.floor(timeMs / SECOND_MS) * SECOND_MS

/** A lifetime of 0 would be one without an end. */
const atLeastASecond = (timeMs: number): number => Math.max(SECOND_MS, wholeSeconds(timeMs))

const quoted = (durationMs: number): string => `"${formatDuration(durationMs)}"`

const PAST_MAX = new Refusal(400, 'past the max TTL, cannot renew')

/** How long something lives from now. */
export function ttlOf(wish: TtlWish, bounds: MountTtls, now: WallMs): Ttl | Refusal {
  const { explicitMaxTtlMs = 0, periodMs = 0 } = wish
  const maxTtlMs = least(bounds.maxMs, wish.maxTtlMs, explicitMaxTtlMs)
  if (periodMs > 0) return periodOf(wish, maxTtlMs, now)
  const wantedMs = atLeastASecond(wish.incrementMs || wish.ttlMs || bounds.defaultMs)
  return capped(wantedMs, wish.issuedAtMs + maxTtlMs, now, [])
}

/** A period has no end but an explicit one. */
function periodOf(
  { explicitMaxTtlMs = 0, periodMs = 0, issuedAtMs }: TtlWish,
  maxTtlMs: number,
  now: WallMs,
): Ttl | Refusal {
  const ttlMs = atLeastASecond(Math.min(periodMs, maxTtlMs))
  const warnings =
    periodMs > maxTtlMs
      ? [
          `period of ${quoted(periodMs)} exceeded the effective max_ttl of ${quoted(maxTtlMs)}; ` +
            'period value is capped accordingly',
        ]
      : []
  if (explicitMaxTtlMs === 0) return { ttlMs, warnings }
  return capped(ttlMs, issuedAtMs + explicitMaxTtlMs, now, warnings)
}

function capped(
  wantedMs: number,
  endsAtMs: number,
  now: WallMs,
  warnings: readonly string[],
): Ttl | Refusal {
  const leftMs = wholeSeconds(endsAtMs - now)
  if (leftMs <= 0) return PAST_MAX
  if (wantedMs <= leftMs) return { ttlMs: wantedMs, warnings }
  const warning =
    `TTL of ${quoted(wantedMs)} exceeded the effective max_ttl of ${quoted(leftMs)}; ` +
    'TTL value is capped accordingly'
  return { ttlMs: leftMs, warnings: [...warnings, warning] }
}

/** The least of what is said; 0 says nothing. */
function least(first: number, ...others: readonly (number | undefined)[]): number {
  return Math.min(first, ...others.filter(other => other !== undefined && other > 0).map(Number))
}
