/**
 * The thread of DNS as the program's own sees it: started by the first query, asked for nothing,
 * answered what it cannot know.
 *
 * Owns the thread and which sockets it has taken over. Whatever becomes of it, addresses are
 * listened on: while it starts and after it ended, by the sockets of the program's own thread.
 */
import { Worker } from 'node:worker_threads'
import { messageOf } from '../base/errors.ts'
import type { Sender } from '../base/io/datagram.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import { startFile } from '../base/places.ts'
import { LATER, NONE, type Responder, type Via } from './responder.ts'
import {
  bufferOf,
  type Datagram,
  type FromThread,
  type Lent,
  type ThreadData,
  type ToThread,
} from './thread-messages.ts'

/** An address, and the socket of the program's own thread on it. */
export interface Handover {
  readonly host: string
  readonly port: number
  readonly via: Via
  /** The thread listens: the socket here closes. */
  leave(): void
  /** Nobody listens any more: it opens again. */
  takeBack(): void
}

const FILE = startFile('dns/thread')
const MEGABYTE_BYTES = 1_048_576
const OUT_SIZE_BYTES = 65_535

/** Starts the thread, with nothing of this process's own settings. */
export function startWorker(data: ThreadData): Worker {
  return new Worker(FILE, {
    workerData: data,
    env: {},
    execArgv: [],
    resourceLimits: {
      maxYoungGenerationSizeMb: limits.dnsThreadYoungSizeBytes / MEGABYTE_BYTES,
      maxOldGenerationSizeMb: limits.dnsThreadHeapSizeBytes / MEGABYTE_BYTES,
    },
  })
}

export class AnsweringThread {
  readonly #responder: Responder
  readonly #log: Log
  readonly #start: () => Worker
  readonly #carried: Handover[] = []
  readonly #taken = new Set<Handover>()
  readonly #out = Buffer.allocUnsafeSlow(OUT_SIZE_BYTES)
  #worker: Worker | undefined
  #hasEnded = false

  /** Starts nothing yet; `start` starts the thread. */
  constructor(responder: Responder, log: Log, start: () => Worker) {
    this.#responder = responder
    this.#log = log
    this.#start = start
  }

  /** Has the thread listen on an address too, which it starts for; once for each address. */
  carry(handover: Handover): void {
    if (this.#hasEnded || this.#carried.includes(handover)) return
    this.#carried.push(handover)
    this.#worker ??= this.#newWorker()
    const { host, port } = handover
    this.#send({ kind: 'listen', listener: this.#carried.length - 1, host, port })
  }

  #newWorker(): Worker {
    const worker = this.#start()
    worker.on('message', (message: FromThread) => this.#receive(message))
    worker.on('error', error => this.#warn(messageOf(error)))
    worker.on('exit', () => this.#end())
    worker.unref()
    return worker
  }

  #warn(reason: string): void {
    this.#log.warn('the thread of DNS has a fault', { reason })
  }

  #send(message: ToThread): void {
    this.#worker?.postMessage(message)
  }

  #receive(message: FromThread): void {
    if (this.#hasEnded) return
    if (message.kind === 'told') this.#responder.countTold(message.told)
    else if (message.kind === 'fault') this.#warn(message.reason)
    else if (message.kind === 'asked') this.#answer(message.listener, message.queries)
    else {
      const handover = this.#carried[message.listener]!
      this.#taken.add(handover)
      handover.leave()
    }
  }

  #answer(listener: number, queries: readonly Datagram[]): void {
    const { via } = this.#carried[listener]!
    const answers: Datagram[] = []
    const lent: Lent[] = []
    for (const query of queries) {
      const { address, port } = query
      const bytes = bufferOf(query.bytes)
      const size = this.#responder.answer(bytes, this.#out, via, address)
      if (size === LATER) void this.#answerLater(listener, bytes, query)
      else if (size > NONE) {
        answers.push({ bytes: Uint8Array.from(this.#out.subarray(0, size)), address, port })
        const more = this.#responder.lend(via)
        if (more !== undefined) lent.push(more)
      }
    }
    this.#send({ kind: 'answered', listener, answers, lent })
  }

  async #answerLater(listener: number, query: Buffer, { address, port }: Datagram): Promise<void> {
    const { via } = this.#carried[listener]!
    const answer = await this.#responder.answerLater(query, via, address)
    if (answer !== undefined) this.#sendLater(listener, answer, { address, port })
  }

  /** Sends an answer to a query that came before the address was taken over. */
  sendLater(handover: Handover, answer: Buffer, sender: Sender): void {
    this.#sendLater(this.#carried.indexOf(handover), answer, sender)
  }

  #sendLater(listener: number, answer: Buffer, { address, port }: Sender): void {
    const bytes = Uint8Array.from(answer)
    this.#send({ kind: 'send', listener, answers: [{ bytes, address, port }] })
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#worker = undefined
    this.#log.error('the thread of DNS ended; its queries are answered without it from now on')
    for (const handover of this.#taken) handover.takeBack()
  }

  /** Ends it; resolves when its sockets are gone. */
  async close(): Promise<void> {
    this.#hasEnded = true
    await this.#worker?.terminate()
  }
}
