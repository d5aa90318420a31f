/**
 * The log of a member that does not run: what it holds is taken for decided, to its last entry.
 *
 * Owns reading the files of etcd's log (etcd, server/storage/wal: frames of records, each with a
 * sum that goes on from the one before it) and adding one record behind the last. A member writes
 * an entry before it tells anybody, but how far entries are decided only with the next one, so a
 * member that was killed does not know it of its last entries: others may have been told that they
 * are, and its own data may hold them. Changes no record that is there, and nothing where it finds
 * one that it cannot read: what is damaged is etcd's to judge.
 */
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ProtoReader, ProtoWriter } from '../../../base/protobuf.ts'

/** Which entries of a log were known to be decided, and which are now: the indexes of the last. */
export interface LogTail {
  readonly decided: number
  readonly last: number
}

/**
 * Takes all entries of the log in a folder of etcd's data for decided. Gives what there was to
 * take; undefined, with nothing changed, where the log is damaged or has nothing to say.
 */
export async function decideAll(data: string): Promise<LogTail | undefined> {
  const folder = join(data, 'member', 'wal')
  const names = (await readdir(folder)).filter(name => name.endsWith('.wal')).sort()
  const log: Log = { term: 0, vote: '0', decided: 0, last: 0, end: 0, sum: 0 }
  for (const name of names) {
    if (!readRecords(await readFile(join(folder, name)), log)) return undefined
  }
  const { decided, last, end } = log
  if (names.length === 0 || last === 0) return undefined
  if (last <= decided) return { decided, last: decided }
  const file = await open(join(folder, names.at(-1)!), 'r+')
  try {
    await file.write(stateRecord(log), 0, undefined, end)
    await file.sync()
  } finally {
    await file.close()
  }
  return { decided, last }
}

/** What was read of a log so far. */
interface Log {
  term: number
  /** A member's id has 64 bits. */
  vote: string
  decided: number
  last: number
  /** Where the next record of the newest file belongs, and the sum that it goes on from. */
  end: number
  sum: number
}

const ENTRY = 2
const STATE = 3
const SUM = 4
const SNAPSHOT = 5
const LENGTH_SIZE_BYTES = 8
/** Frames are whole words: the highest byte of a length tells how many bytes were added. */
const HAS_PADDING = 0x80
const PADDING = 0x07

/** Reads the records of one file; false where one is not as it was written. */
function readRecords(bytes: Buffer, log: Log): boolean {
  let at = 0
  for (;;) {
    log.end = at
    if (at + LENGTH_SIZE_BYTES > bytes.length) return true
    const flags = bytes[at + 7]!
    const sizeBytes = bytes.readUIntLE(at, 6)
    // Behind the last record is nothing but zeros.
    if (sizeBytes === 0) return flags === 0
    const padded = sizeBytes + ((flags & HAS_PADDING) === 0 ? 0 : flags & PADDING)
    at += LENGTH_SIZE_BYTES
    if (at + padded > bytes.length) return false
    try {
      if (!readRecord(bytes.subarray(at, at + sizeBytes), log)) return false
    } catch {
      // It is no message.
      return false
    }
    at += padded
  }
}

function readRecord(bytes: Buffer, log: Log): boolean {
  const fields = fieldsOf(bytes)
  const kind = Number(fields.get(1) ?? 0)
  const sum = Number(fields.get(2) ?? 0)
  const data = fields.get(3)
  const content = Buffer.isBuffer(data) ? data : NOTHING
  // A file begins with the sum of the one before it.
  if (kind === SUM) {
    log.sum = sum
    return true
  }
  log.sum = castagnoli(log.sum, content)
  if (log.sum !== sum) return false
  if (kind !== ENTRY && kind !== SNAPSHOT && kind !== STATE) return true
  const parts = fieldsOf(content)
  if (kind === ENTRY) {
    log.last = Number(parts.get(3) ?? 0)
    const term = Number(parts.get(2) ?? 0)
    // Entries are written before the state that has their term.
    if (term > log.term) Object.assign(log, { term, vote: '0' })
  }
  if (kind === SNAPSHOT) log.last = Math.max(log.last, Number(parts.get(1) ?? 0))
  if (kind === STATE) {
    log.term = Number(parts.get(1) ?? 0)
    log.vote = String(parts.get(2) ?? 0)
    log.decided = Number(parts.get(3) ?? 0)
  }
  return true
}

/** The record of a state in which the last entry is decided, in its frame. */
function stateRecord({ term, vote, last, sum }: Log): Buffer {
  const writer = new ProtoWriter()
  writer.number(3, last)
  writer.digits(2, vote)
  writer.number(1, term)
  const state = writer.finish()
  writer.bytes(3, state)
  writer.number(2, castagnoli(sum, state))
  writer.number(1, STATE)
  const record = writer.finish()
  const added = -record.length & PADDING
  const frame = Buffer.alloc(LENGTH_SIZE_BYTES + record.length + added)
  frame.writeUIntLE(record.length, 0, 6)
  if (added > 0) frame[7] = HAS_PADDING | added
  record.copy(frame, LENGTH_SIZE_BYTES)
  return frame
}

const NOTHING = Buffer.alloc(0)

/** The fields of a message by their numbers: numbers as their digits, and bytes. */
function fieldsOf(bytes: Buffer): Map<number, string | Buffer> {
  const LENGTH_DELIMITED = 2
  const reader = new ProtoReader(bytes)
  const fields = new Map<number, string | Buffer>()
  while (reader.at < bytes.length) {
    const head = reader.number()
    if ((head & 7) === 0) fields.set(head >>> 3, reader.digits())
    else if ((head & 7) === LENGTH_DELIMITED) fields.set(head >>> 3, reader.bytes())
    else reader.skip(head)
  }
  return fields
}

/** The sum of bytes that go on from others (CRC-32C, RFC 3720, B.4). */
export function castagnoli(sum: number, bytes: Buffer): number {
  let left = ~sum
  for (const byte of bytes) left = (left >>> 8) ^ SUMS[(left ^ byte) & 0xff]!
  return ~left >>> 0
}

const SUMS = Uint32Array.from({ length: 256 }, (_, byte) => {
  const POLYNOMIAL = 0x82f63b78
  let left = byte
  for (let bit = 0; bit < 8; bit++) left = left & 1 ? (left >>> 1) ^ POLYNOMIAL : left >>> 1
  return left
})
