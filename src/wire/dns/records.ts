/**
 * Resource records as plain values, and their wire form.
 *
 * Owns reading and writing one record: RFC 1035 §3.2 and §3.3, 2782 (SRV), 3596 (AAAA), 3597
 * (types that are not known here). Must never compress a name where the record's specification
 * forbids it: an SRV target is always written in full.
 */
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import { addressFromText, addressToText } from './addresses.ts'
import { ClassCode, OPT_TYPE_CODE, type TypeName, typeCode, typeName } from './codes.ts'
import type { NameReader } from './names.ts'
import { Malformed, type Sink } from './sink.ts'

export interface Srv {
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly target: string
}

export interface Mx {
  readonly preference: number
  readonly exchange: string
}

export interface Soa {
  readonly mname: string
  readonly rname: string
  readonly serial: number
  readonly refreshS: number
  readonly retryS: number
  readonly expireS: number
  /** How long a negative answer may be kept (RFC 2308 §4). */
  readonly minimumS: number
}

/**
 * Data by type. Names and addresses are text; a TXT record is its character-strings as byte
 * strings, of which one above 255 bytes is written as several; other types, and every type in a
 * class other than IN, are `TYPE<number>` with their raw data.
 */
export type RecordData =
  | { readonly type: 'A' | 'AAAA'; readonly data: string }
  | { readonly type: 'NS' | 'CNAME' | 'PTR'; readonly data: string }
  | { readonly type: 'TXT'; readonly data: readonly Bytes[] }
  | { readonly type: 'SRV'; readonly data: Srv }
  | { readonly type: 'MX'; readonly data: Mx }
  | { readonly type: 'SOA'; readonly data: Soa }
  | { readonly type: `TYPE${number}`; readonly data: Bytes }

/** One record. `name` is text as in names.ts, its letter case is kept; `ttlS` is 0 to 2^31-1. */
export type DnsRecord = {
  readonly name: string
  readonly class: number
  readonly ttlS: number
} & RecordData

const TTL_MAX_S = 0x7fffffff
const STRING_SIZE_BYTES = 255

/**
 * Writes all of a record but its owner name: type, class, TTL, length and data. Gives the size
 * of the name that ends the data as it was written (the target of NS, CNAME, PTR, MX, SRV), or 0.
 * Throws Malformed where a value has no wire form.
 */
export function writeRecordBody(sink: Sink, record: DnsRecord): number {
  const code = typeCode(record.type)
  if (code === undefined || code === OPT_TYPE_CODE) {
    throw new Malformed('a record has a type that cannot be written')
  }
  if (!(record.ttlS >= 0 && record.ttlS <= TTL_MAX_S)) throw new Malformed('a TTL is out of range')
  sink.u16(code)
  sink.u16(record.class)
  sink.u32(Math.trunc(record.ttlS))
  const lengthAt = sink.offset
  sink.u16(0)
  const targetSizeBytes = writeData(sink, record)
  sink.patchU16(lengthAt, sink.offset - lengthAt - 2)
  return targetSizeBytes
}

/** Writes the data alone; gives the size of a name at its end, or 0. */
function writeData(sink: Sink, record: RecordData): number {
  switch (record.type) {
    case 'A':
    case 'AAAA': {
      const address = addressFromText(record.data)
      if (address?.length !== (record.type === 'A' ? 4 : 16)) {
        throw new Malformed('an address does not fit its record')
      }
      sink.bytes(address)
      return 0
    }
    case 'NS':
    case 'CNAME':
    case 'PTR':
      return sink.name(record.data, true)
    case 'MX':
      sink.u16(record.data.preference)
      return sink.name(record.data.exchange, true)
    case 'SRV':
      sink.u16(record.data.priority)
      sink.u16(record.data.weight)
      sink.u16(record.data.port)
      // RFC 2782: "name compression is not to be used for this field".
      return sink.name(record.data.target, false)
    case 'TXT':
      writeStrings(sink, record.data)
      return 0
    case 'SOA':
      sink.name(record.data.mname, true)
      sink.name(record.data.rname, true)
      sink.u32(record.data.serial)
      sink.u32(record.data.refreshS)
      sink.u32(record.data.retryS)
      sink.u32(record.data.expireS)
      sink.u32(record.data.minimumS)
      return 0
    default:
      sink.bytes(record.data)
      return 0
  }
}

function writeStrings(sink: Sink, strings: readonly Bytes[]): void {
  // RFC 1035 §3.3.14: one or more character-strings.
  for (const string of strings.length === 0 ? [''] : strings) {
    let at = 0
    do {
      const piece = string.slice(at, at + STRING_SIZE_BYTES)
      sink.u8(piece.length)
      sink.bytes(piece)
      at += STRING_SIZE_BYTES
    } while (at < string.length)
  }
}

/** A record that was read and the offset behind it. */
export interface ReadRecord {
  readonly record: DnsRecord
  readonly endOffset: number
}

/** Reads the record at `offset`, OPT with its fields as they are; throws Malformed. */
export function readRecord(names: NameReader, offset: number): ReadRecord {
  const message = names.message
  const owner = names.read(offset)
  if (owner === undefined) throw new Malformed('an owner name is not well formed')
  const at = owner.endOffset
  if (at + 10 > message.length) throw new Malformed('a record is cut off')
  const dataOffset = at + 10
  const endOffset = dataOffset + message.readUInt16BE(at + 8)
  if (endOffset > message.length) throw new Malformed('the data of a record is cut off')
  const code = message.readUInt16BE(at)
  const classCode = message.readUInt16BE(at + 2)
  const data = readData(names, code, classCode, dataOffset, endOffset)
  const ttlS = message.readUInt32BE(at + 4)
  // RFC 2181 §8: a TTL with its top bit set is treated as zero (in OPT that field is no TTL).
  const isTtl = code !== OPT_TYPE_CODE && ttlS > TTL_MAX_S
  return {
    record: {
      name: owner.text,
      class: classCode,
      ttlS: isTtl ? 0 : ttlS,
      ...data,
    },
    endOffset,
  }
}

function readData(
  names: NameReader,
  code: number,
  classCode: number,
  start: number,
  end: number,
): RecordData {
  const message = names.message
  const type: TypeName = typeName(code)
  if (classCode === ClassCode.IN) {
    switch (type) {
      case 'A':
      case 'AAAA':
        if (end - start !== (type === 'A' ? 4 : 16)) throw new Malformed('an address is cut off')
        return { type, data: addressToText(fromBuffer(message.subarray(start, end))) }
      case 'NS':
      case 'CNAME':
      case 'PTR':
        return { type, data: readLastName(names, start, end) }
      case 'TXT':
        return { type, data: readStrings(message, start, end) }
      case 'SRV':
        return { type, data: readSrv(names, start, end) }
      case 'MX':
        return { type, data: readMx(names, start, end) }
      case 'SOA':
        return { type, data: readSoa(names, start, end) }
    }
  }
  return { type: `TYPE${code}`, data: fromBuffer(message.subarray(start, end)) }
}

/** A name that must end exactly where the data ends. */
function readLastName(names: NameReader, start: number, end: number): string {
  const name = names.read(start)
  if (name?.endOffset !== end) throw new Malformed('a name in data is not well formed')
  return name.text
}

function readStrings(message: Buffer, start: number, end: number): Bytes[] {
  const strings: Bytes[] = []
  let at = start
  while (at < end) {
    const stop = at + 1 + message[at]!
    if (stop > end) throw new Malformed('a character-string is cut off')
    strings.push(fromBuffer(message.subarray(at + 1, stop)))
    at = stop
  }
  if (strings.length === 0) throw new Malformed('a TXT record holds no string')
  return strings
}

function readSrv(names: NameReader, start: number, end: number): Srv {
  if (end - start < 7) throw new Malformed('an SRV record is cut off')
  return {
    priority: names.message.readUInt16BE(start),
    weight: names.message.readUInt16BE(start + 2),
    port: names.message.readUInt16BE(start + 4),
    // Written in full by the rules, but read with pointers: RFC 3597 §4 asks readers to.
    target: readLastName(names, start + 6, end),
  }
}

function readMx(names: NameReader, start: number, end: number): Mx {
  if (end - start < 3) throw new Malformed('an MX record is cut off')
  return {
    preference: names.message.readUInt16BE(start),
    exchange: readLastName(names, start + 2, end),
  }
}

function readSoa(names: NameReader, start: number, end: number): Soa {
  const message = names.message
  const mname = names.read(start)
  const rname = mname && names.read(mname.endOffset)
  if (mname === undefined || rname === undefined || rname.endOffset + 20 !== end) {
    throw new Malformed('an SOA record is not well formed')
  }
  const at = rname.endOffset
  return {
    mname: mname.text,
    rname: rname.text,
    serial: message.readUInt32BE(at),
    refreshS: message.readUInt32BE(at + 4),
    retryS: message.readUInt32BE(at + 8),
    expireS: message.readUInt32BE(at + 12),
    minimumS: message.readUInt32BE(at + 16),
  }
}
