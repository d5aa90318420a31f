/**
 * Requests that clients sent to an agent that is no server: the server's end.
 *
 * Owns how a request and its answer travel in pieces, each only as far as the other side has room.
 * What answers them is handed in: it is the same that answers requests from sockets.
 */
import type { AnswerSink, RequestFeed, TakeForwarded } from '../base/forwarding.ts'
import { limits } from '../base/limits.ts'
import { type RpcCall, RpcFailure, type RpcIn, type RpcOut, type RpcService } from '../base/rpc.ts'
import { afterPoll } from '../base/slices.ts'
import { defineStream, handleStream } from './define.ts'

export interface ForwardHead {
  readonly method: string
  readonly target: string
  /** Names and values in turn. */
  readonly headers: readonly string[]
  readonly remote: string
  readonly node: string
  readonly body: Buffer
  readonly isWhole: boolean
  readonly room: number
}

export type ForwardQuestion =
  | { readonly part?: 'head'; readonly head: ForwardHead }
  | { readonly part?: 'body'; readonly body: Buffer }
  | { readonly part?: 'end'; readonly end: boolean }
  | { readonly part?: 'room'; readonly room: number }

export interface ForwardAnswerHead {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer
  readonly isWhole: boolean
}

export type ForwardAnswer =
  | { readonly part?: 'head'; readonly head: ForwardAnswerHead }
  | { readonly part?: 'body'; readonly body: Buffer }
  | { readonly part?: 'end'; readonly end: boolean }
  | { readonly part?: 'room'; readonly room: number }

export const forwardRequest = defineStream<ForwardQuestion, ForwardAnswer>(
  'gatehouse/agent/v1/forward.proto',
  'gatehouse.agent.v1.Forward/Request',
  'agents',
)

export const forwardSecrets = defineStream<ForwardQuestion, ForwardAnswer>(
  'gatehouse/agent/v1/forward.proto',
  'gatehouse.agent.v1.Forward/Secrets',
  'agents',
)

/** Answers forwarded requests by `take`, those to the secrets by another, where there are some. */
export const forwardService = (take: TakeForwarded, takeSecrets?: TakeForwarded): RpcService => [
  handleStream(forwardRequest, (call, out) => new Answering(take, call, out)),
  ...(takeSecrets === undefined
    ? []
    : [handleStream(forwardSecrets, (call, out) => new Answering(takeSecrets, call, out))]),
]

const NOTHING = Buffer.alloc(0)

class Answering implements RpcIn<ForwardQuestion>, AnswerSink {
  readonly #take: TakeForwarded
  readonly #call: RpcCall
  readonly #out: RpcOut<ForwardAnswer>
  #feed: RequestFeed | undefined
  /** Bytes that the other side has room for. */
  #room = 0
  #isOver = false
  /** The head while it waits for the first piece, which most often is the last. */
  #head: { readonly status: number; readonly headers: readonly string[] } | undefined
  #piece: Buffer = NOTHING
  #taken: (() => void) | undefined

  constructor(take: TakeForwarded, call: RpcCall, out: RpcOut<ForwardAnswer>) {
    this.#take = take
    this.#call = call
    this.#out = out
  }

  onMessage(question: ForwardQuestion): void {
    if ('head' in question && question.part === 'head') this.#begin(question.head)
    else if (this.#feed === undefined)
      this.#fail('INVALID_ARGUMENT', 'a request begins with a head')
    else if (question.part === 'body') this.#feed.push(question.body)
    else if (question.part === 'end') this.#feed.end()
    else if (question.part === 'room') {
      this.#room += question.room
      this.#pump()
    }
  }

  #begin(head: ForwardHead): void {
    if (this.#feed !== undefined) {
      this.#fail('INVALID_ARGUMENT', 'a request has one head')
      return
    }
    this.#room = head.room
    const { method, target, remote, node } = head
    const agent = { node, nodeId: this.#call.peer.nodeId }
    const whole = { method, target, headers: headersOf(head.headers), remote, agent }
    const feed = this.#take(whole, this, sizeBytes => {
      if (!this.#isOver && !head.isWhole) this.#out.send({ room: sizeBytes })
    })
    this.#feed = feed
    if (head.body.length > 0) feed.push(head.body)
    if (head.isWhole) feed.end()
  }

  onEnd(): void {
    this.#isOver = true
    this.#feed?.leave()
  }

  head(status: number, headers: readonly string[]): void {
    this.#head = { status, headers }
    // What an answer begins with comes in the same turn, and most often is all of it.
    afterPoll(() => this.#flush(false))
  }

  body(piece: Buffer, taken: () => void): void {
    if (this.#head !== undefined && piece.length <= limits.forwardPieceSizeBytes) {
      const joined = this.#piece.length + piece.length
      if (joined <= Math.min(this.#room, limits.forwardPieceSizeBytes)) {
        this.#piece = this.#piece.length === 0 ? piece : Buffer.concat([this.#piece, piece])
        taken()
        return
      }
    }
    this.#flush(false)
    this.#piece = piece
    this.#taken = taken
    this.#pump()
  }

  end(): void {
    if (this.#isOver) return
    if (this.#head === undefined) this.#out.send({ end: true })
    else this.#flush(true)
    this.#isOver = true
    this.#out.end()
  }

  cut(): void {
    this.#fail('DATA_LOSS', 'the answer was cut')
  }

  #flush(isWhole: boolean): void {
    if (this.#head === undefined || this.#isOver) return
    const head = { ...this.#head, body: this.#piece, isWhole }
    this.#room -= this.#piece.length
    this.#head = undefined
    this.#piece = NOTHING
    this.#out.send({ head })
  }

  /** Sends of a piece what there is room for; the next one may come when all of it went. */
  #pump(): void {
    const taken = this.#taken
    if (this.#isOver || taken === undefined) return
    while (this.#room > 0 && this.#piece.length > 0) {
      const sizeBytes = Math.min(this.#room, this.#piece.length, limits.forwardPieceSizeBytes)
      this.#out.send({ body: this.#piece.subarray(0, sizeBytes) })
      this.#room -= sizeBytes
      this.#piece = this.#piece.subarray(sizeBytes)
    }
    if (this.#piece.length > 0) return
    this.#taken = undefined
    taken()
  }

  #fail(code: RpcFailure['code'], text: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#out.end(new RpcFailure(code, text))
  }
}

/** Names are in lower case already, and each is there once. */
function headersOf(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (let at = 0; at + 1 < lines.length; at += 2) headers[lines[at]!] = lines[at + 1]!
  return headers
}
