/**
 * What the writing process writes, and how to tell from a store which of it is there.
 *
 * Shared by writer.ts, which is killed, and the tests that look at what it left.
 */
import { del, type Op, put, type Store } from '../../src/store/store.ts'
import { blobs, colds, things } from '../conformance/store.ts'

/** How many write at a time. */
export const WRITERS = 24

/** The transaction of a number: three rows that belong together, or the deletion of all. */
export function opsOf(writer: number, number: number): Op[] {
  const key = `w${writer}`
  if (number % 7 === 6) return [del(things, key), del(blobs, key), del(colds, key)]
  // Now and then a row that does not fit into one block of the log.
  const value = Buffer.alloc(number % 97 === 5 ? 50_000 : 8)
  value.writeDoubleBE(number)
  const row = { group: 'w', tags: [], size: number }
  return [put(things, key, row), put(blobs, key, value), put(colds, key, row)]
}

/** The same of cold rows: throws unless they are those that belong to the others. */
export async function checkCold(store: Store): Promise<void> {
  for (let writer = 0; writer < WRITERS; writer++) {
    const key = `w${writer}`
    const cold = await store.cold.get(colds, key)
    const hot = store.view().get(things, key)
    if (cold?.modRevision !== hot?.modRevision || cold?.row.size !== hot?.row.size) {
      throw new Error(`writer ${writer}: the cold row is of another transaction`)
    }
  }
  await store.cold.prove()
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
