/**
 * Keys that rotate by themselves and wait for a pair: threads draw it, outside of the transaction
 * that the timekeeper ends a deadline in.
 *
 * Owns the queue that such keys stand in, and what an engine says of its keys. Pure.
 */
import type { KeyObject } from 'node:crypto'
import type { RowPlace } from './deadline.ts'
import type { Draft, Storage } from './storage.ts'

/** What an engine says of its keys, for the duty (rotation.run.ts) that draws for them. */
export interface PairRotation<D> {
  /** The area of the root namespace that the queue lies in. */
  readonly queue: string
  /** The key at a place; undefined where it is gone, or not due. */
  due(draft: Draft, place: RowPlace): D | undefined
  /** Draws a pair for a key; undefined where it needs none. */
  draw(due: D): Promise<KeyObject> | undefined
  /** Writes the key with its next pair, unless that was drawn for another one. */
  rotate(draft: Draft, due: D, place: RowPlace, pair: KeyObject | undefined): void
}

/** The queue with a name: the keys that wait, of all namespaces and mounts. */
export const queueOf = (draft: Draft, { queue }: Pick<PairRotation<never>, 'queue'>): Storage =>
  draft.area('root', queue)

/** Has the key at a place wait for a pair. */
export function enqueue(
  draft: Draft,
  rotation: Pick<PairRotation<never>, 'queue'>,
  { namespaceId, area, path }: RowPlace,
): void {
  const place: RowPlace = { namespaceId, area, path }
  queueOf(draft, rotation).put(`${namespaceId}/${area}/${path}`, place)
}

/** The rows that the row at a place is among. */
export const storageAt = (draft: Draft, { namespaceId, area }: RowPlace): Storage =>
  draft.area(namespaceId, area)
