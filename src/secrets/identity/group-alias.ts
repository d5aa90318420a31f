/**
 * Aliases of external groups: how the logins of one mount name them.
 *
 * Owns that an external group has one alias, and that a mount has one for each name. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { MountRow } from '../mount/mount.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import type { Written } from './entity.ts'
import { aliasOfGroup, groupById, leave, membersOf, writeGroup } from './group.ts'
import {
  type GroupAliasRow,
  type GroupRow,
  groupAliasIds,
  groupAliasRows,
  groupRows,
  type PlaceRow,
  placeOf,
} from './rows.ts'
import { refuseName } from './text.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** The alias of an id. */
export function groupAliasById(
  draft: Draft,
  namespaceId: string,
  id: string,
): GroupAliasRow | undefined {
  const found = groupAliasIds(draft, namespaceId).kept<PlaceRow>(id)
  return found && groupAliasRows(draft, namespaceId).kept<GroupAliasRow>(found.place)
}

/** The alias of a name at a mount. */
export const groupAliasByName = (
  draft: Draft,
  namespaceId: string,
  mountAccessor: string,
  name: string,
): GroupAliasRow | undefined =>
  groupAliasRows(draft, namespaceId).kept<GroupAliasRow>(placeOf(draft, mountAccessor, name))

/** Changes the alias of a group, or makes one where none is given; '' for a new group. */
export function writeGroupAlias(
  draft: Draft,
  namespace: Pick<Namespace, 'id' | 'path'>,
  before: GroupAliasRow | undefined,
  wish: { readonly mount: MountRow; readonly name: string; readonly groupId: string },
): Written<GroupAliasRow> | Refusal {
  const { mount, name } = wish
  const wrong = refuseName('alias name', name)
  if (wrong !== undefined) return wrong
  const holder = groupAliasByName(draft, namespace.id, mount.accessor, name)
  if (holder !== undefined && holder.id !== before?.id) {
    return bad('combination of mount and group alias name is already in use')
  }
  const group = groupOf(draft, namespace, wish.groupId || before?.groupId)
  if (group instanceof Refusal) return group
  const place = placeOf(draft, mount.accessor, name)
  const isMoved =
    before !== undefined && (before.groupId !== group.id || before.mountAccessor !== mount.accessor)
  const other = aliasOfGroup(draft, namespace.id, group)
  if (other !== undefined && other.id !== before?.id) deleteGroupAlias(draft, namespace.id, other)
  if (before !== undefined) unlink(draft, namespace.id, before, isMoved)
  const row: GroupAliasRow = {
    ...{ id: before?.id ?? draft.random.uuid(), name, groupId: group.id },
    mountAccessor: mount.accessor,
    createdAtMs: before?.createdAtMs ?? draft.now,
    updatedAtMs: draft.now,
  }
  groupAliasRows(draft, namespace.id).put(place, row)
  groupAliasIds(draft, namespace.id).put(row.id, { place })
  const current = groupById(draft, namespace.id, group.id) ?? group
  groupRows(draft, namespace.id).put(group.id, { ...current, alias: place })
  return { row, isNew: before === undefined }
}

function groupOf(
  draft: Draft,
  namespace: Pick<Namespace, 'id' | 'path'>,
  id: string | undefined,
): GroupRow | Refusal {
  if (id === undefined || id === '') {
    const written = writeGroup(draft, namespace, undefined, { type: 'external' })
    return written instanceof Refusal ? written : written.row
  }
  const group = groupById(draft, namespace.id, id)
  if (group === undefined) return bad("invalid group ID given in 'canonical_id'")
  return group.type === 'external' ? group : bad("alias can't be set on an internal group")
}

/** Takes an alias from its place and its group; who was in there by it leaves, where told so. */
function unlink(draft: Draft, namespaceId: string, alias: GroupAliasRow, empties: boolean): void {
  groupAliasRows(draft, namespaceId).delete(placeOf(draft, alias.mountAccessor, alias.name))
  const groups = groupRows(draft, namespaceId)
  const group = groups.kept<GroupRow>(alias.groupId)
  if (group === undefined) return
  groups.put(group.id, { ...group, alias: '' })
  if (!empties) return
  for (const id of membersOf(draft, namespaceId, group.id, 'entity')) {
    leave(draft, { namespaceId, groupId: group.id }, id)
  }
}

/** Ends the alias of a group: nobody is in it any more. */
export function deleteGroupAlias(draft: Draft, namespaceId: string, alias: GroupAliasRow): void {
  unlink(draft, namespaceId, alias, true)
  groupAliasIds(draft, namespaceId).delete(alias.id)
}
