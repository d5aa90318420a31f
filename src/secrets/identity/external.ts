/**
 * External groups: whoever a login says is in them.
 *
 * Owns that a login's groups replace what the last login at the same mount said, and nothing else.
 * Pure.
 */
import type { MountRow } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import {
  type EntityRow,
  entityRows,
  type GroupAliasRow,
  groupAliasRows,
  memberRows,
  placeOf,
} from './rows.ts'

/** The entity with the groups that a login says; itself where nothing changes. Puts member rows. */
export function memberOfExternal(
  draft: Draft,
  { namespaceId, accessor }: MountRow,
  entity: EntityRow,
  names: readonly string[] | undefined,
): EntityRow {
  if (names === undefined) return entity
  const aliases = groupAliasRows(draft, namespaceId)
  const wanted = new Set(
    names
      .map(name => aliases.kept<GroupAliasRow>(placeOf(draft, accessor, name))?.groupId)
      .filter(id => id !== undefined),
  )
  const present = new Set(entity.groups.filter(({ via }) => via === accessor).map(({ id }) => id))
  const coming = [...wanted].filter(id => !present.has(id))
  const going = new Set([...present].filter(id => !wanted.has(id)))
  if (coming.length === 0 && going.size === 0) return entity
  const members = memberRows(draft, namespaceId)
  for (const id of coming) members.put(`${id}/entity/${entity.id}`, { via: accessor })
  for (const id of going) members.delete(`${id}/entity/${entity.id}`)
  const stays = entity.groups.filter(({ id, via }) => via !== accessor || !going.has(id))
  return { ...entity, groups: [...stays, ...coming.map(id => ({ id, via: accessor }))] }
}

/** Takes an entity out of the groups that logins at a mount put it in. */
export function leaveExternal(
  draft: Draft,
  namespaceId: string,
  entityId: string,
  mountAccessor: string,
): void {
  const entities = entityRows(draft, namespaceId)
  const entity = entities.kept<EntityRow>(entityId)
  const going = entity?.groups.filter(({ via }) => via === mountAccessor) ?? []
  if (entity === undefined || going.length === 0) return
  const members = memberRows(draft, namespaceId)
  for (const { id } of going) members.delete(`${id}/entity/${entityId}`)
  entities.put(entityId, { ...entity, groups: entity.groups.filter(one => !going.includes(one)) })
}
