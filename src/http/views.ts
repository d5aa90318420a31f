/**
 * Reads that an agent without a store answers from the part of one that it keeps.
 *
 * Owns which reads may be: those that say that they take what is kept (`stale`, `cached`,
 * `max_stale`), or whose configuration says it for them. All others are the servers'.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Asker } from '../store/ask.ts'
import type { Interest } from '../store/replica/interest.ts'

/** Answers a request by a text, with the headers of all answers. */
export type Replied = (
  status: number,
  text: string,
  headers?: Readonly<Record<string, string>>,
) => void

/** What a face asks of an agent that keeps a part of a store. */
export interface HttpViews {
  /** Of what is kept; its age is that of the views. */
  readonly asker: Asker
  /**
   * Undefined where all is here that whoever shows a token may see of it; else a promise of that,
   * which rejects when no server can be reached or it takes too long.
   */
  ensure(interests: readonly Interest[], token: string): Promise<void> | undefined
  /** Has a server answer a request; its body was not read. `reply` answers where none does. */
  forward(message: IncomingMessage, response: ServerResponse, reply: Replied): void
}

/** Whether a request may be one that what is kept answers; a look at its URL alone. */
export const mayTakeKept = (url: string, discoveryMaxStaleMs: number): boolean =>
  /[?&](?:stale|cached|max_stale)(?:[=&]|$)/.test(url) ||
  (discoveryMaxStaleMs > 0 && /^\/v1\/(?:catalog|health)\//.test(url))

/** What the query says of how old an answer may be. */
interface Modes {
  readonly stale: boolean
  readonly consistent: boolean
  readonly leader: boolean
  readonly cached: boolean
  readonly max_stale: number | undefined
}

/** What holds where the query says nothing. */
interface ModeSettings {
  /** Whether this operation is one that Consul's agents cache, and `cached` is served. */
  readonly isCached: boolean
  /** How old answers of this operation may be without being asked for; 0 for not at all. */
  readonly ofDiscoveryMs: number
}

/**
 * How old an answer may be, in milliseconds: any age where it is infinite. Undefined where only a
 * server may answer.
 */
export function allowedAgeMs(
  query: Modes,
  { isCached, ofDiscoveryMs }: ModeSettings,
  headers: IncomingHttpHeaders,
): number | undefined {
  if (query.consistent) return undefined
  if (query.cached && isCached) return cachedAgeMs(headers)
  if (query.leader) return undefined
  if (query.max_stale !== undefined && query.max_stale > 0) return query.max_stale
  if (query.stale) return Number.POSITIVE_INFINITY
  return ofDiscoveryMs > 0 ? ofDiscoveryMs : undefined
}

/**
 * What Cache-Control says to an agent's cache: `max-age`, and by how much more an answer may be
 * older when no server gives a newer one. `must-revalidate` is a `max-age` of 0.
 */
function cachedAgeMs(headers: IncomingHttpHeaders): number {
  const given = headers['cache-control']?.toLowerCase() ?? ''
  const seconds = (name: string): number | undefined => {
    const found = new RegExp(`(?:^|,)\\s*${name}=(\\d+)`).exec(given)?.[1]
    return found === undefined ? undefined : Number(found)
  }
  const maxAge = /(?:^|,)\s*must-revalidate/.test(given) ? 0 : seconds('max-age')
  if (maxAge === undefined) return Number.POSITIVE_INFINITY
  // An agent follows what it has: nothing that it could fetch is newer, unless it follows nobody.
  return 1_000 * (maxAge + (seconds('stale-if-error') ?? 0))
}
