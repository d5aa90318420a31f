/**
 * From when to when the certificate of an authority is valid.
 *
 * Owns the bounds that a mount and an issuer set to that; how a time is written, and what is said
 * of it, is role/times.ts's. Pure: now is handed in.
 */
import { formatDuration } from '../../../base/duration.ts'
import { Refusal } from '../../../base/errors.ts'
import { BOTH, momentOf, notAMoment, refuseOrder, withinIssuer } from './role/times.ts'
import type { LeafBehavior } from './rows.ts'

/** From when to when. */
export interface Life {
  readonly notBefore: Date
  readonly notAfter: Date
  readonly warnings: readonly string[]
}

/** What a request says of it, and what it is bounded by. */
export interface LifeAsked {
  readonly nowMs: number
  /** 0 for what is usual. */
  readonly ttlMs: number
  readonly usualTtlMs: number
  readonly maxTtlMs: number
  readonly notBefore?: string | undefined
  readonly notBeforeDurationMs: number
  readonly notAfter?: string | undefined
  /** The end of whoever signs, and what holds of it; undefined for nobody. */
  readonly issuer?: { readonly notAfterMs: number; readonly behavior: LeafBehavior } | undefined
}

const USUAL_BEFORE_MS = 30_000

/** When a certificate is to be valid. */
export function lifeOf(asked: LifeAsked): Life | Refusal {
  const { nowMs, notBefore = '', notAfter = '', notBeforeDurationMs, issuer } = asked
  if (asked.ttlMs > 0 && notAfter !== '') return BOTH
  const usualStartMs = nowMs - (notBeforeDurationMs > 0 ? notBeforeDurationMs : USUAL_BEFORE_MS)
  const startMs = notBefore === '' ? usualStartMs : momentOf(notBefore)
  if (startMs === undefined) return notAMoment('not_before')
  const ttlMs = asked.ttlMs === 0 ? asked.usualTtlMs : asked.ttlMs
  const isCut = notAfter === '' && ttlMs > asked.maxTtlMs
  const saidMs = notAfter === '' ? nowMs + Math.min(ttlMs, asked.maxTtlMs) : momentOf(notAfter)
  if (saidMs === undefined) return notAMoment('not_after')
  const endMs = issuer === undefined ? saidMs : withinIssuer(saidMs, { nowMs, issuer })
  if (endMs instanceof Refusal) return endMs
  const refused = refuseOrder(startMs, endMs)
  if (refused !== undefined) return refused
  const [wanted, most] = [ttlMs, asked.maxTtlMs].map(formatDuration)
  return {
    notBefore: new Date(startMs),
    notAfter: new Date(endMs),
    warnings: isCut
      ? [`TTL "${wanted}" is longer than permitted maxTTL "${most}", so maxTTL is being used`]
      : [],
  }
}
