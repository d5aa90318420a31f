/**
 * What a table is: a declared part of the keyspace with a row type, a codec, indexes and scopes.
 *
 * Owns the declaration types and the envelope around every stored value. Must not know any
 * engine, nor any rule: a table says how rows lie, never who may change them.
 */
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import type { PublicIndex, Revision } from '../base/brand.ts'
import { type Bytes, isAscii, toBuffer } from '../base/bytes.ts'

/** A row as a view holds it. Rows are never changed in place: a change makes a new cell. */
export interface Cell<R> {
  /** The key inside the table (the table's prefix left out). */
  readonly key: Bytes
  readonly row: R
  readonly createRevision: Revision
  readonly modRevision: Revision
  /** How often the key was written since it was created, from 1. */
  readonly version: number
  /** The lease the row hangs on, '' for none. Only agent-internal rows hang on leases. */
  readonly lease: string
  /** What clients see as CreateIndex and ModifyIndex. */
  readonly createIndex: PublicIndex
  readonly modifyIndex: PublicIndex
  /** CRC-32 of the stored row (key and value): what the store's sum of rows is made of. */
  readonly sum: number
}

/** How rows become bytes. `decode(encode(row))` equals `row`; both are deterministic. */
export interface Codec<R> {
  encode(row: R): Buffer
  /** The same behind so many bytes of room, which the caller fills in; it saves a copy. */
  encodeBehind?(roomSizeBytes: number, row: R): Buffer
  decode(bytes: Buffer): R
}

export interface IndexSpec<R> {
  /** The values under which a row is found: none, one or several byte strings. */
  values(row: R, key: Bytes): readonly Bytes[]
  /** The row's fields that `values` looks at: where none changed, the entries stay as they are. */
  readonly fields?: readonly (keyof R)[]
  /**
   * Whether a `decide` may read by this index: every write of a row then also puts the guard of
   * each value, so that an engine without a serial committer notices a range that changed.
   */
  readonly guarded: boolean
}

/** The part of a view that `scopes` may look at: other rows, after the change. */
export interface ScopeReader {
  get<R>(table: Table<R>, key: Bytes): Cell<R> | undefined
  prefix<R>(table: Table<R>, prefix: Bytes, limit?: number): Cell<R>[]
  find<R>(table: Table<R>, index: string, value: Bytes, limit?: number): Cell<R>[]
}

/**
 * What a row is needed for when the store fills up: `extra` is refused first, `upkeep` (renewals,
 * changes of health, what goes with a deletion) is taken as long as anything is.
 */
export type Need = 'extra' | 'data' | 'upkeep'

export interface Table<R> {
  readonly name: string
  /** All keys of the table begin with it; it ends with '/'. */
  readonly prefix: Bytes
  readonly codec: Codec<R>
  readonly indexes: Readonly<Record<string, IndexSpec<R>>>
  /** Names of the scopes that the row (as it is, or as it was before deletion) belongs to. */
  readonly scopes: (row: R, key: Bytes, reader: ScopeReader) => readonly string[]
  /** The row's fields that `scopes` looks at: where none changed, both rows have the same ones. */
  readonly scopeFields: readonly (keyof R)[] | undefined
  /**
   * The guard that stands for the primary range a key lies in; needed where a `decide` reads
   * keys by prefix. Keys begin with their guard. Of a prefix p that is read, either guard(p) is
   * shorter than p and every key under p has it, or it equals p and their guards begin with p.
   */
  readonly guard: ((key: Bytes) => Bytes) | undefined
  /**
   * Kinds of rows that are looked at for nearly everything and seldom change, and which of them a
   * key is of: a view tells, without a look at the rows, whether any of a kind is another one by
   * now (`Reader.era`), so that what they come to can be kept.
   */
  readonly eras: Eras | undefined
  /** Whether deletions are remembered, for the index of a prefix. */
  readonly tombstones: boolean
  /** What a put is when the store fills up; `before` is the row that it takes the place of. */
  readonly need: (row: R, before: R | undefined) => Need
  /** Whether its rows belong to the running servers alone: archives leave them out. */
  readonly internal: boolean
  /**
   * Whether its rows belong to the cluster and not to what it keeps: archives leave them out, and
   * a restore leaves them as they are.
   */
  readonly ofCluster: boolean
  /**
   * Whether its rows may be more than memory should hold: no view has them, no rule reads them, and
   * a start does not. They are written like any other, and read by `Store.cold`. Such a table has
   * neither indexes nor scopes nor guards.
   */
  readonly isCold: boolean
  /**
   * The same row, with parts that many rows have in common shared (see base/intern.ts), and those
   * that did not change shared with the row `before`.
   */
  readonly intern: (row: R, before?: R) => R
}

export interface Eras {
  readonly kinds: readonly string[]
  /** Undefined for rows of no kind. */
  kindOf(key: Bytes): string | undefined
}

/** Declares a table; what is left out has no index, no scope, no guard, no tombstones. */
export function defineTable<R>(
  spec: Pick<Table<R>, 'name' | 'prefix' | 'codec'> & Partial<Table<R>>,
): Table<R> {
  assert(spec.prefix.endsWith('/'), 'a table prefix ends with a slash')
  const isPlain = spec.indexes === undefined && spec.scopes === undefined && !spec.tombstones
  const isWatched = !isPlain || spec.guard !== undefined
  assert(!spec.isCold || !isWatched, 'a cold table has neither indexes nor scopes nor guards')
  return {
    indexes: {},
    scopes: () => [],
    scopeFields: undefined,
    guard: undefined,
    eras: undefined,
    tombstones: false,
    need: () => 'data',
    internal: false,
    ofCluster: false,
    isCold: false,
    intern: row => row,
    ...spec,
  }
}

/** Whether two rows have the very same in all of some fields: parts that are shared. */
export function isSameIn<R>(fields: readonly PropertyKey[] | undefined, a: R, b: R): boolean {
  if (fields === undefined) return false
  for (const field of fields) if (a[field as keyof R] !== b[field as keyof R]) return false
  return true
}

// biome-ignore lint/suspicious/noExplicitAny: a list of tables of different rows
export type AnyTable = Table<any>

/** A codec for rows that are plain JSON data. Key order is the order of the object's fields. */
export function jsonCodec<R>(): Codec<R> {
  return {
    encode: row => Buffer.from(JSON.stringify(row), 'utf8'),
    encodeBehind(roomSizeBytes, row) {
      const text = JSON.stringify(row)
      const bytes = Buffer.allocUnsafe(roomSizeBytes + Buffer.byteLength(text))
      bytes.write(text, roomSizeBytes)
      return bytes
    },
    decode: bytes => JSON.parse(bytes.toString('utf8')) as R,
  }
}

/** A codec for rows that are bytes already. */
export const rawCodec: Codec<Buffer> = { encode: row => row, decode: bytes => bytes }

const FORMAT = 1
const HAS_CREATE = 0x10
const HAS_MODIFY = 0x20
const INDEX_SIZE_BYTES = 6

/** Indexes that a row keeps from the store it was restored from; 0 where it has its own. */
export interface KeptIndexes {
  readonly createIndex: number
  readonly modifyIndex: number
}

export const NO_KEPT_INDEXES: KeptIndexes = { createIndex: 0, modifyIndex: 0 }

/** The stored value of a row: a format byte, indexes kept over a restore, the encoded row. */
export function seal(body: Buffer, kept: KeptIndexes): Buffer {
  const value = Buffer.allocUnsafe(headSizeBytes(kept) + body.length)
  body.copy(value, writeHead(value, 0, kept))
  return value
}

/** The same of a row that is encoded only now, behind so many bytes of room. */
export function sealBehind<R>(
  roomSizeBytes: number,
  { codec }: Table<R>,
  row: R,
  kept: KeptIndexes,
): Buffer {
  const before = roomSizeBytes + headSizeBytes(kept)
  let bytes = codec.encodeBehind?.(before, row)
  if (bytes === undefined) {
    const body = codec.encode(row)
    bytes = Buffer.allocUnsafe(before + body.length)
    body.copy(bytes, before)
  }
  writeHead(bytes, roomSizeBytes, kept)
  return bytes
}

const headSizeBytes = ({ createIndex, modifyIndex }: KeptIndexes): number =>
  1 + (createIndex > 0 ? INDEX_SIZE_BYTES : 0) + (modifyIndex > 0 ? INDEX_SIZE_BYTES : 0)

/** Writes what stands before the encoded row; gives where that begins. */
function writeHead(into: Buffer, start: number, { createIndex, modifyIndex }: KeptIndexes): number {
  into[start] = FORMAT | (createIndex > 0 ? HAS_CREATE : 0) | (modifyIndex > 0 ? HAS_MODIFY : 0)
  let at = start + 1
  if (createIndex > 0) at = into.writeUIntBE(createIndex, at, INDEX_SIZE_BYTES)
  if (modifyIndex > 0) at = into.writeUIntBE(modifyIndex, at, INDEX_SIZE_BYTES)
  return at
}

/** Takes a stored value apart. Throws a plain Error when the format is not known. */
export function unseal(value: Buffer): { body: Buffer; kept: KeptIndexes } {
  const head = value[0] ?? 0
  if ((head & 0x0f) !== FORMAT) throw new Error(`row format ${head & 0x0f} is not known`)
  if (head === FORMAT) return { body: value.subarray(1), kept: NO_KEPT_INDEXES }
  let at = 1
  let createIndex = 0
  let modifyIndex = 0
  if (head & HAS_CREATE) {
    createIndex = value.readUIntBE(at, INDEX_SIZE_BYTES)
    at += INDEX_SIZE_BYTES
  }
  if (head & HAS_MODIFY) {
    modifyIndex = value.readUIntBE(at, INDEX_SIZE_BYTES)
    at += INDEX_SIZE_BYTES
  }
  return { body: value.subarray(at), kept: { createIndex, modifyIndex } }
}

/** The checksum of a row: over its full key and its stored value. The same on every engine. */
export function rowSum(fullKey: Bytes, value: Buffer): number {
  return crc32(value, crc32(isAscii(fullKey) ? fullKey : toBuffer(fullKey)))
}

const END_OF_VALUE = '\u0000\u0000'

/**
 * The key of an index entry: the value, an end mark, the row's key. A zero byte inside the value
 * is escaped, so entries sort by value and then by key, and no value is a prefix of another's.
 */
export function indexKey(value: Bytes, key: Bytes): string {
  return indexStart(value) + key
}

/** What all index entries of one value begin with. */
export function indexStart(value: Bytes): string {
  const escaped = value.includes('\u0000') ? value.replaceAll('\u0000', '\u0000\u00ff') : value
  return escaped + END_OF_VALUE
}

/** The value of an index entry. */
export function indexValue(entry: string): Bytes {
  const end = entry.indexOf(END_OF_VALUE)
  return entry.slice(0, end).replaceAll('\u0000\u00ff', '\u0000')
}
