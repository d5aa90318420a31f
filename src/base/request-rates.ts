/**
 * How many requests a second a server takes, of everybody and of one client.
 *
 * Owns `limits.request_limits`, whatever the protocol: faces that share the store share this.
 * Decides by kind and address alone; what is refused, and how, is told as HTTP's status.
 */
import type { Clock } from './clock.ts'
import { Refusal } from './errors.ts'
import { limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Counter, Metrics } from './metrics.ts'
import { first64Bits, plainAddress } from './networks.ts'
import { Rate } from './rate.ts'

/** How many requests a second the server takes; -1 is no limit. */
export interface RequestRates {
  /** `permissive` counts and logs what `enforcing` would refuse. */
  readonly mode: 'disabled' | 'permissive' | 'enforcing'
  readonly readPerSecond: number
  readonly writePerSecond: number
  /** Of one client's address, whatever it asks for. */
  readonly clientReadPerSecond: number
  readonly clientWritePerSecond: number
}

export const NO_RATES: RequestRates = {
  mode: 'disabled',
  readPerSecond: -1,
  writePerSecond: -1,
  clientReadPerSecond: -1,
  clientWritePerSecond: -1,
}

export type RequestKind = 'read' | 'write'

export interface RateGatePorts {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

export class RateGate {
  readonly #ports: RateGatePorts
  readonly #exceeded: Readonly<Record<RequestKind, Counter>>
  #rates!: {
    readonly mode: RequestRates['mode']
    readonly read: Rate
    readonly write: Rate
    readonly clients: Readonly<Record<RequestKind, ClientRates>>
  }
  #loggedMs = Number.NEGATIVE_INFINITY

  constructor(rates: RequestRates, ports: RateGatePorts) {
    this.#ports = ports
    const counter = (op: RequestKind): Counter =>
      ports.metrics.counter(
        'rpc.rate_limit.exceeded',
        'Requests beyond limits.request_limits, also those that its mode lets pass.',
        { limit_type: `global/${op}`, op: op === 'read' ? 'Read' : 'Write' },
      )
    this.#exceeded = { read: counter('read'), write: counter('write') }
    this.setRates(rates)
  }

  /** Changes the rates, as at a reload; the buckets begin full. */
  setRates({ mode, ...rates }: RequestRates): void {
    this.#rates = {
      mode,
      read: rateOf(rates.readPerSecond),
      write: rateOf(rates.writePerSecond),
      clients: {
        read: new ClientRates(rates.clientReadPerSecond),
        write: new ClientRates(rates.clientWritePerSecond),
      },
    }
  }

  /** Whether anything is counted. */
  get isRated(): boolean {
    return this.#rates.mode !== 'disabled'
  }

  /** Counts a request of a client; refuses it where that one sends too many. */
  refuseClient(kind: RequestKind, remoteAddress: string | undefined): Refusal | undefined {
    const { mode, clients } = this.#rates
    if (mode === 'disabled') return undefined
    const nowMs = this.#ports.clock.monotonic()
    if (clients[kind].take(remoteAddress, nowMs)) return undefined
    return this.#exceededBy(kind, mode, nowMs)
  }

  /** Counts a request that would reach the store; refuses it where there are too many. */
  refuse(kind: RequestKind): Refusal | undefined {
    const { mode } = this.#rates
    if (mode === 'disabled') return undefined
    const nowMs = this.#ports.clock.monotonic()
    return this.#rates[kind].take(nowMs) ? undefined : this.#exceededBy(kind, mode, nowMs)
  }

  #exceededBy(kind: RequestKind, mode: RequestRates['mode'], nowMs: number): Refusal | undefined {
    this.#exceeded[kind].add()
    this.#logRarely(kind, mode, nowMs)
    if (mode === 'permissive') return undefined
    return kind === 'read' ? TOO_MANY_READS : TOO_MANY_WRITES
  }

  #logRarely(kind: RequestKind, mode: string, nowMs: number): void {
    if (nowMs - this.#loggedMs < limits.rateLogIntervalMs) return
    this.#loggedMs = nowMs
    this.#ports.log.warn('more requests than limits.request_limits', { kind, mode })
  }
}

/** What a bucket saves up, as Consul's does. */
const BURST_SECONDS = 10

const rateOf = (perSecond: number): Rate => new Rate(perSecond, perSecond * BURST_SECONDS)

/** A bucket for each client's address; those that were silent longest are forgotten. */
class ClientRates {
  readonly #perSecond: number
  readonly #byClient = new Map<string, Rate>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** A socket in a file has no address: its clients are not told apart. */
  take(address = '', nowMs: number): boolean {
    if (this.#perSecond < 0) return true
    const client = clientOf(address)
    const rate = this.#byClient.get(client) ?? rateOf(this.#perSecond)
    this.#byClient.delete(client)
    if (this.#byClient.size >= limits.ratedClients) {
      this.#byClient.delete(this.#byClient.keys().next().value!)
    }
    this.#byClient.set(client, rate)
    return rate.take(nowMs)
  }
}

/** Whoever has one address of IPv6 has all of its network: the first 64 bits. */
function clientOf(address: string): string {
  const plain = plainAddress(address)
  return plain.includes(':') ? first64Bits(plain) : plain
}

const RATE_TEXT = 'Rate limit reached, try again later'
/** Another server could answer a read; a write is the leader's to take. */
const TOO_MANY_READS = new Refusal(429, RATE_TEXT)
const TOO_MANY_WRITES = new Refusal(503, RATE_TEXT)
