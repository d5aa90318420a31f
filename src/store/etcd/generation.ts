/**
 * The generation row: which of the generations in etcd is the store.
 *
 * Owns its form and the making of the first one. A restore fills another generation and then
 * writes this row anew; every transaction compares it, so nothing is written to a generation that
 * is none any more.
 */
import { type Revision, revision } from '../../base/brand.ts'
import { toBuffer } from '../../base/bytes.ts'
import type { Random } from '../../base/clock.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import type { Etcd, KeyValue } from './client.ts'
import { putOp, unmoved } from './draft.ts'
import type { Keyspace } from './keys.ts'

export interface Generation {
  readonly number: number
  readonly clusterId: string
  /** What a public index is above its revision. */
  readonly indexOffset: number
  /** The revision of the row that says so. */
  readonly revision: number
}

/** When a generation became the store; 0 for the first one, which always was it. */
export const originOf = ({ number, revision: at }: Generation): Revision =>
  revision(number > 1 ? at : 0)

const FORMAT = 1

/** The row's stored form. */
export function encodeGeneration({
  number,
  clusterId,
  indexOffset,
}: Omit<Generation, 'revision'>): Buffer {
  return Buffer.from(JSON.stringify({ format: FORMAT, number, clusterId, indexOffset }))
}

/** The row as it is. Throws OperatingError `damaged` when it cannot be read. */
function decodeGeneration({ value, modRevision }: KeyValue): Generation {
  let row: { format?: unknown; number: number; clusterId: string; indexOffset: number }
  try {
    row = JSON.parse(value.toString('utf8'))
  } catch (error) {
    const text = 'the generation row in etcd cannot be read'
    throw new OperatingError(OperatingCode.damaged, text, 'none', error)
  }
  if (row.format !== FORMAT) {
    const text = `the store in etcd has format ${row.format}, which this version does not know`
    throw new OperatingError(OperatingCode.damaged, text)
  }
  const { number, clusterId, indexOffset } = row
  return { number, clusterId, indexOffset, revision: modRevision.toNumber() }
}

/** Makes the first generation where there is none. Of several servers one wins. */
export async function ensureGeneration(etcd: Etcd, keys: Keyspace, random: Random): Promise<void> {
  const first = { number: 1, clusterId: random.uuid(), indexOffset: 0 }
  await etcd.txn({
    compare: [unmoved(toBuffer(keys.generation), 0)],
    success: [putOp(keys.generation, encodeGeneration(first)), putOp(keys.claim, Buffer.from('1'))],
  })
}

/** Reads the row, with the revision at which it was read. */
export async function readGeneration(
  etcd: Etcd,
  keys: Keyspace,
): Promise<{ generation: Generation; at: number }> {
  const { header, kvs } = await etcd.range({ key: toBuffer(keys.generation) })
  if (kvs[0] === undefined) {
    const text = 'the generation row in etcd is gone: somebody deleted it'
    throw new OperatingError(OperatingCode.damaged, text)
  }
  return { generation: decodeGeneration(kvs[0]), at: header.revision.toNumber() }
}
