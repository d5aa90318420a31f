/**
 * Pages of other origins: which may ask, as `sys/config/cors` says.
 *
 * Owns the headers (the Fetch standard's CORS protocol). Decides by what it is given: the settings
 * are the room's.
 */
import type { IncomingMessage } from 'node:http'
import type { CorsRow } from '../../secrets/settings.ts'

const METHODS = ['DELETE', 'GET', 'OPTIONS', 'POST', 'PUT', 'LIST', 'SCAN']
const MAX_AGE_S = 300

/** What is to be done with a request because of where it comes from. */
export interface CorsVerdict {
  /** Set where the request is answered with it, and goes no further. */
  readonly status?: 204 | 403 | 405
  readonly text?: string
  readonly headers: Readonly<Record<string, string>>
}

const NOTHING: CorsVerdict = { headers: {} }

/** Judges a request; `cors` is undefined where no page of another origin may ask. */
export function judgeOrigin(message: IncomingMessage, cors: CorsRow | undefined): CorsVerdict {
  const { headers, method } = message
  const { origin } = headers
  const wanted = headers['access-control-request-method']
  const isPreflight = method === 'OPTIONS' && wanted !== undefined
  if (origin === undefined || cors === undefined) {
    return method === 'OPTIONS' ? { status: 405, headers: {} } : NOTHING
  }
  if (!cors.origins.includes('*') && !cors.origins.includes(origin)) {
    return { status: 403, text: 'origin not allowed', headers: {} }
  }
  if (isPreflight && !METHODS.includes(wanted)) return { status: 405, headers: {} }
  const allowed = { 'Access-Control-Allow-Origin': origin, Vary: 'Origin' }
  if (method !== 'OPTIONS') return { headers: allowed }
  return {
    status: 204,
    headers: {
      ...allowed,
      'Access-Control-Allow-Methods': METHODS.join(','),
      'Access-Control-Allow-Headers': cors.headers.join(','),
      'Access-Control-Max-Age': String(MAX_AGE_S),
    },
  }
}
