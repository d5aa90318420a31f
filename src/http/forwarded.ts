/**
 * Requests that another agent forwarded, in the form in which requests from sockets come, so that
 * they take the same way.
 *
 * Owns that form: as much of Node's request and response as the steps of the pipeline use. Must not
 * change what was asked or answered.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable, Writable } from 'node:stream'
import type { AnswerSink, ForwardedHead, ForwardingAgent, RequestFeed } from '../base/forwarding.ts'

/** A request that may have come by another agent. */
export interface Routed extends IncomingMessage {
  readonly forwardedBy?: ForwardingAgent
}

/** The agent that a request came by, where it was another one. */
export const forwarderOf = (message: IncomingMessage): ForwardingAgent | undefined =>
  (message as Routed).forwardedBy

/** Makes a request and its response, hands them on, and gives what feeds the request. */
export function forwarded(
  head: ForwardedHead,
  sink: AnswerSink,
  wanted: (sizeBytes: number) => void,
  handle: (message: IncomingMessage, response: ServerResponse) => void,
): RequestFeed {
  const message = new ForwardedMessage(head, wanted)
  const response = new ForwardedResponse(sink)
  handle(message as unknown as IncomingMessage, response as unknown as ServerResponse)
  return {
    push: piece => message.feed(piece),
    end: () => message.feed(null),
    leave() {
      message.destroy()
      response.leave()
    },
  }
}

class ForwardedMessage extends Readable {
  readonly method: string
  url: string
  readonly headers: Record<string, string>
  readonly httpVersion = '1.1'
  readonly httpVersionMajor = 1
  readonly httpVersionMinor = 1
  readonly socket: { readonly remoteAddress: string | undefined }
  readonly forwardedBy: ForwardingAgent
  readonly #wanted: (sizeBytes: number) => void
  readonly #pieces: (Buffer | null)[] = []
  #isAsked = false

  constructor(head: ForwardedHead, wanted: (sizeBytes: number) => void) {
    super()
    this.method = head.method
    this.url = head.target
    this.headers = { ...head.headers }
    // It comes in pieces, and most often nobody said how long it is.
    if (this.headers['content-length'] === undefined) this.headers['transfer-encoding'] = 'chunked'
    this.socket = { remoteAddress: head.remote === '' ? undefined : head.remote }
    this.forwardedBy = head.agent
    this.#wanted = wanted
    // Who leaves in the middle of a body is told of by `close`, as on a socket.
    this.on('error', () => {})
  }

  /** One more piece, or the end. */
  feed(piece: Buffer | null): void {
    this.#pieces.push(piece)
    this.#pump()
  }

  override _read(): void {
    this.#isAsked = true
    this.#pump()
  }

  #pump(): void {
    const piece = this.#isAsked && !this.destroyed ? this.#pieces.shift() : undefined
    if (piece === undefined) return
    this.#isAsked = false
    this.push(piece)
    if (piece !== null) this.#wanted(piece.length)
  }
}

class ForwardedResponse extends Writable {
  headersSent = false
  readonly #sink: AnswerSink
  readonly #set: string[] = []
  #isOver = false

  constructor(sink: AnswerSink) {
    super({ highWaterMark: 65_536, decodeStrings: true })
    this.#sink = sink
    this.on('error', () => {})
  }

  setHeader(name: string, value: string): this {
    this.#set.push(name, value)
    return this
  }

  writeHead(status: number, lines: readonly string[]): this {
    this.headersSent = true
    this.#sink.head(status, [...this.#set, ...lines])
    return this
  }

  /** The head is on its way already. */
  flushHeaders(): void {}

  /** The client is gone: nothing that is written goes anywhere. */
  leave(): void {
    this.#isOver = true
    this.destroy()
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.#sink.body(piece, done)
  }

  override _final(done: () => void): void {
    this.#isOver = true
    this.#sink.end()
    done()
  }

  override _destroy(_error: Error | null, done: () => void): void {
    if (!this.#isOver) this.#sink.cut()
    this.#isOver = true
    done()
  }
}
