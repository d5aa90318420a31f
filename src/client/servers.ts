/**
 * Which server is asked, and what happens when it does not answer.
 *
 * Owns failover: one server is kept to while it answers, another is drawn when it does not, and one
 * that failed rests for a while, longer each time. A request that may have been carried out is
 * repeated only where its caller said that this does no harm.
 */
import type { Clock, Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { pause } from '../base/pause.ts'
import { closedError, type ErrorCode, GatehouseError } from './errors.ts'
import type { ApiMethod, Dial, Link, LinkListener, LinkStream } from './link.ts'

/** Where the token of each request comes from. */
export interface Tokens {
  /** The token to show now; empty for none. Waits for a login. */
  current(): Promise<string>
  /** A server refused this one. True where there is another, so that a second try makes sense. */
  renew(refused: string): Promise<boolean>
}

export interface ServersWorld {
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
  /** Aborts when the client is closed. */
  readonly closed: AbortSignal
}

export interface CallOptions {
  /** For everything, tries on other servers included; ten seconds unless given. */
  readonly timeoutMs?: number
  /** For one server, where the call may be repeated on another. */
  readonly tryMs?: number
  /** Whether it does no harm if it is carried out twice. */
  readonly repeatable?: boolean
  /** Shows no token. */
  readonly anonymous?: boolean
  /** Gives the request up. */
  readonly signal?: AbortSignal
}

/** The servers that there are, and which of them is asked next. */
export class ServerPool {
  readonly #world: ServersWorld
  readonly #servers: readonly Server[]
  #preferred: Server | undefined

  constructor(addresses: readonly string[], world: ServersWorld) {
    this.#world = world
    this.#servers = addresses.map(address => new Server(address, world))
  }

  close(): void {
    for (const server of this.#servers) server.close()
  }

  /** The server to ask, once one has rested; undefined where none will have in time. */
  async rested(endMs: number, signal: AbortSignal): Promise<Server | undefined> {
    const { clock } = this.#world
    for (;;) {
      const nowMs = clock.monotonic()
      const server = this.#pick(nowMs)
      if (server === undefined || signal.aborted) return undefined
      if (server.notBeforeMs <= nowMs) return server
      if (server.notBeforeMs >= endMs) return undefined
      await pause(clock, server.notBeforeMs - nowMs, signal)
    }
  }

  /** The one that was asked last, unless it failed; else any that did not; else who rested most. */
  #pick(nowMs: number): Server | undefined {
    if (this.#preferred !== undefined && this.#preferred.notBeforeMs <= nowMs)
      return this.#preferred
    const rested = this.#servers.filter(server => server.notBeforeMs <= nowMs)
    const { random } = this.#world
    this.#preferred = rested[Math.floor(random.fraction() * rested.length)]
    return this.#preferred ?? [...this.#servers].sort((a, b) => a.notBeforeMs - b.notBeforeMs)[0]
  }
}

/** What calls go out by: the servers, with the tokens of one half of them. */
export class Servers {
  readonly #world: ServersWorld
  readonly #pool: ServerPool
  readonly #tokens: Tokens

  constructor(pool: ServerPool, tokens: Tokens, world: ServersWorld) {
    this.#world = world
    this.#pool = pool
    this.#tokens = tokens
  }

  /** Aborts when the client is closed. */
  get closed(): AbortSignal {
    return this.#world.closed
  }

  /** Asks a server, and others while that does no harm. Rejects with GatehouseError. */
  async call<Q extends object, A extends object>(
    method: ApiMethod<Q, A>,
    request: Q,
    options: CallOptions = {},
  ): Promise<A> {
    const { clock, closed } = this.#world
    const { timeoutMs = limits.clientCallMs, repeatable = false, anonymous = false } = options
    const signal = options.signal ? AbortSignal.any([closed, options.signal]) : closed
    const endMs = clock.monotonic() + timeoutMs
    let failure = new GatehouseError('UNAVAILABLE', 'no server could be reached')
    let isRenewed = false
    for (;;) {
      this.#check(options.signal)
      const server = await this.#pool.rested(endMs, signal)
      const leftMs = endMs - clock.monotonic()
      if (server === undefined || leftMs <= 0) {
        this.#check(options.signal)
        throw failure
      }
      const token = anonymous ? '' : await this.#tokens.current()
      try {
        const link = await server.connected(leftMs)
        // What may be repeated is, while there is time, if one server keeps silent.
        const mostMs = repeatable ? limits.clientTryMs : timeoutMs
        const tryMs = Math.max(1, Math.min(endMs - clock.monotonic(), options.tryMs ?? mostMs))
        const call = { timeoutMs: tryMs, metadata: metadataOf(token), signal }
        const answer = await link.call(method, request, call)
        server.works()
        return answer
      } catch (error) {
        this.#check(options.signal)
        failure = asGatehouseError(error)
        if (failure.code === 'UNAUTHENTICATED' && !anonymous && !isRenewed) {
          isRenewed = true
          if (await this.#tokens.renew(token)) continue
        }
        if (!isForAnother(failure, repeatable)) throw failure
        server.failed(failure.retryAfterMs)
      }
    }
  }

  /**
   * A stream of one server. Rejects where that cannot be reached now; the caller opens again, and
   * gets another server where one failed.
   */
  async listen<Q extends object, A extends object>(
    method: ApiMethod<Q, A>,
    request: Q,
    listener: LinkListener<A>,
    signal: AbortSignal,
  ): Promise<OpenStream> {
    const either = AbortSignal.any([this.#world.closed, signal])
    const server = await this.#pool.rested(Number.POSITIVE_INFINITY, either)
    this.#check(signal)
    if (server === undefined) throw new GatehouseError('UNAVAILABLE', 'no server is known')
    const token = await this.#tokens.current()
    try {
      const stream = await server.listen(method, request, metadataOf(token), listener, signal)
      this.#check(signal)
      return {
        server: server.address,
        cancel: () => stream.cancel(),
        works: () => server.works(),
        failed: () => server.failed(),
        renewToken: () => this.#tokens.renew(token),
      }
    } catch (error) {
      this.#check(signal)
      server.failed()
      throw asGatehouseError(error)
    }
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#world.closed.aborted) throw closedError()
    if (signal?.aborted === true) throw new GatehouseError('CANCELLED', 'the request was given up')
  }
}

/** A stream under way, and what its reader makes of the server behind it. */
export interface OpenStream extends LinkStream {
  readonly server: string
  works(): void
  failed(): void
  /** The token that it was opened with was refused. True where there is another one now. */
  renewToken(): Promise<boolean>
}

const metadataOf = (token: string): Record<string, string> =>
  token === '' ? {} : { 'x-consul-token': token }

/** Whatever was thrown, as ours. */
const asGatehouseError = (error: unknown): GatehouseError =>
  error instanceof GatehouseError
    ? error
    : new GatehouseError('INTERNAL', error instanceof Error ? error.message : String(error))

const OVER: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED'])

const isForAnother = ({ code, mayHaveHappened }: GatehouseError, repeatable: boolean): boolean =>
  OVER.has(code) && (repeatable || !mayHaveHappened)

/** One server. */
class Server {
  readonly address: string
  readonly #world: ServersWorld
  /** It failed: left alone until then. */
  notBeforeMs = 0
  #failures = 0
  /** The first is for calls as well. Servers bound how much goes over one connection. */
  readonly #connections: Connection[] = []

  constructor(address: string, world: ServersWorld) {
    this.address = address
    this.#world = world
  }

  async connected(timeoutMs: number): Promise<Link> {
    const { link } = this.#connections[0] ?? this.#connect()
    await (await link).ready(Math.min(timeoutMs, limits.clientConnectMs))
    return link
  }

  /** Opens a stream, over a connection that has room for it. */
  async listen<Q extends object, A extends object>(
    method: ApiMethod<Q, A>,
    request: Q,
    metadata: Record<string, string>,
    listener: LinkListener<A>,
    signal: AbortSignal,
  ): Promise<LinkStream> {
    const most = limits.clientStreamsPerConnection
    const connection = this.#connections.find(one => one.streams < most) ?? this.#connect()
    connection.streams++
    let isOver = false
    const over = (): void => {
      if (!isOver) connection.streams--
      isOver = true
    }
    try {
      const link = await connection.link
      await link.ready(limits.clientConnectMs)
      if (signal.aborted) throw closedError()
      const stream = await link.listen(method, request, metadata, {
        onMessage: message => listener.onMessage(message),
        onEnd(error) {
          over()
          listener.onEnd(error)
        },
      })
      return {
        cancel() {
          over()
          stream.cancel()
        },
      }
    } catch (error) {
      over()
      throw error
    }
  }

  #connect(): Connection {
    const connection = { link: this.#world.dial(this.address), streams: 0 }
    this.#connections.push(connection)
    return connection
  }

  works(): void {
    this.#failures = 0
    this.notBeforeMs = 0
  }

  failed(retryAfterMs = 0): void {
    const { clock, random } = this.#world
    // Of several calls that fail together only one counts.
    if (this.notBeforeMs > clock.monotonic()) return
    const longestMs = Math.min(limits.clientRetryMaxMs, limits.clientRetryMs * 2 ** this.#failures)
    this.#failures++
    const restMs = Math.max(retryAfterMs, longestMs * (1 + random.fraction()) * 0.5)
    this.notBeforeMs = clock.monotonic() + restMs
  }

  close(): void {
    for (const { link } of this.#connections.splice(0)) {
      link.then(one => one.close()).catch(() => {})
    }
  }
}

interface Connection {
  readonly link: Promise<Link>
  streams: number
}

/** Whether an end says something of the server, rather than of what was asked. */
export const isServersFault = (error: GatehouseError | undefined): boolean =>
  error === undefined || SERVERS.has(error.code)

const SERVERS: ReadonlySet<ErrorCode> = new Set([
  'CANCELLED',
  'DATA_LOSS',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'UNAVAILABLE',
  'UNKNOWN',
])
