/**
 * Templates of claims: JSON in which `{{identity.entity.name}}` and its like stand for values.
 *
 * Owns which words stand for what, and that a value is always JSON of its own: it can neither end a
 * text nor add a claim. Claims that a token says of itself are refused. Pure. Follows
 * secrets/identity/identity-token of Vault's docs.
 */

import { parseBounded } from '../../base/bounded-json.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { toDurationMs, toSeconds } from '../field.ts'
import type { PolicyAlias, PolicyIdentity } from '../policy/mod.ts'

export type Claims = Readonly<Record<string, unknown>>

/** What every token says itself. */
const RESERVED: readonly string[] = [
  ...['iat', 'aud', 'exp', 'iss', 'sub', 'namespace', 'nonce', 'auth_time', 'at_hash', 'c_hash'],
]

/** Whom a template is filled for, and when. */
export interface Filling {
  /** Undefined where a token is for no entity but for a client itself. */
  readonly identity: PolicyIdentity | undefined
  readonly nowMs: number
}

/** The claims of a template; what is wrong with it in words for who wrote it. '' has none. */
export function fillClaims(template: string, filling: Filling): Claims | string {
  if (template === '') return {}
  const text = fill(template, filling)
  if ('problem' in text) return `error parsing template: ${text.problem}`
  const parsed = parseBounded(Buffer.from(text.filled))
  if ('fault' in parsed) return `error parsing template JSON: ${parsed.fault.text}`
  const { value } = parsed
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'error parsing template JSON: it is no object'
  }
  const claims = value as Claims
  const reserved = Object.keys(claims).find(name => RESERVED.includes(name))
  if (reserved === undefined) return claims
  const restricted = `Restricted keys: ${RESERVED.join(', ')}`
  return `top level key ${JSON.stringify(reserved)} not allowed. ${restricted}`
}

/** Of whom nothing is known: what a template comes to in form. */
export const NOBODY: PolicyIdentity = { id: '', name: '', metadata: {}, aliases: [], groups: [] }

/**
 * A template as it is kept: base64 is taken apart. Refused where it could not be filled for
 * anybody.
 */
export function readTemplate(said: string, nowMs: number): string | Refusal {
  const template = isBase64(said) ? Buffer.from(said, 'base64').toString('utf8') : said
  if (template.length > limits.oidcTemplateChars) {
    return new Refusal(400, `template exceeds ${limits.oidcTemplateChars} characters`)
  }
  const claims = fillClaims(template, { identity: NOBODY, nowMs })
  return typeof claims === 'string' ? new Refusal(400, claims) : template
}

/** RFC 4648, section 4, with its padding. No template in JSON is any. */
const isBase64 = (text: string): boolean =>
  text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text)

type Filled = { readonly filled: string } | { readonly problem: string }

function fill(template: string, filling: Filling): Filled {
  const [first, ...pieces] = template.split('{{')
  const unbalanced = { problem: 'unbalanced templating characters' }
  if (first!.includes('}}')) return unbalanced
  let filled = first!
  for (const piece of pieces) {
    const [word, rest, ...more] = piece.split('}}')
    if (rest === undefined || more.length > 0) return unbalanced
    const value = valueFor(word!.trim(), filling)
    if (typeof value === 'object' && value !== null && PROBLEM in value) {
      return { problem: (value as Problem)[PROBLEM] }
    }
    filled += JSON.stringify(value) + rest
    if (filled.length > limits.oidcClaimsChars) return { problem: 'it becomes too long' }
  }
  return { filled }
}

const PROBLEM = Symbol('problem')
interface Problem {
  readonly [PROBLEM]: string
}
const problem = (text: string): Problem => ({ [PROBLEM]: text })
const NOT_FOUND = problem('no value could be found for one of the template directives')

const ENTITY = 'identity.entity.'
const GROUPS = 'identity.groups.'
const TIME = 'time.'

/** What a word stands for, as a value of JSON. */
function valueFor(word: string, { identity, nowMs }: Filling): unknown {
  if (word.startsWith(ENTITY)) {
    if (identity === undefined) {
      return problem('string contains entity template directives but no entity was provided')
    }
    return ofEntity(word.slice(ENTITY.length), identity)
  }
  if (word.startsWith(GROUPS)) {
    // Of a group that somebody may not be in, a claim could not be said.
    return problem('string contains groups template directives but no groups were provided')
  }
  return word.startsWith(TIME) ? ofTime(word.slice(TIME.length), nowMs) : NOT_FOUND
}

function ofEntity(word: string, identity: PolicyIdentity): unknown {
  const { id, name, metadata, aliases, groups } = identity
  if (word === 'id') return id
  if (word === 'name') return name
  if (word === 'groups.ids') return groups.map(group => group.id)
  if (word === 'groups.names') return groups.map(group => group.name)
  const [head, rest] = cut(word)
  if (head === 'metadata') return textsOf(metadata, rest)
  if (head !== 'aliases' || rest === undefined) return NOT_FOUND
  const [accessor, selector] = cut(rest)
  if (selector === undefined) return problem('invalid alias selector')
  return ofAlias(
    selector,
    aliases.find(alias => alias.mountAccessor === accessor),
  )
}

const NO_ALIAS = { id: '', name: '', metadata: {}, customMetadata: {} }

/** Of an alias that somebody has not, everything is empty. */
function ofAlias(word: string, alias: Omit<PolicyAlias, 'mountAccessor'> = NO_ALIAS): unknown {
  if (word === 'id') return alias.id
  if (word === 'name') return alias.name
  const [head, rest] = cut(word)
  if (head === 'metadata') return textsOf(alias.metadata, rest)
  return head === 'custom_metadata' ? textsOf(alias.customMetadata, rest) : NOT_FOUND
}

/** All texts, or the one of a key: '' where it is not there. */
function textsOf(texts: Readonly<Record<string, string>>, key: string | undefined): unknown {
  if (key === undefined) return texts
  return Object.hasOwn(texts, key) ? texts[key] : ''
}

/** `now`, or `now.plus.` and `now.minus.` with a duration: in seconds. */
function ofTime(word: string, nowMs: number): unknown {
  const [now, rest] = cut(word)
  if (now !== 'now') return problem(`invalid time selector ${JSON.stringify(now)}`)
  if (rest === undefined) return toSeconds(nowMs)
  const [operator, operand] = cut(rest)
  if (operand === undefined) return problem('missing time operand')
  if (operator !== 'plus' && operator !== 'minus') {
    return problem(`invalid time operator ${JSON.stringify(operator)}`)
  }
  const byMs = toDurationMs(operand)
  if (byMs === undefined) return problem('invalid duration')
  return toSeconds(operator === 'plus' ? nowMs + byMs : nowMs - byMs)
}

/** What stands before the first dot, and behind it. */
function cut(word: string): readonly [string, string | undefined] {
  const at = word.indexOf('.')
  return at === -1 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)]
}
