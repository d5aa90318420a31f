/**
 * Listening for other agents: TLS 1.3, with certificates that may be replaced under connections.
 *
 * Owns the connections, their bounds, and who is at the other end of each: a certificate is asked
 * for but not demanded, since who joins has none. Nobody is kept whose certificate ended or was
 * refused meanwhile. Speaks no protocol: a connection whose handshake is through is handed over.
 */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Clock, Timer } from '../clock.ts'
import { limits } from '../limits.ts'
import type { AgentIdentity, RpcPeer } from '../rpc.ts'
import type { TlsMaterial } from '../tls.ts'
import { Handshakes } from './handshakes.ts'
import { listenOn } from './listen.ts'
import { rpcContext } from './tls.ts'

export interface RpcListenerOptions {
  /** What is shown and who is trusted, now: looked at for every connection. */
  material(): TlsMaterial
  /** Whose certificate this is, which our authorities signed; undefined for no agent's. */
  identify(certificate: X509Certificate): AgentIdentity | undefined
  /** Whether a peer that has a valid certificate is let in no more. Looked at again and again. */
  isRefused(peer: RpcPeer): boolean
  readonly clock: Clock
}

/** A connection whose handshake is through. */
export interface RpcConnection {
  readonly socket: TLSSocket
  readonly peer: RpcPeer
}

export class RpcListeners {
  readonly #options: RpcListenerOptions
  readonly #take: (connection: RpcConnection) => void
  readonly #servers: Server[] = []
  readonly #handshakes = new Handshakes(limits.rpcHandshakes)
  /** By the order in which they came, with the time of it. */
  readonly #connections = new Map<RpcConnection, number>()
  #unknown = 0
  #sweep: Timer | undefined

  constructor(options: RpcListenerOptions, take: (connection: RpcConnection) => void) {
    this.#options = options
    this.#take = take
  }

  /** Listens on one more address; port 0 binds a free one. */
  async listen(host: string, port: number): Promise<{ host: string; port: number }> {
    const server = this.#newServer()
    const bound = await listenOn(server, host, port)
    this.#servers.push(server)
    this.#sweepLater()
    return bound
  }

  /** Why a peer that was let in may go on no longer; undefined where it may. */
  problemOf(peer: RpcPeer): string | undefined {
    if (peer.kind === undefined) return undefined
    const { clock, isRefused } = this.#options
    if (peer.expiresMs <= clock.wall()) return 'the certificate has expired'
    return isRefused(peer) ? 'this identity was revoked' : undefined
  }

  /** Takes no more connections. Those that are there go on. */
  stop(): void {
    this.#sweep?.clear()
    this.#sweep = undefined
    for (const server of this.#servers) server.close()
    this.#handshakes.drop()
  }

  /** Resolves when no connection is left. */
  async emptied(): Promise<void> {
    for (;;) {
      const [first] = this.#connections.keys()
      if (first === undefined) return
      await new Promise(resolve => first.socket.once('close', resolve))
    }
  }

  /** Cuts all connections. */
  cut(): void {
    for (const { socket } of this.#connections.keys()) socket.destroy()
    this.#handshakes.drop()
  }

  #newServer(): Server {
    let material = this.#options.material()
    const server = createServer({
      ...rpcContext(material),
      ALPNProtocols: ['h2'],
      handshakeTimeout: limits.rpcHandshakeTimeoutMs,
      requestCert: true,
      rejectUnauthorized: false,
    })
    server.maxConnections = limits.rpcConnections
    server.prependListener('connection', (socket: Socket) => {
      socket.setNoDelay(true)
      this.#handshakes.begin(socket)
      const current = this.#options.material()
      if (current.digest === material.digest) return
      material = current
      server.setSecureContext(rpcContext(material))
    })
    server.on('secureConnection', socket => {
      socket.on('error', () => {})
      this.#handshakes.end(socket)
      this.#admit(socket)
    })
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return server
  }

  #admit(socket: TLSSocket): void {
    const peer = this.#peerOf(socket)
    if (socket.alpnProtocol !== 'h2' || this.problemOf(peer) !== undefined) {
      socket.destroy()
      return
    }
    const connection = { socket, peer }
    this.#connections.set(connection, this.#options.clock.monotonic())
    const isUnknown = peer.kind === undefined
    if (isUnknown) this.#unknown++
    socket.once('close', () => {
      this.#connections.delete(connection)
      if (isUnknown) this.#unknown--
    })
    if (this.#unknown > limits.rpcUnknownConnections) this.#dropOldestUnknown()
    this.#take(connection)
  }

  #peerOf(socket: TLSSocket): RpcPeer {
    const address = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`
    const certificate = socket.getPeerX509Certificate()
    const unknown = { ...NOBODY, address }
    if (certificate === undefined) return unknown
    const shown = { ...unknown, ...digestsOf(certificate) }
    const identity = socket.authorized ? this.#options.identify(certificate) : undefined
    if (identity === undefined) return shown
    const expiresMs = certificate.validToDate.getTime()
    return { ...shown, ...identity, serial: certificate.serialNumber.toLowerCase(), expiresMs }
  }

  #dropOldestUnknown(): void {
    for (const { peer, socket } of this.#connections.keys()) {
      if (peer.kind !== undefined || socket.destroyed) continue
      socket.destroy()
      return
    }
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined) return
    const { clock } = this.#options
    this.#sweep = clock.after(limits.rpcSweepIntervalMs, () => {
      this.#sweep = undefined
      const oldestMs = clock.monotonic() - limits.rpcUnknownTimeoutMs
      for (const [{ peer, socket }, sinceMs] of this.#connections) {
        const isOver = peer.kind === undefined && sinceMs < oldestMs
        if (isOver || this.problemOf(peer) !== undefined) socket.destroy()
      }
      this.#sweepLater()
    })
  }
}

const NOBODY: RpcPeer = {
  kind: undefined,
  nodeId: '',
  serial: '',
  address: '',
  fingerprint: '',
  keyDigest: '',
  expiresMs: 0,
}

/** SHA-256 of a certificate and of its public key, in hexadecimal digits. */
export const digestsOf = (certificate: X509Certificate) => ({
  fingerprint: digest(certificate.raw),
  keyDigest: keyDigestOf(certificate.publicKey),
})

/** SHA-256 of a public key (SPKI), in hexadecimal digits: what an agent is known by. */
export const keyDigestOf = (publicKey: KeyObject): string =>
  digest(publicKey.export({ type: 'spki', format: 'der' }))

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
