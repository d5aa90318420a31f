/**
 * The recorder: a reader that notes which keys and ranges of the stored state a rule looked at.
 *
 * Owns the record, from which an engine without a serial committer makes its compares, so that
 * they are never written by hand. It stands right above a stored version, below anything that
 * shows pending operations. Pure; knows no engine. A range may be read only where its table
 * declares a guard for it, since nothing else would notice a row that comes or goes.
 */
import { assert, verify } from '../base/assert.ts'
import type { Revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import type { AnyTable, Cell, Table } from './table.ts'
import type { LevelPage, Reader } from './view.ts'

/** A key that was read, and what was there. */
export interface ReadKey {
  readonly table: AnyTable
  readonly key: Bytes
  readonly cell: Cell<unknown> | undefined
}

/** A guard that stands for a range: of one value of an index, or of keys (index ''). */
export interface Guard {
  readonly table: AnyTable
  readonly index: string
  readonly value: Bytes
}

/** A range that was read: what one guard stands for, or (`wide`) all that begin with its value. */
export interface ReadRange extends Guard {
  readonly wide: boolean
}

export class Recorder implements Reader {
  readonly revision: Revision
  readonly keys = new Map<string, ReadKey>()
  readonly ranges = new Map<string, ReadRange>()
  readonly #view: Reader
  /** The ranges' reads, to be asked again of another view. */
  readonly #rangeReads: {
    readonly ask: (view: Reader) => unknown[]
    readonly answer: unknown[]
  }[] = []

  constructor(view: Reader) {
    this.#view = view
    this.revision = view.revision
  }

  get<R>(table: Table<R>, key: Bytes): Cell<R> | undefined {
    const cell = this.#view.get(table, key)
    this.keys.set(table.prefix + key, { table, key, cell })
    return cell
  }

  prefix<R>(table: Table<R>, prefix: Bytes, limit?: number): Cell<R>[] {
    const { value, wide } = this.#notePrefix(table, prefix)
    const cells = this.#ask(view => view.prefix(table, prefix, limit))
    verify(
      () => cells.every(({ key }) => covers(value, wide, table.guard!(key))),
      `the guards of table ${table.name} cover its prefixes`,
    )
    return cells
  }

  level<R>(table: Table<R>, prefix: Bytes, separator: Bytes, page?: LevelPage): Bytes[] {
    this.#notePrefix(table, prefix)
    return this.#ask(view => view.level(table, prefix, separator, page))
  }

  find<R>(table: Table<R>, index: string, value: Bytes, limit?: number): Cell<R>[] {
    this.#noteIndex(table, index, value, false)
    return this.#ask(view => view.find(table, index, value, limit))
  }

  distinct<R>(table: Table<R>, index: string, prefix: Bytes = ''): Bytes[] {
    this.#noteIndex(table, index, prefix, true)
    return this.#ask(view => view.distinct(table, index, prefix))
  }

  distinctLevel<R>(table: Table<R>, index: string, prefix: Bytes, separator: Bytes): Bytes[] {
    this.#noteIndex(table, index, prefix, true)
    return this.#ask(view => view.distinctLevel(table, index, prefix, separator))
  }

  /** Whether another view gives the same answers, row by row: rows are never changed in place. */
  holdsIn(view: Reader): boolean {
    if (view.revision === this.revision) return true
    for (const { table, key, cell } of this.keys.values()) {
      if (view.get(table, key) !== cell) return false
    }
    return this.#rangeReads.every(({ ask, answer }) => isSame(ask(view), answer))
  }

  #notePrefix(table: AnyTable, prefix: Bytes): ReadRange {
    assert(table.guard !== undefined, `table ${table.name} has no guard for its keys`)
    const value = table.guard(prefix)
    assert(prefix.startsWith(value), `a guard of table ${table.name} is what its keys begin with`)
    const range = { table, index: '', value, wide: value === prefix }
    this.#noteRange(range)
    return range
  }

  #noteIndex(table: AnyTable, index: string, value: Bytes, wide: boolean): void {
    const spec = table.indexes[index]
    assert(spec?.guarded === true, `index ${index} of table ${table.name} is not guarded`)
    this.#noteRange({ table, index, value, wide })
  }

  #noteRange(range: ReadRange): void {
    const { table, index, value, wide } = range
    this.ranges.set(`${table.name}/${index}/${wide ? '*' : '='}${value}`, range)
  }

  #ask<T>(ask: (view: Reader) => T[]): T[] {
    const answer = ask(this.#view)
    // A copy, since a rule may sort what it was given.
    this.#rangeReads.push({ ask, answer: [...answer] })
    return answer
  }
}

const covers = (value: Bytes, wide: boolean, guard: Bytes): boolean =>
  wide ? guard.startsWith(value) : guard === value

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

/** The guards of all ranges that a row lies in: who writes the row puts these. */
export function guardsOf<R>(table: Table<R>, key: Bytes, row: R): Guard[] {
  const guards: Guard[] = []
  if (table.guard !== undefined) guards.push({ table, index: '', value: table.guard(key) })
  for (const [index, spec] of Object.entries(table.indexes)) {
    if (!spec.guarded) continue
    for (const value of spec.values(row, key)) guards.push({ table, index, value })
  }
  return guards
}
