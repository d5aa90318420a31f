/**
 * Groups: entities and groups that have policies together.
 *
 * Owns how groups are made, found, changed and ended, who is in them (a row for each: no list of
 * members is ever written as a whole), and that no group comes to be in itself. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type Namespace, namespaceAt } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { entityById, type Written } from './entity.ts'
import {
  type EntityRow,
  entityRows,
  type GroupAliasRow,
  type GroupRow,
  type GroupType,
  groupAliasIds,
  groupAliasRows,
  groupNames,
  groupRows,
  type IdRow,
  type MemberRow,
  type Membership,
  memberRows,
  nameKey,
  type Texts,
} from './rows.ts'
import { checkedPolicies, refuseMetadata, refuseName } from './text.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** The group of an id. The row must not be changed. */
export const groupById = (draft: Draft, namespaceId: string, id: string): GroupRow | undefined =>
  groupRows(draft, namespaceId).kept<GroupRow>(id)

/** The group of a name in any spelling. */
export function groupByName(draft: Draft, namespaceId: string, name: string): GroupRow | undefined {
  const found = groupNames(draft, namespaceId).kept<IdRow>(nameKey(draft, name))
  return found && groupById(draft, namespaceId, found.id)
}

/** What somebody writes of a group; what is undefined stays as it is. */
export interface GroupChange {
  readonly name?: string | undefined
  readonly type?: string | undefined
  readonly metadata?: Texts | undefined
  readonly policies?: readonly string[] | undefined
  readonly memberEntities?: readonly string[] | undefined
  readonly memberGroups?: readonly string[] | undefined
}

/** Changes a group, or makes one where none is given. */
export function writeGroup(
  draft: Draft,
  namespace: Pick<Namespace, 'id' | 'path'>,
  before: GroupRow | undefined,
  change: GroupChange,
): Written<GroupRow> | Refusal {
  const type = change.type ?? before?.type ?? 'internal'
  const policies = checkedPolicies(change.policies ?? before?.policies ?? [])
  if (policies instanceof Refusal) return policies
  const metadata = change.metadata ?? before?.metadata ?? {}
  const name = change.name || before?.name || freeName(draft, namespace.id)
  const wrong =
    refuseType(type, before, change) ??
    refuseName('group name', name) ??
    refuseMetadata('metadata', metadata)
  if (wrong !== undefined) return wrong
  const holder = groupByName(draft, namespace.id, name)
  if (holder !== undefined && holder.id !== before?.id) return bad('group name is already in use')
  if (before !== undefined) groupNames(draft, namespace.id).delete(nameKey(draft, before.name))
  const row: GroupRow = {
    ...{ id: before?.id ?? draft.random.uuid(), name, type: type as GroupType },
    ...{ metadata, policies, parents: before?.parents ?? [], alias: before?.alias ?? '' },
    namespaceId: namespace.id,
    namespace: namespace.path,
    modifyIndex: (before?.modifyIndex ?? 0) + 1,
    createdAtMs: before?.createdAtMs ?? draft.now,
    updatedAtMs: draft.now,
  }
  groupNames(draft, namespace.id).put(nameKey(draft, name), { id: row.id })
  groupRows(draft, namespace.id).put(row.id, row)
  const refused =
    setEntities(draft, namespace, row.id, change.memberEntities) ??
    setGroups(draft, namespace.id, row.id, change.memberGroups)
  return refused ?? { row, isNew: before === undefined }
}

function refuseType(
  type: string,
  before: GroupRow | undefined,
  { memberEntities, memberGroups }: GroupChange,
): Refusal | undefined {
  if (before !== undefined && type !== before.type) return bad('group type cannot be changed')
  if (type === 'internal') return undefined
  if (type !== 'external') return bad(`invalid group type ${JSON.stringify(type)}`)
  if (memberEntities !== undefined) {
    return bad("member entities can't be set manually for external groups")
  }
  return memberGroups && bad("member groups can't be set for external groups")
}

const NAME_SIZE_BYTES = 4

function freeName(draft: Draft, namespaceId: string): string {
  for (;;) {
    const name = `group_${draft.random.bytes(NAME_SIZE_BYTES).toString('hex')}`
    if (!groupNames(draft, namespaceId).has(nameKey(draft, name))) return name
  }
}

/** The ids of who is in a group itself. */
export const membersOf = (
  draft: Draft,
  namespaceId: string,
  groupId: string,
  kind: 'entity' | 'group',
): string[] => memberRows(draft, namespaceId).keys(`${groupId}/${kind}/`)

/** Makes these the entities in a group, by what differs alone. */
function setEntities(
  draft: Draft,
  namespace: Pick<Namespace, 'id' | 'path'>,
  groupId: string,
  wanted: readonly string[] | undefined,
): Refusal | undefined {
  if (wanted === undefined) return undefined
  const { id: namespaceId } = namespace
  const { coming, going } = differing(membersOf(draft, namespaceId, groupId, 'entity'), wanted)
  if (coming.length + going.length > limits.groupMembersAtOnce) return TOO_MANY
  for (const id of coming) {
    const home = homesFor(draft, namespace).find(one => isEntityOf(draft, one, id))
    if (home === undefined) return bad(`invalid entity ID ${JSON.stringify(id)}`)
    join(draft, { namespaceId, groupId }, { namespaceId: home, id })
  }
  for (const id of going) leave(draft, { namespaceId, groupId }, id)
  return undefined
}

const isEntityOf = (draft: Draft, namespaceId: string, id: string): boolean =>
  entityById(draft, namespaceId, id)?.id === id

/** Where entities may be of: the namespace of the group, and those that it is in. */
function homesFor(draft: Draft, { id, path }: Pick<Namespace, 'id' | 'path'>): string[] {
  const segments = path.split('/').slice(0, -1)
  const above = segments.map((_, i) =>
    segments
      .slice(0, i)
      .map(one => `${one}/`)
      .join(''),
  )
  const ids = above.map(one => namespaceAt(draft, one)?.id).filter(one => one !== undefined)
  return [id, ...ids.reverse()]
}

interface GroupPlace {
  readonly namespaceId: string
  readonly groupId: string
}

function join(
  draft: Draft,
  { namespaceId, groupId }: GroupPlace,
  { namespaceId: home, id }: { readonly namespaceId: string; readonly id: string },
): void {
  const isElsewhere = home !== namespaceId
  const member: MemberRow = isElsewhere ? { via: '', namespaceId: home } : { via: '' }
  memberRows(draft, namespaceId).put(`${groupId}/entity/${id}`, member)
  const entity = entityRows(draft, home).kept<EntityRow>(id)!
  const known = entity.groups.filter(
    one => groupById(draft, one.namespaceId ?? home, one.id) !== undefined,
  )
  const joined: Membership = { id: groupId, via: '', ...(isElsewhere ? { namespaceId } : {}) }
  entityRows(draft, home).put(id, { ...entity, groups: [...known, joined] })
}

/** Takes an entity out of a group, whichever of their rows is still there. */
export function leave(draft: Draft, { namespaceId, groupId }: GroupPlace, id: string): void {
  const members = memberRows(draft, namespaceId)
  const at = `${groupId}/entity/${id}`
  const entities = entityRows(draft, members.kept<MemberRow>(at)?.namespaceId ?? namespaceId)
  members.delete(at)
  const entity = entities.kept<EntityRow>(id)
  if (entity === undefined) return
  entities.put(id, { ...entity, groups: entity.groups.filter(one => one.id !== groupId) })
}

const TOO_MANY = bad(
  `at most ${limits.groupMembersAtOnce} members of a group can be changed by one request`,
)

/** Makes these the groups in a group. */
function setGroups(
  draft: Draft,
  namespaceId: string,
  groupId: string,
  wanted: readonly string[] | undefined,
): Refusal | undefined {
  if (wanted === undefined) return undefined
  const { coming, going } = differing(membersOf(draft, namespaceId, groupId, 'group'), wanted)
  if (coming.length + going.length > limits.groupMembersAtOnce) return TOO_MANY
  const members = memberRows(draft, namespaceId)
  const groups = groupRows(draft, namespaceId)
  const above = coming.length === 0 ? new Set<string>() : ancestorsOf(draft, namespaceId, groupId)
  for (const id of coming) {
    const group = groups.kept<GroupRow>(id)
    if (group === undefined) return bad(`invalid group ID ${JSON.stringify(id)}`)
    if (above.has(id)) return bad(`${CYCLE} ${JSON.stringify(id)}`)
    members.put(`${groupId}/group/${id}`, {})
    groups.put(id, { ...group, parents: [...group.parents, groupId] })
  }
  for (const id of going) {
    members.delete(`${groupId}/group/${id}`)
    const group = groups.kept<GroupRow>(id)
    if (group === undefined) continue
    groups.put(id, { ...group, parents: group.parents.filter(one => one !== groupId) })
  }
  return undefined
}

const CYCLE = 'cyclic relationship detected for member group ID'

function differing(
  present: readonly string[],
  wanted: readonly string[],
): { coming: string[]; going: string[] } {
  const has = new Set(present)
  const wants = new Set(wanted)
  return {
    coming: [...wants].filter(id => !has.has(id)),
    going: present.filter(id => !wants.has(id)),
  }
}

/** A group and all that it is in, directly or not. */
function ancestorsOf(draft: Draft, namespaceId: string, groupId: string): Set<string> {
  const seen = new Set([groupId])
  for (const id of seen) {
    for (const parent of groupById(draft, namespaceId, id)?.parents ?? []) seen.add(parent)
  }
  return seen
}

/** Ends a group. That entities were in it goes with them: a group that is gone has no policies. */
export function deleteGroup(draft: Draft, namespaceId: string, group: GroupRow): void {
  const members = memberRows(draft, namespaceId)
  const groups = groupRows(draft, namespaceId)
  for (const id of membersOf(draft, namespaceId, group.id, 'group')) {
    const member = groups.kept<GroupRow>(id)
    if (member === undefined) continue
    groups.put(id, { ...member, parents: member.parents.filter(one => one !== group.id) })
  }
  members.deleteAll(`${group.id}/`)
  for (const parent of group.parents) members.delete(`${parent}/group/${group.id}`)
  const alias = aliasOfGroup(draft, namespaceId, group)
  if (alias !== undefined) {
    groupAliasRows(draft, namespaceId).delete(group.alias)
    groupAliasIds(draft, namespaceId).delete(alias.id)
  }
  groupNames(draft, namespaceId).delete(nameKey(draft, group.name))
  groups.delete(group.id)
}

/** The alias of an external group. */
export const aliasOfGroup = (
  draft: Draft,
  namespaceId: string,
  { alias }: GroupRow,
): GroupAliasRow | undefined =>
  alias === '' ? undefined : groupAliasRows(draft, namespaceId).kept<GroupAliasRow>(alias)
