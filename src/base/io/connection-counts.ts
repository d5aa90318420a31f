/**
 * How many connections each client's address has, of one face.
 *
 * Owns the counts. What becomes of a connection too many is its listener's to say.
 */
import type { Socket } from 'node:net'

export class ConnectionCounts {
  /** 0 and less is no bound. Connections that are there stay when it changes. */
  bound: number
  readonly #counts = new Map<string, number>()

  constructor(bound: number) {
    this.bound = bound
  }

  /** Counts a connection until it closes; false, and not counted, where it is one too many. */
  admit(socket: Socket): boolean {
    const { remoteAddress } = socket
    // Sockets in files have no address: who may open them is what their mode says.
    if (remoteAddress === undefined) return true
    const count = this.#counts.get(remoteAddress) ?? 0
    if (this.bound > 0 && count >= this.bound) return false
    this.#counts.set(remoteAddress, count + 1)
    socket.once('close', () => this.#leave(remoteAddress))
    return true
  }

  #leave(address: string): void {
    const count = (this.#counts.get(address) ?? 1) - 1
    if (count === 0) this.#counts.delete(address)
    else this.#counts.set(address, count)
  }
}
