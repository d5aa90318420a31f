/**
 * Which requests are let in at all: by path, by the sender's network, by how many there are.
 *
 * Owns `http_config.block_endpoints` and `http_config.allow_write_http_from`, and which rate a
 * request counts for. Decides before anything of a request is parsed or its token is looked at;
 * knows no path by name but the agent's own, which reach no store.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import { type Network, parseNetwork, plainAddress } from '../base/networks.ts'
import { RateGate, type RequestKind, type RequestRates } from '../base/request-rates.ts'
import { pathIn } from './path.ts'

export { NO_RATES, type RequestRates } from '../base/request-rates.ts'

export interface AdmissionOptions {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** Beginnings of paths that nobody gets an answer from. */
  readonly blockEndpoints: readonly string[]
  /** Networks whose writes are taken, as address/bits; all when empty. */
  readonly allowWriteFrom: readonly string[]
  readonly rates: RequestRates
  /** What counts requests, where other faces share it; one of its own by `rates` unless given. */
  readonly gate?: RateGate
}

export class Admission {
  readonly #options: AdmissionOptions
  /** Undefined where all may write. */
  readonly #writers: readonly Network[] | undefined
  readonly #rates: RateGate

  constructor(options: AdmissionOptions) {
    this.#options = options
    const { allowWriteFrom, rates, gate } = options
    if (allowWriteFrom.length > 0) this.#writers = allowWriteFrom.flatMap(networkOf)
    this.#rates = gate ?? new RateGate(rates, options)
  }

  /** Changes the rates, as at a reload; the buckets begin full. */
  setRates(rates: RequestRates): void {
    this.#rates.setRates(rates)
  }

  /** Why a request is not let in by who sends it and where to; undefined when it is. */
  refuse(message: IncomingMessage): Refusal | undefined {
    const { blockEndpoints } = this.#options
    if (blockEndpoints.length > 0 && isBlocked(message.url ?? '', blockEndpoints)) return BLOCKED
    const refusal = this.#rates.refuseClient(kindOf(message), message.socket.remoteAddress)
    if (refusal !== undefined) return refusal
    if (this.#writers === undefined || isRead(message)) return undefined
    const { remoteAddress } = message.socket
    // A socket in a file has no address: who may open it is what its mode says.
    return remoteAddress === undefined || isIn(this.#writers, remoteAddress)
      ? undefined
      : RESTRICTED
  }

  /** Whether anything is counted. */
  get isRated(): boolean {
    return this.#rates.isRated
  }

  /** Counts a request that would reach the store; refuses it where there are too many. */
  refuseRate(message: IncomingMessage): Refusal | undefined {
    return this.#rates.isRated ? this.#rates.refuse(kindOf(message)) : undefined
  }
}

/** Whether a path is none that reaches the store: the agent's own and what is asked of itself. */
export const isExempt = (path: string): boolean => !/^\/v1\/(?!agent\/|status\/|openapi)/.test(path)

const BLOCKED = new Refusal(403, 'Endpoint is blocked by agent configuration')
const RESTRICTED = new Refusal(403, 'Access is restricted')
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'LIST', 'SCAN'])
const isRead = ({ method = '' }: IncomingMessage): boolean => READS.has(method)
const kindOf = (message: IncomingMessage): RequestKind => (isRead(message) ? 'read' : 'write')

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
