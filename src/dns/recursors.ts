/**
 * Names that are not ours, asked of other servers (`recursors`).
 *
 * Owns their order, the failover between them, how many questions may be under way, and that equal
 * ones go out once: who wants to forge an answer gets one try at a time. Must never be asked for a
 * name of our own domains, nor believe an answer that does not repeat its question.
 */
import type { Clock, Random } from '../base/clock.ts'
import { type ExchangeOptions, exchangeOverTcp, exchangeOverUdp } from '../base/io/dns-exchange.ts'
import { type FoundRecord, lookUpAt } from '../base/io/dns2.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Counter } from '../base/metrics.ts'
import {
  ClassCode,
  type DnsRecord,
  isAnswerTo,
  isTruncated,
  type Question,
  Rcode,
  rcodeOf,
  relayQuery,
} from '../wire/dns/mod.ts'
import type { DnsConfig } from './config.ts'

export interface RecursorsOptions {
  readonly config: DnsConfig
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** What became of the questions that went out. */
export interface RecursorCounts {
  /** Questions, each counted once however many servers it was put to. */
  readonly asked: Counter
  /** Servers that gave no answer, or one that helps nobody. */
  readonly serverFailed: Counter
  /** Questions that no server answered. */
  readonly failed: Counter
  /** Questions that were not put to anybody: too many were under way. */
  readonly refused: Counter
}

/** A server that questions can be put to, with its time-out. */
type Server = ExchangeOptions

export class Recursors {
  readonly #options: RecursorsOptions
  readonly #servers: readonly Server[]
  readonly #counts: RecursorCounts
  /** Questions under way, by what they ask. */
  readonly #underWay = new Map<string, Promise<unknown>>()
  #isFailing = false

  constructor(options: RecursorsOptions, counts: RecursorCounts) {
    const { recursors, recursorTimeoutMs: timeoutMs } = options.config.dns
    this.#options = options
    this.#counts = counts
    this.#servers = recursors.map(server => ({ ...server, timeoutMs, clock: options.clock }))
  }

  get areConfigured(): boolean {
    return this.#servers.length > 0
  }

  /**
   * Puts the question of a query to the recursors as it stands. Resolves with the first answer that
   * says yes or no, or undefined when nobody gave one.
   */
  relay(query: Buffer, question: Question): Promise<Buffer | undefined> {
    const id = this.#options.random.bytes(2).readUInt16BE(0)
    const udpSizeBytes = limits.dnsRecursorUdpSizeBytes
    const sent = relayQuery(query, question, { id, udpSizeBytes })
    // All but the id.
    return this.#once(sent.toString('latin1', 2), server => exchange(sent, server))
  }

  /**
   * The addresses of a host and the aliases on the way, in the order in which they were given; none
   * when nobody knows any.
   */
  async addressesOf(host: string, type: 'A' | 'AAAA'): Promise<readonly DnsRecord[]> {
    const found = await this.#once(`${type} ${host.toLowerCase()}`, server =>
      lookUpAt(server, host, type),
    )
    return (found ?? []).slice(0, limits.dnsFollowedRecords).map(recordOf)
  }

  /** Asks one server after the other; shares the answer with all who ask the same meanwhile. */
  #once<T>(key: string, ask: (server: Server) => Promise<T>): Promise<T | undefined> {
    const shared = this.#underWay.get(key)
    if (shared !== undefined) return shared as Promise<T>
    if (this.#underWay.size >= limits.dnsRecursing) {
      this.#counts.refused.add()
      return Promise.resolve(undefined)
    }
    const asking = this.#failover(ask).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, asking)
    return asking
  }

  async #failover<T>(ask: (server: Server) => Promise<T>): Promise<T | undefined> {
    this.#counts.asked.add()
    const tried = this.#servers.length
    for (const server of this.#inOrder()) {
      try {
        const answer = await ask(server)
        this.#isFailing = false
        return answer
      } catch {
        this.#counts.serverFailed.add()
      }
    }
    this.#counts.failed.add()
    // Once, not for every question while it lasts.
    if (!this.#isFailing) this.#options.log.warn('no recursor answers', { count: tried })
    this.#isFailing = true
    return undefined
  }

  /** The servers in the order in which the strategy tries them. */
  #inOrder(): readonly Server[] {
    if (this.#options.config.dns.recursorStrategy === 'sequential') return this.#servers
    const { random } = this.#options
    return this.#servers
      .map(server => ({ server, rank: random.fraction() }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ server }) => server)
  }
}

/** Over UDP, and over TCP where that was cut. Rejects unless the server says yes or no. */
async function exchange(query: Buffer, server: Server): Promise<Buffer> {
  const isAnswer = (bytes: Buffer): boolean => isAnswerTo(query, bytes)
  let answer = await exchangeOverUdp(query, { ...server, isAnswer })
  if (isTruncated(answer)) {
    answer = await exchangeOverTcp(query, server)
    if (!isAnswer(answer)) throw new Error('another question was answered')
  }
  const rcode = rcodeOf(answer)
  if (rcode !== Rcode.noError && rcode !== Rcode.nxDomain) throw new Error('the server failed')
  return answer
}

function recordOf({ name, type, ttlS, data }: FoundRecord): DnsRecord {
  return { name, class: ClassCode.IN, ttlS, type, data }
}
