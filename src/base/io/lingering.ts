/**
 * The end of a connection whose client may still be sending.
 *
 * Owns that an answer that was given early is not lost: whoever closes a socket with bytes unread
 * makes the kernel reset the connection, and a reset takes from the client what it has not read
 * yet (RFC 9112 §9.6). So our side is closed alone, and what still comes is read and thrown away,
 * within bounds of bytes and of time. Must never hand a byte of it to anybody.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** How much of a connection's rest is thrown away before it is cut. */
export interface LingerBounds {
  readonly sizeBytes: number
  /** In all, and without a byte. A connection is there for no longer than both together. */
  readonly wholeMs: number
  readonly silentMs: number
}

/** Connections that are being ended. */
export class Lingering {
  readonly bounds: LingerBounds
  readonly #sockets = new Set<Socket>()

  constructor(bounds: LingerBounds) {
    this.bounds = bounds
  }

  /** Connections that are there although they were ended. */
  get size(): number {
    return this.#sockets.size
  }

  /** Has the connection end in this way, if an answer ends it before its request is whole. */
  watch(message: IncomingMessage, response: ServerResponse): void {
    const { socket } = message
    // Node calls it once an answer with `Connection: close` is out.
    const destroySoon = (): void => {
      if (message.complete) Socket.prototype.destroySoon.call(socket)
      else this.end(socket)
    }
    socket.destroySoon = destroySoon
    response.once('close', () => {
      if (socket.destroySoon !== destroySoon) return
      socket.destroySoon = Socket.prototype.destroySoon
    })
  }

  /** Says a last word, if there is one, and ends our side. Nobody else reads from the socket. */
  end(socket: Socket, text = ''): void {
    if (socket.destroyed || this.#sockets.has(socket)) return
    this.#sockets.add(socket)
    const { sizeBytes, wholeMs, silentMs } = this.bounds
    const endMs = performance.now() + wholeMs
    const timer = setTimeout(() => Socket.prototype.destroySoon.call(socket), silentMs)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#sockets.delete(socket)
    })
    socket.on('error', () => {})
    let leftBytes = sizeBytes
    // Node's parser was the only one who listened; a listener takes the bytes away from it.
    socket.removeAllListeners('data')
    socket.on('data', piece => {
      leftBytes -= piece.length
      if (leftBytes < 0 || performance.now() > endMs) socket.destroy()
      else timer.refresh()
    })
    if (text !== '') socket.write(text)
    // Nothing is read of a TLS connection once our side is closed: there the client ends it.
    if (socket instanceof TLSSocket) socket.once('end', () => socket.end())
    else socket.end()
    socket.resume()
    // The parser may have stopped the reading below the stream, which does not know of it.
    socket._read(0)
  }

  /** Cuts all of them. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
