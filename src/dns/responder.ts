/**
 * One query in, one answer out: the hot path, the same for every transport.
 *
 * Owns the bounds that a transport puts on an answer, the random choice, how stale a view may be,
 * and the counters. On a hit it reads the question, looks up, copies the records and patches the
 * header; it allocates the key and waits for nothing. Must never throw for what a query holds.
 */
import type { Clock, Random } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Who } from '../base/who.ts'
import type { Asker } from '../store/ask.ts'
import {
  ClassCode,
  DROP,
  newQuestion,
  Rcode,
  readQuestion,
  TypeCode,
  type WriteOptions,
  writeBare,
} from '../wire/dns/mod.ts'
import { Answerer } from './answer.ts'
import type { Kept } from './cache.ts'
import type { DnsConfig } from './config.ts'

export interface ResponderOptions {
  readonly asker: Asker
  readonly who: Who
  readonly random: Random
  readonly clock: Clock
  readonly log: Log
  readonly config: DnsConfig
}

/** What happened since the start. */
export interface DnsStats {
  /** Queries by transport. */
  readonly udp: number
  readonly tcp: number
  /** Answers that were not kept and had to be made. */
  readonly made: number
  /** Answers of which a part was left out for want of space, or by the bound of a transport. */
  readonly cut: number
  /** Queries refused (REFUSED, NOTIMP). */
  readonly refused: number
  /** Queries that could not be read (FORMERR, BADVERS, or no answer at all). */
  readonly malformed: number
  /** Queries answered SERVFAIL. */
  readonly failed: number
  /** Answers that were not sent: the asker was too slow, or too many queries waited. */
  readonly dropped: number
  /** Records left out since a name or a value of theirs has no form in the DNS. */
  readonly unencodable: number
}

export type Transport = 'udp' | 'tcp'

/** No answer is to be sent. */
export const NONE = 0
/** The answer takes longer: call `answerLater`. */
export const LATER = -1

export class Responder {
  readonly #options: ResponderOptions
  readonly #answerer: Answerer
  readonly #question = newQuestion()
  readonly #write: WriteOptions = {
    maxSizeBytes: 0,
    maxAnswers: 0,
    wantedAnswers: 0,
    recursionAvailable: false,
    markTruncated: false,
    random: 0,
  }
  /** Where answers that took longer are written. */
  readonly #out = Buffer.allocUnsafeSlow(OUT_SIZE_BYTES)
  readonly #dice: Dice
  readonly #plainAnswers: number
  /** When the view was last known to be linearizable; it was when the store was opened. */
  #confirmedMs: number
  #waiting = 0
  #isFailing = false
  readonly #counts = { udp: 0, tcp: 0, cut: 0, refused: 0, malformed: 0, failed: 0, dropped: 0 }

  constructor(options: ResponderOptions) {
    this.#options = options
    this.#answerer = new Answerer(options)
    this.#confirmedMs = options.clock.monotonic()
    this.#dice = new Dice(options.random)
    const { udpAnswerLimit } = options.config.dns
    this.#plainAnswers = Math.max(1, Math.min(limits.dnsUdpPlainAnswers, udpAnswerLimit))
  }

  get stats(): DnsStats {
    const { made, unencodable } = this.#answerer
    return { ...this.#counts, made, unencodable }
  }

  /** How much is kept. */
  get kept(): Answerer['kept'] {
    return this.#answerer.kept
  }

  /** Counts an answer that the transport could not send. */
  countDropped(): void {
    this.#counts.dropped++
  }

  /**
   * Writes the answer into `out` (65535 bytes at least) and gives its size, or NONE, or LATER.
   */
  answer(query: Buffer, out: Buffer, transport: Transport): number {
    this.#counts[transport]++
    const rcode = this.#read(query)
    if (rcode !== Rcode.noError) return this.#refuse(rcode, query, out)
    if (!this.#isFresh()) return LATER
    const found = this.#answerer.find(this.#question)
    return found instanceof Promise ? LATER : this.#put(found, query, out, transport)
  }

  /**
   * Answers a query for which `answer` gave LATER; its bytes must be kept until then. Resolves
   * with undefined where nothing is to be sent. Never rejects.
   */
  async answerLater(query: Buffer, transport: Transport): Promise<Buffer | undefined> {
    if (this.#waiting >= limits.dnsWaiting) {
      this.#counts.dropped++
      return undefined
    }
    this.#waiting++
    let found: Kept | Rcode
    try {
      if (!this.#isFresh()) await this.#confirm()
      this.#read(query)
      found = await this.#answerer.find(this.#question)
      this.#isFailing = false
    } catch (error) {
      // Once, not for every query while it lasts.
      const reason = messageOf(error)
      if (!this.#isFailing) this.#options.log.warn('DNS queries fail', { reason })
      this.#isFailing = true
      found = Rcode.servFail
    } finally {
      this.#waiting--
    }
    // Others were read meanwhile.
    this.#read(query)
    return Buffer.from(this.#out.subarray(0, this.#put(found, query, this.#out, transport)))
  }

  #read(query: Buffer): number {
    const question = this.#question
    const rcode = readQuestion(query, question)
    // Classes are not told apart, as Consul does not: all records are of class IN.
    if (question.classCode !== ClassCode.IN) question.key = question.key.slice(0, -2) + IN_BYTES
    return rcode
  }

  #refuse(rcode: number, query: Buffer, out: Buffer): number {
    if (rcode === Rcode.refused || rcode === Rcode.notImp) this.#counts.refused++
    else if (rcode === Rcode.servFail) this.#counts.failed++
    else this.#counts.malformed++
    return rcode === DROP ? NONE : writeBare(out, query, this.#question, rcode, false)
  }

  #put(found: Kept | Rcode, query: Buffer, out: Buffer, transport: Transport): number {
    if (typeof found === 'number') return this.#refuse(found, query, out)
    const question = this.#question
    const write = this.#write
    if (transport === 'udp') {
      const isPlain = question.udpSizeBytes <= limits.dnsUdpPlainSizeBytes
      write.maxSizeBytes = Math.min(question.udpSizeBytes, limits.dnsUdpSizeBytes)
      write.maxAnswers = isPlain ? this.#plainAnswers : limits.dnsTcpRecords
      write.markTruncated = this.#options.config.dns.enableTruncate
    } else {
      const isSrv = question.typeCode === TypeCode.SRV
      write.maxSizeBytes = limits.dnsTcpSizeBytes
      write.maxAnswers = isSrv ? limits.dnsTcpSrvRecords : limits.dnsTcpRecords
      // Who asked over TCP has no larger transport to turn to.
      write.markTruncated = false
    }
    write.wantedAnswers = found.wantedAnswers
    write.random = this.#dice.next()
    const size = found.template.write(out, query, question, write)
    if (found.template.wasCut) this.#counts.cut++
    return size
  }

  /** Whether the view may be answered from. Without other servers it always may. */
  #isFresh(): boolean {
    const { asker, clock, config } = this.#options
    if (asker.isAlone) return true
    const { allowStale, maxStaleMs } = config.dns
    return allowStale && clock.monotonic() - this.#confirmedMs <= maxStaleMs
  }

  async #confirm(): Promise<void> {
    const { asker, clock } = this.#options
    const askedMs = clock.monotonic()
    await asker.confirm()
    this.#confirmedMs = Math.max(this.#confirmedMs, askedMs)
  }
}

const OUT_SIZE_BYTES = 65_535
const IN_BYTES = '\0\x01'
const DICE_SIZE_BYTES = 4_096

/** Random 32-bit numbers, taken by the block: asking the source costs more than an answer. */
class Dice {
  readonly #random: Random
  #block: Buffer
  #at = 0

  constructor(random: Random) {
    this.#random = random
    this.#block = random.bytes(DICE_SIZE_BYTES)
  }

  next(): number {
    if (this.#at === this.#block.length) {
      this.#block = this.#random.bytes(DICE_SIZE_BYTES)
      this.#at = 0
    }
    const value = this.#block.readUInt32LE(this.#at)
    this.#at += 4
    return value
  }
}
