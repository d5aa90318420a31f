/**
 * Texts of rules, in HCL 1 or JSON, to data.
 *
 * Owns which words mean what, and the words in which Consul refuses bad ones. Every rule is kept,
 * a repeated one too, so that a later one can never hide a `deny`; of a value that is written
 * twice within a block the last one stands, as in Consul. Blocks that are not known are passed
 * over, as Consul does; lint.ts names them. Must never throw, whatever the text.
 */

import { goQuote } from '../../base/go-quote.ts'
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
  /** A block, or a key within one, that has no meaning; a value that a later one replaces. */
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

class Words<T> {
  readonly #exact: ReadonlyMap<string, T>
  readonly #folded: readonly (readonly [RegExp, T])[]
  readonly #longestChars: number

  constructor(words: readonly (readonly [string, T])[]) {
    this.#exact = new Map(words)
    // Simple case folding of Unicode is what the flags i and u of a pattern mean together.
    this.#folded = words.map(([word, value]) => [new RegExp(`^${word}$`, 'iu'), value])
    this.#longestChars = Math.max(...words.map(([word]) => word.length))
  }

  /** Consul takes words in any case, as Go folds them: the sign of Kelvin is a K as well. */
  get(key: string): T | undefined {
    if (key.length > this.#longestChars) return undefined
    return this.#exact.get(key) ?? this.#folded.find(([pattern]) => pattern.test(key))?.[1]
  }
}

const words = new Words<Word>([
  ...scalarKinds.map(kind => [kind, { form: 'scalar', kind }] as const),
  ...namedKinds.map(kind => [kind, { form: 'exact', kind }] as const),
  ...namedKinds.map(kind => [`${kind}_prefix`, { form: 'prefix', kind }] as const),
])

const bodyWords = new Words((['policy', 'intentions'] as const).map(word => [word, word] as const))

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
  /** The last rule of each scalar, which replaces those before it. */
  readonly #scalars = new Map<ScalarKind, Rule>()

  constructor(entriesOf: Entries, unread: (one: Unread) => void) {
    this.#entriesOf = entriesOf
    this.#unread = unread
  }

  read(root: HclObject): Rules {
    for (const entry of this.#entriesOf(root)) {
      const word = words.get(entry.key)
      if (word === undefined) this.#pass('block', entry)
      else if (word.form === 'scalar') this.#readScalar(word.kind, entry)
      else this.#readNamed(word.form, word.kind, entry)
    }
    return this.#rules.filter(
      rule => rule.form !== 'scalar' || this.#scalars.get(rule.kind) === rule,
    )
  }

  #readScalar(kind: ScalarKind, entry: HclEntry): void {
    const { line } = entry.position
    const text = textOf(entry)
    const before = this.#scalars.get(kind)
    if (before !== undefined) this.#unread({ what: 'overwritten', name: kind, line: before.line })
    this.#scalars.delete(kind)
    if (text === '') return
    const level = levelOf(text, false)
    if (level === undefined) throw new Stopped(`Invalid ${kind} policy: ${goQuote(text)}`, line)
    const rule: Rule = { form: 'scalar', kind, level, line }
    this.#scalars.set(kind, rule)
    this.#keep(rule)
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
    const texts = { policy: '', intentions: '' }
    const lines = { policy: 0, intentions: 0 }
    for (const entry of body) {
      const key = bodyWords.get(entry.key)
      if (key === undefined || (key === 'intentions' && !hasIntentions)) {
        this.#pass('key', entry)
        continue
      }
      if (lines[key] > 0) this.#unread({ what: 'overwritten', name: key, line: lines[key] })
      texts[key] = textOf(entry)
      lines[key] = entry.position.line
    }
    const { policy, intentions } = texts
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

  #keep(rule: Rule): void {
    if (this.#rules.length === limits.aclRulesInText) {
      const text = `Failed to parse ACL rules: more than ${limits.aclRulesInText} rules`
      throw new Stopped(text, rule.line)
    }
    this.#rules.push(rule)
  }

  #pass(what: Unread['what'], { key, position }: HclEntry): void {
    this.#unread({ what, name: key, line: position.line })
  }
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
