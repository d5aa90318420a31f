/**
 * What the writing process writes, and how to tell from a store which of it is there.
 *
 * Shared by writer.ts, which is killed, and the tests that look at what it left.
 */
import { del, type Op, put, type Store } from '../../src/store/store.ts'
import { blobs, things } from '../conformance/store.ts'

/** How many write at a time. */
export const WRITERS = 24

/** The transaction of a number: two rows that belong together, or the deletion of both. */
export function opsOf(writer: number, number: number): Op[] {
  const key = `w${writer}`
  if (number % 7 === 6) return [del(things, key), del(blobs, key)]
  // Now and then a row that does not fit into one block of the log.
  const value = Buffer.alloc(number % 97 === 5 ? 50_000 : 8)
  value.writeDoubleBE(number)
  return [put(things, key, { group: 'w', tags: [], size: number }), put(blobs, key, value)]
}

/** A writer's state in a store: the number of its rows, or undefined when they are deleted. */
export function numberIn(store: Store, writer: number): number | undefined {
  const key = `w${writer}`
  const thing = store.view().get(things, key)
  const blob = store.view().get(blobs, key)
  if (thing?.modRevision !== blob?.modRevision || thing?.row.size !== blob?.row.readDoubleBE()) {
    throw new Error(`writer ${writer}: half of a transaction`)
  }
  return thing?.row.size
}

/** What the rows show after a number was written. */
export const shownAfter = (number: number): number | undefined =>
  number % 7 === 6 ? undefined : number
