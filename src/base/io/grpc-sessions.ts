/**
 * Connections of gRPC as their calls see them.
 *
 * Owns which address each one has, and that one without a call for long is let go: the library's
 * own bound knows the calls alone that are the library's.
 */
import type { Http2Session } from 'node:http2'
import type { Clock, Timer } from '../clock.ts'
import { limits } from '../limits.ts'

/** A connection, for as long as its calls need to know it. */
export class GrpcConnection {
  /** The client's address, without its port; '' for a socket in a file. */
  readonly remote: string
  #calls = 0
  #wasUsed = true

  constructor(remote: string) {
    this.remote = remote
  }

  /** A call was opened on it. */
  enter(): void {
    this.#wasUsed = true
    this.#calls++
  }

  /** A call on it is no more. */
  leave(): void {
    this.#calls--
  }

  /** Whether there is no call and none was opened since this was asked last. */
  takeIdle(): boolean {
    const isIdle = this.#calls === 0 && !this.#wasUsed
    this.#wasUsed = false
    return isIdle
  }
}

/** Of a stream whose connection is gone already. */
const GONE = new GrpcConnection('')

export class GrpcSessions {
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #connections = new Map<Http2Session | undefined, GrpcConnection>()
  #sweep: Timer | undefined

  constructor(clock: Clock, idleMs: number = limits.grpcIdleMs) {
    this.#clock = clock
    this.#idleMs = idleMs
  }

  /** A connection is there. */
  add(session: Http2Session): void {
    this.#connections.set(session, new GrpcConnection(session.socket?.remoteAddress ?? ''))
    session.on('close', () => this.#connections.delete(session))
    this.#sweepLater()
  }

  /** The connection of a session. */
  of(session: Http2Session | undefined): GrpcConnection {
    return this.#connections.get(session) ?? GONE
  }

  stop(): void {
    this.#sweep?.clear()
    this.#sweep = undefined
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined || this.#connections.size === 0) return
    this.#sweep = this.#clock.after(this.#idleMs, () => {
      this.#sweep = undefined
      for (const [session, connection] of this.#connections) {
        if (connection.takeIdle()) session?.close()
      }
      this.#sweepLater()
    })
  }
}
