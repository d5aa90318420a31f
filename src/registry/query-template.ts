/**
 * Templates of prepared queries: one query for all names that begin alike.
 *
 * Owns the interpolations in a query's texts, what they may say and what they become for a name.
 * The language is what Consul's templates use of HCL's: `${name.full}`, `${name.prefix}`,
 * `${name.suffix}`, `${match(N)}`, `${agent.segment}`, and `$${` for a plain `${`. Pure.
 */
import { compileRegexp, type Regexp } from '../filter/regexp.ts'
import type { QueryRow, QueryService } from '../store/tables/query.ts'

/** What an interpolation stands for. */
interface Known {
  readonly full: string
  readonly prefix: string
  readonly suffix: string
  readonly groups: readonly string[]
}

type Part = string | ((known: Known) => string)

const VARIABLES: Readonly<Record<string, (known: Known) => string>> = {
  'name.full': ({ full }) => full,
  'name.prefix': ({ prefix }) => prefix,
  'name.suffix': ({ suffix }) => suffix,
  // There are no network segments.
  'agent.segment': () => '',
}

const TYPE = 'name_prefix_match'

/** What is wrong with a query's template; undefined when nothing is, or when it is none. */
export function templateProblem({ template, service }: QueryRow): string | undefined {
  if (template.type === '') return undefined
  if (template.type !== TYPE) return `Bad Template.Type '${template.type.slice(0, SHOWN_CHARS)}'`
  const regexp = compileRegexp(template.regexp)
  if (typeof regexp === 'string') return `Bad Regexp: ${regexp}`
  let problem: string | undefined
  mapTexts(service, text => {
    const parts = partsOf(text)
    if (typeof parts === 'string') {
      problem ??= `Bad format '${text.slice(0, SHOWN_CHARS)}' in Service: ${parts}`
    }
    return text
  })
  return problem
}

const SHOWN_CHARS = 64

/** A template as the query that it is for a name. */
export function renderTemplate(query: QueryRow, name: string): QueryRow {
  const { template } = query
  const known: Known = {
    full: name,
    prefix: query.name,
    suffix: name.slice(query.name.length),
    groups: groupsIn(name, template.regexp),
  }
  const service = mapTexts(query.service, text => {
    const parts = partsOf(text)
    // It was checked when it was stored.
    if (typeof parts === 'string') return text
    return parts.map(part => (typeof part === 'string' ? part : part(known))).join('')
  }) as QueryService
  const { tags } = service
  const kept = template.removeEmptyTags ? tags.filter(tag => tag !== '') : tags
  return { ...query, service: { ...service, tags: kept } }
}

function groupsIn(name: string, pattern: string): readonly string[] {
  const regexp: Regexp | string | undefined = pattern === '' ? undefined : compileRegexp(pattern)
  return typeof regexp === 'object' ? (regexp.groups(name) ?? []) : []
}

/** The same value with all its texts replaced; names of fields are left alone. */
function mapTexts(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === 'string') return replace(value)
  if (Array.isArray(value)) return value.map(item => mapTexts(item, replace))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([key, one]) => [key, mapTexts(one, replace)]))
}

/** The parts of a text; or what is wrong with it. */
function partsOf(text: string): readonly Part[] | string {
  const parts: Part[] = []
  let at = 0
  for (;;) {
    const begin = text.indexOf('${', at)
    if (begin === -1) return [...parts, text.slice(at)]
    if (text[begin - 1] === '$' && begin > at) {
      parts.push(`${text.slice(at, begin - 1)}\${`)
      at = begin + 2
      continue
    }
    const end = text.indexOf('}', begin)
    if (end === -1) return 'an interpolation is not closed'
    const part = partOf(text.slice(begin + 2, end).trim())
    if (typeof part === 'string') return part
    parts.push(text.slice(at, begin), part)
    at = end + 1
  }
}

const MATCH = /^match\(\s*(\d{1,9})\s*\)$/

function partOf(inside: string): ((known: Known) => string) | string {
  if (Object.hasOwn(VARIABLES, inside)) return VARIABLES[inside]!
  const group = MATCH.exec(inside)?.[1]
  if (group !== undefined) return ({ groups }) => groups[Number(group)] ?? ''
  return `unknown variable accessed: ${inside.slice(0, SHOWN_CHARS)}`
}
