/**
 * Calls from their opening on, before anybody takes them.
 *
 * Owns the bounds of what is on its way: how many calls there are, how long the request of one may
 * take, and what all requests together hold that are not answered yet. Must not know how a call is
 * read or answered: unary ones are ours, streams the library's, which bounds one message and keeps
 * what came of it for as long as its caller likes.
 */
import type { Clock, Timer } from '../clock.ts'
import { limits } from '../limits.ts'

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

/** Which bound a call met. */
export type BoundCode = 'RESOURCE_EXHAUSTED' | 'DEADLINE_EXCEEDED'

/** A call, as far as its bounds go. The fields are IncomingCalls' own. */
export abstract class IncomingCall {
  /** When it was opened, by the monotonic clock. */
  sinceMs = 0
  /** What came and is not answered (of streams: not handed over) yet. */
  sizeBytes = 0

  /** The client's address. */
  abstract readonly remote: string
  /** Tells its client why it ends. */
  abstract end(code: BoundCode, text: string): void
  /** Resets it where it is still there. */
  abstract reset(): void
}

export class IncomingCalls {
  readonly #clock: Clock
  readonly #bounds: IncomingBounds
  /** Those whose request is not whole yet, by the order in which they came. */
  readonly #partial = new Set<IncomingCall>()
  /** Ended ones whose client may still send, with when that is to end. */
  readonly #ended = new Map<IncomingCall, number>()
  /** How many calls each address has. */
  readonly #clients = new Map<string, number>()
  #count = 0
  #sizeBytes = 0
  #sweep: Timer | undefined
  #emptied: (() => void) | undefined

  constructor(clock: Clock, bounds: IncomingBounds = BOUNDS) {
    this.#clock = clock
    this.#bounds = bounds
  }

  /** How many there are. */
  get count(): number {
    return this.#count
  }

  /** A call was opened; nothing of its request was read. False: it is one too many, and ended. */
  enter(call: IncomingCall): boolean {
    call.sinceMs = this.#clock.monotonic()
    this.#count++
    const ofClient = (this.#clients.get(call.remote) ?? 0) + 1
    this.#clients.set(call.remote, ofClient)
    if (this.#count > this.#bounds.calls || ofClient > this.#bounds.callsPerClient) {
      this.#refuse(call, 'RESOURCE_EXHAUSTED', 'too many calls are under way')
      return false
    }
    this.#partial.add(call)
    this.#sweepLater()
    return true
  }

  /** Bytes of a request came. False: nothing of them may be kept, the call is ended. */
  took(call: IncomingCall, sizeBytes: number): boolean {
    if (this.#ended.has(call)) return false
    const { uncountedSizeBytes } = this.#bounds
    const before = countedOf(call.sizeBytes, uncountedSizeBytes)
    call.sizeBytes += sizeBytes
    this.#sizeBytes += countedOf(call.sizeBytes, uncountedSizeBytes) - before
    if (this.#sizeBytes <= this.#bounds.sizeBytes) return true
    this.#refuse(call, 'RESOURCE_EXHAUSTED', 'too many bytes of requests are on their way')
    return false
  }

  /** The request of a call is whole; of a stream: it is handed over message by message. */
  handed(call: IncomingCall): void {
    this.#partial.delete(call)
  }

  /** A message of a stream was taken: what it held is whoever's who took it. */
  taken(call: IncomingCall): void {
    this.#sizeBytes -= countedOf(call.sizeBytes, this.#bounds.uncountedSizeBytes)
    call.sizeBytes = 0
  }

  /** It was answered before its request was whole: what still comes goes by for a while. */
  ended(call: IncomingCall): void {
    this.taken(call)
    this.#partial.delete(call)
    this.#ended.set(call, this.#clock.monotonic() + limits.grpcSweepMs)
    this.#sweepLater()
  }

  /** It is no more. */
  leave(call: IncomingCall): void {
    this.taken(call)
    this.#partial.delete(call)
    this.#ended.delete(call)
    this.#count--
    const others = (this.#clients.get(call.remote) ?? 1) - 1
    if (others === 0) this.#clients.delete(call.remote)
    else this.#clients.set(call.remote, others)
    if (this.#count === 0) this.#emptied?.()
  }

  /** Resolves when no call is left. */
  async emptied(): Promise<void> {
    if (this.#count === 0) return
    await new Promise<void>(resolve => {
      this.#emptied = resolve
    })
  }

  stop(): void {
    this.#sweep?.clear()
    this.#sweep = undefined
  }

  #refuse(call: IncomingCall, code: BoundCode, text: string): void {
    this.ended(call)
    call.end(code, text)
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined || this.#partial.size + this.#ended.size === 0) return
    const { requestMs } = this.#bounds
    this.#sweep = this.#clock.after(Math.min(requestMs, limits.grpcSweepMs), () => {
      this.#sweep = undefined
      const nowMs = this.#clock.monotonic()
      for (const [call, endMs] of this.#ended) {
        if (endMs <= nowMs) call.reset()
      }
      for (const call of this.#partial) {
        if (call.sinceMs > nowMs - requestMs) break
        this.#refuse(call, 'DEADLINE_EXCEEDED', 'the request did not come in time')
      }
      this.#sweepLater()
    })
  }
}

/** Small requests are not counted: they are many, and bounded by the number of calls. */
const countedOf = (sizeBytes: number, uncountedSizeBytes: number): number =>
  sizeBytes > uncountedSizeBytes ? sizeBytes : 0
