/**
 * The UDP side of one address: a socket here, until the thread of DNS has one in its place.
 *
 * Owns that socket. While the two stand beside each other each asker keeps to one of them.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { DatagramSocket, type Sender } from '../base/io/datagram.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { AnsweringThread, Handover } from './answering-thread.ts'
import { LATER, NONE, type Responder } from './responder.ts'

export interface DatagramListenerOptions {
  readonly responder: Responder
  readonly log: Log
  readonly clock: Clock
  readonly host: string
  readonly port: number
  /** Takes the address over once somebody asks there. */
  readonly thread: AnsweringThread | undefined
}

export class DatagramListener {
  readonly #options: DatagramListenerOptions
  readonly #handover: Handover
  #socket: DatagramSocket | undefined
  /** One that the thread has taken the place of, until what had come is read. */
  #retired: DatagramSocket | undefined
  #isClosed = false

  constructor(options: DatagramListenerOptions) {
    const { responder, host, port } = options
    this.#options = options
    this.#handover = {
      ...{ host, port, via: responder.via('udp', host) },
      leave: () => this.#leave(),
      takeBack: () => this.#takeBack(),
    }
  }

  /** Listens; rejects with the system's error. */
  async open(): Promise<void> {
    const { host, port, thread } = this.#options
    const socket = await DatagramSocket.open({
      ...{ host, port, isShared: thread !== undefined },
      receive: (query, sender) => this.#receive(socket, query, sender),
      fault: ({ message }) => this.#warn(message),
    })
    if (this.#isClosed) await socket.close()
    else this.#socket = socket
  }

  #warn(reason: string): void {
    this.#options.log.warn('the UDP socket of DNS has a fault', { reason })
  }

  #receive(socket: DatagramSocket, query: Buffer, sender: Sender): void {
    const { responder, thread } = this.#options
    const size = responder.answer(query, socket.out, this.#handover.via, sender.address)
    if (size === LATER) void this.#receiveLater(query, sender)
    else if (size === NONE) return
    else if (socket === this.#retired) this.#send(Buffer.from(socket.out.subarray(0, size)), sender)
    else if (!socket.send(size, sender)) responder.countDropped()
    thread?.carry(this.#handover)
  }

  async #receiveLater(query: Buffer, sender: Sender): Promise<void> {
    const { via } = this.#handover
    const answer = await this.#options.responder.answerLater(query, via, sender.address)
    if (answer !== undefined) this.#send(answer, sender)
  }

  #send(answer: Buffer, sender: Sender): void {
    const { responder, thread } = this.#options
    const socket = this.#socket
    if (socket === undefined) thread?.sendLater(this.#handover, answer, sender)
    else if (!socket.send(answer.copy(socket.out), sender)) responder.countDropped()
  }

  #leave(): void {
    this.#retired = this.#socket
    this.#socket = undefined
    this.#retired?.retire()
    this.#options.clock.after(limits.dnsHandoverMs, () => void this.#closeRetired())
  }

  async #closeRetired(): Promise<void> {
    const socket = this.#retired
    this.#retired = undefined
    await socket?.close()
  }

  #takeBack(): void {
    if (!this.#isClosed) this.open().catch(error => this.#warn(messageOf(error)))
  }

  /** Receives nothing more; resolves when the socket is gone. */
  async close(): Promise<void> {
    this.#isClosed = true
    const socket = this.#socket
    this.#socket = undefined
    await Promise.all([socket?.close(), this.#closeRetired()])
  }
}
