/**
 * The smallest rule that would allow what is refused.
 *
 * Owns the choice of its form. Must be right where it says something: the rule, in one more
 * policy, allows the access. Where a denial of the very same pattern stands in the way, no rule
 * can, and it says nothing.
 */
import type { Access } from '../../base/who.ts'
import { extentOf, rangeStart } from './consul.ts'
import { bits } from './grant.ts'
import {
  type Level,
  type NamedKind,
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
  const resource = wanted.resource === 'key_prefix' ? 'key' : wanted.resource
  const tree = trees.get(resource) ?? noGrants
  const level = levelFor(wanted, resource)
  if (resource === 'intention') return ofIntention(wanted, tree)
  const scalarKind = scalarKinds.find(one => one === resource)
  if (scalarKind !== undefined) {
    return isDenied(tree, 'prefix', '') ? undefined : scalar(scalarKind, level)
  }
  const kind = namedKinds.find(one => one === resource)
  if (kind === undefined) return undefined
  const { capability, extent } = wanted
  if (extent === 'all') return ofRange(kind, '', capability, tree)
  if (wanted.resource === 'key_prefix') return ofRange(kind, wanted.name, capability, tree)
  const name = extent === 'any' ? SOME_NAME : wanted.name
  if (isDenied(tree, 'exact', name)) return undefined
  return named(capability === 'list' ? formOfList(name, tree) : 'exact', kind, name, level)
}

/** Stands in a rule for a name that is up to the reader. */
const SOME_NAME = '<name>'

/** Everything that begins so. What stands further down decides before any rule for the whole. */
function ofRange(
  kind: NamedKind,
  name: string,
  capability: Access['capability'],
  tree: Tree,
): Rule | undefined {
  const own = tree.at({ form: 'prefix', text: name })
  const below = tree.lackingUnder(rangeStart(name), bits[capability], own)
  if (own?.allowed === 0 || below !== undefined) return undefined
  return named('prefix', kind, name, levelFor({ capability }, kind))
}

/** What is listed is a prefix; only a rule for the very name decides before one for it. */
function formOfList(name: string, tree: Tree): NamedRule['form'] {
  const isExact = tree.at({ form: 'exact', text: name }) !== undefined
  return isExact || isDenied(tree, 'prefix', name) ? 'exact' : 'prefix'
}

/** Intentions are a part of the rules of services. */
function ofIntention(wanted: Access, tree: Tree): Rule | undefined {
  const { capability } = wanted
  const extent = extentOf(wanted, wanted.capability)
  const isForAll = extent === 'all'
  const form = isForAll ? 'prefix' : 'exact'
  const name = extent === 'any' ? SOME_NAME : wanted.name
  const text = isForAll ? '' : name
  const own = tree.at({ form, text })
  // A statement cannot be outdone; what only follows from a rule is outdone by one.
  const isStated = own !== undefined && own.rank > 0
  if (isStated && own.allowed === 0) return undefined
  if (isForAll && tree.lackingUnder('', bits[capability], own) !== undefined) return undefined
  const isImplied = capability === 'read' && own?.allowed !== 0
  const level = isImplied ? undefined : levelFor(wanted, 'intention')
  return named(form, 'service', text, 'read', level)
}

function isDenied(tree: Tree, form: NamedRule['form'], text: string): boolean {
  return tree.at({ form, text })?.allowed === 0
}

/** The level that gives a capability; `list` alone exists for keys only. */
function levelFor({ capability }: Pick<Access, 'capability'>, resource: string): Level {
  return capability === 'list' && resource !== 'key' ? 'write' : capability
}
