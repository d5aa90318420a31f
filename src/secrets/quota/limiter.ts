/**
 * Rate limits, counted: how often each client asked in the interval that runs.
 *
 * Owns the counts, which are this server's own: each server allows the rate of a quota. Holds a
 * bounded number of clients; the one that was new longest ago is forgotten first. Reads no clock.
 */

import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Draft } from '../storage.ts'
import type { VaultPrincipal } from '../token/principal.ts'
import { type QuotaPlace, type QuotaRow, quotaConfig, quotasFor } from './quota.ts'

interface Count {
  untilMs: number
  used: number
  /** Refused until then, whatever the interval says. */
  blockedUntilMs: number
}

/** Who asks, as far as quotas tell clients apart. */
export interface QuotaClient {
  readonly remote: string
  /** Looked at where a quota needs it alone. */
  who(): VaultPrincipal | undefined
}

export interface Verdict {
  readonly refusal: Refusal | undefined
  readonly headers: Readonly<Record<string, string>>
}

const ALLOWED: Verdict = { refusal: undefined, headers: {} }

/** A request: where it goes, and by which path as it is shown. */
export interface Rated extends QuotaPlace {
  readonly path: string
  /** The wall clock's time, for what answers say. */
  readonly wallMs: number
}

export class Limiter {
  readonly #counts = new Map<string, Count>()

  /** Counts a request and judges it. `nowMs` is of the monotonic clock. */
  take(draft: Draft, rated: Rated, client: QuotaClient, nowMs: number): Verdict {
    const rows = quotasFor(draft, 'rate-limit', rated)
    if (rows.length === 0 || isExempt(draft, rated)) return ALLOWED
    let tightest: Left | undefined
    for (const row of rows) {
      const left = this.#count(row, client, nowMs)
      if (tightest === undefined || left.remaining < tightest.remaining) tightest = left
    }
    const { tellsInHeaders } = quotaConfig(draft)
    const isRefused = tightest!.remaining < 0
    const headers = tellsInHeaders ? headersOf(tightest!, rated.wallMs) : {}
    if (!isRefused) return { refusal: undefined, headers }
    const text = `request path ${JSON.stringify(rated.path)}: rate limit quota exceeded`
    return {
      refusal: new Refusal(429, text),
      headers: { ...headers, 'Retry-After': String(Math.ceil(tightest!.resetsInMs / 1_000)) },
    }
  }

  #count(row: QuotaRow, client: QuotaClient, nowMs: number): Left {
    const { key, rate } = groupOf(row, client)
    const allowed = Math.max(1, Math.floor(rate))
    // A rate below one in an interval is one in a longer one.
    const intervalMs = rate < 1 ? row.intervalMs / rate : row.intervalMs
    const id = `${row.name}\n${key}`
    let count = this.#counts.get(id)
    if (count === undefined) {
      if (this.#counts.size >= limits.quotaClients) this.#forgetOldest()
      count = { untilMs: nowMs + intervalMs, used: 0, blockedUntilMs: 0 }
      this.#counts.set(id, count)
    } else if (count.untilMs <= nowMs) {
      count.untilMs = nowMs + intervalMs
      count.used = 0
    }
    if (count.blockedUntilMs > nowMs) {
      return { allowed, remaining: -1, resetsInMs: count.blockedUntilMs - nowMs }
    }
    count.used++
    if (count.used > allowed && row.blockMs > 0) count.blockedUntilMs = nowMs + row.blockMs
    const untilMs = Math.max(count.untilMs, count.blockedUntilMs)
    return { allowed, remaining: allowed - count.used, resetsInMs: untilMs - nowMs }
  }

  #forgetOldest(): void {
    const [oldest] = this.#counts.keys()
    this.#counts.delete(oldest!)
  }

  /** How many clients are counted. */
  get size(): number {
    return this.#counts.size
  }
}

interface Left {
  readonly allowed: number
  /** Below 0 where there was nothing left. */
  readonly remaining: number
  readonly resetsInMs: number
}

const headersOf = (
  { allowed, remaining, resetsInMs }: Left,
  wallMs: number,
): Record<string, string> => ({
  'X-Ratelimit-Limit': String(allowed),
  'X-Ratelimit-Remaining': String(Math.max(0, remaining)),
  'X-Ratelimit-Reset': new Date(wallMs + resetsInMs).toUTCString(),
})

function isExempt(draft: Draft, { namespace, path }: Rated): boolean {
  const { exempt, exemptEverywhere } = quotaConfig(draft)
  const covers = (pattern: string): boolean =>
    pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern
  return (namespace.path === '' && exempt.some(covers)) || exemptEverywhere.some(covers)
}

interface Group {
  readonly key: string
  readonly rate: number
}

/** The group of clients that one is counted with. */
function groupOf({ groupBy, rate, secondaryRate }: QuotaRow, client: QuotaClient): Group {
  const second = secondaryRate > 0 ? secondaryRate : rate
  const entityId = (): string => client.who()?.token.entityId ?? ''
  switch (groupBy) {
    case 'none':
      return { key: 'all', rate }
    case 'token_accessor': {
      const accessor = client.who()?.token.accessor ?? ''
      return accessor === ''
        ? { key: `ip/${client.remote}`, rate: second }
        : { key: `accessor/${accessor}`, rate }
    }
    case 'entity_then_ip': {
      const id = entityId()
      return id === ''
        ? { key: `ip/${client.remote}`, rate: second }
        : { key: `entity/${id}`, rate }
    }
    case 'entity_then_none': {
      const id = entityId()
      return id === '' ? { key: 'all', rate: second } : { key: `entity/${id}`, rate }
    }
    default:
      return { key: `ip/${client.remote}`, rate }
  }
}
