/**
 * Renewing tokens: a longer life, within what holds by now.
 *
 * Owns what a renewal gives. What the login that gave the token says of it is asked by who calls.
 * Pure.
 */
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import type { MountTtls } from '../mount/ttl.ts'
import type { Draft } from '../storage.ts'
import { type TokenPlace, type TokenRow, writeToken } from './token.ts'
import { type Ttl, type TtlWish, ttlOf } from './ttl.ts'

/** What bounds the life of a token as it is renewed. */
export type Bounds = Pick<TtlWish, 'ttlMs' | 'maxTtlMs' | 'explicitMaxTtlMs' | 'periodMs'>

export const NOT_RENEWABLE = new Refusal(400, 'lease is not renewable')
const ENDLESS = new Refusal(400, 'lease not found or lease is not renewable')
const BATCH = new Refusal(400, 'batch tokens cannot be renewed')

/** The refusal of what is never renewed. */
export function refuseRenewal({ type, ttlMs, renewable }: TokenRow): Refusal | undefined {
  if (type === 'batch') return BATCH
  if (ttlMs === 0) return ENDLESS
  return renewable ? undefined : NOT_RENEWABLE
}

/** Renews a token for what is asked, within its bounds and those of its mount. */
export function renewToken(
  draft: Draft,
  place: TokenPlace,
  token: TokenRow,
  {
    incrementMs,
    bounds,
    mount,
  }: { readonly incrementMs: number; readonly bounds: Bounds; readonly mount: MountTtls },
): Ttl | Refusal {
  const { now } = draft
  const wish = { ...bounds, incrementMs, issuedAtMs: token.createdAtMs }
  const ttl = ttlOf(wish, mount, now)
  if (ttl instanceof Refusal) return ttl
  const row = { ...token, expiresAtMs: now + ttl.ttlMs, lastRenewalMs: now }
  writeToken(draft, place.hash, row)
  return { ttlMs: ttl.ttlMs, warnings: [...ttl.warnings, ...lastRenewals(wish, mount, ttl, now)] }
}

/** Renewals that are left when somebody who never logs in again should hear of it. */
const FEW_RENEWALS = 2

function lastRenewals(wish: TtlWish, mount: MountTtls, { ttlMs }: Ttl, nowMs: number): string[] {
  const isPeriodic = (wish.periodMs ?? 0) > 0
  const maxima = isPeriodic
    ? [wish.explicitMaxTtlMs ?? 0]
    : [wish.explicitMaxTtlMs ?? 0, wish.maxTtlMs ?? 0, mount.maxMs]
  const maxMs = Math.min(...maxima.filter(one => one > 0))
  const leftMs = wish.issuedAtMs + maxMs - nowMs
  if (!Number.isFinite(leftMs) || leftMs > FEW_RENEWALS * ttlMs) return []
  const left = formatDuration(Math.floor(leftMs / 1_000) * 1_000)
  return [`this token ends for good in ${left}, however often it is renewed: log in before that`]
}
