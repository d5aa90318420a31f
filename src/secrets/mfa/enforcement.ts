/**
 * Enforcements: which logins are asked for a second factor, and for which.
 *
 * Owns the rows and which of them a login meets: those of its namespace and of all that this one is
 * in. Several are all to be satisfied, of the methods of one any. Pure.
 */
import { OfGround } from '../ground.ts'
import { identityOf } from '../identity/context.ts'
import type { MountRow } from '../mount/mount.ts'
import { type Namespace, namespaceRows, ROOT } from '../namespace/namespace.ts'
import type { Draft, Storage } from '../storage.ts'
import { type MethodRow, usableMethod, withOuter } from './method.ts'

export interface EnforcementRow {
  readonly id: string
  readonly name: string
  readonly methodIds: readonly string[]
  readonly mountAccessors: readonly string[]
  readonly mountTypes: readonly string[]
  readonly groupIds: readonly string[]
  readonly entityIds: readonly string[]
}

/** Enforcements by name. */
export const enforcementRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'mfa-enforcements')

/** All enforcements of a namespace. */
export function enforcementsOf(draft: Draft, namespaceId: string): EnforcementRow[] {
  const rows = enforcementRows(draft, namespaceId)
  return rows.keys().map(name => rows.kept<EnforcementRow>(name)!)
}

/** Most stores have none, and every login asks. */
const hasNone = new OfGround(draft => {
  const namespaces = namespaceRows(draft)
  const ids = namespaces.keys().map(path => namespaces.kept<Namespace>(path)!.id)
  return [ROOT.id, ...ids].every(id => enforcementRows(draft, id).keys('', 1).length === 0)
})

/** What a login must satisfy. */
export interface Demand {
  /** The name that answers say: with the path of its namespace where two would be the same. */
  readonly name: string
  readonly methodIds: readonly string[]
  /** Any of these does. */
  readonly methods: readonly MethodRow[]
}

/** Who logs in, and where. */
export interface LoginOf {
  readonly namespace: Namespace
  readonly mount: Pick<MountRow, 'accessor' | 'type'>
  readonly entityId: string
}

/** All that a login must satisfy; none where it is asked for no second factor. */
export function demandsOn(draft: Draft, login: LoginOf): readonly Demand[] {
  if (hasNone.known(draft) === true) return []
  const groups = new Set<string>()
  const identity = identityOf(draft, login.namespace.id, login.entityId)
  for (const { id } of identity?.facts.groups ?? []) groups.add(id)
  const demands = new Map<string, Demand>()
  for (const home of withOuter(draft, login.namespace)) {
    for (const row of enforcementsOf(draft, home.id)) {
      if (!meets(row, login, groups)) continue
      const name = demands.has(row.name) ? home.path + row.name : row.name
      const methods = row.methodIds.map(id => usableMethod(draft, home, id))
      const known = methods.filter(method => method !== undefined)
      demands.set(name, { name, methodIds: row.methodIds, methods: known })
    }
  }
  return [...demands.values()]
}

const meets = (
  row: EnforcementRow,
  { mount, entityId }: LoginOf,
  groups: ReadonlySet<string>,
): boolean =>
  row.entityIds.includes(entityId) ||
  row.groupIds.some(id => groups.has(id)) ||
  row.mountAccessors.includes(mount.accessor) ||
  row.mountTypes.includes(mount.type)
