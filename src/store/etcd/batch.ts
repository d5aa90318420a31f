/**
 * Several transactions of ours in one of etcd's.
 *
 * Owns what may go together and in what shape: each is nested with its own compares, so that one of
 * them can fail while the others are done. Those that share are independent of each other (see
 * holds.ts); the one thing that they may have in common are guards, which stand beside them then,
 * since etcd refuses a key that is written twice. A large transaction goes alone, in nested groups.
 */
import { type Bytes, toBuffer } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import type { EtcdCompare, RequestOp, TxnResponse } from './client.ts'
import { type Draft, nested, putOp, unmoved } from './draft.ts'
import type { Keyspace } from './keys.ts'

/** What a lane sends. */
export interface Parcel {
  readonly compare: readonly EtcdCompare[]
  readonly success: readonly RequestOp[]
}

/** Whether a transaction cannot share: it is too wide, or could make the others fail with it. */
export function isAlone({ rows, touched, isTraceless }: Draft): boolean {
  if (isTraceless) return true
  // A lease that has ended is an error of the whole.
  const isLeased = (op: RequestOp): boolean =>
    'requestPut' in op && op.requestPut.lease !== undefined
  return rows.length + touched.length > limits.etcdTxnWidth || rows.some(isLeased)
}

/** How many of the drafts, from the first on, go into the next parcel: one at least. */
export function takeShared(drafts: readonly Draft[]): number {
  const seen = new Set<Bytes>()
  const shared = new Set<Bytes>()
  const [first] = drafts
  let sizeBytes = 0
  let taken = 0
  for (const draft of drafts) {
    if (draft.generation !== first!.generation) break
    for (const key of draft.touched) {
      if (seen.has(key)) shared.add(key)
      seen.add(key)
    }
    sizeBytes += draft.sizeBytes
    // One more place is the head row's.
    const isFull = taken + 1 + shared.size + 1 > limits.etcdTxnWidth
    if (taken > 0 && (isFull || sizeBytes > limits.etcdBatchSizeBytes)) break
    taken++
  }
  return taken
}

/** One draft by itself. */
export function packAlone({ compares, rows, touched, generation }: Draft, keys: Keyspace): Parcel {
  return {
    compare: [unmoved(toBuffer(keys.generation), generation.revision), ...compares],
    success: nested([...rows, ...touched.map(touch)]),
  }
}

/** Several drafts; each is the operation at its own place in `success`. */
export function packShared(drafts: readonly Draft[], keys: Keyspace): Parcel {
  const seen = new Set<Bytes>()
  const shared = new Set<Bytes>()
  for (const { touched } of drafts) {
    for (const key of touched) {
      if (seen.has(key)) shared.add(key)
      seen.add(key)
    }
  }
  const own = (key: Bytes): boolean => !shared.has(key)
  const parts = drafts.map(({ compares, rows, touched }): RequestOp => {
    const success = [...rows, ...touched.filter(own).map(touch)]
    return { requestTxn: { compare: compares, success } }
  })
  const { generation } = drafts[0]!
  return {
    compare: [unmoved(toBuffer(keys.generation), generation.revision)],
    success: [...parts, ...[...shared].map(touch)],
  }
}

const touch = (key: Bytes): RequestOp => putOp(key, Buffer.alloc(0))

/** Which of the drafts of a shared parcel were done. */
export function doneParts({ responses }: TxnResponse, count: number): boolean[] {
  return Array.from({ length: count }, (_, at) => responses[at]?.responseTxn?.succeeded === true)
}

/** The reads that tell afterwards which parts were done at a revision, when the answer was lost. */
export function tracesOf(drafts: readonly Draft[], at: number): RequestOp[] {
  return drafts.flatMap(draft => {
    const key = firstKeyOf(draft)
    const range = { key, keysOnly: true }
    return [
      { requestRange: { ...range, revision: at } },
      { requestRange: { ...range, revision: at - 1 } },
    ]
  })
}

/**
 * What those reads tell. A part that was done has put its first key at that revision, or has
 * removed it: nobody else writes at the revision of a transaction, and no two parts the same key.
 */
export function tracedParts({ responses }: TxnResponse, count: number): boolean[] {
  return Array.from({ length: count }, (_, part) => {
    const [after, before] = [responses[2 * part], responses[2 * part + 1]].map(
      response => response?.responseRange?.kvs[0]?.modRevision.toNumber() ?? 0,
    )
    return after !== before
  })
}

function firstKeyOf({ rows }: Draft): Buffer {
  const [op] = rows
  if (op !== undefined && 'requestPut' in op) return op.requestPut.key
  if (op !== undefined && 'requestDeleteRange' in op) return op.requestDeleteRange.key
  return Buffer.alloc(0)
}
