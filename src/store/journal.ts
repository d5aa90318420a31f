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
import { type Bytes, owned } from '../base/bytes.ts'
import { SECOND_MS } from '../base/duration.ts'
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

/** What a record says: the text of a JSON object with at least one field, as text or in UTF-8. */
export type JournalBody = string | Buffer

/**
 * Makes the record of a write once its rule has decided. Pure; on a shared store it is called once
 * what came out is settled.
 */
export type JournalEntry = (outcome: WriteOutcome) => JournalBody

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
  readonly textSizeBytes: number
  /** The record as it is stored: the chain before it, its text, and a checksum over both. */
  readonly stored: Buffer
}

/** Where records of what was asked and done are kept until devices have them, and after. */
export interface Journal {
  /**
   * Appends a record that belongs to no write of the store. Resolves when it is durable; all that
   * come while a sync is under way share the next, and may share a promise. Rejects with
   * OperatingError as a write does.
   */
  append(body: JournalBody): Promise<void>
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
  trim(below: number, record?: (floor: JournalMark) => JournalBody): Promise<void>
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
export function sealRecord(body: JournalBody, after: JournalMark, timeMs: WallMs): JournalRecord {
  return new Sealing(after).seal(body, timeMs)
}

/** What stands before a record where several lie behind each other: its size. */
export const FRAME_SIZE_BYTES = 4
/** Records lie in pieces of memory of this size; one that is larger has its own. */
const PIECE_SIZE_BYTES = 65_536
/** A character of UTF-16 is at most so many bytes in UTF-8. */
const CHAR_SIZE_BYTES = 3

/**
 * Seals records one behind the other, each laid out once as it is stored and with its size before
 * it, so that what a batch has is one stretch of memory. Nothing of it is changed afterwards.
 */
class Sealing {
  #sequence: number
  #piece: Buffer
  /** Where the next record begins: its size, and then the chain before it, which is there. */
  #at = 0

  constructor({ sequence, chain }: JournalMark) {
    this.#sequence = sequence
    this.#piece = Buffer.allocUnsafeSlow(FRAME_SIZE_BYTES + CHAIN_SIZE_BYTES)
    chain.copy(this.#piece, FRAME_SIZE_BYTES)
  }

  /** The number of the newest record that was sealed. */
  get sequence(): number {
    return this.#sequence
  }

  seal(body: JournalBody, timeMs: WallMs): JournalRecord {
    const isText = typeof body === 'string'
    const isObject = body.length > 2 && (isText ? body.charCodeAt(0) : body[0]) === OPENING
    assert(isObject, 'a journal record is an object with a field')
    const sequence = this.#sequence + 1
    const stamp = `{"v":1,"seq":${sequence},"time":"${timeText(timeMs)}",`
    const piece = this.#roomFor(stamp.length + body.length * (isText ? CHAR_SIZE_BYTES : 1))
    const start = this.#at + FRAME_SIZE_BYTES
    const textAt = start + CHAIN_SIZE_BYTES
    // The stamp ends where the body opens.
    const bodyAt = textAt + stamp.length - 1
    const end = bodyAt + (isText ? piece.write(body, bodyAt) : body.copy(piece, bodyAt))
    piece.write(stamp, textAt, 'latin1')
    const whole = piece.subarray(start, end)
    piece.writeUInt32BE(crc32(whole, CRC_SEED), end)
    piece.writeUInt32BE(end + CRC_SIZE_BYTES - start, this.#at)
    this.#at = end + CRC_SIZE_BYTES
    this.#sequence = sequence
    piece.write(hash('sha256', whole, 'latin1'), this.#at + FRAME_SIZE_BYTES, 'latin1')
    return new Sealed(sequence, timeMs, { piece, start, end })
  }

  /** Memory in which the next record fits, and the chain behind it. */
  #roomFor(textSizeBytes: number): Buffer {
    const head = FRAME_SIZE_BYTES + CHAIN_SIZE_BYTES
    const sizeBytes = 2 * head + textSizeBytes + CRC_SIZE_BYTES
    if (this.#at + sizeBytes <= this.#piece.length) return this.#piece
    const piece = Buffer.allocUnsafeSlow(Math.max(sizeBytes, PIECE_SIZE_BYTES))
    this.#piece.copy(piece, 0, this.#at, this.#at + head)
    this.#piece = piece
    this.#at = 0
    return piece
  }
}

/** Where a record lies: from the chain before it up to its checksum. */
interface Place {
  readonly piece: Buffer
  readonly start: number
  readonly end: number
}

/** A record that was sealed here: what it has are views of where it lies. */
class Sealed implements JournalRecord {
  readonly sequence: number
  readonly timeMs: WallMs
  readonly place: Place

  constructor(sequence: number, timeMs: WallMs, place: Place) {
    this.sequence = sequence
    this.timeMs = timeMs
    this.place = place
  }

  get previousChain(): Buffer {
    const { piece, start } = this.place
    return piece.subarray(start, start + CHAIN_SIZE_BYTES)
  }

  get text(): Buffer {
    const { piece, start, end } = this.place
    return piece.subarray(start + CHAIN_SIZE_BYTES, end)
  }

  get textSizeBytes(): number {
    return this.place.end - this.place.start - CHAIN_SIZE_BYTES
  }

  get stored(): Buffer {
    const { piece, start, end } = this.place
    return piece.subarray(start, end + CRC_SIZE_BYTES)
  }

  /** What the next one begins with. */
  get chain(): Buffer {
    const at = this.place.end + CRC_SIZE_BYTES + FRAME_SIZE_BYTES
    return this.place.piece.subarray(at, at + CHAIN_SIZE_BYTES)
  }
}

/** Records in order as one piece: each behind its size. */
export function framed(records: readonly JournalRecord[]): Buffer {
  const known = framedTogether(records)
  if (known !== undefined) return known
  let sizeBytes = 0
  for (const { stored } of records) sizeBytes += FRAME_SIZE_BYTES + stored.length
  const block = Buffer.allocUnsafe(sizeBytes)
  let at = 0
  for (const { stored } of records) {
    at = block.writeUInt32BE(stored.length, at)
    at += stored.copy(block, at)
  }
  return block
}

/** Where they were sealed behind each other they lie so already. */
function framedTogether(records: readonly JournalRecord[]): Buffer | undefined {
  const [first] = records
  if (!(first instanceof Sealed)) return undefined
  const { piece, start } = first.place
  let next = start
  for (const record of records) {
    if (!(record instanceof Sealed)) return undefined
    const { place } = record
    if (place.piece !== piece || place.start !== next) return undefined
    next = place.end + CRC_SIZE_BYTES + FRAME_SIZE_BYTES
  }
  return piece.subarray(start - FRAME_SIZE_BYTES, next - FRAME_SIZE_BYTES)
}

/** What `framed` put together, as it was stored each; undefined where sizes do not fit. */
export function unframed(block: Buffer): Buffer[] | undefined {
  const stored: Buffer[] = []
  for (let at = 0; at < block.length; ) {
    if (at + FRAME_SIZE_BYTES > block.length) return undefined
    const end = at + FRAME_SIZE_BYTES + block.readUInt32BE(at)
    if (end > block.length) return undefined
    stored.push(block.subarray(at + FRAME_SIZE_BYTES, end))
    at = end
  }
  return stored
}

/** The second of the last time as text, up to the point. */
let lastSecond = { second: -1, text: '' }

function timeText(ms: number): string {
  const second = Math.floor(ms / SECOND_MS)
  if (second !== lastSecond.second) {
    const text = new Date(second * SECOND_MS).toISOString()
    lastSecond = { second, text: text.slice(0, -'000Z'.length) }
  }
  const restMs = Math.floor(ms - second * SECOND_MS)
  return `${lastSecond.text}${String(restMs).padStart(3, '0')}Z`
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

/** A stored record; undefined when it is damaged. */
export function readRecord(stored: Buffer): JournalRecord | undefined {
  const end = stored.length - CRC_SIZE_BYTES
  if (end <= CHAIN_SIZE_BYTES) return undefined
  if (crc32(stored.subarray(0, end), CRC_SEED) !== stored.readUInt32BE(end)) return undefined
  const text = stored.subarray(CHAIN_SIZE_BYTES, end)
  const stamp = stampOf(text)
  if (stamp === undefined) return undefined
  const previousChain = stored.subarray(0, CHAIN_SIZE_BYTES)
  const chain = hash('sha256', stored.subarray(0, end), 'buffer')
  return { ...stamp, previousChain, text, textSizeBytes: text.length, chain, stored }
}

/** The same; undefined when its text says another number, too. */
export function decodeRecord(sequence: number, stored: Buffer): JournalRecord | undefined {
  const record = readRecord(stored)
  return record?.sequence === sequence ? record : undefined
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
  #sealing: Sealing
  #head: JournalMark
  #floor: JournalMark
  readonly #segments: Segment[] = []
  #sizeBytes = 0

  /** An empty journal, of which everything up to a place was trimmed. */
  constructor(floor: JournalMark = JOURNAL_START) {
    this.#floor = floor
    this.#head = floor
    this.#sealing = new Sealing(floor)
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
  seal(body: JournalBody, timeMs: WallMs): JournalRecord {
    return this.#sealing.seal(body, timeMs)
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
    let count = 0
    let sizeBytes = 0
    for (const { sequence, textSizeBytes, timeMs } of records) {
      assert(sequence === this.#head.sequence + ++count, 'records become durable in order')
      sizeBytes += textSizeBytes
      segment.newestMs = Math.max(segment.newestMs, timeMs)
    }
    const { sequence, chain } = records.at(-1)!
    this.#head = { sequence, chain: owned(chain) }
    if (this.#sealing.sequence < sequence) this.#sealing = new Sealing(this.#head)
    segment.end = this.#head
    segment.count += count
    segment.sizeBytes += sizeBytes
    this.#sizeBytes += sizeBytes
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
