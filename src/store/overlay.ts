/**
 * The overlay: a view as it would be after operations that are not committed yet.
 *
 * Owns showing pending operations over another reader, so that one transaction can be decided by
 * several rules, each of which sees what those before it did. What it reads it asks of the reader
 * below, where a recorder notes it: compares and guards stay right by themselves. Pure.
 */
import { assert } from '../base/assert.ts'
import { publicIndex, type Revision, revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { Committed, Op } from './store.ts'
import type { AnyTable, Cell, Table } from './table.ts'
import { type LevelPage, nameUnder, type Reader } from './view.ts'

/**
 * The index of a row that is not committed: equal to no number at all, itself included, so that no
 * condition of a client can hold by chance.
 */
const UNKNOWN = Number.NaN

interface Pending {
  readonly op: Op
  /** The row as it will be; undefined when it will be gone. */
  readonly after: Cell<unknown> | undefined
  readonly before: Cell<unknown> | undefined
}

export class Overlay implements Reader {
  readonly revision: Revision
  readonly #below: Reader
  readonly #pending = new Map<AnyTable, Map<Bytes, Pending>>()

  constructor(below: Reader) {
    this.#below = below
    this.revision = below.revision
  }

  /** Puts operations on top of what is shown. */
  apply(ops: readonly Op[]): void {
    for (const op of ops) this.#applyOne(op)
  }

  #applyOne(op: Op): void {
    const { table, key } = op
    let pending = this.#pending.get(table)
    if (pending === undefined) {
      pending = new Map()
      this.#pending.set(table, pending)
    }
    // What is kept under a cold key nobody knows here.
    const below = table.isCold ? undefined : this.#below.get(table, key)
    const before = pending.get(key)?.before ?? below
    const after = op.row === undefined ? undefined : pendingCell(op, before)
    pending.set(key, { op, before, after })
  }

  /** The operations so far, the last of each key. */
  get ops(): Op[] {
    return [...this.#pending.values()].flatMap(table => [...table.values()].map(({ op }) => op))
  }

  get<R>(table: Table<R>, key: Bytes): Cell<R> | undefined {
    assert(!table.isCold, `table ${table.name} is cold: no rule reads it`)
    const pending = this.#of(table).get(key)
    return pending === undefined ? this.#below.get(table, key) : (pending.after as Cell<R>)
  }

  prefix<R>(table: Table<R>, prefix: Bytes, limit?: number): Cell<R>[] {
    const ask = (more?: number): Cell<R>[] => this.#below.prefix(table, prefix, more)
    return this.#merge(table, ask, ({ key }) => key.startsWith(prefix), limit)
  }

  level<R>(table: Table<R>, prefix: Bytes, separator: Bytes, page: LevelPage = {}): Bytes[] {
    const pending = this.#of(table)
    if (pending.size === 0) return this.#below.level(table, prefix, separator, page)
    const { after, limit } = page
    // A pending key adds a name or hides one: so many more are asked for below.
    const more = limit === undefined ? undefined : limit + pending.size
    const below = this.#below.level(table, prefix, separator, { after, limit: more })
    const names = new Set(below)
    for (const [key, { after: row }] of pending) {
      if (!key.startsWith(prefix)) continue
      const name = nameUnder(key, prefix, separator)
      if (after !== undefined && name <= after) continue
      if (row !== undefined || this.#has(table, prefix + name, separator)) names.add(name)
      else names.delete(name)
    }
    return [...names].sort().slice(0, limit)
  }

  /** Whether there is a row of a name: of that key, or where it ends so, below it. */
  #has<R>(table: Table<R>, whole: Bytes, separator: Bytes): boolean {
    if (!whole.endsWith(separator)) return this.get(table, whole) !== undefined
    return this.prefix(table, whole, 1).length > 0
  }

  find<R>(table: Table<R>, index: string, value: Bytes, limit?: number): Cell<R>[] {
    const spec = table.indexes[index]
    assert(spec !== undefined, `table ${table.name} has no index ${index}`)
    const ask = (more?: number): Cell<R>[] => this.#below.find(table, index, value, more)
    return this.#merge(table, ask, ({ row, key }) => spec.values(row, key).includes(value), limit)
  }

  distinct<R>(table: Table<R>, index: string, prefix: Bytes = ''): Bytes[] {
    const below = this.#below.distinct(table, index, prefix)
    const { values } = table.indexes[index]!
    const touched = new Set<Bytes>()
    for (const { before, after } of this.#of(table).values()) {
      for (const cell of [before, after] as (Cell<R> | undefined)[]) {
        if (cell !== undefined) for (const value of values(cell.row, cell.key)) touched.add(value)
      }
    }
    if (touched.size === 0) return below
    const kept = below.filter(value => !touched.has(value))
    for (const value of touched) {
      if (value.startsWith(prefix) && this.find(table, index, value, 1).length > 0) kept.push(value)
    }
    return kept.sort()
  }

  distinctLevel<R>(table: Table<R>, index: string, prefix: Bytes, separator: Bytes): Bytes[] {
    if (this.#of(table).size === 0) {
      return this.#below.distinctLevel(table, index, prefix, separator)
    }
    const values = this.distinct(table, index, prefix)
    return [...new Set(values.map(value => nameUnder(value, prefix, separator)))]
  }

  /** What is below without the pending keys, and the pending rows that belong to it, by key. */
  #merge<R>(
    table: Table<R>,
    ask: (limit?: number) => Cell<R>[],
    belongs: (cell: Cell<R>) => boolean,
    limit: number | undefined,
  ): Cell<R>[] {
    const pending = this.#of(table)
    if (pending.size === 0) return ask(limit)
    // Each pending key may hide one of those below.
    const below = ask(limit === undefined ? undefined : limit + pending.size)
    const cells = below.filter(({ key }) => !pending.has(key))
    for (const { after } of pending.values()) {
      if (after !== undefined && belongs(after as Cell<R>)) cells.push(after as Cell<R>)
    }
    cells.sort((a, b) => (a.key < b.key ? -1 : 1))
    return limit === undefined ? cells : cells.slice(0, limit)
  }

  #of(table: AnyTable): ReadonlyMap<Bytes, Pending> {
    return this.#pending.get(table) ?? NONE
  }
}

const NONE: ReadonlyMap<Bytes, Pending> = new Map()

/** A row as it will be, but for its indexes: a row that is there keeps its CreateIndex. */
function pendingCell({ table, key, row, lease }: Op, before: Cell<unknown> | undefined) {
  return {
    key,
    row: table.intern(row),
    createRevision: before?.createRevision ?? revision(UNKNOWN),
    modRevision: revision(UNKNOWN),
    version: (before?.version ?? 0) + 1,
    lease,
    createIndex: before?.createIndex ?? publicIndex(UNKNOWN),
    modifyIndex: publicIndex(UNKNOWN),
    sum: 0,
  }
}

/** A cell that was read through an overlay, with the indexes that it got when it was committed. */
export function committedCell<R>(cell: Cell<R>, at: Committed): Cell<R> {
  if (!Number.isNaN(cell.modifyIndex)) return cell
  return {
    ...cell,
    createRevision: known(cell.createRevision, at.revision),
    modRevision: at.revision,
    createIndex: known(cell.createIndex, at.index),
    modifyIndex: at.index,
  }
}

const known = <N extends number>(given: N, otherwise: N): N =>
  Number.isNaN(given) ? otherwise : given
