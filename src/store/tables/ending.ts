/**
 * Trees of keys that are being deleted, in more than one transaction.
 *
 * Owns the row. Its createRevision says which entries go: those that were written before it. It
 * belongs to the running servers, any of which can finish the work; archives leave it out.
 */
import { defineTable, jsonCodec } from '../table.ts'

/** Work in several transactions: marked, and gone on with by the timekeeper once it had rested. */
export type Ending = 'marked' | 'resumed'

export interface EndingRow {
  readonly ending: Ending
}

/** The key is the prefix of the tree. */
export const endings = defineTable<EndingRow>({
  name: 'endings',
  prefix: 'ending/kv/',
  codec: jsonCodec(),
  need: () => 'upkeep',
  internal: true,
})
