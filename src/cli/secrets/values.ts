/**
 * Values as Go's programs print them in text: what scripts cut out of tables.
 *
 * Owns `%v` of whatever JSON holds, lists in quotes, seconds as durations without zeros, and
 * times. Pure.
 */
import { formatDuration } from '../../base/duration.ts'
import { isData } from './secret.ts'

/** A value as Go's `%v`: `[a b]`, `map[a:1 b:2]`, `<nil>`. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (!isData(value)) return String(value)
  const parts = Object.keys(value)
    .sort()
    .map(key => `${key}:${goText(value[key])}`)
  return `map[${parts.join(' ')}]`
}

/** A list of texts as Go's `%q`: `["a" "b"]`. */
export const quotedList = (list: readonly string[] | null | undefined): string =>
  `[${(list ?? []).map(one => JSON.stringify(one)).join(' ')}]`

/** Whether a key is that of a duration in seconds, by its name. */
export const isDurationKey = (key: string): boolean =>
  /(^|_)(period|ttl|duration)$/.test(key) || key === 'lease_max' || key === 'ttl_max'

/** Whole seconds as `768h`, `1h30m`, `0s`; whatever else is printed as it is. */
export function secondsText(value: unknown): string {
  const isWhole = typeof value === 'bigint' || Number.isInteger(value)
  if (!isWhole) return goText(value)
  const text = formatDuration(Number(value) * 1000)
  return text
    .replace(/m0s$/, 'm')
    .replace(/h0m$/, 'h')
    .replace(/h0m(?=\d)/, 'h')
}

/** `2026-01-02T03:04:05.6Z` as `2026-01-02 03:04:05.6 +0000 UTC`; other texts as they are. */
export function timeText(rfc3339: string): string {
  const parts = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)$/.exec(rfc3339)
  if (parts === null) return rfc3339
  const [, day, time, zone = ''] = parts
  const offset = zone.replace(':', '')
  return `${day} ${time} ${zone === 'Z' ? '+0000 UTC' : `${offset} ${offset}`}`
}
