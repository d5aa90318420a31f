/**
 * The audit journal as the level engine keeps it: records that ride with a write are a row of its
 * batch, all others lie in files (journal-files.ts). One chain goes through both.
 *
 * Owns its walk when the store opens: that no record is missing or changed between what the head
 * says was trimmed and the end, that no row stands behind what the head says came last, and that
 * the end is not behind what head and witness saw. What a crash left unfinished behind it goes.
 * Damage is named, and changes nothing, unless the operator accepted it: then the newest stretch
 * that is whole is what stays, and a record says so.
 */
import { type WallMs, wallMs } from '../../base/brand.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import type { DiskOp, OrderedDisk } from '../../base/io/level.ts'
import { limits } from '../../base/limits.ts'
import {
  chainFault,
  JOURNAL_START,
  JournalBook,
  type JournalMark,
  type JournalRecord,
} from '../journal.ts'
import type { FilePiece, JournalFiles } from './journal-files.ts'
import { decodeJournal, type Head, type HeadJournal, JOURNAL_RANGE, journalKey } from './layout.ts'
import { checkOf, type WitnessedJournal } from './witness.ts'

/** A journal that was found whole, or made so. */
export interface OpenedJournal {
  readonly book: JournalBook
  /** What has to be written for that; empty where nothing was wrong. */
  readonly ops: readonly DiskOp[]
  /** The newest piece of the files that stays. */
  readonly end: FilePiece | undefined
}

/** What the head says of a journal. */
export const headOf = (head: JournalMark, floor: JournalMark): HeadJournal => ({
  sequence: head.sequence,
  chain: head.chain.toString('hex'),
  floor: floor.sequence,
  floorChain: floor.chain.toString('hex'),
})

/** Walks the journal; gives it, or what is wrong with it. */
export async function openJournal(
  disk: OrderedDisk,
  files: JournalFiles,
  { journal }: Head,
  witnessed: WitnessedJournal | undefined,
  isAccepted: boolean,
): Promise<OpenedJournal | { readonly damage: string }> {
  const floor = journal === undefined ? JOURNAL_START : markOf(journal.floor, journal.floorChain)
  const head = journal === undefined ? JOURNAL_START : markOf(journal.sequence, journal.chain)
  const walk = new Walk(floor, head, witnessed)
  const leftOver: Buffer[] = []
  const rows = new Ahead(disk.scan(...JOURNAL_RANGE))
  const pieces = new Ahead(files.walk())
  for (;;) {
    const row = await rows.next()
    const piece = await pieces.next()
    if (row === undefined && piece === undefined) break
    // What cannot be read stands where it was found.
    const isPieceNext =
      piece !== undefined && (row === undefined || !isBefore(row[0], piece.record?.sequence ?? 0))
    if (isPieceNext) {
      pieces.take()
      if ((piece.record?.sequence ?? floor.sequence + 1) > floor.sequence) walk.takePiece(piece)
    } else if (row !== undefined) {
      rows.take()
      // A trim whose deletions were lost.
      if (isBefore(row[0], floor.sequence + 1)) leftOver.push(row[0])
      else walk.take(...row)
    }
  }
  walk.end()
  const { damage, book, filesEnd: end } = walk
  const ops: DiskOp[] = leftOver.map(key => ({ key, value: undefined }))
  if (damage === undefined) return { book, ops, end }
  return isAccepted ? mended(walk, ops, damage) : { damage }
}

const isBefore = (key: Buffer, sequence: number): boolean => key.compare(journalKey(sequence)) < 0

/** Looks at what comes next of pages, without taking it. */
class Ahead<T> {
  readonly #pages: AsyncIterator<readonly T[]>
  #page: readonly T[] = []
  #at = 0

  constructor(pages: AsyncIterable<readonly T[]>) {
    this.#pages = pages[Symbol.asyncIterator]()
  }

  /** The next one; undefined at the end. */
  async next(): Promise<T | undefined> {
    while (this.#at === this.#page.length) {
      const { done, value } = await this.#pages.next()
      if (done === true) return undefined
      this.#page = value
      this.#at = 0
    }
    return this.#page[this.#at]
  }

  take(): void {
    this.#at++
  }
}

const markOf = (sequence: number, chain: string): JournalMark => ({
  sequence,
  chain: Buffer.from(chain, 'hex'),
})

/** One walk over all blocks in order: a block is whole or not, and the first fault is told. */
class Walk {
  /** The newest stretch of whole records. */
  book: JournalBook
  damage: string | undefined
  /** Blocks that are damaged or not ours, and those that stand before a fault. */
  readonly refused: Buffer[] = []
  newestMs: WallMs = wallMs(0)
  /** The newest piece of the files that belongs to it. */
  filesEnd: FilePiece | undefined
  readonly #head: JournalMark
  readonly #witnessed: WitnessedJournal | undefined
  #stretch: Buffer[] = []
  /** What a piece that cannot be read lets miss. */
  #unreadAfter: string | undefined

  constructor(floor: JournalMark, head: JournalMark, witnessed: WitnessedJournal | undefined) {
    this.book = new JournalBook(floor)
    this.#head = head
    this.#witnessed = witnessed
  }

  /** Takes a row. */
  take(key: Buffer, block: Buffer): void {
    const records = decodeJournal(key, block)
    const wrong =
      records === undefined ? this.#unread() : (this.#behind(records) ?? this.#wrongWith(records))
    if (records === undefined || wrong !== undefined) {
      this.damage ??= wrong
      this.refused.push(key)
      return
    }
    this.#add(records)
    this.#stretch.push(key)
  }

  /** Takes a piece of a file. What cannot be read is missed by what follows, if anything does. */
  takePiece(piece: FilePiece): void {
    const { record } = piece
    const wrong = record && this.#notWritten(record)
    this.damage ??= wrong
    if (record === undefined) this.#unreadAfter ??= this.#unread()
    if (record === undefined || wrong !== undefined) return
    this.#add([record])
    this.filesEnd = piece
  }

  #add(records: readonly JournalRecord[]): void {
    const [first] = records
    const fault = chainFault(this.book.head, first!)
    if (fault !== undefined) {
      this.damage ??= this.#unreadAfter ?? fault
      this.refused.push(...this.#stretch)
      this.#stretch = []
      this.book = new JournalBook(markBefore(first!))
    }
    this.#unreadAfter = undefined
    this.book.note(records)
    for (const { timeMs } of records) this.newestMs = wallMs(Math.max(this.newestMs, timeMs))
  }

  /** Rows are written with the head, which says the last of them. */
  #behind(records: readonly JournalRecord[]): string | undefined {
    const { sequence } = records.at(-1)!
    if (sequence <= this.#head.sequence) return undefined
    return `record ${sequence} stands behind ${this.#head.sequence}, the last`
  }

  /** What is wrong inside of a block; undefined where its records are those that were written. */
  #wrongWith(records: readonly JournalRecord[]): string | undefined {
    let before: JournalRecord | undefined
    for (const record of records) {
      const fault = before === undefined ? undefined : chainFault(before, record)
      const wrong = fault ?? this.#notWritten(record)
      if (wrong !== undefined) return wrong
      before = record
    }
    return undefined
  }

  #unread(): string {
    return `the record after ${this.book.head.sequence} does not match its sum`
  }

  /** What shows that a record which looks whole is not the one that was written. */
  #notWritten({ sequence, chain }: JournalRecord): string | undefined {
    const head = this.#head
    if (sequence === head.sequence && !chain.equals(head.chain)) {
      return `record ${sequence} is not the one that was written`
    }
    const seen = this.#witnessed
    if (seen?.sequence !== sequence || checkOf(chain).equals(seen.check)) return undefined
    return `record ${sequence} differs from what its witness saw`
  }

  end(): void {
    const { sequence } = this.book.head
    const seen = Math.max(this.#head.sequence, this.#witnessed?.sequence ?? 0)
    if (sequence >= seen) return
    this.damage ??= this.#unreadAfter ?? `it ends with record ${sequence}, not ${seen}`
  }
}

const markBefore = ({ sequence, previousChain }: JournalRecord): JournalMark => ({
  sequence: sequence - 1,
  chain: previousChain,
})

/** The newest whole stretch, with a record that tells what was accepted. */
function mended(
  { book, refused, newestMs, filesEnd: end }: Walk,
  ops: DiskOp[],
  damage: string,
): OpenedJournal {
  for (const key of refused) ops.push({ key, value: undefined })
  const body = Buffer.from(JSON.stringify({ event: 'damage accepted', damage }), 'utf8')
  const record = book.seal(body, newestMs)
  ops.push({ key: journalKey(record.sequence), value: record.stored })
  book.note([record])
  return { book, ops, end }
}

/** Records from a number on that are known to be there. */
export async function readRecords(
  disk: OrderedDisk,
  files: JournalFiles,
  from: number,
  count: number,
): Promise<JournalRecord[]> {
  const records = await files.read(from, from + count)
  // The first one may lie in a block that begins before it.
  const start = Math.max(0, from - limits.journalBlockRecords + 1)
  for await (const page of disk.scan(journalKey(start), journalKey(from + count))) {
    for (const [key, block] of page) {
      for (const record of decodeJournal(key, block) ?? []) {
        if (record.sequence >= from && record.sequence < from + count) records.push(record)
      }
    }
  }
  records.sort((a, b) => a.sequence - b.sequence)
  for (let at = 0; at < count; at++) {
    if (records[at]?.sequence !== from + at) throw lost(from + at)
  }
  return records
}

const lost = (sequence: number): OperatingError =>
  new OperatingError(
    OperatingCode.damaged,
    `record ${sequence} of the audit journal is missing or damaged`,
  )
