/**
 * The checkpoint: what this server knew last, on its own disk, so that a start reads only what
 * changed since.
 *
 * Owns the folder and when it is of no use: another store, another generation, another history of
 * etcd's, a revision that etcd has not reached, or damage of any kind. It is never trusted: every
 * row has its checksum, and a sum over all rows with their revisions proves the whole. Nothing
 * waits for it, nothing is synced, and whatever fails only makes the next start read everything.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { revision } from '../../base/brand.ts'
import { type Bytes, toBuffer } from '../../base/bytes.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import { type DiskOp, type OrderedDisk, openLevelDisk } from '../../base/io/level.ts'
import { limits } from '../../base/limits.ts'
import { inSlices } from '../../base/slices.ts'
import { decodeRow, encodeRow, fullKeyOf, recordSum, rowKey, rowRange } from '../level/layout.ts'
import type { Change } from '../store.ts'
import { type AnyTable, type Cell, rowSum, seal } from '../table.ts'
import { type TableSet, toCell } from '../tables.ts'
import { addSums, type Version } from '../view.ts'
import { type Etcd, isCompacted } from './client.ts'
import { type Generation, originOf } from './generation.ts'
import { type Loaded, versionOf } from './load.ts'
import { isSameMark, type Mark } from './mark.ts'

/** What the rows are, beside them and written with them. */
interface Meta {
  readonly format: number
  readonly prefix: string
  readonly generation: Generation
  readonly revision: number
  readonly sum: number
  readonly rows: number
  readonly mark: Mark | undefined
  readonly etcdId: string
}

const FORMAT = 1
const META_KEY = Buffer.from('c')
/** Rows lie as the level engine has them, in one generation of its layout. */
const LAYOUT_GENERATION = 0
const FOLDER_MODE = 0o700

/** The folder that a checkpoint lies in. */
export interface CheckpointFolder {
  /** Opens (creates) it. Throws OperatingError, `damaged` where removing it helps. */
  open(): Promise<OrderedDisk>
  /** Deletes it with all that it holds. */
  remove(): void
}

const folderAt = (folder: string): CheckpointFolder => ({
  async open() {
    mkdirSync(folder, { recursive: true, mode: FOLDER_MODE })
    return await openLevelDisk(folder)
  },
  remove: () => rmSync(folder, { recursive: true, force: true }),
})

export interface CheckpointPlace {
  /** Its path, or what stands in for it in a simulation. */
  readonly folder: string | CheckpointFolder
  readonly tables: TableSet
  readonly clock: Clock
  /** The prefix of the store in etcd. */
  readonly prefix: string
}

/** What was found: a state to go on from, or why there is none ('' for an empty folder). */
export type Found = { readonly loaded: Loaded } | { readonly reason: string }

/**
 * Opens the folder. Undefined where that cannot be done: then there is no checkpoint, and whatever
 * else holds the folder keeps it.
 */
export async function openCheckpoint(place: CheckpointPlace): Promise<Checkpoint | undefined> {
  const folder = typeof place.folder === 'string' ? folderAt(place.folder) : place.folder
  try {
    return new Checkpoint(place, await folder.open())
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== OperatingCode.damaged) return undefined
  }
  try {
    folder.remove()
    return new Checkpoint(place, await folder.open())
  } catch {
    return undefined
  }
}

export class Checkpoint {
  readonly #place: CheckpointPlace
  readonly #disk: OrderedDisk
  /** Rows that changed since the last batch, by full key; undefined for those that went. */
  #pending = new Map<Bytes, { table: AnyTable; cell: Cell<unknown> | undefined }>()
  /** What the rows are once everything that is pending is written. Undefined: nothing is kept. */
  #meta: Meta | undefined
  #isNew = false
  #timer: Timer | undefined
  #writing: Promise<void> = Promise.resolve()
  /** Raised whenever the content is another one: what is being written for the old one is left. */
  #epoch = 0
  #isClosed = false
  /** A closing server does not finish a new checkpoint after this. */
  #leaveAtMs = Number.POSITIVE_INFINITY

  constructor(place: CheckpointPlace, disk: OrderedDisk) {
    this.#place = place
    this.#disk = disk
  }

  // --- reading

  /** What is kept, if it is a state of the store in this etcd. */
  async read(etcd: Etcd, current: Generation): Promise<Found> {
    try {
      const record = await this.#disk.get(META_KEY)
      if (record === undefined) return { reason: '' }
      const meta = decodeMeta(record)
      const reason = await this.#unfit(meta, etcd, current)
      if (reason !== '') return { reason }
      const version = await this.#readRows(meta)
      this.#meta = meta
      const { mark, etcdId } = meta
      return { loaded: { version, generation: current, mark, etcdId } }
    } catch (error) {
      if (error instanceof OperatingError && error.code === OperatingCode.damaged) {
        return { reason: error.message }
      }
      throw error
    }
  }

  /** Why a checkpoint is not of this store's history; '' when it is. */
  async #unfit(meta: Meta, etcd: Etcd, current: Generation): Promise<string> {
    const { generation, mark } = meta
    if (meta.format !== FORMAT || meta.prefix !== this.#place.prefix)
      return 'it is of another store'
    const isCurrent =
      generation.clusterId === current.clusterId &&
      generation.number === current.number &&
      generation.indexOffset === current.indexOffset &&
      generation.revision === current.revision
    if (!isCurrent) return 'the store is another one now'
    const key = toBuffer(mark?.key ?? 'none')
    const now = await etcd.range({ key })
    if (now.header.revision.toNumber() < meta.revision) return 'it is ahead of etcd'
    if (mark === undefined) return ''
    const then = await etcd.range({ key, revision: meta.revision }).catch((error: unknown) => {
      if (isCompacted(error)) return undefined
      throw error
    })
    if (then !== undefined) return isSameMark(mark, then.kvs[0]) ? '' : 'etcd has another history'
    if (isSameMark(mark, now.kvs[0])) return ''
    const isSame = meta.etcdId === now.header.clusterId.toString()
    return isSame ? '' : 'etcd was made anew'
  }

  async #readRows(meta: Meta): Promise<Version> {
    const { tables } = this.#place
    const cells = new Map<AnyTable, Cell<unknown>[]>(tables.all.map(table => [table, []]))
    let sum = 0
    let rows = 0
    for await (const page of this.#disk.scan(...rowRange(LAYOUT_GENERATION))) {
      await inSlices(page, ([key, record]) => {
        const fullKey = fullKeyOf(key)
        const row = decodeRow(record, value => rowSum(fullKey, value))
        if (row === undefined) throw damaged('a row in it is damaged')
        const table = tables.of(fullKey)
        const { indexOffset } = meta.generation
        cells.get(table)!.push(toCell(table, fullKey, row.value, row.header, indexOffset))
        sum = addSums(sum, row.recordSum)
        rows++
      })
    }
    if (sum !== meta.sum || rows !== meta.rows)
      throw damaged('its rows are not those it was made of')
    const version = await versionOf(tables, cells)
    version.revision = revision(meta.revision)
    version.origin = originOf(meta.generation)
    return version
  }

  // --- writing

  /** Starts over from this content; returns at once. */
  begin({ version, generation, mark, etcdId }: Loaded): void {
    const epoch = ++this.#epoch
    this.#pending.clear()
    const { prefix } = this.#place
    const { rows } = version
    const at = version.revision
    const meta: Meta = {
      ...{ format: FORMAT, prefix, generation, revision: at, mark, etcdId, rows, sum: 0 },
    }
    this.#meta = meta
    this.#isNew = true
    this.#write(async () => {
      const goesOn = (): boolean =>
        epoch === this.#epoch && this.#place.clock.monotonic() < this.#leaveAtMs
      const sum = await this.#writeAll(version, meta, goesOn)
      if (!goesOn() || this.#meta === undefined) return
      this.#isNew = false
      const whole = { ...meta, sum }
      this.#meta = { ...this.#meta, sum: addSums(sum, this.#meta.sum) }
      await this.#disk.batch([{ key: META_KEY, value: encodeMeta(whole) }], { sync: false })
    })
  }

  /** Notes what changed; returns at once. */
  follow(changes: readonly Change[], mark: Mark | undefined): void {
    if (this.#meta === undefined) return
    let { sum, rows, revision: at } = this.#meta
    for (const change of changes) {
      at = change.revision
      for (const { table, key, before, after } of change.events) {
        sum = addSums(sum, sumOf(after) - sumOf(before))
        rows += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1)
        this.#pending.set(table.prefix + key, { table, cell: after })
      }
    }
    this.#meta = { ...this.#meta, sum, rows, revision: at, mark: mark ?? this.#meta.mark }
    if (this.#pending.size > limits.checkpointPendingRows) this.#giveUp()
    else {
      this.#timer ??= this.#place.clock.after(limits.checkpointDelayMs, () => {
        this.#timer = undefined
        this.#write(() => this.#flush())
      })
    }
  }

  /** Forgets what is kept: the next start reads everything. */
  #giveUp(): void {
    this.#epoch++
    this.#meta = undefined
    this.#pending.clear()
    this.#write(() => this.#disk.batch([{ key: META_KEY, value: undefined }], { sync: false }))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#timer?.clear()
    // What is only half written after a start may take a moment, else it is left to the next one.
    this.#leaveAtMs = this.#place.clock.monotonic() + limits.checkpointCloseMs
    this.#write(() => this.#flush())
    this.#isClosed = true
    await this.#writing
    await this.#disk.close().catch(() => {})
  }

  /** One at a time; what fails ends the checkpoint, and nothing else. */
  #write(work: () => Promise<void>): void {
    if (this.#isClosed) return
    this.#writing = this.#writing.then(work).catch(() => {
      this.#epoch++
      this.#meta = undefined
      this.#pending.clear()
    })
  }

  async #flush(): Promise<void> {
    if (this.#meta === undefined || this.#isNew) return
    const meta = this.#meta
    const pending = this.#pending
    this.#pending = new Map()
    const ops: DiskOp[] = [{ key: META_KEY, value: encodeMeta(meta) }]
    await inSlices(pending, ([fullKey, { table, cell }]) => {
      ops.push({
        key: rowKey(LAYOUT_GENERATION, fullKey),
        value: cell === undefined ? undefined : encodeCell(table, fullKey, cell, meta.generation),
      })
    })
    await this.#disk.batch(ops, { sync: false })
  }

  /** Writes all rows; gives the sum of their records. */
  async #writeAll(version: Version, meta: Meta, goesOn: () => boolean): Promise<number> {
    const [from, to] = rowRange(LAYOUT_GENERATION)
    await this.#disk.batch([{ key: META_KEY, value: undefined }], { sync: false })
    await this.#disk.clear(from, to)
    let sum = 0
    let ops: DiskOp[] = []
    let sizeBytes = 0
    const flush = async (): Promise<void> => {
      await this.#disk.batch(ops, { sync: false })
      ops = []
      sizeBytes = 0
    }
    for (const table of this.#place.tables.all) {
      const cells = version.entries(table)[Symbol.iterator]()
      for (let taken: number = limits.checkpointPageRows; taken === limits.checkpointPageRows; ) {
        if (!goesOn()) return 0
        taken = 0
        await inSlices(some(cells, limits.checkpointPageRows), cell => {
          taken++
          const fullKey = table.prefix + cell.key
          const value = encodeCell(table, fullKey, cell, meta.generation)
          ops.push({ key: rowKey(LAYOUT_GENERATION, fullKey), value })
          sizeBytes += value.length
          sum = addSums(sum, recordSum(cell))
        })
        const isLarge = sizeBytes > limits.etcdPageSizeBytes
        if (isLarge || ops.length >= limits.checkpointPageRows) await flush()
      }
    }
    await flush()
    return sum
  }
}

/** The next few of an iterator, which can be gone on with. */
function* some<T>(iterator: Iterator<T>, count: number): Generator<T> {
  for (let taken = 0; taken < count; taken++) {
    const next = iterator.next()
    if (next.done) return
    yield next.value
  }
}

const sumOf = (cell: Cell<unknown> | undefined): number =>
  cell === undefined ? 0 : recordSum(cell)

const damaged = (text: string): OperatingError => new OperatingError(OperatingCode.damaged, text)

/** A row as etcd has it, made from the cell again. */
function encodeCell(
  table: AnyTable,
  fullKey: Bytes,
  cell: Cell<unknown>,
  { indexOffset }: Generation,
): Buffer {
  const own = (index: number, at: number): number => (index === at + indexOffset ? 0 : index)
  const value = seal(table.codec.encode(cell.row), {
    createIndex: own(cell.createIndex, cell.createRevision),
    modifyIndex: own(cell.modifyIndex, cell.modRevision),
  })
  const sum = rowSum(fullKey, value)
  // A row that was written in another form: better none than a sum that does not fit.
  if (sum !== cell.sum) throw damaged(`a row under ${table.prefix} cannot be written as it was`)
  const { createRevision, version, lease } = cell
  const write = { at: cell.modRevision, fullKey, createRevision, version, lease, sum }
  return encodeRow(write, value)
}

function encodeMeta(meta: Meta): Buffer {
  const body = Buffer.from(JSON.stringify(meta))
  const sum = Buffer.allocUnsafe(4)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([sum, body])
}

function decodeMeta(record: Buffer): Meta {
  const body = record.subarray(4)
  if (record.length < 4 || record.readUInt32BE() !== crc32(body)) throw damaged('it is damaged')
  try {
    return JSON.parse(body.toString('utf8')) as Meta
  } catch (error) {
    throw damaged(`it is damaged: ${messageOf(error)}`)
  }
}
