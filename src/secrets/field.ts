/**
 * Fields: what a request to a declared path may say, in the forms that Vault's clients write it.
 *
 * Owns the conversions (numbers as text, lists joined by commas, durations), their refusals in
 * Vault's words, and the description for help and OpenAPI. Knows no path.
 */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'

/** A value of JSON; whole numbers beyond 2^53 are bigints. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

export interface Field<T> {
  /** The name of the type in help and OpenAPI. */
  readonly type: string
  readonly help: string
  /** The value where nothing was said; undefined for none. */
  readonly initial: T | undefined
  /** Gives the value, or undefined where it is none. */
  convert(value: Json): T | undefined
  /** Whether it is never shown again: a password or a key. */
  readonly isSecret: boolean
  /** Whether it is taken as what an older release called it, and not offered. */
  readonly isDeprecated: boolean
}

// biome-ignore lint/suspicious/noExplicitAny: fields of all types stand in one object
export type Fields = Readonly<Record<string, Field<any>>>

/** What was said, by field; undefined where nothing was and there is no initial value. */
export type Values<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T | undefined : never
}

interface More<T> {
  readonly initial?: T
  readonly isSecret?: boolean
  readonly isDeprecated?: boolean
}

const make =
  <T>(type: string, convert: (value: Json) => T | undefined) =>
  (help: string, { initial, isSecret = false, isDeprecated = false }: More<T> = {}): Field<T> => ({
    ...{ type, help, initial, convert, isSecret, isDeprecated },
  })

export const str = make<string>('string', toText)
export const bool = make<boolean>('boolean', toBool)
export const int = make<number>('integer', toInt)
export const float = make<number>('number', toFloat)
/** A time, not below 0: seconds, or text such as `30m` or `2d`; decoded to milliseconds. */
export const dur = make<number>('duration', value => nonNegative(toDurationMs(value)))
/** The same, where less than nothing has a meaning too. */
export const signedDur = make<number>('duration', toDurationMs)
/** JSON's array, or text with commas. */
export const list = make<readonly string[]>('list', toList)
/** Whole numbers, as a list. */
export const intList = make<readonly number[]>('list', toIntList)
/** Text by text: an object, or a list of `key=value`. */
export const kv = make<Readonly<Record<string, string>>>('kvpairs', toPairs)
export const map = make<JsonObject>('object', toObject)
/** Whatever it is. */
export const any = make<Json>('any', value => value)

function toText(value: Json): string | undefined {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
      return String(value)
    case 'boolean':
      return value ? '1' : '0'
    default:
      return value === null ? '' : undefined
  }
}

const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True']
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False', '']

function toBool(value: Json): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (value === null) return false
  if (typeof value === 'number') return value !== 0
  if (typeof value !== 'string') return undefined
  if (TRUE.includes(value)) return true
  return FALSE.includes(value) ? false : undefined
}

/** A whole number, however it is written. */
export function toInt(value: Json): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (value === null || value === '') return 0
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value !== 'string' || !/^[+-]?\d{1,16}$/.test(value)) return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

function toFloat(value: Json): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'string' || !/^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value.trim())) {
    return undefined
  }
  return Number(value)
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
}
const DURATION = /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)/
/** Whole seconds, as answers tell durations. */
export const toSeconds = (durationMs: number): number => Math.floor(durationMs / 1_000)

const MAX_DURATION_MS = Number.MAX_SAFE_INTEGER / 1_000

/** Seconds as a number or text, or parts with units; undefined for anything else. */
export function toDurationMs(value: Json): number | undefined {
  const durationMs = rawDurationMs(value)
  return durationMs !== undefined && Math.abs(durationMs) <= MAX_DURATION_MS
    ? durationMs
    : undefined
}

function rawDurationMs(value: Json): number | undefined {
  if (typeof value === 'number') return value * 1_000
  if (value === null || value === '') return 0
  if (typeof value !== 'string') return undefined
  if (/^[+-]?\d+$/.test(value)) return Number(value) * 1_000
  const sign = value.startsWith('-') ? -1 : 1
  let rest = value.replace(/^[+-]/, '')
  let sumMs = 0
  while (rest !== '') {
    const part = DURATION.exec(rest)
    if (part === null || /^[+-]/.test(rest)) return undefined
    sumMs += Number(part[1]) * UNITS_MS[part[3]!]!
    rest = rest.slice(part[0].length)
  }
  return sign * sumMs
}

const nonNegative = (value: number | undefined): number | undefined =>
  value !== undefined && value >= 0 ? value : undefined

function toList(value: Json): readonly string[] | undefined {
  if (value === null || value === '') return []
  if (typeof value === 'string') return value.split(',').map(part => part.trim())
  if (!Array.isArray(value)) {
    const single = toText(value)
    return single === undefined ? undefined : [single]
  }
  const parts = value.map(toText)
  return parts.every(part => part !== undefined) ? parts : undefined
}

function toIntList(value: Json): readonly number[] | undefined {
  const numbers = typeof value === 'number' ? [value] : toList(value)?.map(toInt)
  return numbers?.every(number => number !== undefined) ? numbers : undefined
}

function toPairs(value: Json): Readonly<Record<string, string>> | undefined {
  if (value === null || value === '') return {}
  if (Array.isArray(value)) return pairsOf(value.map(toText))
  if (typeof value === 'string') return pairsOf([value])
  if (typeof value !== 'object') return undefined
  const entries = Object.entries(value).map(([key, part]) => [key, toText(part)] as const)
  return entries.every(([, part]) => part !== undefined) ? plainObject(entries) : undefined
}

function pairsOf(texts: readonly (string | undefined)[]): Record<string, string> | undefined {
  const entries = texts.map(text => {
    const at = text?.indexOf('=') ?? -1
    return at === -1 ? undefined : ([text!.slice(0, at), text!.slice(at + 1)] as const)
  })
  return entries.every(entry => entry !== undefined) ? plainObject(entries) : undefined
}

/** Keys may be `__proto__`: they are defined, not assigned. */
const plainObject = <T>(
  entries: readonly (readonly [string, T | undefined])[],
): Record<string, T> => Object.fromEntries(entries) as Record<string, T>

function toObject(value: Json): JsonObject | undefined {
  if (value === null) return {}
  return typeof value === 'object' && !Array.isArray(value) ? value : undefined
}

/** What a request said of its fields. */
export interface Read<F extends Fields> {
  readonly values: Values<F>
  /** Names that no field has. */
  readonly unknown: readonly string[]
  /** Names that were said and stand in the path. */
  readonly replaced: readonly string[]
}

/** Reads the fields of a request: those of the path win over those of the data. */
export function readFields<F extends Fields>(
  fields: F,
  data: JsonObject,
  inPath: Readonly<Record<string, string>>,
): Read<F> | Refusal {
  const { names, initial } = formOf(fields)
  const values: Record<string, unknown> = { ...initial }
  for (const name of names) {
    const given = Object.hasOwn(inPath, name)
      ? inPath[name]!
      : Object.hasOwn(data, name)
        ? data[name]!
        : undefined
    if (given === undefined) continue
    const field = fields[name]!
    const value: unknown = field.convert(given)
    if (value === undefined) return unfit(name, field.type)
    values[name] = value
  }
  const said = Object.keys(data)
  if (said.length === 0) return { values: values as Values<F>, unknown: NONE, replaced: NONE }
  return {
    values: values as Values<F>,
    unknown: said.filter(name => !Object.hasOwn(fields, name)).sort(),
    replaced: said.filter(name => Object.hasOwn(inPath, name)).sort(),
  }
}

const NONE: readonly string[] = []

/** What values are made of, worked out once for each declaration. */
interface Form {
  readonly names: readonly string[]
  readonly initial: Readonly<Record<string, unknown>>
}

const forms = new WeakMap<Fields, Form>()

function formOf(fields: Fields): Form {
  const known = forms.get(fields)
  if (known !== undefined) return known
  const names = Object.keys(fields)
  const initial = Object.fromEntries(names.map(name => [name, fields[name]!.initial]))
  const form = { names, initial }
  forms.set(fields, form)
  return form
}

/** The value is not told back: who knows whether it is a secret? */
const unfit = (name: string, type: string): Refusal =>
  new Refusal(
    400,
    `Field validation failed: error converting input for field ${JSON.stringify(name)}: not a ${type}`,
  )
