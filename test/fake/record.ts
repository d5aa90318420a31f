/**
 * Records of a journal as plain objects, so that two of them can be compared and one be changed.
 *
 * Owns nothing: a record that was sealed gives views of where it lies.
 */
import type { JournalRecord } from '../../src/store/journal.ts'

/** What a record has, read out. */
export const plain = (record: JournalRecord): JournalRecord => {
  const { sequence, timeMs, previousChain, text, textSizeBytes, chain, stored } = record
  return { sequence, timeMs, previousChain, text, textSizeBytes, chain, stored }
}
