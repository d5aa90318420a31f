/**
 * Pruning: ending what logins left behind.
 *
 * Owns which entities nobody would miss: a login made them, nobody gave them anything, and they
 * have not been seen for long. They come again with the next login. Pure.
 */
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

/** Ends at most so many entities that were last seen before a time; gives their ids. */
export function pruneEntities(
  draft: Draft,
  namespaceId: string,
  { beforeMs, limit, isDry }: { beforeMs: number; limit: number; isDry: boolean },
): { ids: readonly string[]; hasMore: boolean } {
  const rows = entityRows(draft, namespaceId)
  const found: EntityRow[] = []
  for (const id of rows.keys()) {
    const entity = rows.kept<EntityRow>(id)!
    if (entity.lastSeenMs >= beforeMs || !nobodyMisses(entity)) continue
    if (found.length === limit) return { ids: end(found), hasMore: true }
    found.push(entity)
  }
  return { ids: end(found), hasMore: false }

  function end(entities: readonly EntityRow[]): string[] {
    if (!isDry) for (const entity of entities) deleteEntity(draft, namespaceId, entity)
    return entities.map(({ id }) => id)
  }
}
