/**
 * Durations in Go's notation ("1h30m", "500ms"), as every client of Consul's writes them.
 *
 * Owns parsing and printing; both follow Go's time.ParseDuration and Duration.String. And what a
 * unit of time is in milliseconds, for all who count in others.
 */

/** Units of time, in milliseconds. */
export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
}

/** Each digit can be matched in one way alone: a long text costs no more than its length. */
const PART = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/y

/** Milliseconds (may be fractional and negative), or undefined where Go would refuse the text. */
export function parseDurationMs(text: string): number | undefined {
  const negative = text.startsWith('-')
  const body = negative || text.startsWith('+') ? text.slice(1) : text
  if (body === '0') return 0
  if (body === '') return undefined
  let totalMs = 0
  PART.lastIndex = 0
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body)
    if (match === null) return undefined
    totalMs += Number(match[1]) * UNIT_MS[match[2]!]!
  }
  if (totalMs > 9_223_372_036_854) return undefined
  return negative ? -totalMs : totalMs
}

/** Prints milliseconds as Go's Duration.String does: "1h0m0s", "1.5s", "100ms", "0s". */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s'
  const sign = durationMs < 0 ? '-' : ''
  const wholeMs = Math.floor(Math.abs(durationMs))
  const absoluteMs = wholeMs + Math.round((Math.abs(durationMs) - wholeMs) * 1e6) / 1e6
  if (absoluteMs < 1000) {
    const ns = Math.round(absoluteMs * 1e6)
    if (ns < 1000) return `${sign}${ns}ns`
    return ns < 1e6 ? `${sign}${ns / 1e3}µs` : `${sign}${ns / 1e6}ms`
  }
  // Whole seconds and the rest apart: in nanoseconds, long durations are not exact any more.
  const totalSeconds = Math.floor(absoluteMs / 1000)
  const ns = Math.round((absoluteMs - totalSeconds * 1000) * 1e6)
  const fraction = ns === 0 ? '' : `.${String(ns).padStart(9, '0')}`.replace(/0+$/, '')
  const hours = Math.floor(totalSeconds / 3600)
  const minutes = Math.floor((totalSeconds % 3600) / 60)
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : ''
  return `${sign}${head}${totalSeconds % 60}${fraction}s`
}
