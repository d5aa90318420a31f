/**
 * The memory engine: the store's contract without a disk, for tests and `-dev`.
 *
 * Owns nothing but the content of a restore; everything else is the serial committer's.
 */
import { assert } from '../../base/assert.ts'
import { revision } from '../../base/brand.ts'
import type { Bytes } from '../../base/bytes.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { type Loaded, type LocalOptions, LocalStore, type Persistence } from '../local.ts'
import type { RestoreContent, RestoredRow } from '../store.ts'
import { type AnyTable, type Cell, seal } from '../table.ts'
import { TableSet, toCell } from '../tables.ts'
import { Version } from '../view.ts'

/** Opens an empty store in memory. */
export function openMemoryStore(options: LocalOptions): LocalStore {
  const loaded: Loaded = {
    version: new Version(options.tables),
    clusterId: options.random.uuid(),
    generation: 1,
    indexOffset: 0,
    compacted: revision(0),
    touched: new Map(),
  }
  return new LocalStore(memoryPersistence(options), loaded, options)
}

function memoryPersistence(options: LocalOptions): Persistence {
  let generation = 1
  let indexOffset = 0
  return {
    engine: 'memory',
    supports: { durable: false, shared: false, transactionOps: limits.transactionOps },
    persist: () => Promise.resolve(),
    history: () => Promise.resolve(undefined),
    // What the feed's ring has dropped is told to each reader; nothing else is ever forgotten.
    compacted: revision(0),
    compact: () => Promise.resolve(),
    close: () => Promise.resolve(),
    async restore(content, head): Promise<Loaded> {
      const at = revision(head + 1)
      indexOffset = offsetAbove(content, head, indexOffset)
      const version = await loadRestored(content, new TableSet(options.tables), at, indexOffset)
      generation++
      return {
        version,
        clusterId: options.random.uuid(),
        generation,
        indexOffset,
        compacted: at,
        touched: new Map(),
      }
    },
  }
}

/** The offset with which the next revision's index lies above all indexes of archive and store. */
export function offsetAbove(content: RestoreContent, head: number, offset: number): number {
  return Math.max(offset, content.index - head)
}

/** Fills a new version with an archive's rows, all at one revision; verifies before it returns. */
export async function loadRestored(
  content: RestoreContent,
  tables: TableSet,
  at: ReturnType<typeof revision>,
  indexOffset: number,
  also?: (fullKey: Bytes, value: Buffer) => Promise<void> | void,
): Promise<Version> {
  const version = new Version(tables.all)
  for await (const row of content.rows) {
    const value = seal(row.body, row)
    const { table, cell } = restoredCell(row, value, tables, at, indexOffset)
    version.apply(table, cell.key, cell, at)
    await also?.(row.key, value)
  }
  content.verify()
  version.revision = at
  version.setFloor(at)
  return version
}

function restoredCell(
  row: RestoredRow,
  value: Buffer,
  tables: TableSet,
  at: ReturnType<typeof revision>,
  indexOffset: number,
): { table: AnyTable; cell: Cell<unknown> } {
  const header = { createRevision: at, modRevision: at, version: 1, lease: '' }
  try {
    const table = tables.of(row.key)
    assert(!table.internal, 'no archive carries what belongs to the running servers')
    return { table, cell: toCell(table, row.key, value, header, indexOffset) }
  } catch (error) {
    throw new OperatingError(
      OperatingCode.damaged,
      'the archive holds a row that this version cannot read: ' +
        'it was saved by a newer version, or it is damaged; nothing was changed',
      'none',
      error,
    )
  }
}
