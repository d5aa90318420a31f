/**
 * The question of a datagram, read on the hot path into one record that is used again and again.
 *
 * Owns the checks that a query must pass before it is looked up, and the cache key. Must not
 * allocate more than the key, follow pointers, nor look at a byte more often than a bounded
 * number of times. Follows RFC 1035 §4.1, 6891 (EDNS), 7871 (client subnet), 7873 (cookies).
 */
import type { Bytes } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import { OPT_TYPE_CODE, OptionCode, Rcode } from './codes.ts'
import { HEADER_SIZE_BYTES, LABEL_SIZE_BYTES } from './names.ts'

/** What `readQuestion` gives for a packet that gets no answer at all. */
export const DROP = -1

/**
 * What a query asks. All offsets are into the query's buffer, which must be kept unchanged until
 * the answer is written.
 */
export interface Question {
  /** Offset behind the first question; 12 (HEADER_SIZE_BYTES) when none could be read. */
  endOffset: number
  typeCode: number
  classCode: number
  /**
   * The question's bytes with the letters of its name in lower case: the name in wire form
   * (`labelsOf` takes the key as it is), two bytes of type, two of class. One character a byte.
   * Empty when no question could be read.
   */
  key: Bytes
  hasEdns: boolean
  /** The largest datagram that the asker takes: as advertised, but at least 512. */
  udpSizeBytes: number
  dnssecOk: boolean
  /** Offset of the client subnet's data (family, prefix lengths, address); 0 when there is none. */
  subnetOffset: number
  subnetSizeBytes: number
  /** Offset of the cookie's data (8 bytes, or 16 to 40 with the server's part); 0 when none. */
  cookieOffset: number
  cookieSizeBytes: number
  /** Whether the answer carries a cookie; the face says so after it has made one. */
  hasServerCookie: boolean
  /** The server's part of it. */
  readonly serverCookie: Buffer
  /** An option of the answer, whole, such as `extendedErrorOption` gives; mostly empty. */
  extendedError: Buffer
}

/** The parts of a cookie (RFC 7873): what the asker chose, and what we make (RFC 9018 §4). */
export const CLIENT_COOKIE_SIZE_BYTES = 8
export const SERVER_COOKIE_SIZE_BYTES = 16

/** An empty record for `readQuestion` to fill; one is enough for a socket. */
export function newQuestion(): Question {
  return {
    endOffset: HEADER_SIZE_BYTES,
    typeCode: 0,
    classCode: 0,
    key: '',
    hasEdns: false,
    udpSizeBytes: limits.dnsUdpPlainSizeBytes,
    dnssecOk: false,
    subnetOffset: 0,
    subnetSizeBytes: 0,
    cookieOffset: 0,
    cookieSizeBytes: 0,
    hasServerCookie: false,
    serverCookie: Buffer.alloc(SERVER_COOKIE_SIZE_BYTES),
    extendedError: NO_OPTION,
  }
}

const NO_OPTION = Buffer.alloc(0)

/** The EDNS option that says why an answer is what it is (RFC 8914 §2). `text` is for people. */
export function extendedErrorOption(code: number, text: string): Buffer {
  const words = Buffer.from(text, 'utf8')
  const option = Buffer.alloc(EXTENDED_ERROR_HEAD_SIZE_BYTES + words.length)
  option.writeUInt16BE(OptionCode.extendedError, 0)
  option.writeUInt16BE(2 + words.length, 2)
  option.writeUInt16BE(code, 4)
  words.copy(option, EXTENDED_ERROR_HEAD_SIZE_BYTES)
  return option
}

const EXTENDED_ERROR_HEAD_SIZE_BYTES = 6

const keyBytes = Buffer.alloc(limits.dnsNameSizeBytes + 4)

/**
 * Reads the query in `query` (all of it) into `into`, every field of which is set anew. Gives
 * - `Rcode.noError`: go on, the question is whole;
 * - `DROP`: shorter than a header, or itself a response; an answer could start a loop;
 * - another `Rcode`: answer that with `writeBare`: notImp for opcodes other than QUERY, refused
 *   for no question, badVers for an EDNS version above 0, formErr for everything malformed.
 * Of several questions the first counts. Records other than OPT, and bytes after the message, are
 * passed over.
 */
export function readQuestion(query: Buffer, into: Question): number {
  into.endOffset = HEADER_SIZE_BYTES
  into.key = ''
  into.hasEdns = false
  into.udpSizeBytes = limits.dnsUdpPlainSizeBytes
  into.dnssecOk = false
  into.subnetOffset = 0
  into.subnetSizeBytes = 0
  into.cookieOffset = 0
  into.cookieSizeBytes = 0
  into.hasServerCookie = false
  into.extendedError = NO_OPTION
  into.typeCode = 0
  into.classCode = 0
  if (query.length < HEADER_SIZE_BYTES || (query[2]! & 0x80) !== 0) return DROP
  if ((query[2]! & 0x78) !== 0) return Rcode.notImp
  const questions = u16(query, 4)
  if (questions === 0) return Rcode.refused
  const nameSize = readQuestionName(query)
  const nameEnd = HEADER_SIZE_BYTES + nameSize
  if (nameSize === 0 || nameEnd + 4 > query.length) return Rcode.formErr
  for (let i = 0; i < 4; i++) keyBytes[nameSize + i] = query[nameEnd + i]!
  into.key = keyBytes.toString('latin1', 0, nameSize + 4)
  into.typeCode = u16(query, nameEnd)
  into.classCode = u16(query, nameEnd + 2)
  into.endOffset = nameEnd + 4
  const others = u16(query, 6) + u16(query, 8)
  const additionals = u16(query, 10)
  if (questions === 1 && others + additionals === 0) return Rcode.noError
  return readQuestionRest(query, into, questions - 1, others, additionals)
}

/**
 * Copies the first name into `keyBytes` with its letters lowered. Gives its size with the root's
 * octet, 0 if malformed. A pointer is: nothing stands before this name to point at.
 */
function readQuestionName(query: Buffer): number {
  const end = query.length
  let at = HEADER_SIZE_BYTES
  let size = 0
  while (at < end) {
    const label = query[at]!
    if (label === 0) {
      keyBytes[size] = 0
      return size + 1
    }
    const labelEnd = at + 1 + label
    // One byte is kept for the root's octet, in the name's 255 as in the packet.
    if (label > LABEL_SIZE_BYTES || labelEnd >= end) return 0
    if (size + 2 + label > limits.dnsNameSizeBytes) return 0
    keyBytes[size++] = label
    for (at++; at < labelEnd; at++) {
      const byte = query[at]!
      keyBytes[size++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    }
  }
  return 0
}

/** Walks what follows the first question, up to the last additional record. */
function readQuestionRest(
  query: Buffer,
  into: Question,
  questions: number,
  others: number,
  additionals: number,
): number {
  let at = into.endOffset
  for (let i = 0; i < questions; i++) {
    const fields = skipName(query, at)
    if (fields < 0 || fields + 4 > query.length) return Rcode.formErr
    at = fields + 4
  }
  for (let i = 0; i < others + additionals; i++) {
    const fields = skipName(query, at)
    if (fields < 0 || fields + 10 > query.length) return Rcode.formErr
    const end = fields + 10 + u16(query, fields + 8)
    if (end > query.length) return Rcode.formErr
    if (u16(query, fields) === OPT_TYPE_CODE) {
      // RFC 6891 §6.1.1: OPT only among the additionals, once at most, owned by the root.
      if (i < others || into.hasEdns || fields !== at + 1) return Rcode.formErr
      const rcode = readEdns(query, into, fields, end)
      if (rcode !== Rcode.noError) return rcode
    }
    at = end
  }
  return Rcode.noError
}

/** Offset behind the name at `at`, -1 when malformed; pointers are checked, not followed. */
export function skipName(query: Buffer, at: number): number {
  const limit = at + limits.dnsNameSizeBytes
  let here = at
  while (here < query.length && here < limit) {
    const label = query[here]!
    if (label === 0) return here + 1
    if (label >= 0xc0) {
      if (here + 2 > query.length) break
      const target = u16(query, here) & 0x3fff
      return target >= HEADER_SIZE_BYTES && target < at ? here + 2 : -1
    }
    if (label > LABEL_SIZE_BYTES) break
    here += 1 + label
  }
  return -1
}

/** Reads the OPT record whose fields after the owner start at `fields`. */
function readEdns(query: Buffer, into: Question, fields: number, end: number): number {
  into.hasEdns = true
  // RFC 6891 §6.2.3: "Values lower than 512 MUST be treated as equal to 512."
  into.udpSizeBytes = Math.max(limits.dnsUdpPlainSizeBytes, u16(query, fields + 2))
  into.dnssecOk = (query[fields + 6]! & 0x80) !== 0
  if (query[fields + 5]! !== 0) return Rcode.badVers
  let at = fields + 10
  while (at < end) {
    if (at + 4 > end) return Rcode.formErr
    const code = u16(query, at)
    const size = u16(query, at + 2)
    const data = at + 4
    at = data + size
    if (at > end) return Rcode.formErr
    if (code === OptionCode.clientSubnet && into.subnetOffset === 0) {
      if (!isSubnet(query, data, size)) return Rcode.formErr
      into.subnetOffset = data
      into.subnetSizeBytes = size
    } else if (code === OptionCode.cookie && into.cookieOffset === 0) {
      // RFC 7873 §5.2.2: other lengths are a FORMERR.
      if (size !== 8 && (size < 16 || size > 40)) return Rcode.formErr
      into.cookieOffset = data
      into.cookieSizeBytes = size
    }
  }
  return Rcode.noError
}

/**
 * RFC 7871 §6: family, source prefix length, scope prefix length (0 in a query), and as many
 * address bytes as the prefix needs, with no bit set beyond it. Family 0 comes with prefix 0 from
 * askers that want their address left out.
 */
function isSubnet(query: Buffer, at: number, sizeBytes: number): boolean {
  if (sizeBytes < 4) return false
  const family = u16(query, at)
  const prefixBits = query[at + 2]!
  const maxBits = family === 1 ? 32 : family === 2 ? 128 : 0
  if (family > 2 || prefixBits > maxBits || query[at + 3]! !== 0) return false
  if (sizeBytes !== 4 + Math.ceil(prefixBits / 8)) return false
  const spareBits = (8 - (prefixBits & 7)) & 7
  return spareBits === 0 || (query[at + sizeBytes - 1]! & ((1 << spareBits) - 1)) === 0
}

const u16 = (buffer: Buffer, at: number): number => (buffer[at]! << 8) | buffer[at + 1]!
