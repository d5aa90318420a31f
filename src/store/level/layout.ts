/**
 * How the level engine lays its records on disk, and how each is checked when read.
 *
 * Owns five kinds of keys: `h` the head, `l<revision>` the change log, `j<sequence>` blocks of the
 * audit journal (whose records are store/journal.ts's), `d<generation><key>` the rows that views
 * hold, `c<generation><key>` where a cold row lies. Every record
 * carries a CRC-32 over all that it says, its own place included, and log records are chained by
 * SHA-256, because LevelDB finds neither torn nor damaged ones. Pure: bytes in, records out; never
 * touches the disk.
 */
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { assert } from '../../base/assert.ts'
import { type Revision, revision } from '../../base/brand.ts'
import type { Bytes } from '../../base/bytes.ts'
import { decodeRecord, framed, type JournalRecord, unframed } from '../journal.ts'
import type { RowWrite } from '../local.ts'
import type { RowHeader } from '../tables.ts'
import type { ColdState } from './cold.ts'

export const HEAD_KEY = Buffer.from('h')
const CHAIN_SIZE_BYTES = 32
export const CHAIN_START = Buffer.alloc(CHAIN_SIZE_BYTES)

/** What the store is now; written in every batch, so it can never be apart from the data. */
export interface Head {
  readonly format: number
  readonly clusterId: string
  readonly generation: number
  readonly indexOffset: number
  readonly revision: number
  /** SHA-256 over all log records up to this one. */
  readonly chain: string
  /** Sum of the row records' checksums, headers included, and the number of rows. */
  readonly sum: number
  readonly rows: number
  /** The log holds what came after this revision, chained onto this. */
  readonly logFloor: number
  readonly logFloorChain: string
  /** Absent where no cold row was ever written. */
  readonly cold?: ColdState
  /** Absent where no record was ever made. */
  readonly journal?: HeadJournal
}

/** The newest record of the audit journal, and the newest that was trimmed, with their chains. */
export interface HeadJournal {
  readonly sequence: number
  readonly chain: string
  readonly floor: number
  readonly floorChain: string
}

export const HEAD_FORMAT = 1

/** The head as it is stored: JSON and its checksum. */
export function encodeHead(head: Head): Buffer {
  const body = Buffer.from(JSON.stringify(head), 'utf8')
  return withCrc(body)
}

/** Undefined when the record is damaged. */
export function decodeHead(record: Buffer): Head | undefined {
  const body = checkedBody(record)
  return body && unlessDamaged(() => JSON.parse(body.toString('utf8')) as Head)
}

/** A sum can fit by chance, or have been made of nonsense: that is damage like any other. */
function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** What checksums start from: not zero, or a record of zeroes would be whole. */
const SEED = 0x67617465

function withCrc(body: Buffer): Buffer {
  const record = Buffer.allocUnsafe(body.length + 4)
  body.copy(record, 0)
  record.writeUInt32BE(crc32(body, SEED), body.length)
  return record
}

function checkedBody(record: Buffer): Buffer | undefined {
  if (record.length < 4) return undefined
  const body = record.subarray(0, -4)
  return crc32(body, SEED) === record.readUInt32BE(record.length - 4) ? body : undefined
}

// --- rows

const ROW_FIXED_SIZE_BYTES = 6 + 6 + 6 + 2 + 4

/** Where a row of a generation lies on disk; `fullKey` is '' for the first of all. */
export const rowKey = (generation: number, fullKey: Bytes): Buffer =>
  keyIn(0x64, generation, fullKey)

/** Where a cold row of a generation lies on disk: apart, since a start reads all of the others. */
export const coldKey = (generation: number, fullKey: Bytes): Buffer =>
  keyIn(0x63, generation, fullKey)

function keyIn(kind: number, generation: number, fullKey: Bytes): Buffer {
  const key = Buffer.allocUnsafe(5 + fullKey.length)
  key[0] = kind
  key.writeUInt32BE(generation, 1)
  key.write(fullKey, 5, 'latin1')
  return key
}

/** The keys of all rows of a generation lie from the first to, not including, the second. */
export const rowRange = (generation: number): [Buffer, Buffer] => [
  rowKey(generation, ''),
  rowKey(generation + 1, ''),
]

/** The same of all cold rows of a generation. */
export const coldRange = (generation: number): [Buffer, Buffer] => [
  coldKey(generation, ''),
  coldKey(generation + 1, ''),
]

/** Where a cold row lies among the files, and what it must be: see cold.ts. */
export interface ColdEntry {
  readonly file: number
  readonly at: number
  readonly sizeBytes: number
  /** The encoded row alone: what an archive takes of it. */
  readonly bodySizeBytes: number
  readonly modRevision: Revision
  /** The checksum that its record carries. */
  readonly sum: number
}

const COLD_ENTRY_SIZE_BYTES = 4 + 6 + 4 + 4 + 6 + 4

/** An entry as it is stored under a key, its checksum over both at the end. */
export function encodeColdEntry(key: Buffer, entry: ColdEntry): Buffer {
  const bytes = Buffer.allocUnsafe(COLD_ENTRY_SIZE_BYTES + 4)
  let at = bytes.writeUInt32BE(entry.file, 0)
  at = bytes.writeUIntBE(entry.at, at, 6)
  at = bytes.writeUInt32BE(entry.sizeBytes, at)
  at = bytes.writeUInt32BE(entry.bodySizeBytes, at)
  at = bytes.writeUIntBE(entry.modRevision, at, 6)
  at = bytes.writeUInt32BE(entry.sum, at)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, at), crc32(key, SEED)), at)
  return bytes
}

/** Undefined when it is damaged, or stands under another key. */
export function decodeColdEntry(key: Buffer, bytes: Buffer): ColdEntry | undefined {
  if (bytes.length !== COLD_ENTRY_SIZE_BYTES + 4) return undefined
  const crc = crc32(bytes.subarray(0, COLD_ENTRY_SIZE_BYTES), crc32(key, SEED))
  if (crc !== bytes.readUInt32BE(COLD_ENTRY_SIZE_BYTES)) return undefined
  return {
    file: bytes.readUInt32BE(0),
    at: bytes.readUIntBE(4, 6),
    sizeBytes: bytes.readUInt32BE(10),
    bodySizeBytes: bytes.readUInt32BE(14),
    modRevision: revision(bytes.readUIntBE(18, 6)),
    sum: bytes.readUInt32BE(24),
  }
}

/** Behind the rows of all generations. */
export const ROWS_END = Buffer.from('e')

/** The full key of a row, from its key on disk. */
export const fullKeyOf = (diskKey: Buffer): Bytes => diskKey.toString('latin1', 5)

const HEADER_SIZE_BYTES = 20

/**
 * A row as it is stored: header, checksum over header, key and value, then the value. Where the
 * value has room before it, that is filled in, and nothing is copied.
 */
export function encodeRow(write: Omit<RowWrite, 'value'>, value: Buffer): Buffer {
  const header = headerOf(write, write.at)
  const start = header.length + 4
  const record = write.roomy ?? Buffer.allocUnsafe(start + value.length)
  assert(record.length === start + value.length, 'the room before a value is that of its header')
  header.copy(record)
  record.writeUInt32BE(crc32(header, write.sum), header.length)
  if (write.roomy === undefined) value.copy(record, start)
  return record
}

/** Where headers are written, one after the other; hardly any names a lease. */
const plainHeader = Buffer.alloc(HEADER_SIZE_BYTES)

/** The header of a row. The next one may take its place. */
function headerOf(
  { createRevision, version, lease }: Pick<RowHeader, 'createRevision' | 'version' | 'lease'>,
  modRevision: number,
): Buffer {
  const header = lease === '' ? plainHeader : Buffer.alloc(HEADER_SIZE_BYTES + lease.length)
  header.writeUIntBE(createRevision, 0, 6)
  header.writeUIntBE(modRevision, 6, 6)
  header.writeUIntBE(version, 12, 6)
  header.writeUInt16BE(lease.length, 18)
  if (lease !== '') header.write(lease, HEADER_SIZE_BYTES, 'latin1')
  return header
}

/**
 * The checksum that a row's record carries: over key, value and header. The head keeps their sum,
 * so that a record which is whole but of another time is noticed.
 */
export const recordSum = (cell: RowHeader & { sum: number }): number =>
  crc32(headerOf(cell, cell.modRevision), cell.sum)

/** The same, as it stands in an encoded row with that lease. */
export const sumIn = (record: Buffer, lease: string): number =>
  record.readUInt32BE(HEADER_SIZE_BYTES + lease.length)

/**
 * A row as it lay on disk; undefined when its record is damaged. `sumOf` gives the checksum of key
 * and value.
 */
export function decodeRow(
  record: Buffer,
  sumOf: (value: Buffer) => number,
): { header: RowHeader; value: Buffer; recordSum: number } | undefined {
  if (record.length < ROW_FIXED_SIZE_BYTES) return undefined
  const leaseEnd = 20 + record.readUInt16BE(18)
  if (leaseEnd + 4 > record.length) return undefined
  const value = record.subarray(leaseEnd + 4)
  const crc = crc32(record.subarray(0, leaseEnd), sumOf(value))
  if (crc !== record.readUInt32BE(leaseEnd)) return undefined
  const header: RowHeader = {
    createRevision: revision(record.readUIntBE(0, 6)),
    modRevision: revision(record.readUIntBE(6, 6)),
    version: record.readUIntBE(12, 6),
    lease: record.toString('latin1', 20, leaseEnd),
  }
  return { header, value, recordSum: crc }
}

// --- the change log

/** One record of the log: all changes of one batch, and the scopes that it touched. */
export interface LogRecord {
  readonly first: Revision
  readonly last: Revision
  readonly previousChain: Buffer
  readonly writes: readonly RowWrite[]
  readonly touched: ReadonlyMap<string, Revision>
}

/** Where the log record that begins with a revision lies on disk: in revision order. */
export function logKey(first: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = 0x6c
  key.writeUIntBE(first, 1, 6)
  return key
}

export const LOG_RANGE: [Buffer, Buffer] = [Buffer.from('l'), Buffer.from('m')]

/** Where the block of the audit journal that begins with a record lies on disk: in their order. */
export function journalKey(sequence: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = 0x6a
  key.writeUIntBE(sequence, 1, 6)
  return key
}

/** Records of the journal as one row: each behind its size; one alone needs none. */
export function encodeJournal(records: readonly JournalRecord[]): Buffer {
  if (records.length === 1) return records[0]!.stored
  return framed(records)
}

/** The records of a row; undefined when one is damaged or stands where another belongs. */
export function decodeJournal(key: Buffer, block: Buffer): JournalRecord[] | undefined {
  if (key.length !== 7) return undefined
  const first = key.readUIntBE(1, 6)
  const alone = decodeRecord(first, block)
  if (alone !== undefined) return [alone]
  const stored = unframed(block)
  if (stored === undefined || stored.length < 2) return undefined
  const records: JournalRecord[] = []
  for (const each of stored) {
    const record = decodeRecord(first + records.length, each)
    if (record === undefined) return undefined
    records.push(record)
  }
  return records
}

export const JOURNAL_RANGE: [Buffer, Buffer] = [Buffer.from('j'), Buffer.from('k')]

const WRITE_FIXED_SIZE_BYTES = 6 + 6 + 6 + 4 + 2 + 4
const DELETED = 0xffffffff

/** A log record as it is stored, its checksum at the end. */
export function encodeLog(record: LogRecord): Buffer {
  const touched = Buffer.from(touchedText(record.touched), 'utf8')
  let sizeBytes = 6 + 6 + CHAIN_SIZE_BYTES + 4 + touched.length + 4 + 4
  for (const { fullKey, lease, value } of record.writes) {
    sizeBytes += WRITE_FIXED_SIZE_BYTES + fullKey.length + lease.length + (value?.length ?? 0)
  }
  const buffer = Buffer.allocUnsafe(sizeBytes)
  let at = buffer.writeUIntBE(record.first, 0, 6)
  at = buffer.writeUIntBE(record.last, at, 6)
  at += record.previousChain.copy(buffer, at)
  at = buffer.writeUInt32BE(touched.length, at)
  at += touched.copy(buffer, at)
  at = buffer.writeUInt32BE(record.writes.length, at)
  for (const write of record.writes) at = encodeWrite(buffer, at, write)
  buffer.writeUInt32BE(crc32(buffer.subarray(0, at), SEED), at)
  return buffer
}

/** As JSON: a list of pairs. */
function touchedText(touched: ReadonlyMap<string, Revision>): string {
  let text = ''
  // Not by its iterator, which would make two objects for each of them.
  touched.forEach((at, name) => {
    text += `${text === '' ? '[' : ',['}${JSON.stringify(name)},${at}]`
  })
  return `[${text}]`
}

function encodeWrite(buffer: Buffer, start: number, write: RowWrite): number {
  let at = buffer.writeUIntBE(write.at, start, 6)
  at = buffer.writeUIntBE(write.createRevision, at, 6)
  at = buffer.writeUIntBE(write.version, at, 6)
  at = buffer.writeUInt32BE(write.fullKey.length, at)
  at += buffer.write(write.fullKey, at, 'latin1')
  at = buffer.writeUInt16BE(write.lease.length, at)
  if (write.lease !== '') at += buffer.write(write.lease, at, 'latin1')
  at = buffer.writeUInt32BE(write.value?.length ?? DELETED, at)
  if (write.value !== undefined) at += write.value.copy(buffer, at)
  return at
}

/** A log record; undefined when it is damaged or stands under another revision's key. */
export function decodeLog(key: Buffer, record: Buffer): LogRecord | undefined {
  const body = checkedBody(record)
  if (body === undefined || key.length !== 7) return undefined
  return unlessDamaged(() => decodeLogBody(body, key.readUIntBE(1, 6)))
}

/** Throws where the body ends too early. */
function decodeLogBody(body: Buffer, keyRevision: number): LogRecord | undefined {
  const first = revision(body.readUIntBE(0, 6))
  if (first !== keyRevision) return undefined
  const last = revision(body.readUIntBE(6, 6))
  let at = 12
  const previousChain = body.subarray(at, at + CHAIN_SIZE_BYTES)
  at += CHAIN_SIZE_BYTES
  const touchedSizeBytes = body.readUInt32BE(at)
  at += 4
  const touched = new Map<string, Revision>(
    JSON.parse(body.toString('utf8', at, at + touchedSizeBytes)),
  )
  at += touchedSizeBytes
  const count = body.readUInt32BE(at)
  at += 4
  const writes: RowWrite[] = []
  for (let i = 0; i < count; i++) {
    const decoded = decodeWrite(body, at)
    writes.push(decoded.write)
    at = decoded.next
  }
  return at === body.length ? { first, last, previousChain, writes, touched } : undefined
}

function decodeWrite(body: Buffer, start: number): { write: RowWrite; next: number } {
  const keyAt = start + 22
  const keyEnd = keyAt + body.readUInt32BE(start + 18)
  const leaseEnd = keyEnd + 2 + body.readUInt16BE(keyEnd)
  const valueSizeBytes = body.readUInt32BE(leaseEnd)
  const valueAt = leaseEnd + 4
  const next = valueSizeBytes === DELETED ? valueAt : valueAt + valueSizeBytes
  const write: RowWrite = {
    at: revision(body.readUIntBE(start, 6)),
    createRevision: revision(body.readUIntBE(start + 6, 6)),
    version: body.readUIntBE(start + 12, 6),
    fullKey: body.toString('latin1', keyAt, keyEnd),
    lease: body.toString('latin1', keyEnd + 2, leaseEnd),
    value: valueSizeBytes === DELETED ? undefined : body.subarray(valueAt, next),
    sum: 0,
  }
  return { write, next }
}

/** The chain after a log record: it stands on the record before by the chain inside. */
export function chainAfter(encodedLog: Buffer): Buffer {
  return hash('sha256', encodedLog, 'buffer')
}
