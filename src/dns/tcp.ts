/**
 * DNS over TCP: messages with their length in front (RFC 1035 §4.2.2, RFC 7766).
 *
 * Owns the connections, their number and their patience. A connection that has not completed a
 * query for a while is closed, however busily it trickles; where there are too many, the one that
 * has been idle for longest goes. Must never hold more for a slow reader than one answer beyond
 * what its socket buffers: it is not read from until it reads.
 */
import { createServer, type Server, type Socket } from 'node:net'
import type { Clock, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { LATER, NONE, type Responder, type Via } from './responder.ts'

const LENGTH_SIZE_BYTES = 2
const MESSAGE_SIZE_BYTES = 65_535
/** How often idle connections are looked for. */
const SWEEP_MS = 1_000
const NOTHING = Buffer.alloc(0)

export class TcpListener {
  readonly #responder: Responder
  #via: Via | undefined
  readonly #clock: Clock
  readonly #server: Server
  /** By their last completed query, the longest ago first. */
  readonly #connections = new Set<Connection>()
  readonly #framed = Buffer.allocUnsafeSlow(LENGTH_SIZE_BYTES + MESSAGE_SIZE_BYTES)
  readonly #message = this.#framed.subarray(LENGTH_SIZE_BYTES)
  #sweep: Timer | undefined

  constructor(responder: Responder, clock: Clock) {
    this.#responder = responder
    this.#clock = clock
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, pauseOnConnect: false },
      socket => this.#accept(socket),
    )
  }

  /** How many are connected. */
  get connections(): number {
    return this.#connections.size
  }

  /** Binds an address, port 0 a free one; rejects with the system's error. */
  listen(host: string, port: number): Promise<{ host: string; port: number }> {
    const server = this.#server
    this.#via = this.#responder.via('tcp', host)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, exclusive: true, backlog: limits.dnsTcpConnections }, () => {
        server.off('error', reject)
        // An accept that fails (no descriptors left) fails that one connection.
        server.on('error', () => {})
        const address = server.address()
        const isPipe = address === null || typeof address === 'string'
        resolve(isPipe ? { host, port } : { host: address.address, port: address.port })
      })
    })
  }

  /** Accepts nothing more and ends all connections; resolves when they are gone. */
  close(): Promise<void> {
    this.#sweep?.clear()
    for (const connection of this.#connections) this.#drop(connection)
    return new Promise(resolve => this.#server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    const connection: Connection = {
      socket,
      address: socket.remoteAddress ?? '',
      left: NOTHING,
      activeMs: this.#clock.monotonic(),
      isWaiting: false,
      hasEnded: false,
    }
    if (this.#connections.size >= limits.dnsTcpConnections) {
      for (const idlest of this.#connections) {
        this.#drop(idlest)
        break
      }
    }
    this.#connections.add(connection)
    socket.on('data', chunk => this.#receive(connection, chunk as Buffer))
    socket.on('drain', () => this.#receive(connection, NOTHING))
    socket.on('end', () => {
      connection.hasEnded = true
      this.#receive(connection, NOTHING)
    })
    socket.on('error', () => this.#drop(connection))
    socket.on('close', () => this.#connections.delete(connection))
    this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#sweepIdle())
  }

  /** Answers the whole queries among what came, as long as the asker takes the answers. */
  #receive(connection: Connection, chunk: Buffer): void {
    const { socket, left } = connection
    const mayGoOn = (): boolean =>
      socket.writable && !socket.writableNeedDrain && !connection.isWaiting
    const bytes =
      left.length === 0 ? chunk : chunk.length === 0 ? left : Buffer.concat([left, chunk])
    let at = 0
    socket.cork()
    while (mayGoOn() && at + LENGTH_SIZE_BYTES <= bytes.length) {
      const start = at + LENGTH_SIZE_BYTES
      const end = start + bytes.readUInt16BE(at)
      const isTooLong = end - start > limits.dnsTcpQuerySizeBytes
      if (isTooLong) this.#drop(connection)
      if (isTooLong || end > bytes.length) break
      this.#answer(connection, bytes.subarray(start, end))
      at = end
    }
    socket.uncork()
    if (at > 0) this.#touch(connection)
    // An empty rest would keep all that it was cut from.
    connection.left = at === bytes.length ? NOTHING : bytes.subarray(at)
    if (!mayGoOn()) socket.pause()
    // Who has said all that he will may still be owed answers until here.
    else if (connection.hasEnded) socket.end()
    else if (socket.isPaused()) socket.resume()
  }

  #answer(connection: Connection, query: Buffer): void {
    const size = this.#responder.answer(query, this.#message, this.#via!, connection.address)
    if (size === LATER) void this.#answerLater(connection, query)
    else if (size === NONE) this.#drop(connection)
    else send(connection.socket, this.#framed, size)
  }

  /** One query at a time waits, so that answers keep their order and an asker his bounds. */
  async #answerLater(connection: Connection, query: Buffer): Promise<void> {
    connection.isWaiting = true
    const answer = await this.#responder.answerLater(query, this.#via!, connection.address)
    connection.isWaiting = false
    const { socket } = connection
    if (answer === undefined) return this.#drop(connection)
    if (socket.writable) send(socket, Buffer.concat([LENGTH_PLACE, answer]), answer.length)
    this.#receive(connection, NOTHING)
  }

  #drop(connection: Connection): void {
    this.#connections.delete(connection)
    connection.socket.destroy()
  }

  #touch(connection: Connection): void {
    connection.activeMs = this.#clock.monotonic()
    if (this.#connections.delete(connection)) this.#connections.add(connection)
  }

  #sweepIdle(): void {
    const oldestMs = this.#clock.monotonic() - limits.dnsTcpIdleMs
    for (const connection of this.#connections) {
      if (connection.activeMs > oldestMs) break
      this.#drop(connection)
    }
    const isNeeded = this.#connections.size > 0
    this.#sweep = isNeeded ? this.#clock.after(SWEEP_MS, () => this.#sweepIdle()) : undefined
  }
}

interface Connection {
  readonly socket: Socket
  readonly address: string
  /** What came of a query that is not whole yet, or waits for the asker to read. */
  left: Buffer
  /** When it was accepted, or completed its last query. */
  activeMs: number
  /** Whether a query is waiting whose answer takes longer. */
  isWaiting: boolean
  /** Whether the asker has closed his side. */
  hasEnded: boolean
}

const LENGTH_PLACE = Buffer.alloc(LENGTH_SIZE_BYTES)

/** Sends `sizeBytes` of a message that stands in `framed` behind the place for its length. */
function send(socket: Socket, framed: Buffer, sizeBytes: number): void {
  framed.writeUInt16BE(sizeBytes, 0)
  socket.write(Buffer.from(framed.subarray(0, LENGTH_SIZE_BYTES + sizeBytes)))
}
