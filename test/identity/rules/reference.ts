/**
 * What a set of policies allows, decided by the definitions of Consul's documentation, as slowly
 * as they read: for every question all rules are gone through.
 *
 * Owes nothing to src/identity/rules but the types of a rule: no grants, no bits, no tree. The
 * tests hold the authorizer against it.
 */
import type { Access, Capability } from '../../../src/base/who.ts'
import type { CompileOptions, Source } from '../../../src/identity/rules/mod.ts'
import type { Level, NamedRule, Rule } from '../../../src/identity/rules/rule.ts'

/** "deny" before "write" before "list" before "read". */
const precedence: readonly Level[] = ['deny', 'write', 'list', 'read']

const gives: Record<Level, readonly Capability[]> = {
  deny: [],
  read: ['read'],
  list: ['read', 'list'],
  write: ['read', 'list', 'write'],
}

type Answer = 'allow' | 'deny' | 'no rule'
type Ask = (rules: readonly NamedRule[], wanted: Capability) => Answer

/** Whether the access is allowed. */
export function referenceMay(
  sources: readonly Source[],
  options: CompileOptions,
  { resource, capability, name, extent }: Access,
): boolean {
  if (options.management === true) return true
  if (resource === 'key' && capability === 'list' && !options.keyListPolicy) return true
  const settle = (ask: Ask) => settled(sources, options, resource, capability, ask)
  if (extent === 'any') return settle(any)
  if (extent === 'all') return settle(all)
  if (resource === 'intention' && name === '*') return settle(capability === 'read' ? any : all)
  if (resource === 'key_prefix') {
    return settled(sources, options, 'key', capability, (rules, level) => tree(rules, name, level))
  }
  return settle((rules, level) => one(rules, name, level))
}

function settled(
  sources: readonly Source[],
  options: CompileOptions,
  resource: string,
  wanted: Capability,
  ask: Ask,
): boolean {
  const rules = sources.flatMap(source => source.rules)
  let answer = ask(about(rules, resource), wanted)
  const standIn = resource === 'mesh' || resource === 'peering'
  if (answer === 'no rule' && standIn) answer = ask(about(rules, 'operator'), wanted)
  if (answer !== 'no rule') return answer === 'allow'
  return resource !== 'acl' && options.defaultPolicy === 'allow'
}

/** The rules about a resource, each as if it were written for it, none for the same name twice. */
function about(rules: readonly Rule[], resource: string): NamedRule[] {
  const named = rules.flatMap((rule): NamedRule[] => {
    if (rule.form !== 'scalar') return [rule]
    // What has no names is as if there were a rule for all of them.
    return [{ ...rule, form: 'prefix', name: '', intentions: undefined } as never]
  })
  const kind = resource === 'intention' ? 'service' : resource
  const own = named.filter(rule => rule.kind === kind)
  return own
    .filter((rule, at) => own.findIndex(other => isSame(rule, other)) === at)
    .map(rule => merged(own.filter(other => isSame(rule, other))))
    .map(rule => (resource === 'intention' ? { ...rule, level: intentionsOf(rule) } : rule))
}

const isSame = (a: NamedRule, b: NamedRule): boolean => a.form === b.form && a.name === b.name

function merged(rules: readonly NamedRule[]): NamedRule {
  const level = precedence.find(one => rules.some(rule => rule.level === one))!
  const intentions = precedence.find(one => rules.some(rule => rule.intentions === one))
  return { ...rules[0]!, level, intentions }
}

function intentionsOf({ level, intentions }: NamedRule): Level {
  if (intentions !== undefined) return intentions
  return level === 'read' || level === 'write' ? 'read' : 'deny'
}

const by = (rule: NamedRule | undefined, wanted: Capability): Answer => {
  if (rule === undefined) return 'no rule'
  return gives[rule.level].includes(wanted) ? 'allow' : 'deny'
}

/** The exact rule, else the longest prefix. */
function one(rules: readonly NamedRule[], name: string, wanted: Capability): Answer {
  const exact = rules.find(rule => rule.form === 'exact' && rule.name === name)
  return by(exact ?? longest(rules, name), wanted)
}

function longest(rules: readonly NamedRule[], name: string): NamedRule | undefined {
  return rules
    .filter(rule => rule.form === 'prefix' && name.startsWith(rule.name))
    .sort((a, b) => b.name.length - a.name.length)[0]
}

/** All names below a prefix: what covers it, and nothing below that says otherwise. */
function tree(rules: readonly NamedRule[], prefix: string, wanted: Capability): Answer {
  const covering = by(longest(rules, prefix), wanted)
  // A prefix that ends within a character is seen up to there.
  const start = prefix.split('\ufffd')[0]!
  const below = rules.filter(rule => rule.name.startsWith(start))
  const isHindered = below.some(rule => by(rule, wanted) === 'deny')
  return covering === 'deny' || isHindered ? 'deny' : covering
}

function any(rules: readonly NamedRule[], wanted: Capability): Answer {
  if (rules.some(rule => by(rule, wanted) === 'allow')) return 'allow'
  return by(longest(rules, ''), wanted)
}

function all(rules: readonly NamedRule[], wanted: Capability): Answer {
  if (rules.some(rule => by(rule, wanted) === 'deny')) return 'deny'
  return by(longest(rules, ''), wanted)
}
