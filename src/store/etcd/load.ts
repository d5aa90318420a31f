/**
 * Reading the store as a whole: in pages, all at one pinned revision.
 *
 * Owns the size of pages. Never gives rows of two revisions: when etcd compacts the pinned one
 * meanwhile, the read fails (see `isCompacted`) and starts again with a newer one.
 */
import { revision } from '../../base/brand.ts'
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import type { AnyTable, Cell } from '../table.ts'
import { type TableSet, toCell } from '../tables.ts'
import { Version } from '../view.ts'
import { type Etcd, isCompacted, type KeyValue } from './client.ts'
import { type Generation, readGeneration } from './generation.ts'
import { behind, type Keyspace, type Span } from './keys.ts'

/** The whole store at one revision. */
export interface Loaded {
  readonly version: Version
  readonly generation: Generation
}

const FIRST_PAGE_ROWS = 100

/** The keys of a span at a revision, in pages and in order. */
export async function* scan(
  etcd: Etcd,
  { from, to }: Span,
  at: number,
): AsyncGenerator<readonly KeyValue[]> {
  let key: Buffer = from
  let limit = FIRST_PAGE_ROWS
  for (;;) {
    const { kvs, more } = await etcd.range({ key, rangeEnd: to, revision: at, limit })
    if (kvs.length > 0) yield kvs
    if (!more) return
    key = behind(fromBuffer(kvs.at(-1)!.key))
    // Pages of about one size, whatever the rows': etcd has no other bound than their number.
    const sizeBytes = kvs.reduce((total, { value }) => total + value.length, 1)
    const rows = Math.floor((kvs.length * limits.etcdPageSizeBytes) / sizeBytes)
    limit = Math.min(limits.etcdPageRows, Math.max(1, rows))
  }
}

/** Loads the store as it is now; cells of `known` that are still right are taken over. */
export async function load(
  etcd: Etcd,
  keys: Keyspace,
  tables: TableSet,
  known?: Loaded,
): Promise<Loaded> {
  for (let tries = 1; ; tries++) {
    try {
      return await loadOnce(etcd, keys, tables, known)
    } catch (error) {
      if (!isCompacted(error) || tries === limits.etcdLoadTries) throw error
    }
  }
}

async function loadOnce(
  etcd: Etcd,
  keys: Keyspace,
  tables: TableSet,
  known: Loaded | undefined,
): Promise<Loaded> {
  const { generation, at } = await readGeneration(etcd, keys)
  const old = known?.generation.number === generation.number ? known.version : undefined
  const cells = new Map<AnyTable, Cell<unknown>[]>(tables.all.map(table => [table, []]))
  const prefix = keys.rowPrefix(generation.number)
  for (const span of keys.rows(generation.number)) {
    for await (const page of scan(etcd, span, at)) {
      await inSlices(page, kv => {
        const fullKey = fromBuffer(kv.key).slice(prefix.length)
        const table = tables.of(fullKey)
        const held = old?.get(table, fullKey.slice(table.prefix.length))
        const isHeld = held?.modRevision === kv.modRevision.toNumber()
        cells.get(table)!.push(isHeld ? held : cellOf(tables, fullKey, kv, generation))
      })
    }
  }
  const version = new Version(tables.all)
  for (const [table, ofTable] of cells) version.load(table, ofTable)
  version.revision = revision(at)
  return { version, generation }
}

/** The cell of a stored row. Throws OperatingError `damaged` for one that cannot be read. */
export function cellOf(
  tables: TableSet,
  fullKey: Bytes,
  kv: KeyValue,
  { indexOffset }: Generation,
): Cell<unknown> {
  const header = {
    createRevision: revision(kv.createRevision.toNumber()),
    modRevision: revision(kv.modRevision.toNumber()),
    version: kv.version.toNumber(),
    lease: kv.lease.isZero() ? '' : kv.lease.toString(),
  }
  return toCell(tables.of(fullKey), fullKey, kv.value, header, indexOffset)
}

/** One row that differs between two versions. */
export interface Difference {
  readonly table: AnyTable
  readonly key: Bytes
  readonly after: Cell<unknown> | undefined
}

/** What must be applied to `old` to make it `fresh`; both lists of rows are in key order. */
export function* differences(
  tables: TableSet,
  old: Version,
  fresh: Version,
): Generator<Difference> {
  for (const table of tables.all) {
    const rows = fresh.entries(table)[Symbol.iterator]()
    let next = rows.next()
    for (const before of old.entries(table)) {
      while (!next.done && next.value.key < before.key) {
        yield { table, key: next.value.key, after: next.value }
        next = rows.next()
      }
      if (!next.done && next.value.key === before.key) {
        if (next.value !== before) yield { table, key: before.key, after: next.value }
        next = rows.next()
      } else yield { table, key: before.key, after: undefined }
    }
    for (; !next.done; next = rows.next()) {
      yield { table, key: next.value.key, after: next.value }
    }
  }
}
