/**
 * Consul's rules as grants.
 *
 * Owns what its levels allow, what a service's rule says about intentions, and which resource
 * stands in for which. Must never decide anything: authorizer.ts does, for every language alike.
 */
import type { Access } from '../../base/who.ts'
import { bits, type Grant, type Origin } from './grant.ts'
import type { Level, NamedRule, Rule, Rules } from './rule.ts'

/** The rules of one policy, or of what stands for one (a service's identity, a template). */
export interface Source {
  readonly policyId: string
  readonly policyName: string
  readonly rules: Rules
}

const allowedBy: Readonly<Record<Level, number>> = {
  deny: 0,
  read: bits.read,
  list: bits.read | bits.list,
  write: bits.read | bits.list | bits.write,
}

/** A resource that has no rule that decides is asked about as another one. */
export const fallbacks: ReadonlyMap<string, string> = new Map([
  ['mesh', 'operator'],
  ['peering', 'operator'],
])

/** The grants of all rules of all sources. */
export function* grantsOf(sources: readonly Source[]): Iterable<Grant<Rule>> {
  for (const { policyId, policyName, rules } of sources) {
    for (const rule of rules) {
      const origin = { policyId, policyName, rule }
      yield ruleGrant(origin)
      if (rule.form !== 'scalar' && rule.kind === 'service') yield intentionGrant(rule, origin)
    }
  }
}

function ruleGrant(origin: Origin<Rule>): Grant<Rule> {
  const { rule } = origin
  return {
    resource: rule.kind,
    // What has no name is covered by the prefix of all names.
    pattern:
      rule.form === 'scalar' ? { form: 'prefix', text: '' } : { form: rule.form, text: rule.name },
    allowed: allowedBy[rule.level],
    rank: 0,
    origin,
  }
}

/**
 * What a service's rule says about the intentions towards it: what it states; else that they may
 * be read where the service may. A statement stands before what follows from other rules.
 */
function intentionGrant(rule: NamedRule, origin: Origin<Rule>): Grant<Rule> {
  const isStated = rule.intentions !== undefined
  const follows = rule.level === 'deny' ? 'deny' : 'read'
  return {
    resource: 'intention',
    pattern: { form: rule.form, text: rule.name },
    allowed: allowedBy[rule.intentions ?? follows],
    rank: isStated ? 1 : 0,
    origin,
  }
}

/**
 * Whether a right on some name or on all is meant. Intentions towards `*` are those towards every
 * service: whoever may read those towards one may read them, and who writes them needs all.
 */
export function extentOf(
  { extent, resource, name }: Omit<Access, 'capability'>,
  capability: Access['capability'],
): Access['extent'] {
  if (extent !== undefined || resource !== 'intention' || name !== '*') return extent
  return capability === 'read' ? 'any' : 'all'
}

/**
 * What all keys begin with that a prefix of bytes covers. It may end within a character, which then
 * reads as U+FFFD and is the start of no name; what stands before it is.
 */
export function rangeStart(prefix: string): string {
  const cut = prefix.indexOf('\ufffd')
  return cut === -1 ? prefix : prefix.slice(0, cut)
}
