/**
 * How identities are shown: the answers of entities, aliases and groups, and their shapes.
 *
 * Owns their fields and nothing else. Pure. Follows api-docs/secret/identity of Vault's docs.
 */
import { aliasesOf, groupsOf } from '../../identity/context.ts'
import { aliasOfGroup, membersOf } from '../../identity/group.ts'
import { type AccessorNames, namesOf } from '../../identity/mounts.ts'
import type { AliasRow, EntityRow, GroupAliasRow, GroupRow, Texts } from '../../identity/rows.ts'
import { showSecrets } from '../../mfa/secret.ts'
import {
  anyObject,
  bool,
  int,
  list,
  mapOf,
  nullable,
  object,
  optional,
  text,
  texts,
  time,
} from '../../shape.ts'
import type { Draft } from '../../storage.ts'

const metadataShape = nullable(mapOf(text))

/** Null where there is none, as Vault's clients know it. */
const orNull = (pairs: Texts): Texts | null => (Object.keys(pairs).length === 0 ? null : pairs)
const listOrNull = (items: readonly string[]): readonly string[] | null =>
  items.length === 0 ? null : items

/** RFC 3339, in UTC. */
const timeOf = (ms: number): string => new Date(ms).toISOString()

const aliasParts = {
  id: text,
  canonical_id: text,
  name: text,
  mount_accessor: text,
  mount_path: text,
  mount_type: text,
  metadata: metadataShape,
  custom_metadata: metadataShape,
  local: bool,
  creation_time: time,
  last_update_time: time,
  merged_from_canonical_ids: nullable(texts),
}

export const aliasShape = object({ ...aliasParts, namespace_id: text })

/** An alias as an entity shows it. */
function aliasIn(alias: AliasRow, mounts: AccessorNames): Record<string, unknown> {
  const mount = mounts.get(alias.mountAccessor)
  return {
    id: alias.id,
    canonical_id: alias.entityId,
    name: alias.name,
    mount_accessor: alias.mountAccessor,
    mount_path: mount?.path ?? '',
    mount_type: mount?.type ?? '',
    metadata: orNull(alias.metadata),
    custom_metadata: alias.customMetadata,
    local: alias.local,
    creation_time: timeOf(alias.createdAtMs),
    last_update_time: timeOf(alias.updatedAtMs),
    merged_from_canonical_ids: listOrNull(alias.mergedFrom),
  }
}

/** An alias as it is read. */
export const showAlias = (draft: Draft, namespaceId: string, alias: AliasRow) => ({
  ...aliasIn(alias, namesOf(draft, namespaceId)),
  namespace_id: namespaceId,
})

export const entityShape = object({
  id: text,
  name: text,
  metadata: metadataShape,
  policies: texts,
  disabled: bool,
  aliases: list(object(aliasParts)),
  creation_time: time,
  last_update_time: time,
  last_seen_time: nullable(time),
  direct_group_ids: texts,
  group_ids: texts,
  inherited_group_ids: texts,
  merged_entity_ids: nullable(texts),
  namespace_id: text,
  mfa_secrets: anyObject,
})

const idsOf = (groups: readonly GroupRow[]): string[] => groups.map(({ id }) => id).sort()

/** An entity as it is read. */
export function showEntity(draft: Draft, namespaceId: string, entity: EntityRow) {
  const mounts = namesOf(draft, namespaceId)
  const { direct, inherited } = groupsOf(draft, namespaceId, entity)
  return {
    id: entity.id,
    name: entity.name,
    metadata: orNull(entity.metadata),
    policies: entity.policies,
    disabled: entity.disabled,
    aliases: aliasesOf(draft, namespaceId, entity).map(alias => aliasIn(alias, mounts)),
    creation_time: timeOf(entity.createdAtMs),
    last_update_time: timeOf(entity.updatedAtMs),
    last_seen_time: entity.lastSeenMs === 0 ? null : timeOf(entity.lastSeenMs),
    direct_group_ids: idsOf(direct),
    group_ids: idsOf([...direct, ...inherited]),
    inherited_group_ids: idsOf(inherited),
    merged_entity_ids: listOrNull(entity.mergedIds),
    namespace_id: namespaceId,
    mfa_secrets: showSecrets(draft, { namespaceId, entityId: entity.id }),
  }
}

/** What lists say of an entity. */
export function entityInfo(
  draft: Draft,
  namespaceId: string,
  mounts: AccessorNames,
  row: EntityRow,
) {
  return aliasesOf(draft, namespaceId, row).map(alias => ({
    id: alias.id,
    name: alias.name,
    mount_accessor: alias.mountAccessor,
    mount_path: mounts.get(alias.mountAccessor)?.path ?? '',
    mount_type: mounts.get(alias.mountAccessor)?.type ?? '',
  }))
}

const groupAliasParts = {
  id: text,
  canonical_id: text,
  name: text,
  mount_accessor: text,
  mount_path: text,
  mount_type: text,
  metadata: metadataShape,
  creation_time: time,
  last_update_time: time,
  merged_from_canonical_ids: nullable(texts),
}

export const groupAliasShape = object({ ...groupAliasParts, namespace_id: text })

function groupAliasIn(alias: GroupAliasRow, mounts: AccessorNames): Record<string, unknown> {
  const mount = mounts.get(alias.mountAccessor)
  return {
    id: alias.id,
    canonical_id: alias.groupId,
    name: alias.name,
    mount_accessor: alias.mountAccessor,
    mount_path: mount?.path ?? '',
    mount_type: mount?.type ?? '',
    metadata: null,
    creation_time: timeOf(alias.createdAtMs),
    last_update_time: timeOf(alias.updatedAtMs),
    merged_from_canonical_ids: null,
  }
}

/** The alias of a group as it is read. */
export const showGroupAlias = (draft: Draft, namespaceId: string, alias: GroupAliasRow) => ({
  ...groupAliasIn(alias, namesOf(draft, namespaceId)),
  namespace_id: namespaceId,
})

const allOptional = (parts: Readonly<Record<string, typeof text>>) =>
  object(Object.fromEntries(Object.entries(parts).map(([key, shape]) => [key, optional(shape)])))

export const groupShape = object({
  id: text,
  name: text,
  type: text,
  metadata: metadataShape,
  policies: texts,
  member_entity_ids: texts,
  member_group_ids: texts,
  parent_group_ids: nullable(texts),
  alias: allOptional(groupAliasParts),
  modify_index: int,
  namespace_id: text,
  creation_time: time,
  last_update_time: time,
})

/** A group as it is read. */
export function showGroup(draft: Draft, namespaceId: string, group: GroupRow) {
  const alias = aliasOfGroup(draft, namespaceId, group)
  return {
    id: group.id,
    name: group.name,
    type: group.type,
    metadata: orNull(group.metadata),
    policies: group.policies,
    member_entity_ids: membersOf(draft, namespaceId, group.id, 'entity'),
    member_group_ids: membersOf(draft, namespaceId, group.id, 'group'),
    parent_group_ids: listOrNull(group.parents),
    alias: alias === undefined ? {} : groupAliasIn(alias, namesOf(draft, namespaceId)),
    modify_index: group.modifyIndex,
    namespace_id: namespaceId,
    creation_time: timeOf(group.createdAtMs),
    last_update_time: timeOf(group.updatedAtMs),
  }
}

/** What lists say of a group. */
export function groupInfo(draft: Draft, namespaceId: string, group: GroupRow) {
  const alias = aliasOfGroup(draft, namespaceId, group)
  return {
    num_member_entities: membersOf(draft, namespaceId, group.id, 'entity').length,
    num_parent_groups: group.parents.length,
    ...(alias === undefined
      ? {}
      : { alias: { id: alias.id, name: alias.name, mount_accessor: alias.mountAccessor } }),
  }
}

/** What a write that made something answers. */
export const idAndName = object({ id: text, name: text })
export const idAndCanonical = object({ id: text, canonical_id: text })
