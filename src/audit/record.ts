/**
 * What an audit record says: who asked for what, and what came of it.
 *
 * Owns the fields and their bounds. Names of things only: no token, no body, no value, and of a
 * query only the parameters that are known to hold none. What a client sent is cut, and written so
 * that nothing of it is taken for anything else by whoever reads the lines: control characters and
 * those that turn the direction of text are escaped. Number, time and chain are the journal's.
 */
import { type Bytes, toText } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { type Access, Caller, type RequestFacts, type Who } from '../base/who.ts'
import type { WriteOutcome } from '../store/journal.ts'

/** What an answer was, where no write of the store tells it. */
export interface Answered {
  readonly status: number
  /** Why not, for a refusal or a fault. */
  readonly reason?: string
}

/** The rule that decided about a right; undefined where the principal has none. */
export type RuleOf = (principal: Who, wanted: Access) => DecidingRule | undefined

export interface DecidingRule {
  /** Whether a rule decided, or what holds without one. */
  readonly reason: string
  /** The rule, its policy and its line there; empty and 0 where there is none. */
  readonly text: string
  readonly policy: string
  readonly line: number
}

const noRules: RuleOf = () => undefined

/** The record of a write of the store. */
export function recordOfWrite(
  server: string,
  who: Who,
  outcome: WriteOutcome,
  ruleOf = noRules,
): string {
  const head = opening(server, who)
  switch (outcome.kind) {
    case 'refused':
      return `{${head},${refusedPart(outcome.status, outcome.text, who, ruleOf)}}`
    case 'unchanged':
      return `{${head},${successPart(outcome)}}`
    case 'written': {
      const { keys } = outcome
      const rows = `"rows":${keys.length},"wrote":[${keysText(keys)}]`
      return `{${head},${successPart(outcome)},${rows}}`
    }
  }
}

const successPart = ({ kind, revision }: { kind: string; revision: number }): string =>
  `"outcome":"${kind}","status":200,"revision":${revision}`

function keysText(keys: readonly Bytes[]): string {
  const [first] = keys
  if (keys.length === 1 && first !== undefined) return keyText(first)
  return keys.slice(0, limits.auditRowsShown).map(keyText).join(',')
}

/** A row's key names what was written; some have separators that are no text. */
const keyText = (key: Bytes): string => pathText(toText(key))

/** The record of an answer that no write of the store tells of. */
export function recordOfAnswer(
  server: string,
  who: Who,
  { status, reason }: Answered,
  ruleOf = noRules,
): string {
  const head = opening(server, who)
  if (status < LEAST_REFUSAL) return `{${head},"outcome":"answered","status":${status}}`
  if (status >= LEAST_FAULT) {
    const why = reasonText(status, reason ?? '')
    return `{${head},"outcome":"failed","status":${status},"reason":${why}}`
  }
  return `{${head},${refusedPart(status, reason ?? '', who, ruleOf)}}`
}

const LEAST_REFUSAL = 400
const LEAST_FAULT = 500

/** The record of something that the server did by itself. */
export function recordOfEvent(
  server: string,
  event: string,
  fields: Readonly<Record<string, string | number>>,
): string {
  return JSON.stringify({ server, event, ...fields })
}

function opening(server: string, who: Who): string {
  const { accessor, request } = who
  const head = serverText.of(server) + accessorText.of(accessor)
  if (request === undefined) return head
  const { id, bodySizeBytes } = request
  return (
    `${head},"request":${quoted(id)},${askedPart(request)}"bodyBytes":${bodySizeBytes}` +
    namesPart('advised', request.advisories) +
    namesPart('overridden', request.overridden) +
    (request.detail === undefined ? '' : `,"secrets":${request.detail()}`)
  )
}

/** From where and what. */
function askedPart({ operation, name, remote, forwarder, query }: RequestFacts): string {
  const { text, before, behind, whole } = operations.of(operation)
  const via = forwarder === undefined ? '' : `"agent":${quoted(forwarder)},`
  const from = remoteText.of(remote) + via
  if (behind === undefined && query === '') return from + whole
  const path = behind === undefined ? before : `${before}${name}${behind}`
  return `${from}${text}"path":${pathText(path)},"query":${queryText(query)},`
}

/** Conditions that did not hold, and those that the caller had passed over. */
function namesPart(field: string, texts: readonly string[]): string {
  if (texts.length === 0) return ''
  const shown = texts.slice(0, limits.auditRowsShown).map(text => quoted(text))
  return `,"${field}":[${shown.join(',')}]`
}

/** The path as it was authorised: the declared one with what it leaves open, decoded once. */
export function pathOf({ operation, name }: Pick<RequestFacts, 'operation' | 'name'>): string {
  const { before, behind } = operations.of(operation)
  return behind === undefined ? before : `${before}${name}${behind}`
}

/** What is known of a declared operation. */
interface Declared {
  /** As a field. */
  readonly text: string
  /** What stands before the open part of its path, and behind it where it has one. */
  readonly before: string
  readonly behind: string | undefined
  /** Where no part is open: all fields of a request without a query. */
  readonly whole: string
}

function declared(operation: string): Declared {
  const path = operation.slice(operation.indexOf(' ') + 1)
  const open = /\{\w+\}/.exec(path)
  const before = open === null ? path : path.slice(0, open.index)
  const behind = open === null ? undefined : path.slice(open.index + open[0].length)
  const text = `"operation":${quoted(operation)},`
  const whole = `${text}"path":${pathText(before)},"query":{},`
  return { text, before, behind, whole }
}

function refusedPart(status: number, text: string, who: Who, ruleOf: RuleOf): string {
  const refusal = reasonText(status, text)
  const lacking = who instanceof Caller ? who.lacked.rights : []
  const part = `"outcome":"refused","status":${status},"refusal":${refusal}`
  if (lacking.length === 0) return part
  const rule = who instanceof Caller ? ruleOf(who.principal, lacking[0]!) : undefined
  return `${part},"lacking":[${lacking.map(rightText).join(',')}]${rulePart(rule)}`
}

/** The rule that refused the first of the rights that were lacking. */
function rulePart(rule: DecidingRule | undefined): string {
  if (rule === undefined) return ''
  const { reason, text, policy, line } = rule
  const reasonPart = `"reason":${quoted(reason)}`
  if (text === '') return `,"rule":{${reasonPart}}`
  const place = `"policy":${quoted(policy)},"line":${line}`
  return `,"rule":{${reasonPart},"text":${pathText(text)},${place}}`
}

/** Refusals of a right or of a thing name it, which is what they are read for. */
const NAMING = [401, 403, 404]

/** Why not. What was malformed is not echoed: who tells what of it is a secret? */
function reasonText(status: number, text: string): string {
  const told = NAMING.includes(status) ? text : text.replace(ECHOES, '"…"')
  return quoted(told, limits.auditReasonChars)
}

/** What a text has between quotes of any kind. */
const ECHOES = /"(?:[^"\\]|\\.)*"?|'[^']*'?|`[^`]*`?/gs

const rightText = ({ capability, resource, name, extent }: Access): string =>
  pathText(`${resource}:${capability} ${extent ?? name}`.trimEnd())

/**
 * Parameters that name things or say how to read, with the form that a value of theirs has. Values
 * of others, and of another form, are left out: nobody knows what they hold.
 */
const SHOWN: ReadonlyMap<string, RegExp> = new Map([
  ...formed(/^\d{1,20}$/, 'cas', 'cas-index', 'flags', 'index'),
  ...formed(/^[\d.]{1,20}(ns|us|µs|ms|s|m|h)?$/, 'lock-delay', 'wait'),
  ...formed(/^(true|false|1|0|)$/i, 'cached', 'consistent', 'delete', 'dry-run', 'enable', 'force'),
  ...formed(/^(true|false|1|0|)$/i, 'keys', 'leader', 'passing', 'pretty', 'prune', 'raw'),
  ...formed(/^(true|false|1|0|)$/i, 'recurse', 'replace-existing-checks', 'stale', 'wan'),
  ...formed(/^/, 'acquire', 'check', 'dc', 'id', 'kind', 'name', 'near', 'node', 'ns'),
  ...formed(
    /^/,
    'partition',
    'release',
    'separator',
    'service',
    'session',
    'status',
    'tag',
    'type',
  ),
])

function formed(form: RegExp, ...names: string[]): [string, RegExp][] {
  return names.map(name => [name, form])
}

const NO_VALUE = '"…"'

function queryText(raw: string): string {
  if (raw === '') return '{}'
  const shown: string[] = []
  for (const pair of raw.split('&', limits.auditQueryParameters)) {
    const mark = pair.indexOf('=')
    const name = decoded(mark === -1 ? pair : pair.slice(0, mark))
    if (name === '' || name === 'token') continue
    const value = mark === -1 ? '' : decoded(pair.slice(mark + 1))
    const isShown = SHOWN.get(name)?.test(value) === true
    const text = isShown ? quoted(value, limits.auditValueChars) : NO_VALUE
    shown.push(`${quoted(name, limits.auditValueChars)}:${text}`)
  }
  return `{${shown.join(',')}}`
}

function decoded(text: string): string {
  // Bounded before it is decoded: three characters make at least one byte.
  const part = text.slice(0, 3 * limits.auditPathChars).replaceAll('+', ' ')
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** What JSON leaves as it is, and a terminal or an editor may take for more than a letter. */
const CONFUSING = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g

/** Nearly all names: nothing in them has to be escaped. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

/** Most others: JSON escapes what has to be, as the separators within a row's key. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes them
const ASCII = /^[\x00-\x7e]*$/

/** A text as JSON, cut to a length, with an ellipsis where it was. */
export function quoted(text: string, chars: number = limits.auditValueChars): string {
  if (text.length <= chars && PLAIN.test(text)) return `"${text}"`
  const cut = text.length > chars ? `${text.slice(0, chars)}…` : text
  const json = JSON.stringify(cut)
  return ASCII.test(cut) ? json : json.replace(CONFUSING, escaped)
}

const pathText = (path: string): string => quoted(path, limits.auditPathChars)

/** What is made of texts that record after record has: few, and short. */
class Often<T> {
  readonly #make: (text: string) => T
  readonly #made = new Map<string, T>()

  constructor(make: (text: string) => T) {
    this.#make = make
  }

  of(text: string): T {
    const known = this.#made.get(text)
    if (known !== undefined) return known
    const made = this.#make(text)
    if (text.length > limits.auditTextKeptChars) return made
    if (this.#made.size >= limits.auditTextsKept) this.#made.clear()
    this.#made.set(text, made)
    return made
  }
}

const operations = new Often(declared)
/** Fields that record after record has. */
const serverText = new Often(server => `"server":${quoted(server)},`)
const accessorText = new Often(accessor => `"accessor":${quoted(accessor)}`)
const remoteText = new Often(remote => `"remote":${quoted(remote)},`)

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
