/**
 * Binding rules: what a token of a login may do, by what its auth method says of its bearer.
 *
 * Owns when a rule can be written, which rules a login meets, and the names that come of them. What
 * a login says is put into names as data: a name that it makes must be one, whatever it says
 * (CVE-2021-41803), and no login reaches a policy that everything is granted by unless a rule names
 * that policy itself. Semantics and texts follow Consul's. Pure.
 */
import { Refusal } from '../base/errors.ts'
import { filterOf } from '../filter/filter.ts'
import { identityFields, type LoginIdentity } from './auth-method/identity.ts'
import { fillTemplate, isIdentityName, RulesProblem, templates } from './rules/mod.ts'

/** The fields of a binding rule that are looked at. */
export interface BindingRuleFields {
  /** '' holds for every login. */
  readonly selector: string
  readonly bindType: string
  readonly bindName: string
  /** What the variable of a templated policy stands for; '' for nothing. */
  readonly bindVars: { readonly name: string }
}

/** What the token of a login is bound to, in the form in which tokens have it. */
export interface Bindings {
  readonly serviceIdentities: readonly {
    readonly service: string
    readonly datacenters: readonly string[]
  }[]
  readonly nodeIdentities: readonly { readonly node: string; readonly datacenter: string }[]
  readonly templatedPolicies: readonly {
    readonly template: string
    readonly name: string
    readonly datacenters: readonly string[]
  }[]
  /** By name; whether they exist is not known here. Those that do not are left out. */
  readonly roles: readonly string[]
  readonly policies: readonly string[]
}

/** What a login is told that no rule gives anything. */
export const noBindings = new Refusal(403, 'Permission denied')

const TYPES = ['service', 'node', 'role', 'policy', 'templated-policy']

const isRole = (name: string): boolean => /^[A-Za-z0-9_-]{1,256}$/.test(name)
const isPolicy = (name: string): boolean =>
  name.length <= 128 && /^[A-Za-z0-9_-]+\/?[A-Za-z0-9_-]*$/.test(name)

/** Names of policies are open to rules alone, not to what a login says. */
const isReserved = (name: string): boolean =>
  name.includes('/') || name.toLowerCase() === 'global-management'

/** Why a rule cannot be written; undefined when it can. `blank` is of the rule's auth method. */
export function refuseBindingRule(
  rule: BindingRuleFields,
  blank: LoginIdentity,
): Refusal | undefined {
  const { selector, bindType, bindName, bindVars } = rule
  const filter = filterOf(selector, identityFields)
  if (filter instanceof Refusal) {
    const why = filter.text.replace(/^Failed to create boolean expression evaluator: /, '')
    return new Refusal(500, `invalid Binding Rule: Selector is invalid: ${why}`)
  }
  if (bindType === '') return invalid('no BindType is set')
  if (bindName === '') return invalid('no BindName is set')
  if (!TYPES.includes(bindType)) return invalid(`unknown BindType ${quoted(bindType)}`)
  if (bindVars.name !== '' && bindType !== 'templated-policy') {
    const text = 'BindVars cannot be set when bind type is not templated-policy.'
    return new Refusal(500, `invalid Binding Rule: ${text}`)
  }
  // Any value that is a name will do.
  const variables = new Map([...blank.variables.keys()].map(name => [name, 'fake']))
  const bound = bindingOf(rule, variables)
  if (!(typeof bound === 'string')) return undefined
  return invalid(`invalid BindName: failed to validate bindType ${quoted(bindType)}: ${bound}`)
}

const invalid = (text: string): Refusal => new Refusal(500, `Invalid Binding Rule: ${text}`)

const SHOWN_CHARS = 64
const quoted = (text: string): string => JSON.stringify(text.slice(0, SHOWN_CHARS))

/**
 * What the rules of an auth method give a login; a refusal where they give nothing, and where one
 * that it meets makes no name.
 */
export function bindings(
  rules: readonly BindingRuleFields[],
  identity: LoginIdentity,
  datacenter: string,
): Bindings | Refusal {
  const met = rules.filter(rule => meets(rule.selector, identity))
  const bound: Bound[] = []
  for (const rule of met) {
    const one = bindingOf(rule, identity.variables)
    if (typeof one === 'string') return new Refusal(403, `Permission denied: ${one}`)
    if (!bound.some(known => same(known, one))) bound.push(one)
  }
  if (bound.length === 0) return noBindings
  const of = (type: string): string[] =>
    bound.filter(one => one.type === type).map(({ name }) => name)
  return {
    serviceIdentities: of('service').map(service => ({ service, datacenters: [] })),
    nodeIdentities: of('node').map(node => ({ node, datacenter })),
    templatedPolicies: bound
      .filter(({ type }) => type === 'templated-policy')
      .map(({ name, variable }) => ({ template: name, name: variable, datacenters: [] })),
    roles: of('role'),
    policies: of('policy'),
  }
}

/** A selector that cannot be used, or that takes too long, holds for nobody. */
function meets(selector: string, identity: LoginIdentity): boolean {
  const filter = filterOf(selector, identityFields)
  if (filter === undefined) return true
  if (filter instanceof Refusal) return false
  try {
    return filter.keeps(identity)
  } catch (error) {
    if (error instanceof Refusal) return false
    throw error
  }
}

interface Bound {
  readonly type: string
  readonly name: string
  /** Of a templated policy. */
  readonly variable: string
}

const same = (one: Bound, other: Bound): boolean =>
  one.type === other.type && one.name === other.name && one.variable === other.variable

/** What one rule gives where these are the values of its variables; why it gives nothing. */
function bindingOf(
  { bindType, bindName, bindVars }: BindingRuleFields,
  variables: ReadonlyMap<string, string>,
): Bound | string {
  if (bindType === 'templated-policy') return templateOf(bindName, bindVars.name, variables)
  const name = interpolated(bindName, variables)
  if (name.problem !== undefined) return `error interpreting template: ${name.problem}`
  const isName = bindType === 'policy' ? isPolicy : bindType === 'role' ? isRole : isIdentityName
  const isForRules = bindType === 'policy' && name.isMade && isReserved(name.text)
  if (!isName(name.text) || isForRules) return `invalid bind name: ${quoted(name.text)}`
  return { type: bindType, name: name.text, variable: '' }
}

function templateOf(
  template: string,
  variable: string,
  variables: ReadonlyMap<string, string>,
): Bound | string {
  if (!templates.has(template)) {
    const why = 'Bind name for templated-policy bind type does not match existing template name'
    return `${why}: ${template.slice(0, SHOWN_CHARS)}`
  }
  const name = interpolated(variable, variables)
  if (name.problem !== undefined) {
    return `failed to interpret templated policy variables: ${name.problem}`
  }
  // What a login says becomes part of rules: only what is the name of something may.
  if (name.isMade && !isIdentityName(name.text))
    return `invalid bind variable: ${quoted(name.text)}`
  const filled = fillTemplate(template, variable === '' ? undefined : { name: name.text })
  return filled instanceof RulesProblem
    ? `templated policy failed validation: ${filled.text}`
    : { type: 'templated-policy', name: template, variable: name.text }
}

interface Interpolated {
  readonly text: string
  /** Whether a variable stands in it. */
  readonly isMade: boolean
  readonly problem?: string
}

/**
 * A text with the values of its `${variables}`, in lower case as Consul has them. Only variables:
 * no functions, no sums. `$${` stands for `${`. What a value says is never looked through again.
 */
function interpolated(text: string, variables: ReadonlyMap<string, string>): Interpolated {
  let isMade = false
  let problem: string | undefined
  const made = text.replace(/\$\$\{|\$\{([^{}]*)\}?/g, (whole, inside?: string) => {
    if (whole === '$${') return '${'
    const name = (inside ?? '').trim()
    const value = whole.endsWith('}') ? variables.get(name) : undefined
    isMade = true
    if (value === undefined) {
      problem ??=
        /^[A-Za-z_][\w.-]*$/.test(name) && whole.endsWith('}')
          ? `unknown variable accessed: ${name.slice(0, SHOWN_CHARS)}`
          : 'only variables may stand in a name'
      return ''
    }
    return value.toLowerCase()
  })
  return { text: made, isMade, ...(problem === undefined ? {} : { problem }) }
}
