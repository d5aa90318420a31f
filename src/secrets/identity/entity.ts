/**
 * Entities: one for each who logs in, whatever the login.
 *
 * Owns who a login is, and how an entity is made, found, changed and ended with all that hangs on
 * it. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { forgetSecrets } from '../mfa/secret.ts'
import type { MountRow } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import { memberOfExternal } from './external.ts'
import {
  type AliasRow,
  aliasIds,
  aliasRows,
  areEqual,
  type EntityRow,
  entityNames,
  entityRows,
  type IdRow,
  memberRows,
  mergedRows,
  nameKey,
  placeOf,
  type Texts,
} from './rows.ts'
import { checkedPolicies, refuseMetadata, refuseName } from './text.ts'

/** How a login names who logged in. */
export interface LoginAlias {
  readonly name: string
  /** What it says of him; it replaces what the last one said. */
  readonly metadata?: Texts
  /** Names of the groups that it says he is in; undefined where it says nothing of groups. */
  readonly groups?: readonly string[]
}

/** Who logged in. */
export interface LoggedIn {
  readonly entityId: string
}

/**
 * The entity of a login at a mount, made where there is none. Nothing is written where nothing
 * changed, but the day it was last seen on.
 */
export function entityFor(draft: Draft, mount: MountRow, login: LoginAlias): LoggedIn | Refusal {
  const { namespaceId, accessor } = mount
  const place = placeOf(draft, accessor, login.name)
  const alias = aliasRows(draft, namespaceId).kept<AliasRow>(place)
  const known = alias && entityRows(draft, namespaceId).kept<EntityRow>(alias.entityId)
  if (known?.disabled === true) return DISABLED
  const entity = known ?? newEntity(draft, namespaceId, place)
  if (known === undefined || !areEqual(alias!.metadata, login.metadata ?? {})) {
    putLoginAlias(draft, mount, place, login, alias, entity.id)
  }
  const member = memberOfExternal(draft, mount, seenNow(draft, entity), login.groups)
  if (member !== known) entityRows(draft, namespaceId).put(member.id, member)
  return { entityId: member.id }
}

const seenNow = (draft: Draft, entity: EntityRow): EntityRow =>
  draft.now - entity.lastSeenMs < limits.entitySeenStepMs
    ? entity
    : { ...entity, lastSeenMs: draft.now }

/** Notes that an entity was seen: a token of it was renewed. Written once a day at most. */
export function markSeen(draft: Draft, namespaceId: string, id: string): void {
  const entity = entityById(draft, namespaceId, id)
  const seen = entity && seenNow(draft, entity)
  if (seen !== undefined && seen !== entity) entityRows(draft, namespaceId).put(seen.id, seen)
}

const DISABLED = new Refusal(403, 'permission denied')

function putLoginAlias(
  draft: Draft,
  { namespaceId, accessor, local }: MountRow,
  place: string,
  { name, metadata = {} }: LoginAlias,
  before: AliasRow | undefined,
  entityId: string,
): void {
  const id = before?.id ?? draft.random.uuid()
  const alias: AliasRow = {
    ...{ id, mountAccessor: accessor, entityId, metadata, local },
    name: before?.name ?? name,
    customMetadata: before?.customMetadata ?? {},
    mergedFrom: before?.mergedFrom ?? [],
    createdAtMs: before?.createdAtMs ?? draft.now,
    updatedAtMs: draft.now,
  }
  aliasRows(draft, namespaceId).put(place, alias)
  if (before === undefined) aliasIds(draft, namespaceId).put(id, { place })
}

/** An entity that a login makes; its row is put by who called. */
function newEntity(draft: Draft, namespaceId: string, place: string): EntityRow {
  const entity: EntityRow = {
    ...emptyEntity(draft, freeName(draft, namespaceId)),
    aliases: [place],
    isByLogin: true,
  }
  entityNames(draft, namespaceId).put(nameKey(draft, entity.name), { id: entity.id })
  return entity
}

const NAME_SIZE_BYTES = 4

/** A name that no entity has. */
export function freeName(draft: Draft, namespaceId: string): string {
  for (;;) {
    const name = `entity_${draft.random.bytes(NAME_SIZE_BYTES).toString('hex')}`
    if (!entityNames(draft, namespaceId).has(nameKey(draft, name))) return name
  }
}

/** An entity about which nothing is known but its name. */
export const emptyEntity = (draft: Draft, name: string): EntityRow => ({
  id: draft.random.uuid(),
  name,
  metadata: {},
  policies: [],
  disabled: false,
  aliases: [],
  groups: [],
  mergedIds: [],
  createdAtMs: draft.now,
  updatedAtMs: draft.now,
  lastSeenMs: 0,
  isByLogin: false,
})

/** The entity of an id, also of one that became part of another. The row must not be changed. */
export function entityById(draft: Draft, namespaceId: string, id: string): EntityRow | undefined {
  const rows = entityRows(draft, namespaceId)
  const own = rows.kept<EntityRow>(id)
  if (own !== undefined) return own
  const merged = mergedRows(draft, namespaceId).kept<IdRow>(id)
  return merged && rows.kept<EntityRow>(merged.id)
}

/** The entity of a name in any spelling. */
export function entityByName(
  draft: Draft,
  namespaceId: string,
  name: string,
): EntityRow | undefined {
  const found = entityNames(draft, namespaceId).kept<IdRow>(nameKey(draft, name))
  return found && entityRows(draft, namespaceId).kept<EntityRow>(found.id)
}

/** Ends an entity with its aliases and memberships; its tokens are refused from then on. */
export function deleteEntity(draft: Draft, namespaceId: string, entity: EntityRow): void {
  for (const place of entity.aliases) {
    const alias = aliasRows(draft, namespaceId).kept<AliasRow>(place)
    aliasRows(draft, namespaceId).delete(place)
    if (alias !== undefined) aliasIds(draft, namespaceId).delete(alias.id)
  }
  for (const group of entity.groups) {
    memberRows(draft, group.namespaceId ?? namespaceId).delete(`${group.id}/entity/${entity.id}`)
  }
  for (const id of entity.mergedIds) mergedRows(draft, namespaceId).delete(id)
  forgetSecrets(draft, { namespaceId, entityId: entity.id })
  entityNames(draft, namespaceId).delete(nameKey(draft, entity.name))
  entityRows(draft, namespaceId).delete(entity.id)
}

/** What somebody writes of an entity; what is undefined stays as it is. */
export interface EntityChange {
  readonly name?: string | undefined
  readonly metadata?: Texts | undefined
  readonly policies?: readonly string[] | undefined
  readonly disabled?: boolean | undefined
}

/** An entity that was written. */
export interface Written<T> {
  readonly row: T
  readonly isNew: boolean
}

/** Changes an entity, or makes one where none is given. */
export function writeEntity(
  draft: Draft,
  namespaceId: string,
  before: EntityRow | undefined,
  change: EntityChange,
): Written<EntityRow> | Refusal {
  const { metadata = before?.metadata ?? {}, disabled = before?.disabled ?? false } = change
  const policies = checkedPolicies(change.policies ?? before?.policies ?? [])
  if (policies instanceof Refusal) return policies
  const wrong =
    (change.name !== undefined && refuseName('entity name', change.name)) ||
    refuseMetadata('metadata', metadata)
  if (wrong) return wrong
  const name = change.name || before?.name || freeName(draft, namespaceId)
  const holder = entityByName(draft, namespaceId, name)
  if (holder !== undefined && holder.id !== before?.id) return NAME_TAKEN
  const known = before ?? emptyEntity(draft, name)
  if (before !== undefined) entityNames(draft, namespaceId).delete(nameKey(draft, before.name))
  const row = { ...known, name, metadata, policies, disabled, updatedAtMs: draft.now }
  entityNames(draft, namespaceId).put(nameKey(draft, name), { id: row.id })
  entityRows(draft, namespaceId).put(row.id, row)
  return { row, isNew: before === undefined }
}

const NAME_TAKEN = new Refusal(400, 'entity name is already in use')
