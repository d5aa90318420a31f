/**
 * Sealed storage as rules see it: one draft of a transaction, cut into areas.
 *
 * Owns the way from a value to its sealed row and back, and that a rule reads what it wrote. Pure:
 * the view, the barrier and the randomness are handed in. A row that does not open is damage, never
 * absence.
 */
import type { WallMs } from '../base/brand.ts'
import { type Bytes, fromText, toText } from '../base/bytes.ts'
import type { Random } from '../base/clock.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import { parseExact, stringifyExact } from '../base/exact-json.ts'
import { limits } from '../base/limits.ts'
import { type ColdRows, clearCold } from '../store/cold.ts'
import { del, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import {
  headerTextOf,
  type SealedHeader,
  type SealedRow,
  secretCold,
  secretData,
} from '../store/tables/secret.ts'
import type { Reader } from '../store/view.ts'
import type { Barrier } from './barrier/keyring.ts'
import { type ColdContent, type ColdDraft, ColdStorage, coldPlaceOf } from './cold-storage.ts'
import { type SystemTtls, VAULT_TTLS } from './mount/ttl.ts'

/** A row that is about to be written, or (undefined) to go. */
interface Pending {
  readonly key: Bytes
  readonly content: { readonly value: unknown; readonly header: SealedHeader } | undefined
}

/** Which keys of a folder are wanted. */
export interface Page {
  /** Only what stands behind this key. */
  readonly after?: string
  /** 0 and less for all. */
  readonly limit?: number
}

/** One transaction over sealed rows. */
export class Draft implements ColdDraft {
  readonly view: Reader
  readonly barrier: Barrier
  readonly now: WallMs
  readonly random: Random
  /** How long what this server gives may live, where no mount says. */
  readonly ttls: SystemTtls
  /** What cold rows are read with, before a transaction; undefined inside of one. */
  readonly coldRows: ColdRows | undefined
  readonly #pending = new Map<Bytes, Pending>()
  /** Rows that this transaction looked at as they are kept: so is what it writes there. */
  readonly #kept = new Set<Bytes>()
  #drawn: Buffer | undefined
  /** Drawn once: nonces differ by the place too. */
  readonly #drawnOnce: Pick<Random, 'bytes'> = {
    bytes: sizeBytes => (this.#drawn ??= this.random.bytes(sizeBytes)),
  }
  readonly #areas = new Map<string, Storage>()
  readonly #cold = new Map<Bytes, ColdContent>()
  readonly #cleared = new Set<Bytes>()
  readonly #coldAreas = new Map<string, ColdStorage>()

  constructor(
    view: Reader,
    barrier: Barrier,
    now: WallMs,
    random: Random,
    ttls: SystemTtls = VAULT_TTLS,
    coldRows?: ColdRows,
  ) {
    this.view = view
    this.barrier = barrier
    this.now = now
    this.random = random
    this.ttls = ttls
    this.coldRows = coldRows
  }

  /** The rows of one area of a namespace. */
  area(namespaceId: string, name: string): Storage {
    const prefix = `${namespaceId}/${name}/`
    let area = this.#areas.get(prefix)
    if (area === undefined) {
      area = new Storage(this, this.#pending, this.#kept, prefix)
      this.#areas.set(prefix, area)
    }
    return area
  }

  /** All rows of a namespace, whatever their area: for its end. */
  whole(namespaceId: string): Storage {
    return new Storage(this, this.#pending, this.#kept, `${namespaceId}/`)
  }

  /** The cold rows of an area, whose name no other one ever had or will have. */
  cold(name: string): ColdStorage {
    let area = this.#coldAreas.get(name)
    if (area === undefined) {
      area = new ColdStorage(this, name)
      this.#coldAreas.set(name, area)
    }
    return area
  }

  putCold(key: Bytes, content: ColdContent): void {
    this.#cold.set(key, content)
  }

  clearCold(prefix: Bytes): void {
    this.#cleared.add(prefix)
  }

  get isEmpty(): boolean {
    return this.#pending.size + this.#cold.size + this.#cleared.size === 0
  }

  /** What the draft comes to. Rows are sealed here: each once, however often it was put. */
  ops(): Op[] {
    const ops: Op[] = []
    for (const { key, content } of this.#pending.values()) {
      ops.push(
        content === undefined
          ? del(secretData, key)
          : put(secretData, key, this.#sealed(key, content)),
      )
    }
    for (const [key, content] of this.#cold) {
      ops.push(
        content === undefined
          ? del(secretCold, key)
          : put(
              secretCold,
              key,
              this.#sealedAs(content, text => coldPlaceOf(key, text)),
            ),
      )
    }
    for (const prefix of this.#cleared) ops.push(clearCold(secretCold, prefix))
    return ops
  }

  #sealed(key: Bytes, content: NonNullable<Pending['content']>): SealedRow {
    const row = this.#sealedAs(content, headerText => placeOf(key, headerText))
    if (this.#kept.has(key)) this.barrier.opened.set(row, content.value)
    return row
  }

  #sealedAs(
    { value, header }: NonNullable<Pending['content']>,
    placeFor: (headerText: string) => string,
  ): SealedRow {
    const headerText = headerTextOf(header)
    const text = stringifyExact(value)
    if (Buffer.byteLength(text) > limits.secretValueSizeBytes) {
      const fault = `what is kept as one must not exceed ${limits.secretValueSizeBytes} bytes`
      throw new OperatingError(OperatingCode.limit, fault)
    }
    const sealed = this.barrier.seal(placeFor(headerText), text, this.#drawnOnce)
    return { header, headerText, sealed }
  }
}

/** What a row is sealed for: its key and its header. */
const placeOf = (key: Bytes, headerText: string): string => `${key}\0${headerText}`

/** The rows of one area. Paths are text; what they lead to is JSON. */
export class Storage {
  readonly #draft: Draft
  readonly #pending: Map<Bytes, Pending>
  readonly #kept: Set<Bytes>
  readonly #prefix: string

  constructor(draft: Draft, pending: Map<Bytes, Pending>, kept: Set<Bytes>, prefix: string) {
    this.#draft = draft
    this.#pending = pending
    this.#kept = kept
    this.#prefix = fromText(prefix)
  }

  #keyOf(path: string): Bytes {
    return this.#prefix + fromText(path)
  }

  /** The value at a path; a new object at each call. */
  get<T>(path: string): T | undefined {
    const key = this.#keyOf(path)
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.content?.value as T | undefined
    const cell = this.#draft.view.get(secretData, key)
    return cell && (parseExact(this.#open(cell).toString('utf8')) as T)
  }

  /** The same, opened once as long as the row stands: the value must not be changed. */
  kept<T extends object>(path: string): T | undefined {
    const key = this.#keyOf(path)
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.content?.value as T | undefined
    this.#kept.add(key)
    const cell = this.#draft.view.get(secretData, key)
    if (cell === undefined) return undefined
    const { opened } = this.#draft.barrier
    const known = opened.get(cell.row)
    if (known !== undefined) return known as T
    const value = parseExact(this.#open(cell).toString('utf8')) as T
    opened.set(cell.row, value)
    return value
  }

  /** The text of the JSON at a path. */
  text(path: string): string | undefined {
    const key = this.#keyOf(path)
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.content && stringifyExact(pending.content.value)
    const cell = this.#draft.view.get(secretData, key)
    return cell && this.#open(cell).toString('utf8')
  }

  has(path: string): boolean {
    const key = this.#keyOf(path)
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.content !== undefined
    return this.#draft.view.get(secretData, key) !== undefined
  }

  /** What is known of the row at a path without opening it; undefined where there is none. */
  header(path: string): SealedHeader | undefined {
    const key = this.#keyOf(path)
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.content?.header
    return this.#draft.view.get(secretData, key)?.row.header
  }

  /** When the row at a path is over; undefined for never, or where there is none. */
  dueMs(path: string): number | undefined {
    const key = this.#keyOf(path)
    const pending = this.#pending.get(key)
    if (pending !== undefined) return pending.content?.header.dueMs
    return this.#draft.view.get(secretData, key)?.row.header.dueMs
  }

  put(path: string, value: unknown, header: SealedHeader = {}): void {
    const key = this.#keyOf(path)
    this.#pending.set(key, { key, content: { value, header } })
  }

  /** Absent ones may be deleted too. */
  delete(path: string): void {
    const key = this.#keyOf(path)
    this.#pending.set(key, { key, content: undefined })
  }

  /** The paths under a folder ('' or ending in '/'), relative to it, in order of their bytes. */
  keys(folder = '', limit?: number): string[] {
    const prefix = this.#keyOf(folder)
    const cells = this.#draft.view.prefix(secretData, prefix, limit)
    if (cells.length === 0 && this.#pending.size === 0) return []
    const keys = new Set(cells.map(({ key }) => key))
    for (const { key, content } of this.#pending.values()) {
      if (!key.startsWith(prefix)) continue
      if (content === undefined) keys.delete(key)
      else keys.add(key)
    }
    return [...keys].sort().map(key => toText(key.slice(prefix.length)))
  }

  /** What stands right under a folder: paths, and folders with their slash. */
  list(folder = '', { after = '', limit = 0 }: Page = {}): string[] {
    const names = new Set<string>()
    for (const key of this.keys(folder)) {
      const slash = key.indexOf('/')
      names.add(slash === -1 ? key : key.slice(0, slash + 1))
    }
    const sorted = [...names].sort().filter(name => name > after)
    return limit > 0 ? sorted.slice(0, limit) : sorted
  }

  /** Deletes all that is under a folder. */
  deleteAll(folder = ''): void {
    for (const key of this.keys(folder)) this.delete(folder + key)
  }

  #open(cell: Cell<SealedRow>): Buffer {
    const { key, row } = cell
    const bytes = this.#draft.barrier.open(placeOf(key, row.headerText), row.sealed)
    if (bytes !== undefined) return bytes
    throw new OperatingError(
      OperatingCode.damaged,
      `the row secret/data/${toText(key)} does not open: it was changed, or moved there`,
    )
  }
}
