/**
 * Reading the store as a whole: in pages, all at one pinned revision.
 *
 * Owns the size of pages, and that where most is known already only keys are read, and the rows
 * that changed. Never gives rows of two revisions: when etcd compacts the pinned one meanwhile, the
 * read fails (see `isCompacted`) and starts again with a newer one. A server may serve meanwhile:
 * all of it is done in slices, and seen by nobody before it is whole.
 */
import { revision } from '../../base/brand.ts'
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { finishInSlices, inSlices } from '../../base/slices.ts'
import type { AnyTable, Cell } from '../table.ts'
import { type TableSet, toCell } from '../tables.ts'
import { Version } from '../view.ts'
import { type Etcd, isCompacted, type KeyValue } from './client.ts'
import { type Generation, originOf, readGeneration } from './generation.ts'
import { behind, type Keyspace, type Span } from './keys.ts'
import { type Mark, markOf, newestOf } from './mark.ts'

/** The whole store at one revision. */
export interface Loaded {
  readonly version: Version
  readonly generation: Generation
  /** The newest head row then, where there was one, and etcd's name for itself. */
  readonly mark: Mark | undefined
  readonly etcdId: string
}

/** Rows of the first page: how large they are is not known yet. */
export const FIRST_PAGE_ROWS = 100

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
    const next = nextPage(kvs)
    key = next.from
    limit = next.limit
  }
}

/** Where the page behind one begins, and how many rows it is to have. */
export function nextPage(kvs: readonly KeyValue[]): { from: Buffer; limit: number } {
  // Pages of about one size, whatever the rows': etcd has no other bound than their number.
  const sizeBytes = kvs.reduce((total, { value }) => total + value.length, 1)
  const rows = Math.floor((kvs.length * limits.etcdPageSizeBytes) / sizeBytes)
  const limit = Math.min(limits.etcdPageRows, Math.max(1, rows))
  return { from: behind(fromBuffer(kvs.at(-1)!.key)), limit }
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
  const take = (kv: KeyValue, value?: KeyValue): void => {
    const fullKey = fromBuffer(kv.key).slice(prefix.length)
    const table = tables.of(fullKey)
    const held = value === undefined ? heldIn(old, table, fullKey, kv) : undefined
    cells.get(table)!.push(held ?? cellOf(tables, fullKey, value ?? kv, generation))
  }
  const isHeld = (kv: KeyValue): boolean => {
    const fullKey = fromBuffer(kv.key).slice(prefix.length)
    return heldIn(old, tables.of(fullKey), fullKey, kv) !== undefined
  }
  for (const span of keys.rows(generation.number)) {
    if (old === undefined) {
      for await (const page of scan(etcd, span, at)) await inSlices(page, kv => take(kv))
    } else {
      for await (const page of scanKeys(etcd, span, at))
        await takePage(etcd, page, at, isHeld, take)
    }
  }
  const version = await versionOf(tables, cells)
  version.revision = revision(at)
  version.origin = originOf(generation)
  const { kvs, header } = await etcd.range({ ...newestOf(keys), revision: at })
  const mark = kvs[0] && markOf(kvs[0])
  return { version, generation, mark, etcdId: header.clusterId.toString() }
}

/** So many rows take less than a slice. */
const FEW_ROWS = 1_000

/** A version of all tables' cells, each in key order; built in slices where they are many. */
export async function versionOf(
  tables: TableSet,
  cells: ReadonlyMap<AnyTable, readonly Cell<unknown>[]>,
): Promise<Version> {
  const version = new Version(tables.all)
  function* building(): Generator<undefined, void> {
    for (const [table, ofTable] of cells) yield* version.loading(table, ofTable)
  }
  const rows = [...cells.values()].reduce((count, { length }) => count + length, 0)
  if (rows > FEW_ROWS) await finishInSlices(building(), 1)
  else for (const _ of building());
  return version
}

/** The cell of an older version, where it is still what etcd has. */
function heldIn(
  old: Version | undefined,
  table: AnyTable,
  fullKey: Bytes,
  kv: KeyValue,
): Cell<unknown> | undefined {
  const held = old?.get(table, fullKey.slice(table.prefix.length))
  return held?.modRevision === kv.modRevision.toNumber() ? held : undefined
}

/** The keys of a span at a revision, without their values. */
async function* scanKeys(
  etcd: Etcd,
  { from, to }: Span,
  at: number,
): AsyncGenerator<readonly KeyValue[]> {
  let key: Buffer = from
  for (;;) {
    const limit = limits.etcdPageKeys
    const { kvs, more } = await etcd.range({
      key,
      rangeEnd: to,
      revision: at,
      limit,
      keysOnly: true,
    })
    if (kvs.length > 0) yield kvs
    if (!more) return
    key = behind(fromBuffer(kvs.at(-1)!.key))
  }
}

/** Takes a page of keys in order, with the values of those that are not known. */
async function takePage(
  etcd: Etcd,
  page: readonly KeyValue[],
  at: number,
  isHeld: (kv: KeyValue) => boolean,
  take: (kv: KeyValue, value?: KeyValue) => void,
): Promise<void> {
  const missing: KeyValue[] = []
  await inSlices(page, kv => {
    if (!isHeld(kv)) missing.push(kv)
  })
  if (missing.length > page.length * FEW_MISSING) {
    const span = { from: page[0]!.key, to: behind(fromBuffer(page.at(-1)!.key)) }
    for await (const whole of scan(etcd, span, at)) await inSlices(whole, kv => take(kv))
    return
  }
  const values = new Map<KeyValue, KeyValue>()
  for (let next = 0; next < missing.length; next += limits.etcdPageReads) {
    const some = missing.slice(next, next + limits.etcdPageReads)
    const success = some.map(({ key }) => ({ requestRange: { key, revision: at } }))
    const { responses } = await etcd.txn({ success })
    some.forEach((kv, i) => {
      const value = responses[i]?.responseRange?.kvs[0]
      if (value === undefined) throw new OperatingError(OperatingCode.damaged, 'etcd lost a row')
      values.set(kv, value)
    })
  }
  await inSlices(page, kv => take(kv, values.get(kv)))
}

/** Where more than this part of a page is missing it is read whole. */
const FEW_MISSING = 0.25

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
