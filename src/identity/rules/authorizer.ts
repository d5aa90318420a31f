/**
 * The one decision: may a principal with these policies do this?
 *
 * Owns how a question is answered from grants and the default, and the explanation of the answer.
 * `may` is on the way of every request: no allocation. Explanations and decisions come from the
 * same look-up, so that they cannot differ.
 */
import { createHash } from 'node:crypto'
import { allowed, type Rights } from '../../base/allowed.ts'
import type { Access, Capability } from '../../base/who.ts'
import { extentOf, fallbacks, grantsOf, rangeStart, type Source } from './consul.ts'
import { bits, type Grant, joinGrants } from './grant.ts'
import { ruleText } from './print.ts'
import type { Rule } from './rule.ts'
import { smallestRule } from './smallest.ts'
import { GrantTree } from './tree.ts'

export interface CompileOptions {
  /** What holds where no rule decides; ACLs themselves are closed to those without a rule. */
  readonly defaultPolicy: 'allow' | 'deny'
  /** Of a principal that may do everything, whatever its rules. */
  readonly management?: boolean
  /** Whether keys may be listed by those alone whose rules say so (`enable_key_list_policy`). */
  readonly keyListPolicy: boolean
}

/** Why an access is allowed or not. */
export interface Verdict {
  readonly allowed: boolean
  readonly reason: 'rule' | 'default' | 'management'
  /** The rule that decided. */
  readonly rule: RuleShown | undefined
  /**
   * The smallest rule that would allow what is not, in a policy of its own; undefined where it is
   * allowed, and where another rule must go first since it denies.
   */
  readonly smallest: string | undefined
}

export interface RuleShown {
  /** On one line, as in `service_prefix "web" { policy = "read" }`. */
  readonly text: string
  readonly policyId: string
  readonly policyName: string
  /** Of the policy's text, from 1; 0 when the rule was never text. */
  readonly line: number
}

export interface Authorizer {
  /** Whether the access is allowed. */
  may(wanted: Access): boolean
  /** Why the access is allowed or not, and what would allow it. */
  explain(wanted: Access): Verdict
  /** Equal for authorizers that decide alike: what was answered to one is good for the other. */
  readonly fingerprint: string
}

/** The authorizer of a principal with these policies. The order of the sources means nothing. */
export function compile(sources: readonly Source[], options: CompileOptions): Authorizer {
  return new Compiled(sources, options)
}

type Tree = GrantTree<Rule>
type Decider = Grant<Rule> | undefined

const noGrants: Tree = new GrantTree([])

/** What is asked about: a name of a kind, at least one, or every one. */
type Resource = Omit<Access, 'capability'>

class Compiled implements Authorizer, Rights<Capability, Resource, undefined, boolean> {
  readonly fingerprint: string
  readonly #trees: ReadonlyMap<string, Tree>
  readonly #isManagement: boolean
  readonly #allowsByDefault: boolean
  readonly #asksForList: boolean

  constructor(sources: readonly Source[], options: CompileOptions) {
    const grants = joinGrants(grantsOf(sources))
    this.#trees = new Map([...grants].map(([resource, list]) => [resource, new GrantTree(list)]))
    this.#isManagement = options.management === true
    this.#allowsByDefault = options.defaultPolicy === 'allow'
    this.#asksForList = options.keyListPolicy
    this.fingerprint = fingerprintOf(grants, options)
  }

  may(wanted: Access): boolean {
    return allowed(this, wanted.capability, wanted, undefined)
  }

  /** No context means anything to these rules: conditions are judged once all is decided. */
  decide(capability: Capability, wanted: Resource): boolean {
    if (this.#isManagement || this.#isUnasked(capability, wanted)) return true
    const need = bits[capability]
    return this.#allows(this.#decider(wanted, capability), wanted.resource, need)
  }

  explain(wanted: Access): Verdict {
    if (this.#isManagement) return verdict(true, 'management')
    if (this.#isUnasked(wanted.capability, wanted)) return verdict(true, 'default')
    const need = bits[wanted.capability]
    const decider = this.#decider(wanted, wanted.capability)
    const isAllowed = this.#allows(decider, wanted.resource, need)
    const smallest = isAllowed ? undefined : this.#smallest(wanted)
    return verdict(isAllowed, decider === undefined ? 'default' : 'rule', decider, smallest)
  }

  /** The grant that decides, undefined for the default. */
  #decider(wanted: Resource, capability: Capability): Decider {
    const need = bits[capability]
    const tree = this.#treeOf(wanted.resource)
    const extent = extentOf(wanted, capability)
    if (extent === 'any') return deciderOfAny(tree, need)
    if (extent === 'all') return deciderOfAll(tree, need)
    return wanted.resource === 'key_prefix'
      ? deciderOfRange(tree, wanted.name, need)
      : tree.find(wanted.name)
  }

  #allows(decider: Decider, resource: string, need: number): boolean {
    if (decider !== undefined) return (decider.allowed & need) !== 0
    return this.#allowsByDefault && resource !== 'acl'
  }

  /** Listing keys is a right of its own only where the configuration says so. */
  #isUnasked(capability: Capability, { resource }: Resource): boolean {
    return !this.#asksForList && capability === 'list' && resource === 'key'
  }

  #treeOf(resource: string): Tree {
    const tree = this.#trees.get(resource === 'key_prefix' ? 'key' : resource)
    return tree ?? this.#trees.get(fallbacks.get(resource) ?? '') ?? noGrants
  }

  #smallest(wanted: Access): string | undefined {
    const rule = smallestRule(wanted, this.#trees)
    return rule === undefined ? undefined : ruleText(rule)
  }
}

/** At least one name: a grant that allows, else what all names begin with. */
function deciderOfAny(tree: Tree, need: number): Decider {
  return tree.allowing(need) ?? tree.find('', true)
}

/** Every name: a grant that does not allow, else what all names begin with. */
function deciderOfAll(tree: Tree, need: number): Decider {
  return tree.lackingUnder('', need) ?? tree.find('', true)
}

/**
 * Every name that begins with this one, as for a recursive delete: what covers them all must
 * allow it, and so must each grant for some of them.
 */
function deciderOfRange(tree: Tree, name: string, need: number): Decider {
  const covering = tree.find(name, true)
  // Something below may refuse it as well; what covers everything explains it better.
  if (covering !== undefined && (covering.allowed & need) === 0) return covering
  const start = rangeStart(name)
  if ((tree.commonUnder(start) & need) !== 0) return covering
  return tree.lackingUnder(start, need)
}

function verdict(
  allowed: boolean,
  reason: Verdict['reason'],
  decider?: Decider,
  smallest?: string,
): Verdict {
  if (decider === undefined) return { allowed, reason, rule: undefined, smallest }
  const { rule, policyId, policyName } = decider.origin
  const shown = { text: ruleText(rule), policyId, policyName, line: rule.line }
  return { allowed, reason, rule: shown, smallest }
}

function fingerprintOf(
  grants: ReadonlyMap<string, readonly Grant<Rule>[]>,
  options: CompileOptions,
): string {
  const { defaultPolicy, management, keyListPolicy } = options
  const hash = createHash('sha256').update(JSON.stringify([defaultPolicy, keyListPolicy]))
  if (management === true) return 'management'
  const lines = [...grants.values()].flat().map(({ resource, pattern, allowed }) => {
    return JSON.stringify([resource, pattern.form, pattern.text, allowed])
  })
  for (const line of lines.sort()) hash.update(line)
  return hash.digest('base64url')
}
