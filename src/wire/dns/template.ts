/**
 * Answers that are encoded once and assembled many times.
 *
 * Owns the fragments: every record of a question's full set in wire form, free of any place in
 * the message (names point only into the question, which always stands at offset 12), and their
 * assembly: a choice of the answers, their additional records, what is left out when space is
 * short. Must not allocate while assembling, nor decide which records exist: that is the face's.
 * Follows RFC 1035 §4.1, 2181 §9 (truncation), 6891 (EDNS), 7871 §7.2 (client subnet echoed).
 */
import { assert } from '../../base/assert.ts'
import { limits } from '../../base/limits.ts'
import { OPT_TYPE_CODE, OptionCode, Rcode } from './codes.ts'
import { HEADER_SIZE_BYTES, POINTER_REACH_BYTES } from './names.ts'
import { CLIENT_COOKIE_SIZE_BYTES, type Question, SERVER_COOKIE_SIZE_BYTES } from './questions.ts'
import { MESSAGE_SIZE_BYTES } from './sink.ts'

/** What one assembly is bound to. A face keeps one such record and changes it for each answer. */
export interface WriteOptions {
  /**
   * The largest message, OPT included: `question.udpSizeBytes` (at most limits.dnsUdpSizeBytes)
   * on UDP, limits.dnsTcpSizeBytes on TCP, without the two bytes of length in front. 512 at least.
   */
  maxSizeBytes: number
  /** The transport's cap on answers, 1 to limits.dnsTcpRecords. Meeting it is a cut. */
  maxAnswers: number
  /** How many answers are wanted at all (`a_record_limit`). Meeting it is no cut. 0 for all. */
  wantedAnswers: number
  recursionAvailable: boolean
  /** Whether a cut sets the TC bit (`enable_truncate`). */
  markTruncated: boolean
  /**
   * A random whole number from 0 to 2^32-1 chooses and orders the answers, each choice and order
   * being as likely as any other; -1 keeps them as built, from the first on.
   */
  random: number
}

/** No record is shorter: an owner of one or two bytes, ten bytes of fields. */
const RECORD_MIN_SIZE_BYTES = 11
const EXTRAS_MAX = Math.floor(MESSAGE_SIZE_BYTES / RECORD_MIN_SIZE_BYTES)
/** Fewer bytes than this are copied faster one by one than by a call. */
const COPY_CALL_SIZE_BYTES = 64

/** How a fragment's owner name goes out. */
export const Owner = {
  /** As it is stored. */
  own: 0,
  /** As it was asked, copied from the query; nothing is stored (uncompressed templates only). */
  question: 1,
  /** As a pointer to the target of the answer that it comes with, if one reaches that far. */
  target: 2,
} as const
export type Owner = (typeof Owner)[keyof typeof Owner]

/**
 * The parts of a template: what TemplateBuilder hands over. Fragments are records in wire form,
 * one after the other; fragment i is starts[i] to starts[i + 1].
 */
export interface TemplateParts {
  /** 0 to 15. */
  readonly rcode: number
  readonly authoritative: boolean
  /** Offset behind the question, the same in every message. */
  readonly questionEnd: number
  readonly unencodable: number
  readonly bytes: Buffer
  readonly starts: Uint32Array
  readonly owners: Uint8Array
  /** Size of the owner's name as stored. */
  readonly ownerSizes: Uint16Array
  /** Size of the name that ends the data, as stored; 0 when the data ends otherwise. */
  readonly targetSizes: Uint16Array
  /** The fragment of each answer. */
  readonly answers: Uint32Array
  /** Fragments of additionals; those of answer i are from extraStarts[i] to extraStarts[i + 1]. */
  readonly extras: Uint32Array
  readonly extraStarts: Uint32Array
  /** Fragments of additionals that come with no answer. */
  readonly loose: Uint32Array
  readonly authorities: Uint32Array
}

// Scratch of one assembly. Assemblies never overlap, since they do not suspend.
const swaps = new Uint32Array(limits.dnsTcpRecords)
const chosenExtras = new Uint32Array(EXTRAS_MAX)
const chosenTargets = new Uint32Array(EXTRAS_MAX)
let extraCount = 0
let extraSizeBytes = 0

/**
 * The encoded full set of records for one question, made by TemplateBuilder. `write` is a few
 * copies of bytes and may be called for every query that has the same key.
 */
export class AnswerTemplate {
  /** How many answers there are to choose from. */
  readonly answerCount: number
  /** How many records were left out of the template since a value of theirs has no wire form. */
  readonly unencodable: number
  /** What the template holds in memory, about, for the bound of a cache. */
  readonly sizeBytes: number
  /** Whether the last `write` left out answers for want of space or by `maxAnswers`. */
  wasCut = false

  /** What it was made of, which makes another one like it. */
  readonly parts: TemplateParts
  /** 0 to answerCount - 1; a write shuffles a part of it and puts it back. */
  readonly #order: Uint32Array
  /** The write in which a fragment was last chosen, so that a shared additional is sent once. */
  readonly #chosenIn: Float64Array
  #writes = 0

  constructor(parts: TemplateParts) {
    assert(parts.rcode >= 0 && parts.rcode <= 15, 'a template has a plain response code')
    assert(parts.extraStarts.length === parts.answers.length + 1, 'answers know their extras')
    const { answers, extras, owners } = parts
    this.parts = parts
    this.#order = Uint32Array.from(answers.keys())
    this.#chosenIn = new Float64Array(owners.length)
    this.answerCount = answers.length
    this.unencodable = parts.unencodable
    const countedBytes = 20 * owners.length + 12 * answers.length + 4 * extras.length
    this.sizeBytes = 1_024 + parts.bytes.length + countedBytes
  }

  /**
   * Assembles one answer into `out` from offset 0 and gives its size. `query` and `question` are
   * a query and what `readQuestion` made of it, with the key that this was built for: id, RD, CD
   * and the letters of the question are taken from there. `out` holds 65535 bytes at least (on
   * TCP a `subarray(2)` kept for it, the length going in front) and is not the query's memory.
   *
   * Answers are taken until `maxAnswers`, or until one does not fit together with its
   * additionals. The first is always taken, with those of its additionals that fit, even where
   * it alone passes `maxSizeBytes` (but never 65535). Authority goes out whole or not at all, and
   * only where nothing else was left out, loose additionals behind it as far as they fit. OPT goes
   * out if the query had one, with the asker's size, DO bit, subnet (scope 0: good for everyone),
   * cookie, if one was made for him, and extended error.
   * Equal arguments give equal bytes, whatever was written before.
   */
  write(out: Buffer, query: Buffer, question: Question, options: WriteOptions): number {
    assert(
      question.endOffset === this.parts.questionEnd,
      'a template answers its own question only',
    )
    assert(out.length >= MESSAGE_SIZE_BYTES, 'the output buffer holds any message')
    const wanted = options.wantedAnswers
    const possible = wanted > 0 && wanted < this.answerCount ? wanted : this.answerCount
    const most = Math.min(possible, options.maxAnswers, limits.dnsTcpRecords)
    const roomBytes = MESSAGE_SIZE_BYTES - optSize(question)
    const limitBytes = Math.min(options.maxSizeBytes, MESSAGE_SIZE_BYTES) - optSize(question)
    const order = this.#order
    const answers = this.parts.answers
    let at = copyBytes(query, HEADER_SIZE_BYTES, this.parts.questionEnd, out, HEADER_SIZE_BYTES)
    let kept = 0
    let shuffled = 0
    let isWhole = true
    this.#writes++
    extraCount = 0
    extraSizeBytes = 0
    while (kept < most && isWhole) {
      if (options.random >= 0) {
        swaps[shuffled] = shuffled + below(options.random, shuffled, order.length - shuffled)
        swap(order, shuffled, swaps[shuffled]!)
        shuffled++
      }
      const answer = order[kept]!
      const fragment = answers[answer]!
      const end = at + this.#sizeOf(fragment, 0)
      if (end + extraSizeBytes > (kept === 0 ? roomBytes : limitBytes)) break
      isWhole = this.#chooseExtras(answer, end, limitBytes, kept > 0)
      if (!isWhole && kept > 0) break
      at = this.#put(out, at, fragment, query, 0)
      kept++
    }
    while (shuffled > 0) swap(order, --shuffled, swaps[shuffled]!)
    this.wasCut = kept < possible
    const isComplete = isWhole && !this.wasCut
    const authorities = isComplete ? this.#fitAuthorities(at + extraSizeBytes, limitBytes) : 0
    for (let i = 0; i < authorities; i++) {
      at = this.#put(out, at, this.parts.authorities[i]!, query, 0)
    }
    if (isComplete) this.#chooseLoose(at, limitBytes)
    for (let i = 0; i < extraCount; i++) {
      at = this.#put(out, at, chosenExtras[i]!, query, chosenTargets[i]!)
    }
    putU16(out, 6, kept)
    putU16(out, 8, authorities)
    putU16(out, 10, extraCount)
    const cut = this.wasCut && options.markTruncated ? TRUNCATED : 0
    const high = (this.parts.authoritative ? AUTHORITATIVE : 0) | cut
    return finish(out, at, query, question, high, this.parts.rcode, options.recursionAvailable)
  }

  /**
   * Adds the additionals of an answer that ends at `end` to the chosen ones, each once a write.
   * False when not all fit; then none are added where `allOrNone`.
   */
  #chooseExtras(answer: number, end: number, limitBytes: number, allOrNone: boolean): boolean {
    const { answers, extras, extraStarts, targetSizes } = this.parts
    const target = end - targetSizes[answers[answer]!]!
    const stop = extraStarts[answer + 1]!
    let count = extraCount
    let sizeBytes = extraSizeBytes
    let fits = end + sizeBytes <= limitBytes
    for (let i = extraStarts[answer]!; i < stop && fits; i++) {
      const extra = extras[i]!
      if (this.#chosenIn[extra] === this.#writes) continue
      const grown = sizeBytes + this.#sizeOf(extra, target)
      fits = end + grown <= limitBytes && count < EXTRAS_MAX
      if (!fits) break
      this.#chosenIn[extra] = this.#writes
      chosenExtras[count] = extra
      chosenTargets[count++] = target
      sizeBytes = grown
    }
    if (fits || !allOrNone) {
      extraCount = count
      extraSizeBytes = sizeBytes
    }
    return fits
  }

  /** Adds the loose additionals that fit behind `at`. */
  #chooseLoose(at: number, limitBytes: number): void {
    const { loose } = this.parts
    for (let i = 0; i < loose.length && extraCount < EXTRAS_MAX; i++) {
      const grown = extraSizeBytes + this.#sizeOf(loose[i]!, 0)
      if (at + grown > limitBytes || this.#chosenIn[loose[i]!] === this.#writes) continue
      this.#chosenIn[loose[i]!] = this.#writes
      chosenExtras[extraCount] = loose[i]!
      chosenTargets[extraCount++] = 0
      extraSizeBytes = grown
    }
  }

  /** How many authorities go out when the rest takes `sizeBytes`: all or none. */
  #fitAuthorities(sizeBytes: number, limitBytes: number): number {
    const { authorities } = this.parts
    let end = sizeBytes
    for (let i = 0; i < authorities.length; i++) end += this.#sizeOf(authorities[i]!, 0)
    return end <= limitBytes ? authorities.length : 0
  }

  /** The size of a fragment as it goes out with an answer whose target stands at `target`. */
  #sizeOf(fragment: number, target: number): number {
    const { starts, owners, ownerSizes, questionEnd } = this.parts
    const storedBytes = starts[fragment + 1]! - starts[fragment]!
    const owner = owners[fragment]!
    if (owner === Owner.own) return storedBytes
    if (owner === Owner.question) return storedBytes + questionEnd - 4 - HEADER_SIZE_BYTES
    return target < POINTER_REACH_BYTES ? storedBytes - ownerSizes[fragment]! + 2 : storedBytes
  }

  /** Writes a fragment at `at`, gives the offset behind it. */
  #put(out: Buffer, at: number, fragment: number, query: Buffer, target: number): number {
    const { bytes, starts, owners, ownerSizes } = this.parts
    const owner = owners[fragment]!
    let from = starts[fragment]!
    let to = at
    if (owner === Owner.question) {
      to = copyBytes(query, HEADER_SIZE_BYTES, this.parts.questionEnd - 4, out, to)
    } else if (owner === Owner.target && target < POINTER_REACH_BYTES) {
      to = putU16(out, to, 0xc000 | target)
      from += ownerSizes[fragment]!
    }
    return copyBytes(bytes, from, starts[fragment + 1]!, out, to)
  }
}

/**
 * Writes an answer without records: an error, or what `readQuestion` asks for. The question is
 * repeated if one was read, OPT goes out if the query had one. `rcode` may be above 15 only then
 * (badVers). Gives the size; `out` holds 512 bytes at least.
 */
export function writeBare(
  out: Buffer,
  query: Buffer,
  question: Question,
  rcode: number,
  recursionAvailable: boolean,
): number {
  const at = copyBytes(query, HEADER_SIZE_BYTES, question.endOffset, out, HEADER_SIZE_BYTES)
  putU16(out, 6, 0)
  putU16(out, 8, 0)
  putU16(out, 10, 0)
  return finish(out, at, query, question, 0, rcode, recursionAvailable)
}

/** Writes an answer that only says: there is more, ask over TCP. */
export function writeTruncated(
  out: Buffer,
  query: Buffer,
  question: Question,
  recursionAvailable: boolean,
): number {
  const size = writeBare(out, query, question, Rcode.noError, recursionAvailable)
  out[2] = out[2]! | TRUNCATED
  return size
}

const RESPONSE = 0x80
const AUTHORITATIVE = 0x04
export const TRUNCATED = 0x02
/** Bits of a query that its answer repeats: opcode and RD; CD (RFC 4035 §3.1.6). */
const REPEATED_HIGH = 0x79
const REPEATED_LOW = 0x10
const RECURSION_AVAILABLE = 0x80
const OPT_SIZE_BYTES = 11
const COOKIE_SIZE_BYTES = CLIENT_COOKIE_SIZE_BYTES + SERVER_COOKIE_SIZE_BYTES

/** OPT as it goes out for this question, 0 without. */
export function optSize(question: Question): number {
  if (!question.hasEdns) return 0
  const subnet = question.subnetOffset > 0 ? 4 + question.subnetSizeBytes : 0
  const cookie = question.hasServerCookie ? 4 + COOKIE_SIZE_BYTES : 0
  return OPT_SIZE_BYTES + subnet + cookie + question.extendedError.length
}

/** Writes OPT at `at` and the header in front; gives the size of the message. */
export function finish(
  out: Buffer,
  at: number,
  query: Buffer,
  question: Question,
  high: number,
  rcode: number,
  recursionAvailable: boolean,
): number {
  out[0] = query[0]!
  out[1] = query[1]!
  out[2] = RESPONSE | (query[2]! & REPEATED_HIGH) | high
  const available = recursionAvailable ? RECURSION_AVAILABLE : 0
  out[3] = available | (query[3]! & REPEATED_LOW) | (rcode & 15)
  putU16(out, 4, question.endOffset > HEADER_SIZE_BYTES ? 1 : 0)
  if (!question.hasEdns) return at
  putU16(out, 10, ((out[10]! << 8) | out[11]!) + 1)
  out[at] = 0
  putU16(out, at + 1, OPT_TYPE_CODE)
  putU16(out, at + 3, question.udpSizeBytes)
  out[at + 5] = rcode >> 4
  out[at + 6] = 0
  putU16(out, at + 7, question.dnssecOk ? 0x8000 : 0)
  const dataSizeBytes = optSize(question) - OPT_SIZE_BYTES
  putU16(out, at + 9, dataSizeBytes)
  let end = at + OPT_SIZE_BYTES
  if (question.subnetOffset > 0) {
    end = putU16(out, end, OptionCode.clientSubnet)
    end = putU16(out, end, question.subnetSizeBytes)
    const subnet = question.subnetOffset
    end = copyBytes(query, subnet, subnet + question.subnetSizeBytes, out, end)
  }
  if (question.hasServerCookie) {
    end = putU16(out, end, OptionCode.cookie)
    end = putU16(out, end, COOKIE_SIZE_BYTES)
    const cookie = question.cookieOffset
    end = copyBytes(query, cookie, cookie + CLIENT_COOKIE_SIZE_BYTES, out, end)
    end = copyBytes(question.serverCookie, 0, SERVER_COOKIE_SIZE_BYTES, out, end)
  }
  const { extendedError } = question
  return copyBytes(extendedError, 0, extendedError.length, out, end)
}

/** Copies start to end of `from` into `to` at `at`; gives the offset behind. */
export function copyBytes(
  from: Buffer,
  start: number,
  end: number,
  to: Buffer,
  at: number,
): number {
  if (end - start >= COPY_CALL_SIZE_BYTES) return at + from.copy(to, at, start, end)
  let out = at
  for (let i = start; i < end; i++) to[out++] = from[i]!
  return out
}

/** Writes two bytes at `at`; gives the offset behind. */
export function putU16(out: Buffer, at: number, value: number): number {
  out[at] = value >>> 8
  out[at + 1] = value
  return at + 2
}

function swap(list: Uint32Array, a: number, b: number): void {
  const held = list[a]!
  list[a] = list[b]!
  list[b] = held
}

/** A number from 0 to `bound` - 1: the `step`-th of the sequence that `seed` starts (murmur3). */
function below(seed: number, step: number, bound: number): number {
  let bits = seed + Math.imul(step + 1, 0x9e3779b9)
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  bits = (bits ^ (bits >>> 16)) >>> 0
  return Math.floor((bits / 2 ** 32) * bound)
}
