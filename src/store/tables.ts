/**
 * The set of tables that one store holds, and how a stored row becomes a cell of its table.
 *
 * Owns finding a table by key and decoding. Must not know which tables there are: compose.ts says.
 */
import { assert } from '../base/assert.ts'
import { publicIndex, type Revision } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { type AnyTable, type Cell, rowSum, type Table, unseal } from './table.ts'

export class TableSet {
  readonly all: readonly AnyTable[]
  #last: AnyTable | undefined

  constructor(tables: readonly AnyTable[]) {
    for (const one of tables) {
      const clash = tables.find(other => other !== one && other.prefix.startsWith(one.prefix))
      assert(clash === undefined, `tables ${one.name} and ${clash?.name} overlap`)
    }
    this.all = tables
  }

  /** The table that a full key belongs to. Throws `damaged` for a key of no table. */
  of(fullKey: Bytes): AnyTable {
    // Rows come in key order, so the last table is nearly always the right one.
    if (this.#last !== undefined && fullKey.startsWith(this.#last.prefix)) return this.#last
    this.#last = this.all.find(table => fullKey.startsWith(table.prefix))
    if (this.#last !== undefined) return this.#last
    throw new OperatingError(
      OperatingCode.damaged,
      'it holds a row of a table that this version does not know (did a newer one write it?)',
    )
  }

  byName(name: string): AnyTable | undefined {
    return this.all.find(table => table.name === name)
  }
}

/** What an engine keeps beside a stored value. */
export interface RowHeader {
  readonly createRevision: Revision
  readonly modRevision: Revision
  readonly version: number
  readonly lease: string
}

/** A stored row as a cell of its table. Throws `damaged` when it cannot be decoded. */
export function toCell<R>(
  table: Pick<Table<R>, 'prefix' | 'codec' | 'intern'>,
  fullKey: Bytes,
  value: Buffer,
  header: RowHeader,
  indexOffset: number,
): Cell<R> {
  try {
    const { body, kept } = unseal(value)
    return {
      key: fullKey.slice(table.prefix.length),
      row: table.intern(table.codec.decode(body)),
      createRevision: header.createRevision,
      modRevision: header.modRevision,
      version: header.version,
      lease: header.lease,
      createIndex: publicIndex(kept.createIndex || header.createRevision + indexOffset),
      modifyIndex: publicIndex(kept.modifyIndex || header.modRevision + indexOffset),
      sum: rowSum(fullKey, value),
    }
  } catch (error) {
    throw new OperatingError(
      OperatingCode.damaged,
      `a row under ${table.prefix} cannot be read`,
      'none',
      error,
    )
  }
}
