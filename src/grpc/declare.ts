/**
 * Declarations: one per method. Routing, decoding, who may call, rates, records, reflection and
 * the tests of all methods come from here.
 *
 * Owns the types and their makers. A handler decides nothing: it calls one function of a room,
 * the same as the HTTP face does, and says what message its answer is. Messages are plain objects:
 * fields in camelCase, 64-bit numbers as numbers, bytes as Buffers, enums by their names, oneofs
 * by the name of what they hold.
 */
import type { Refusal } from '../base/errors.ts'
import type { RpcCode } from '../base/rpc.ts'
import type { Access, Caller } from '../base/who.ts'

/** One call under way. */
export interface GrpcCall {
  /**
   * Who calls, by the token of the metadata: `x-consul-token`, `x-vault-token` or `authorization:
   * Bearer`. Of a method that is decided inside: nobody, with the facts of the request.
   */
  readonly who: Caller
  /** The token that came with the call, '' for none: a secret. */
  readonly token: string
  /** What the answer says as `x-request-id`. */
  readonly id: string
  /** The client's address, without its port; '' for a socket in a file. */
  readonly remote: string
  /**
   * Aborts once nobody waits any more: the caller left, its deadline passed, the server stops, or
   * (of a stream) the rights that it began with changed or ended. Of every call: once it is over.
   */
  readonly signal: AbortSignal
  /** Until the caller's deadline; undefined where it has none. */
  readonly leftMs: number | undefined
  /** An entry of the metadata by its lower-case name, the first where there are several. */
  header(name: string): string | undefined
}

/** No right is asked for: everybody may. Stands in a declaration so that it can be found. */
export const anonymous = (): readonly Access[] => []

/** The secrets' room decides, by the token alone: the registry knows none of its tokens. */
export const decidedInside = (): readonly Access[] => []

interface MethodBase {
  /** Below `proto/`. */
  readonly protoFile: string
  /** `package.Service/Method`. */
  readonly path: `${string}/${string}`
  readonly summary: string
  /** What rates, records and conditions count it as. */
  readonly effect: 'reads' | 'writes'
  /**
   * The rights without which a call is refused before it runs, as far as its first message alone
   * tells; the room evaluates those that depend on what is stored, and leaves out of lists what
   * may not be seen. Of duplex methods: before any message, so the function is given an empty one.
   */
  readonly access: ((request: never) => readonly Access[]) | typeof anonymous | typeof decidedInside
  /** What a request names, for records and explanations; no secret. '' unless given. */
  readonly nameOf?: (request: never) => string
  /** Whether it only says that something is still so: what changes nothing is not recorded. */
  readonly isRenewal?: boolean
  /** Whether it is answered at any rate of requests, as health is. */
  readonly isUnrated?: boolean
  /**
   * Whether a stream looks after changed rights by itself (`authority.watch`); others end then,
   * with UNAUTHENTICATED or PERMISSION_DENIED.
   */
  readonly followsRights?: boolean
  /** Whether of a stream no more than one message waits for its reader: `send` says so. */
  readonly isPaced?: boolean
  /** Whether the agent that was called answers of itself: no other agent forwards such calls. */
  readonly isOfAgent?: boolean
}

/** One question, one answer. A Buffer is an answer's message in its encoded form. */
export interface UnaryMethod<Q, A> extends MethodBase {
  readonly form: 'unary'
  run(request: Q, call: GrpcCall): A | Buffer | Refusal | Promise<A | Buffer | Refusal>
}

/** What a handler of a stream gives: nothing, or why it ends. */
// biome-ignore lint/suspicious/noConfusingVoidType: handlers that give nothing say nothing
export type Given = void | Refusal

/** One question, many answers. The stream ends well when `run` is through. */
export interface ServerStreamMethod<Q, A> extends MethodBase {
  readonly form: 'server-stream'
  run(request: Q, call: GrpcCall, out: GrpcOut<A>): Given | Promise<Given>
}

/**
 * Many messages from the client: to many answers, or (client-stream) to one, after which the
 * stream is to be ended.
 */
export interface DuplexMethod<Q, A> extends MethodBase {
  readonly form: 'duplex' | 'client-stream'
  open(call: GrpcCall, out: GrpcOut<A>): GrpcIn<Q> | Refusal | Promise<GrpcIn<Q> | Refusal>
}

// biome-ignore lint/suspicious/noExplicitAny: methods of all types stand in one list
type Any = any
export type GrpcMethod =
  | UnaryMethod<Any, Any>
  | ServerStreamMethod<Any, Any>
  | DuplexMethod<Any, Any>

/** A handler's end of a stream. */
export interface GrpcOut<A> {
  /**
   * Sends a message, or nothing once the stream is over. A Buffer is a message in its encoded form.
   * False: messages wait, as the client reads slowly (or is gone); send more after `drained`. Who
   * lets too many wait is cut off.
   */
  send(answer: A | Buffer): boolean
  /** Resolves once nothing waits, at once where nothing does, and when the stream is over. */
  drained(): Promise<void>
  /** Ends the stream, well or with a refusal. What was sent before it arrives first. */
  end(refusal?: Refusal | GrpcFailure): void
}

/** What a handler wants to hear of a stream from the client. */
export interface GrpcIn<Q> {
  /** While a promise of it is pending no further message comes. What it throws ends the stream. */
  onMessage(request: Q): void | Promise<void>
  /**
   * The client has sent everything, or left: the call's signal tells which (some clients that leave
   * say first that they sent everything). Comes once. A stream that the client half-closed goes on
   * until `out.end`.
   */
  onEnd(): void
}

/** What a failure tells beyond its code and its text; all of it goes to the client. */
export interface FailureDetails {
  /** A word in upper case that programs can look for; the code's name unless given. */
  readonly reason?: string
  /** What the reason is about: names to values. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Fields of the request that are wrong, by their path, with why. */
  readonly fields?: readonly { readonly field: string; readonly text: string }[]
  /** After how long it may be asked again. */
  readonly retryMs?: number
  /** Which bound was met, and what it bounds. */
  readonly quota?: { readonly subject: string; readonly text: string }
}

/** What a handler throws for an end that has no HTTP status. Its text goes to the client. */
export class GrpcFailure extends Error {
  override readonly name = 'GrpcFailure'
  readonly code: RpcCode
  readonly details: FailureDetails

  constructor(code: RpcCode, text: string, details: FailureDetails = {}) {
    super(text)
    this.code = code
    this.details = details
  }
}

/** Declares a method with one question and one answer. */
export const unary = <Q, A>(spec: Omit<UnaryMethod<Q, A>, 'form'>): UnaryMethod<Q, A> => ({
  form: 'unary',
  ...spec,
})

/** Declares a method with one question and many answers. */
export const serverStream = <Q, A>(
  spec: Omit<ServerStreamMethod<Q, A>, 'form'>,
): ServerStreamMethod<Q, A> => ({ form: 'server-stream', ...spec })

/** Declares a method with many messages in both directions; `client-stream` for one answer. */
export const duplex = <Q, A>(
  spec: Omit<DuplexMethod<Q, A>, 'form'>,
  form: DuplexMethod<Q, A>['form'] = 'duplex',
): DuplexMethod<Q, A> => ({ form, ...spec })
