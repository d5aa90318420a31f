/**
 * Grants beside grants: what a token or a role has once more is added.
 *
 * Owns when two of them are the same. Pure.
 */
import { type Grants, type Link, withoutEmpty } from './given.ts'

/** What `before` gives, and what `more` gives beside it. */
export function joinGrants(before: Grants, more: Grants): Grants {
  return withoutEmpty({
    Policies: links(before.Policies, more.Policies),
    Roles: links(before.Roles, more.Roles),
    ServiceIdentities: distinct(before.ServiceIdentities, more.ServiceIdentities, each => [
      each.ServiceName,
    ]),
    NodeIdentities: distinct(before.NodeIdentities, more.NodeIdentities, each => [
      each.NodeName,
      each.Datacenter,
    ]),
    TemplatedPolicies: distinct(before.TemplatedPolicies, more.TemplatedPolicies, each => [
      each.TemplateName,
      each.TemplateVariables?.Name,
    ]),
  })
}

/** Links are the same by id or by name, whichever the new one has. */
function links(before: readonly Link[] = [], more: readonly Link[] = []): Link[] {
  const isNew = ({ ID, Name }: Link): boolean =>
    !before.some(each => (ID === undefined ? each.Name === Name : each.ID === ID))
  return [...before, ...more.filter(isNew)]
}

/** Of the same the later one stands, where the first stood. */
function distinct<T>(
  before: readonly T[] = [],
  more: readonly T[] = [],
  keyOf: (item: T) => unknown,
): T[] {
  return [
    ...new Map([...before, ...more].map(each => [JSON.stringify(keyOf(each)), each])).values(),
  ]
}
