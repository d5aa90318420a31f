/**
 * Questions that go on to another server, and its answers on their way back.
 *
 * Owns what changes between the two: the id, the header's bits, OPT (which belongs to one hop, RFC
 * 6891 §6.2.6) and the size. Records are passed on as they are, of known types and of others: the
 * question takes the same place in both messages, so pointers into it and behind it hold. Must
 * never trust an answer further than `isAnswerTo` looked.
 */
import { OPT_TYPE_CODE, Rcode } from './codes.ts'
import { HEADER_SIZE_BYTES } from './names.ts'
import { type Question, skipName } from './questions.ts'
import { MESSAGE_SIZE_BYTES } from './sink.ts'
import { copyBytes, finish, optSize, putU16, TRUNCATED } from './template.ts'

const RESPONSE = 0x80
const OPCODE = 0x78
const RECURSION_DESIRED = 0x01
const AUTHENTIC = 0x20
const CHECKING_DISABLED = 0x10
const DNSSEC_OK = 0x8000
const OPT_SIZE_BYTES = 11

/**
 * The query to send on for one that was read: its question letter by letter, RD, AD, CD and DO, and
 * EDNS where it has that, with the size that we take. Client subnet and cookie stay here.
 */
export function relayQuery(
  query: Buffer,
  question: Question,
  { id, udpSizeBytes }: { readonly id: number; readonly udpSizeBytes: number },
): Buffer {
  const end = question.endOffset
  const out = Buffer.alloc(end + (question.hasEdns ? OPT_SIZE_BYTES : 0))
  putU16(out, 0, id)
  out[2] = query[2]! & RECURSION_DESIRED
  out[3] = query[3]! & (AUTHENTIC | CHECKING_DISABLED)
  putU16(out, 4, 1)
  copyBytes(query, HEADER_SIZE_BYTES, end, out, HEADER_SIZE_BYTES)
  if (!question.hasEdns) return out
  putU16(out, 10, 1)
  putU16(out, end + 1, OPT_TYPE_CODE)
  putU16(out, end + 3, udpSizeBytes)
  putU16(out, end + 7, question.dnssecOk ? DNSSEC_OK : 0)
  return out
}

/**
 * Whether a message answers a query that relayQuery made: its id, a response to a
 * standard query, and the same question, whatever the case of its letters. An error may leave the
 * question out.
 */
export function isAnswerTo(query: Buffer, answer: Buffer): boolean {
  if (answer.length < HEADER_SIZE_BYTES || answer.readUInt16BE(0) !== query.readUInt16BE(0)) {
    return false
  }
  if ((answer[2]! & (RESPONSE | OPCODE)) !== RESPONSE) return false
  const questions = answer.readUInt16BE(4)
  const rcode = answer[3]! & 15
  if (questions === 0) return rcode !== Rcode.noError && rcode !== Rcode.nxDomain
  const end = skipName(query, HEADER_SIZE_BYTES) + 4
  if (questions !== 1 || answer.length < end) return false
  for (let at = HEADER_SIZE_BYTES; at < end; at++) {
    if (answer[at] !== query[at] && lower(answer[at]!) !== lower(query[at]!)) return false
  }
  return true
}

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)

/** Whether the sender left something out for want of space. */
export const isTruncated = (answer: Buffer): boolean => (answer[2]! & TRUNCATED) !== 0

/** The response code in an answer's header. */
export const rcodeOf = (answer: Buffer): number => answer[3]! & 15

/**
 * Writes the answer to `query` that another server gave to its relayQuery; gives the size, or 0 for
 * one that is malformed. What does not fit is left out from the end, record by record, and TC says
 * so where that hurt more than the additionals. `out` holds any message.
 */
export function writeRelayed(
  out: Buffer,
  query: Buffer,
  question: Question,
  answer: Buffer,
  maxSizeBytes: number,
): number {
  const limitBytes = Math.min(maxSizeBytes, MESSAGE_SIZE_BYTES) - optSize(question)
  const counts = [answer.readUInt16BE(6), answer.readUInt16BE(8), answer.readUInt16BE(10)]
  const kept = [0, 0, 0]
  let at = question.endOffset
  let isCut = isTruncated(answer)
  let isWhole = true
  for (let section = 0; section < counts.length && isWhole; section++) {
    for (let i = 0; i < counts[section]! && isWhole; i++) {
      const end = recordEnd(answer, at)
      if (end < 0) return 0
      // What stands behind OPT could be pointed at; without OPT it would be elsewhere.
      isWhole = end <= limitBytes && typeAt(answer, at) !== OPT_TYPE_CODE
      if (isWhole) {
        kept[section]!++
        at = end
      } else if (section < 2) isCut = true
    }
  }
  copyBytes(query, HEADER_SIZE_BYTES, question.endOffset, out, HEADER_SIZE_BYTES)
  copyBytes(answer, question.endOffset, at, out, question.endOffset)
  for (let section = 0; section < kept.length; section++) {
    putU16(out, 6 + 2 * section, kept[section]!)
  }
  const high = isCut ? TRUNCATED : 0
  const size = finish(out, at, query, question, high, rcodeOf(answer), true)
  // RFC 6840 §5.8: for those who asked by AD or DO.
  const wantsAuthentic = question.dnssecOk || (query[3]! & AUTHENTIC) !== 0
  if (wantsAuthentic) out[3] = out[3]! | (answer[3]! & AUTHENTIC)
  return size
}

/** Offset behind the record at `at`, -1 when it is malformed. */
function recordEnd(message: Buffer, at: number): number {
  const fields = skipName(message, at)
  if (fields < 0 || fields + 10 > message.length) return -1
  const end = fields + 10 + message.readUInt16BE(fields + 8)
  return end <= message.length ? end : -1
}

const typeAt = (message: Buffer, at: number): number => message.readUInt16BE(skipName(message, at))
