/**
 * Listening for HTTP: on addresses and on sockets in files, within bounds of connections and time.
 *
 * Owns Node's HTTP servers with all their bounds written out, and the number of connections of
 * each client. A connection too many is answered before its first byte is parsed. No bound here may
 * cut a request that was received whole and waits for its answer, but the one for slow readers.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { limits } from '../limits.ts'
import { openSocketFile, type SocketFile } from './socket-file.ts'

export type { SocketFile } from './socket-file.ts'

export interface ListenerOptions {
  readonly maxHeaderSizeBytes: number
  /** For the head of a request, from the opening of the connection on. */
  readonly headerTimeoutMs: number
  /** For a whole request, its body included. */
  readonly requestTimeoutMs: number
  /** For the next request on a connection. */
  readonly idleTimeoutMs: number
  /** From the head of a request to the end of its answer; 0 is no bound. */
  readonly writeTimeoutMs: number
  /** Connections of one address; 0 and less is no bound. */
  readonly connectionsPerClient: number
}

type Handle = (message: IncomingMessage, response: ServerResponse) => void

export class HttpListeners {
  readonly #options: ListenerOptions
  readonly #handle: Handle
  readonly #clients: Clients
  readonly #servers: Server[] = []

  constructor(options: ListenerOptions, handle: Handle) {
    this.#options = options
    this.#handle = options.writeTimeoutMs > 0 ? withTimeout(options.writeTimeoutMs, handle) : handle
    this.#clients = new Clients(options.connectionsPerClient)
  }

  /** Listens on one more address; port 0 binds a free one. */
  async listen(host: string, port: number): Promise<{ host: string; port: number }> {
    const server = this.#newServer()
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    this.#servers.push(server)
    const address = server.address()
    if (address === null || typeof address === 'string') return { host, port }
    return { host: address.address, port: address.port }
  }

  /** Listens on a socket in a file, which goes when the listener does. */
  async listenFile(file: SocketFile): Promise<void> {
    const server = this.#newServer()
    await openSocketFile(server, file)
    this.#servers.push(server)
  }

  /** Changes the bound for connections that come from now on; those that are there stay. */
  set connectionsPerClient(bound: number) {
    this.#clients.bound = bound
  }

  /** Stops listening, ends idle connections, resolves when the last request was answered. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map(closeServer))
  }

  /** Cuts the connections that are still there. */
  cut(): void {
    for (const server of this.#servers) server.closeAllConnections()
  }

  #newServer(): Server {
    const { maxHeaderSizeBytes, headerTimeoutMs, requestTimeoutMs, idleTimeoutMs } = this.#options
    const server = createServer(
      {
        maxHeaderSize: maxHeaderSizeBytes,
        headersTimeout: Math.min(headerTimeoutMs, requestTimeoutMs),
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: idleTimeoutMs,
        connectionsCheckingInterval: limits.httpTimeoutCheckMs,
        requireHostHeader: false,
        noDelay: true,
      },
      this.#handle,
    )
    // Silent sockets wait for their answer; nothing but the bounds above ends them.
    server.timeout = 0
    server.maxConnections = limits.httpConnections
    admitOnly(server, socket => this.#clients.admit(socket))
    return server
  }
}

/** Connections that are not admitted never reach the server's parser. */
function admitOnly(server: Server, admit: (socket: Socket) => boolean): void {
  const emit = server.emit.bind(server)
  server.emit = (name: string, ...parameters: unknown[]): boolean =>
    name === 'connection' && !admit(parameters[0] as Socket) ? true : emit(name, ...parameters)
}

/** How many connections each address has. */
class Clients {
  bound: number
  readonly #counts = new Map<string, number>()

  constructor(bound: number) {
    this.bound = bound
  }

  /** Counts a connection until it closes; answers and ends one too many, and says false. */
  admit(socket: Socket): boolean {
    const { remoteAddress } = socket
    // Sockets in files have no address: who may open them is what their mode says.
    if (remoteAddress === undefined) return true
    const count = this.#counts.get(remoteAddress) ?? 0
    if (this.bound > 0 && count >= this.bound) {
      endWith(socket, TOO_MANY)
      return false
    }
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

const TOO_MANY_TEXT =
  'Your IP is issuing too many concurrent connections, please rate limit your calls\n'
const TOO_MANY = [
  'HTTP/1.1 429 Too Many Requests',
  'Content-Type: text/plain',
  `Content-Length: ${TOO_MANY_TEXT.length}`,
  'Connection: close',
  '',
  TOO_MANY_TEXT,
].join('\r\n')

/** Says a last word. What the other side still sends is thrown away, for a bounded time. */
function endWith(socket: Socket, text: string): void {
  socket.on('error', () => {})
  socket.resume()
  socket.end(text)
  socket.setTimeout(limits.httpRefusedLingerMs, () => socket.destroy())
}

/** Ends connections whose answer was not taken in time. */
function withTimeout(timeoutMs: number, handle: Handle): Handle {
  return (message, response) => {
    const timer = setTimeout(() => message.socket.destroy(), timeoutMs)
    timer.unref()
    response.once('close', () => clearTimeout(timer))
    handle(message, response)
  }
}

function closeServer(server: Server): Promise<void> {
  // Who is answered from now on does not stay; idle connections end at once.
  server.keepAliveTimeout = 1
  return new Promise(resolve => {
    server.close(() => resolve())
  })
}
