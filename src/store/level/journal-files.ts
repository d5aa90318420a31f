/**
 * Records of the audit journal that ride with no write of the store, in files of their own beside
 * LevelDB: those of reads and refusals.
 *
 * Owns the files. Records lie one behind the other as they were sealed, each behind its size; a
 * batch is one write that returns once the disk has it. There is nothing to compact, and what was
 * trimmed goes as whole files. A file grows by zeroes ahead of its records, so that a sync changes
 * nothing but them. What records say, and whether one is missing, is not judged here: a piece that
 * cannot be read is told as such, and whoever walks over all of the journal finds what is lacking.
 */
import * as fs from 'node:fs'
import { mkdir, open, readdir, readFile, rm, truncate } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, OperatingCode, OperatingError } from '../../base/errors.ts'
import { syncFolder } from '../../base/io/file.ts'
import { limits } from '../../base/limits.ts'
import { FRAME_SIZE_BYTES, framed, type JournalRecord, readRecord } from '../journal.ts'

// Plain numbers: a handle that a process forgets on its way out would be an error of its own.
const [openFile, closeFile] = [promisify(fs.open), promisify(fs.close)]
const write = promisify(fs.write)

/** Writes bytes at a place of a file so that the disk has them; tests put faults in between. */
export type WriteSynced = (fd: number, bytes: Buffer, at: number) => Promise<void>

/** A stretch of a file: a record, or bytes that are none. */
export interface FilePiece {
  readonly record: JournalRecord | undefined
  readonly file: number
  /** Where it ends in its file. */
  readonly end: number
}

/** A file by the number of its first record, and what of it is known. */
interface RecordFile {
  readonly first: number
  /** Its newest record. */
  last: number
  /** How much of it is records. */
  sizeBytes: number
  /** Where some of the records begin, in order. */
  readonly places: { readonly sequence: number; readonly at: number }[]
}

/** The file that is written to. */
interface OpenRecordFile {
  readonly fd: number
  readonly file: RecordFile
  /** How much of it is there, its zeroes included. */
  allocatedBytes: number
}

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
const NAME = /^(\d{16})\.records$/
const nameOf = (first: number): string => `${String(first).padStart(16, '0')}.records`

export class JournalFiles {
  readonly #folder: string
  readonly #write: WriteSynced
  #files: RecordFile[] = []
  #open: OpenRecordFile | undefined
  #dropping: Promise<unknown> = Promise.resolve()

  constructor(folder: string, writeSynced: WriteSynced = writeAt) {
    this.#folder = folder
    this.#write = writeSynced
  }

  /** All that is there, file by file in order. What was not walked over is not known later. */
  async *walk(): AsyncGenerator<readonly FilePiece[]> {
    this.#files = []
    const names = await readdir(this.#folder).catch(nothingThere)
    for (const name of names.toSorted()) {
      const first = Number(NAME.exec(name)?.[1])
      if (!(first > 0)) continue
      const file: RecordFile = { first, last: 0, sizeBytes: 0, places: [] }
      this.#files.push(file)
      const pieces = piecesOf(await readFile(join(this.#folder, name)), first)
      let at = 0
      for (const { record, end } of pieces) {
        if (record !== undefined) noteRecord(file, record.sequence, at, end)
        at = end
      }
      yield pieces
    }
  }

  /**
   * Takes away what lies behind a piece, which was not durable or is not to be trusted, and files
   * that have nothing above a number; without a piece, all.
   */
  async settle(end: FilePiece | undefined, floor: number): Promise<void> {
    const kept: RecordFile[] = []
    for (const file of this.#files) {
      const path = this.#pathOf(file)
      const isBehind = end === undefined || file.first > end.file
      if (isBehind || (file.first < end.file && file.last <= floor)) await rm(path, { force: true })
      else if (file.first === end.file) {
        await truncate(path, end.end)
        kept.push({
          first: file.first,
          last: end.record?.sequence ?? 0,
          sizeBytes: end.end,
          places: file.places.filter(({ at }) => at < end.end),
        })
      } else kept.push(file)
    }
    this.#files = kept
  }

  /** Writes records. Resolves once they are durable; rejects where they may not be. */
  async append(records: readonly JournalRecord[]): Promise<void> {
    const first = records[0]!.sequence
    const block = framed(records)
    try {
      const open = await this.#openFor(first, block.length)
      const { fd, file } = open
      const at = file.sizeBytes
      const end = at + block.length
      const isGrowing = end > open.allocatedBytes
      const bytes = isGrowing ? Buffer.concat([block, GROWTH]) : block
      await this.#write(fd, bytes, at)
      if (isGrowing) open.allocatedBytes = at + bytes.length
      noteRecord(file, first, at, end)
      file.last = records.at(-1)!.sequence
    } catch (error) {
      const text = `cannot write ${this.#folder}: ${messageOf(error)}`
      throw new OperatingError(OperatingCode.disk, text, 'unknown', error)
    }
  }

  /** The file that takes so much more: the newest, or a new one. */
  async #openFor(first: number, sizeBytes: number): Promise<OpenRecordFile> {
    const newest = this.#files.at(-1)
    const fits = newest !== undefined && newest.sizeBytes + sizeBytes <= limits.journalFileSizeBytes
    if (this.#open !== undefined && fits) return this.#open
    await this.#letGo()
    const file = fits ? newest : await this.#begin(first)
    const { O_WRONLY, O_DSYNC } = fs.constants
    const fd = await openFile(this.#pathOf(file), O_WRONLY | O_DSYNC)
    this.#open = { fd, file, allocatedBytes: file.sizeBytes }
    return this.#open
  }

  /** Makes a file; it is there after a power loss. */
  async #begin(first: number): Promise<RecordFile> {
    const file: RecordFile = { first, last: 0, sizeBytes: 0, places: [] }
    await mkdir(this.#folder, { recursive: true, mode: FOLDER_MODE })
    const made = await open(this.#pathOf(file), 'w', FILE_MODE)
    await made.close()
    await syncFolder(this.#folder)
    if (this.#files.length === 0) await syncFolder(dirname(this.#folder))
    this.#files.push(file)
    return file
  }

  /** Records from a number on, up to and without another, in order; only those that are here. */
  async read(from: number, to: number): Promise<JournalRecord[]> {
    const records: JournalRecord[] = []
    for (const file of this.#files) {
      if (file.first >= to || file.last < from) continue
      const start = file.places.findLast(({ sequence }) => sequence <= from)?.at ?? 0
      const end = file.places.find(({ sequence }) => sequence >= to)?.at ?? file.sizeBytes
      const bytes = await readPart(this.#pathOf(file), start, end - start)
      for (const { record } of piecesOf(bytes, file.first)) {
        if (record !== undefined && record.sequence >= from && record.sequence < to) {
          records.push(record)
        }
      }
    }
    return records
  }

  /** Takes away, soon, the files whose records are all trimmed; what is left at the next start. */
  drop(floor: number): void {
    const isGone = (file: RecordFile): boolean => file.last <= floor && file !== this.#open?.file
    const gone = this.#files.filter(isGone)
    if (gone.length === 0) return
    this.#files = this.#files.filter(file => !isGone(file))
    const paths = gone.map(file => this.#pathOf(file))
    this.#dropping = this.#dropping
      .then(() => Promise.all(paths.map(path => rm(path, { force: true }))))
      .catch(() => {})
  }

  async close(): Promise<void> {
    await this.#letGo()
    await this.#dropping
  }

  async #letGo(): Promise<void> {
    const { fd } = this.#open ?? {}
    this.#open = undefined
    if (fd !== undefined) await closeFile(fd)
  }

  #pathOf({ first }: Pick<RecordFile, 'first'>): string {
    return join(this.#folder, nameOf(first))
  }
}

const GROWTH = Buffer.alloc(limits.journalFileGrowthBytes)

function noteRecord(file: RecordFile, sequence: number, at: number, end: number): void {
  const { places } = file
  const lastAt = places.at(-1)?.at ?? Number.NEGATIVE_INFINITY
  if (at - lastAt >= limits.journalFilePlaceBytes) places.push({ sequence, at })
  file.last = Math.max(file.last, sequence)
  file.sizeBytes = end
}

/** The records of a file's bytes; where a size cannot be right, the rest is one piece of none. */
function piecesOf(bytes: Buffer, file: number): FilePiece[] {
  const pieces: FilePiece[] = []
  for (let at = 0; at + FRAME_SIZE_BYTES <= bytes.length; ) {
    const sizeBytes = bytes.readUInt32BE(at)
    if (sizeBytes === 0) break
    const start = at + FRAME_SIZE_BYTES
    const end = Math.min(start + sizeBytes, bytes.length)
    pieces.push({ record: readRecord(bytes.subarray(start, start + sizeBytes)), file, end })
    at = end
  }
  return pieces
}

async function readPart(path: string, at: number, sizeBytes: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.allocUnsafeSlow(sizeBytes)
    const { bytesRead } = await file.read(bytes, 0, sizeBytes, at)
    return bytes.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Writes bytes whole at a place of a file. */
export async function writeAt(fd: number, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await write(fd, bytes, done, bytes.length - done, at + done)
    done += bytesWritten
  }
}

function nothingThere(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}
