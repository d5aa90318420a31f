/**
 * What is odd about a text of rules, though Consul takes it.
 *
 * Owns the findings: what has no meaning, what can never decide, what changes nothing. Must never
 * find fault with what is merely unusual; a finding says what happens, not what is good style.
 */
import { limits } from '../../base/limits.ts'
import { nearest } from '../../base/nearest.ts'
import { readRules, type Unread } from './parse.ts'
import { ruleText } from './print.ts'
import { type NamedRule, namedKinds, type Rule, RulesProblem, scalarKinds } from './rule.ts'

export interface Finding {
  /** From 1. */
  readonly line: number
  /** `error`: the text is refused. `warning`: it is taken, and does not do what it looks like. */
  readonly severity: 'error' | 'warning'
  readonly text: string
}

/** What is wrong or odd about a text, in the order of its lines; of very much, some. */
export function lintRules(text: string): readonly Finding[] {
  const unread: Unread[] = []
  const rules = readRules(text, one => {
    if (unread.length < limits.aclFindings) unread.push(one)
  })
  if (rules instanceof RulesProblem) {
    return [{ line: rules.line, severity: 'error', text: rules.text }]
  }
  const findings = [
    ...unread.map(one => warning(one.line, aboutUnread(one))),
    ...aboutRepeated(rules),
    ...rules.flatMap(rule => (rule.form === 'scalar' ? [] : aboutRule(rule))),
  ]
  if (rules.length === 0) findings.push(warning(1, 'there is no rule: the text grants nothing'))
  return findings.sort((a, b) => a.line - b.line).slice(0, limits.aclFindings)
}

const warning = (line: number, text: string): Finding => ({ line, severity: 'warning', text })

const enterprise = new Set(['namespace', 'namespace_prefix', 'partition', 'partition_prefix'])
const blocks = [...scalarKinds, ...namedKinds.flatMap(kind => [kind, `${kind}_prefix`])]
const keys = ['policy', 'intentions']

function aboutUnread({ what, name }: Unread): string {
  if (what === 'overwritten') return `"${name}" is set again below: this value has no effect`
  if (what === 'block' && enterprise.has(name)) {
    return `"${name}" is for Consul Enterprise: nothing within it has an effect`
  }
  if (name === 'sentinel') return '"sentinel" is for Consul Enterprise: it has no effect'
  const meant = nearest(name, what === 'block' ? blocks : keys)
  const guess = meant === undefined ? '' : `, did you mean "${meant}"?`
  return `${what} "${name}" is not known and has no effect${guess}`
}

/** Rules for the same names: they are joined, which is not what a reader of the later one sees. */
function aboutRepeated(rules: readonly Rule[]): Finding[] {
  const first = new Map<string, NamedRule>()
  const findings: Finding[] = []
  for (const rule of rules) {
    if (rule.form === 'scalar') continue
    const key = `${rule.form} ${rule.kind} ${rule.name}`
    const before = first.get(key)
    if (before === undefined) {
      first.set(key, rule)
      continue
    }
    const isSame = before.level === rule.level && before.intentions === rule.intentions
    const effect = isSame ? 'with the same effect' : 'deny decides before write, write before read'
    findings.push(warning(rule.line, `line ${before.line} has a rule for the same name: ${effect}`))
  }
  return findings
}

function aboutRule(rule: NamedRule): Finding[] {
  const { form, kind, name, line } = rule
  const findings: Finding[] = []
  const covering = (prefix: string) => ruleText({ ...rule, form: 'prefix', name: prefix })
  if (name.includes('*')) {
    const meant = covering(name.slice(0, name.indexOf('*')))
    const text = `"*" stands for itself in a name; ${meant} covers all that begin so`
    findings.push(warning(line, text))
  }
  if (form === 'exact' && name === '' && kind !== 'key') {
    findings.push(warning(line, `never matches, as no ${kind} has this name; see ${kind}_prefix`))
  }
  if (form === 'exact' && kind === 'key' && name.endsWith('/')) {
    findings.push(warning(line, `is for one key alone; ${covering(name)} covers what is below it`))
  }
  if (kind === 'identity' && rule.intentions !== undefined) {
    findings.push(warning(line, 'intentions of an identity have no effect'))
  }
  return findings
}
