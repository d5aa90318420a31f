/**
 * Times at which a task goes, in the words of cron: minute, hour, day of the month, month, day of
 * the week, in UTC.
 *
 * Owns their grammar and the next time after another. Where both days are given, either of them is
 * enough, as cron has it. Pure.
 */
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../base/duration.ts'

/** A schedule as it was read: which values of each field it means. */
export interface Schedule {
  readonly text: string
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** Whether the days of the month, and of the week, are all of them. */
  readonly isAnyDay: boolean
  readonly isAnyWeekday: boolean
}

interface Field {
  readonly name: string
  readonly least: number
  readonly most: number
  /** Other words for its values, from the least one on. */
  readonly words?: readonly string[]
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const SUNDAY_TOO = 7

const fields = {
  minutes: { name: 'minute', least: 0, most: 59 },
  hours: { name: 'hour', least: 0, most: 23 },
  days: { name: 'day of the month', least: 1, most: 31 },
  months: { name: 'month', least: 1, most: 12, words: MONTHS },
  weekdays: { name: 'day of the week', least: 0, most: SUNDAY_TOO, words: WEEKDAYS },
} as const satisfies Record<string, Field>

const shorthands: ReadonlyMap<string, string> = new Map([
  ['@hourly', '0 * * * *'],
  ['@daily', '0 0 * * *'],
  ['@weekly', '0 0 * * 0'],
  ['@monthly', '0 0 1 * *'],
])

/** Reads a schedule; what is wrong with it where it is none. */
export function readSchedule(text: string): Schedule | { readonly problem: string } {
  const words = (shorthands.get(text) ?? text).trim().split(/\s+/)
  const names = Object.keys(fields) as (keyof typeof fields)[]
  if (words.length !== names.length) {
    return { problem: 'must have five fields: minute, hour, day, month, day of the week' }
  }
  const found = {} as Record<keyof typeof fields, ReadonlySet<number>>
  for (const [at, name] of names.entries()) {
    const values = valuesOf(words[at]!, fields[name])
    if (typeof values === 'string') return { problem: values }
    found[name] = values
  }
  const weekdays = new Set([...found.weekdays].map(day => day % SUNDAY_TOO))
  const schedule: Schedule = {
    ...found,
    text,
    weekdays,
    isAnyDay: words[2] === '*',
    isAnyWeekday: words[4] === '*',
  }
  return nextTimeMs(schedule, 0) === undefined ? { problem: 'never comes' } : schedule
}

function valuesOf(text: string, field: Field): Set<number> | string {
  const values = new Set<number>()
  for (const part of text.toLowerCase().split(',')) {
    const [, range = '', step] = /^([^/]+)(?:\/(\d{1,2}))?$/.exec(part) ?? []
    const bounds = boundsOf(range, step !== undefined, field)
    const by = step === undefined ? 1 : Number(step)
    if (bounds === undefined || by === 0) {
      return `the ${field.name} must be made of numbers from ${field.least} to ${field.most}`
    }
    for (let value = bounds[0]; value <= bounds[1]; value += by) values.add(value)
  }
  return values
}

/** `*`, `5`, `1-5`; a number with a step goes on to the end. */
function boundsOf(range: string, hasStep: boolean, field: Field): [number, number] | undefined {
  if (range === '*') return [field.least, field.most]
  const [first = '', last, more] = range.split('-')
  if (more !== undefined) return undefined
  const from = numberOf(first, field)
  const to = last === undefined ? (hasStep ? field.most : from) : numberOf(last, field)
  return from === undefined || to === undefined || from > to ? undefined : [from, to]
}

function numberOf(text: string, { least, most, words = [] }: Field): number | undefined {
  const word = words.indexOf(text)
  const value = word >= 0 ? word + least : /^\d{1,2}$/.test(text) ? Number(text) : -1
  return value >= least && value <= most ? value : undefined
}

/** The 29th of February may be eight years away. */
const LOOKED_AT_DAYS = 9 * 366

/** The first time after `afterMs`, both of the wall clock; undefined where there is none. */
export function nextTimeMs(schedule: Schedule, afterMs: number): number | undefined {
  const firstMs = Math.floor(afterMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS
  const dayMs = Math.floor(firstMs / DAY_MS) * DAY_MS
  for (let day = 0; day < LOOKED_AT_DAYS; day++) {
    const startMs = dayMs + day * DAY_MS
    if (!isDayOf(schedule, new Date(startMs))) continue
    const found = timeOfDayMs(schedule, firstMs - startMs)
    if (found !== undefined) return startMs + found
  }
  return undefined
}

function isDayOf(schedule: Schedule, date: Date): boolean {
  if (!schedule.months.has(date.getUTCMonth() + 1)) return false
  const isDay = schedule.days.has(date.getUTCDate())
  const isWeekday = schedule.weekdays.has(date.getUTCDay())
  if (schedule.isAnyDay || schedule.isAnyWeekday) return isDay && isWeekday
  return isDay || isWeekday
}

/** The first time of a day that is not before `leastMs`. */
function timeOfDayMs({ hours, minutes }: Schedule, leastMs: number): number | undefined {
  for (const hour of [...hours].sort((a, b) => a - b)) {
    for (const minute of [...minutes].sort((a, b) => a - b)) {
      const atMs = hour * HOUR_MS + minute * MINUTE_MS
      if (atMs >= leastMs) return atMs
    }
  }
  return undefined
}
