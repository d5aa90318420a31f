/**
 * Shapes: what a JSON body may say and what an answer must say, declared once.
 *
 * Owns decoding as Go's encoding/json does it for Consul's clients (keys without case, snake_case
 * accepted, absent fields zero, unknown fields and wrong types refused in Go's words), the strict
 * check of answers in tests, and the JSON schema for OpenAPI. Knows no path and no rule.
 */
import { formatDuration, parseDurationMs } from '../base/duration.ts'
import { parseExact } from '../base/exact-json.ts'
import { limits } from '../base/limits.ts'

/** How much of a name or a duration that was given is told back. */
const SHOWN_CHARS = 128

/** A body that does not fit: the text is what Go would say of it. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError'
}

export interface Shape<T> {
  /** The value of an absent field. */
  zero(): T
  /** Takes parsed JSON apart. Throws ShapeError; `at` is the field's name for its text. */
  decode(value: unknown, at: string): T
  /** What is wrong with an answer, strictly: missing, extra and mistyped parts. */
  check(value: unknown, at: string): string[]
  /** Whether there are numbers in it that are exact beyond 2^53: such arrive as bigints. */
  readonly exact?: boolean
  readonly schema: Readonly<Record<string, unknown>>
}

export type Of<S> = S extends Shape<infer T> ? T : never

function primitive<T>(
  type: 'string' | 'number' | 'boolean',
  goType: string,
  zero: T,
  more: (value: unknown) => boolean = () => true,
): Shape<T> {
  return {
    zero: () => zero,
    decode(value, at) {
      if (typeof value !== type || !more(value)) throw mismatch(value, at, goType)
      return value as T
    },
    check: (value, at) => (typeof value === type && more(value) ? [] : [`${at}: not a ${goType}`]),
    schema: { type: goType === 'int' ? 'integer' : type },
  }
}

function mismatch(value: unknown, at: string, goType: string): ShapeError {
  return new ShapeError(
    `json: cannot unmarshal ${kindOf(value)} into Go struct field ${at} of type ${goType}`,
  )
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'bigint') return 'number'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

export const text = primitive<string>('string', 'string', '')
export const bool = primitive<boolean>('boolean', 'bool', false)
export const int = primitive<number>('number', 'int', 0, Number.isInteger)
export const float = primitive<number>('number', 'float64', 0)

const UINT64_MAX = 2n ** 64n - 1n

/** An unsigned number of 64 bits, digit by digit. */
export const uint64: Shape<bigint> = {
  exact: true,
  zero: () => 0n,
  decode(value, at) {
    const isNatural = typeof value === 'bigint' || (Number.isInteger(value) && Number(value) >= 0)
    if (!isNatural) throw mismatch(value, at, 'uint64')
    const number = BigInt(value as bigint | number)
    if (number < 0n || number > UINT64_MAX) throw mismatch(value, at, 'uint64')
    return number
  },
  check: (value, at) => (Number.isInteger(value) ? [] : [`${at}: not a uint64`]),
  schema: { type: 'integer', minimum: 0 },
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Bytes in base64. */
export const base64: Shape<Buffer> = {
  zero: () => Buffer.alloc(0),
  decode(value, at) {
    if (typeof value !== 'string') throw mismatch(value, at, '[]uint8')
    if (!BASE64.test(value)) throw new ShapeError('illegal base64 data')
    return Buffer.from(value, 'base64')
  },
  check: (value, at) =>
    typeof value === 'string' && BASE64.test(value) ? [] : [`${at}: not base64`],
  schema: { type: 'string', contentEncoding: 'base64' },
}

/** A duration as text ("10s") or as a number of nanoseconds; decoded to milliseconds. */
export const duration: Shape<number> = {
  zero: () => 0,
  decode(value, at) {
    if (typeof value === 'number' || typeof value === 'bigint') return Number(value) / 1e6
    if (typeof value !== 'string') throw mismatch(value, at, 'time.Duration')
    if (value === '') return 0
    const durationMs = parseDurationMs(value)
    if (durationMs !== undefined) return durationMs
    throw new ShapeError(`time: invalid duration ${JSON.stringify(value.slice(0, SHOWN_CHARS))}`)
  },
  check: (value, at) =>
    typeof value === 'string' && (value === '' || parseDurationMs(value) !== undefined)
      ? []
      : [`${at}: not a duration`],
  schema: { type: 'string', examples: ['10s', formatDuration(90_000)] },
}

/** A field of the enterprise edition: nothing or 'default', which is the same. */
export function enterprise(feature: string): Shape<undefined> {
  return {
    zero: () => undefined,
    decode(value, at) {
      if (typeof value !== 'string') throw mismatch(value, at, 'string')
      if (value === '' || value.toLowerCase() === 'default') return undefined
      throw new ShapeError(`Invalid ${at}: ${feature} is a Consul Enterprise feature`)
    },
    check: (_value, at) => [`${at}: never answered`],
    schema: { type: 'string', enum: ['', 'default'] },
  }
}

/** Anything at all: the field is kept as it came. */
export const anything: Shape<unknown> = {
  zero: () => undefined,
  decode: value => value,
  check: () => [],
  schema: {},
}

/** What a shape made of others says of exact numbers. */
const exactAs = (...parts: readonly Shape<unknown>[]): { exact?: boolean } =>
  parts.some(({ exact }) => exact === true) ? { exact: true } : {}

/** A list; null and absence are the empty list. */
export function list<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    ...exactAs(item),
    zero: () => [],
    decode(value, at) {
      if (value === null) return []
      if (!Array.isArray(value)) throw mismatch(value, at, '[]')
      return value.map(one => item.decode(one, at))
    },
    check: (value, at) =>
      Array.isArray(value)
        ? value.flatMap((one, i) => item.check(one, `${at}[${i}]`))
        : [`${at}: not a list`],
    schema: { type: 'array', items: item.schema },
  }
}

/** A map from text; null and absence are the empty map. Its keys keep their case. */
export function map<T>(value: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return {
    zero: () => ({}),
    decode(given, at) {
      if (given === null) return {}
      if (!isObject(given)) throw mismatch(given, at, 'map[string]')
      const keys = Object.keys(given)
      return Object.fromEntries(keys.map(key => [key, value.decode(given[key], at)]))
    },
    check: (given, at) =>
      isObject(given)
        ? Object.entries(given).flatMap(([key, one]) => value.check(one, `${at}[${key}]`))
        : [`${at}: not a map`],
    schema: { type: 'object', additionalProperties: value.schema },
  }
}

/** A value that may be null or absent; absent when decoded. In answers it may be null. */
export function nullable<T>(shape: Shape<T>): Shape<T | undefined> {
  return {
    ...exactAs(shape),
    zero: () => undefined,
    decode: (value, at) => (value === null ? undefined : shape.decode(value, at)),
    check: (value, at) => (value === null ? [] : shape.check(value, at)),
    schema: { anyOf: [shape.schema, { type: 'null' }] },
  }
}

/** An answer of one shape or another; bodies are decoded by the first. */
export function either<A, B>(one: Shape<A>, other: Shape<B>): Shape<A | B> {
  return {
    zero: () => one.zero(),
    decode: (value, at) => one.decode(value, at),
    check(value, at) {
      const faults = one.check(value, at)
      return faults.length === 0 || other.check(value, at).length === 0 ? [] : faults
    },
    schema: { anyOf: [one.schema, other.schema] },
  }
}

const OPTIONAL = Symbol('optional')

/** A field that an answer may leave out; in a body it is absent where it was not given. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return Object.assign({}, nullable(shape), {
    check: (value: unknown, at: string) => shape.check(value, at),
    schema: shape.schema,
    [OPTIONAL]: true,
  })
}

type Fields = Readonly<Record<string, Shape<unknown>>>
type ObjectOf<F extends Fields> = { readonly [K in keyof F]: Of<F[K]> }

interface Field {
  readonly name: string
  readonly shape: Shape<unknown>
  /** Where it stands, for who is told that it is wrong. */
  at: string
}

const fold = (key: string): string => key.replaceAll('_', '').toLowerCase()

/** An object with known fields; `more.ignoreUnknown` lets others pass, as session create does. */
export function object<F extends Fields>(
  fields: F,
  more: { readonly ignoreUnknown?: boolean; readonly goName?: string } = {},
): Shape<ObjectOf<F>> {
  const names = Object.keys(fields)
  // Most clients write the names as they are: those are found without folding.
  const known = new Map<string, Field>()
  for (const name of names) {
    const field = { name, shape: fields[name]!, at: '' }
    known.set(fold(name), field)
    known.set(name, field)
  }
  /** Where the fields' places were put together for: most objects stand at one alone. */
  let placedAt: string | undefined
  const place = (at: string): void => {
    placedAt = at
    for (const field of known.values()) field.at = `${more.goName ?? at}.${field.name}`
  }
  // Copied for every body; what lies deeper is shared, and frozen.
  const absent = Object.fromEntries(names.map(name => [name, Object.freeze(fields[name]!.zero())]))
  const zero = (): ObjectOf<F> => ({ ...absent }) as ObjectOf<F>
  return {
    ...exactAs(...Object.values(fields)),
    zero,
    decode(value, at) {
      if (value === null) return zero()
      if (!isObject(value)) throw mismatch(value, at, more.goName ?? 'struct')
      if (at !== placedAt) place(at)
      const result = zero() as Record<string, unknown>
      for (const key of Object.keys(value)) {
        const field = known.get(key) ?? known.get(fold(key))
        const given = value[key]
        if (field !== undefined) {
          if (given !== null) result[field.name] = field.shape.decode(given, field.at)
        } else if (more.ignoreUnknown !== true) {
          throw new ShapeError(`json: unknown field ${JSON.stringify(key.slice(0, SHOWN_CHARS))}`)
        }
      }
      return result as ObjectOf<F>
    },
    check(value, at) {
      if (!isObject(value)) return [`${at}: not an object`]
      const faults = Object.keys(value)
        .filter(key => !Object.hasOwn(fields, key))
        .map(key => `${at}.${key}: not declared`)
      for (const name of names) {
        const shape = fields[name]!
        if (Object.hasOwn(value, name)) faults.push(...shape.check(value[name], `${at}.${name}`))
        else if (!(OPTIONAL in shape)) faults.push(`${at}.${name}: missing`)
      }
      return faults
    },
    schema: {
      type: 'object',
      properties: Object.fromEntries(names.map(name => [name, fields[name]!.schema])),
      additionalProperties: false,
    },
  }
}

/** Whether a value says nothing: absent, null, '', 0, false, or a list or object of only such. */
export function isZero(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return !value
  for (const key in value) if (!isZero((value as Record<string, unknown>)[key])) return false
  return true
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parses and decodes a body. Throws ShapeError with Go's words, never quoting the body. */
export function decodeBody<T>(shape: Shape<T>, bytes: Buffer): T {
  if (bytes.length === 0) throw new ShapeError('EOF')
  checkDepth(bytes)
  let value: unknown
  try {
    const given = bytes.toString('utf8')
    value = shape.exact === true ? parseExact(given) : JSON.parse(given)
  } catch {
    throw new ShapeError('invalid character in JSON body')
  }
  return shape.decode(value, 'body')
}

/** Refuses bodies that nest deeper than any of ours, before the parser works on them. */
function checkDepth(bytes: Buffer): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (inString) {
      if (byte === 0x5c) i++
      else if (byte === 0x22) inString = false
    } else if (byte === 0x22) inString = true
    else if (byte === 0x7b || byte === 0x5b) {
      depth++
      if (depth > limits.jsonDepth) throw new ShapeError('exceeded max depth')
    } else if (byte === 0x7d || byte === 0x5d) depth--
  }
}
