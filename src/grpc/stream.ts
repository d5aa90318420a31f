/**
 * A handler's end of an answer that goes on.
 *
 * Owns the order of its parts: the record of it first, then the head, the messages, one end.
 */
import type { PublicStatus, StreamAnswer } from '../base/io/grpc-public.ts'
import type { MessageCodec } from '../base/io/proto.ts'
import type { GrpcOut } from './declare.ts'

/** What a stream asks of the pipeline. */
export interface StreamPorts {
  readonly head: Readonly<Record<string, string>>
  /** Records that it is answered; undefined where nothing has to be waited for. */
  recorded(): Promise<void> | undefined
  /** Records why it ends and has it finished with that. */
  refuse(error: unknown): void
  over(): void
}

export class OutStream implements GrpcOut<object> {
  readonly #answer: StreamAnswer
  readonly #codec: MessageCodec
  readonly #ports: StreamPorts
  /** Messages that wait for the record of the call; undefined once it is there. */
  #held: Buffer[] | undefined = []
  #isBegun = false
  #isEnding = false
  isOver = false
  #waiting: (() => void)[] = []

  constructor(answer: StreamAnswer, codec: MessageCodec, ports: StreamPorts) {
    this.#answer = answer
    this.#codec = codec
    this.#ports = ports
    answer.onDrain(() => this.#wake())
  }

  send(answer: object | Buffer): boolean {
    if (this.isOver || this.#isEnding) return false
    const message = Buffer.isBuffer(answer) ? answer : this.#codec.encode(answer)
    if (this.#held !== undefined) {
      this.#held.push(message)
      this.#begin()
      return this.#held === undefined && this.#answer.isDrained
    }
    return this.#answer.send(message)
  }

  drained(): Promise<void> {
    const isFree = this.#held === undefined || this.#held.length === 0
    if (this.isOver || (isFree && this.#answer.isDrained)) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Ends it, well or with whatever a handler gave or threw. */
  end(error?: unknown): void {
    if (this.isOver || this.#isEnding) return
    this.#isEnding = true
    if (error !== undefined) {
      this.#ports.refuse(error)
      return
    }
    if (this.#held === undefined) this.finish()
    else this.#begin()
  }

  /** Sends the end itself. */
  finish(status?: PublicStatus): void {
    if (this.isOver) return
    if (status === undefined) this.#answer.end()
    else this.#answer.end(status)
    this.leave()
  }

  /** Nobody reads any more. */
  leave(): void {
    if (this.isOver) return
    this.isOver = true
    this.#wake()
    this.#ports.over()
  }

  /** Begins the answer, once it is recorded. */
  #begin(): void {
    if (this.#isBegun) return
    this.#isBegun = true
    const flow = (): void => {
      if (this.isOver) return
      const held = this.#held ?? []
      this.#held = undefined
      this.#answer.begin(this.#ports.head)
      for (const message of held) this.#answer.send(message)
      if (this.#isEnding) this.finish()
      else if (this.#answer.isDrained) this.#wake()
    }
    const waiting = this.#ports.recorded()
    if (waiting === undefined) flow()
    else waiting.then(flow).catch((error: unknown) => this.#ports.refuse(error))
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
