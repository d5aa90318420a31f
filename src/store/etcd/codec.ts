/**
 * The messages of etcd that come by the thousand, as bytes and back: ranges, transactions, events.
 *
 * Owns their fields' numbers, which are those of proto/etcd (the library reads and writes all other
 * messages by these files, and is what the tests hold this against). It takes a third of the
 * library's time, which converts each message twice. What is not known is passed over.
 */
import { ProtoReader, ProtoWriter } from '../../base/protobuf.ts'
import type {
  EtcdCompare,
  Header,
  Int64,
  KeyValue,
  RangeRequest,
  RangeResponse,
  RequestOp,
  TxnRequest,
  TxnResponse,
  WatchEvent,
  WatchResponse,
} from './messages.ts'

/** A number below 2^53: a revision, a version, a count. */
class Count implements Int64 {
  readonly #value: number

  constructor(value: number) {
    this.#value = value
  }

  toNumber(): number {
    return this.#value
  }

  toString(): string {
    return String(this.#value)
  }

  isZero(): boolean {
    return this.#value === 0
  }
}

/** The id of a lease, a cluster or a member: any 64 bits. */
class Id implements Int64 {
  readonly #digits: string

  constructor(digits: string) {
    this.#digits = digits
  }

  toNumber(): number {
    return Number(this.#digits)
  }

  toString(): string {
    return this.#digits
  }

  isZero(): boolean {
    return this.#digits === '0'
  }
}

const ZERO: Int64 = new Count(0)
const NO_BYTES = Buffer.alloc(0)
const NO_HEADER: Header = { revision: ZERO, clusterId: ZERO, memberId: ZERO }

// --- requests

const writer = new ProtoWriter()

const SORT_ORDERS = { ASCEND: 1, DESCEND: 2 } as const
const SORT_TARGETS = { KEY: 0, MOD: 3 } as const
const COMPARE_RESULTS = { EQUAL: 0, LESS: 2 } as const
const COMPARE_TARGETS = { CREATE: 1, MOD: 2 } as const

/** RangeRequest. */
export function encodeRange(request: RangeRequest): Buffer {
  writeRange(request)
  return writer.finish()
}

/** TxnRequest. */
export function encodeTxn(request: TxnRequest): Buffer {
  writeTxn(request)
  return writer.finish()
}

function writeRange(request: RangeRequest): void {
  const { key, rangeEnd, limit = 0, revision = 0, sortOrder, sortTarget, keysOnly } = request
  if (keysOnly === true) writer.number(8, 1)
  if (sortTarget !== undefined) writer.number(6, SORT_TARGETS[sortTarget])
  if (sortOrder !== undefined) writer.number(5, SORT_ORDERS[sortOrder])
  if (revision !== 0) writer.number(4, revision)
  if (limit !== 0) writer.number(3, limit)
  if (rangeEnd !== undefined) writer.bytes(2, rangeEnd)
  writer.bytes(1, key)
}

function writeTxn({ compare = [], success, failure = [] }: TxnRequest): void {
  for (let at = failure.length - 1; at >= 0; at--) writeOp(3, failure[at]!)
  for (let at = success.length - 1; at >= 0; at--) writeOp(2, success[at]!)
  for (let at = compare.length - 1; at >= 0; at--) writeCompare(compare[at]!)
}

/** One of a transaction's operations: a message that holds the one that is meant. */
function writeOp(field: number, op: RequestOp): void {
  const { size } = writer
  if ('requestPut' in op) {
    const { key, value, lease } = op.requestPut
    if (lease !== undefined) writer.digits(3, lease)
    writer.bytes(2, value)
    writer.bytes(1, key)
    writer.message(2, size)
  } else if ('requestTxn' in op) {
    writeTxn(op.requestTxn)
    writer.message(4, size)
  } else if ('requestRange' in op) {
    writeRange(op.requestRange)
    writer.message(1, size)
  } else {
    const { key, rangeEnd } = op.requestDeleteRange
    if (rangeEnd !== undefined) writer.bytes(2, rangeEnd)
    writer.bytes(1, key)
    writer.message(3, size)
  }
  writer.message(field, size)
}

function writeCompare(compare: EtcdCompare): void {
  const { key, rangeEnd, target, result, modRevision, createRevision } = compare
  const { size } = writer
  if (rangeEnd !== undefined) writer.bytes(64, rangeEnd)
  if (modRevision !== undefined) writer.number(6, modRevision)
  if (createRevision !== undefined) writer.number(5, createRevision)
  writer.bytes(3, key)
  writer.number(2, COMPARE_TARGETS[target])
  writer.number(1, COMPARE_RESULTS[result])
  writer.message(1, size)
}

// --- answers

/** RangeResponse. Throws a RangeError for bytes that are none. */
export const decodeRange = (bytes: Buffer): RangeResponse =>
  readRange(new ProtoReader(bytes), bytes.length)

/** TxnResponse. Throws a RangeError for bytes that are none. */
export const decodeTxn = (bytes: Buffer): TxnResponse =>
  readTxn(new ProtoReader(bytes), bytes.length)

/** WatchResponse. Throws a RangeError for bytes that are none. */
export function decodeWatch(bytes: Buffer): WatchResponse {
  const reader = new ProtoReader(bytes)
  let header = NO_HEADER
  let created = false
  let canceled = false
  let compactRevision = ZERO
  let cancelReason = ''
  let fragment = false
  const events: WatchEvent[] = []
  while (reader.at < bytes.length) {
    const head = reader.number()
    if (head === 0x5a) events.push(readEvent(reader, reader.enter()))
    else if (head === 0x0a) header = readHeader(reader, reader.enter())
    else if (head === 0x18) created = reader.number() !== 0
    else if (head === 0x20) canceled = reader.number() !== 0
    else if (head === 0x28) compactRevision = new Count(reader.number())
    else if (head === 0x32) cancelReason = reader.text()
    else if (head === 0x38) fragment = reader.number() !== 0
    else reader.skip(head)
  }
  return { header, created, canceled, compactRevision, cancelReason, fragment, events }
}

function readEvent(reader: ProtoReader, end: number): WatchEvent {
  let type: WatchEvent['type'] = 'PUT'
  let kv: KeyValue | undefined
  while (reader.at < end) {
    const head = reader.number()
    if (head === 0x08) type = reader.number() === 0 ? 'PUT' : 'DELETE'
    else if (head === 0x12) kv = readKeyValue(reader, reader.enter())
    else reader.skip(head)
  }
  closed(reader, end)
  if (kv === undefined) throw new RangeError('an event is of no key')
  return { type, kv }
}

function readKeyValue(reader: ProtoReader, end: number): KeyValue {
  let key: Buffer = NO_BYTES
  let value: Buffer = NO_BYTES
  let createRevision = ZERO
  let modRevision = ZERO
  let version = ZERO
  let lease = ZERO
  while (reader.at < end) {
    const head = reader.number()
    if (head === 0x0a) key = reader.bytes()
    else if (head === 0x10) createRevision = new Count(reader.number())
    else if (head === 0x18) modRevision = new Count(reader.number())
    else if (head === 0x20) version = new Count(reader.number())
    else if (head === 0x2a) value = reader.bytes()
    else if (head === 0x30) lease = new Id(reader.digits())
    else reader.skip(head)
  }
  closed(reader, end)
  return { key, value, createRevision, modRevision, version, lease }
}

function readHeader(reader: ProtoReader, end: number): Header {
  let clusterId = ZERO
  let memberId = ZERO
  let revision = ZERO
  while (reader.at < end) {
    const head = reader.number()
    if (head === 0x08) clusterId = new Id(reader.digits())
    else if (head === 0x10) memberId = new Id(reader.digits())
    else if (head === 0x18) revision = new Count(reader.number())
    else reader.skip(head)
  }
  closed(reader, end)
  return { clusterId, memberId, revision }
}

function readRange(reader: ProtoReader, end: number): RangeResponse {
  let header = NO_HEADER
  let more = false
  const kvs: KeyValue[] = []
  while (reader.at < end) {
    const head = reader.number()
    if (head === 0x12) kvs.push(readKeyValue(reader, reader.enter()))
    else if (head === 0x0a) header = readHeader(reader, reader.enter())
    else if (head === 0x18) more = reader.number() !== 0
    else reader.skip(head)
  }
  closed(reader, end)
  return { header, kvs, more }
}

function readTxn(reader: ProtoReader, end: number): TxnResponse {
  let header = NO_HEADER
  let succeeded = false
  const responses: TxnResponse['responses'][number][] = []
  while (reader.at < end) {
    const head = reader.number()
    if (head === 0x1a) responses.push(readOp(reader, reader.enter()))
    else if (head === 0x0a) header = readHeader(reader, reader.enter())
    else if (head === 0x10) succeeded = reader.number() !== 0
    else reader.skip(head)
  }
  closed(reader, end)
  return { header, succeeded, responses }
}

/** What a put or a deletion gave is of no interest. */
const DONE: TxnResponse['responses'][number] = {}

function readOp(reader: ProtoReader, end: number): TxnResponse['responses'][number] {
  let response = DONE
  while (reader.at < end) {
    const head = reader.number()
    if (head === 0x22) response = { responseTxn: readTxn(reader, reader.enter()) }
    else if (head === 0x0a) response = { responseRange: readRange(reader, reader.enter()) }
    else reader.skip(head)
  }
  closed(reader, end)
  return response
}

/** What a message holds must end where the message does. */
function closed({ at }: ProtoReader, end: number): void {
  if (at !== end) throw new RangeError('a field reaches over the end of its message')
}
