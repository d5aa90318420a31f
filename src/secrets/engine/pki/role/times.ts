/**
 * When a certificate begins and ceases to hold.
 *
 * Owns how the bounds of request, role, mount and issuer stand to each other, and the refusals in
 * Vault's words. Knows no clock: now is handed in. Pure.
 */
import { formatDuration } from '../../../../base/duration.ts'
import type { Refusal } from '../../../../base/errors.ts'
import { bad } from '../refusals.ts'
import type { LeafBehavior } from '../rows.ts'
import type { RoleRow } from './row.ts'

const MOMENT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/

/** A moment of RFC 3339, in milliseconds; undefined where a text is none. */
export function momentOf(text: string): number | undefined {
  const parts = MOMENT.exec(text)
  if (parts === null) return undefined
  const [, local = '', fraction = '', zone = ''] = parts
  // A day that a month has not is none, although the parser may take it for one of the next.
  const plainMs = Date.parse(`${local}Z`)
  if (Number.isNaN(plainMs) || !new Date(plainMs).toISOString().startsWith(local)) return undefined
  const momentMs = Date.parse(`${local}${fraction.slice(0, 4)}${zone}`)
  return Number.isNaN(momentMs) ? undefined : momentMs
}

/** A moment as Go's RFC3339Nano writes it, in UTC. */
export const momentText = (momentMs: number): string =>
  new Date(momentMs).toISOString().replace(/\.?0+Z$/, 'Z')

/** What is wrong with a text that should be a moment. */
export const notAMoment = (name: string): Refusal =>
  bad(`${name} is not a time such as 2030-01-31T00:00:00Z`)

/** What a request says of its times; '' and 0 for nothing. */
export interface WantedTimes {
  readonly ttlMs: number
  readonly notBefore: string
  readonly notAfter: string
}

/** What bounds them beside the role. */
export interface TimeBounds {
  readonly nowMs: number
  /** How long certificates hold where neither request nor role says, and at most. */
  readonly defaultMs: number
  readonly maxMs: number
  readonly issuer: { readonly notAfterMs: number; readonly behavior: LeafBehavior }
}

export interface Times {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly warnings: readonly string[]
}

/** The times of a certificate; refused where the bounds leave none. */
export function timesOf(role: RoleRow, wanted: WantedTimes, bounds: TimeBounds): Times | Refusal {
  const notBeforeMs = beginOf(role, wanted, bounds.nowMs)
  if (typeof notBeforeMs !== 'number') return notBeforeMs
  const end = endOf(role, wanted, bounds)
  if (!('notAfterMs' in end)) return end
  return refuseOrder(notBeforeMs, end.notAfterMs) ?? { notBeforeMs, ...end }
}

/** The refusal of an end that is not behind the beginning. */
export function refuseOrder(notBeforeMs: number, notAfterMs: number): Refusal | undefined {
  if (notBeforeMs < notAfterMs) return undefined
  const order = notBeforeMs === notAfterMs ? 'equal to' : 'later than'
  return bad(
    `The certificate's Not Before (${momentText(notBeforeMs)}) is ${order} the certificate's Not After (${momentText(notAfterMs)})`,
  )
}

function beginOf(role: RoleRow, { notBefore }: WantedTimes, nowMs: number): number | Refusal {
  const { not_before: fixed, not_before_bound: bound, not_before_duration: backMs } = role
  const usualMs = nowMs - backMs
  if (fixed !== '') return momentOf(fixed) ?? notAMoment('not_before')
  if (notBefore === '') return usualMs
  if (bound === 'forbid') {
    return bad(`not_before_bound is set to ${bound}. not_before cannot be provided.`)
  }
  const wantedMs = momentOf(notBefore)
  if (wantedMs === undefined) return notAMoment('not_before')
  if (bound === 'duration' && wantedMs < usualMs) {
    return bad(
      `not_before_bound is set to ${bound}. Cannot satisfy request as it would result in notBefore of ${momentText(wantedMs)} that is older than the allowed not_before_duration of ${formatDuration(backMs)}`,
    )
  }
  return wantedMs
}

interface End {
  readonly notAfterMs: number
  readonly warnings: readonly string[]
}

function endOf(role: RoleRow, wanted: WantedTimes, bounds: TimeBounds): End | Refusal {
  const { not_after_bound: bound } = role
  if (role.not_after === '' && wanted.notAfter !== '' && bound === 'forbid') {
    return bad(`not_after_bound is set to ${bound}. not_after cannot be provided.`)
  }
  const said = role.not_after === '' ? wanted.notAfter : role.not_after
  if (wanted.ttlMs > 0 && said !== '') return BOTH
  const { nowMs } = bounds
  const warnings: string[] = []
  const ttlMs = ttlOf(role, wanted, bounds, warnings)
  const saidMs = said === '' ? nowMs + ttlMs : momentOf(said)
  if (saidMs === undefined) return notAMoment('not_after')
  const isOwn = role.not_after === '' && said !== ''
  if (bound === 'ttl-limited' && isOwn && saidMs > nowMs + ttlMs) {
    return bad(
      `not_after_bound is set to ${bound}. Cannot satisfy request as that would result in notAfter of ${momentText(saidMs)} that is beyond the TTL of ${formatDuration(ttlMs)}`,
    )
  }
  const notAfterMs = withinIssuer(saidMs, bounds)
  if (typeof notAfterMs !== 'number') return notAfterMs
  const lastMs = momentOf(bound)
  if (lastMs !== undefined && notAfterMs > lastMs) {
    return bad(
      `not_after_bound is set to ${bound}. Cannot satisfy request as that would result in notAfter of ${momentText(notAfterMs)} that is beyond the maximum timestamp of ${momentText(lastMs)}`,
    )
  }
  return { notAfterMs, warnings }
}

/** The refusal of an end that is said twice. */
export const BOTH = bad(
  'Either ttl or not_after should be provided. Both should not be provided in the same request.',
)

/** How long it is to hold; a warning is put where that is shorter than was asked. */
function ttlOf(
  role: RoleRow,
  { ttlMs: saidMs }: WantedTimes,
  { defaultMs, maxMs: mountMaxMs }: TimeBounds,
  warnings: string[],
): number {
  const ttlMs = saidMs > 0 ? saidMs : role.ttl > 0 ? role.ttl : defaultMs
  const maxMs = role.max_ttl > 0 ? role.max_ttl : mountMaxMs
  if (ttlMs <= maxMs) return ttlMs
  const [ttl, max] = [ttlMs, maxMs].map(formatDuration)
  warnings.push(`TTL "${ttl}" is longer than permitted maxTTL "${max}", so maxTTL is being used`)
  return maxMs
}

/** An end that the issuer lives to see, as it wants it. */
export function withinIssuer(
  notAfterMs: number,
  { nowMs, issuer }: Pick<TimeBounds, 'nowMs' | 'issuer'>,
): number | Refusal {
  const { notAfterMs: lastMs, behavior } = issuer
  if (notAfterMs <= lastMs || behavior === 'permit') return notAfterMs
  if (behavior === 'truncate') {
    return notAfterMs < nowMs
      ? bad(`cannot satisfy request, as NotAfter date ${momentText(notAfterMs)} is in the past`)
      : lastMs
  }
  return bad(
    `cannot satisfy request, as TTL would result in notAfter of ${momentText(notAfterMs)} that is beyond the expiration of the CA certificate at ${momentText(lastMs)}`,
  )
}
