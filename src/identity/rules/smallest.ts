/**
 * The smallest rule that would allow what is refused.
 *
 * Owns the choice of its form. Must be right where it says something: the rule, in one more
 * policy, allows the access. Where a denial of the very same pattern stands in the way, no rule
 * can, and it says nothing.
 */
import type { Access } from '../../base/who.ts'
import { rangeStart } from './consul.ts'
import { bits } from './grant.ts'
import {
  type Level,
  type NamedRule,
  named,
  namedKinds,
  type Rule,
  scalar,
  scalarKinds,
} from './rule.ts'
import { GrantTree } from './tree.ts'

type Tree = GrantTree<Rule>

const noGrants: Tree = new GrantTree([])

/** The rule, or undefined. `trees` are the grants that refused, by resource. */
export function smallestRule(wanted: Access, trees: ReadonlyMap<string, Tree>): Rule | undefined {
  const { resource, name } = wanted
  if (resource === 'intention') return ofIntention(wanted, trees.get('intention') ?? noGrants)
  if (resource === 'key' || resource === 'key_prefix') {
    return ofKey(wanted, trees.get('key') ?? noGrants)
  }
  const tree = trees.get(resource) ?? noGrants
  const level = levelFor(wanted)
  const kind = scalarKinds.find(one => one === resource)
  if (kind !== undefined) return isDenied(tree, 'prefix', '') ? undefined : scalar(kind, level)
  const namedKind = namedKinds.find(one => one === resource)
  if (namedKind === undefined || isDenied(tree, 'exact', name)) return undefined
  return named('exact', namedKind, name, level)
}

function ofKey({ capability, resource, name }: Access, tree: Tree): Rule | undefined {
  if (resource === 'key_prefix') {
    const own = tree.at({ form: 'prefix', text: name })
    // What stands further down is more specific than any rule for the whole.
    const below = tree.lackingUnder(rangeStart(name), bits[capability], own)
    if (own?.allowed === 0 || below !== undefined) return undefined
    return named('prefix', 'key', name, capability)
  }
  if (isDenied(tree, 'exact', name)) return undefined
  // What is listed is a prefix; only a rule for the very name decides before one for it.
  const isExact =
    capability !== 'list' ||
    tree.at({ form: 'exact', text: name }) !== undefined ||
    isDenied(tree, 'prefix', name)
  return named(isExact ? 'exact' : 'prefix', 'key', name, capability)
}

/** Intentions are a part of the rules of services. */
function ofIntention(wanted: Access, tree: Tree): Rule | undefined {
  const { capability, name } = wanted
  const isForAll = name === '*' && capability !== 'read'
  const form = isForAll ? 'prefix' : 'exact'
  const text = isForAll ? '' : name
  const own = tree.at({ form, text })
  // A statement cannot be outdone; what only follows from a rule is outdone by one.
  const isStated = own !== undefined && own.rank > 0
  if (isStated && own.allowed === 0) return undefined
  if (isForAll && tree.lackingUnder('', bits[capability], own) !== undefined) return undefined
  const isImplied = capability === 'read' && own?.allowed !== 0
  return named(form, 'service', text, 'read', isImplied ? undefined : levelFor(wanted))
}

function isDenied(tree: Tree, form: NamedRule['form'], text: string): boolean {
  return tree.at({ form, text })?.allowed === 0
}

/** The level that gives a capability; `list` alone exists for keys only. */
function levelFor({ capability }: Access): Level {
  return capability === 'list' ? 'write' : capability
}
