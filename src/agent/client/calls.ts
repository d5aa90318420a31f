/**
 * Sends what a client called on this agent on to a server, and the answers back.
 *
 * Owns that a call which surely was not handled goes to another server, and that messages go no
 * faster than they are taken on either side. Decodes no message and knows no method.
 */
import type { Clock } from '../../base/clock.ts'
import type { RpcError, RpcStream } from '../../base/io/grpc.ts'
import type {
  PublicCall,
  PublicMethod,
  PublicStatus,
  StreamAnswer,
  StreamRequests,
} from '../../base/io/grpc-public.ts'
import { limits } from '../../base/limits.ts'
import type { RpcCode } from '../../base/rpc.ts'
import type { Timeout, Timeouts } from '../../base/timeouts.ts'
import {
  type CallAnswer,
  type CallQuestion,
  entriesOf,
  forwardCall,
  metadataOf,
  PieceJoiner,
  PieceSender,
  roomOf,
} from '../../rpc/call.ts'
import type { ServerChannel } from '../../rpc/channels.ts'

export interface CallForwarderPorts {
  readonly channel: Pick<ServerChannel, 'open' | 'servers'>
  readonly clock: Clock
  readonly timeouts: Timeouts
  /** This agent's node. */
  readonly node: string
  /** What is shown to the registry where a client shows no token: a secret, '' for none. */
  readonly defaultToken: () => string
}

type Forwarded = Extract<PublicMethod, { form: 'duplex' }>

/** Answers calls of any method by having a server answer them. */
export function forwardedCalls(ports: CallForwarderPorts): Forwarded {
  let open = 0
  return {
    form: 'duplex',
    take(call, answer) {
      if (open >= limits.forwardedRequests) {
        answer.end(TOO_MANY)
        return IGNORED
      }
      open++
      call.onOver(() => {
        open--
      })
      return new ForwardedCall(ports, call, answer)
    },
  }
}

const statusOf = (code: RpcCode, text: string): PublicStatus => ({ code, text, metadata: {} })
const TOO_MANY = statusOf('RESOURCE_EXHAUSTED', 'this agent forwards too many calls already')
const NO_SERVERS = statusOf('UNAVAILABLE', 'No known Consul servers')
const IGNORED: StreamRequests = { onMessage: () => {}, onHalfClose: () => {} }
/** The secret of the anonymous token: a server must not take a call without one for its own. */
const ANONYMOUS = 'anonymous'

class ForwardedCall implements StreamRequests {
  readonly #ports: CallForwarderPorts
  readonly #call: PublicCall
  readonly #answer: StreamAnswer
  readonly #beganMs: number
  readonly #sender: PieceSender
  readonly #joiner = new PieceJoiner(limits.forwardedAnswerSizeBytes)
  #stream: RpcStream<CallQuestion> | undefined
  /** What was sent, while it may have to be sent again; undefined once it may not. */
  #kept: CallQuestion[] | undefined = []
  #keptSizeBytes = 0
  /** Room of answers that is given back once the client took them. */
  #owed = 0
  #tries = 0
  #retry: Timeout | undefined
  #isOver = false

  constructor(ports: CallForwarderPorts, call: PublicCall, answer: StreamAnswer) {
    this.#ports = ports
    this.#call = call
    this.#answer = answer
    this.#beganMs = ports.clock.monotonic()
    this.#sender = new PieceSender(piece => this.#send({ piece }))
    call.onOver(() => this.#leave())
    answer.onDrain(() => this.#giveBack())
    this.#try()
  }

  onMessage(message: Buffer): void | Promise<void> {
    if (this.#isOver) return undefined
    this.#sender.push(message)
    if (this.#sender.waiting === 0) return undefined
    return new Promise(resolve => this.#sender.whenDrained(resolve))
  }

  onHalfClose(): void {
    this.#send({ end: true })
  }

  #send(question: CallQuestion): void {
    if (this.#isOver) return
    if (this.#kept !== undefined) {
      if ('piece' in question) this.#keptSizeBytes += question.piece?.bytes.length ?? 0
      this.#kept.push(question)
      if (this.#keptSizeBytes > limits.forwardWindowSizeBytes) this.#kept = undefined
    }
    this.#stream?.send(question)
  }

  /** Asks the next server. */
  #try(): void {
    if (this.#isOver) return
    const { channel } = this.#ports
    if (channel.servers.length === 0) {
      this.#fail(NO_SERVERS)
      return
    }
    this.#tries++
    const stream = channel.open(forwardCall, {
      onMessage: answer => {
        if (stream === this.#stream) this.#take(answer)
      },
      onEnd: error => {
        if (stream === this.#stream) this.#ended(error)
      },
    })
    this.#stream = stream
    stream.send({ head: this.#head() })
    for (const question of this.#kept ?? []) stream.send(question)
  }

  #head() {
    const { path, remote, leftMs = 0, metadata } = this.#call
    const { node, defaultToken } = this.#ports
    return {
      ...{ path, remote, node, leftMs: Math.ceil(leftMs) },
      metadata: entriesOf(metadata),
      defaultToken: defaultToken() || ANONYMOUS,
    }
  }

  #take(answer: CallAnswer): void {
    if (this.#isOver) return
    if (answer.part === 'room' && 'room' in answer) {
      this.#sender.grant(answer.room)
      return
    }
    // It is handled: nobody else may be asked.
    this.#kept = undefined
    if (answer.part === 'head' && 'head' in answer) {
      this.#answer.begin(textsOf(metadataOf(answer.head.entries)))
    } else if (answer.part === 'piece' && 'piece' in answer) {
      const message = this.#joiner.take(answer.piece)
      this.#owed += roomOf(answer.piece)
      if (message === undefined || this.#answer.send(message)) this.#giveBack()
    } else if (answer.part === 'status' && 'status' in answer) {
      const { code, text, metadata } = answer.status
      const told = metadataOf(metadata)
      if (code === 'OK') this.#finish(undefined, textsOf(told))
      else this.#finish({ code: code as RpcCode, text, metadata: told })
    }
  }

  #giveBack(): void {
    if (this.#owed === 0 || this.#isOver) return
    this.#stream?.send({ room: this.#owed })
    this.#owed = 0
  }

  #ended(error: RpcError | undefined): void {
    if (this.#isOver) return
    const wasSent = error?.sent ?? true
    if (!wasSent && this.#kept !== undefined && this.#mayTryAgain()) {
      this.#retry = this.#ports.timeouts.after(limits.forwardRetryMs, () => this.#try())
      return
    }
    const code = (error?.code ?? 'UNAVAILABLE') as RpcCode
    this.#fail(statusOf(code, `rpc error making call: ${error?.message ?? 'the server ended it'}`))
  }

  /** Each server is tried, and again for a while. */
  #mayTryAgain(): boolean {
    const { channel, clock } = this.#ports
    if (this.#tries < channel.servers.length) return true
    return clock.monotonic() - this.#beganMs < limits.forwardHoldMs
  }

  #fail(status: PublicStatus): void {
    this.#finish(status)
  }

  #finish(status: PublicStatus | undefined, trailers: Readonly<Record<string, string>> = {}): void {
    this.#isOver = true
    this.#answer.end(status, trailers)
    this.#stream?.cancel()
  }

  /** The client left, or has its answer. */
  #leave(): void {
    this.#retry?.cancel()
    if (this.#isOver) return
    this.#isOver = true
    this.#stream?.cancel()
  }
}

const textsOf = (metadata: Readonly<Record<string, string | Buffer>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(metadata).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value]] : [],
    ),
  )
