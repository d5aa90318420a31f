/**
 * Cold rows: tables that may be larger than memory, of which no view holds a row.
 *
 * Owns what is common to all engines: the port for reading them, and clearing whole ranges of them
 * at once. They are written by ordinary transactions, together with everything else of these, and
 * blindly: no rule reads them, so none decides by them. An engine only says what it keeps under a
 * key or a range (`ColdSource`).
 */
import { assert } from '../base/assert.ts'
import type { PublicIndex, Revision } from '../base/brand.ts'
import { afterPrefix, type Bytes } from '../base/bytes.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { type Op, put } from './store.ts'
import { type AnyTable, defineTable, jsonCodec, type Table, unseal } from './table.ts'
import type { Reader, Version } from './view.ts'

/** A cold row as it was read: an object of its own at each call. */
export interface ColdRow<R> {
  /** The key inside the table. */
  readonly key: Bytes
  readonly row: R
  readonly modRevision: Revision
}

/** Which rows of a range are wanted. */
export interface ColdPage {
  /** Only those behind this key; it need not be there. */
  readonly after?: Bytes
  /** From 1 to `limits.coldPageRows`. Fewer are given only where the range ends. */
  readonly limit: number
}

/**
 * Reads cold rows. What is given is at least as new as every write that was answered before the
 * call, on any server; it may be newer than `view()`. Each page is of one moment, two pages are
 * not. Rejects with OperatingError: `damaged` for a row that is there and is not what was written,
 * `unavailable` where the store cannot be reached, or is not here at all.
 */
export interface ColdRows {
  get<R>(table: Table<R>, key: Bytes): Promise<ColdRow<R> | undefined>
  /** The rows whose keys begin with a prefix, in the order of their keys. */
  scan<R>(table: Table<R>, prefix: Bytes, page: ColdPage): Promise<readonly ColdRow<R>[]>
  /** Their keys alone, which cost less. */
  keys(table: AnyTable, prefix: Bytes, page: ColdPage): Promise<readonly Bytes[]>
  /** The keys of what was cleared and is still there, for the sweep. */
  cleared(table: AnyTable, clear: Clear, page: ColdPage): Promise<readonly Bytes[]>
  /**
   * Reads all there are as they are now, and gives their number; `breathe` is waited for between
   * two pages. Rejects with OperatingError `damaged` for any that cannot be read, and where the
   * store knows what they should be, for any that is missing, of another time, or too many.
   */
  prove(breathe?: Breathe): Promise<number>
}

/** A pause, or, by a rejection, the end of long work. */
export type Breathe = () => Promise<void>

/** The store as it was at one revision, for as long as it is held. */
export interface Frozen {
  readonly view: Reader & Version
  readonly generation: number
  /** The index that clients see of its revision. */
  readonly index: PublicIndex
  /** All rows of a cold table at the revision of the view, in the order of their keys. */
  cold(table: AnyTable): AsyncIterable<readonly FrozenRow[]>
  /** How many that are, and the size of their keys and bodies together. */
  coldSize(table: AnyTable): Promise<{ readonly rows: number; readonly sizeBytes: number }>
  release(): Promise<void>
}

/** A cold row for an archive: encoded, with the indexes that a restore keeps. */
export interface FrozenRow {
  readonly key: Bytes
  readonly body: Buffer
  readonly createIndex: number
  readonly modifyIndex: number
}

// --- clearing

/**
 * Ranges of cold rows that were cleared: what was written before the row's modRevision is gone for
 * whoever asks. Its bytes go in portions (cold-sweep.ts), on any server, and then this row. Nothing
 * is put into a range until then. The key is the name of the table, a slash, and the prefix.
 */
export const coldClears = defineTable<Record<string, never>>({
  name: 'cold-clears',
  prefix: 'system/cleared/',
  codec: jsonCodec(),
  need: () => 'upkeep',
  internal: true,
})

/**
 * Deletes all cold rows whose keys begin with a prefix, however many, as one operation of a
 * transaction. No key of the range may be put for the next while, so it should be one that is never
 * used again.
 */
export const clearCold = (table: AnyTable, prefix: Bytes): Op =>
  put(coldClears, `${table.name}/${prefix}`, {})

/** A range that was cleared: full keys, and the revision up to which. */
export interface Clear {
  readonly prefix: Bytes
  readonly below: Revision
}

/** The ranges of a table that are being cleared, as a view knows them. */
export function clearsIn(view: Version & Reader, table: AnyTable): readonly Clear[] {
  if (view.count(coldClears) === 0) return NO_CLEARS
  return view
    .prefix(coldClears, `${table.name}/`)
    .map(({ key, modRevision }) => clearOf(table, key, modRevision))
}

const NO_CLEARS: readonly Clear[] = []

/** A row of `coldClears` as what it means. */
export const clearOf = (table: AnyTable, key: Bytes, below: Revision): Clear => ({
  prefix: table.prefix + key.slice(table.name.length + 1),
  below,
})

/** Throws where a row is put into a range that is being cleared: the sweep might take it too. */
export function refuseCleared(view: Version & Reader, txn: readonly Op[]): void {
  if (view.count(coldClears) === 0) return
  for (const { table, key, row } of txn) {
    if (!table.isCold || row === undefined) continue
    const isCleared = clearsIn(view, table).some(({ prefix }) =>
      (table.prefix + key).startsWith(prefix),
    )
    assert(!isCleared, 'nothing is put into a range of cold rows that is being cleared')
  }
}

const isCleared = (clears: readonly Clear[], { key, modRevision }: StoredCold): boolean =>
  clears.some(({ prefix, below }) => modRevision < below && key.startsWith(prefix))

// --- reading

/** A cold row as an engine keeps it, its checksum found right. */
export interface StoredCold {
  /** With the prefix of its table. */
  readonly key: Bytes
  /** See `seal` in table.ts; undefined where keys alone were wanted. */
  readonly value: Buffer | undefined
  /** The size of the encoded row alone, where that is known without the value. */
  readonly bodySizeBytes?: number
  readonly modRevision: Revision
}

/** What an engine found: rows in the order of their keys, and what was cleared by then. */
export interface FoundCold {
  readonly rows: readonly StoredCold[]
  readonly clears: readonly Clear[]
}

/** Full keys from `from` up to, not including, `to`. */
export interface ColdRange {
  readonly from: Bytes
  readonly to: Bytes
  /** At most so many; fewer only where the range ends. */
  readonly limit: number
  readonly keysOnly: boolean
}

/** The engine's half. */
export interface ColdSource {
  /** Whether keys alone come with the sizes of their bodies. */
  readonly knowsSizes: boolean
  read(table: AnyTable, range: ColdRange): Promise<FoundCold>
}

export class ColdReader implements ColdRows {
  readonly #source: ColdSource
  readonly #prove: ColdRows['prove']

  /** `prove`: what the engine has for that. */
  constructor(source: ColdSource, prove: (breathe: Breathe) => Promise<number>) {
    this.#source = source
    this.#prove = (breathe = () => Promise.resolve()) => prove(breathe)
  }

  prove(breathe?: Breathe): Promise<number> {
    return this.#prove(breathe)
  }

  async get<R>(table: Table<R>, key: Bytes): Promise<ColdRow<R> | undefined> {
    assertCold(table)
    const from = table.prefix + key
    const range = { from, to: `${from}\u0000`, limit: 1, keysOnly: false }
    const { rows, clears } = await this.#source.read(table, range)
    const [row] = rows
    return row === undefined || isCleared(clears, row) ? undefined : toRow(table, row)
  }

  async scan<R>(table: Table<R>, prefix: Bytes, page: ColdPage): Promise<readonly ColdRow<R>[]> {
    const rows = await this.#page(table, prefix, page, { keysOnly: false, isWanted: isThere })
    return rows.map(row => toRow(table, row))
  }

  async keys(table: AnyTable, prefix: Bytes, page: ColdPage): Promise<readonly Bytes[]> {
    const rows = await this.#page(table, prefix, page, { keysOnly: true, isWanted: isThere })
    return rows.map(({ key }) => key.slice(table.prefix.length))
  }

  async cleared(table: AnyTable, clear: Clear, page: ColdPage): Promise<readonly Bytes[]> {
    const prefix = clear.prefix.slice(table.prefix.length)
    const isWanted = (_: readonly Clear[], row: StoredCold): boolean => isCleared([clear], row)
    const rows = await this.#page(table, prefix, page, { keysOnly: true, isWanted })
    return rows.map(({ key }) => key.slice(table.prefix.length))
  }

  async #page(
    table: AnyTable,
    prefix: Bytes,
    { after, limit }: ColdPage,
    { keysOnly, isWanted }: Wanted,
  ): Promise<readonly StoredCold[]> {
    assertCold(table)
    assert(limit >= 1 && limit <= limits.coldPageRows, 'a page of cold rows is bounded')
    const start = table.prefix + prefix
    const to = afterPrefix(start)!
    const isInside = after !== undefined && table.prefix + after >= start
    let from = isInside ? `${table.prefix + after}\u0000` : start
    const page: StoredCold[] = []
    while (from < to) {
      const wanted = limit - page.length
      const { rows, clears } = await this.#source.read(table, { from, to, limit: wanted, keysOnly })
      for (const row of rows) if (isWanted(clears, row)) page.push(row)
      if (rows.length < wanted || page.length === limit) break
      from = `${rows.at(-1)!.key}\u0000`
    }
    return page
  }
}

/** What a page is to hold. */
interface Wanted {
  readonly keysOnly: boolean
  readonly isWanted: (clears: readonly Clear[], row: StoredCold) => boolean
}

const isThere = (clears: readonly Clear[], row: StoredCold): boolean => !isCleared(clears, row)

const assertCold = ({ name, isCold }: AnyTable): void =>
  assert(isCold, `table ${name} is not cold: views hold it`)

function toRow<R>(table: Table<R>, { key, value, modRevision }: StoredCold): ColdRow<R> {
  const row = readable(table, () => table.codec.decode(unseal(value!).body))
  return { key: key.slice(table.prefix.length), row, modRevision }
}

function readable<T>({ prefix }: AnyTable, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const text = `a row under ${prefix} cannot be read`
    throw new OperatingError(OperatingCode.damaged, text, 'none', error)
  }
}

/** What a frozen store is made of. */
interface Freezing {
  readonly view: Reader & Version
  readonly generation: number
  /** Its cold rows at the view's revision. */
  readonly source: ColdSource
  readonly indexOf: (at: Revision) => PublicIndex
  readonly release?: () => Promise<void>
}

/** A frozen store over what an engine gives of its cold rows at that moment. */
export function frozenOver({ view, generation, source, indexOf, release }: Freezing): Frozen {
  return {
    view,
    generation,
    index: indexOf(view.revision),
    release: release ?? (() => Promise.resolve()),
    async *cold(table) {
      for await (const page of pagesOf(source, table, false)) {
        yield page.map(row => toFrozen(table, row, indexOf))
      }
    },
    async coldSize(table) {
      let [rows, sizeBytes] = [0, 0]
      for await (const page of pagesOf(source, table, source.knowsSizes)) {
        for (const { key, value, bodySizeBytes } of page) {
          const bodyOf = (): number => readable(table, () => unseal(value!).body.length)
          sizeBytes += key.length - table.prefix.length + (bodySizeBytes ?? bodyOf())
          rows++
        }
      }
      return { rows, sizeBytes }
    },
  }
}

/** Reads all rows of a table, each as what it says it is; gives their number. */
export async function proveTable(
  source: ColdSource,
  table: AnyTable,
  breathe: Breathe,
): Promise<number> {
  let count = 0
  for await (const page of pagesOf(source, table, false)) {
    for (const row of page) toRow(table, row)
    count += page.length
    await breathe()
  }
  return count
}

/** All rows of a table that were not cleared. */
async function* pagesOf(
  source: ColdSource,
  table: AnyTable,
  keysOnly: boolean,
): AsyncGenerator<readonly StoredCold[]> {
  const to = afterPrefix(table.prefix)!
  const limit = limits.coldPageRows
  for (let from: Bytes | undefined = table.prefix; from !== undefined; ) {
    const { rows, clears } = await source.read(table, { from, to, limit, keysOnly })
    yield rows.filter(row => isThere(clears, row))
    from = rows.length < limit ? undefined : `${rows.at(-1)!.key}\u0000`
  }
}

function toFrozen(
  table: AnyTable,
  { key, value, modRevision }: StoredCold,
  indexOf: (at: Revision) => PublicIndex,
): FrozenRow {
  const { body, kept } = readable(table, () => unseal(value!))
  const modifyIndex = kept.modifyIndex || indexOf(modRevision)
  const createIndex = kept.createIndex || modifyIndex
  return { key: key.slice(table.prefix.length), body, createIndex, modifyIndex }
}

/** Cold rows where there are none: what an agent without a store answers. */
export const noColdRows = (text: string): ColdRows => {
  const refuse = (): Promise<never> =>
    Promise.reject(new OperatingError(OperatingCode.unavailable, text))
  return { get: refuse, scan: refuse, keys: refuse, cleared: refuse, prove: refuse }
}
