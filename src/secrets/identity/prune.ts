/**
 * Pruning: ending what logins left behind.
 *
 * Owns which entities nobody would miss: a login made them, nobody gave them anything or named
 * them, and they have not been seen for long. They come again with the next login. Pure.
 */
import { enforcementsOf } from '../mfa/enforcement.ts'
import { withOuter } from '../mfa/method.ts'
import { methodsWithSecret } from '../mfa/secret.ts'
import { namespaceById } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { deleteEntity } from './entity.ts'
import { type EntityRow, entityRows } from './rows.ts'

const nobodyMisses = (entity: EntityRow): boolean =>
  entity.isByLogin &&
  !entity.disabled &&
  entity.policies.length === 0 &&
  Object.keys(entity.metadata).length === 0 &&
  entity.mergedIds.length === 0 &&
  entity.groups.every(({ via }) => via !== '')

/** Who comes again as another entity is not asked for a second factor by the old one's id. */
function namedByEnforcements(draft: Draft, namespaceId: string): ReadonlySet<string> {
  const namespace = namespaceById(draft, namespaceId)
  const homes = namespace === undefined ? [] : withOuter(draft, namespace)
  const rows = homes.flatMap(({ id }) => enforcementsOf(draft, id))
  return new Set(rows.flatMap(({ entityIds }) => entityIds))
}

/** Ends at most so many entities that were last seen before a time; gives their ids. */
export function pruneEntities(
  draft: Draft,
  namespaceId: string,
  { beforeMs, limit, isDry }: { beforeMs: number; limit: number; isDry: boolean },
): { ids: readonly string[]; hasMore: boolean } {
  const rows = entityRows(draft, namespaceId)
  const named = namedByEnforcements(draft, namespaceId)
  const isMissed = ({ id: entityId }: EntityRow): boolean =>
    named.has(entityId) || methodsWithSecret(draft, { namespaceId, entityId }).length > 0
  const found: EntityRow[] = []
  for (const id of rows.keys()) {
    const entity = rows.kept<EntityRow>(id)!
    if (entity.lastSeenMs >= beforeMs || !nobodyMisses(entity)) continue
    if (isMissed(entity)) continue
    if (found.length === limit) return { ids: end(found), hasMore: true }
    found.push(entity)
  }
  return { ids: end(found), hasMore: false }

  function end(entities: readonly EntityRow[]): string[] {
    if (!isDry) for (const entity of entities) deleteEntity(draft, namespaceId, entity)
    return entities.map(({ id }) => id)
  }
}
