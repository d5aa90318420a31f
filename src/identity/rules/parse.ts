/**
 * Texts of rules, in HCL 1 or JSON, to data.
 *
 * Owns which words mean what, and the words in which Consul refuses bad ones. Every rule is kept,
 * a repeated one too, so that a later one can never hide a `deny`; of a value that is written
 * twice within a block the last one stands, as in Consul. Blocks that are not known are passed
 * over, as Consul does; lint.ts names them. Must never throw, whatever the text.
 */
import { limits } from '../../base/limits.ts'
import {
  type HclEntry,
  HclError,
  type HclObject,
  type HclValue,
  isObject,
  parseWithEntries,
} from '../../hcl/hcl.ts'
import {
  type Level,
  levels,
  type NamedKind,
  type NamedRule,
  namedKinds,
  type Rule,
  type Rules,
  RulesProblem,
  type ScalarKind,
  scalarKinds,
} from './rule.ts'

/** What stands in a text beside its rules, for lint.ts. */
export interface Unread {
  /** A block, or a key within one, that has no meaning. */
  readonly what: 'block' | 'key' | 'overwritten'
  readonly name: string
  readonly line: number
}

/** The rules of a text, or what is wrong with the first that is wrong. An empty text has none. */
export function parseRules(text: string): Rules | RulesProblem {
  return readRules(text, () => {})
}

/** As `parseRules`, and tells `unread` of everything that it passed over. */
export function readRules(text: string, unread: (one: Unread) => void): Rules | RulesProblem {
  if (text.length > limits.aclRulesChars) {
    return new RulesProblem(
      `Failed to parse ACL rules: text is longer than ${limits.aclRulesChars} characters`,
      1,
    )
  }
  try {
    const { value, entriesOf } = parseWithEntries(text, { format: 'auto' })
    return new Reader(entriesOf, unread).read(value)
  } catch (error) {
    if (error instanceof HclError) {
      return new RulesProblem(`Failed to parse ACL rules: ${error.message}`, error.line)
    }
    if (error instanceof Stopped) return error.problem
    throw error
  }
}

type Entries = (object: HclObject) => readonly HclEntry[]

type Word =
  | { readonly form: 'scalar'; readonly kind: ScalarKind }
  | { readonly form: NamedRule['form']; readonly kind: NamedKind }

const words = new Map<string, Word>([
  ...scalarKinds.map(kind => [kind, { form: 'scalar', kind }] as const),
  ...namedKinds.map(kind => [kind, { form: 'exact', kind }] as const),
  ...namedKinds.map(kind => [`${kind}_prefix`, { form: 'prefix', kind }] as const),
])

/** Carries a problem out of the walk; never leaves this file. */
class Stopped extends Error {
  readonly problem: RulesProblem

  constructor(text: string, line: number) {
    super(text)
    this.problem = new RulesProblem(text, line)
  }
}

class Reader {
  readonly #entriesOf: Entries
  readonly #unread: (one: Unread) => void
  readonly #rules: Rule[] = []
  /** Where the rule of each scalar stands: the last one replaces it. */
  readonly #scalars = new Map<ScalarKind, number>()

  constructor(entriesOf: Entries, unread: (one: Unread) => void) {
    this.#entriesOf = entriesOf
    this.#unread = unread
  }

  read(root: HclObject): Rules {
    for (const entry of this.#entriesOf(root)) {
      const word = wordOf(entry.key, words)
      if (word === undefined) this.#pass('block', entry)
      else if (word.form === 'scalar') this.#readScalar(word.kind, entry)
      else this.#readNamed(word.form, word.kind, entry)
    }
    return this.#rules
  }

  #readScalar(kind: ScalarKind, entry: HclEntry): void {
    const { line } = entry.position
    const text = textOf(entry)
    const before = this.#scalars.get(kind)
    if (before !== undefined) {
      this.#unread({ what: 'overwritten', name: kind, line: this.#rules[before]?.line ?? line })
    }
    if (text === '') return
    const level = levelOf(text, false)
    if (level === undefined) throw new Stopped(`Invalid ${kind} policy: ${goQuote(text)}`, line)
    this.#scalars.set(kind, before ?? this.#rules.length)
    this.#keep({ form: 'scalar', kind, level, line }, before)
  }

  /** `key "a" { … }`, `key = { a = { … } }`, and lists of either. */
  #readNamed(form: NamedRule['form'], kind: NamedKind, entry: HclEntry): void {
    for (const labels of objectsOf(entry)) {
      for (const labelled of this.#entriesOf(labels)) {
        for (const body of objectsOf(labelled)) {
          this.#readBody(form, kind, labelled, this.#entriesOf(body))
        }
      }
    }
  }

  #readBody(
    form: NamedRule['form'],
    kind: NamedKind,
    label: HclEntry,
    body: readonly HclEntry[],
  ): void {
    const name = label.key.toWellFormed()
    const { line } = label.position
    const hasIntentions = kind === 'service' || kind === 'identity'
    let policy = ''
    let intentions = ''
    for (const entry of body) {
      const key = wordOf(entry.key, bodyKeys)
      if (key === 'policy') policy = textOf(entry)
      else if (key === 'intentions' && hasIntentions) intentions = textOf(entry)
      else this.#pass('key', entry)
    }
    const block = form === 'prefix' ? `${kind}_prefix` : kind
    const level = levelOf(policy, kind === 'key')
    const shown = () => goForm(kind, name, policy, intentions)
    if (level === undefined) throw new Stopped(`Invalid ${block} policy: ${shown()}`, line)
    const allowed = intentions === '' ? undefined : levelOf(intentions, false)
    if (intentions !== '' && allowed === undefined) {
      throw new Stopped(`Invalid ${block} intentions policy: ${shown()}`, line)
    }
    this.#keep({ form, kind, name, level, intentions: allowed, line })
  }

  #keep(rule: Rule, at = this.#rules.length): void {
    if (at === limits.aclRulesInText) {
      const text = `Failed to parse ACL rules: more than ${limits.aclRulesInText} rules`
      throw new Stopped(text, rule.line)
    }
    this.#rules[at] = rule
  }

  #pass(what: Unread['what'], { key, position }: HclEntry): void {
    this.#unread({ what, name: key, line: position.line })
  }
}

const bodyKeys = new Map([
  ['policy', 'policy'],
  ['intentions', 'intentions'],
] as const)

/** Consul takes words in any case, as Go folds them: K is also the sign of Kelvin. */
function wordOf<T>(key: string, known: ReadonlyMap<string, T>): T | undefined {
  const word = known.get(key)
  if (word !== undefined) return word
  for (const [name, value] of known) if (foldsTo(key, name)) return value
  return undefined
}

function foldsTo(key: string, name: string): boolean {
  // Simple case folding of Unicode is what the flags i and u of a pattern mean together.
  return key.length === name.length && new RegExp(`^${name}$`, 'iu').test(key)
}

/** A value as Consul's decoder takes it for text: numbers too. */
function textOf({ value, position }: HclEntry): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  return malformed('expected a text', position.line)
}

function objectsOf({ value, position }: HclEntry): readonly HclObject[] {
  const list: readonly HclValue[] = Array.isArray(value) ? value : [value]
  return list.map(one => (isObject(one) ? one : malformed('expected a block', position.line)))
}

function malformed(reason: string, line: number): never {
  throw new Stopped(`Failed to parse ACL rules: line ${line}: ${reason}`, line)
}

function levelOf(text: string, hasList: boolean): Level | undefined {
  const level = levels.find(one => one === text.toLowerCase())
  return level === 'list' && !hasList ? undefined : level
}

/** What Consul calls the rule, its name and whether the form of its error has a last field. */
const goForms: Readonly<Record<NamedKind, readonly [string, string, boolean]>> = {
  agent: ['AgentRule', 'Node', false],
  event: ['EventRule', 'Event', false],
  identity: ['IdentityRule', 'Name', true],
  key: ['KeyRule', 'Prefix', true],
  node: ['NodeRule', 'Name', true],
  query: ['PreparedQueryRule', 'Prefix', false],
  service: ['ServiceRule', 'Name', true],
  session: ['SessionRule', 'Node', false],
}

/** A bad rule in the form in which Go prints it, which is what Consul answers. */
function goForm(kind: NamedKind, name: string, policy: string, intentions: string): string {
  const [type, field, hasLast] = goForms[kind]
  const fields = [`${field}:${goQuote(name)}`, `Policy:${goQuote(policy)}`]
  if (kind === 'service' || kind === 'identity') fields.push(`Intentions:${goQuote(intentions)}`)
  if (hasLast) fields.push('EnterpriseRule:acl.EnterpriseRule{}')
  return `acl.${type}{${fields.join(', ')}}`
}

/** Characters of a name that an error quotes at most. */
const QUOTED_CHARS = 256

/** A text in double quotes as Go prints it; what is not printable as an escape. */
function goQuote(text: string): string {
  return `"${text.slice(0, QUOTED_CHARS).toWellFormed().replace(UNPRINTED, goEscape)}"`
}

const UNPRINTED = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu
const goEscapes = new Map([
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['"', '\\"'],
  ['\\', '\\\\'],
])

function goEscape(character: string): string {
  const escaped = goEscapes.get(character)
  if (escaped !== undefined) return escaped
  const code = character.codePointAt(0) ?? 0
  const hex = code.toString(16)
  if (code < 0x80) return `\\x${hex.padStart(2, '0')}`
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`
}
