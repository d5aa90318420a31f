/**
 * Event streams of the servers' feeds for an agent that is no server: what its sinks follow.
 *
 * Owns the asking, as the forwarder asks for its clients, and that no more comes than is taken.
 */
import type { RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import type { StreamAnswer, StreamOpener } from '../../feed/follow-stream.run.ts'
import type { ServerChannel } from '../../rpc/channels.ts'
import { type ForwardAnswer, type ForwardQuestion, forwardRequest } from '../../rpc/forward.ts'

export interface FeedPorts {
  readonly channel: Pick<ServerChannel, 'open' | 'servers'>
  /** This agent's node. */
  readonly node: string
}

/** Asks the servers with a token: a secret, '' for none. */
export const streamAs =
  ({ channel, node }: FeedPorts, token: () => string): StreamOpener =>
  (path, query, _tries, signal) => {
    if (channel.servers.length === 0) return Promise.reject(new Error('no servers are known'))
    const given = Object.entries(query).filter(([, value]) => value !== undefined)
    const target = `${path}?${new URLSearchParams(given as [string, string][])}`
    return new Answering(signal).open(channel, {
      ...{ method: 'GET', target, node, remote: '', body: Buffer.alloc(0), isWhole: true },
      headers: ['x-consul-token', token() || ANONYMOUS],
      room: limits.forwardWindowSizeBytes,
    })
  }

/** The secret of the anonymous token: a server must not take a request without one for its own. */
const ANONYMOUS = 'anonymous'

/** One answer as it comes. */
class Answering {
  readonly #signal: AbortSignal
  readonly #pieces: Buffer[] = []
  #isOver = false
  #error: Error | undefined
  #wake = (): void => {}

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  open(
    channel: FeedPorts['channel'],
    head: Extract<ForwardQuestion, { head: unknown }>['head'],
  ): Promise<StreamAnswer> {
    return new Promise((resolve, reject) => {
      const take = (answer: ForwardAnswer): void => {
        if ('head' in answer && answer.part === 'head') {
          const { status, body, isWhole } = answer.head
          if (body.length > 0) this.#pieces.push(body)
          if (isWhole) this.#isOver = true
          resolve({ status, body: this.#read(room => stream.send({ room })) })
        } else if ('body' in answer && answer.part === 'body') this.#pieces.push(answer.body)
        else if (answer.part === 'end') this.#isOver = true
        this.#wake()
      }
      const end = (error: RpcError | undefined): void => {
        if (!this.#isOver) this.#error = error ?? new Error('the server ended the call')
        this.#isOver = true
        this.#signal.removeEventListener('abort', leave)
        reject(this.#error ?? new Error('no answer'))
        this.#wake()
      }
      const stream = channel.open(forwardRequest, { onMessage: take, onEnd: end })
      const leave = (): void => {
        stream.cancel()
        this.#wake()
      }
      if (this.#signal.aborted) leave()
      this.#signal.addEventListener('abort', leave, { once: true })
      stream.send({ head })
    })
  }

  async *#read(taken: (sizeBytes: number) => void): AsyncGenerator<Buffer> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) {
        yield piece
        taken(piece.length)
      } else if (this.#isOver) {
        if (this.#error !== undefined) throw this.#error
        return
      } else if (this.#signal.aborted) throw new Error('aborted')
      else {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    }
  }
}
