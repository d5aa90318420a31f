/**
 * The functions of conditions that are ours: time of day, networks, patterns, lower case.
 *
 * Owns what they mean and cost. Times are those of CEL, taken over since the library counts days by
 * the clock of the machine; patterns are matched in bounded time by the engine of filters. Pure.
 */
import { isIP } from 'node:net'
import { DAY_MS } from '../../base/duration.ts'
import { limits } from '../../base/limits.ts'
import { parseNetwork, plainAddress } from '../../base/networks.ts'
import { Automaton } from '../../filter/automaton.ts'
import { FilterError } from '../../filter/expression.ts'
import { programOf } from '../../filter/pattern.ts'
import type { Meter } from './meter.ts'

/** A value that is made once and used often; the oldest goes where there are too many. */
class Kept<V> {
  readonly #values = new Map<string, V>()

  has(name: string): boolean {
    return this.#values.has(name)
  }

  get(name: string, make: () => V): V {
    const known = this.#values.get(name)
    if (known !== undefined) return known
    const made = make()
    if (this.#values.size >= limits.conditionValuesKept) {
      this.#values.delete(this.#values.keys().next().value!)
    }
    this.#values.set(name, made)
    return made
  }
}

// --- time

/** The parts of a time in some zone, as Date's UTC methods would give them there. */
export type TimePart =
  | 'getFullYear'
  | 'getMonth'
  | 'getDate'
  | 'getDayOfMonth'
  | 'getDayOfWeek'
  | 'getDayOfYear'
  | 'getHours'
  | 'getMinutes'
  | 'getSeconds'
  | 'getMilliseconds'

const PARTS: Readonly<Record<TimePart, (local: Date) => number>> = {
  getFullYear: local => local.getUTCFullYear(),
  getMonth: local => local.getUTCMonth(),
  getDate: local => local.getUTCDate(),
  getDayOfMonth: local => local.getUTCDate() - 1,
  getDayOfWeek: local => local.getUTCDay(),
  getDayOfYear: local =>
    Math.floor((local.getTime() - Date.UTC(local.getUTCFullYear(), 0, 1)) / DAY_MS),
  getHours: local => local.getUTCHours(),
  getMinutes: local => local.getUTCMinutes(),
  getSeconds: local => local.getUTCSeconds(),
  getMilliseconds: local => local.getUTCMilliseconds(),
}

export const TIME_PARTS = Object.keys(PARTS) as readonly TimePart[]

/** What a named zone costs: the runtime is asked for the parts of the time there. */
const ZONE_STEPS = 100

/** A part of a time in a zone; '' is UTC. Throws where there is no such zone. */
export function timePart(part: TimePart, timeMs: number, zone: string, meter: Meter): bigint {
  if (zone !== '' && !OFFSET.test(zone)) meter.charge(ZONE_STEPS)
  return BigInt(PARTS[part](new Date(timeMs + offsetMs(timeMs, zone))))
}

const OFFSET = /^([+-]?)(\d\d):(\d\d)$/

function offsetMs(timeMs: number, zone: string): number {
  if (zone === '' || zone === 'UTC') return 0
  const [, sign, hours, minutes] = OFFSET.exec(zone) ?? []
  if (hours !== undefined) {
    const ms = (Number(hours) * 60 + Number(minutes)) * 60_000
    return sign === '-' ? -ms : ms
  }
  const seconds = Math.floor(timeMs / 1_000) * 1_000
  const part = new Map(
    formatOf(zone)
      .formatToParts(seconds)
      .map(one => [one.type, one.value]),
  )
  const [year, month, day, hour, minute, second] = ZONE_PARTS.map(name => Number(part.get(name)))
  return Date.UTC(year!, month! - 1, day, hour, minute, second) - seconds
}

const ZONE_PARTS = ['year', 'month', 'day', 'hour', 'minute', 'second'] as const
const formats = new Kept<Intl.DateTimeFormat>()

const formatOf = (zone: string): Intl.DateTimeFormat =>
  formats.get(zone, () => {
    const digits = '2-digit' as const
    return new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: digits,
      day: digits,
      hour: digits,
      minute: digits,
      second: digits,
    })
  })

/** What is wrong with a zone; undefined when nothing is. */
export function zoneProblem(zone: string): string | undefined {
  if (zone === '' || OFFSET.test(zone)) return undefined
  try {
    formatOf(zone)
    return undefined
  } catch {
    return `there is no time zone ${JSON.stringify(zone)}`
  }
}

// --- networks

const networks = new Kept<ReturnType<typeof parseNetwork>>()

/** What is wrong with a range of addresses; undefined when nothing is. */
export const networkProblem = (text: string): string | undefined =>
  parseNetwork(text) === undefined ? `${JSON.stringify(text)} is no range of addresses` : undefined

/** Whether an address is in a range. Throws where one of the texts is none. */
export function isInCidr(address: string, range: string): boolean {
  const network = networks.get(range, () => parseNetwork(range))
  if (network === undefined) throw new Error('no range of addresses')
  if (isIP(address.replace(/%.*/s, '')) === 0) throw new Error('no address')
  return network.has(plainAddress(address))
}

// --- patterns

const patterns = new Kept<Automaton>()
/** What one pattern may still do; shared, as one is matched after the other. */
const work = { left: 0 }
const WORK_PER_STEP = 16
/** What it costs to make a pattern ready that was not. */
const PATTERN_STEPS = 100

/** What is wrong with a pattern; undefined when nothing is. */
export function patternProblem(pattern: string): string | undefined {
  try {
    automatonOf(pattern)
    return undefined
  } catch (error) {
    if (error instanceof FilterError) return error.message
    throw error
  }
}

const automatonOf = (pattern: string): Automaton =>
  patterns.get(
    pattern,
    () => new Automaton(programOf(pattern, { left: limits.filterPatternSteps }), work),
  )

/** Whether a pattern is found anywhere in a text. Throws where it is none, or takes too long. */
export function isMatch(text: string, pattern: string, meter: Meter): boolean {
  if (!patterns.has(pattern)) meter.charge(PATTERN_STEPS)
  const automaton = automatonOf(pattern)
  const allowed = meter.left * WORK_PER_STEP
  work.left = allowed
  try {
    return automaton.matches(text)
  } finally {
    meter.charge(Math.ceil((allowed - Math.max(0, work.left)) / WORK_PER_STEP))
  }
}
