/**
 * The cold rows of the level engine: files of rows beside LevelDB, which has an entry for each.
 *
 * Owns the files. A start reads neither rows nor entries, LevelDB moves no row when it compacts,
 * and none is mapped into memory. A row is written to the newest file, unsynced, before the batch
 * that makes it durable: that batch has it in the change log as well, so that the next start writes
 * what a power loss took (`mend`); before the log is trimmed the files are synced. Files of which
 * half is dead are moved to the newest one in portions, with batches that kill more. Each row is
 * checked when it is read: by its own sum, its key, and what its entry says of it.
 */
import * as fs from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import type { DiskOp, DiskReader, OrderedDisk } from '../../base/io/level.ts'
import { limits } from '../../base/limits.ts'
import type { Breathe, ColdRange, StoredCold } from '../cold.ts'
import type { FrozenCold, RowWrite } from '../local.ts'
import { rowSum, unseal } from '../table.ts'
import { addSums } from '../view.ts'
import {
  type ColdEntry,
  coldKey,
  decodeColdEntry,
  decodeRow,
  encodeColdEntry,
  encodeRow,
  fullKeyOf,
  recordSum,
} from './layout.ts'

/** What the head says of cold rows: with it they can be proven as a whole. */
export interface ColdState {
  /** Sum of the rows' checksums, and their number. */
  readonly sum: number
  readonly rows: number
  /** Up to this revision all rows are synced in their files; the log has what came later. */
  readonly synced: number
  /** The last file then, and how much there was of it. */
  readonly syncedFile: number
  readonly syncedSizeBytes: number
  /** The files in order, the one that is written to last: number, size, and how much is dead. */
  readonly files: readonly (readonly [number, number, number])[]
}

const NO_COLD: ColdState = {
  ...{ sum: 0, rows: 0, files: [] },
  ...{ synced: 0, syncedFile: 0, syncedSizeBytes: 0 },
}

// Plain numbers: a handle that a process forgets on its way out would be an error of its own.
const [open, close] = [promisify(fs.open), promisify(fs.close)]
const [read, write] = [promisify(fs.read), promisify(fs.write)]
const [datasync, fsync] = [promisify(fs.fdatasync), promisify(fs.fsync)]
const fstat = promisify(fs.fstat)

/** What a batch does to cold rows. */
export interface Staged {
  readonly ops: readonly DiskOp[]
  readonly state: ColdState
}

/** Bytes that lie together in a file. */
interface Chunk {
  readonly file: number
  readonly at: number
  readonly bytes: Buffer
}

/** A row of the log, and where it must lie. */
interface Logged {
  readonly fullKey: Bytes
  readonly entry: ColdEntry
  readonly write: RowWrite
}

/** A file that is open; whoever reads holds it, so that it may go meanwhile. */
interface OpenFile {
  readonly fd: number
  readers: number
  isGone: boolean
}

const MODE = 0o600
const FOLDER_MODE = 0o700
/** How large files become, and what is moved at least at a time. */
interface FileSizes {
  readonly fileSizeBytes: number
  readonly moveSizeBytes: number
}

const SIZES: FileSizes = {
  fileSizeBytes: limits.coldFileSizeBytes,
  moveSizeBytes: limits.coldMoveSizeBytes,
}

const FRAME_FIXED_SIZE_BYTES = 2 + 4
/** Rows of a page that are read at the same time. */
const READS = 64

export class ColdFiles {
  readonly #disk: OrderedDisk
  readonly #folder: string
  readonly #generation: number
  readonly #open = new Map<number, OpenFile>()
  /** Files with rows that are not synced. */
  readonly #dirty = new Set<number>()
  #isFolderDirty = false
  #state: ColdState
  /** Where a file is being moved from, and where in it. */
  #moving: { readonly file: number; at: number } | undefined
  /** Files that cannot be gone through. */
  readonly #unreadable = new Set<number>()
  /** How many hold still what is there. */
  #frozen = 0
  #isRetired = false

  readonly #sizes: FileSizes

  /** `folder`: of all generations; `state`: as the head has it. */
  constructor(
    disk: OrderedDisk,
    folder: string,
    generation: number,
    state: ColdState = NO_COLD,
    sizes: FileSizes = SIZES,
  ) {
    this.#sizes = sizes
    this.#disk = disk
    this.#folder = folderOf(folder, generation)
    this.#generation = generation
    this.#state = state
  }

  get state(): ColdState {
    return this.#state
  }

  // --- opening

  /**
   * Opens the files and writes what of the log's newest rows they lack. `newest`: the last write of
   * each row since `state.synced`. Gives what is damaged, '' where nothing is known to be.
   */
  async mend(newest: ReadonlyMap<Bytes, RowWrite>): Promise<string> {
    if (this.#state.files.length > 0) {
      await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE })
    }
    let problem = ''
    const entries = await this.#entriesOf([...newest.keys()], unlessDamaged)
    const there: Logged[] = []
    for (const [fullKey, write] of newest) {
      const entry = entries.get(fullKey)
      const isThere = entry?.modRevision === write.at
      if (write.value === undefined ? entry !== undefined : !isThere) {
        problem ||= 'the entry of a cold row is not what the log says'
      } else if (entry !== undefined) there.push({ fullKey, entry, write })
    }
    await this.#mendRows(there)
    await this.sync()
    for (const [number, sizeBytes] of this.#state.files) {
      const file = await this.#fileOf(number).catch(() => undefined)
      const { size } = file === undefined ? { size: 0 } : await fstat(file.fd)
      if (size >= this.#syncedSize(number, sizeBytes)) continue
      problem ||= `its file ${join(this.#folder, nameOf(number))} is cut off or gone`
    }
    await this.#dropStrangers()
    return problem
  }

  /** Goes on with what is damaged, as it is: it is found when it is read. */
  forgive(at: number): ColdState {
    this.#state = { ...this.#state, synced: at, syncedFile: 0, syncedSizeBytes: 0 }
    return this.#state
  }

  /** How much of a file was synced: what is missing behind that is dead, or was mended. */
  #syncedSize(number: number, sizeBytes: number): number {
    const { syncedFile, syncedSizeBytes } = this.#state
    if (number > syncedFile) return 0
    return number === syncedFile ? syncedSizeBytes : sizeBytes
  }

  /** Holds rows against what the log says of them, in pieces of a file. */
  async #mendRows(rows: readonly Logged[]): Promise<void> {
    const inOrder = rows.toSorted(({ entry: a }, { entry: b }) => a.file - b.file || a.at - b.at)
    for (let next = 0; next < inOrder.length; ) {
      const { file: number, at: from } = inOrder[next]!.entry
      const end = from + this.#sizes.moveSizeBytes
      let last = next
      const isNear = ({ entry }: Logged): boolean => entry.file === number && entry.at < end
      while (last + 1 < inOrder.length && isNear(inOrder[last + 1]!)) last++
      const { at, sizeBytes } = inOrder[last]!.entry
      const file = await this.#fileOf(number, true)
      const found = await readAt(file, from, at + sizeBytes - from)
      for (; next <= last; next++) await this.#mendRow(file, found, from, inOrder[next]!)
    }
  }

  async #mendRow(file: OpenFile, found: Buffer, from: number, row: Logged): Promise<void> {
    const { fullKey, entry, write } = row
    const frame = frameOf(fullKey, { ...write, sum: rowSum(fullKey, write.value!) })
    const at = entry.at - from
    if (found.subarray(at, at + entry.sizeBytes).equals(frame)) return
    await writeAt(file, entry.at, frame)
    this.#dirty.add(entry.file)
  }

  /** What a batch that was not durable left behind. */
  async #dropStrangers(): Promise<void> {
    const known = new Set(this.#state.files.map(([number]) => nameOf(number)))
    for (const name of await readdir(this.#folder).catch(() => [])) {
      if (!known.has(name)) await rm(join(this.#folder, name), { recursive: true, force: true })
    }
  }

  // --- writing

  /** Writes the rows of a batch to files; gives what is to be durable with it. */
  async stage(writes: readonly RowWrite[]): Promise<Staged | undefined> {
    const last = new Map<Bytes, RowWrite>()
    for (const write of writes) if (write.isCold === true) last.set(write.fullKey, write)
    if (last.size === 0) return undefined
    const staging = new Staging(this.#state, this.#sizes.fileSizeBytes)
    for (const [fullKey, write] of last) {
      const key = coldKey(this.#generation, fullKey)
      if (write.value === undefined) staging.ops.push({ key, value: undefined })
      else staging.put(key, frameOf(fullKey, write), aboutOf(write))
    }
    // They are written while it is looked what was there.
    const writing = this.#write(staging.chunks())
    writing.catch(() => {})
    const looking = this.#entriesOf([...last.keys()], unlessDamaged)
    for (const old of (await looking.finally(() => writing)).values()) staging.kill(old)
    await this.#move(staging, last)
    await this.#write(staging.chunks())
    // What was moved is not in the log.
    if (staging.hasMoved) await this.sync()
    return { ops: staging.ops, state: staging.state(this.#frozen > 0) }
  }

  async #write(chunks: readonly Chunk[]): Promise<void> {
    for (const { file, at, bytes } of chunks) {
      await writeAt(await this.#fileOf(file, true), at, bytes)
      this.#dirty.add(file)
    }
  }

  /** Takes over what became durable. */
  async took({ state }: Pick<Staged, 'state'>): Promise<void> {
    const gone = this.#state.files.filter(([number]) => !state.files.some(([n]) => n === number))
    this.#state = state
    for (const [number] of gone) await this.#drop(number)
  }

  /** Whether so much is not synced that a start would take long to look through it. */
  needsSync({ files, syncedFile, syncedSizeBytes }: ColdState): boolean {
    let sizeBytes = -syncedSizeBytes
    for (const [number, size] of files) if (number >= syncedFile) sizeBytes += size
    return sizeBytes > limits.coldUnsyncedSizeBytes
  }

  /** Makes durable what files hold; with it the state that says so. */
  async synced(state: ColdState, at: number): Promise<ColdState> {
    await this.sync()
    const [syncedFile, syncedSizeBytes] = state.files.at(-1) ?? [0, 0]
    return { ...state, synced: at, syncedFile, syncedSizeBytes }
  }

  /** What failed once is not to be tried again: it may succeed without having written. */
  async sync(): Promise<void> {
    try {
      for (const number of this.#dirty) await datasync((await this.#fileOf(number)).fd)
      this.#dirty.clear()
      if (!this.#isFolderDirty) return
      // The folders may be as new as what is in them.
      const parent = dirname(this.#folder)
      for (const path of [this.#folder, parent, dirname(parent)]) {
        const folder = await open(path, 'r')
        await fsync(folder).finally(() => close(folder))
      }
      this.#isFolderDirty = false
    } catch (error) {
      throw unwritten(error)
    }
  }

  /** Moves a portion of a file that is half dead, so that it can go. */
  async #move(staging: Staging, written: ReadonlyMap<Bytes, RowWrite>): Promise<void> {
    if (this.#frozen > 0 || staging.killedSizeBytes === 0) return
    if (!staging.isMovable(this.#moving?.file)) {
      const file = staging.halfDead(this.#unreadable)
      this.#moving = file === undefined ? undefined : { file, at: 0 }
    }
    const moving = this.#moving
    if (moving === undefined) return
    const wanted = Math.max(this.#sizes.moveSizeBytes, 2 * staging.killedSizeBytes)
    const frames = await this.#framesAt(moving.file, moving.at, wanted, staging.sizeOf(moving.file))
    if (frames === undefined) {
      this.#unreadable.add(moving.file)
      this.#moving = undefined
      return
    }
    if (frames.length === 0) {
      this.#unreadable.add(moving.file)
      this.#moving = undefined
      return
    }
    const keys = frames.map(({ fullKey }) => fullKey)
    const entries = await this.#entriesOf(keys, unlessDamaged)
    for (const { fullKey, bytes } of frames) {
      const entry = entries.get(fullKey)
      const isHere = entry?.file === moving.file && entry.at === moving.at
      moving.at += bytes.length
      if (!isHere || written.has(fullKey)) continue
      staging.move(coldKey(this.#generation, fullKey), bytes, entry)
    }
  }

  /** Whole frames of a file from a place on, about so much; undefined where they cannot be told. */
  async #framesAt(
    number: number,
    from: number,
    wantedSizeBytes: number,
    sizeBytes: number,
  ): Promise<readonly { readonly fullKey: Bytes; readonly bytes: Buffer }[] | undefined> {
    const file = await this.#fileOf(number)
    // At least one whole frame, however large.
    const length = Math.min(sizeBytes - from, wantedSizeBytes + 2 * limits.rowSizeBytes)
    const bytes = await readAt(file, from, length)
    const frames: { fullKey: Bytes; bytes: Buffer }[] = []
    for (let at = 0; at < bytes.length && at < wantedSizeBytes; ) {
      if (at + FRAME_FIXED_SIZE_BYTES > bytes.length) return undefined
      const keyEnd = at + FRAME_FIXED_SIZE_BYTES + bytes.readUInt16BE(at)
      const end = keyEnd + bytes.readUInt32BE(at + 2)
      if (end > bytes.length) return undefined
      const fullKey = fromBuffer(bytes.subarray(at + FRAME_FIXED_SIZE_BYTES, keyEnd))
      frames.push({ fullKey, bytes: bytes.subarray(at, end) })
      at = end
    }
    return frames
  }

  // --- reading

  read(range: ColdRange): Promise<readonly StoredCold[]> {
    return this.#read(this.#disk, range)
  }

  /** Holds everything still. Never called while a batch is under way. */
  freeze(): FrozenCold {
    const disk = this.#disk.pin()
    const state = this.#state
    this.#frozen++
    let isHeld = true
    return {
      read: range => this.#read(disk, range),
      prove: breathe => this.#prove(disk, state, breathe),
      release: async () => {
        if (!isHeld) return
        isHeld = false
        this.#frozen--
        await disk.close()
        if (this.#isRetired) await this.retire()
      },
    }
  }

  async #read(disk: Pick<DiskReader, 'scan'>, range: ColdRange): Promise<readonly StoredCold[]> {
    for (let tries = 1; ; tries++) {
      const entries = await this.#entriesIn(disk, range)
      if (range.keysOnly) return entries.map(({ key, entry }) => storedOf(key, entry, undefined))
      try {
        return await this.#rowsOf(entries)
      } catch (error) {
        // A file went after its rows were moved: their entries say where to.
        if (!(error instanceof MissingFile)) throw error
        if (tries === MISSING_TRIES) throw damagedRow(error.message)
      }
    }
  }

  /** Reads all rows, and holds them against sum and number. */
  async #prove(
    disk: Pick<DiskReader, 'scan'>,
    state: ColdState,
    breathe: Breathe,
  ): Promise<number> {
    const page = { to: '\u00ff', limit: limits.coldPageRows, keysOnly: true }
    let [sum, rows] = [0, 0]
    for (let from = ''; ; ) {
      const entries = await this.#entriesIn(disk, { ...page, from })
      await this.#rowsOf(entries)
      for (const { entry } of entries) sum = addSums(sum, entry.sum)
      rows += entries.length
      if (entries.length < page.limit) break
      from = `${entries.at(-1)!.key}\u0000`
      await breathe()
    }
    if (sum === state.sum && rows === state.rows) return rows
    const text = `there are ${rows} cold rows where there should be ${state.rows}`
    throw damagedRow(rows === state.rows ? 'some cold rows are of another time' : text)
  }

  async #rowsOf(entries: readonly Found[]): Promise<readonly StoredCold[]> {
    const rows: StoredCold[] = []
    for (let at = 0; at < entries.length; at += READS) {
      const some = entries.slice(at, at + READS)
      rows.push(...(await Promise.all(some.map(({ key, entry }) => this.#row(key, entry)))))
    }
    return rows
  }

  async #entriesIn(
    disk: Pick<DiskReader, 'scan'>,
    { from, to, limit }: ColdRange,
  ): Promise<readonly Found[]> {
    const [first, last] = [coldKey(this.#generation, from), coldKey(this.#generation, to)]
    const found: Found[] = []
    for await (const page of disk.scan(first, last, limit)) {
      for (const [diskKey, value] of page) {
        const key = fullKeyOf(diskKey)
        found.push({ key, entry: entryFrom(diskKey, key, value)! })
        if (found.length === limit) return found
      }
    }
    return found
  }

  async #row(key: Bytes, entry: ColdEntry): Promise<StoredCold> {
    const file = await this.#fileOf(entry.file)
    file.readers++
    try {
      const frame = await readAt(file, entry.at, entry.sizeBytes)
      return storedOf(key, entry, valueIn(frame, key, entry))
    } finally {
      file.readers--
      if (file.isGone && file.readers === 0) await close(file.fd)
    }
  }

  async #entriesOf(
    fullKeys: readonly Bytes[],
    read = entryFrom,
  ): Promise<ReadonlyMap<Bytes, ColdEntry>> {
    const keys = fullKeys.map(fullKey => coldKey(this.#generation, fullKey))
    const values = await this.#disk.getMany(keys)
    const entries = new Map<Bytes, ColdEntry>()
    for (const [i, value] of values.entries()) {
      const fullKey = fullKeys[i]!
      const entry = value && read(keys[i]!, fullKey, value)
      if (entry !== undefined) entries.set(fullKey, entry)
    }
    return entries
  }

  // --- files

  async #fileOf(number: number, isMade = false): Promise<OpenFile> {
    const known = this.#open.get(number)
    if (known !== undefined) return known
    const path = join(this.#folder, nameOf(number))
    const flags = fs.constants.O_RDWR | (isMade ? fs.constants.O_CREAT : 0)
    if (isMade) {
      await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE })
      this.#isFolderDirty = true
    }
    let fd: number
    try {
      fd = await open(path, flags, MODE)
    } catch (error) {
      if (!isMade) throw new MissingFile(`cannot open ${path}: ${messageOf(error)}`)
      throw new OperatingError(OperatingCode.disk, `cannot make ${path}: ${messageOf(error)}`)
    }
    const raced = this.#open.get(number)
    if (raced !== undefined) {
      await close(fd)
      return raced
    }
    const file = { fd, readers: 0, isGone: false }
    this.#open.set(number, file)
    return file
  }

  async #drop(number: number): Promise<void> {
    const file = this.#open.get(number)
    this.#open.delete(number)
    this.#dirty.delete(number)
    await rm(join(this.#folder, nameOf(number)), { force: true })
    if (file !== undefined) await this.#closeFile(file)
  }

  /** Removes what a restore that failed may have left here. */
  async wipe(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** Another generation took its place: its files go once nobody holds them still. */
  async retire(): Promise<void> {
    this.#isRetired = true
    if (this.#frozen > 0) return
    await this.close()
    await this.wipe()
  }

  async close(): Promise<void> {
    const files = [...this.#open.values()]
    this.#open.clear()
    for (const file of files) await this.#closeFile(file)
  }

  /** Whoever reads a file closes it when he is done. */
  async #closeFile(file: OpenFile): Promise<void> {
    file.isGone = true
    if (file.readers === 0) await close(file.fd)
  }
}

/** The folder of one generation's files. */
const folderOf = (folder: string, generation: number): string => join(folder, String(generation))

/** Removes the files of all generations but one. */
export async function dropOtherFiles(folder: string, generation: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name !== String(generation)) await rm(join(folder, name), { recursive: true, force: true })
  }
}

const nameOf = (number: number): string => `${String(number).padStart(8, '0')}.rows`

/** How often a file that is gone is looked for anew. */
const MISSING_TRIES = 5

class MissingFile extends Error {}

interface Found {
  readonly key: Bytes
  readonly entry: ColdEntry
}

const damagedRow = (text: string): OperatingError => new OperatingError(OperatingCode.damaged, text)

/** For who writes: a damaged entry is as good as none, and the sum of all tells of it. */
const unlessDamaged = (diskKey: Buffer, _: Bytes, value: Buffer): ColdEntry | undefined =>
  decodeColdEntry(diskKey, value)

function entryFrom(diskKey: Buffer, fullKey: Bytes, value: Buffer): ColdEntry | undefined {
  const entry = decodeColdEntry(diskKey, value)
  if (entry !== undefined) return entry
  throw damagedRow(`the entry of the row ${JSON.stringify(fullKey)} does not match its sum`)
}

/** What an entry says of a row beside where it lies. */
type About = Pick<ColdEntry, 'modRevision' | 'sum' | 'bodySizeBytes'>

const aboutOf = (write: RowWrite): About => ({
  modRevision: write.at,
  sum: recordSum({ ...write, modRevision: write.at }),
  bodySizeBytes: unseal(write.value!).body.length,
})

/** A row as it lies in a file: sizes of key and record, key, record. */
function frameOf(fullKey: Bytes, write: RowWrite): Buffer {
  const record = encodeRow(write, write.value!)
  const keyEnd = FRAME_FIXED_SIZE_BYTES + fullKey.length
  const frame = Buffer.allocUnsafe(keyEnd + record.length)
  frame.writeUInt16BE(fullKey.length, 0)
  frame.writeUInt32BE(record.length, 2)
  frame.write(fullKey, FRAME_FIXED_SIZE_BYTES, 'latin1')
  record.copy(frame, keyEnd)
  return frame
}

/** The value in a frame; throws unless it is the very one that the entry stands for. */
function valueIn(frame: Buffer, key: Bytes, { sum, modRevision }: ColdEntry): Buffer {
  const keyEnd = FRAME_FIXED_SIZE_BYTES + key.length
  const isKey = frame.toString('latin1', FRAME_FIXED_SIZE_BYTES, keyEnd) === key
  const row = isKey ? decodeRow(frame.subarray(keyEnd), value => rowSum(key, value)) : undefined
  if (row?.recordSum === sum && row.header.modRevision === modRevision) return row.value
  throw damagedRow(`the row ${JSON.stringify(key)} does not match its sum`)
}

const storedOf = (
  key: Bytes,
  { modRevision, bodySizeBytes }: ColdEntry,
  value: Buffer | undefined,
): StoredCold => ({ key, modRevision, bodySizeBytes, value })

/** What lies at a place of a file; less where it ends before. */
async function readAt({ fd }: OpenFile, at: number, sizeBytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(sizeBytes)
  let got = 0
  try {
    while (got < sizeBytes) {
      const { bytesRead } = await read(fd, buffer, got, sizeBytes - got, at + got)
      if (bytesRead === 0) break
      got += bytesRead
    }
  } catch (error) {
    throw new OperatingError(OperatingCode.disk, `cannot read cold rows: ${messageOf(error)}`)
  }
  return buffer.subarray(0, got)
}

async function writeAt({ fd }: OpenFile, at: number, bytes: Buffer): Promise<void> {
  try {
    for (let written = 0; written < bytes.length; ) {
      const left = bytes.length - written
      const { bytesWritten } = await write(fd, bytes, written, left, at + written)
      written += bytesWritten
    }
  } catch (error) {
    throw unwritten(error)
  }
}

const unwritten = (error: unknown): OperatingError =>
  new OperatingError(
    OperatingCode.disk,
    `cannot write cold rows: ${messageOf(error)}`,
    'unknown',
    error,
  )

/** The next state, and what makes it. */
class Staging {
  readonly ops: DiskOp[] = []
  hasMoved = false
  /** How much died. */
  killedSizeBytes = 0
  readonly #files: { readonly number: number; sizeBytes: number; deadBytes: number }[]
  #written: { readonly file: number; readonly at: number; readonly frames: Buffer[] }[] = []
  readonly #before: ColdState
  readonly #fileSizeBytes: number
  #sum: number
  #rows: number

  constructor(before: ColdState, fileSizeBytes: number) {
    this.#fileSizeBytes = fileSizeBytes
    this.#before = before
    this.#sum = before.sum
    this.#rows = before.rows
    this.#files = before.files.map(([number, sizeBytes, deadBytes]) => ({
      number,
      sizeBytes,
      deadBytes,
    }))
  }

  /** A row that was there is deleted, or has another one in its place. */
  kill({ file, sizeBytes, sum }: ColdEntry): void {
    this.#sum = addSums(this.#sum, -sum)
    this.#rows--
    this.killedSizeBytes += sizeBytes
    this.#bury(file, sizeBytes)
  }

  put(key: Buffer, frame: Buffer, about: About): void {
    this.#sum = addSums(this.#sum, about.sum)
    this.#rows++
    this.#append(key, frame, about)
  }

  /** The same row lies elsewhere from now on. */
  move(key: Buffer, frame: Buffer, entry: ColdEntry): void {
    this.hasMoved = true
    this.#bury(entry.file, frame.length)
    this.#append(key, frame, entry)
  }

  #bury(number: number, sizeBytes: number): void {
    const file = this.#files.find(one => one.number === number)
    if (file !== undefined) file.deadBytes += sizeBytes
  }

  #append(key: Buffer, frame: Buffer, { modRevision, sum, bodySizeBytes }: About): void {
    const sizeBytes = frame.length
    let file = this.#files.at(-1)
    if (file === undefined || file.sizeBytes + sizeBytes > this.#fileSizeBytes) {
      file = { number: (file?.number ?? 0) + 1, sizeBytes: 0, deadBytes: 0 }
      this.#files.push(file)
    }
    const at = file.sizeBytes
    file.sizeBytes += sizeBytes
    const last = this.#written.at(-1)
    if (last?.file === file.number) last.frames.push(frame)
    else this.#written.push({ file: file.number, at, frames: [frame] })
    const entry = { file: file.number, at, sizeBytes, modRevision, sum, bodySizeBytes }
    this.ops.push({ key, value: encodeColdEntry(key, entry) })
  }

  /** What is to be written since this was asked last, and where. */
  chunks(): Chunk[] {
    const written = this.#written
    this.#written = []
    return written.map(({ file, at, frames }) => ({ file, at, bytes: Buffer.concat(frames) }))
  }

  sizeOf(number: number): number {
    return this.#files.find(one => one.number === number)?.sizeBytes ?? 0
  }

  /** Whether a file may still be moved from: it is there, and is not written to. */
  isMovable(number: number | undefined): boolean {
    const at = this.#files.findIndex(one => one.number === number)
    return at !== -1 && at < this.#files.length - 1 && !isDead(this.#files[at]!)
  }

  /** A file that is worth moving. */
  halfDead(except: ReadonlySet<number>): number | undefined {
    const found = this.#files
      .slice(0, -1)
      .find(
        file => 2 * file.deadBytes >= file.sizeBytes && !isDead(file) && !except.has(file.number),
      )
    return found?.number
  }

  /** Files in which nothing lives are left out, unless all is held still. */
  state(isFrozen: boolean): ColdState {
    const files = this.#files
      .filter((file, at) => isFrozen || at === this.#files.length - 1 || !isDead(file))
      .map(({ number, sizeBytes, deadBytes }) => [number, sizeBytes, deadBytes] as const)
    return { ...this.#before, sum: this.#sum, rows: this.#rows, files }
  }
}

const isDead = ({ sizeBytes, deadBytes }: { sizeBytes: number; deadBytes: number }): boolean =>
  deadBytes >= sizeBytes
