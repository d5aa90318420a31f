/**
 * Durations in Go's notation ("1h30m", "500ms"), as every client of Consul's writes them.
 *
 * Owns parsing and printing; both follow Go's time.ParseDuration and Duration.String.
 */

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

const PART = /([0-9]*\.?[0-9]+|[0-9]+\.)(ns|us|µs|μs|ms|s|m|h)/y

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
  const ns = Math.round(Math.abs(durationMs) * 1e6)
  if (ns < 1000) return `${sign}${ns}ns`
  if (ns < 1e6) return `${sign}${ns / 1e3}µs`
  if (ns < 1e9) return `${sign}${ns / 1e6}ms`
  const hours = Math.floor(ns / 3.6e12)
  const minutes = Math.floor((ns % 3.6e12) / 6e10)
  const seconds = (ns % 6e10) / 1e9
  const head = hours > 0 ? `${hours}h${minutes}m` : minutes > 0 ? `${minutes}m` : ''
  return `${sign}${head}${seconds}s`
}
