/**
 * Parts as bytes: made once by a server and sent to everybody who follows the same interest.
 *
 * Owns the form: marks, then parts with their rows as the store keeps them (see the proto file).
 * What is read comes from another process: bounds are looked at before anything is used.
 */
import { assert } from '../../base/assert.ts'
import { type Revision, revision } from '../../base/brand.ts'
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { type Cell, type KeptIndexes, seal, type Table } from '../table.ts'
import { type TableSet, toCell } from '../tables.ts'
import type { PartRow, ScopeMark } from './interest.ts'

/** A part as it is sent; without rows it is gone. */
export interface Part {
  readonly key: Bytes
  readonly rows: readonly PartRow[]
}

/** The marks at the start of what is sent of an interest. */
export function encodeMarks(marks: readonly ScopeMark[]): Buffer {
  const out = new Out()
  out.number(marks.length)
  for (const [scope, newest] of marks) {
    out.bytes(fromText(scope))
    out.number(newest)
  }
  return out.finish()
}

/** One part. `indexOffset` is the store's: rows are stored without it. */
export function encodePart({ key, rows }: Part, indexOffset: number): Buffer {
  const out = new Out()
  out.bytes(key)
  out.number(rows.length)
  for (const { table, cell } of rows) {
    out.bytes(table.prefix + cell.key)
    out.number(cell.createRevision)
    out.number(cell.modRevision)
    out.number(cell.version)
    out.buffer(seal(table.codec.encode(cell.row), keptBy(cell, indexOffset)))
  }
  return out.finish()
}

/** What a restored row keeps of its indexes. */
const keptBy = (cell: Cell<unknown>, offset: number): KeptIndexes => ({
  createIndex: cell.createIndex === cell.createRevision + offset ? 0 : cell.createIndex,
  modifyIndex: cell.modifyIndex === cell.modRevision + offset ? 0 : cell.modifyIndex,
})

export interface Decoded {
  readonly marks: readonly ScopeMark[]
  readonly parts: Iterable<Part>
}

/** Reads what `encodeMarks` and `encodePart` wrote, one after the other. Throws a plain Error. */
export function decode(body: Buffer, tables: TableSet, indexOffset: number): Decoded {
  const from = new In(body)
  const marks = Array.from(
    { length: from.count() },
    (): ScopeMark => [toText(from.bytes()), revision(from.number())],
  )
  return { marks, parts: partsOf(from, tables, indexOffset) }
}

function* partsOf(from: In, tables: TableSet, indexOffset: number): Generator<Part> {
  while (!from.isAtEnd) {
    const key = from.bytes()
    const rows = Array.from({ length: from.count() }, () => readRow(from, tables, indexOffset))
    yield { key, rows }
  }
}

function readRow(from: In, tables: TableSet, indexOffset: number): PartRow {
  const fullKey = from.bytes()
  const table: Table<unknown> = tables.of(fullKey)
  const header = {
    createRevision: revision(from.number()),
    modRevision: revision(from.number()),
    version: from.number(),
    lease: '',
  }
  return { table, cell: toCell(table, fullKey, from.buffer(), header, indexOffset) }
}

const MORE = 0x80

/** Numbers have seven bits a byte, the lowest first; bytes have their length in front. */
class Out {
  readonly #pieces: Buffer[] = []

  number(value: number | Revision): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'numbers of parts are whole')
    const bytes: number[] = []
    let rest: number = value
    while (rest >= MORE) {
      bytes.push((rest % MORE) | MORE)
      rest = Math.floor(rest / MORE)
    }
    bytes.push(rest)
    this.#pieces.push(Buffer.from(bytes))
  }

  buffer(value: Buffer): void {
    this.number(value.length)
    this.#pieces.push(value)
  }

  bytes(value: Bytes): void {
    this.buffer(Buffer.from(value, 'latin1'))
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces)
  }
}

/** A number has at most eight bytes of it: 2^53 and more is nobody's revision. */
const NUMBER_BYTES = 8

class In {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  get isAtEnd(): boolean {
    return this.#at === this.#body.length
  }

  number(): number {
    let value = 0
    for (let place = 0; place < NUMBER_BYTES; place++) {
      const byte = this.#body[this.#at++]
      if (byte === undefined) throw new Error('it ends within a number')
      value += (byte % MORE) * MORE ** place
      if (byte >= MORE) continue
      if (!Number.isSafeInteger(value)) break
      return value
    }
    throw new Error('it holds a number that is too large')
  }

  /** How many of something follow: each takes a byte at least. */
  count(): number {
    const count = this.number()
    if (count > this.#body.length - this.#at) throw new Error('it holds less than it says')
    return count
  }

  buffer(): Buffer {
    const sizeBytes = this.count()
    this.#at += sizeBytes
    return this.#body.subarray(this.#at - sizeBytes, this.#at)
  }

  bytes(): Bytes {
    return this.buffer().toString('latin1')
  }
}
