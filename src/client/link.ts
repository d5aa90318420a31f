/**
 * The port between the client and the wire: one connection to one server, and methods with types.
 *
 * Owns shapes alone. The real connection is `openApiLink` of base/io/grpc.ts; tests have one
 * without sockets.
 */
import type { GatehouseError } from './errors.ts'

/** A method of a server: what is asked and what is answered. */
export interface ApiMethod<Q extends object, A extends object> {
  /** Below `proto/`. */
  readonly protoFile: string
  readonly path: string
  /** Only its type counts. */
  readonly types?: (request: Q) => A
}

export interface LinkCall {
  readonly timeoutMs: number
  /** Names and texts that travel with the call; the token is one of them. */
  readonly metadata: Readonly<Record<string, string>>
  /** Nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** Who listens to a stream. */
export interface LinkListener<A> {
  onMessage(message: A): void
  /** Comes once, last, and not at all after `cancel`. */
  onEnd(error: GatehouseError | undefined): void
}

/** A stream under way. */
export interface LinkStream {
  cancel(): void
}

/** A connection to one server. What it throws is a GatehouseError. */
export interface Link {
  /** Resolves once there is a connection. */
  ready(timeoutMs: number): Promise<void>
  call<Q extends object, A extends object>(
    method: ApiMethod<Q, A>,
    request: Q,
    call: LinkCall,
  ): Promise<A>
  listen<Q extends object, A extends object>(
    method: ApiMethod<Q, A>,
    request: Q,
    metadata: LinkCall['metadata'],
    listener: LinkListener<A>,
  ): Promise<LinkStream>
  close(): void
}

/** Opens a connection to `host:port`. Connects when it is first used. */
export type Dial = (address: string) => Promise<Link>
