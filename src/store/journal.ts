/**
 * The audit journal's port, and the form of its records.
 *
 * Owns what a record is: one JSON object, numbered without gaps, timed, and chained by SHA-256 over
 * the record before and its own bytes, so that one which is removed, changed or moved is noticed
 * wherever the records lie: in the store, in a file, in somebody's archive. What a record says is
 * not known here. Pure but for the port, which is types.
 */
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { type Revision, type WallMs, wallMs } from '../base/brand.ts'
import type { Bytes } from '../base/bytes.ts'
import { limits } from '../base/limits.ts'

/** What a rule came to, as the record of its write tells it. */
export type WriteOutcome =
  | {
      readonly kind: 'written'
      readonly revision: Revision
      /** The full keys of the rows that were put or deleted. */
      readonly keys: readonly Bytes[]
    }
  | { readonly kind: 'unchanged'; readonly revision: Revision }
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }

/**
 * Makes the record of a write once its rule has decided: the text of a JSON object with at least
 * one field. Pure; on a shared store it is called once what came out is settled.
 */
export type JournalEntry = (outcome: WriteOutcome) => Buffer

/** A place in the journal: the number of a record, and the chain up to it. */
export interface JournalMark {
  readonly sequence: number
  readonly chain: Buffer
}

/** Before the first record. */
export const JOURNAL_START: JournalMark = { sequence: 0, chain: Buffer.alloc(32) }

/** A record, sealed: its text has its number and its time in front of what was given. */
export interface JournalRecord extends JournalMark {
  readonly timeMs: WallMs
  readonly previousChain: Buffer
  /** The JSON object, without a line end. */
  readonly text: Buffer
  /** The record as it is stored: the chain before it, its text, and a checksum over both. */
  readonly stored: Buffer
}

/** Where records of what was asked and done are kept until devices have them, and after. */
export interface Journal {
  /**
   * Appends a record that belongs to no write of the store: the text of a JSON object with at
   * least one field. Resolves when it is durable; all that come while a sync is under way share
   * the next. Rejects with OperatingError as a write does.
   */
  append(body: Buffer): Promise<void>
  /** The newest durable record. */
  head(): JournalMark
  /** The newest record that was trimmed away; later ones are there. */
  floor(): JournalMark
  /** Bytes of the records that are there. */
  sizeBytes(): number
  /**
   * Records in order from a number on, at most `limit`; from the first that is there when that
   * one was trimmed. Throws OperatingError `damaged` where one is missing or changed.
   */
  read(from: number, limit: number): Promise<readonly JournalRecord[]>
  /**
   * The number below which records must go so that the others are within a size and not older
   * than a time; 0 for none.
   */
  excess(keepSizeBytes: number, keepFromMs: WallMs): number
  /**
   * Forgets records below a number, as far as whole segments are below it and one batch goes;
   * what stays is still chained. The record of the trim, made for what really goes, is in the same
   * batch. Resolves when that is durable; at once, without a record, where nothing goes.
   */
  trim(below: number, record?: (floor: JournalMark) => Buffer): Promise<void>
  /** Calls `told` whenever records became durable; gives the end of that. */
  onAppend(told: () => void): () => void
  /** Why nothing can be appended, or '' when all is well. */
  fault(): string
}

// --- the form of a record

const CHAIN_SIZE_BYTES = 32
const CRC_SIZE_BYTES = 4
/** What checksums start from: not zero, or a record of zeroes would be whole. */
const CRC_SEED = 0x6a726e6c
const OPENING = '{'.charCodeAt(0)
const STAMP = /^\{"v":1,"seq":([1-9]\d{0,15}),"time":"([\dTZ:.-]{24,27})",/
/** The longest stamp that there can be. */
const STAMP_SIZE_BYTES = 80

/** Seals a record after another one: stamped with its number and time, and chained. */
export function sealRecord(body: Buffer, after: JournalMark, timeMs: WallMs): JournalRecord {
  assert(body.length > 2 && body[0] === OPENING, 'a journal record is an object with a field')
  const sequence = after.sequence + 1
  const stamp = `{"v":1,"seq":${sequence},"time":"${timeText(timeMs)}",`
  const end = CHAIN_SIZE_BYTES + stamp.length + body.length - 1
  // Laid out once as it is stored; text and chain are parts of that.
  const stored = Buffer.allocUnsafe(end + CRC_SIZE_BYTES)
  after.chain.copy(stored, 0)
  const at = CHAIN_SIZE_BYTES + stored.write(stamp, CHAIN_SIZE_BYTES, 'latin1')
  body.copy(stored, at, 1)
  const whole = stored.subarray(0, end)
  stored.writeUInt32BE(crc32(whole, CRC_SEED), end)
  const text = stored.subarray(CHAIN_SIZE_BYTES, end)
  const chain = hash('sha256', whole, 'buffer')
  return { sequence, timeMs, previousChain: after.chain, text, chain, stored }
}

/** The last time as text: records of one millisecond share it. */
let lastTime = { ms: -1, text: '' }

function timeText(ms: number): string {
  if (ms !== lastTime.ms) lastTime = { ms, text: new Date(ms).toISOString() }
  return lastTime.text
}

/** The chain after a record. */
export function chainOver(previousChain: Buffer, text: Buffer): Buffer {
  return hash('sha256', Buffer.concat([previousChain, text]), 'buffer')
}

/** What a text says of its own place; undefined where it is no record. */
export function stampOf(text: Buffer): { sequence: number; timeMs: WallMs } | undefined {
  const match = STAMP.exec(text.toString('latin1', 0, STAMP_SIZE_BYTES))
  if (match === null) return undefined
  const timeMs = Date.parse(match[2]!)
  return Number.isNaN(timeMs) ? undefined : { sequence: Number(match[1]), timeMs: wallMs(timeMs) }
}

/** A stored record; undefined when it is damaged, or when its text says another number. */
export function decodeRecord(sequence: number, stored: Buffer): JournalRecord | undefined {
  const end = stored.length - CRC_SIZE_BYTES
  if (end <= CHAIN_SIZE_BYTES) return undefined
  if (crc32(stored.subarray(0, end), CRC_SEED) !== stored.readUInt32BE(end)) return undefined
  const text = stored.subarray(CHAIN_SIZE_BYTES, end)
  const stamp = stampOf(text)
  if (stamp?.sequence !== sequence) return undefined
  const previousChain = stored.subarray(0, CHAIN_SIZE_BYTES)
  const chain = hash('sha256', stored.subarray(0, end), 'buffer')
  return { sequence, timeMs: stamp.timeMs, previousChain, text, chain, stored }
}

/** What is wrong with a record as the one after a place; undefined when it is that one. */
export function chainFault(after: JournalMark, record: JournalRecord): string | undefined {
  if (record.sequence !== after.sequence + 1) {
    const first = after.sequence + 1
    const last = record.sequence - 1
    return first === last ? `record ${first} is missing` : `records ${first} to ${last} are missing`
  }
  if (record.previousChain.equals(after.chain)) return undefined
  return `record ${record.sequence} does not stand on the one before it: one of them was changed`
}

// --- the book

/** A stretch of records, for trimming. */
interface Segment {
  count: number
  sizeBytes: number
  newestMs: number
  /** The last record of it. */
  end: JournalMark
}

/**
 * Where a journal stands: what was sealed last, what of it is durable, and what is still there.
 * Whoever keeps the records tells it of each that became durable.
 */
export class JournalBook {
  #sealed: JournalMark
  #head: JournalMark
  #floor: JournalMark
  readonly #segments: Segment[] = []
  #sizeBytes = 0

  /** An empty journal, of which everything up to a place was trimmed. */
  constructor(floor: JournalMark = JOURNAL_START) {
    this.#floor = floor
    this.#head = floor
    this.#sealed = floor
  }

  get head(): JournalMark {
    return this.#head
  }

  get floor(): JournalMark {
    return this.#floor
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Seals the next record. */
  seal(body: Buffer, timeMs: WallMs): JournalRecord {
    const record = sealRecord(body, this.#sealed, timeMs)
    this.#sealed = { sequence: record.sequence, chain: record.chain }
    return record
  }

  /**
   * Records are durable, or were found when the journal was opened. What became durable together
   * is of one segment, so a trim never parts it.
   */
  note(records: readonly JournalRecord[]): void {
    if (records.length === 0) return
    const last = this.#segments.at(-1)
    const isOpen =
      last !== undefined &&
      last.count < limits.journalSegmentRecords &&
      last.sizeBytes < limits.journalSegmentSizeBytes
    const segment = isOpen ? last : this.#addSegment()
    for (const record of records) this.#noteIn(segment, record)
  }

  #noteIn(segment: Segment, { sequence, chain, text, timeMs }: JournalRecord): void {
    assert(sequence === this.#head.sequence + 1, 'records become durable in order')
    this.#head = { sequence, chain }
    if (this.#sealed.sequence < sequence) this.#sealed = this.#head
    segment.count++
    segment.sizeBytes += text.length
    segment.newestMs = Math.max(segment.newestMs, timeMs)
    segment.end = this.#head
    this.#sizeBytes += text.length
  }

  #addSegment(): Segment {
    const segment = { count: 0, sizeBytes: 0, newestMs: 0, end: this.#head }
    this.#segments.push(segment)
    return segment
  }

  /** See Journal. */
  excess(keepSizeBytes: number, keepFromMs: WallMs): number {
    let sizeBytes = this.#sizeBytes
    let below = 0
    for (const segment of this.#segments) {
      if (sizeBytes <= keepSizeBytes && segment.newestMs >= keepFromMs) break
      sizeBytes -= segment.sizeBytes
      below = segment.end.sequence + 1
    }
    return below
  }

  /** How far a trim below a number goes: to the end of a segment. Undefined for nowhere. */
  floorFor(below: number): JournalMark | undefined {
    let floor: JournalMark | undefined
    for (const { end } of this.#segments) {
      const count = end.sequence - this.#floor.sequence
      if (end.sequence >= below || count > limits.journalTrimRecords) break
      floor = end
    }
    return floor
  }

  /** Records up to a place are gone. */
  trimmed(floor: JournalMark): void {
    if (floor.sequence <= this.#floor.sequence) return
    const count = this.#segments.findIndex(({ end }) => end.sequence > floor.sequence)
    const gone = this.#segments.splice(0, count === -1 ? this.#segments.length : count)
    for (const { sizeBytes } of gone) this.#sizeBytes -= sizeBytes
    this.#floor = floor
  }
}
