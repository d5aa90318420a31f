/**
 * Whole DNS messages as plain values: for tools, tests, recursion and the gRPC face.
 *
 * Owns the header (RFC 1035 §4.1.1), the sections and EDNS (RFC 6891). Strict: a message with
 * bytes left over or cut off is refused as a whole. Must never throw on what came from outside,
 * nor work longer than the message is long. Not for the hot path, which is questions.ts and
 * template.ts.
 */
import { type Bytes, fromBuffer } from '../../base/bytes.ts'
import { OPT_TYPE_CODE, type TypeName, typeCode, typeName } from './codes.ts'
import { HEADER_SIZE_BYTES, NameReader } from './names.ts'
import { type DnsRecord, readRecord, writeRecordBody } from './records.ts'
import { Malformed, MESSAGE_SIZE_BYTES, Sink } from './sink.ts'

/** A question; `type` may also be `TYPE255` (ANY) and the like. */
export interface MessageQuestion {
  readonly name: string
  readonly type: TypeName
  readonly class: number
}

export interface EdnsOption {
  readonly code: number
  readonly data: Bytes
}

/** The OPT pseudo-record. The message's `rcode` already includes its upper bits. */
export interface Edns {
  /** The largest UDP message that the sender can take. */
  readonly udpSizeBytes: number
  readonly version: number
  readonly dnssecOk: boolean
  readonly options: readonly EdnsOption[]
}

/** A message. Records keep their order; OPT is `edns`, not one of the additionals. */
export interface Message {
  readonly id: number
  readonly response: boolean
  readonly opcode: number
  readonly authoritative: boolean
  readonly truncated: boolean
  readonly recursionDesired: boolean
  readonly recursionAvailable: boolean
  readonly authenticData: boolean
  readonly checkingDisabled: boolean
  /** 0 to 4095; above 15 only with `edns`. */
  readonly rcode: number
  readonly questions: readonly MessageQuestion[]
  readonly answers: readonly DnsRecord[]
  readonly authorities: readonly DnsRecord[]
  readonly additionals: readonly DnsRecord[]
  readonly edns?: Edns
}

/** Reads a message that fills `bytes` exactly, or says why it is none. */
export function parseMessage(bytes: Buffer): Message | Malformed {
  try {
    return parseMessageParts(bytes)
  } catch (thrown) {
    if (thrown instanceof Malformed) return thrown
    throw thrown
  }
}

function parseMessageParts(bytes: Buffer): Message {
  if (bytes.length < HEADER_SIZE_BYTES) throw new Malformed('the header is cut off')
  if (bytes.length > MESSAGE_SIZE_BYTES) throw new Malformed('the message is too long')
  const reader = { names: new NameReader(bytes), offset: HEADER_SIZE_BYTES }
  const questions = times(bytes.readUInt16BE(4), () => readQuestionEntry(reader))
  const answers = times(bytes.readUInt16BE(6), () => nextRecord(reader))
  const authorities = times(bytes.readUInt16BE(8), () => nextRecord(reader))
  const rest = times(bytes.readUInt16BE(10), () => nextRecord(reader))
  if (reader.offset !== bytes.length) throw new Malformed('bytes are left over')
  if (answers.some(isOpt) || authorities.some(isOpt)) throw new Malformed('OPT is out of place')
  const opts = rest.filter(isOpt)
  if (opts.length > 1) throw new Malformed('there is more than one OPT record')
  const flags = bytes.readUInt16BE(2)
  const opt = opts[0]
  return {
    id: bytes.readUInt16BE(0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    authenticData: (flags & 0x0020) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    rcode: (flags & 15) | (opt === undefined ? 0 : (opt.ttlS >>> 24) << 4),
    questions,
    answers,
    authorities,
    additionals: rest.filter(record => !isOpt(record)),
    ...(opt === undefined ? {} : { edns: ednsOf(opt) }),
  }
}

interface MessageReader {
  readonly names: NameReader
  offset: number
}

/** Repeats until done or until `read` throws, which it does where the message ends. */
function times<T>(count: number, read: () => T): T[] {
  const results: T[] = []
  while (results.length < count) results.push(read())
  return results
}

function readQuestionEntry(reader: MessageReader): MessageQuestion {
  const bytes = reader.names.message
  const read = reader.names.read(reader.offset)
  if (read === undefined) throw new Malformed('the name of a question is not well formed')
  if (read.endOffset + 4 > bytes.length) throw new Malformed('a question is cut off')
  reader.offset = read.endOffset + 4
  return {
    name: read.text,
    type: typeName(bytes.readUInt16BE(read.endOffset)),
    class: bytes.readUInt16BE(read.endOffset + 2),
  }
}

function nextRecord(reader: MessageReader): DnsRecord {
  const { record, endOffset } = readRecord(reader.names, reader.offset)
  reader.offset = endOffset
  return record
}

const isOpt = (record: DnsRecord): boolean => typeCode(record.type) === OPT_TYPE_CODE

function ednsOf(opt: DnsRecord): Edns {
  if (opt.name !== '.') throw new Malformed('OPT has an owner other than the root')
  const data = Buffer.from(opt.data as Bytes, 'latin1')
  const options: EdnsOption[] = []
  let at = 0
  while (at < data.length) {
    if (at + 4 > data.length) throw new Malformed('an EDNS option is cut off')
    const end = at + 4 + data.readUInt16BE(at + 2)
    if (end > data.length) throw new Malformed('an EDNS option is cut off')
    options.push({ code: data.readUInt16BE(at), data: fromBuffer(data.subarray(at + 4, end)) })
    at = end
  }
  return {
    udpSizeBytes: opt.class,
    version: (opt.ttlS >>> 16) & 255,
    dnssecOk: (opt.ttlS & 0x8000) !== 0,
    options,
  }
}

/**
 * Writes a message, its names compressed unless `compress` is false. Malformed when a value has
 * no wire form or the whole passes 65535 bytes: nothing is cut here.
 */
export function encodeMessage(message: Message, compress = true): Buffer | Malformed {
  try {
    return encodeMessageParts(message, compress)
  } catch (thrown) {
    if (thrown instanceof Malformed) return thrown
    throw thrown
  }
}

function encodeMessageParts(message: Message, compress: boolean): Buffer {
  const compression = compress ? { suffixes: new Map<Bytes, number>(), learns: true } : undefined
  const sink = new Sink(compression, MESSAGE_SIZE_BYTES)
  const { edns, rcode } = message
  if (!(rcode >= 0 && rcode <= (edns === undefined ? 15 : 4095)) || message.opcode > 15) {
    throw new Malformed('a number is out of range')
  }
  sink.u16(message.id)
  sink.u16(
    (message.response ? 0x8000 : 0) |
      (message.opcode << 11) |
      (message.authoritative ? 0x0400 : 0) |
      (message.truncated ? 0x0200 : 0) |
      (message.recursionDesired ? 0x0100 : 0) |
      (message.recursionAvailable ? 0x0080 : 0) |
      (message.authenticData ? 0x0020 : 0) |
      (message.checkingDisabled ? 0x0010 : 0) |
      (rcode & 15),
  )
  sink.u16(message.questions.length)
  sink.u16(message.answers.length)
  sink.u16(message.authorities.length)
  sink.u16(message.additionals.length + (edns === undefined ? 0 : 1))
  for (const question of message.questions) {
    const code = typeCode(question.type)
    if (code === undefined) throw new Malformed('a question has a type that cannot be written')
    sink.name(question.name, true)
    sink.u16(code)
    sink.u16(question.class)
  }
  for (const section of [message.answers, message.authorities, message.additionals]) {
    for (const record of section) {
      sink.name(record.name, true)
      writeRecordBody(sink, record)
    }
  }
  if (edns !== undefined) encodeEdns(sink, edns, rcode)
  return sink.take()
}

function encodeEdns(sink: Sink, edns: Edns, rcode: number): void {
  sink.u8(0)
  sink.u16(OPT_TYPE_CODE)
  sink.u16(edns.udpSizeBytes)
  sink.u8(rcode >> 4)
  sink.u8(edns.version)
  sink.u16(edns.dnssecOk ? 0x8000 : 0)
  const lengthAt = sink.offset
  sink.u16(0)
  for (const option of edns.options) {
    sink.u16(option.code)
    sink.u16(option.data.length)
    sink.bytes(option.data)
  }
  sink.patchU16(lengthAt, sink.offset - lengthAt - 2)
}
