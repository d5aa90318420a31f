/**
 * TLS handshakes of one listener that are not through yet.
 *
 * Owns their number: one too many ends the one that has taken longest. Node lists them nowhere,
 * and one that hangs holds its server's `close`.
 */
import type { Socket } from 'node:net'

export class Handshakes {
  readonly #bound: number
  /** Connections whose handshake goes on, by their ends. */
  readonly #open = new Map<string, Socket>()

  constructor(bound: number) {
    this.#bound = bound
  }

  /** A connection was taken. */
  begin(socket: Socket): void {
    const ends = endsOf(socket)
    this.#open.set(ends, socket)
    // Who means it is through in milliseconds, so it is not the oldest that does.
    const [oldest] = this.#open.values()
    if (this.#open.size > this.#bound) oldest?.destroy()
    socket.once('close', () => {
      if (this.#open.get(ends) === socket) this.#open.delete(ends)
    })
  }

  /** Its handshake is through; the TLS socket is of the same ends. */
  end(socket: Socket): void {
    this.#open.delete(endsOf(socket))
  }

  /** Cuts all that go on. */
  drop(): void {
    for (const socket of this.#open.values()) socket.destroy()
  }
}

const endsOf = ({ remoteAddress, remotePort, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localPort}`
