/**
 * What a rule says of the fields of a request.
 *
 * Owns when a request's data breaks a rule: a required name that is missing, a denied name or
 * value, a name or value beyond those that are allowed. Looks at the fields themselves, never into
 * them. Names mean the same in any case; a text that begins or ends in `*` stands for all that end
 * or begin so.
 */
import { type HclValue, isObject } from '../../hcl/hcl.ts'
import type { Rule } from './join.ts'

/** The fields of a request, by name; values are JSON, whole numbers may be bigints. */
export type RequestData = Readonly<Record<string, unknown>>

/** The first field, in lower case, that breaks a rule; '' where all together do. */
export function brokenParameter(
  { required, allowed, denied }: Pick<Rule, 'required' | 'allowed' | 'denied'>,
  data: RequestData | undefined,
): string | undefined {
  if (required.length === 0 && allowed.size === 0 && denied.size === 0) return undefined
  const fields = Object.entries(data ?? {}).map(([name, value]): Field => {
    return [name.toLowerCase(), value]
  })
  const missing = required.find(one => !fields.some(([name]) => name === one))
  if (missing !== undefined) return missing
  if (fields.length === 0) return undefined
  if (denied.has('*')) return ''
  const hit = fields.find(([name, value]) => hasValue(denied.get(name), value, isDenied))
  if (hit !== undefined) return hit[0]
  if (allowed.size === 0) return undefined
  const takesAny = allowed.has('*')
  if (takesAny && allowed.size === 1) return undefined
  const beyond = fields.find(([name, value]) => {
    return allowed.has(name) ? !hasValue(allowed.get(name), value, isSame) : !takesAny
  })
  return beyond?.[0]
}

type Field = readonly [string, unknown]

function hasValue(
  list: readonly HclValue[] | undefined,
  value: unknown,
  fits: (listed: HclValue, value: unknown) => boolean,
): boolean {
  return list !== undefined && (list.length === 0 || list.some(one => fits(one, value)))
}

/**
 * Whether a value is meant by a denied one. Fields take numbers and switches as texts and the other
 * way round, so one written as the other is denied as well.
 */
function isDenied(listed: HclValue, value: unknown): boolean {
  if (isSame(listed, value)) return true
  const isPlain = isScalar(listed) && isScalar(value)
  return isPlain && isCovered(String(listed), String(value))
}

const isScalar = (value: unknown): boolean =>
  ['string', 'number', 'bigint', 'boolean'].includes(typeof value)

/** Whether a value is the listed one; lists are compared element by element. */
function isSame(listed: HclValue, value: unknown): boolean {
  if (typeof listed === 'string' && typeof value === 'string') return isCovered(listed, value)
  return isEqual(listed, value)
}

function isEqual(listed: HclValue | undefined, value: unknown): boolean {
  if (typeof value === 'bigint') {
    return typeof listed === 'number' && Number.isInteger(listed) && BigInt(listed) === value
  }
  if (Array.isArray(listed)) {
    if (!Array.isArray(value) || value.length !== listed.length) return false
    return listed.every((one, at) => isEqual(one, value[at]))
  }
  if (isObject(listed)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const others = new Map<string, unknown>(Object.entries(value))
    const keys = Object.keys(listed)
    return keys.length === others.size && keys.every(key => isEqual(listed[key], others.get(key)))
  }
  return listed === value
}

/** A `*` alone stands for itself. */
function isCovered(listed: string, value: string): boolean {
  if (listed.length < 2) return listed === value
  const isEnd = listed.startsWith('*')
  const isStart = listed.endsWith('*')
  if (isEnd && isStart) return value.includes(listed.slice(1, -1))
  if (isEnd) return value.endsWith(listed.slice(1))
  return isStart ? value.startsWith(listed.slice(0, -1)) : value === listed
}
