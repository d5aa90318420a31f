/**
 * Keys that rotate by themselves, and versions that go after them: what the timekeeper ends.
 *
 * Owns the rules behind both deadlines. Bytes are drawn as a key is over; pairs are drawn by
 * rotation.run.ts, for which a row is put into a queue. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import type { RowEnd, RowPlace } from '../../deadline.ts'
import type { Draft, Storage } from '../../storage.ts'
import { drawn, rotateKey, rotationOf } from './key/make.ts'
import { isSymmetric, typeOf } from './key/type.ts'
import { type KeyRow, keyAt, nameAt, REMOVAL, ROTATION, removeSome } from './rows.ts'

/** A key that waits for a pair. */
export type QueueRow = RowPlace

/** The queue of all mounts. */
export const rotationQueue = (draft: Draft): Storage => draft.area('root', 'transit-rotations')

/** The rows of the mount that a row is of. */
export const storageAt = (draft: Draft, { namespaceId, area }: RowPlace): Storage =>
  draft.area(namespaceId, area)

/** The key at a place, where its next version is due; its name beside it. */
export function dueKey(
  draft: Draft,
  place: RowPlace,
): { readonly name: string; readonly row: KeyRow } | undefined {
  const storage = storageAt(draft, place)
  const name = nameAt(place.path)
  const row = name === undefined ? undefined : keyAt(storage, name)
  if (row === undefined) return undefined
  const dueMs = rotationOf(storage, row)
  return dueMs === undefined || dueMs > draft.now ? undefined : { name: name!, row }
}

const rotationEnd: RowEnd = {
  kind: ROTATION,
  end(draft, place) {
    const due = dueKey(draft, place)
    if (due === undefined) return
    const { name, row } = due
    if (!isSymmetric(typeOf(row))) {
      const { namespaceId, area, path } = place
      rotationQueue(draft).put(`${namespaceId}/${area}/${path}`, { namespaceId, area, path })
      return
    }
    const { random, now } = draft
    const ingredients = drawn(random, row, undefined)
    if (ingredients instanceof Refusal) return
    rotateKey({ storage: storageAt(draft, place), random, now }, name, row, ingredients)
  },
}

const removalEnd: RowEnd = {
  kind: REMOVAL,
  end: (draft, place) => removeSome(storageAt(draft, place), place.path, draft.now),
}

export const transitEnds: readonly RowEnd[] = [rotationEnd, removalEnd]
