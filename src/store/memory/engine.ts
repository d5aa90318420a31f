/**
 * The memory engine: the store's contract without a disk, for tests and `-dev`.
 *
 * Owns nothing but the content of a restore and the newest records of the journal; everything else
 * is the serial committer's.
 */
import { assert } from '../../base/assert.ts'
import { type Revision, revision, wallMs } from '../../base/brand.ts'
import { type Bytes, owned } from '../../base/bytes.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import type { ColdRange, StoredCold } from '../cold.ts'
import { JournalBook, type JournalRecord } from '../journal.ts'
import {
  type Batch,
  type ColdDisk,
  type FrozenCold,
  type Loaded,
  type LocalOptions,
  LocalStore,
  type Opened,
  type Persistence,
} from '../local.ts'
import type { RestoreContent } from '../store.ts'
import { type AnyTable, seal } from '../table.ts'
import { TableSet, toCell } from '../tables.ts'
import { newTree, type Tree, Version } from '../view.ts'

/** Opens an empty store in memory. */
export function openMemoryStore(options: LocalOptions): LocalStore {
  const loaded: Opened = {
    version: new Version(options.tables),
    journal: new JournalBook(),
    clusterId: options.random.uuid(),
    generation: 1,
    indexOffset: 0,
    compacted: revision(0),
    touched: new Map(),
  }
  return new LocalStore(memoryPersistence(options, new Ring(loaded.journal)), loaded, options)
}

/** The newest records of the journal, up to a size. */
class Ring {
  readonly #book: JournalBook
  #records: JournalRecord[] = []

  constructor(book: JournalBook) {
    this.#book = book
  }

  /** Takes what a batch adds, and lets go of what is too much. */
  take(batch: Batch): void {
    this.#records.push(...batch.records)
    const excess = this.#book.excess(limits.journalMemorySizeBytes, wallMs(0))
    const floor = this.#book.floorFor(excess)
    if (floor !== undefined && floor.sequence > (batch.trim?.sequence ?? 0)) batch.trim = floor
    const { trim } = batch
    if (trim === undefined) return
    this.#records = this.#records.filter(({ sequence }) => sequence > trim.sequence)
  }

  read(from: number, limit: number): JournalRecord[] {
    const first = this.#records.findIndex(({ sequence }) => sequence >= from)
    return first === -1 ? [] : this.#records.slice(first, first + limit)
  }
}

/** Cold rows in memory: encoded, as a disk would have them. */
class ColdMemory implements ColdDisk {
  readonly #rows: Tree<StoredCold>

  constructor(rows: Tree<StoredCold> = newTree()) {
    this.#rows = rows
  }

  put(row: StoredCold): void {
    this.#rows.set(row.key, row)
  }

  take({ writes }: Batch): void {
    for (const { fullKey: key, value, at, isCold } of writes) {
      if (isCold !== true) continue
      if (value === undefined) this.#rows.delete(key)
      else this.put({ key, value: owned(value), modRevision: at })
    }
  }

  read({ from, to, limit }: ColdRange): Promise<readonly StoredCold[]> {
    const rows: StoredCold[] = []
    for (const [key, row] of this.#rows.entries(from)) {
      if (key >= to || rows.length === limit) break
      rows.push(row)
    }
    return Promise.resolve(rows)
  }

  /** The rows as they are now: shared, and copied node by node when these are next written. */
  freeze(): FrozenCold {
    const copy = new ColdMemory(this.#rows.clone())
    return {
      read: range => copy.read(range),
      prove: () => Promise.resolve(copy.#rows.size),
      release: () => Promise.resolve(),
    }
  }
}

function memoryPersistence(options: LocalOptions, journal: Ring): Persistence {
  let generation = 1
  let indexOffset = 0
  let cold = new ColdMemory()
  return {
    engine: 'memory',
    supports: { durable: false, shared: false, transactionOps: limits.transactionOps },
    persist: batch => {
      journal.take(batch)
      cold.take(batch)
      return Promise.resolve()
    },
    cold: { read: range => cold.read(range), freeze: () => cold.freeze() },
    records: (from, limit) => Promise.resolve(journal.read(from, limit)),
    history: () => Promise.resolve(undefined),
    // What the feed's ring has dropped is told to each reader; nothing else is ever forgotten.
    compacted: revision(0),
    compact: () => Promise.resolve(),
    close: () => Promise.resolve(),
    async restore(content, head): Promise<Loaded> {
      const at = revision(head + 1)
      const offset = offsetAbove(content, head, indexOffset)
      const rows = new ColdMemory()
      const tables = new TableSet(options.tables)
      const also = (key: Bytes, value: Buffer, { isCold }: AnyTable): void => {
        if (isCold) rows.put({ key, value: owned(value), modRevision: at })
      }
      const restored = await loadRestored(content, tables, at, offset, also)
      cold = rows
      indexOffset = offset
      generation++
      return {
        ...restored,
        clusterId: options.random.uuid(),
        generation,
        indexOffset,
        compacted: at,
      }
    },
  }
}

/** The offset with which the next revision's index lies above all indexes of archive and store. */
export function offsetAbove(content: RestoreContent, head: number, offset: number): number {
  return Math.max(offset, content.index - head)
}

/**
 * Fills a new version with an archive's rows, all at one revision; verifies before it returns. What
 * is cold is looked at and not kept: `also` gets it like the others.
 * Whatever a table may ask of its rows is asked here once, so that none can do harm later.
 */
export async function loadRestored(
  content: RestoreContent,
  tables: TableSet,
  at: Revision,
  indexOffset: number,
  also?: (fullKey: Bytes, value: Buffer, table: AnyTable) => Promise<void> | void,
): Promise<Pick<Loaded, 'version' | 'touched'>> {
  const version = new Version(tables.all)
  const header = { createRevision: at, modRevision: at, version: 1, lease: '' }
  for await (const row of content.rows) {
    const value = seal(row.body, row)
    const table = reading(() => {
      const table = tables.of(row.key)
      assert(!table.internal, 'no archive carries what belongs to the running servers')
      const cell = toCell(table, row.key, value, header, indexOffset)
      if (!table.isCold) version.apply(table, cell.key, cell, at)
      return table
    })
    await also?.(row.key, value, table)
  }
  const touched = new Map<string, Revision>()
  for (const table of tables.all) {
    await inSlices(version.entries(table), ({ key, row }) => {
      const names = reading(() => table.scopes(row, key, version))
      for (const name of names) touched.set(name, at)
    })
  }
  content.verify()
  version.revision = at
  version.setFloor(at)
  return { version, touched }
}

function reading<T>(work: () => T): T {
  try {
    return work()
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
