/**
 * What gives rights to a token or a role: links to policies, identities, templated policies.
 *
 * Owns how they are checked when they are written, and what they come to when rights are worked
 * out. Names and texts of refusals are Consul's. Pure.
 */
import { fromText } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import {
  type Grants,
  type NodeIdentity,
  policies,
  roles,
  type ServiceIdentity,
  type TemplatedPolicy,
} from '../store/tables/acl.ts'
import { fold } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import {
  fillTemplate,
  nodeIdentity,
  RulesProblem,
  type Source,
  type Synthetic,
  serviceIdentity,
} from './rules/mod.ts'

/** A link as clients write it: by id, or by name where there is no id. */
export interface Link {
  readonly id: string
  readonly name: string
}

/** What gives rights, as clients write it. */
export interface GivenGrants extends Omit<Grants, 'policies'> {
  readonly policies: readonly Link[]
}

/** Whose grants they are: it stands in texts of refusals. */
export type Holder = 'token' | 'role'

/** The grants that were given, with links by id; the refusal of the first that is wrong. */
export function readGrants(
  view: Reader,
  given: GivenGrants,
  holder: Holder,
  isLocal: boolean,
): Grants | Refusal {
  const count =
    given.policies.length +
    given.serviceIdentities.length +
    given.nodeIdentities.length +
    given.templatedPolicies.length
  if (count > limits.aclLinks) return tooMany(holder)
  const linked = readLinks(given.policies, link => policyOf(view, link))
  if (linked instanceof Refusal) return linked
  const problem =
    first(given.serviceIdentities, each => serviceProblem(each, holder, isLocal)) ??
    first(given.nodeIdentities, each => nodeProblem(each, holder)) ??
    first(given.templatedPolicies, each => templateProblem(each, isLocal))
  if (problem !== undefined) return new Refusal(500, problem)
  return {
    policies: linked,
    serviceIdentities: joined(given.serviceIdentities),
    nodeIdentities: unique(given.nodeIdentities),
    templatedPolicies: unique(given.templatedPolicies),
  }
}

const tooMany = (holder: Holder): Refusal =>
  new Refusal(500, `Invalid ${holder}: too many links, max: ${limits.aclLinks}`)

/** The ids of roles that were given. */
export function readRoleLinks(view: Reader, given: readonly Link[]): readonly string[] | Refusal {
  if (given.length > limits.aclLinks) return tooMany('token')
  return readLinks(given, ({ id, name }) => {
    if (id === '') {
      const [found] = view.find(roles, 'name', fold(name), 1)
      return found?.row.id ?? new Refusal(500, `No such ACL role with name ${JSON.stringify(name)}`)
    }
    const found = view.get(roles, fromText(id))
    return found?.row.id ?? new Refusal(500, `No such ACL role with ID ${JSON.stringify(id)}`)
  })
}

function policyOf(view: Reader, { id, name }: Link): string | Refusal {
  if (id === '') {
    const [found] = view.find(policies, 'name', fold(name), 1)
    return found?.row.id ?? new Refusal(500, `No such ACL policy with name ${JSON.stringify(name)}`)
  }
  const found = view.get(policies, fromText(id))
  return found?.row.id ?? new Refusal(500, `No such ACL policy with ID ${JSON.stringify(id)}`)
}

function readLinks(
  given: readonly Link[],
  read: (link: Link) => string | Refusal,
): readonly string[] | Refusal {
  const found: string[] = []
  for (const link of given) {
    const id = read(link)
    if (id instanceof Refusal) return id
    if (!found.includes(id)) found.push(id)
  }
  return found
}

/** The first problem among items. */
function first<T>(
  items: readonly T[],
  problemOf: (item: T) => string | undefined,
): string | undefined {
  for (const item of items) {
    const problem = problemOf(item)
    if (problem !== undefined) return problem
  }
  return undefined
}

const NO_DATACENTERS = 'cannot specify a list of datacenters on a local token'

function serviceProblem(
  { service, datacenters }: ServiceIdentity,
  holder: Holder,
  isLocal: boolean,
): string | undefined {
  if (service === '') return `Service identity is missing the service name field on this ${holder}`
  if (isLocal && datacenters.length > 0) {
    return `Service identity ${JSON.stringify(service)} ${NO_DATACENTERS}`
  }
  const made = serviceIdentity(service)
  return made instanceof RulesProblem ? made.text : undefined
}

function nodeProblem({ node, datacenter }: NodeIdentity, holder: Holder): string | undefined {
  if (node === '') return `Node identity is missing the node name field on this ${holder}`
  if (datacenter === '') return `Node identity is missing the datacenter field on this ${holder}`
  const made = nodeIdentity(node)
  return made instanceof RulesProblem ? made.text : undefined
}

function templateProblem(
  { template, name, datacenters }: TemplatedPolicy,
  isLocal: boolean,
): string | undefined {
  if (template === '') return 'templated policy is missing the template name field on this token'
  if (isLocal && datacenters.length > 0) {
    return `templated policy ${JSON.stringify(template)} ${NO_DATACENTERS}`
  }
  const made = fillTemplate(template, { name })
  return made instanceof RulesProblem ? made.text : undefined
}

/** Identities of one service are one: with all their datacenters, or none where one has none. */
function joined(identities: readonly ServiceIdentity[]): readonly ServiceIdentity[] {
  const byName = new Map<string, ServiceIdentity>()
  for (const each of identities) {
    const known = byName.get(each.service)
    const all = known === undefined ? each.datacenters : [...known.datacenters, ...each.datacenters]
    const isEverywhere =
      each.datacenters.length === 0 || (known !== undefined && known.datacenters.length === 0)
    const datacenters = isEverywhere ? [] : [...new Set(all)]
    byName.set(each.service, { service: each.service, datacenters })
  }
  return [...byName.values()]
}

function unique<T>(items: readonly T[]): readonly T[] {
  const seen = new Map(items.map(item => [JSON.stringify(item), item]))
  return [...seen.values()]
}

/** The policies that stand for identities and templated policies, as far as they hold here. */
export function syntheticsOf(grants: Grants, datacenter: string): readonly Synthetic[] {
  const isHere = (datacenters: readonly string[]): boolean =>
    datacenters.length === 0 || datacenters.includes(datacenter)
  const made = [
    ...grants.serviceIdentities
      .filter(each => isHere(each.datacenters))
      .map(each => serviceIdentity(each.service)),
    ...grants.nodeIdentities
      .filter(each => each.datacenter === datacenter)
      .map(each => nodeIdentity(each.node)),
    ...grants.templatedPolicies
      .filter(each => isHere(each.datacenters))
      .map(({ template, name }) => fillTemplate(template, { name })),
  ]
  // What does not fit any more gives no rights.
  return made.filter((each): each is Synthetic => !(each instanceof RulesProblem))
}

export const sourcesOf = (grants: Grants, datacenter: string): readonly Source[] =>
  syntheticsOf(grants, datacenter)
