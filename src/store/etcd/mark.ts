/**
 * Marks: head rows as they were, by which a history of etcd's is known again.
 *
 * Owns the form. Every lane of every server writes its head row with a random token, so two
 * histories that came apart do not have the same newest one.
 */
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import type { KeyValue, RangeRequest } from './client.ts'
import type { Keyspace } from './keys.ts'

/** A head row as it was at some revision. */
export interface Mark {
  readonly key: Bytes
  readonly revision: number
  readonly value: string
}

/** The mark that a head row is. */
export const markOf = ({ key, value, modRevision }: KeyValue): Mark => ({
  key: fromBuffer(key),
  revision: modRevision.toNumber(),
  value: value.toString('latin1'),
})

/** Whether a head row is still what the mark says. */
export const isSameMark = (mark: Mark, kv: KeyValue | undefined): boolean =>
  kv !== undefined &&
  kv.modRevision.toNumber() === mark.revision &&
  kv.value.toString('latin1') === mark.value

/** What finds the newest head row of all lanes. */
export function newestOf({ heads: { from, to } }: Keyspace): RangeRequest {
  return { key: from, rangeEnd: to, sortTarget: 'MOD', sortOrder: 'DESCEND', limit: 1 }
}
