/**
 * The words of remote calls between agents: methods, callers, what a handler gets and how it fails.
 *
 * Owns the shapes that a method's declaration, its handler and both ends of the wire share, and
 * what a method may be called by. Knows neither a socket nor a library.
 */

/** gRPC's names of how a call can end otherwise than well. */
export type RpcCode =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED'

/** gRPC's numbers of them. */
export const codeNumbers: Readonly<Record<RpcCode, number>> = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
}

/**
 * What a handler throws to say no. Its text goes to the caller as it is. Whatever else is thrown
 * becomes INTERNAL, without a word of what it was.
 */
export class RpcFailure extends Error {
  override readonly name = 'RpcFailure'
  readonly code: RpcCode
  /** True where nothing was done, so that the caller may ask another server even if he wrote. */
  readonly isUntouched: boolean

  constructor(code: RpcCode, message: string, isUntouched = false) {
    super(message)
    this.code = code
    this.isUntouched = isUntouched
  }
}

/** What role an agent plays in the cluster, as its certificate says. */
export type AgentKind = 'server' | 'client'

/** What a certificate of the agents' CA says of its holder. */
export interface AgentIdentity {
  readonly kind: AgentKind
  readonly nodeId: string
}

/**
 * Who calls, by the certificate that it showed. `kind` is undefined where it showed none, or one
 * that no root of ours signed; `nodeId` is empty then.
 */
export interface RpcPeer {
  readonly kind: AgentKind | undefined
  readonly nodeId: string
  /** Of the certificate, in hexadecimal digits; empty without one. */
  readonly serial: string
  /** `host:port` of its end of the connection. */
  readonly address: string
  /** SHA-256 of the certificate that was shown, and of its public key (SPKI), in hexadecimal. */
  readonly fingerprint: string
  readonly keyDigest: string
  /** When the certificate ends, by the wall clock; 0 without one. */
  readonly expiresMs: number
}

/** One call under way. */
export interface RpcCall {
  readonly peer: RpcPeer
  /** Aborts once nobody waits for the answer any more. Of a stream: once it is over. */
  readonly signal: AbortSignal
  /** How long the caller waits for the answer, from the arrival of the call on. */
  readonly deadlineMs?: number
}

/**
 * Who may call a method. `anybody`: also who has no certificate yet, which is for joining alone.
 * `agents`: whoever has one. `servers`: whoever has one that says server.
 */
export type Callers = 'anybody' | 'agents' | 'servers'

export type RpcPath = `gatehouse.agent.v1.${string}/${string}`

/** A declared method: `Q` is what is asked, `A` what is answered. Both ends use the same one. */
interface Method {
  /** Below `proto/`. */
  readonly protoFile: string
  readonly path: RpcPath
  readonly callers: Callers
}

/** One question, one answer. */
export interface UnaryMethod<Q extends object, A extends object> extends Method {
  readonly form: 'unary'
  /** Only its type counts. */
  readonly types?: (request: Q) => A
}

/** Messages in both directions, until either side ends it. */
export interface StreamMethod<Q extends object, A extends object> extends Method {
  readonly form: 'stream'
  /** Only its type counts. */
  readonly types?: (request: Q) => A
}

export type RpcMethod = UnaryMethod<never, object> | StreamMethod<never, object>

/** A handler's end of a stream. */
export interface RpcOut<A extends object> {
  /**
   * Sends a message, or nothing once the stream is over. False: messages wait, as the caller is
   * slow; send more when `onDrain` came. One who lets too many wait is cut off.
   */
  send(answer: A): boolean
  /** Ends the stream, well or with a failure. What was sent before it arrives first. */
  end(failure?: RpcFailure): void
}

/** What a handler wants to hear of a stream that was opened. */
export interface RpcIn<Q extends object> {
  /** While a promise of it is pending no further message comes. */
  onMessage(request: Q): void | Promise<void>
  /** Everything that waited was sent. */
  onDrain?(): void
  /** Comes once, last, whoever ended it. */
  onEnd(): void
}

/** A method with what answers it. */
export type RpcHandler =
  | {
      readonly method: UnaryMethod<never, object>
      handle(request: object, call: RpcCall): Promise<object>
    }
  | {
      readonly method: StreamMethod<never, object>
      open(call: RpcCall, out: RpcOut<object>): RpcIn<object>
    }

/** The handlers of one service. */
export type RpcService = readonly RpcHandler[]

/** Why a peer may not call a method; undefined where it may. */
export function callerProblem(callers: Callers, peer: RpcPeer): RpcFailure | undefined {
  if (callers === 'anybody') return undefined
  if (peer.kind === undefined) {
    return new RpcFailure('UNAUTHENTICATED', 'a certificate of the cluster is needed', true)
  }
  if (callers === 'agents' || peer.kind === 'server') return undefined
  return new RpcFailure('PERMISSION_DENIED', 'only servers may call this', true)
}
