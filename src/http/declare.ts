/**
 * Declarations: one per path, with its operations inside. Routing, validation, access, the check
 * of answers, OpenAPI and the table of docs all come from here.
 *
 * Owns the types and `definePath`. Handlers in a declaration parse nothing and decide nothing: they
 * call one function of a room and say how its answer is rendered.
 */
import type { Bytes } from '../base/bytes.ts'
import type { Refusal } from '../base/errors.ts'
import type { ForwardingAgent } from '../base/forwarding.ts'
import type { Access, Caller } from '../base/who.ts'
import type { Filter } from '../filter/filter.ts'
import type { Question, View } from '../store/ask.ts'
import type { Age } from '../store/freshness.ts'
import type { PushedReply } from './push.ts'
import { type Parameters, type QueryOf, readParameters } from './query.ts'
import type { Shape } from './shape.ts'

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** What a handler is given: everything parsed. */
export interface Request<Q> {
  /** The part of the path that the pattern leaves open, percent-decoded once. */
  readonly name: string
  /** The same as bytes, for keys that need not be UTF-8. */
  readonly bytes: Bytes
  readonly query: Q
  readonly who: Caller
  /** The address of the client, as its proxy tells it or as its connection has it. */
  sourceIp(): string
  /** The agent that the client spoke to, where it was another one than this. */
  readonly forwarder: ForwardingAgent | undefined
}

/** What a handler that acts is given besides. */
export interface ActingRequest<Q, B> extends Request<Q> {
  readonly body: B
  /** The token that came with the request, '' for none: a secret. */
  readonly token: string
  /** The media types that the client accepts, as it wrote them. */
  readonly accept: string
  /** The `Last-Event-ID` header of a client that reads events, '' for none. */
  readonly lastEventId: string
  /** How old this server's view may be. */
  readonly age: Age
}

/** A finished answer. */
export interface Reply {
  readonly status: number
  readonly body: string | Buffer
  /** Defaults to JSON. */
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * An answer that goes on. `parts` is asked for one part after the other, as the client reads them;
 * it must end soon after the signal, which tells that the client left or the server stops.
 */
export interface StreamedReply {
  readonly status: number
  readonly type: string
  readonly headers?: Readonly<Record<string, string>>
  readonly parts: (signal: AbortSignal) => AsyncIterable<string | Uint8Array>
}

export const json = (value: unknown, status = 200): Reply => ({
  status,
  body: JSON.stringify(value),
})
const TEXT = 'text/plain; charset=utf-8'
export const plain = (body: string, status = 200): Reply => ({ status, body, type: TEXT })
/** 200 without a body. */
export const EMPTY: Reply = { status: 200, body: '' }

/** How far each item is, as a view knows it; undefined where it does not. */
export type Distance<T> = (view: View) => ((item: T) => number) | undefined

/** How a question's answer becomes bytes. Lists are rendered item by item, in slices. */
export type Rendering =
  | { readonly one: (value: never, view: View) => Reply | Promise<Reply> }
  | {
      readonly each: (item: never, view: View) => string
      /** What stands round the items; `[]` unless said otherwise. */
      readonly brackets?: '[]' | '{}'
      /** The answer to an empty list, where it is not the empty brackets. */
      readonly none?: Reply
      /** Which of the items that the asker may see are wanted. */
      readonly filter?: Filter<never>
      /** Nearest first, where the view knows how far they are. */
      readonly distance?: Distance<never>
    }

/**
 * A read that can block; rendered once per question and shared by all who wait. Made by `askOne`
 * and `askEach`, which see to it that question and rendering fit.
 */
export interface Asking {
  readonly question: Question<unknown>
  readonly rendering: Rendering
  /** What else the rendering depends on, beyond question and rights. */
  readonly variant?: string
  /** Whether it was asked in words of its own: remembering it would cost more than it saves. */
  readonly isPassing?: boolean
  /** Whether it depends on more than the newest revision of the question tells: never kept. */
  readonly isFresh?: boolean
  /** Blocks while this hash is the one of the answer, instead of by index. */
  readonly hash?: { readonly given: string; readonly of: (value: never) => string }
  /** The answer's own index, where it is no revision: it is compared for equality alone. */
  readonly ownIndex?: (view: View) => string
}

/** Asks for one thing that is rendered as a whole. */
export function askOne<T>(
  question: Question<T>,
  one: (value: T, view: View) => Reply | Promise<Reply>,
  more: Pick<Asking, 'variant' | 'isPassing'> & {
    hash?: { given: string; of: (value: T) => string }
  } = {},
): Asking {
  return { question, rendering: { one }, ...more }
}

/** How a list is rendered, and what of it. */
export interface Listing<T> {
  readonly brackets?: '[]' | '{}'
  readonly none?: Reply
  readonly filter?: Filter<T> | undefined
  readonly distance?: Distance<T> | undefined
}

/**
 * Asks for a list that is rendered item by item. `undefined` among the items is none: a reader
 * gives it while it finds nothing, so that a long search is cut into slices too.
 */
export function askEach<T>(
  question: Question<Iterable<T | undefined>>,
  each: (item: T, view: View) => string,
  { brackets, none, filter, distance }: Listing<T> = {},
): Asking {
  const rendering = {
    each,
    ...(brackets === undefined ? {} : { brackets }),
    ...(none === undefined ? {} : { none }),
    ...(filter === undefined ? {} : { filter }),
    ...(distance === undefined ? {} : { distance }),
  }
  const asking = { question, rendering }
  const isFresh = distance !== undefined
  if (filter === undefined) return isFresh ? { ...asking, isPassing: true, isFresh } : asking
  return { ...asking, variant: filter.text, isPassing: true, isFresh }
}

/** What an answer's body is: JSON of a shape (or text instead), text, bytes that come, or empty. */
export type Answer =
  | { readonly json: Shape<unknown>; readonly help: string; readonly orText?: string }
  | { readonly text: string }
  | { readonly stream: string; readonly type: string }
  | { readonly empty: string }

export type Body<B> =
  | { readonly shape: Shape<B>; readonly failure: string; readonly optional?: boolean }
  | { readonly raw: string }
  /** Taken in pieces as they come, an AsyncIterable of buffers, without a bound of its own. */
  | { readonly stream: string }
  | undefined

interface OperationBase<P extends Parameters> {
  readonly summary: string
  readonly query: P
  /** Answers by status; statuses of refusals carry text. */
  readonly answers: Readonly<Record<number, Answer>>
  /**
   * The rights that the operation asks for, as far as the request alone tells; the room evaluates
   * them together with those that depend on what is stored. `anonymous` must be written out.
   */
  readonly access: (name: string) => readonly Access[]
}

export interface Reading<P extends Parameters> extends OperationBase<P> {
  /** Says whether X-Consul-Effective-Consistency is given, as catalog and health do. */
  readonly effective?: boolean
  /** Whether `cached` tells if the answer was there already, as where Consul's agents cache it. */
  readonly cached?: boolean
  /** Whether Consul's agents stream it to those who wait. */
  readonly streams?: boolean
  ask(request: Request<QueryOf<P>>): Asking | Refusal
}

/** What an operation that acts may answer. */
export type Acted = Reply | StreamedReply | PushedReply | Refusal

export interface Acting<P extends Parameters, B> extends OperationBase<P> {
  readonly body: Body<B>
  /**
   * Whether it only says that something is still so, as clients do again and again: what changes
   * nothing is not recorded.
   */
  readonly isRenewal?: boolean
  /** Whether its answers carry the headers of a read, although it cannot be waited for. */
  readonly meta?: boolean
  /** The largest body that is read; `httpBodySizeBytes` where it says none. */
  readonly bodySizeBytes?: number
  run(request: ActingRequest<QueryOf<P>, B>): Promise<Acted> | Acted
}

// biome-ignore lint/suspicious/noExplicitAny: operations of all types stand in one list
export type Operation = Reading<any> | Acting<any, any>

export interface PathDeclaration {
  /** '/v1/kv/{key}': at most one open part, which takes the rest of the path. */
  readonly path: string
  /** Who answers: the agent that was asked, of itself, or a server, to which others forward it. */
  readonly where: 'agent' | 'servers'
  readonly operations: Readonly<Partial<Record<Method, Operation>>>
  /** What an answer to OPTIONS says beside its headers; nothing unless given. */
  readonly optionsBody?: string
}

/** No right is asked for: everybody may. Stands in a declaration so that it can be found. */
export const anonymous = (): readonly Access[] => []

/** Declares a path. */
export function definePath(declaration: PathDeclaration): PathDeclaration {
  return declaration
}

/** A read that blocks: the parameters of all reads are added to its own. */
export function reading<P extends Parameters>(
  spec: Omit<Reading<P & typeof readParameters>, 'query'> & { readonly query: P },
): Reading<P & typeof readParameters> {
  return { ...spec, query: { ...readParameters, ...spec.query } }
}

/** An operation that acts, or reads what cannot be waited for. */
export function acting<P extends Parameters, B = undefined>(spec: Acting<P, B>): Acting<P, B> {
  return spec
}
