/**
 * Times of certificates: as requests write them, and from when to when one is valid.
 *
 * Owns the bounds that a mount and an issuer set to that. Pure: now is handed in.
 */
import { formatDuration } from '../../../base/duration.ts'
import { Refusal } from '../../../base/errors.ts'
import { bad } from './refusals.ts'
import type { LeafBehavior } from './rows.ts'

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/
/** UTCTime begins there, and so does what a certificate can say. */
const EARLIEST_MS = Date.UTC(1950, 0)

/** A time that somebody wrote, in milliseconds. */
export function timeOf(text: string): number | Refusal {
  const atMs = RFC3339.test(text) ? Date.parse(text.toUpperCase()) : Number.NaN
  return Number.isNaN(atMs) || atMs < EARLIEST_MS
    ? bad(
        `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse it as a time of a certificate`,
      )
    : atMs
}

/** As answers and refusals tell it. */
export const timeText = (atMs: number): string =>
  new Date(atMs).toISOString().replace(/\.?0*Z$/, 'Z')

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
  readonly issuer?: { readonly notAfter: Date; readonly behavior: LeafBehavior } | undefined
}

/** When a certificate is to be valid. */
export function lifeOf(asked: LifeAsked): Life | Refusal {
  const { nowMs, notBefore = '', notAfter = '', notBeforeDurationMs } = asked
  if (asked.ttlMs > 0 && notAfter !== '') {
    return bad(
      'Either ttl or not_after should be provided. Both should not be provided in the same request.',
    )
  }
  const usualStartMs = nowMs - (notBeforeDurationMs > 0 ? notBeforeDurationMs : USUAL_BEFORE_MS)
  const startMs = notBefore === '' ? usualStartMs : timeOf(notBefore)
  if (startMs instanceof Refusal) return startMs
  const warnings: string[] = []
  let endMs: number | Refusal
  if (notAfter === '') {
    const ttlMs = asked.ttlMs === 0 ? asked.usualTtlMs : asked.ttlMs
    if (ttlMs > asked.maxTtlMs) {
      const [wanted, most] = [formatDuration(ttlMs), formatDuration(asked.maxTtlMs)]
      warnings.push(
        `TTL "${wanted}" is longer than permitted maxTTL "${most}", so maxTTL is being used`,
      )
    }
    endMs = nowMs + Math.min(ttlMs, asked.maxTtlMs)
  } else endMs = timeOf(notAfter)
  if (endMs instanceof Refusal) return endMs
  const within = withinIssuer(endMs, asked)
  if (within instanceof Refusal) return within
  const refused = refuseOrder(startMs, within)
  return refused ?? { notBefore: wholeSeconds(startMs), notAfter: wholeSeconds(within), warnings }
}

const USUAL_BEFORE_MS = 30_000

const wholeSeconds = (atMs: number): Date => new Date(Math.floor(atMs / 1_000) * 1_000)

function withinIssuer(endMs: number, { issuer, nowMs }: LifeAsked): number | Refusal {
  if (issuer === undefined || endMs <= issuer.notAfter.getTime()) return endMs
  const issuerEndMs = issuer.notAfter.getTime()
  switch (issuer.behavior) {
    case 'permit':
      return endMs
    case 'truncate':
      return endMs < nowMs
        ? bad(`cannot satisfy request, as NotAfter date ${timeText(endMs)} is in the past`)
        : issuerEndMs
    default:
      return bad(
        `cannot satisfy request, as TTL would result in notAfter of ${timeText(endMs)} that is beyond the expiration of the CA certificate at ${timeText(issuerEndMs)}`,
      )
  }
}

function refuseOrder(startMs: number, endMs: number): Refusal | undefined {
  if (startMs < endMs) return undefined
  const relation = startMs === endMs ? 'is equal to' : 'is later than'
  return bad(
    `The certificate's Not Before (${timeText(startMs)}) ${relation} the certificate's Not After (${timeText(endMs)})`,
  )
}
