/**
 * The audit journal as the level engine keeps it: one row for the records of a batch, beside the
 * store's own.
 *
 * Owns its walk when the store opens: that no record is missing, changed or left over between what
 * the head says was trimmed and what it says came last, and that the end is not behind what the
 * witness saw. Damage is named, and changes nothing, unless the operator accepted it: then the
 * newest stretch that is whole is what stays, and a record says so.
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
import { decodeJournal, type Head, type HeadJournal, JOURNAL_RANGE, journalKey } from './layout.ts'
import { checkOf, type WitnessedJournal } from './witness.ts'

/** A journal that was found whole, or made so. */
export interface OpenedJournal {
  readonly book: JournalBook
  /** What has to be written for that; empty where nothing was wrong. */
  readonly ops: readonly DiskOp[]
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
  { journal }: Head,
  witnessed: WitnessedJournal | undefined,
  isAccepted: boolean,
): Promise<OpenedJournal | { readonly damage: string }> {
  const floor = journal === undefined ? JOURNAL_START : markOf(journal.floor, journal.floorChain)
  const head = journal === undefined ? JOURNAL_START : markOf(journal.sequence, journal.chain)
  const walk = new Walk(floor, head, witnessed)
  const leftOver: Buffer[] = []
  for await (const page of disk.scan(...JOURNAL_RANGE)) {
    for (const [key, block] of page) {
      // A trim whose deletions were lost.
      if (key.compare(journalKey(floor.sequence + 1)) < 0) leftOver.push(key)
      else walk.take(key, block)
    }
  }
  walk.end()
  const { damage, book } = walk
  const ops: DiskOp[] = leftOver.map(key => ({ key, value: undefined }))
  if (damage === undefined) return { book, ops }
  return isAccepted ? mended(walk, ops, damage) : { damage }
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
  readonly #head: JournalMark
  readonly #witnessed: WitnessedJournal | undefined
  #stretch: Buffer[] = []

  constructor(floor: JournalMark, head: JournalMark, witnessed: WitnessedJournal | undefined) {
    this.book = new JournalBook(floor)
    this.#head = head
    this.#witnessed = witnessed
  }

  take(key: Buffer, block: Buffer): void {
    const records = decodeJournal(key, block)
    const wrong = records === undefined ? this.#unread() : this.#wrongWith(records)
    if (records === undefined || wrong !== undefined) {
      this.damage ??= wrong
      this.refused.push(key)
      return
    }
    const [first] = records
    const fault = chainFault(this.book.head, first!)
    if (fault !== undefined) {
      this.damage ??= fault
      this.refused.push(...this.#stretch)
      this.#stretch = []
      this.book = new JournalBook(markBefore(first!))
    }
    this.book.note(records)
    this.#stretch.push(key)
    for (const { timeMs } of records) this.newestMs = wallMs(Math.max(this.newestMs, timeMs))
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
    if (sequence > head.sequence)
      return `record ${sequence} stands behind ${head.sequence}, the last`
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
    if (sequence < seen) this.damage ??= `it ends with record ${sequence}, not ${seen}`
  }
}

const markBefore = ({ sequence, previousChain }: JournalRecord): JournalMark => ({
  sequence: sequence - 1,
  chain: previousChain,
})

/** The newest whole stretch, with a record that tells what was accepted. */
function mended({ book, refused, newestMs }: Walk, ops: DiskOp[], damage: string): OpenedJournal {
  for (const key of refused) ops.push({ key, value: undefined })
  const body = Buffer.from(JSON.stringify({ event: 'damage accepted', damage }), 'utf8')
  const record = book.seal(body, newestMs)
  ops.push({ key: journalKey(record.sequence), value: record.stored })
  book.note([record])
  return { book, ops }
}

/** Records from a number on that are known to be there. */
export async function readRecords(
  disk: OrderedDisk,
  from: number,
  count: number,
): Promise<JournalRecord[]> {
  const records: JournalRecord[] = []
  // The first one may lie in a block that begins before it.
  const start = Math.max(0, from - limits.journalBlockRecords + 1)
  for await (const page of disk.scan(journalKey(start), journalKey(from + count))) {
    for (const [key, block] of page) {
      for (const record of decodeJournal(key, block) ?? []) {
        const expected = from + records.length
        if (record.sequence < from || records.length === count) continue
        if (record.sequence !== expected) throw lost(expected)
        records.push(record)
      }
    }
  }
  if (records.length < count) throw lost(from + records.length)
  return records
}

const lost = (sequence: number): OperatingError =>
  new OperatingError(
    OperatingCode.damaged,
    `record ${sequence} of the audit journal is missing or damaged`,
  )
