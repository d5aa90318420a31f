/**
 * The rules of ACL roles: create, change, delete, and their reads.
 *
 * Owns their names and ids; what a role gives is checked in grants.ts. Semantics and texts follow
 * Consul's API (/v1/acl/role). Pure.
 */
import { type Revision, revision } from '../base/brand.ts'
import { fromText } from '../base/bytes.ts'
import { refuse } from '../base/denied.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import type { Question, View } from '../store/ask.ts'
import { type Decision, del, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import { policies, type RoleRow, roles } from '../store/tables/acl.ts'
import { fold, scope } from '../store/tables/names.ts'
import type { Reader } from '../store/view.ts'
import { type GivenGrants, readGrants } from './grants.ts'
import { shown } from './policy.ts'

export interface RoleRequest extends GivenGrants {
  readonly name: string
  readonly description: string
}

const NAME = /^[A-Za-z0-9_-]{1,256}$/

/** Creates a role under a new id; the answer is the row. */
export function createRole(
  view: Reader,
  who: Who,
  id: string,
  request: RoleRequest,
): Decision<RoleRow> | Refusal {
  return refuse(who, [access('write', 'acl')]) ?? putRole(view, id, request)
}

/** Puts another role in the place of the one with this id. */
export function updateRole(
  view: Reader,
  who: Who,
  id: string,
  request: RoleRequest,
): Decision<RoleRow> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  if (view.get(roles, fromText(id)) === undefined) {
    return new Refusal(500, `cannot find role ${shown(id)}`)
  }
  return putRole(view, id, request)
}

function putRole(view: Reader, id: string, request: RoleRequest): Decision<RoleRow> | Refusal {
  const { name, description } = request
  if (name === '') return new Refusal(500, 'Invalid Role: no Name is set')
  if (!NAME.test(name)) {
    const allowed = `Only alphanumeric characters, '-' and '_' are allowed`
    return new Refusal(500, `Invalid Role: invalid Name. ${allowed}`)
  }
  if (description.length > limits.aclDescriptionChars) {
    return new Refusal(500, 'Invalid Role: the Description is too long')
  }
  const [other] = view.find(roles, 'name', fold(name), 1)
  if (other !== undefined && other.row.id !== id) {
    return new Refusal(500, `Invalid Role: A Role with Name ${shown(name)} already exists`)
  }
  const grants = readGrants(view, request, 'role', false)
  if (grants instanceof Refusal) return grants
  const role: RoleRow = { id, name, description, ...grants }
  return { txn: [put(roles, fromText(id), role)], answer: role }
}

/** Deletes a role; links to it count for nothing from then on. The answer is whether it was. */
export function deleteRole(view: Reader, who: Who, id: string): Decision<boolean> | Refusal {
  const refusal = refuse(who, [access('write', 'acl')])
  if (refusal !== undefined) return refusal
  if (view.get(roles, fromText(id)) === undefined) return { txn: [], answer: false }
  return { txn: [del(roles, fromText(id))], answer: true }
}

// --- reads

/** Names of policies stand in what is told of a role: it changes with them. */
const newestOfRoles = (view: View): Revision =>
  revision(Math.max(view.newest(roles), view.newest(policies)))

const question = <T>(key: string, read: (view: View) => T): Question<T> => ({
  key,
  target: { scope: scope.acl },
  newest: newestOfRoles,
  read,
})

/** All roles that hold a policy, or all for ''. */
export function allRoles(who: Who, policy: string): Question<Iterable<Cell<RoleRow>>> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ??
    question(`acl-roles ${fromText(policy)}`, view =>
      policy === '' ? view.entries(roles) : view.scan(roles, 'policy', fromText(policy)),
    )
  )
}

/** The role with an id. */
export function roleById(who: Who, id: string): Question<Cell<RoleRow> | undefined> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ??
    question(`acl-role ${fromText(id)}`, view => view.get(roles, fromText(id)))
  )
}

/** The role with a name, which is compared without case. */
export function roleByName(who: Who, name: string): Question<Cell<RoleRow> | undefined> | Refusal {
  return (
    refuse(who, [access('read', 'acl')]) ??
    question(`acl-role-name ${fold(name)}`, view => view.find(roles, 'name', fold(name), 1)[0])
  )
}
