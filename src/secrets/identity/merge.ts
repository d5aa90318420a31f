/**
 * Merging: several entities that turn out to be one.
 *
 * Owns what the one takes over: aliases, groups that somebody put them in, and their ids. Never
 * policies of their own: who may merge must not gain what others were given. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { methodsWithSecret, takeSecrets } from '../mfa/secret.ts'
import type { Draft } from '../storage.ts'
import { aliasesOf } from './context.ts'
import { deleteEntity, entityById } from './entity.ts'
import {
  type AliasRow,
  aliasIds,
  aliasRows,
  type EntityRow,
  entityRows,
  type MemberRow,
  type Membership,
  memberRows,
  mergedRows,
  placeOf,
} from './rows.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

/** Two aliases of one mount that a merge would give to one entity. */
export interface Clash {
  readonly entity: EntityRow
  readonly alias: AliasRow
}

export interface MergeWish {
  readonly from: readonly string[]
  readonly to: string
  /** Which of two aliases of one mount stays. */
  readonly keep: readonly string[]
  /** Of two second factors of one method, that of the one that stays is kept. */
  readonly force: boolean
}

/** Merges entities into one, or says which aliases stand against it. */
export function mergeEntities(
  draft: Draft,
  namespaceId: string,
  { from, to, keep, force }: MergeWish,
): readonly Clash[] | Refusal {
  const target = entityRows(draft, namespaceId).kept<EntityRow>(to)
  if (target === undefined) return bad('entity id to merge to is invalid')
  const ids = [...new Set(from)]
  if (ids.length > 1 && keep.length > 1) return ONE_AT_A_TIME
  if (ids.includes(to)) return bad('to_entity_id should not be present in from_entity_ids')
  const sources = ids.map(id => entityById(draft, namespaceId, id))
  if (sources.some((source, i) => source === undefined || source.id !== ids[i])) {
    return bad('entity id to merge from is invalid')
  }
  const entities = sources as EntityRow[]
  const clashes = clashesOf(draft, namespaceId, target, entities)
  if (clashes.length > 0 && keep.length === 0) return clashes
  const undecided = undecidedOf(draft, namespaceId, target, entities, keep)
  if (undecided !== undefined) return undecided
  const doubled = force ? undefined : refuseDoubled(draft, namespaceId, to, ids)
  if (doubled !== undefined) return doubled
  const merged = entities.reduce(
    (into, source) => absorb(draft, namespaceId, into, source, keep),
    target,
  )
  entityRows(draft, namespaceId).put(to, { ...merged, updatedAtMs: draft.now })
  return []
}

const ONE_AT_A_TIME = bad(
  'aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a time',
)

const mountOf = (place: string): string => place.slice(0, place.indexOf('/'))

/** All aliases whose mount another of the entities has an alias of too. */
function clashesOf(
  draft: Draft,
  namespaceId: string,
  target: EntityRow,
  sources: readonly EntityRow[],
): readonly Clash[] {
  const all = [target, ...sources].flatMap(entity =>
    aliasesOf(draft, namespaceId, entity).map(alias => ({ entity, alias })),
  )
  return all.filter(one =>
    all.some(other => {
      return other.entity !== one.entity && other.alias.mountAccessor === one.alias.mountAccessor
    }),
  )
}

/** The refusal of two aliases of which none, or both, should stay. */
function undecidedOf(
  draft: Draft,
  namespaceId: string,
  target: EntityRow,
  sources: readonly EntityRow[],
  keep: readonly string[],
): Refusal | undefined {
  const byMount = Map.groupBy(
    clashesOf(draft, namespaceId, target, sources),
    ({ alias }) => alias.mountAccessor,
  )
  for (const clashing of byMount.values()) {
    const kept = clashing.filter(({ alias }) => keep.includes(alias.id))
    if (kept.length === 1) continue
    const ids = clashing.map(({ alias }) => alias.id).join(', ')
    return bad(
      `conflicting mount accessors in following alias IDs and not exactly one was present in conflicting_alias_ids_to_keep: ${ids}`,
    )
  }
  return undefined
}

/** The refusal of an entity with a second factor that the other, or one before it, has too. */
function refuseDoubled(
  draft: Draft,
  namespaceId: string,
  to: string,
  sources: readonly string[],
): Refusal | undefined {
  const taken = new Set(methodsWithSecret(draft, { namespaceId, entityId: to }))
  for (const entityId of sources) {
    for (const id of methodsWithSecret(draft, { namespaceId, entityId })) {
      if (taken.has(id)) return bad(`conflicting MFA config ID "${id}" in entity ID "${entityId}"`)
      taken.add(id)
    }
  }
  return undefined
}

/** One entity with another in it; the other is gone. */
function absorb(
  draft: Draft,
  namespaceId: string,
  into: EntityRow,
  source: EntityRow,
  keep: readonly string[],
): EntityRow {
  const aliases = aliasRows(draft, namespaceId)
  const ids = aliasIds(draft, namespaceId)
  let places = [...into.aliases]
  for (const alias of aliasesOf(draft, namespaceId, source)) {
    const rival = places.find(place => mountOf(place) === alias.mountAccessor)
    if (rival !== undefined && !keep.includes(alias.id)) continue
    if (rival !== undefined) {
      ids.delete(aliases.kept<AliasRow>(rival)!.id)
      aliases.delete(rival)
      places = places.filter(place => place !== rival)
    }
    places.push(placeOf(draft, alias.mountAccessor, alias.name))
  }
  const taken = source.aliases.filter(place => places.includes(place))
  takeSecrets(draft, { namespaceId, entityId: source.id }, { namespaceId, entityId: into.id })
  const rows = taken.map(place => [place, aliases.kept<AliasRow>(place)!] as const)
  deleteEntity(draft, namespaceId, source)
  for (const [place, alias] of rows) {
    const mergedFrom = [...alias.mergedFrom, source.id]
    aliases.put(place, { ...alias, entityId: into.id, mergedFrom, updatedAtMs: draft.now })
    ids.put(alias.id, { place })
  }
  const members = memberRows(draft, namespaceId)
  // What a login said of groups stands as long as the alias that it was said of.
  const stays = ({ via }: Membership, own: readonly string[]): boolean =>
    via === '' || own.some(place => places.includes(place) && mountOf(place) === via)
  const gone = into.groups.filter(one => !stays(one, into.aliases))
  for (const { id } of gone) members.delete(`${id}/entity/${into.id}`)
  const own = into.groups.filter(one => !gone.includes(one))
  const groups = source.groups.filter(
    one => stays(one, source.aliases) && own.every(({ id }) => id !== one.id),
  )
  for (const { id, via, namespaceId: other } of groups) {
    const row: MemberRow = other === undefined ? { via } : { via, namespaceId }
    memberRows(draft, other ?? namespaceId).put(`${id}/entity/${into.id}`, row)
  }
  const mergedIds = [...source.mergedIds, source.id]
  for (const id of mergedIds) mergedRows(draft, namespaceId).put(id, { id: into.id })
  return {
    ...into,
    aliases: places,
    groups: [...own, ...groups],
    mergedIds: [...into.mergedIds, ...mergedIds],
    lastSeenMs: Math.max(into.lastSeenMs, source.lastSeenMs),
  }
}
