/**
 * The settings of a sink: how a kind declares them, and how a block of the configuration or a body
 * of the API is read by that declaration.
 *
 * Owns the rule who may say what: whoever reaches the API must not choose a program, a file or a
 * socket of this machine, so such fields are taken from the local configuration alone. What is
 * wrong names the field and never quotes a secret. Pure.
 */
import { parseDurationMs } from '../../base/duration.ts'

/** Where settings come from: files of this machine, or a request. */
export type SettingsFrom = 'local' | 'api'

interface FieldBase {
  readonly help: string
  /** It must be given. */
  readonly isRequired?: boolean
  /** Never shown: not in status, plan, logs or answers. */
  readonly isSecret?: boolean
  /** Only the local configuration may give it: it names a program, a file or a socket. */
  readonly isLocal?: boolean
}

/** One setting. A default stands for what was not given; without one it is undefined. */
export type SettingField = FieldBase &
  (
    | { readonly type: 'text'; readonly byDefault?: string; readonly oneOf?: readonly string[] }
    /** Milliseconds once it is read; `"10s"` or a number of milliseconds as it is given. */
    | { readonly type: 'duration'; readonly byDefault?: number; readonly minMs?: number }
    | {
        readonly type: 'count'
        readonly byDefault?: number
        readonly min?: number
        readonly max?: number
      }
    | { readonly type: 'switch'; readonly byDefault?: boolean }
    /** A list of texts, such as the words of a program. */
    | { readonly type: 'texts'; readonly byDefault?: readonly string[] }
    /** Names with a text each. */
    | { readonly type: 'strings'; readonly byDefault?: Readonly<Record<string, string>> }
  )

/** The settings of a kind by name. */
export type SettingFields = Readonly<Record<string, SettingField>>

interface ValueTypes {
  text: string
  duration: number
  count: number
  switch: boolean
  texts: readonly string[]
  strings: Readonly<Record<string, string>>
}

type TypeOf<F extends SettingField> = F extends { readonly oneOf: readonly (infer T)[] }
  ? T
  : ValueTypes[F['type']]

type ValueOf<F extends SettingField> = F extends
  | { readonly isRequired: true }
  | { readonly byDefault: unknown }
  ? TypeOf<F>
  : TypeOf<F> | undefined

/** What a kind is given: each declared field, as it was read. */
export type SettingsOf<F extends SettingFields> = { readonly [K in keyof F]: ValueOf<F[K]> }

/** Settings that were read, of whatever kind. */
export type SettingValues = Readonly<Record<string, unknown>>

/** A field that is wrong, and why: a text that reads well behind the field's name and a colon. */
export interface SettingProblem {
  readonly field: string
  readonly problem: string
}

/**
 * Reads settings by their declaration. All that is wrong is told, not the first alone; a field that
 * nobody declared is wrong too.
 */
export function readSettings(
  fields: SettingFields,
  given: Readonly<Record<string, unknown>>,
  from: SettingsFrom,
): { readonly values: SettingValues } | { readonly problems: readonly SettingProblem[] } {
  const problems: SettingProblem[] = []
  const values: Record<string, unknown> = {}
  for (const [field, declared] of Object.entries(fields)) {
    values[field] = declared.byDefault
    const value = Object.hasOwn(given, field) ? given[field] : undefined
    if (value === undefined || value === null) {
      if (declared.isRequired === true) problems.push({ field, problem: 'is missing' })
      continue
    }
    if (declared.isLocal === true && from === 'api') {
      const problem = 'only the configuration of the machine that runs the sink may say this'
      problems.push({ field, problem })
      continue
    }
    const read = readField(declared, value)
    if ('problem' in read) problems.push({ field, problem: read.problem })
    else values[field] = read.value
  }
  for (const field of Object.keys(given)) {
    if (!Object.hasOwn(fields, field)) problems.push({ field, problem: 'unknown setting' })
  }
  return problems.length > 0 ? { problems } : { values }
}

/** What is shown in place of a secret. */
export const HIDDEN = '(hidden)'

/** Settings as they may be shown to whoever may read them: secrets are named, not told. */
export function shownSettings(fields: SettingFields, values: SettingValues): SettingValues {
  const shown = Object.entries(fields).flatMap(([field, { isSecret }]) => {
    const value = values[field]
    if (value === undefined) return []
    return [[field, isSecret === true ? HIDDEN : value] as const]
  })
  return Object.fromEntries(shown)
}

type Read = { readonly value: unknown } | { readonly problem: string }

const wrong = (problem: string): Read => ({ problem })

function readField(declared: SettingField, value: unknown): Read {
  switch (declared.type) {
    case 'text':
      return readText(declared, value)
    case 'switch':
      return typeof value === 'boolean' ? { value } : wrong('must be true or false')
    case 'count': {
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = declared
      const isWhole = typeof value === 'number' && Number.isSafeInteger(value)
      if (isWhole && value >= min && value <= max) return { value }
      const bounds = declared.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`
      return wrong(`must be a whole number ${bounds}`)
    }
    case 'duration': {
      const durationMs = typeof value === 'string' ? parseDurationMs(value) : value
      const { minMs = 0 } = declared
      if (typeof durationMs === 'number' && Number.isFinite(durationMs) && durationMs >= minMs) {
        return { value: durationMs }
      }
      return wrong(`must be a duration such as "10s"${minMs > 0 ? `, at least ${minMs}ms` : ''}`)
    }
    case 'texts': {
      const isList = Array.isArray(value) && value.every(one => isText(one) && one !== '')
      return isList ? { value } : wrong('must be a list of strings')
    }
    case 'strings':
      return readStrings(value)
  }
}

function readText({ oneOf }: { readonly oneOf?: readonly string[] }, value: unknown): Read {
  if (!isText(value)) return wrong('must be a string')
  if (oneOf === undefined || oneOf.includes(value)) return { value }
  return wrong(`must be one of ${oneOf.join(', ')}`)
}

/** A block of the configuration is a list of one. */
function readStrings(given: unknown): Read {
  const value: unknown = Array.isArray(given) && given.length === 1 ? given[0] : given
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap || !Object.values(value).every(isText)) return wrong('must be an object of strings')
  return { value: Object.fromEntries(Object.entries(value)) }
}

/** A text without NUL, which no file, program or protocol takes as a part of one. */
const isText = (value: unknown): value is string =>
  typeof value === 'string' && !value.includes('\0')
