/**
 * Views: ordered tables in memory, fed only by the store's events, copied on write.
 *
 * Owns the trees and their secondary indexes. A `Version` is what an engine keeps (head, durable);
 * faces and rules see it as a `Reader`. Never decides anything, never waits, never does I/O.
 * Invariant: equal revisions of one store have equal rows, indexes and sums on every server.
 */
import { createRequire } from 'node:module'
import type SortedBTree from 'sorted-btree'
import { assert } from '../base/assert.ts'
import { type Revision, revision } from '../base/brand.ts'
import { afterPrefix, type Bytes } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'
import { sorting } from '../base/slices.ts'
import {
  type AnyTable,
  type Cell,
  indexKey,
  indexStart,
  indexValue,
  isSameIn,
  type ScopeReader,
  type Table,
} from './table.ts'

// sorted-btree is a CommonJS package whose class is a property of the module object.
const require = createRequire(import.meta.url)
const BTree = require('sorted-btree').default as typeof SortedBTree.default
const { bulkLoad } = require('sorted-btree/extended/bulkLoad.js') as BulkLoad
type BulkLoad = typeof import('sorted-btree/extended/bulkLoad.js')
const union = require('sorted-btree/extended/union.js').default as Union['default']
type Union = typeof import('sorted-btree/extended/union.js')
/** Entries in the order of their keys, copied on write. */
export type Tree<V> = SortedBTree.default<string, V>

/** Equality is cheaper to tell than order, and half of all comparisons end here otherwise. */
const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
export const newTree = <V>(): Tree<V> => new BTree<string, V>(undefined, byBytes)

const NODE_ENTRIES = 32
/** Leaves room in the nodes of a loaded tree, so that the first writes do not split them all. */
const LOAD_FACTOR = 0.8

/** Entries of a tree that are loaded in one step, and rows whose entries are found in one. */
const STEP_ENTRIES = 4_096
const STEP_ROWS = 256

/** A tree of items in strictly ascending key order, in steps; much cheaper than to set each. */
function* treeOf<T, V>(
  items: readonly T[],
  keyOf: (item: T) => string,
  valueFor: (item: T) => V,
): Generator<undefined, Tree<V>> {
  let tree = newTree<V>()
  for (let at = 0; at < items.length; at += STEP_ENTRIES) {
    const some = items.slice(at, at + STEP_ENTRIES)
    const keys = some.map(keyOf)
    const loaded = bulkLoad(keys, some.map(valueFor), NODE_ENTRIES, byBytes, LOAD_FACTOR)
    const next = loaded as unknown as Tree<V>
    // Trees that do not overlap are put side by side, whatever their size.
    tree = at === 0 ? next : union<Tree<V>, string, V>(tree, next, keyTwice)
    yield
  }
  return tree
}

function keyTwice(): never {
  throw new Error('a tree is loaded of keys that differ')
}

/** What faces and rules may ask of a view. All answers are of one revision. */
export interface Reader extends ScopeReader {
  /** The revision that the answers are of. */
  readonly revision: Revision
  /** The row with this key, if any. */
  get<R>(table: Table<R>, key: Bytes): Cell<R> | undefined
  /** Rows whose keys begin with `prefix`, in key order, at most `limit`. */
  prefix<R>(table: Table<R>, prefix: Bytes, limit?: number): Cell<R>[]
  /**
   * The level right under a prefix: what the keys below it have behind it up to the first
   * `separator` and with that, each once, in order. What lies below a name that ends so is skipped,
   * however much it is. The separator must not be empty.
   */
  level<R>(table: Table<R>, prefix: Bytes, separator: Bytes, page?: LevelPage): Bytes[]
  /** Rows found under a value of an index, in key order, at most `limit`. */
  find<R>(table: Table<R>, index: string, value: Bytes, limit?: number): Cell<R>[]
  /** The values of an index that begin with `prefix`, in order, each once. */
  distinct<R>(table: Table<R>, index: string, prefix?: Bytes): Bytes[]
  /** The level of an index's values under a prefix, as `level` gives it of keys. */
  distinctLevel<R>(table: Table<R>, index: string, prefix: Bytes, separator: Bytes): Bytes[]
  /**
   * The same object as long as no row of a kind changes (see `Table.eras`). A reader that notes
   * what is read has none: there all rows must be looked at.
   */
  era?<R>(table: Table<R>, kind: string): object
}

/** Which names of a level are wanted. */
export interface LevelPage {
  /** Only what stands behind this name. */
  readonly after?: Bytes | undefined
  readonly limit?: number | undefined
}

const newEras = <R>({ eras }: Table<R>): Record<string, object> =>
  Object.fromEntries((eras?.kinds ?? []).map(kind => [kind, {}]))

/** One table at one version. */
class TableVersion<R> {
  readonly table: Table<R>
  primary: Tree<Cell<R>>
  /** Entries lead to keys, not to cells: a row that changes where it stands leaves them alone. */
  readonly indexes: Map<string, Tree<Bytes>>
  readonly tombstones: Tree<Revision>
  /** The newest change of any row, deletions included. */
  newest: Revision
  /** Deletions up to here may be forgotten. */
  floor: Revision
  /** By kind of rows; replaced as a whole, since versions share it. */
  eras: Readonly<Record<string, object>>
  /** The row that was asked for last: a transaction asks for the same one several times. */
  #recentKey: Bytes | undefined
  #recent: Cell<R> | undefined
  /** The first row that was looked for last under a value: all who are woken look for one. */
  #soughtIndex: string | undefined
  #soughtValue: Bytes = ''
  #sought: Cell<R> | undefined

  constructor(table: Table<R>, from?: TableVersion<R>) {
    this.table = table
    this.primary = from === undefined ? newTree() : from.primary.clone()
    this.tombstones = from === undefined ? newTree() : from.tombstones.clone()
    this.indexes = new Map()
    for (const name of Object.keys(table.indexes)) {
      this.indexes.set(name, from === undefined ? newTree() : from.indexes.get(name)!.clone())
    }
    this.newest = from?.newest ?? revision(0)
    this.floor = from?.floor ?? revision(0)
    this.eras = from?.eras ?? newEras(table)
  }

  get(key: Bytes): Cell<R> | undefined {
    if (key === this.#recentKey) return this.#recent
    this.#recentKey = key
    this.#recent = this.primary.get(key)
    return this.#recent
  }

  /** The first row under a value of an index. */
  first(index: string, value: Bytes): Cell<R> | undefined {
    if (index === this.#soughtIndex && value === this.#soughtValue) return this.#sought
    const [key] = collect(this.indexed(index), indexStart(value), 1)
    this.#soughtIndex = index
    this.#soughtValue = value
    this.#sought = key === undefined ? undefined : this.primary.get(key)
    return this.#sought
  }

  indexed(index: string): Tree<Bytes> {
    const tree = this.indexes.get(index)
    assert(tree !== undefined, `table ${this.table.name} has no index ${index}`)
    return tree
  }

  set(before: Cell<R> | undefined, key: Bytes, after: Cell<R> | undefined, at: Revision): void {
    this.#soughtIndex = undefined
    if (after === undefined) this.primary.delete(key)
    else this.primary.set(key, after)
    this.#recentKey = key
    this.#recent = after
    const kind = this.table.eras?.kindOf(key)
    if (kind !== undefined) this.eras = { ...this.eras, [kind]: {} }
    for (const name in this.table.indexes) {
      const spec = this.table.indexes[name]!
      const tree = this.indexes.get(name)!
      const isUpdate = before !== undefined && after !== undefined
      if (isUpdate && isSameIn(spec.fields, before.row, after.row)) continue
      const was = before === undefined ? [] : spec.values(before.row, key)
      const is = after === undefined ? [] : spec.values(after.row, key)
      for (const value of was) if (!is.includes(value)) tree.delete(indexKey(value, key))
      for (const value of is) if (!was.includes(value)) tree.set(indexKey(value, key), key)
    }
    if (at > this.newest) this.newest = at
    if (this.table.tombstones) this.#bury(key, after === undefined, at)
  }

  /** Fills an empty table with cells in key order, in steps. */
  *loading(cells: readonly Cell<R>[]): Generator<undefined, void> {
    this.#recentKey = undefined
    this.#soughtIndex = undefined
    this.eras = newEras(this.table)
    this.primary = yield* treeOf(
      cells,
      ({ key }) => key,
      cell => cell,
    )
    for (const [name, { values }] of Object.entries(this.table.indexes)) {
      const entries: { entry: string; key: Bytes }[] = []
      for (let at = 0; at < cells.length; at++) {
        const { row, key } = cells[at]!
        // A row may name a value twice; its entry is one.
        for (const value of new Set(values(row, key))) {
          entries.push({ entry: indexKey(value, key), key })
        }
        if (at % STEP_ROWS === STEP_ROWS - 1) yield
      }
      const sorted = yield* sorting(entries, (a, b) => byBytes(a.entry, b.entry))
      const tree = yield* treeOf(
        sorted,
        ({ entry }) => entry,
        ({ key }) => key,
      )
      this.indexes.set(name, tree)
    }
  }

  /** Whether the indexes are those of the rows. */
  isWhole(): boolean {
    return [...this.indexes].every(([name, tree]) => {
      const { values } = this.table.indexes[name]!
      const entries = this.primary
        .valuesArray()
        .flatMap(({ row, key }) => [...new Set(values(row, key))].map(value => ({ value, key })))
      const isFound = entries.every(({ value, key }) => tree.get(indexKey(value, key)) === key)
      return isFound && tree.size === entries.length
    })
  }

  #bury(key: Bytes, gone: boolean, at: Revision): void {
    if (!gone) {
      if (this.tombstones.size > 0) this.tombstones.delete(key)
      return
    }
    this.tombstones.set(key, at)
    if (this.tombstones.size > limits.tombstones) this.forgetTombstones(at)
  }

  /** Collects every tombstone up to `upTo`; prefixes then answer with the floor. */
  forgetTombstones(upTo: Revision): void {
    for (const [key, at] of this.tombstones.toArray()) {
      if (at <= upTo) this.tombstones.delete(key)
    }
    if (upTo > this.floor) this.floor = upTo
  }
}

/** What a cut takes over. */
interface CutTables {
  readonly places: ReadonlyMap<string, number>
  readonly tables: TableVersion<unknown>[]
}

/** A consistent set of tables at one revision, with the sum of all rows. */
export class Version implements Reader {
  /** Where each table stands in the list, which each cut copies. */
  readonly #places: ReadonlyMap<string, number>
  readonly #tables: TableVersion<unknown>[]
  /** Tables that were changed since the last `cut`: only those are copied by the next one. */
  readonly #dirty = new Set<number>()
  revision: Revision = revision(0)
  /** Sum of the rows' checksums modulo 2^48, and their number: equal stores have equal sums. */
  sum = 0
  rows = 0
  /** When its content became the store by a restore; 0 where it always was it. */
  origin: Revision = revision(0)

  constructor(tables: readonly AnyTable[], cut?: CutTables) {
    if (cut !== undefined) {
      this.#places = cut.places
      this.#tables = cut.tables
      return
    }
    const hot = tables.filter(({ isCold }) => !isCold)
    this.#places = new Map(hot.map(({ name }, at) => [name, at]))
    assert(this.#places.size === hot.length, 'a table is declared once')
    this.#tables = hot.map(table => new TableVersion(table))
  }

  #of<R>(table: Table<R>): TableVersion<R> {
    const found = this.#tables[this.#places.get(table.name) ?? -1]
    assert(found !== undefined, `table ${table.name} is not part of this store, or cold`)
    return found as TableVersion<R>
  }

  get<R>(table: Table<R>, key: Bytes): Cell<R> | undefined {
    return this.#of(table).get(key)
  }

  era<R>(table: Table<R>, kind: string): object {
    const era = this.#of(table).eras[kind]
    assert(era !== undefined, `table ${table.name} has no rows of the kind ${kind}`)
    return era
  }

  prefix<R>(table: Table<R>, prefix: Bytes, limit?: number): Cell<R>[] {
    return collect(this.#of(table).primary, prefix, limit)
  }

  level<R>(table: Table<R>, prefix: Bytes, separator: Bytes, page?: LevelPage): Bytes[] {
    return levelOf(this.#of(table).primary, prefix, separator, page)
  }

  find<R>(table: Table<R>, index: string, value: Bytes, limit?: number): Cell<R>[] {
    const version = this.#of(table)
    if (limit === 1) {
      const first = version.first(index, value)
      return first === undefined ? [] : [first]
    }
    const keys = collect(version.indexed(index), indexStart(value), limit)
    return keys.map(key => version.primary.get(key)!)
  }

  distinct<R>(table: Table<R>, index: string, prefix: Bytes = ''): Bytes[] {
    return [...this.values(table, index, prefix)]
  }

  distinctLevel<R>(table: Table<R>, index: string, prefix: Bytes, separator: Bytes): Bytes[] {
    const tree = this.#index(table, index)
    const names: Bytes[] = []
    let entry = tree.nextHigherKey(prefix)
    while (entry !== undefined) {
      const value = indexValue(entry)
      if (!value.startsWith(prefix)) break
      const name = nameUnder(value, prefix, separator)
      names.push(name)
      const isFolder = name.endsWith(separator)
      const behind = isFolder ? afterFolder(prefix + name) : afterPrefix(indexStart(value))
      entry = behind === undefined ? undefined : tree.nextHigherKey(behind)
    }
    return names
  }

  /** What `find` gives, without collecting it first: for long reads in slices. */
  *scan<R>(table: Table<R>, index: string, value: Bytes): Iterable<Cell<R>> {
    const { primary } = this.#of(table)
    const start = indexStart(value)
    for (const [entry, key] of this.#index(table, index).entries(start)) {
      if (!entry.startsWith(start)) return
      yield primary.get(key)!
    }
  }

  /** What `distinct` gives, without collecting it first. */
  *values<R>(table: Table<R>, index: string, prefix: Bytes = ''): Iterable<Bytes> {
    const tree = this.#index(table, index)
    // A skip scan: from one value straight to the first entry after all of its own.
    let entry = tree.nextHigherKey(prefix)
    while (entry !== undefined) {
      const value = indexValue(entry)
      if (!value.startsWith(prefix)) return
      yield value
      entry = tree.nextHigherKey(afterPrefix(indexStart(value))!)
    }
  }

  #index<R>(table: Table<R>, index: string): Tree<Bytes> {
    return this.#of(table).indexed(index)
  }

  /** How many rows a table has. */
  count<R>(table: Table<R>): number {
    return this.#of(table).primary.size
  }

  /** All rows of a table in key order, without copying them: for loading and for the archive. */
  entries<R>(table: Table<R>): Iterable<Cell<R>> {
    if (table.isCold) return []
    return this.#of(table).primary.values()
  }

  /** The newest change of a table, deletions included, or its floor. */
  newest<R>(table: Table<R>): Revision {
    const { newest, floor } = this.#of(table)
    return revision(Math.max(newest, floor))
  }

  /** The revision below which a table's deletions may be forgotten. */
  floor<R>(table: Table<R>): Revision {
    return this.#of(table).floor
  }

  /** The newest deletion under a prefix that is still remembered; 0 when there is none. */
  newestTombstone<R>(table: Table<R>, prefix: Bytes): Revision {
    let newest = revision(0)
    const { tombstones } = this.#of(table)
    const end = afterPrefix(prefix)
    const note = (_key: Bytes, at: Revision): void => {
      if (at > newest) newest = at
    }
    if (end === undefined) for (const [key, at] of tombstones.entries(prefix)) note(key, at)
    else tombstones.forRange(prefix, end, false, note)
    return newest
  }

  /** Applies one change of one key; `revision` must be set by the caller once the whole is in. */
  apply<R>(
    table: Table<R>,
    key: Bytes,
    after: Cell<R> | undefined,
    at: Revision,
  ): Cell<R> | undefined {
    const version = this.#writable(table.name) as TableVersion<R>
    const before = version.get(key)
    version.set(before, key, after, at)
    this.sum = addSums(this.sum, (after?.sum ?? 0) - (before?.sum ?? 0))
    this.rows += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
    return before
  }

  /** Fills an empty table with cells in key order, as `apply` would one by one. */
  load<R>(table: Table<R>, cells: readonly Cell<R>[]): void {
    for (const _ of this.loading(table, cells));
  }

  /** The same in steps, each a part of a slice. Before the last one this must be seen by nobody. */
  *loading<R>(table: Table<R>, cells: readonly Cell<R>[]): Generator<undefined, void> {
    if (cells.length === 0) return
    const version = this.#writable(table.name) as TableVersion<R>
    assert(version.primary.size === 0, 'a table is loaded once')
    yield* version.loading(cells)
    for (let at = 0; at < cells.length; at++) {
      const { sum, modRevision } = cells[at]!
      this.sum = addSums(this.sum, sum)
      if (modRevision > version.newest) version.newest = modRevision
      if (at % STEP_ENTRIES === STEP_ENTRIES - 1) yield
    }
    this.rows += cells.length
  }

  /** Whether sum, number of rows and indexes follow from the rows; told of small stores only. */
  isWhole(): boolean {
    if (this.rows > VERIFIED_ROWS) return true
    const tables = this.#tables
    const cells = tables.flatMap(version => version.primary.valuesArray())
    const sum = cells.reduce((total, cell) => addSums(total, cell.sum), 0)
    return (
      cells.length === this.rows && sum === this.sum && tables.every(version => version.isWhole())
    )
  }

  /** Sets the floor of every table: what happened up to here is not known one by one. */
  setFloor(at: Revision): void {
    for (const name of this.#places.keys()) {
      const version = this.#writable(name)
      if (at > version.floor) version.floor = at
    }
  }

  #writable(name: string): TableVersion<unknown> {
    const at = this.#places.get(name)!
    this.#dirty.add(at)
    return this.#tables[at]!
  }

  /**
   * A copy of this version as it is now, for readers. The trees are shared and copied node by
   * node when this one is next written, so a cut costs a few objects per changed table.
   */
  cut(previous: Version | undefined): Version {
    const copyAt = (at: number): TableVersion<unknown> => {
      const version = this.#tables[at]!
      return new TableVersion(version.table, version)
    }
    const tables =
      previous === undefined ? this.#tables.map((_, at) => copyAt(at)) : previous.#tables.slice()
    if (previous !== undefined) {
      this.#dirty.forEach(at => {
        tables[at] = copyAt(at)
      })
    }
    this.#dirty.clear()
    const copy = new Version([], { places: this.#places, tables })
    copy.revision = this.revision
    copy.sum = this.sum
    copy.rows = this.rows
    copy.origin = this.origin
    return copy
  }
}

const SUM_MODULUS = 2 ** 48

/** Stores with more rows are not recounted: tests would take too long. */
const VERIFIED_ROWS = 200

/** Adds to a sum of rows; the result stays in [0, 2^48). */
export function addSums(sum: number, difference: number): number {
  const result = (sum + difference) % SUM_MODULUS
  return result < 0 ? result + SUM_MODULUS : result
}

/** Ends a `forRange` before its end. */
const ENOUGH = { break: true }

function collect<V>(tree: Tree<V>, prefix: string, limit: number | undefined): V[] {
  const found: V[] = []
  if (limit === 0) return found
  // Much cheaper than an iterator, which makes an object for every entry.
  tree.forRange(prefix, afterPrefix(prefix) ?? ABOVE_ALL, false, (_key, value) => {
    found.push(value)
    return found.length === limit ? ENOUGH : undefined
  })
  return found
}

/** What a key under a prefix is called right there: up to the first separator, and with it. */
export function nameUnder(key: Bytes, prefix: Bytes, separator: Bytes): Bytes {
  const cut = key.indexOf(separator, prefix.length)
  return key.slice(prefix.length, cut === -1 ? undefined : cut + separator.length)
}

/** The first place in an index behind all values that begin with a folder. */
const afterFolder = (folder: Bytes): string | undefined =>
  afterPrefix(indexStart(folder).slice(0, -indexStart('').length))

/** Above every byte string. */
const ABOVE_ALL = '\u0100'

/** The level under a prefix: one seek for each name that stands for more than one key. */
function levelOf<V>(
  tree: Tree<V>,
  prefix: Bytes,
  separator: Bytes,
  { after, limit = Number.POSITIVE_INFINITY }: LevelPage = {},
): Bytes[] {
  assert(separator !== '', 'a level ends at a separator')
  const end = afterPrefix(prefix) ?? ABOVE_ALL
  const names: Bytes[] = []
  let at = after === undefined ? prefix : behindName(prefix, after, separator)
  while (at !== undefined && names.length < limit) {
    let next: Bytes | undefined
    tree.forRange(at, end, false, key => {
      const cut = key.indexOf(separator, prefix.length)
      if (cut === -1) {
        names.push(key.slice(prefix.length))
        return names.length >= limit ? ENOUGH : undefined
      }
      const whole = key.slice(0, cut + separator.length)
      names.push(whole.slice(prefix.length))
      next = afterPrefix(whole)
      return ENOUGH
    })
    at = next
  }
  return names
}

/** Where a level goes on behind a name; undefined where nothing can be there. */
function behindName(prefix: Bytes, name: Bytes, separator: Bytes): Bytes | undefined {
  const cut = name.indexOf(separator)
  if (cut === -1) return `${prefix}${name}\0`
  return afterPrefix(prefix + name.slice(0, cut + separator.length))
}
