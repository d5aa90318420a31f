/**
 * Aliases: an entity's name at one mount.
 *
 * Owns that an entity has one for each mount at most, that a mount has one for each name, and how
 * they are made, changed, moved and ended. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { MountRow } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import { entityById, freeName, type Written, writeEntity } from './entity.ts'
import { leaveExternal } from './external.ts'
import {
  type AliasRow,
  aliasIds,
  aliasRows,
  type EntityRow,
  entityRows,
  type PlaceRow,
  placeOf,
  type Texts,
} from './rows.ts'
import { refuseMetadata, refuseName } from './text.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** The alias of an id. The row must not be changed. */
export function aliasById(draft: Draft, namespaceId: string, id: string): AliasRow | undefined {
  const found = aliasIds(draft, namespaceId).kept<PlaceRow>(id)
  return found && aliasRows(draft, namespaceId).kept<AliasRow>(found.place)
}

/** The alias of a name at a mount. */
export const aliasByName = (
  draft: Draft,
  namespaceId: string,
  mountAccessor: string,
  name: string,
): AliasRow | undefined =>
  aliasRows(draft, namespaceId).kept<AliasRow>(placeOf(draft, mountAccessor, name))

/** What somebody writes of an alias. */
export interface AliasWish {
  readonly mount: MountRow
  readonly name: string
  /** '' for the one that it has, or a new one. */
  readonly entityId: string
  readonly customMetadata: Texts
}

/** Changes an alias, or makes one where none is given. */
export function writeAlias(
  draft: Draft,
  namespaceId: string,
  before: AliasRow | undefined,
  wish: AliasWish,
): Written<AliasRow> | Refusal {
  const { mount, name, customMetadata } = wish
  const wrong = refuseName('alias name', name) ?? refuseMetadata('custom_metadata', customMetadata)
  if (wrong !== undefined) return wrong
  const holder = aliasByName(draft, namespaceId, mount.accessor, name)
  if (holder !== undefined && holder.id !== before?.id) return TAKEN
  const entity = entityOf(draft, namespaceId, wish.entityId || before?.entityId)
  if (entity instanceof Refusal) return entity
  const place = placeOf(draft, mount.accessor, name)
  const old = before && placeOf(draft, before.mountAccessor, before.name)
  const others = entity.aliases.filter(one => one !== old)
  if (others.some(one => one.startsWith(`${mount.accessor}/`))) {
    return before === undefined
      ? ANOTHER
      : before.entityId === entity.id
        ? ANOTHER_OF_IT
        : ANOTHER_THERE
  }
  const row: AliasRow = {
    ...(before ?? { ...fresh(draft), mergedFrom: [] }),
    ...{ name, mountAccessor: mount.accessor, local: mount.local, customMetadata },
    metadata: before?.mountAccessor === mount.accessor ? before.metadata : {},
    entityId: entity.id,
    updatedAtMs: draft.now,
  }
  if (before !== undefined) unlink(draft, namespaceId, before)
  if (before !== undefined && isMoved(before, row)) {
    leaveExternal(draft, namespaceId, before.entityId, before.mountAccessor)
  }
  aliasRows(draft, namespaceId).put(place, row)
  aliasIds(draft, namespaceId).put(row.id, { place })
  const current = entityRows(draft, namespaceId).kept<EntityRow>(entity.id)!
  entityRows(draft, namespaceId).put(entity.id, { ...current, aliases: [...others, place] })
  return { row, isNew: before === undefined }
}

const TAKEN = bad('alias with combination of mount accessor and name already exists')
const ANOTHER = bad('Alias already exists for requested entity and mount accessor')
const ANOTHER_OF_IT = bad(
  "Alias cannot be updated as the entity already has an alias for the given 'mount_accessor' ",
)
const ANOTHER_THERE = bad(
  'Alias cannot be updated as the given entity already has an alias for this mount ',
)

/** Whether an alias comes to be another entity's, or of another mount. */
const isMoved = (before: AliasRow, after: AliasRow): boolean =>
  before.entityId !== after.entityId || before.mountAccessor !== after.mountAccessor

const fresh = (draft: Draft) => ({ id: draft.random.uuid(), createdAtMs: draft.now })

/** The entity that is named, or a new one. */
function entityOf(draft: Draft, namespaceId: string, id: string | undefined): EntityRow | Refusal {
  if (id !== undefined && id !== '') {
    return entityById(draft, namespaceId, id) ?? bad('invalid canonical ID')
  }
  const name = freeName(draft, namespaceId)
  const written = writeEntity(draft, namespaceId, undefined, { name })
  return written instanceof Refusal ? written : written.row
}

/** Takes an alias from its entity and from its place. */
function unlink(draft: Draft, namespaceId: string, alias: AliasRow): void {
  const place = placeOf(draft, alias.mountAccessor, alias.name)
  aliasRows(draft, namespaceId).delete(place)
  const entities = entityRows(draft, namespaceId)
  const entity = entities.kept<EntityRow>(alias.entityId)
  if (entity === undefined) return
  entities.put(entity.id, { ...entity, aliases: entity.aliases.filter(one => one !== place) })
}

/** Ends an alias; what its mount's logins said of groups goes with it. */
export function deleteAlias(draft: Draft, namespaceId: string, alias: AliasRow): void {
  unlink(draft, namespaceId, alias)
  aliasIds(draft, namespaceId).delete(alias.id)
  leaveExternal(draft, namespaceId, alias.entityId, alias.mountAccessor)
}
