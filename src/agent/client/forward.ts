/**
 * Sends what a client asked of this agent on to a server, and the answer back.
 *
 * Owns which requests are sent again to another server (those that surely were not handled, and
 * reads), how long servers that are away are waited for, and that bodies go no faster than they are
 * taken on either side. Must not look into a body, nor change a status or a byte of an answer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'
import { namedByConnection, travels } from '../../base/forwarding.ts'
import type { RpcError, RpcStream } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import type { Counter, Metrics } from '../../base/metrics.ts'
import type { Timeout, Timeouts } from '../../base/timeouts.ts'
import { piecesOf } from '../../http/body.ts'
import { tokenOf } from '../../http/headers.ts'
import { queryIn } from '../../http/path.ts'
import type { PlainReply } from '../../http/server.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import {
  type ForwardAnswer,
  type ForwardQuestion,
  forwardRequest,
  forwardSecrets,
} from '../../rpc/forward.ts'

export interface ForwarderPorts {
  readonly channel: Pick<ServerChannel, 'open' | 'servers'>
  readonly clock: Clock
  readonly timeouts: Timeouts
  readonly metrics: Metrics
  /** This agent's node. */
  readonly node: string
  /** What servers answer, and how it is told that none did. */
  readonly half: ForwardedHalf
  /** Since when no server was reached, by the monotonic clock; undefined while one is. */
  readonly awaySinceMs: () => number | undefined
  /** Headers that the configuration adds to every answer. */
  readonly responseHeaders: () => Readonly<Record<string, string>>
}

/** One half of what servers answer, the registry or the secrets. */
export interface ForwardedHalf {
  readonly method: typeof forwardRequest
  /** What is added to a request, given as it came: names and values in turn. */
  readonly added: (message: IncomingMessage) => readonly string[]
  /** Whether what was sent may be sent again where no answer came. */
  readonly isRepeatable: (verb: string) => boolean
  /** What is answered where no server is reached, so that nothing was done. */
  readonly none: Failed
  /** The same where it is not known what was done. */
  readonly unknown: (why: string) => Failed
  /** The same of a server that does not know of this half. */
  readonly unserved: Failed
  /** Headers of such answers. */
  readonly headersOf: (verb: string) => Readonly<Record<string, string>> | undefined
}

type Failed = readonly [status: number, text: string]

/** The registry's half. `defaultToken` is shown for who shows none: a secret, '' for none. */
export const registryHalf = (defaultToken: () => string): ForwardedHalf => ({
  method: forwardRequest,
  added: ({ headers, url = '' }) =>
    tokenOf(headers, queryIn(url)) === '' ? ['x-consul-token', defaultToken() || ANONYMOUS] : [],
  isRepeatable: isRead,
  none: NO_SERVERS,
  unknown: why => [500, `rpc error making call: ${why}`],
  unserved: [500, 'rpc error making call: the server does not know the call'],
  headersOf: verb => (isRead(verb) ? FAILED_READ : undefined),
})

/**
 * The secrets' half. No token is added: this agent has none of the secrets. Nothing is sent twice:
 * a read may use up a token, or make a secret.
 */
export const secretsHalf: ForwardedHalf = {
  method: forwardSecrets,
  added: () => [],
  isRepeatable: () => false,
  none: [503, 'no server of the secrets is reached: nothing was done'],
  unknown: why => [502, `no answer came, and it is not known what was done: ${why}`],
  unserved: [501, 'the servers do not serve secrets'],
  headersOf: () => undefined,
}

const isRead = (verb: string): boolean => ['GET', 'HEAD', 'OPTIONS'].includes(verb)

export class Forwarder {
  readonly #ports: ForwarderPorts
  readonly #counters: Counters
  readonly #open = new Set<Forwarding>()

  constructor(ports: ForwarderPorts) {
    this.#ports = ports
    this.#counters = countersOf(ports.metrics)
  }

  /** How many requests are under way. */
  get size(): number {
    return this.#open.size
  }

  /** Sends a request on; `reply` answers where no server does. */
  send(message: IncomingMessage, response: ServerResponse, reply: PlainReply): void {
    // It left while what this agent keeps was waited for: nothing would tell of it again.
    if (response.destroyed) return
    this.#counters.calls.add()
    if (this.#open.size >= limits.forwardedRequests) {
      this.#counters.exceeded.add()
      reply(429, 'this agent forwards too many requests already')
      return
    }
    const forwarding = new Forwarding(message, response, reply, this.#ports, this.#counters)
    this.#open.add(forwarding)
    response.once('close', () => {
      this.#open.delete(forwarding)
      forwarding.leave()
    })
    forwarding.start()
  }
}

interface Counters {
  readonly calls: Counter
  readonly failed: Counter
  readonly exceeded: Counter
}

const countersOf = (metrics: Metrics): Counters => ({
  calls: metrics.counter('client.rpc', 'Requests that need a server.'),
  failed: metrics.counter('client.rpc.failed', 'Requests that no server answered.'),
  exceeded: metrics.counter('client.rpc.exceeded', 'Requests beyond what this agent forwards.'),
})

/** Consul's words, which clients look for. */
const NO_SERVERS: Failed = [500, 'No known Consul servers']
const FAILED_READ = {
  'X-Consul-Index': '1',
  'X-Consul-KnownLeader': 'false',
  'X-Consul-LastContact': '0',
}
/** The secret of the anonymous token: a server must not take a request without one for its own. */
const ANONYMOUS = 'anonymous'

/** One request from its arrival to the end of its answer. */
class Forwarding {
  readonly #message: IncomingMessage
  readonly #response: ServerResponse
  readonly #reply: PlainReply
  readonly #ports: ForwarderPorts
  readonly #counters: Counters
  readonly #beganMs: number
  /** The beginning of the body, kept so that it can be sent again; undefined until it is there. */
  #first: { readonly bytes: Buffer; readonly isWhole: boolean } | undefined
  /** The pieces after that. */
  #rest: AsyncGenerator<Buffer, void, undefined> | undefined
  #stream: RpcStream<ForwardQuestion> | undefined
  #retry: Timeout | undefined
  #deadline: Timeout | undefined
  /** Servers that were tried. */
  #tries = 0
  /** Bytes of the body that the server has room for. */
  #room = 0
  #onRoom: (() => void) | undefined
  #hasBegun = false
  #isOver = false

  constructor(
    message: IncomingMessage,
    response: ServerResponse,
    reply: PlainReply,
    ports: ForwarderPorts,
    counters: Counters,
  ) {
    this.#message = message
    this.#response = response
    this.#reply = reply
    this.#ports = ports
    this.#counters = counters
    this.#beganMs = ports.clock.monotonic()
  }

  start(): void {
    const { headers } = this.#message
    // What no server has answered by then is not waited for while none is there.
    this.#deadline = this.#ports.timeouts.after(limits.forwardHoldMs, () => {
      const isAway = this.#ports.awaySinceMs() !== undefined
      if (isAway && !this.#hasBegun && !this.#isOver) this.#fail(this.#ports.half.none)
    })
    const hasBody =
      headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
    if (!hasBody) {
      this.#first = { bytes: NOTHING, isWhole: true }
      this.#message.resume()
      this.#try()
      return
    }
    this.#readFirst().then(
      () => this.#try(),
      () => this.leave(),
    )
  }

  /** The client is gone, or got its answer. */
  leave(): void {
    this.#deadline?.cancel()
    if (this.#isOver) return
    this.#isOver = true
    this.#retry?.cancel()
    this.#stream?.cancel()
    this.#onRoom?.()
    this.#letGo()
  }

  /** Reads a short body whole, of a long one the beginning. */
  async #readFirst(): Promise<void> {
    const rest = piecesOf(this.#message)
    const pieces: Buffer[] = []
    let sizeBytes = 0
    let isWhole = false
    while (!isWhole && sizeBytes < limits.forwardPieceSizeBytes) {
      const next = await rest.next()
      if (next.done === true) isWhole = true
      else {
        pieces.push(next.value)
        sizeBytes += next.value.length
      }
    }
    this.#first = { bytes: Buffer.concat(pieces), isWhole }
    this.#rest = rest
  }

  /** Asks the next server. */
  #try(): void {
    if (this.#isOver) return
    const { channel, half } = this.#ports
    if (channel.servers.length === 0) {
      this.#fail(half.none)
      return
    }
    this.#tries++
    this.#room = limits.forwardWindowSizeBytes - this.#first!.bytes.length
    const stream = channel.open(half.method, {
      onMessage: answer => this.#take(stream, answer),
      onEnd: error => this.#ended(stream, error),
    })
    this.#stream = stream
    stream.send({ head: this.#head() })
  }

  #head() {
    const { method = 'GET', url = '/', socket } = this.#message
    const { bytes, isWhole } = this.#first!
    return {
      ...{ method, target: url, headers: this.#headers(), remote: socket.remoteAddress ?? '' },
      ...{ node: this.#ports.node, body: bytes, isWhole, room: limits.forwardWindowSizeBytes },
    }
  }

  /** Names and values in turn. */
  #headers(): string[] {
    const { headers } = this.#message
    const named = namedByConnection(headers.connection)
    const lines: string[] = []
    for (const [name, value] of Object.entries(headers)) {
      if (value === undefined || !travels(name, named)) continue
      lines.push(name, Array.isArray(value) ? value.join(', ') : value)
    }
    return [...lines, ...this.#ports.half.added(this.#message)]
  }

  #take(stream: RpcStream<ForwardQuestion>, answer: ForwardAnswer): void {
    if (this.#isOver || stream !== this.#stream) return
    if (answer.part === 'head' && 'head' in answer) {
      const { status, headers, body, isWhole } = answer.head
      this.#hasBegun = true
      this.#response.writeHead(status, this.#answerLines(headers))
      if (isWhole) this.#finish(body)
      else {
        this.#response.flushHeaders()
        if (body.length > 0) this.#write(stream, body)
      }
    } else if (answer.part === 'body' && 'body' in answer) this.#write(stream, answer.body)
    else if (answer.part === 'end') this.#finish(NOTHING)
    else if (answer.part === 'room' && 'room' in answer) {
      this.#room += answer.room
      this.#onRoom?.()
      this.#pumpBody(stream)
    }
  }

  #answerLines(headers: readonly string[]): string[] {
    const lines: string[] = []
    const names = new Set<string>()
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase()
      if (!travels(name)) continue
      names.add(name)
      lines.push(headers[at]!, headers[at + 1]!)
    }
    for (const [name, value] of Object.entries(this.#ports.responseHeaders())) {
      if (!names.has(name.toLowerCase())) lines.push(name, value)
    }
    return lines
  }

  /** More may come once the client's connection took this. */
  #write(stream: RpcStream<ForwardQuestion>, piece: Buffer): void {
    this.#response.write(piece, error => {
      if (error === null || error === undefined) stream.send({ room: piece.length })
    })
  }

  #finish(last: Buffer): void {
    this.#isOver = true
    this.#response.end(last)
    this.#stream?.cancel()
    this.#letGo()
  }

  /** What nobody took of the request is let go by, so that the connection lives on. */
  #letGo(): void {
    void this.#rest?.return().catch(() => {})
    this.#message.resume()
  }

  /** Set while a body's pieces are on their way. */
  #isPumping = false

  #pumpBody(stream: RpcStream<ForwardQuestion>): void {
    const rest = this.#rest
    if (this.#isPumping || rest === undefined || this.#first?.isWhole === true) return
    this.#isPumping = true
    this.#sendBody(stream, rest).catch(() => this.leave())
  }

  async #sendBody(
    stream: RpcStream<ForwardQuestion>,
    rest: AsyncGenerator<Buffer, void, undefined>,
  ): Promise<void> {
    for (;;) {
      while (this.#room <= 0 && !this.#isOver) {
        await new Promise<void>(resolve => {
          this.#onRoom = resolve
        })
        this.#onRoom = undefined
      }
      if (this.#isOver) return
      const next = await rest.next()
      if (next.done === true) break
      this.#room -= next.value.length
      stream.send({ body: next.value })
    }
    stream.send({ end: true })
  }

  #ended(stream: RpcStream<ForwardQuestion>, error: RpcError | undefined): void {
    if (this.#isOver || stream !== this.#stream) return
    if (this.#hasBegun) {
      // No client may take half an answer for a whole one.
      this.#isOver = true
      this.#response.destroy()
      return
    }
    const wasSent = error?.sent ?? true
    const { half } = this.#ports
    const isLost = error?.code === 'UNAVAILABLE'
    const isRepeatable = isLost && half.isRepeatable(this.#message.method ?? '')
    if (error?.code === 'UNIMPLEMENTED') this.#fail(half.unserved)
    else if (this.#isPumping || (wasSent && !isRepeatable)) {
      this.#fail(half.unknown(error?.message ?? 'the server ended the call'))
    } else if (this.#mayTryAgain()) {
      const { timeouts } = this.#ports
      this.#retry = timeouts.after(limits.forwardRetryMs, () => this.#try())
    } else this.#fail(half.none)
  }

  /** Each server is tried; while they are away for short, again. */
  #mayTryAgain(): boolean {
    const { channel, clock, awaySinceMs } = this.#ports
    const nowMs = clock.monotonic()
    if (nowMs - this.#beganMs >= limits.forwardHoldMs) return false
    if (this.#tries < channel.servers.length) return true
    const sinceMs = awaySinceMs()
    return sinceMs === undefined || nowMs - sinceMs < limits.forwardHoldMs
  }

  #fail([status, text]: Failed): void {
    this.#isOver = true
    this.#counters.failed.add()
    this.#stream?.cancel()
    this.#letGo()
    const { half } = this.#ports
    this.#reply(status, text, half.headersOf(this.#message.method ?? ''))
  }
}

const NOTHING = Buffer.alloc(0)
