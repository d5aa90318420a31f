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
import type { Metrics } from '../base/metrics.ts'
import type { Who } from '../base/who.ts'
import type { Asker } from '../store/ask.ts'
import {
  DROP,
  isTruncated,
  newQuestion,
  Rcode,
  writeBare,
  writeRelayed,
  writeTruncated,
} from '../wire/dns/mod.ts'
import { Answerer, type AnswererCounts, ELSEWHERE, type Found } from './answer.ts'
import type { Kept } from './cache.ts'
import type { DnsConfig } from './config.ts'
import { Cookies } from './cookie.ts'
import { Meter, UNTIMED } from './meter.ts'
import { readAnyClass } from './question.ts'
import { Judgement, ResponseRate } from './rate.ts'
import { type RecursorCounts, Recursors } from './recursors.ts'
import { type DnsRights, rightsOf } from './rights.ts'
import { type Lent, lendableParts, type Told } from './thread-messages.ts'
import type { DnsViews } from './views.ts'
import { AnswerWriter, type Bounds, type Transport } from './writer.ts'

export interface ResponderOptions {
  readonly asker: Asker
  readonly rights: DnsRights
  readonly random: Random
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly config: DnsConfig
  /** Of an agent that keeps a part of a store; a server has none. */
  readonly views?: DnsViews | undefined
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
  /** UDP answers held back by the limit of a network, those that TC went out for included. */
  readonly limited: number
  readonly recursors: Readonly<Record<keyof RecursorCounts, number>>
}

/** What a listener adds to a query: its transport, and what holds for it alone. */
export interface Via extends Bounds {
  readonly host: string
  /** The most answers over UDP without EDNS. */
  plainAnswers: number
  /** Whether TC tells of a cut. */
  markTruncated: boolean
}

/** No answer is to be sent. */
export const NONE = 0
/** The answer takes longer: call `answerLater`. */
export const LATER = -1

export class Responder {
  readonly #options: ResponderOptions
  #config: DnsConfig
  #recursors: Recursors
  #answerer: Answerer
  readonly #cookies: Cookies
  #rate: ResponseRate | undefined
  readonly #meter: Meter
  readonly #vias: Via[] = []
  readonly #question = newQuestion()
  /** Where answers that took longer are written. */
  readonly #out = Buffer.allocUnsafeSlow(OUT_SIZE_BYTES)
  readonly #writer: AnswerWriter
  /** Counts, for other threads, how often all that was lent to them became void. */
  readonly generation = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  /** What the last query was answered with, where it was kept before. */
  #lendable: Kept | undefined
  /** When the view was last known to be linearizable; it was when the store was opened. */
  #confirmedMs: number
  #waiting = 0
  #queries = 0
  #isFailing = false
  readonly #counts = { udp: 0, tcp: 0, refused: 0, malformed: 0, failed: 0 }
  readonly #made: AnswererCounts = { made: 0, unencodable: 0 }
  readonly #unwatch: () => void

  constructor(options: ResponderOptions) {
    const { config, clock, random, metrics } = options
    this.#options = options
    this.#config = config
    this.#confirmedMs = clock.monotonic()
    this.#writer = new AnswerWriter(random)
    this.#cookies = new Cookies(clock, random)
    this.#meter = new Meter(metrics, config.nodeName)
    this.#recursors = this.#newRecursors()
    this.#answerer = this.#newAnswerer()
    this.#rate = this.#newRate()
    // What was kept for other rights goes at once.
    this.#unwatch = options.rights.watch(() => this.#startOver())
  }

  /** Watches nothing any more. */
  stop(): void {
    this.#unwatch()
  }

  /** Goes on with other settings. What is under way is finished by the old ones. */
  configure(dns: DnsConfig['dns']): void {
    this.#config = { ...this.#config, dns }
    this.#recursors = this.#newRecursors()
    this.#rate = this.#newRate()
    this.#startOver()
    for (const via of this.#vias) this.#setVia(via)
  }

  #startOver(): void {
    this.#answerer = this.#newAnswerer()
    Atomics.add(this.generation, 0, 1)
  }

  /** What a listener on an address gives along with each of its queries. */
  via(transport: Transport, host: string): Via {
    const via: Via = { transport, host, plainAnswers: 0, markTruncated: false }
    this.#vias.push(via)
    this.#setVia(via)
    return via
  }

  #setVia(via: Via): void {
    const { udpAnswerLimit, enableTruncate, listeners } = this.#config.dns
    const own = listeners[via.host] ?? {}
    const most = own.udpAnswerLimit ?? udpAnswerLimit
    via.plainAnswers = Math.max(1, Math.min(limits.dnsUdpPlainAnswers, most))
    // Who asked over TCP has no larger transport to turn to.
    via.markTruncated = via.transport === 'udp' && (own.enableTruncate ?? enableTruncate)
  }

  #newRecursors(): Recursors {
    const { clock, random, log } = this.#options
    return new Recursors({ config: this.#config, clock, random, log }, this.#meter.recursors)
  }

  /** Answers by the rights of `seer` where there is one, else by the agent's own. */
  #newAnswerer(seer?: Who): Answerer {
    const { asker, rights: own, clock, random, views } = this.#options
    const rights = seer === undefined ? own : rightsOf(seer, own)
    const recursors = this.#recursors
    const counts = this.#made
    const config = this.#config
    return new Answerer({ asker, rights, clock, random, config, recursors, counts, views })
  }

  #newRate(): ResponseRate | undefined {
    const { clock, random } = this.#options
    const { responseRate } = this.#config.dns
    return responseRate > 0 ? new ResponseRate(responseRate, clock, random) : undefined
  }

  get stats(): DnsStats {
    const { cut, dropped, limited, recursors } = this.#meter
    return {
      ...this.#counts,
      ...this.#made,
      cut: cut.udp.total.sum + cut.tcp.total.sum,
      dropped: dropped.total.sum,
      limited: limited.total.sum,
      recursors: {
        asked: recursors.asked.total.sum,
        serverFailed: recursors.serverFailed.total.sum,
        failed: recursors.failed.total.sum,
        refused: recursors.refused.total.sum,
      },
    }
  }

  /** How much is kept. */
  get kept(): Answerer['kept'] {
    return this.#answerer.kept
  }

  /** Counts an answer that the transport could not send. */
  countDropped(): void {
    this.#meter.dropped.add()
  }

  /**
   * Writes the answer into `out` (65535 bytes at least) and gives its size, or NONE, or LATER.
   * `address` is the asker's; one who shows a token of his own is the `seer`.
   */
  answer(query: Buffer, out: Buffer, via: Via, address: string, seer?: Who): number {
    // Reading the clock costs more than all other counting: one query in sixteen is timed.
    const isTimed = (this.#queries++ & 15) === 0
    const startedMs = isTimed ? this.#options.clock.monotonic() : UNTIMED
    this.#counts[via.transport]++
    this.#lendable = undefined
    const rcode = this.#read(query)
    const judgement = this.#judge(query, via, address)
    if (judgement !== Judgement.send) return this.#hold(judgement, query, out)
    if (rcode !== Rcode.noError)
      return this.#finish(this.#refuse(rcode, query, out), out, startedMs)
    if (seer !== undefined || !this.#isFresh()) return LATER
    const { made } = this.#made
    const found = this.#answerer.find(this.#question)
    if (found === ELSEWHERE || found instanceof Promise) return LATER
    if (typeof found === 'object') {
      if (found.hosts.length > 0) return LATER
      // What was asked once need not be asked again.
      if (made === this.#made.made) this.#lendable = found
    }
    return this.#finish(this.#put(found, query, out, via), out, startedMs)
  }

  /**
   * The answer to the query that `answer` was given last, for another thread to give out as long as
   * nothing changed; undefined where it may not.
   */
  lend(via: Via): Lent | undefined {
    const kept = this.#lendable
    const { key } = this.#question
    if (kept === undefined || this.#rate !== undefined) return undefined
    if (!this.#answerer.isLendable(key, kept)) return undefined
    const { asker, clock } = this.#options
    const { allowStale, maxStaleMs } = this.#config.dns
    const freshMs = allowStale ? this.#confirmedMs + maxStaleMs - clock.monotonic() : 0
    return {
      ...{ key, ...lendableParts(kept) },
      bounds: {
        transport: via.transport,
        plainAnswers: via.plainAnswers,
        markTruncated: via.markTruncated,
      },
      recursionAvailable: this.#recursors.areConfigured,
      generation: this.generation[0]!,
      mark: kept.scope?.mark ?? 0,
      count: asker.scopes.marks[kept.scope?.mark ?? 0]!,
      freshMs: asker.isAlone ? Number.POSITIVE_INFINITY : freshMs,
    }
  }

  /** Counts what another thread did. */
  countTold({ udp, dropped, cut, answers }: Told): void {
    this.#counts.udp += udp
    if (dropped > 0) this.#meter.dropped.add(1, dropped)
    if (cut > 0) this.#meter.cut.udp.add(1, cut)
    for (const { typeCode, rcode, tookMs, count } of answers) {
      this.#meter.count(typeCode, rcode, tookMs, count)
    }
  }

  /**
   * Answers a query for which `answer` gave LATER; its bytes must be kept until then. Resolves
   * with undefined where nothing is to be sent. Never rejects.
   */
  async answerLater(
    query: Buffer,
    via: Via,
    address: string,
    seer?: Who,
  ): Promise<Buffer | undefined> {
    const startedMs = this.#options.clock.monotonic()
    if (this.#waiting >= limits.dnsWaiting) {
      this.#meter.dropped.add()
      return undefined
    }
    this.#waiting++
    let found: Found | Buffer
    try {
      if (!this.#isFresh()) await this.#confirm()
      found = await (seer === undefined
        ? this.#findByRightsOfNow(query)
        : this.#findLater(query, this.#newAnswerer(seer)))
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
    if (this.#config.dns.cookies) this.#cookies.exchange(query, this.#question, address)
    const out = this.#out
    const size = Buffer.isBuffer(found)
      ? this.#putRelayed(found, query, out, via)
      : this.#put(found, query, out, via)
    return Buffer.from(out.subarray(0, this.#finish(size, out, startedMs)))
  }

  /** Time goes by: what was made for other rights than those of now is not given out. */
  async #findByRightsOfNow(query: Buffer): Promise<Found | Buffer> {
    for (;;) {
      const answerer = this.#answerer
      const found = await this.#findLater(query, answerer)
      if (answerer === this.#answerer || Buffer.isBuffer(found)) return found
    }
  }

  /** What takes longer: a large answer, one that leads elsewhere, one that others give. */
  async #findLater(query: Buffer, answerer: Answerer): Promise<Found | Buffer> {
    this.#read(query)
    const { key, typeCode, hasEdns } = this.#question
    let found = answerer.find(this.#question)
    if (found instanceof Promise) {
      found = await found
      // Others were read meanwhile.
      this.#read(query)
    }
    if (found === ELSEWHERE) {
      return (await this.#recursors.relay(query, this.#question)) ?? Rcode.servFail
    }
    if (typeof found === 'object' && found.hosts.length > 0) {
      found = await answerer.follow({ key, typeCode, hasEdns }, found)
    }
    return found
  }

  #read(query: Buffer): number {
    return readAnyClass(query, this.#question)
  }

  /** Whether an asker gets his answer: one who showed our cookie does, and one over TCP. */
  #judge(query: Buffer, via: Via, address: string): Judgement {
    const { cookies } = this.#config.dns
    const isKnown = cookies && this.#cookies.exchange(query, this.#question, address)
    if (this.#rate === undefined || isKnown || via.transport === 'tcp') return Judgement.send
    return this.#rate.judge(address)
  }

  #hold(judgement: Judgement, query: Buffer, out: Buffer): number {
    this.#meter.limited.add()
    if (judgement === Judgement.drop || this.#question.key === '') return NONE
    return writeTruncated(out, query, this.#question, this.#recursors.areConfigured)
  }

  /** Counts the answer that stands in `out`; gives its size back. */
  #finish(size: number, out: Buffer, startedMs: number): number {
    if (size === NONE) return size
    const isTimed = startedMs !== UNTIMED
    const tookMs = isTimed ? this.#options.clock.monotonic() - startedMs : UNTIMED
    this.#meter.count(this.#question.typeCode, out[3]! & 15, tookMs)
    return size
  }

  #refuse(rcode: number, query: Buffer, out: Buffer): number {
    if (rcode === Rcode.refused || rcode === Rcode.notImp) this.#counts.refused++
    else if (rcode === Rcode.servFail) this.#counts.failed++
    else this.#counts.malformed++
    if (rcode === DROP) return NONE
    return writeBare(out, query, this.#question, rcode, this.#recursors.areConfigured)
  }

  #put(found: Found, query: Buffer, out: Buffer, via: Via): number {
    if (typeof found === 'number') return this.#refuse(found, query, out)
    const { areConfigured } = this.#recursors
    const size = this.#writer.put(found, query, this.#question, out, via, areConfigured)
    if (found.template.wasCut) this.#meter.cut[via.transport].add()
    return size
  }

  #putRelayed(answer: Buffer, query: Buffer, out: Buffer, via: Via): number {
    const isUdp = via.transport === 'udp'
    const udpSizeBytes = Math.min(this.#question.udpSizeBytes, limits.dnsUdpSizeBytes)
    const maxSizeBytes = isUdp ? udpSizeBytes : limits.dnsTcpSizeBytes
    const size = writeRelayed(out, query, this.#question, answer, maxSizeBytes)
    if (size === 0) return this.#refuse(Rcode.servFail, query, out)
    if (isTruncated(out)) this.#meter.cut[via.transport].add()
    return size
  }

  /** Whether the view may be answered from. Without other servers it always may. */
  #isFresh(): boolean {
    const { asker, clock } = this.#options
    if (asker.isAlone) return true
    const { allowStale, maxStaleMs } = this.#config.dns
    const ageMs = Math.min(clock.monotonic() - this.#confirmedMs, asker.age.ageMs())
    return allowStale && ageMs <= maxStaleMs
  }

  async #confirm(): Promise<void> {
    const { asker, clock } = this.#options
    const askedMs = clock.monotonic()
    await asker.confirm()
    this.#confirmedMs = Math.max(this.#confirmedMs, askedMs)
  }
}

const OUT_SIZE_BYTES = 65_535
