/**
 * The door of a server that speaks TLS with everybody: who is asked for a certificate, whom it lets
 * in, and handshakes that are not through yet.
 *
 * Owns that rule for every such listener, also as it changes under them. Speaks no protocol.
 */
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import { limits } from '../limits.ts'
import type { SecureOptions } from '../tls.ts'
import { Handshakes } from './handshakes.ts'
import { contextOptions } from './tls.ts'

export class SecureDoor {
  readonly #server: Server
  #verifiesClients: boolean
  readonly #handshakes = new Handshakes(limits.httpsHandshakes)

  /** Of a server that was made by these options. */
  constructor(server: Server, { verifiesClients }: SecureOptions) {
    this.#server = server
    this.#verifiesClients = verifiesClients
  }

  /** A connection begins its handshake. */
  begin(socket: Socket): void {
    this.#handshakes.begin(socket)
  }

  /**
   * A handshake is through: whether its client is let in. Node has refused who is not authorized,
   * where it was told to; this says it once more, so that a switch that it did not hear of closes
   * the door instead of leaving it open.
   */
  letsIn(socket: TLSSocket): boolean {
    this.#handshakes.end(socket)
    if (!this.#verifiesClients) return true
    return socket.authorized && socket.getPeerX509Certificate() !== undefined
  }

  /** Takes over certificates, versions and who is asked for a certificate, for new connections. */
  configure(options: SecureOptions): void {
    const server: Switches = this.#server
    this.#verifiesClients = options.verifiesClients
    server.requestCert = options.verifiesClients
    server.rejectUnauthorized = options.verifiesClients
    // A new context has new keys for its tickets: nobody resumes what was agreed under the old.
    this.#server.setSecureContext(contextOptions(options))
  }

  /** Cuts the connections whose handshake is not through. */
  dropHandshakes(): void {
    this.#handshakes.drop()
  }
}

/** What node reads at each connection, and its types leave out. */
type Switches = Server & { requestCert?: boolean; rejectUnauthorized?: boolean }
