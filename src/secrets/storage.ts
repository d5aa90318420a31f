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
import { Recent } from '../base/recent.ts'
import { type ColdRows, clearCold } from '../store/cold.ts'
import { del, type Op, put } from '../store/store.ts'
import type { Cell } from '../store/table.ts'
import {
  headerTextOf,
  kindOfArea,
  type SealedHeader,
  type SealedRow,
  secretCold,
  secretData,
} from '../store/tables/secret.ts'
import { nameUnder, type Reader } from '../store/view.ts'
import type { Barrier } from './barrier/keyring.ts'
import { type ColdContent, type ColdDraft, ColdStorage, coldPlaceOf } from './cold-storage.ts'
import { type Ground, groundIn } from './ground.ts'
import { type SystemTtls, VAULT_TTLS } from './mount/ttl.ts'

/** A row that is about to be written, or (undefined) to go. */
interface Pending {
  readonly key: Bytes
  readonly content: { readonly value: unknown; readonly header: SealedHeader } | undefined
}

/** What is to become of cold rows. */
interface Cold {
  readonly rows: Map<Bytes, ColdContent>
  readonly cleared: Set<Bytes>
}

const isUnchanged = ({ rows, cleared }: Cold): boolean => rows.size + cleared.size === 0

/** Kinds of rows that a view tells eras of. */
export type Kind = NonNullable<ReturnType<typeof kindOfArea>>
const NO_KIND: readonly Kind[] = []
const EVERY_KIND: readonly Kind[] = ['ground', 'identity']

function kindsOf(area: string): readonly Kind[] {
  const kind = kindOfArea(area)
  return kind === undefined ? NO_KIND : [kind]
}

/** An area as its rows' keys begin, and the kinds that they may be of. */
interface Area {
  readonly prefix: Bytes
  readonly kinds: readonly Kind[]
}

/** By what keys begin with, as text: the same few are asked for by every request. */
const areas = new Recent<string, Area>(limits.keptAreas)

function areaOf(prefix: string, name: string): Area {
  const known = areas.get(prefix)
  if (known !== undefined) return known
  const area = { prefix: fromText(prefix), kinds: kindsOf(name) }
  areas.set(prefix, area)
  return area
}

const NOTHING_PENDING: ReadonlyMap<Bytes, Pending> = new Map()

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
  /** Made when there is something in it: most requests write nothing. */
  #pending: Map<Bytes, Pending> | undefined
  /** Rows that this transaction looked at as they are kept: so is what it writes there. */
  #kept: Set<Bytes> | undefined
  #cold: Cold | undefined
  #ground: Ground | undefined
  #people: Ground | undefined
  /** Kinds of rows that this transaction changes. */
  #changed: Set<Kind> | undefined

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
    return new Storage(this, areaOf(`${namespaceId}/${name}/`, name))
  }

  /** All rows of a namespace, whatever their area: for its end. */
  whole(namespaceId: string): Storage {
    return new Storage(this, { prefix: fromText(`${namespaceId}/`), kinds: EVERY_KIND })
  }

  /** The cold rows of an area, whose name no other one ever had or will have. */
  cold(name: string): ColdStorage {
    return new ColdStorage(this, name)
  }

  putCold(key: Bytes, content: ColdContent): void {
    this.#coldParts().rows.set(key, content)
  }

  clearCold(prefix: Bytes): void {
    this.#coldParts().cleared.add(prefix)
  }

  #coldParts(): Cold {
    this.#cold ??= { rows: new Map(), cleared: new Set() }
    return this.#cold
  }

  get isEmpty(): boolean {
    return this.#pending === undefined && (this.#cold === undefined || isUnchanged(this.#cold))
  }

  /** What stands for all rows of a kind; undefined where each has to be looked at. */
  ground(kind: Kind): Ground | undefined {
    const known = kind === 'ground' ? this.#ground : this.#people
    if (known !== undefined) return known
    if (this.#changed?.has(kind) === true) return undefined
    const era = this.view.era?.(secretData, kind)
    if (era === undefined) return undefined
    const ground = groundIn(this.barrier, era)
    if (kind === 'ground') this.#ground = ground
    else this.#people = ground
    return ground
  }

  /** What this transaction does to a row; undefined where it leaves it as it is. */
  pendingAt(key: Bytes): Pending | undefined {
    return this.#pending?.get(key)
  }

  get pending(): ReadonlyMap<Bytes, Pending> {
    return this.#pending ?? NOTHING_PENDING
  }

  /** Keys of the rows that say a folder in their header (`SealedHeader.folders`), in order. */
  inFolder(folder: Bytes, limit?: number): Bytes[] {
    const most = limit === undefined ? undefined : limit + this.pending.size
    const keys = new Set(this.view.find(secretData, 'folders', folder, most).map(({ key }) => key))
    for (const { key, content } of this.pending.values()) {
      if (content?.header.folders?.includes(folder) === true) keys.add(key)
      else keys.delete(key)
    }
    return [...keys].sort().slice(0, limit)
  }

  /** The folders with such rows that begin with a prefix, in order. */
  foldersUnder(prefix: Bytes): Bytes[] {
    const folders = new Set(this.view.distinct(secretData, 'folders', prefix))
    if (this.pending.size === 0) return [...folders]
    for (const { content } of this.pending.values()) {
      for (const folder of content?.header.folders ?? []) {
        if (folder.startsWith(prefix)) folders.add(folder)
      }
    }
    return [...folders].sort().filter(folder => this.inFolder(folder, 1).length > 0)
  }

  /** What stands right under a folder of such folders: '' for itself, others with their slash. */
  foldersIn(folder: Bytes): Bytes[] {
    if (this.pending.size === 0) return this.view.distinctLevel(secretData, 'folders', folder, '/')
    const names = this.foldersUnder(folder).map(found => nameUnder(found, folder, '/'))
    return [...new Set(names)]
  }

  /** Changes a row, which may be of one of some kinds. */
  change(key: Bytes, content: Pending['content'], kinds: readonly Kind[]): void {
    this.#pending ??= new Map()
    this.#pending.set(key, { key, content })
    for (const kind of kinds) {
      this.#changed ??= new Set()
      this.#changed.add(kind)
      if (kind === 'ground') this.#ground = undefined
      else this.#people = undefined
    }
  }

  /** Notes that a row was looked at as it is kept: before a transaction nothing is written. */
  noteKept(key: Bytes): void {
    if (this.coldRows !== undefined) return
    this.#kept ??= new Set()
    this.#kept.add(key)
  }

  /** What the draft comes to. Rows are sealed here: each once, however often it was put. */
  ops(): Op[] {
    const ops: Op[] = []
    if (this.isEmpty) return ops
    const drawn = once(this.random)
    for (const { key, content } of this.pending.values()) {
      ops.push(
        content === undefined
          ? del(secretData, key)
          : put(secretData, key, this.#sealed(key, content, drawn)),
      )
    }
    if (this.#cold !== undefined) this.#addCold(this.#cold, ops, drawn)
    return ops
  }

  #addCold({ rows, cleared }: Cold, ops: Op[], drawn: Drawn): void {
    for (const [key, content] of rows) {
      ops.push(
        content === undefined
          ? del(secretCold, key)
          : put(
              secretCold,
              key,
              this.#sealedAs(content, drawn, text => coldPlaceOf(key, text)),
            ),
      )
    }
    for (const prefix of cleared) ops.push(clearCold(secretCold, prefix))
  }

  #sealed(key: Bytes, content: NonNullable<Pending['content']>, drawn: Drawn): SealedRow {
    const row = this.#sealedAs(content, drawn, headerText => placeOf(key, headerText))
    if (this.#kept?.has(key) === true) this.barrier.opened.set(row, content.value)
    return row
  }

  #sealedAs(
    { value, header }: NonNullable<Pending['content']>,
    drawn: Drawn,
    placeFor: (headerText: string) => string,
  ): SealedRow {
    const headerText = headerTextOf(header)
    const text = stringifyExact(value)
    if (Buffer.byteLength(text) > limits.secretValueSizeBytes) {
      const fault = `what is kept as one must not exceed ${limits.secretValueSizeBytes} bytes`
      throw new OperatingError(OperatingCode.limit, fault)
    }
    const sealed = this.barrier.seal(placeFor(headerText), text, drawn)
    return { header, headerText, sealed }
  }
}

/** Randomness that is drawn once: nonces differ by the place too. */
type Drawn = Pick<Random, 'bytes'>

function once(random: Random): Drawn {
  let drawn: Buffer | undefined
  return {
    bytes(sizeBytes) {
      drawn ??= random.bytes(sizeBytes)
      return drawn
    },
  }
}

/** What a row is sealed for: its key and its header. */
const placeOf = (key: Bytes, headerText: string): string => `${key}\0${headerText}`

/** The rows of one area. Paths are text; what they lead to is JSON. */
export class Storage {
  readonly #draft: Draft
  readonly #prefix: Bytes
  readonly #kinds: readonly Kind[]

  constructor(draft: Draft, { prefix, kinds }: Area) {
    this.#draft = draft
    this.#prefix = prefix
    this.#kinds = kinds
  }

  #keyOf(path: string): Bytes {
    return this.#prefix + fromText(path)
  }

  /** The value at a path; a new object at each call. */
  get<T>(path: string): T | undefined {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content?.value as T | undefined
    const cell = this.#draft.view.get(secretData, key)
    return cell && (parseExact(this.#open(cell).toString('utf8')) as T)
  }

  /** The same, opened once as long as the row stands: the value must not be changed. */
  kept<T extends object>(path: string): T | undefined {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content?.value as T | undefined
    this.#draft.noteKept(key)
    const cell = this.#draft.view.get(secretData, key)
    if (cell === undefined) return undefined
    const { opened } = this.#draft.barrier
    const known = opened.get(cell.row)
    if (known !== undefined) return known as T
    const value = parseExact(this.#open(cell).toString('utf8')) as T
    opened.set(cell.row, value)
    return value
  }

  /**
   * What is made of the value at a path: once as long as the row stands, kept in `known`. Undefined
   * where there is no row.
   */
  made<T, M extends object>(
    path: string,
    known: WeakMap<object, M>,
    make: (value: T) => M,
  ): M | undefined {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content && make(pending.content.value as T)
    const cell = this.#draft.view.get(secretData, key)
    if (cell === undefined) return undefined
    const before = known.get(cell.row)
    if (before !== undefined) return before
    const now = make(parseExact(this.#open(cell).toString('utf8')) as T)
    known.set(cell.row, now)
    return now
  }

  /** The text of the JSON at a path. */
  text(path: string): string | undefined {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content && stringifyExact(pending.content.value)
    const cell = this.#draft.view.get(secretData, key)
    if (cell === undefined) return undefined
    const { texts } = this.#draft.barrier
    const known = texts.get(cell.row)
    if (known !== undefined) return known
    const text = this.#open(cell).toString('utf8')
    if (text.length <= limits.openedTextChars) texts.set(cell.row, text)
    return text
  }

  has(path: string): boolean {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content !== undefined
    return this.#draft.view.get(secretData, key) !== undefined
  }

  /** What is known of the row at a path without opening it; undefined where there is none. */
  header(path: string): SealedHeader | undefined {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content?.header
    return this.#draft.view.get(secretData, key)?.row.header
  }

  /** When the row at a path is over; undefined for never, or where there is none. */
  dueMs(path: string): number | undefined {
    const key = this.#keyOf(path)
    const pending = this.#draft.pendingAt(key)
    if (pending !== undefined) return pending.content?.header.dueMs
    return this.#draft.view.get(secretData, key)?.row.header.dueMs
  }

  put(path: string, value: unknown, header: SealedHeader = {}): void {
    const key = this.#keyOf(path)
    this.#draft.change(key, { value, header }, this.#kinds)
  }

  /** Absent ones may be deleted too. */
  delete(path: string): void {
    const key = this.#keyOf(path)
    this.#draft.change(key, undefined, this.#kinds)
  }

  /** The paths under a folder ('' or ending in '/'), relative to it, in order of their bytes. */
  keys(folder = '', limit?: number): string[] {
    const prefix = this.#keyOf(folder)
    const { pending, view } = this.#draft
    // Each row that is to go hides one of those that there are.
    const most = limit === undefined ? undefined : limit + pending.size
    const cells = view.prefix(secretData, prefix, most)
    if (cells.length === 0 && pending.size === 0) return []
    const keys = new Set(cells.map(({ key }) => key))
    for (const { key, content } of pending.values()) {
      if (!key.startsWith(prefix)) continue
      if (content === undefined) keys.delete(key)
      else keys.add(key)
    }
    const sorted = [...keys].sort().slice(0, limit)
    return sorted.map(key => toText(key.slice(prefix.length)))
  }

  /** What stands right under a folder: paths, and folders with their slash. */
  list(folder = '', { after = '', limit = 0 }: Page = {}): string[] {
    const prefix = this.#keyOf(folder)
    const behind = fromText(after)
    const { pending, view } = this.#draft
    const most = limit > 0 ? limit : undefined
    // A row that is to change adds a name or hides one: so many more are asked for.
    const page = { after: behind, limit: most && most + pending.size }
    const names = view.level(secretData, prefix, '/', page)
    if (pending.size === 0) return names.map(toText)
    const all = new Set(names)
    for (const { key, content } of pending.values()) {
      if (!key.startsWith(prefix)) continue
      const name = nameUnder(key, prefix, '/')
      if (name <= behind) continue
      const isThere = content !== undefined || this.#isInLevel(folder, toText(name))
      if (isThere) all.add(name)
      else all.delete(name)
    }
    return [...all].sort().slice(0, most).map(toText)
  }

  /** Whether there is a row of a name, or below it where it is a folder. */
  #isInLevel(folder: string, name: string): boolean {
    return name.endsWith('/') ? this.keys(folder + name, 1).length > 0 : this.has(folder + name)
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
