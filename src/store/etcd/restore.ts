/**
 * Restoring: an archive's rows into a generation of their own, beside the one that is the store.
 *
 * Owns filling, checking and deleting generations. Every transaction compares the generation row,
 * so nothing is written once another restore has come first. Changes nothing that anybody sees:
 * the engine makes the new generation the store in one transaction of its lane.
 */
import { monotonicMs } from '../../base/brand.ts'
import { afterPrefix, type Bytes, fromBuffer, toBuffer } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import { checkSize } from '../local.ts'
import type { RestoreContent } from '../store.ts'
import { type AnyTable, rowSum, seal } from '../table.ts'
import { type TableSet, toCell } from '../tables.ts'
import { addSums } from '../view.ts'
import type { Etcd, EtcdCompare, RequestOp } from './client.ts'
import { nested, putOp, unmoved } from './draft.ts'
import { type Generation, readGeneration } from './generation.ts'
import { behind, type Keyspace, type Span } from './keys.ts'
import { scan } from './load.ts'
import { patiently } from './patience.ts'

/** What the work needs. */
export interface Place {
  readonly etcd: Etcd
  readonly keys: Keyspace
  readonly tables: TableSet
  readonly clock: Clock
}

/** Sum and number of rows, as views have them. */
interface Tally {
  sum: number
  rows: number
}

/**
 * Fills a new generation and gives its number. When that fails, what was written is deleted again
 * and the archive's or etcd's error thrown on.
 */
export async function fill(
  place: Place,
  content: RestoreContent,
  current: Generation,
): Promise<number> {
  const number = await claim(place)
  try {
    const written = await writeRows(place, content, current, number)
    content.verify()
    const read = await tallyOf(place, number)
    if (read.sum !== written.sum || read.rows !== written.rows) {
      const text = 'etcd holds other rows than were written to it'
      throw new OperatingError(OperatingCode.damaged, text)
    }
    return number
  } catch (error) {
    await drop(place, number, current).catch(() => {
      // The next restore that succeeds deletes it.
    })
    throw error
  }
}

/** Deletes every generation but the current one. */
export async function dropOthers(place: Place, current: Generation): Promise<void> {
  for (const span of place.keys.otherGenerations(current.number)) {
    await dropSpan(place, span, current)
  }
}

/** Deletes what one generation holds, while `current` is the store. */
export async function drop(place: Place, number: number, current: Generation): Promise<void> {
  for (const span of place.keys.wholeGeneration(number)) await dropSpan(place, span, current)
}

async function dropSpan(place: Place, { from, to }: Span, current: Generation): Promise<void> {
  const { etcd, keys } = place
  for (;;) {
    const { kvs } = await repeatable(place, () =>
      etcd.range({ key: from, rangeEnd: to, limit: limits.etcdPageRows, keysOnly: true }),
    )
    const [first, last] = [kvs[0], kvs.at(-1)]
    if (first === undefined || last === undefined) return
    const { succeeded } = await repeatable(place, () =>
      etcd.txn({
        compare: [unmoved(toBuffer(keys.generation), current.revision)],
        success: [
          { requestDeleteRange: { key: first.key, rangeEnd: behind(fromBuffer(last.key)) } },
        ],
      }),
    )
    if (!succeeded) return
  }
}

/** A number that no other restore has, so that two never fill one generation. */
function claim(place: Place): Promise<number> {
  const { etcd, keys } = place
  const key = toBuffer(keys.claim)
  return repeatable(place, async () => {
    for (;;) {
      const { kvs } = await etcd.range({ key })
      const number = Number(kvs[0]?.value.toString('latin1') ?? 1) + 1
      const { succeeded } = await etcd.txn({
        compare: [unmoved(key, kvs[0]?.modRevision.toNumber() ?? 0)],
        success: [putOp(keys.claim, Buffer.from(String(number)))],
      })
      if (succeeded) return number
    }
  })
}

async function writeRows(
  place: Place,
  content: RestoreContent,
  current: Generation,
  number: number,
): Promise<Tally> {
  const { tables, keys } = place
  const prefixOf = ({ isCold }: AnyTable): Bytes =>
    isCold ? keys.coldPrefix(number) : keys.rowPrefix(number)
  const tally: Tally = { sum: 0, rows: 0 }
  let batch: RequestOp[] = []
  let sizeBytes = 0
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await writeBatch(place, current, batch)
    batch = []
    sizeBytes = 0
  }
  for await (const row of content.rows) {
    const value = seal(row.body, row)
    const table = checkRow(tables, row.key, value)
    const isFull = batch.length === limits.etcdFillRows
    if (isFull || sizeBytes + row.key.length + value.length > limits.etcdFillSizeBytes) {
      await flush()
    }
    batch.push(putOp(prefixOf(table) + row.key, value))
    sizeBytes += row.key.length + value.length
    count(tally, row.key, value)
  }
  await flush()
  return tally
}

/** Throws what a server would throw that has to load the row; gives its table. */
function checkRow(tables: TableSet, fullKey: Bytes, value: Buffer): AnyTable {
  const table = tables.of(fullKey)
  if (table.internal) {
    const text = `the archive holds rows of ${table.name}, which belong to running servers alone`
    throw new OperatingError(OperatingCode.damaged, text)
  }
  checkSize(fullKey, value)
  const none = { createRevision: 0, modRevision: 0, version: 1, lease: '' }
  toCell(table, fullKey, value, none as Parameters<typeof toCell>[3], 0)
  return table
}

/**
 * Writes rows once: the first of them must not be there yet, so that a repetition after a lost
 * answer finds its own work done.
 */
async function writeBatch(
  place: Place,
  current: Generation,
  batch: readonly RequestOp[],
): Promise<void> {
  const { etcd, keys } = place
  const first = batch[0]!
  const key = 'requestPut' in first ? first.requestPut.key : Buffer.alloc(0)
  const { succeeded } = await repeatable(place, () =>
    etcd.txn({
      compare: [unmoved(toBuffer(keys.generation), current.revision), unmoved(key, 0)],
      success: nested(batch),
    }),
  )
  if (succeeded) return
  const { generation } = await repeatable(place, () => readGeneration(etcd, keys))
  if (generation.revision !== current.revision) throw cameFirst()
}

/** What must hold for the rows that a restore takes over to be those that are there. */
export function unchanged(
  { keys }: Place,
  { staying }: RestoreContent,
  { number }: Generation,
): EtcdCompare[] {
  if (staying === undefined) return []
  const below = staying.at() + 1
  const prefixes = staying.tables.flatMap(({ name, prefix }) => [
    keys.rowPrefix(number) + prefix,
    // A range does not tell of a row that went, its guard does.
    `${keys.guardPrefix(number)}${name}/`,
  ])
  return prefixes.map(prefix => ({
    ...{ key: toBuffer(prefix), rangeEnd: toBuffer(afterPrefix(prefix)!) },
    ...{ target: 'MOD', result: 'LESS', modRevision: below },
  }))
}

/** Another restore has changed the generation meanwhile. */
export function cameFirst(): OperatingError {
  const text = 'another restore, or a change of the cluster itself, came first; nothing was changed'
  return new OperatingError(OperatingCode.busy, text)
}

async function tallyOf({ etcd, keys }: Place, number: number): Promise<Tally> {
  const tally: Tally = { sum: 0, rows: 0 }
  const prefixes = [keys.rowPrefix(number), keys.coldPrefix(number)]
  const { at } = await readGeneration(etcd, keys)
  for (const [i, span] of keys.wholeGeneration(number).entries()) {
    for await (const page of scan(etcd, span, at)) {
      await inSlices(page, ({ key, value }) => {
        count(tally, fromBuffer(key).slice(prefixes[i]!.length), value)
      })
    }
  }
  return tally
}

function count(tally: Tally, fullKey: Bytes, value: Buffer): void {
  tally.sum = addSums(tally.sum, rowSum(fullKey, value))
  tally.rows++
}

function repeatable<T>({ clock }: Place, work: () => Promise<T>): Promise<T> {
  return patiently(clock, monotonicMs(clock.monotonic() + limits.etcdAnswerTimeoutMs), work)
}
