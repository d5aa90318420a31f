/**
 * Sealed rows that may be more than memory should hold, such as stored certificates.
 *
 * Owns how they are written and read. They are written in a rule's transaction and sealed as all
 * rows are, but no rule reads them: whoever needs one reads it before the transaction, where work
 * takes time (`prepare`). The area of a mount is its own for ever, whatever namespace it is moved
 * to. A row that does not open is damage, never absence.
 */
import { assert } from '../base/assert.ts'
import { type Bytes, fromText, toText } from '../base/bytes.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { parseExact } from '../base/exact-json.ts'
import type { ColdPage, ColdRow, ColdRows } from '../store/cold.ts'
import { type SealedHeader, type SealedRow, secretCold } from '../store/tables/secret.ts'
import type { Barrier } from './barrier/keyring.ts'

/** What is to be written: `undefined` to go. */
export type ColdContent = { readonly value: unknown; readonly header: SealedHeader } | undefined

/** A transaction that takes cold rows in, and what they are read with outside of one. */
export interface ColdDraft {
  readonly barrier: Barrier
  /** Undefined inside a transaction. */
  readonly coldRows: ColdRows | undefined
  putCold(key: Bytes, content: ColdContent): void
  clearCold(prefix: Bytes): void
}

/** A cold row as it is read: objects of its own at each call. */
export interface ColdEntry<T> {
  readonly path: string
  readonly value: T
  readonly header: SealedHeader
}

/** Which paths of a folder are wanted: fewer than `limit` are given only where it ends. */
export interface ColdWanted {
  /** Only those behind this path; it need not be there. */
  readonly after?: string
  /** From 1 to `limits.coldPageRows`. */
  readonly limit: number
}

/** What cold rows are sealed for: apart from all others, whose keys begin with a namespace. */
export const coldPlaceOf = (key: Bytes, headerText: string): string => `cold/${key}\0${headerText}`

/** The cold rows of one area. Paths are text; what they lead to is JSON. */
export class ColdStorage {
  readonly #draft: ColdDraft
  readonly #prefix: Bytes

  constructor(draft: ColdDraft, area: string) {
    this.#draft = draft
    this.#prefix = `${fromText(area)}/`
  }

  // --- in a rule

  /** Puts a row, whatever is there. */
  put(path: string, value: unknown, header: SealedHeader = {}): void {
    this.#draft.putCold(this.#prefix + fromText(path), { value, header })
  }

  /** Absent ones may be deleted too. */
  delete(path: string): void {
    this.#draft.putCold(this.#prefix + fromText(path), undefined)
  }

  /** Deletes the whole area at once, however much it is. It must never be written to again. */
  clear(): void {
    this.#draft.clearCold(this.#prefix)
  }

  // --- before a rule: each sees all that was answered before it was called

  /** The value at a path. Rejects with OperatingError, `damaged` where it does not open. */
  get<T>(path: string): Promise<T | undefined> {
    return this.#rows
      .get(secretCold, this.#prefix + fromText(path))
      .then(found => found && this.#entry<T>(found).value)
  }

  /** What is under a folder ('' or ending in '/'), in the order of the bytes of whole paths. */
  scan<T>(folder: string, wanted: ColdWanted): Promise<readonly ColdEntry<T>[]> {
    return this.#rows
      .scan(secretCold, this.#prefix + fromText(folder), this.#page(wanted))
      .then(rows => rows.map(row => this.#entry<T>(row)))
  }

  /** Its whole paths alone, which cost less: nothing is opened. */
  keys(folder: string, wanted: ColdWanted): Promise<readonly string[]> {
    return this.#rows
      .keys(secretCold, this.#prefix + fromText(folder), this.#page(wanted))
      .then(keys => keys.map(key => this.#pathOf(key)))
  }

  get #rows(): ColdRows {
    const { coldRows } = this.#draft
    assert(coldRows !== undefined, 'cold rows are read before the transaction')
    return coldRows
  }

  #page({ after, limit }: ColdWanted): ColdPage {
    return { limit, ...(after !== undefined && { after: this.#prefix + fromText(after) }) }
  }

  #pathOf(key: Bytes): string {
    return toText(key.slice(this.#prefix.length))
  }

  #entry<T>({ key, row }: ColdRow<SealedRow>): ColdEntry<T> {
    const bytes = this.#draft.barrier.open(coldPlaceOf(key, row.headerText), row.sealed)
    if (bytes === undefined) {
      throw new OperatingError(
        OperatingCode.damaged,
        `the row ${secretCold.prefix}${toText(key)} does not open: it was changed, or moved there`,
      )
    }
    const value = parseExact(bytes.toString('utf8')) as T
    return { path: this.#pathOf(key), value, header: row.header }
  }
}
