/**
 * Listening for everybody's gRPC, in clear and over TLS: on addresses and on sockets in files.
 *
 * Owns the connections and their bounds: how many there are, of one address and in all, and how
 * long a handshake may take. Speaks no protocol: a connection is handed over as it is, one with TLS
 * once its handshake is through and HTTP/2 was agreed on. Certificates may be replaced under
 * connections that are there.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'
import { limits } from '../limits.ts'
import type { SecureOptions } from '../tls.ts'
import { ConnectionCounts } from './connection-counts.ts'
import { listenOn } from './listen.ts'
import { SecureDoor } from './secure-door.ts'
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
  readonly #doors: SecureDoor[] = []
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
    const bound = await listenOn(server, host, port)
    this.#servers.push(server)
    return bound
  }

  /** Listens on a socket in a file, which goes when the listener does. */
  async listenFile(file: SocketFile, secure?: SecureOptions): Promise<void> {
    const server = this.#newServer(secure)
    await openSocketFile(server, file)
    this.#servers.push(server)
  }

  /** Has all TLS listeners speak by these options: connections that come later see them. */
  secure(options: SecureOptions): void {
    for (const door of this.#doors) door.configure(options)
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
    for (const door of this.#doors) door.dropHandshakes()
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
    for (const door of this.#doors) door.dropHandshakes()
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
    const server = createSecureServer({
      ...contextOptions(secure),
      noDelay: true,
      ALPNProtocols: ['h2'],
      handshakeTimeout: this.#options.handshakeTimeoutMs,
      requestCert: secure.verifiesClients,
      rejectUnauthorized: secure.verifiesClients,
    })
    const door = new SecureDoor(server, secure)
    this.#doors.push(door)
    server.prependListener('connection', (socket: Socket) => {
      if (this.#clients.admit(socket)) door.begin(socket)
      else socket.destroy()
    })
    server.on('secureConnection', socket => {
      if (door.letsIn(socket) && socket.alpnProtocol === 'h2') this.#admit(socket)
      else socket.destroy()
    })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return server
  }

  #admit(socket: Socket): void {
    this.#connections.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#connections.delete(socket))
    this.#take(socket)
  }
}
