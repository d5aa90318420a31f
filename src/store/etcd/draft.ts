/**
 * From what a rule read and wants to one transaction of etcd's.
 *
 * Owns the compares (made from the recorder's record alone), the guards that writers put, and the
 * shape that fits etcd's limits. A key that was read must still have the revision it had; a guard
 * must not have been put since the view's revision, which is sound since guards are never deleted.
 * Every key that is written counts as read: guards of a row's old ranges are known only so.
 */
import { assert } from '../../base/assert.ts'
import { afterPrefix, type Bytes, fromBuffer, toBuffer } from '../../base/bytes.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { checkSize, keptBy, lastOfEach } from '../local.ts'
import { guardsOf, type ReadKey, type ReadRange, type Recorder } from '../recorder.ts'
import type { Op } from '../store.ts'
import { type Need, NO_KEPT_INDEXES, seal } from '../table.ts'
import type { EtcdCompare, RequestOp } from './client.ts'
import type { Generation } from './generation.ts'
import type { Footprint, KeyRange, Mode } from './holds.ts'
import { behind, type Keyspace } from './keys.ts'

/** A transaction as etcd will get it, but for what it shares with others. */
export interface Draft {
  readonly generation: Generation
  /** What must still be so. That the generation is current is compared besides. */
  readonly compares: readonly EtcdCompare[]
  /** Puts and deletions of rows, each key once. None: nothing is to be written. */
  readonly rows: readonly RequestOp[]
  /** Guards that are put too. */
  readonly touched: readonly Bytes[]
  readonly footprint: Footprint
  /** What the most dispensable of the puts is. */
  readonly need: Need
  /** Whether etcd's rows do not tell afterwards if it was done: none of them needs to differ. */
  readonly isTraceless: boolean
  readonly sizeBytes: number
}

/** Makes the transaction. Throws OperatingError `limit` for what etcd would not take. */
export function draft(
  record: Recorder,
  txn: readonly Op[],
  keys: Keyspace,
  generation: Generation,
): Draft {
  const drafting: Written = { rows: [], blind: [], touched: new Set(), written: [] }
  for (const op of lastOfEach(txn)) {
    if (op.table.isCold) draftCold(op, keys, generation, drafting)
    else draftOp(op, record, keys, generation, drafting)
  }
  const { blind, touched, written } = drafting
  const isTraceless = drafting.rows.length === 0
  const rows = [...drafting.rows, ...blind]
  const footprint = footprintOf(record, keys, generation, written, touched)
  const need = needOf(record, txn)
  const common = { generation, rows, touched: [...touched], footprint, need, isTraceless }
  if (rows.length === 0) return { ...common, compares: [], sizeBytes: 0 }
  const compares = comparesOf(record, keys, generation)
  const drafted = { ...common, compares, sizeBytes: sizeOf(compares, rows, touched) }
  checkTxnSize(drafted)
  return drafted
}

function needOf(record: Recorder, txn: readonly Op[]): Need {
  let least: Need = 'upkeep'
  for (const { table, key, row } of txn) {
    if (row === undefined || least === 'extra') continue
    const before = table.isCold ? undefined : record.get(table, key)
    const need = table.need(row, before?.row)
    if (need === 'extra' || least === 'upkeep') least = need
  }
  return least
}

interface Written {
  readonly rows: RequestOp[]
  /** Deletions of what may not be there. */
  readonly blind: RequestOp[]
  readonly touched: Set<Bytes>
  /** The stored keys of the rows. */
  readonly written: Bytes[]
}

/** A cold row is written whatever is there: nothing is compared, nobody watches. */
function draftCold(
  { table, key, row, lease }: Op,
  keys: Keyspace,
  generation: Generation,
  { rows, blind, written }: Written,
): void {
  assert(lease === '', 'no cold row hangs on a lease')
  const fullKey = table.prefix + key
  const storedKey = keys.coldPrefix(generation.number) + fullKey
  written.push(storedKey)
  if (row === undefined) blind.push({ requestDeleteRange: { key: toBuffer(storedKey) } })
  else {
    const value = seal(table.codec.encode(row), NO_KEPT_INDEXES)
    checkSize(fullKey, value)
    rows.push(putOp(storedKey, value))
  }
}

function draftOp(
  op: Op,
  record: Recorder,
  keys: Keyspace,
  generation: Generation,
  { rows, touched, written }: Written,
): void {
  const { table, key, row, lease } = op
  const before = record.get(table, key)
  if (row === undefined && before === undefined) return
  const fullKey = table.prefix + key
  const storedKey = keys.rowPrefix(generation.number) + fullKey
  written.push(storedKey)
  if (row === undefined) {
    rows.push({ requestDeleteRange: { key: toBuffer(storedKey) } })
    touched.add(keys.deletions(generation.number, table))
  } else {
    const value = seal(table.codec.encode(row), keptBy(before, generation.indexOffset))
    checkSize(fullKey, value)
    rows.push(putOp(storedKey, value, lease))
  }
  for (const held of [before?.row, row]) {
    if (held === undefined) continue
    for (const guard of guardsOf(table, key, held)) {
      touched.add(keys.guard(generation.number, guard))
    }
  }
}

/** What the transaction reads and writes, whether or not all of it is compared one by one. */
function footprintOf(
  record: Recorder,
  keys: Keyspace,
  generation: Generation,
  written: readonly Bytes[],
  touched: ReadonlySet<Bytes>,
): Footprint {
  const prefix = keys.rowPrefix(generation.number)
  const modes = new Map<Bytes, Mode>()
  for (const fullKey of record.keys.keys()) modes.set(prefix + fullKey, 'read')
  const ranges: KeyRange[] = []
  for (const range of record.ranges.values()) {
    const from = keys.guard(generation.number, range)
    if (range.wide) ranges.push({ from, to: afterPrefix(from)! })
    else modes.set(from, 'read')
  }
  for (const key of touched) modes.set(key, modes.has(key) ? 'write' : 'touch')
  for (const key of written) modes.set(key, 'write')
  return { modes, ranges }
}

/** Puts a key; it hangs on `lease` when one is given. */
export function putOp(key: Bytes, value: Buffer, lease = ''): RequestOp {
  return { requestPut: { key: toBuffer(key), value, ...(lease === '' ? {} : { lease }) } }
}

/** Compares of one kind, which can be folded into few when there are too many. */
interface Group {
  readonly compares: EtcdCompare[]
  readonly fold: () => EtcdCompare[]
}

function comparesOf(record: Recorder, keys: Keyspace, generation: Generation): EtcdCompare[] {
  // Nearly always: then nothing needs to be grouped.
  if (record.keys.size + record.ranges.size <= PLACES) {
    const prefix = keys.rowPrefix(generation.number)
    const rows = [...record.keys].map(read => rowCompare(prefix, read))
    const ranges = [...record.ranges.values()]
    return [...rows, ...ranges.map(range => guardCompare(range, record, keys, generation))]
  }
  const groups = [...rowGroups(record, keys, generation), ...guardGroups(record, keys, generation)]
  let count = groups.reduce((total, { compares }) => total + compares.length, 0)
  if (count > PLACES) groups.sort((a, b) => b.compares.length - a.compares.length)
  const compares = groups.flatMap(group => {
    if (count <= PLACES) return group.compares
    const folded = group.fold()
    count -= group.compares.length - folded.length
    return folded
  })
  if (count > PLACES) {
    throw new OperatingError(OperatingCode.limit, 'the transaction stands on too many rows')
  }
  return compares
}

/** Two places are left for the compares of the lane and of the generation. */
const PLACES = limits.etcdTxnWidth - 2

/** One compare a row. Folded: no row between the first and the last changed, none was deleted. */
function rowGroups(record: Recorder, keys: Keyspace, generation: Generation): Group[] {
  const prefix = keys.rowPrefix(generation.number)
  const byTable = Map.groupBy(record.keys, ([, { table }]) => table)
  return [...byTable].map(([table, reads]) => ({
    compares: reads.map(read => rowCompare(prefix, read)),
    fold: () => {
      const sorted = reads.map(([fullKey]) => fullKey).sort()
      const span = { from: toBuffer(prefix + sorted[0]!), to: behind(prefix + sorted.at(-1)!) }
      // The end of a lease deletes rows without any guard.
      const leased = reads.filter(([, { cell }]) => cell !== undefined && cell.lease !== '')
      return [
        untouched(span.from, span.to, record),
        untouched(toBuffer(keys.deletions(generation.number, table)), undefined, record),
        ...leased.map(([fullKey, { cell }]) =>
          unmoved(toBuffer(prefix + fullKey), cell!.modRevision),
        ),
      ]
    },
  }))
}

/** One compare a guard. Folded: no guard between the first and the last was put. */
function guardGroups(record: Recorder, keys: Keyspace, generation: Generation): Group[] {
  const byIndex = Map.groupBy(record.ranges.values(), range => `${range.table.name}/${range.index}`)
  return [...byIndex.values()].map(ranges => {
    const compares = ranges.map(range => guardCompare(range, record, keys, generation))
    return {
      compares,
      fold: () => {
        const from = compares.map(compare => compare.key).sort(Buffer.compare)[0]!
        const to = compares.map(({ key, rangeEnd }) => rangeEnd ?? behind(fromBuffer(key)))
        return [untouched(from, to.sort(Buffer.compare).at(-1)!, record)]
      },
    }
  })
}

/** The row is still as it was read. */
const rowCompare = (prefix: Bytes, [fullKey, { cell }]: [Bytes, ReadKey]): EtcdCompare =>
  unmoved(toBuffer(prefix + fullKey), cell?.modRevision ?? 0)

/** What the guard stands for is still as it was read. */
function guardCompare(
  range: ReadRange,
  record: Recorder,
  keys: Keyspace,
  generation: Generation,
): EtcdCompare {
  const from = keys.guard(generation.number, range)
  const to = range.wide ? toBuffer(afterPrefix(from)!) : undefined
  return untouched(toBuffer(from), to, record)
}

/** The key still has this revision; 0: it is not there. */
export function unmoved(key: Buffer, at: number): EtcdCompare {
  return { key, target: 'MOD', result: 'EQUAL', modRevision: at }
}

/** No key of the range was put since the view was made. */
function untouched(from: Buffer, to: Buffer | undefined, { revision }: Recorder): EtcdCompare {
  const compare = { key: from, target: 'MOD', result: 'LESS', modRevision: revision + 1 } as const
  return to === undefined ? compare : { ...compare, rangeEnd: to }
}

/** What a key, a compare or an operation costs beside its bytes, at most. */
const OVERHEAD_SIZE_BYTES = 32

function sizeOf(
  compares: readonly EtcdCompare[],
  rows: readonly RequestOp[],
  touched: ReadonlySet<Bytes>,
): number {
  let sizeBytes = (compares.length + rows.length + touched.size) * OVERHEAD_SIZE_BYTES
  for (const { key, rangeEnd } of compares) sizeBytes += key.length + (rangeEnd?.length ?? 0)
  for (const key of touched) sizeBytes += key.length
  for (const op of rows) {
    if ('requestPut' in op) sizeBytes += op.requestPut.key.length + op.requestPut.value.length
    else if ('requestDeleteRange' in op) sizeBytes += op.requestDeleteRange.key.length
  }
  return sizeBytes
}

function checkTxnSize({ sizeBytes }: Draft): void {
  if (sizeBytes <= limits.etcdTxnSizeBytes) return
  throw new OperatingError(
    OperatingCode.limit,
    `transaction of ${sizeBytes} bytes is too large, max size: ${limits.etcdTxnSizeBytes} bytes`,
  )
}

/**
 * Packs operations into nested transactions, so that none has too many. etcd adds up the widths
 * from the top down and allows 128 in all: one full level and two nested ones.
 */
export function nested(ops: readonly RequestOp[]): readonly RequestOp[] {
  let level = ops
  while (level.length > limits.etcdTxnWidth) {
    const packed: RequestOp[] = []
    for (let at = 0; at < level.length; at += limits.etcdTxnNestedWidth) {
      const success = level.slice(at, at + limits.etcdTxnNestedWidth)
      packed.push({ requestTxn: { success } })
    }
    level = packed
  }
  return level
}
