/**
 * A UDP socket for a server that answers each datagram at once.
 *
 * Owns the system's socket and the buffer that answers are written into. Must never resolve a
 * name (addresses are numbers already), never hold back more than a bounded number of bytes, and
 * never throw for what a sender put into its datagram. A datagram that the kernel does not take
 * in time is dropped: whoever asked will ask again.
 */
import dgram from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { limits } from '../limits.ts'

/** The largest datagram is smaller; so much is always there to write into. */
const OUT_SIZE_BYTES = 65_535

/** Whether sockets can share a port here, each asker keeping to one of them. */
export const canShare = process.platform === 'linux'

/** What is meant by an address that stands for all. */
const OWN_ADDRESSES: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Who sent a datagram. */
export interface Sender {
  readonly address: string
  readonly port: number
}

export interface DatagramOptions {
  readonly host: string
  /** 0 binds a free one. */
  readonly port: number
  /** Whether another socket of this user may be bound to the same, to take its place. */
  readonly isShared?: boolean
  /** Called for every datagram, whose bytes may be kept. */
  readonly receive: (datagram: Buffer, sender: Sender) => void
  /** Called for faults of the socket itself; it goes on. */
  readonly fault: (error: Error) => void
}

/** A socket to send from to an address of this family, by IP address alone: nothing is resolved. */
export function socketTo(address: string): dgram.Socket {
  const family = isIPv6(address) ? 6 : 4
  return dgram.createSocket({
    type: `udp${family}`,
    lookup: (host, _options, done) => done(null, host, family),
  })
}

export class DatagramSocket {
  /** Write an answer here, then call `send`; do not keep it. */
  out: Buffer = Buffer.allocUnsafeSlow(OUT_SIZE_BYTES)
  readonly #socket: dgram.Socket
  #isClosed = false
  /** Whether the kernel did not take the last datagram at once. */
  #isQueueing = false

  private constructor(socket: dgram.Socket) {
    this.#socket = socket
  }

  /** Binds an address; rejects with the system's error, with its `code` and `port`. */
  static async open({
    host,
    port,
    isShared = false,
    receive,
    fault,
  }: DatagramOptions): Promise<DatagramSocket> {
    const family = isIPv6(host) ? 6 : 4
    const socket = dgram.createSocket({
      type: `udp${family}`,
      reuseAddr: false,
      reusePort: isShared,
      recvBufferSize: limits.udpBufferSizeBytes,
      sendBufferSize: limits.udpBufferSizeBytes,
      // All addresses are numbers; without this every send would wait a turn for the resolver.
      lookup: (address, _options, done) => done(null, address, family),
    })
    // Without a resolver to wait for, both events may come within the call.
    const bound = once(socket, 'listening')
    socket.bind({ address: host, port, exclusive: true })
    try {
      await bound
    } catch (error) {
      socket.close()
      throw error
    }
    socket.on('message', receive)
    socket.on('error', fault)
    return new DatagramSocket(socket)
  }

  get address(): { host: string; port: number } {
    const { address, port } = this.#socket.address()
    return { host: address, port }
  }

  /** Sends the first `sizeBytes` of `out`. False when it was dropped. */
  send(sizeBytes: number, to: Sender): boolean {
    // Port 0 cannot be answered; only a forged datagram has it.
    if (to.port === 0 || this.#isClosed) return false
    const socket = this.#socket
    if (this.#isQueueing && socket.getSendQueueSize() > limits.udpQueueSizeBytes) return false
    socket.send(this.out, 0, sizeBytes, to.port, to.address)
    // Nearly always the kernel has taken it and the buffer is ours again; else it is still read.
    this.#isQueueing = socket.getSendQueueCount() > 0
    if (this.#isQueueing) this.out = Buffer.allocUnsafeSlow(OUT_SIZE_BYTES)
    return true
  }

  /**
   * Leaves all that comes from now on to the socket that shares the port; what has come is still
   * received. Nothing can be sent any more. Connected to itself, it is passed over by the kernel,
   * where closing it would lose what nobody has read yet.
   */
  retire(): void {
    this.#isClosed = true
    const { host, port } = this.address
    this.#socket.connect(port, OWN_ADDRESSES[host] ?? host, () => {})
  }

  /** Receives nothing more; resolves when the socket is gone. Call it once. */
  async close(): Promise<void> {
    this.#isClosed = true
    const closed = once(this.#socket, 'close')
    this.#socket.close()
    await closed
  }
}
