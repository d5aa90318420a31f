/**
 * Calls of gRPC that clients made to an agent that is no server: both ends of their way.
 *
 * Owns how messages travel in pieces, each only as far as the other side has room. What answers
 * them is handed in: it is the same that answers calls from sockets. Decodes no message.
 */
import type {
  OneAnswer,
  PublicCall,
  PublicMethod,
  PublicStatus,
  StreamAnswer,
  StreamRequests,
} from '../base/io/grpc-public.ts'
import { limits } from '../base/limits.ts'
import { type RpcCall, RpcFailure, type RpcOut, type RpcService } from '../base/rpc.ts'
import { defineStream, handleStream } from './define.ts'

export interface CallEntry {
  readonly name: string
  readonly value: Buffer
}

export interface CallHead {
  readonly path: string
  readonly metadata: readonly CallEntry[]
  readonly remote: string
  readonly node: string
  readonly leftMs: number
  readonly defaultToken: string
}

export interface CallPiece {
  readonly bytes: Buffer
  readonly more: boolean
}

export type CallQuestion =
  | { readonly part?: 'head'; readonly head: CallHead }
  | { readonly part?: 'piece'; readonly piece: CallPiece }
  | { readonly part?: 'end'; readonly end: boolean }
  | { readonly part?: 'room'; readonly room: number }

export interface CallStatus {
  readonly code: string
  readonly text: string
  readonly metadata: readonly CallEntry[]
}

export type CallAnswer =
  | { readonly part?: 'head'; readonly head: { readonly entries: readonly CallEntry[] } }
  | { readonly part?: 'piece'; readonly piece: CallPiece }
  | { readonly part?: 'status'; readonly status: CallStatus }
  | { readonly part?: 'room'; readonly room: number }

export const forwardCall = defineStream<CallQuestion, CallAnswer>(
  'gatehouse/agent/v1/call.proto',
  'gatehouse.agent.v1.Calls/Call',
  'agents',
)

/** Answers forwarded calls: `methodOf` gives what answers a path, also one that is not there. */
export const callService = (methodOf: (path: string) => Promise<PublicMethod>): RpcService => [
  handleStream(forwardCall, (call, out) => {
    const answered = new AnsweredCall(methodOf, call, out)
    return {
      onMessage: question => answered.onMessage(question),
      onEnd: () => answered.onEnd(),
    }
  }),
]

type Metadata = PublicStatus['metadata']

export const entriesOf = (metadata: Metadata): CallEntry[] =>
  Object.entries(metadata).map(([name, value]) => ({ name, value: Buffer.from(value) }))

/** The names and values of a call that was forwarded: bytes where the name says so. */
export function metadataOf(entries: readonly CallEntry[]): Record<string, string | Buffer> {
  const metadata: Record<string, string | Buffer> = Object.create(null)
  for (const { name, value } of entries) {
    metadata[name] = name.endsWith('-bin') ? value : value.toString('utf8')
  }
  return metadata
}

/** Messages on their way out, in pieces and within the room of the other side. */
export class PieceSender {
  readonly #send: (piece: CallPiece) => void
  #room: number = limits.forwardWindowSizeBytes
  readonly #queue: Buffer[] = []
  #sentOfFirst = 0
  #whenDrained: (() => void)[] = []

  constructor(send: (piece: CallPiece) => void) {
    this.#send = send
  }

  /** How many messages wait. */
  get waiting(): number {
    return this.#queue.length
  }

  push(message: Buffer): void {
    this.#queue.push(message)
    this.#pump()
  }

  /** The other side has room for so many more bytes. */
  grant(sizeBytes: number): void {
    this.#room += sizeBytes
    this.#pump()
  }

  /** Calls once nothing waits; at once where nothing does. */
  whenDrained(drained: () => void): void {
    if (this.#queue.length === 0) drained()
    else this.#whenDrained.push(drained)
  }

  #pump(): void {
    while (this.#room > 0 && this.#queue.length > 0) {
      const first = this.#queue[0]!
      const end = Math.min(first.length, this.#sentOfFirst + limits.forwardPieceSizeBytes)
      const bytes = first.subarray(this.#sentOfFirst, end)
      const more = end < first.length
      // An empty message takes room too, or there would be no bound to their number.
      this.#room -= bytes.length + PIECE_SIZE_BYTES
      this.#sentOfFirst = more ? end : 0
      if (!more) this.#queue.shift()
      this.#send({ bytes, more })
    }
    if (this.#queue.length > 0) return
    const drained = this.#whenDrained
    this.#whenDrained = []
    for (const each of drained) each()
  }
}

const PIECE_SIZE_BYTES = 16

/** Pieces on their way in: gives messages once they are whole. */
export class PieceJoiner {
  readonly #boundSizeBytes: number
  #pieces: Buffer[] = []
  #sizeBytes = 0

  constructor(boundSizeBytes: number) {
    this.#boundSizeBytes = boundSizeBytes
  }

  /** A whole message; undefined while it goes on. Throws RpcFailure beyond the bound. */
  take({ bytes, more }: CallPiece): Buffer | undefined {
    this.#sizeBytes += bytes.length
    if (this.#sizeBytes > this.#boundSizeBytes) {
      throw new RpcFailure('RESOURCE_EXHAUSTED', 'a forwarded message is too large')
    }
    this.#pieces.push(bytes)
    if (more) return undefined
    const whole = this.#pieces.length === 1 ? bytes : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#sizeBytes = 0
    return whole
  }
}

/** The room that a piece took, and gives back once it was taken. */
export const roomOf = ({ bytes }: CallPiece): number => bytes.length + PIECE_SIZE_BYTES

/** A forwarded call at the server that answers it. */
class AnsweredCall implements StreamAnswer, OneAnswer {
  readonly #methodOf: (path: string) => Promise<PublicMethod>
  readonly #out: RpcOut<CallAnswer>
  readonly #nodeId: string
  readonly #sender: PieceSender
  readonly #joiner = new PieceJoiner(limits.grpcMessageSizeBytes)
  readonly #overs: (() => void)[] = []
  readonly #drains: (() => void)[] = []
  #take: ((message: Buffer) => void | Promise<void>) | undefined
  #halfClose: (() => void) | undefined
  #isOver = false
  #isLate = false

  constructor(
    methodOf: (path: string) => Promise<PublicMethod>,
    { peer }: RpcCall,
    out: RpcOut<CallAnswer>,
  ) {
    this.#methodOf = methodOf
    this.#nodeId = peer.nodeId
    this.#out = out
    this.#sender = new PieceSender(piece => this.#out.send({ piece }))
  }

  async onMessage(question: CallQuestion): Promise<void> {
    if ('head' in question && question.part === 'head') await this.#begin(question.head)
    else if (this.#take === undefined) {
      throw new RpcFailure('INVALID_ARGUMENT', 'a call begins with a head')
    } else if (question.part === 'piece') await this.#piece(question.piece)
    else if (question.part === 'end') this.#halfClose?.()
    else if (question.part === 'room') this.#sender.grant(question.room)
  }

  onEnd(): void {
    this.#leave()
  }

  async #piece(piece: CallPiece): Promise<void> {
    const message = this.#joiner.take(piece)
    // What answers may take its time; room for answers must come through meanwhile.
    const taken = message === undefined ? undefined : this.#take?.(message)
    const grant = (): void => {
      if (!this.#isOver) this.#out.send({ room: roomOf(piece) })
    }
    if (taken === undefined) grant()
    else void taken.then(grant)
  }

  async #begin(head: CallHead): Promise<void> {
    if (this.#take !== undefined) throw new RpcFailure('INVALID_ARGUMENT', 'a call has one head')
    const method = await this.#methodOf(head.path)
    const call = new ForwardedCall(head, this.#nodeId, over => this.#onOver(over))
    if (method.form === 'duplex') {
      const requests = new Turns(method.take(call, this))
      this.#take = message => requests.onMessage(message)
      this.#halfClose = () => requests.onHalfClose()
      return
    }
    let request: Buffer | undefined
    this.#take = message => {
      if (request !== undefined) throw new RpcFailure('INVALID_ARGUMENT', 'a second request')
      request = message
    }
    this.#halfClose = () => {
      if (request === undefined) this.end(NO_REQUEST)
      else if (method.form === 'unary') method.take(call.withRequest(request), this)
      else method.take(call.withRequest(request), this)
    }
  }

  #onOver(over: () => void): void {
    if (this.#isOver) over()
    else this.#overs.push(over)
  }

  #leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const over of this.#overs) over()
  }

  // --- answers

  answer(message: Buffer, metadata: Readonly<Record<string, string>>): void {
    this.send(message)
    this.end(undefined, metadata)
  }

  refuse(status: PublicStatus): void {
    this.end(status)
  }

  begin(metadata: Readonly<Record<string, string>>): void {
    if (!this.#isOver) this.#out.send({ head: { entries: entriesOf(metadata) } })
  }

  send(message: Buffer): boolean {
    if (this.#isOver || this.#isLate) return false
    if (this.#sender.waiting >= limits.grpcStreamMessages) {
      this.#out.end(new RpcFailure('RESOURCE_EXHAUSTED', 'too many messages wait for a reader'))
      this.#leave()
      return false
    }
    this.#sender.push(message)
    if (this.isDrained) return true
    this.#sender.whenDrained(() => {
      for (const drained of this.#drains) drained()
    })
    return false
  }

  get isDrained(): boolean {
    return this.#isOver || this.#sender.waiting === 0
  }

  onDrain(drained: () => void): void {
    this.#drains.push(drained)
  }

  end(status?: PublicStatus, trailers: Readonly<Record<string, string>> = {}): void {
    if (this.#isOver || this.#isLate) return
    this.#isLate = true
    const { code, text, metadata } = status ?? { code: 'OK', text: '', metadata: trailers }
    this.#sender.whenDrained(() => {
      if (this.#isOver) return
      this.#out.send({ status: { code, text, metadata: entriesOf(metadata) } })
      this.#out.end()
      this.#leave()
    })
  }
}

const NO_REQUEST: PublicStatus = {
  code: 'INVALID_ARGUMENT',
  text: 'the call has no request',
  metadata: {},
}

/** Messages of a stream one after the other, as their taker is not asked twice at a time. */
class Turns {
  readonly #requests: StreamRequests
  #last: Promise<void> | undefined

  constructor(requests: StreamRequests) {
    this.#requests = requests
  }

  onMessage(message: Buffer): void | Promise<void> {
    const take = (): void | Promise<void> => this.#requests.onMessage(message)
    const taken = this.#last === undefined ? take() : this.#last.then(take)
    if (taken === undefined) return undefined
    const last: Promise<void> = taken.then(() => {
      if (this.#last === last) this.#last = undefined
    })
    this.#last = last
    return last
  }

  onHalfClose(): void {
    if (this.#last === undefined) this.#requests.onHalfClose()
    else void this.#last.then(() => this.#requests.onHalfClose())
  }
}

/** A call as the agent that the client spoke to tells it. */
class ForwardedCall implements PublicCall {
  readonly path: string
  readonly remote: string
  readonly forwarder: string
  readonly defaultToken: string
  readonly leftMs: number | undefined
  readonly metadata: Readonly<Record<string, string | Buffer>>
  readonly #onOver: (over: () => void) => void

  constructor(head: CallHead, forwarder: string, onOver: (over: () => void) => void) {
    this.path = head.path
    this.remote = head.remote
    this.forwarder = forwarder
    this.defaultToken = head.defaultToken
    this.leftMs = head.leftMs === 0 ? undefined : head.leftMs
    this.metadata = metadataOf(head.metadata)
    this.#onOver = onOver
  }

  header(name: string): string | undefined {
    const value = this.metadata[name]
    return Buffer.isBuffer(value) ? value.toString('base64') : value
  }

  onOver(over: () => void): void {
    this.#onOver(over)
  }

  withRequest(request: Buffer): ForwardedCall & { readonly request: Buffer } {
    return Object.assign(this, { request })
  }
}
