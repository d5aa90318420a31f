/**
 * Shapes of answers: what the `data` of a declared operation holds.
 *
 * Owns the strict check that every answer in every test goes through, and the schema for OpenAPI.
 */

export interface Shape {
  /** What does not fit, with its place. */
  check(value: unknown, at: string): string[]
  readonly schema: Readonly<Record<string, unknown>>
  /** Whether it may be left out of the object that it stands in. */
  readonly isOptional?: boolean
}

const primitive = (type: string, fits: (value: unknown) => boolean, more: object = {}): Shape => ({
  check: (value, at) => (fits(value) ? [] : [`${at}: not a ${type}`]),
  schema: { type, ...more },
})

/** RFC 3339. */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/

export const text = primitive('string', value => typeof value === 'string')
export const bool = primitive('boolean', value => typeof value === 'boolean')
export const int = primitive('integer', value => Number.isInteger(value))
export const number = primitive('number', value => typeof value === 'number')
/** RFC 3339. */
export const time = primitive('string', value => typeof value === 'string' && TIME.test(value), {
  format: 'date-time',
})
/** RFC 3339, or '' for never. */
export const timeOrNone = primitive(
  'string',
  value => typeof value === 'string' && (value === '' || TIME.test(value)),
)
export const anything: Shape = { check: () => [], schema: {} }
export const anyObject = primitive('object', isObject)

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const nullable = (shape: Shape): Shape => ({
  check: (value, at) => (value === null ? [] : shape.check(value, at)),
  schema: { ...shape.schema, nullable: true },
})

export const optional = (shape: Shape): Shape => ({ ...shape, isOptional: true })

export const list = (shape: Shape): Shape => ({
  check: (value, at) =>
    Array.isArray(value)
      ? value.flatMap((item, i) => shape.check(item, `${at}[${i}]`))
      : [`${at}: not a list`],
  schema: { type: 'array', items: shape.schema },
})

export const texts = list(text)

/** An object with any keys. */
export const mapOf = (shape: Shape): Shape => ({
  check: (value, at) =>
    isObject(value)
      ? Object.entries(value).flatMap(([key, part]) => shape.check(part, `${at}.${key}`))
      : [`${at}: not an object`],
  schema: { type: 'object', additionalProperties: shape.schema },
})

/** An object with these keys and no others. */
export function object(parts: Readonly<Record<string, Shape>>): Shape {
  const required = Object.keys(parts).filter(key => parts[key]!.isOptional !== true)
  return {
    check(value, at) {
      if (!isObject(value)) return [`${at}: not an object`]
      const missing = required.filter(key => !Object.hasOwn(value, key))
      const extra = Object.keys(value).filter(key => !Object.hasOwn(parts, key))
      return [
        ...missing.map(key => `${at}.${key}: missing`),
        ...extra.map(key => `${at}.${key}: not declared`),
        ...Object.entries(value)
          .filter(([key]) => Object.hasOwn(parts, key))
          .flatMap(([key, part]) => parts[key]!.check(part, `${at}.${key}`)),
      ]
    },
    schema: {
      type: 'object',
      properties: Object.fromEntries(
        Object.entries(parts).map(([key, { schema }]) => [key, schema]),
      ),
      required,
    },
  }
}

/** The answer of a list: its keys. */
export const keys = object({ keys: texts, key_info: optional(anyObject) })
