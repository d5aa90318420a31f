/**
 * Calls from their opening on, before the library hands them over.
 *
 * Owns the bounds of what is on its way: how many calls there are, how long the request of one may
 * take, and what all requests together hold that are not answered yet. The library bounds one
 * message, and keeps what came of it for as long as its caller likes.
 */
import type { ServerHttp2Stream } from 'node:http2'
import type { Clock, Timer } from '../clock.ts'
import { limits } from '../limits.ts'
import type { Grpc } from './grpc-js.ts'

/** What the library has of a call, and its types leave out. */
export interface OpenedCall {
  readonly stream: ServerHttp2Stream
  sendStatus(status: { code: number; details: string; metadata: null }): void
}

/** The bounds; those of `limits` unless a test gives others. */
export interface IncomingBounds {
  readonly calls: number
  readonly callsPerClient: number
  readonly requestMs: number
  readonly sizeBytes: number
  readonly uncountedSizeBytes: number
}

const BOUNDS: IncomingBounds = {
  calls: limits.grpcCalls,
  callsPerClient: limits.grpcCallsPerClient,
  requestMs: limits.grpcRequestMs,
  sizeBytes: limits.grpcRequestsSizeBytes,
  uncountedSizeBytes: limits.grpcRequestUncountedSizeBytes,
}

/** One call. */
class Opened {
  readonly call: OpenedCall
  readonly sinceMs: number
  /** The client's address. */
  readonly remote: string
  /** What came and is not answered (of streams: not handed over) yet. */
  sizeBytes = 0

  constructor(call: OpenedCall, sinceMs: number) {
    this.call = call
    this.sinceMs = sinceMs
    this.remote = call.stream.session?.socket?.remoteAddress ?? ''
  }
}

export class IncomingCalls {
  readonly #clock: Clock
  readonly #status: typeof Grpc.status
  readonly #bounds: IncomingBounds
  readonly #calls = new Map<OpenedCall, Opened>()
  /** Those whose request is not whole yet, by the order in which they came. */
  readonly #partial = new Set<Opened>()
  /** Refused ones whose client may still send, with when that is to end. */
  readonly #refused = new Map<Opened, number>()
  /** How many calls each address has. */
  readonly #clients = new Map<string, number>()
  #sizeBytes = 0
  #sweep: Timer | undefined
  #emptied: (() => void) | undefined

  constructor(clock: Clock, status: typeof Grpc.status, bounds: IncomingBounds = BOUNDS) {
    this.#clock = clock
    this.#status = status
    this.#bounds = bounds
  }

  /** How many there are. */
  get count(): number {
    return this.#calls.size
  }

  /** The library opened a call; nothing of its request was read. */
  open(call: OpenedCall): void {
    const { stream } = call
    const opened = new Opened(call, this.#clock.monotonic())
    this.#calls.set(call, opened)
    this.#partial.add(opened)
    stream.once('close', () => this.#close(opened))
    const ofClient = (this.#clients.get(opened.remote) ?? 0) + 1
    this.#clients.set(opened.remote, ofClient)
    if (this.#calls.size > this.#bounds.calls || ofClient > this.#bounds.callsPerClient) {
      this.#refuse(opened, 'RESOURCE_EXHAUSTED', 'too many calls are under way')
      return
    }
    stream.on('data', (chunk: Buffer) => this.#take(opened, chunk.length))
    this.#sweepLater()
  }

  /** The request of a call is whole; of a stream: it is handed over message by message. */
  handed(call: OpenedCall): void {
    const opened = this.#calls.get(call)
    if (opened !== undefined) this.#partial.delete(opened)
  }

  /** A message of a stream was taken: what it held is whoever's who took it. */
  taken(call: OpenedCall): void {
    const opened = this.#calls.get(call)
    if (opened !== undefined) this.#free(opened)
  }

  /** Resolves when no call is left. */
  async emptied(): Promise<void> {
    if (this.#calls.size === 0) return
    await new Promise<void>(resolve => {
      this.#emptied = resolve
    })
  }

  stop(): void {
    this.#sweep?.clear()
    this.#sweep = undefined
  }

  #take(opened: Opened, sizeBytes: number): void {
    if (this.#refused.has(opened)) return
    const { uncountedSizeBytes } = this.#bounds
    const before = countedOf(opened.sizeBytes, uncountedSizeBytes)
    opened.sizeBytes += sizeBytes
    this.#sizeBytes += countedOf(opened.sizeBytes, uncountedSizeBytes) - before
    if (this.#sizeBytes <= this.#bounds.sizeBytes) return
    this.#refuse(opened, 'RESOURCE_EXHAUSTED', 'too many bytes of requests are on their way')
  }

  #free(opened: Opened): void {
    this.#sizeBytes -= countedOf(opened.sizeBytes, this.#bounds.uncountedSizeBytes)
    opened.sizeBytes = 0
  }

  #close(opened: Opened): void {
    this.#free(opened)
    this.#partial.delete(opened)
    this.#refused.delete(opened)
    this.#calls.delete(opened.call)
    const others = (this.#clients.get(opened.remote) ?? 1) - 1
    if (others === 0) this.#clients.delete(opened.remote)
    else this.#clients.set(opened.remote, others)
    if (this.#calls.size === 0) this.#emptied?.()
  }

  /** Ends it; what it still sends goes by for a while, so that its client reads why. */
  #refuse(opened: Opened, code: 'RESOURCE_EXHAUSTED' | 'DEADLINE_EXCEEDED', details: string): void {
    this.#free(opened)
    this.#partial.delete(opened)
    this.#refused.set(opened, this.#clock.monotonic() + limits.grpcSweepMs)
    opened.call.sendStatus({ code: this.#status[code], details, metadata: null })
    this.#sweepLater()
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined || this.#partial.size + this.#refused.size === 0) return
    const { requestMs } = this.#bounds
    this.#sweep = this.#clock.after(Math.min(requestMs, limits.grpcSweepMs), () => {
      this.#sweep = undefined
      const nowMs = this.#clock.monotonic()
      for (const [opened, endMs] of this.#refused) {
        if (endMs <= nowMs) opened.call.stream.close()
      }
      for (const opened of this.#partial) {
        if (opened.sinceMs > nowMs - requestMs) break
        this.#refuse(opened, 'DEADLINE_EXCEEDED', 'the request did not come in time')
      }
      this.#sweepLater()
    })
  }
}

/** Small requests are not counted: they are many, and bounded by the number of calls. */
const countedOf = (sizeBytes: number, uncountedSizeBytes: number): number =>
  sizeBytes > uncountedSizeBytes ? sizeBytes : 0
