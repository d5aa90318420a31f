/**
 * Query strings: parsed once, by the parameters that a path declares.
 *
 * Owns splitting, decoding and the typed parameters, with the texts that Consul's clients match on
 * for bad values. Parameters that a path does not declare are ignored, as Consul does.
 */
import { parseDurationMs } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import type { Fields } from '../filter/fields.ts'
import { type Filter, filterOf } from '../filter/filter.ts'

/** One declared parameter: how its values become what a handler reads. */
export interface Parameter<T> {
  readonly help: string
  /** `values` are the decoded values in order of appearance; empty when it was not given. */
  parse(values: readonly string[]): T | Refusal
  readonly schema: Readonly<Record<string, unknown>>
}

export type Parameters = Readonly<Record<string, Parameter<unknown>>>
export type QueryOf<P extends Parameters> = {
  readonly [K in keyof P]: P[K] extends Parameter<infer T> ? T : never
}

/** A switch: any value counts, only its presence matters. */
export const flag = (help: string): Parameter<boolean> => ({
  help,
  parse: values => values.length > 0,
  schema: { type: 'boolean' },
})

/** The first value, '' when it was not given. */
export const string = (help: string): Parameter<string> => ({
  help,
  parse: values => values[0] ?? '',
  schema: { type: 'string' },
})

/** The first value, undefined when it was not given. */
export const optionalString = (help: string): Parameter<string | undefined> => ({
  help,
  parse: values => values[0],
  schema: { type: 'string' },
})

/** All values in order. */
export const strings = (help: string): Parameter<readonly string[]> => ({
  help,
  parse: values => values,
  schema: { type: 'array', items: { type: 'string' } },
})

/** `key:value` pairs, as `node-meta` takes them. */
export const pairs = (help: string): Parameter<readonly (readonly [string, string])[]> => ({
  help,
  parse: values =>
    values.map(value => {
      const at = value.indexOf(':')
      return at === -1
        ? ([value, ''] as const)
        : ([value.slice(0, at), value.slice(at + 1)] as const)
    }),
  schema: { type: 'array', items: { type: 'string' } },
})

const UINT64_MAX = 2n ** 64n - 1n

/** An unsigned 64-bit number; refused in the words of Go's strconv. */
export const uint64 = (help: string): Parameter<bigint | undefined> => ({
  help,
  parse(values) {
    const [value] = values
    if (value === undefined) return undefined
    const quoted = JSON.stringify(value.slice(0, 64))
    if (!/^[0-9]+$/.test(value)) {
      return new Refusal(500, `strconv.ParseUint: parsing ${quoted}: invalid syntax`)
    }
    const number = BigInt(value.slice(0, 64))
    if (number > UINT64_MAX) {
      return new Refusal(500, `strconv.ParseUint: parsing ${quoted}: value out of range`)
    }
    return number
  },
  schema: { type: 'integer', minimum: 0 },
})

/** A boolean with a value; '' counts as true. `text` is the refusal of any other value. */
export const switched = (help: string, badValue: string): Parameter<boolean> => ({
  help,
  parse([value]) {
    if (value === undefined) return false
    if (/^(|1|t|T|TRUE|true|True)$/.test(value)) return true
    if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false
    return new Refusal(400, badValue)
  },
  schema: { type: 'boolean' },
})

/** A filter expression over the items of the answer, whose fields are declared. */
export const filtering = <T>(fields: Fields<T>): Parameter<Filter<T> | undefined> => ({
  help: `Only what this expression keeps. Its selectors: ${Object.keys(fields).join(', ')}.`,
  parse: ([value = '']) => filterOf(value, fields),
  schema: { type: 'string' },
})

/** A parameter that comes later: given, it is refused as not served yet. */
export function notYet(name: string, help: string): Parameter<undefined> {
  return {
    help,
    parse: ([value]) => (value ? new Refusal(501, `not served yet: ${name}`) : undefined),
    schema: { type: 'string' },
  }
}

/** What every read takes: consistency and blocking. */
export const readParameters = {
  index: {
    help: 'Blocks until the index of the answer is above this.',
    schema: { type: 'integer', minimum: 0 },
    parse([value]: readonly string[]): number | Refusal {
      if (value === undefined || value === '') return 0
      if (!/^[0-9]{1,20}$/.test(value)) return new Refusal(400, 'Invalid index')
      return Number(value)
    },
  },
  wait: {
    help: 'How long to block at most, as a duration ("30s").',
    schema: { type: 'string' },
    parse([value]: readonly string[]): number | undefined | Refusal {
      if (value === undefined || value === '') return undefined
      const durationMs = parseDurationMs(value)
      if (durationMs === undefined) return new Refusal(400, 'Invalid wait time')
      // As long as by default where it says none, as Consul does.
      return durationMs > 0 ? durationMs : undefined
    },
  },
  stale: flag('Answers from this server at once, however old its view.'),
  consistent: flag('Answers after the store has confirmed that the view is current.'),
  leader: flag('The default consistency, even where the configuration prefers stale reads.'),
  cached: flag('Tells in X-Cache whether the answer was there already; it holds now either way.'),
  pretty: flag('Indents the JSON.'),
  max_stale: {
    help: 'Answers from a view that may be so old, as a duration.',
    schema: { type: 'string' },
    parse([value]: readonly string[]): number | undefined | Refusal {
      if (value === undefined || value === '') return undefined
      return (
        parseDurationMs(value) ??
        new Refusal(400, `Invalid max_stale value ${JSON.stringify(value.slice(0, 64))}`)
      )
    },
  },
} as const

/**
 * Splits a raw query string (without '?') and parses the declared parameters. The result is a
 * record of all of them, or the first refusal.
 */
export function parseQuery<P extends Parameters>(raw: string, parameters: P): QueryOf<P> | Refusal {
  if (raw === '') return nothingOf(parameters)
  const given = new Map<string, string[]>()
  for (const part of raw.split('&')) {
    const at = part.indexOf('=')
    const name = decode(at === -1 ? part : part.slice(0, at))
    const value = at === -1 ? '' : decode(part.slice(at + 1))
    if (name === undefined || value === undefined) return new Refusal(500, '')
    const values = given.get(name)
    if (values === undefined) given.set(name, [value])
    else values.push(value)
  }
  return refuseForeign(given) ?? parsed(given, parameters)
}

/** What parameters come to where none is given: the same for all requests. */
const ofNothing = new WeakMap<Parameters, object>()

function nothingOf<P extends Parameters>(parameters: P): QueryOf<P> | Refusal {
  const known = ofNothing.get(parameters) as QueryOf<P> | Refusal | undefined
  if (known !== undefined) return known
  const query = Object.freeze(parsed(NOTHING_GIVEN, parameters))
  ofNothing.set(parameters, query)
  return query
}

const NOTHING_GIVEN: ReadonlyMap<string, readonly string[]> = new Map()
const NO_VALUES: readonly string[] = Object.freeze([])

function parsed<P extends Parameters>(
  given: ReadonlyMap<string, readonly string[]>,
  parameters: P,
): QueryOf<P> | Refusal {
  const query: Record<string, unknown> = {}
  for (const name in parameters) {
    const value = parameters[name]!.parse(given.get(name) ?? NO_VALUES)
    if (value instanceof Refusal) return value
    query[name] = value
  }
  return query as QueryOf<P>
}

/** Parameters of the enterprise edition: 'default' is the same as none, the rest is refused. */
function refuseForeign(given: ReadonlyMap<string, readonly string[]>): Refusal | undefined {
  for (const [name, what] of [
    ['ns', 'Namespaces are'],
    ['partition', 'Partitions are'],
  ] as const) {
    const value = given.get(name)?.[0] ?? ''
    if (value !== '' && value !== 'default') {
      return new Refusal(
        400,
        `Invalid query parameter: "${name}" - ${what} a Consul Enterprise feature`,
      )
    }
  }
  return undefined
}

function decode(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
