/**
 * Fields of configuration entries: how what a client wrote becomes what is kept and answered.
 *
 * Owns decoding as Consul does it for entries alone: names in any case, with or without `_`, types
 * taken loosely ("5" is a number, one value is a list of one), fields that say nothing left out,
 * and everything that is wrong told at once. Declared once per kind; the same declaration checks
 * answers. Pure.
 */
import { formatDuration, parseDurationMs } from '../../base/duration.ts'
import { limits } from '../../base/limits.ts'

/** Where problems go: each is a line for the client. */
export type Problems = string[]

export interface Field {
  /** What is kept of a value (undefined: absent); undefined where it says nothing. */
  decode(value: unknown, at: string, problems: Problems): unknown
  /** What is wrong with an answer. */
  check(value: unknown, at: string): string[]
  /** Whether every answer has it. */
  readonly isAlways: boolean
  /** What stands in a list or map for a value that says nothing. */
  readonly blank: unknown
  readonly schema: Readonly<Record<string, unknown>>
}

/** How much of a name or value that was given is told back. */
const SHOWN_CHARS = 128

const shown = (name: string): string => JSON.stringify(name.slice(0, SHOWN_CHARS))
const expected = (at: string, what: string): string => `'${at}' expected ${what}`

function scalar(
  type: 'string' | 'boolean' | 'integer' | 'number',
  read: (value: unknown) => unknown,
  isRight: (value: unknown) => boolean,
): Field {
  return {
    decode(value, at, problems) {
      if (value === undefined || value === null) return undefined
      const given = Array.isArray(value) && value.length === 1 ? value[0] : value
      const found = read(given)
      if (found === undefined) problems.push(expected(at, `type '${type}'`))
      return found === '' || found === 0 || found === false ? undefined : found
    },
    check: (value, at) => (isRight(value) ? [] : [`${at}: not of type ${type}`]),
    isAlways: false,
    blank: type === 'string' ? '' : type === 'boolean' ? false : 0,
    schema: { type },
  }
}

const readText = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? '1' : '0'
  return typeof value === 'number' ? String(value) : undefined
}

const readBool = (value: unknown): boolean | undefined => {
  if (typeof value === 'boolean') return value
  if (typeof value === 'number') return value !== 0
  if (typeof value !== 'string') return undefined
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true
  return /^(|0|f|F|FALSE|false|False)$/.test(value) ? false : undefined
}

const readInteger = (value: unknown): number | undefined => {
  if (typeof value === 'boolean') return Number(value)
  const number = typeof value === 'string' && /^[+-]?[0-9]+$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(number) ? (number as number) : undefined
}

const readNumber = (value: unknown): number | undefined => {
  if (typeof value === 'boolean') return Number(value)
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return Number.isFinite(number) ? (number as number) : undefined
}

/** Durations are text or whole nanoseconds. */
const readNanoseconds = (value: unknown): number | undefined => {
  if (typeof value !== 'string') return readInteger(value)
  const durationMs = value === '' ? 0 : parseDurationMs(value)
  return durationMs === undefined ? undefined : Math.round(durationMs * 1e6)
}

const isInteger = (value: unknown): boolean => Number.isSafeInteger(value)
const isText = (value: unknown): boolean => typeof value === 'string'

export const text: Field = scalar('string', readText, isText)
export const bool: Field = scalar('boolean', readBool, value => typeof value === 'boolean')
export const integer: Field = scalar('integer', readInteger, isInteger)
export const float: Field = scalar('number', readNumber, value => typeof value === 'number')
/** A duration that is answered as a number of nanoseconds, as Consul does in most kinds. */
export const nanoseconds: Field = scalar('integer', readNanoseconds, isInteger)

/** A duration that is answered as text ("15s"), as Consul does in resolvers. */
export const duration: Field = scalar(
  'string',
  value => {
    const ns = readNanoseconds(value)
    return ns === undefined || ns === 0 ? ns : formatDuration(ns / 1e6)
  },
  value => typeof value === 'string' && parseDurationMs(value) !== undefined,
)

/** A time in RFC 3339, kept as it was written. */
export const time: Field = scalar(
  'string',
  value => (typeof value === 'string' && !Number.isNaN(Date.parse(value)) ? value : undefined),
  isText,
)

const unknownKey = (key: string): string => {
  const what = /namespace$/i.test(key) ? ', namespaces are a consul enterprise feature' : ''
  return `invalid config key ${shown(key)}${what}`
}

/** What a client may send back from an answer, and which is not its to say. */
export const ignored: Field = {
  decode: () => undefined,
  check: (_value, at) => [`${at}: not a field of the entry`],
  isAlways: false,
  blank: '',
  schema: {},
}

/** A field of any content, kept as it came. */
export const free: Field = {
  decode(value) {
    const isEmpty = isObject(value) && Object.keys(value).length === 0
    return value === null || isEmpty ? undefined : value
  },
  check: () => [],
  isAlways: false,
  blank: {},
  schema: {},
}

/** A number or text that differs from an absent one although it is zero. */
export function zeroable(field: Field): Field {
  return {
    ...field,
    decode(value, at, problems) {
      if (value === undefined || value === null) return undefined
      const before = problems.length
      const found = field.decode(value, at, problems)
      return found === undefined && problems.length === before ? 0 : found
    },
  }
}

/** A field that is answered also where it says nothing: as `zero`. */
export function always(field: Field, zero: unknown): Field {
  return {
    ...field,
    decode: (value, at, problems) => field.decode(value, at, problems) ?? zero,
    check: (value, at) => (value === zero ? [] : field.check(value, at)),
    isAlways: true,
  }
}

function isTooLong(items: number, at: string, problems: Problems): boolean {
  if (items <= limits.configEntryItems) return false
  problems.push(`'${at}' has more than ${limits.configEntryItems} items`)
  return true
}

/** A list; an empty one says nothing, and one value is a list of one. */
export function list(item: Field): Field {
  return {
    decode(value, at, problems) {
      if (value === undefined || value === null) return undefined
      const given: unknown[] = Array.isArray(value) ? value : [value]
      if (isTooLong(given.length, at, problems)) return undefined
      const found = given.map(
        (one, i) => item.decode(one ?? item.blank, `${at}[${i}]`, problems) ?? item.blank,
      )
      return found.length === 0 ? undefined : found
    },
    check: (value, at) =>
      Array.isArray(value)
        ? value.flatMap((one, i) => item.check(one, `${at}[${i}]`))
        : [`${at}: not a list`],
    isAlways: false,
    blank: [],
    schema: { type: 'array', items: item.schema },
  }
}

/** A map whose keys are the client's; an empty one says nothing. */
export function map(item: Field): Field {
  return {
    decode(value, at, problems) {
      if (value === undefined || value === null) return undefined
      const given = mapOf(value)
      if (given === undefined) {
        problems.push(expected(at, 'a map'))
        return undefined
      }
      if (isTooLong(Object.keys(given).length, at, problems)) return undefined
      const entries = Object.entries(given).map(([key, one]) => [
        key,
        item.decode(one ?? item.blank, `${at}[${key.slice(0, SHOWN_CHARS)}]`, problems) ??
          item.blank,
      ])
      return entries.length === 0 ? undefined : Object.fromEntries(entries)
    },
    check: (value, at) =>
      isObject(value)
        ? Object.entries(value).flatMap(([key, one]) => item.check(one, `${at}[${key}]`))
        : [`${at}: not a map`],
    isAlways: false,
    blank: {},
    schema: { type: 'object', additionalProperties: item.schema },
  }
}

export type Fields = Readonly<Record<string, Field>>

/** An object with known fields that is there only where it was given. */
export function object(fields: Fields): Field {
  const names = new Map(Object.keys(fields).map(name => [foldName(name), name]))
  return {
    decode(value, at, problems) {
      if (value === undefined || value === null) return undefined
      const given = mapOf(value)
      if (given === undefined) {
        problems.push(expected(at, 'a map'))
        return undefined
      }
      return decodeFields(fields, names, given, at, problems)
    },
    check: (value, at) => checkFields(fields, value, at),
    isAlways: false,
    blank: {},
    schema: {
      type: 'object',
      properties: Object.fromEntries(Object.entries(fields).map(([k, one]) => [k, one.schema])),
      additionalProperties: false,
    },
  }
}

/** An object that is answered also where it was not given, as `{}` or with what it always has. */
export function part(fields: Fields): Field {
  const inner = object(fields)
  return {
    ...inner,
    decode: (value, at, problems) => inner.decode(value ?? {}, at, problems) ?? inner.blank,
    isAlways: true,
  }
}

const foldName = (name: string): string => name.replaceAll('_', '').toLowerCase()

function decodeFields(
  fields: Fields,
  names: ReadonlyMap<string, string>,
  given: Readonly<Record<string, unknown>>,
  at: string,
  problems: Problems,
): Readonly<Record<string, unknown>> {
  const below = (name: string): string => (at === '' ? name : `${at}.${name}`)
  const found = new Map<string, unknown>()
  for (const [key, value] of Object.entries(given)) {
    const name = names.get(foldName(key))
    if (name !== undefined) found.set(name, value)
    else if (!isOwnTenancy(key, value)) problems.push(unknownKey(below(key)))
  }
  const kept: [string, unknown][] = []
  for (const [name, field] of Object.entries(fields)) {
    const value = field.decode(found.get(name), below(name), problems)
    if (value !== undefined) kept.push([name, value])
  }
  return Object.fromEntries(kept)
}

/** Namespace and partition may be named anywhere, as long as the name is the default one. */
const isOwnTenancy = (key: string, value: unknown): boolean =>
  /^(namespace|partition)$/i.test(key) && /^(default)?$/i.test(String(value ?? ''))

function checkFields(fields: Fields, value: unknown, at: string): string[] {
  if (!isObject(value)) return [`${at}: not an object`]
  const faults = Object.keys(value)
    .filter(name => !Object.hasOwn(fields, name))
    .map(name => `${at}.${name}: not declared`)
  for (const [name, field] of Object.entries(fields)) {
    if (Object.hasOwn(value, name)) faults.push(...field.check(value[name], `${at}.${name}`))
    else if (field.isAlways) faults.push(`${at}.${name}: missing`)
  }
  return faults
}

/** An object, or the blocks of a text, which may be one or several. */
function mapOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (isObject(value)) return value
  if (!Array.isArray(value) || !value.every(isObject)) return undefined
  return Object.assign({}, ...value) as Record<string, unknown>
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
