/**
 * Listening for everybody's gRPC, in clear and over TLS: on addresses and on sockets in files.
 *
 * Owns the connections and their bounds: how many there are, of one address and in all, and how
 * long a handshake may take. Speaks no protocol: a connection is handed over as it is, one with TLS
 * once its handshake is through and HTTP/2 was agreed on. Certificates may be replaced under
 * connections that are there.
 */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import {
  createServer as createSecureServer,
  type Server as SecureServer,
  type TLSSocket,
} from 'node:tls'
import { limits } from '../limits.ts'
import type { SecureOptions } from '../tls.ts'
import { ConnectionCounts } from './connection-counts.ts'
import { Handshakes } from './handshakes.ts'
import { openSocketFile, type SocketFile } from './socket-file.ts'
import { contextOptions } from './tls.ts'

export interface GrpcListenerOptions {
  /** For the handshake of a TLS connection. */
  readonly handshakeTimeoutMs: number
  /** Connections of one address; 0 and less is no bound. */
  readonly connectionsPerClient: number
}

export class GrpcListeners {
  readonly #options: GrpcListenerOptions
  readonly #take: (socket: Socket) => void
  readonly #clients: ConnectionCounts
  readonly #servers: Server[] = []
  readonly #secure: SecureListener[] = []
  readonly #connections = new Set<Socket>()

  constructor(options: GrpcListenerOptions, take: (socket: Socket) => void) {
    this.#options = options
    this.#take = take
    this.#clients = new ConnectionCounts(options.connectionsPerClient)
  }

  /** Listens on one more address, in clear unless TLS is given; port 0 binds a free one. */
  async listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }> {
    const server = this.#newServer(secure)
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    this.#servers.push(server)
    const address = server.address()
    if (address === null || typeof address === 'string') return { host, port }
    return { host: address.address, port: address.port }
  }

  /** Listens on a socket in a file, which goes when the listener does. */
  async listenFile(file: SocketFile, secure?: SecureOptions): Promise<void> {
    const server = this.#newServer(secure)
    await openSocketFile(server, file)
    this.#servers.push(server)
  }

  /** Has all TLS listeners speak by these options: connections that come later see them. */
  secure(options: SecureOptions): void {
    for (const listener of this.#secure) listener.configure(options)
  }

  /** Changes the bound for connections that come from now on; those that are there stay. */
  set connectionsPerClient(bound: number) {
    this.#clients.bound = bound
  }

  /** How many connections are there. */
  get connections(): number {
    return this.#connections.size
  }

  /** Takes no more connections. Those that are there go on. */
  stop(): void {
    for (const server of this.#servers) server.close()
    for (const listener of this.#secure) listener.dropHandshakes()
  }

  /** Resolves when no connection is left. */
  async emptied(): Promise<void> {
    for (;;) {
      const [first] = this.#connections
      if (first === undefined) return
      await new Promise(resolve => first.once('close', resolve))
    }
  }

  /** Cuts all connections. */
  cut(): void {
    for (const socket of this.#connections) socket.destroy()
    for (const listener of this.#secure) listener.dropHandshakes()
  }

  #newServer(secure: SecureOptions | undefined): Server {
    const server = secure === undefined ? this.#newPlain() : this.#newSecure(secure)
    server.maxConnections = limits.grpcConnections
    return server
  }

  #newPlain(): Server {
    return createServer({ noDelay: true }, socket => {
      if (this.#clients.admit(socket)) this.#admit(socket)
      else socket.destroy()
    })
  }

  #newSecure(secure: SecureOptions): Server {
    const listener = new SecureListener(secure, this.#options.handshakeTimeoutMs, {
      mayBegin: socket => this.#clients.admit(socket),
      admit: socket => this.#admit(socket),
    })
    this.#secure.push(listener)
    return listener.server
  }

  #admit(socket: Socket): void {
    this.#connections.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#connections.delete(socket))
    this.#take(socket)
  }
}

interface Doors {
  /** Whether a connection may begin its handshake. */
  mayBegin(socket: Socket): boolean
  admit(socket: Socket): void
}

/** A server with TLS: who is asked for a certificate, and handshakes that are not through yet. */
class SecureListener {
  readonly server: SecureServer
  #verifiesClients: boolean
  readonly #handshakes = new Handshakes(limits.httpsHandshakes)

  constructor(secure: SecureOptions, handshakeTimeoutMs: number, doors: Doors) {
    this.#verifiesClients = secure.verifiesClients
    this.server = createSecureServer({
      ...contextOptions(secure),
      noDelay: true,
      ALPNProtocols: ['h2'],
      handshakeTimeout: handshakeTimeoutMs,
      requestCert: secure.verifiesClients,
      rejectUnauthorized: secure.verifiesClients,
    })
    this.server.prependListener('connection', (socket: Socket) => {
      if (doors.mayBegin(socket)) this.#handshakes.begin(socket)
      else socket.destroy()
    })
    this.server.on('secureConnection', socket => {
      this.#handshakes.end(socket)
      if (this.#isAllowed(socket)) doors.admit(socket)
      else socket.destroy()
    })
    this.server.on('tlsClientError', (_error, socket) => socket.destroy())
  }

  configure(options: SecureOptions): void {
    const server: Switches = this.server
    this.#verifiesClients = options.verifiesClients
    server.requestCert = options.verifiesClients
    server.rejectUnauthorized = options.verifiesClients
    // A new context has new keys for its tickets: nobody resumes what was agreed under the old.
    this.server.setSecureContext(contextOptions(options))
  }

  dropHandshakes(): void {
    this.#handshakes.drop()
  }

  /** As in http-listener.ts: node's own refusal is said once more. */
  #isAllowed(socket: TLSSocket): boolean {
    if (socket.alpnProtocol !== 'h2') return false
    if (!this.#verifiesClients) return true
    return socket.authorized && socket.getPeerX509Certificate() !== undefined
  }
}

/** What node reads at each connection, and its types leave out. */
type Switches = SecureServer & { requestCert?: boolean; rejectUnauthorized?: boolean }
