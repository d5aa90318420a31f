/**
 * Which requests are let in at all: by path, by the sender's network, by how many there are.
 *
 * Owns `http_config.block_endpoints`, `http_config.allow_write_http_from` and
 * `limits.request_limits`. Decides before anything of a request is parsed or its token is looked
 * at; knows no path by name but the agent's own, which reach no store.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Counter, Metrics } from '../base/metrics.ts'
import { first64Bits, type Network, parseNetwork, plainAddress } from '../base/networks.ts'
import { Rate } from '../base/rate.ts'
import { pathIn } from './path.ts'

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

export interface AdmissionOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Beginnings of paths that nobody gets an answer from. */
  readonly blockEndpoints: readonly string[]
  /** Networks whose writes are taken, as address/bits; all when empty. */
  readonly allowWriteFrom: readonly string[]
  readonly rates: RequestRates
}

type Kind = 'read' | 'write'

export class Admission {
  readonly #options: AdmissionOptions
  /** Undefined where all may write. */
  readonly #writers: readonly Network[] | undefined
  readonly #exceeded: Readonly<Record<Kind, Counter>>
  #rates!: {
    readonly mode: RequestRates['mode']
    readonly read: Rate
    readonly write: Rate
    readonly clients: Readonly<Record<Kind, ClientRates>>
  }
  #loggedMs = Number.NEGATIVE_INFINITY

  constructor(options: AdmissionOptions) {
    this.#options = options
    const { allowWriteFrom } = options
    if (allowWriteFrom.length > 0) this.#writers = allowWriteFrom.flatMap(networkOf)
    const counter = (op: Kind): Counter =>
      options.metrics.counter(
        'rpc.rate_limit.exceeded',
        'Requests beyond limits.request_limits, also those that its mode lets pass.',
        { limit_type: `global/${op}`, op: op === 'read' ? 'Read' : 'Write' },
      )
    this.#exceeded = { read: counter('read'), write: counter('write') }
    this.setRates(options.rates)
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

  /** Why a request is not let in by who sends it and where to; undefined when it is. */
  refuse(message: IncomingMessage): Refusal | undefined {
    const { blockEndpoints } = this.#options
    if (blockEndpoints.length > 0 && isBlocked(message.url ?? '', blockEndpoints)) return BLOCKED
    const refusal = this.#refuseClient(message)
    if (refusal !== undefined) return refusal
    if (this.#writers === undefined || isRead(message)) return undefined
    const { remoteAddress } = message.socket
    // A socket in a file has no address: who may open it is what its mode says.
    return remoteAddress === undefined || isIn(this.#writers, remoteAddress)
      ? undefined
      : RESTRICTED
  }

  /** Counts a request of a client; refuses it where that one sends too many. */
  #refuseClient(message: IncomingMessage): Refusal | undefined {
    const { mode, clients } = this.#rates
    if (mode === 'disabled') return undefined
    const kind: Kind = isRead(message) ? 'read' : 'write'
    const nowMs = this.#options.clock.monotonic()
    if (clients[kind].take(message.socket.remoteAddress, nowMs)) return undefined
    return this.#exceededBy(kind, mode, nowMs)
  }

  /** Whether anything is counted. */
  get isRated(): boolean {
    return this.#rates.mode !== 'disabled'
  }

  /** Counts a request that would reach the store; refuses it where there are too many. */
  refuseRate(message: IncomingMessage): Refusal | undefined {
    const { mode } = this.#rates
    if (mode === 'disabled') return undefined
    const kind: Kind = isRead(message) ? 'read' : 'write'
    const nowMs = this.#options.clock.monotonic()
    return this.#rates[kind].take(nowMs) ? undefined : this.#exceededBy(kind, mode, nowMs)
  }

  #exceededBy(kind: Kind, mode: RequestRates['mode'], nowMs: number): Refusal | undefined {
    this.#exceeded[kind].add()
    this.#logRarely(kind, mode, nowMs)
    if (mode === 'permissive') return undefined
    return kind === 'read' ? TOO_MANY_READS : TOO_MANY_WRITES
  }

  #logRarely(kind: Kind, mode: string, nowMs: number): void {
    if (nowMs - this.#loggedMs < limits.rateLogIntervalMs) return
    this.#loggedMs = nowMs
    this.#options.log.warn('more requests than limits.request_limits', { kind, mode })
  }
}

/** Whether a path is none that reaches the store: the agent's own and what is asked of itself. */
export const isExempt = (path: string): boolean => !/^\/v1\/(?!agent\/|status\/|openapi)/.test(path)

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

const BLOCKED = new Refusal(403, 'Endpoint is blocked by agent configuration')
const RESTRICTED = new Refusal(403, 'Access is restricted')
const RATE_TEXT = 'Rate limit reached, try again later'
/** Another server could answer a read; a write is the leader's to take. */
const TOO_MANY_READS = new Refusal(429, RATE_TEXT)
const TOO_MANY_WRITES = new Refusal(503, RATE_TEXT)

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'LIST', 'SCAN'])
const isRead = ({ method = '' }: IncomingMessage): boolean => READS.has(method)

function isBlocked(url: string, beginnings: readonly string[]): boolean {
  const path = pathIn(url)
  const decoded = path.includes('%') ? decodeLoosely(path) : path
  return beginnings.some(each => path.startsWith(each) || decoded.startsWith(each))
}

/** Every escape that is one, decoded once; the rest stays. */
const decodeLoosely = (path: string): string =>
  path.replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))

/** Texts that name no network hold nothing: the configuration refuses them. */
const networkOf = (text: string): Network[] => {
  const network = parseNetwork(text)
  return network === undefined ? [] : [network]
}

function isIn(networks: readonly Network[], remoteAddress: string): boolean {
  const address = plainAddress(remoteAddress)
  return networks.some(network => network.has(address))
}
