/**
 * Listening for HTTP, in clear and over TLS: on addresses and on sockets in files, within bounds of
 * connections and time.
 *
 * Owns Node's HTTP servers with all their bounds written out, and the number of connections of
 * each client. A connection too many is answered before its first byte is parsed, or closed where
 * it was to speak TLS. Who is answered while it still sends gets its answer (lingering.ts). No
 * bound here may cut a request that was received whole and waits for its answer, but the one for
 * slow readers.
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { limits } from '../limits.ts'
import type { SecureOptions } from '../tls.ts'
import { ConnectionCounts } from './connection-counts.ts'
import { type TakeVerbs, takingVerbs } from './custom-verbs.ts'
import { type LingerBounds, Lingering } from './lingering.ts'
import { listenOn } from './listen.ts'
import { SecureDoor } from './secure-door.ts'
import { openSocketFile, type SocketFile } from './socket-file.ts'
import { contextOptions } from './tls.ts'
import { isHere } from './whole-body.ts'

export type { SocketFile } from './socket-file.ts'

export interface ListenerOptions {
  readonly maxHeaderSizeBytes: number
  /** For the head of a request, from the opening of the connection on. */
  readonly headerTimeoutMs: number
  /** For a whole request, its body included. */
  readonly requestTimeoutMs: number
  /** In which a body must bring `limits.httpBodyWindowSizeBytes`; that of `limits` unless given. */
  readonly bodyWindowMs?: number
  /** For what still comes after an answer; those of `limits` unless given. */
  readonly lingering?: LingerBounds
  /** For the next request on a connection. */
  readonly idleTimeoutMs: number
  /** From the head of a request to the end of its answer; 0 is no bound. */
  readonly writeTimeoutMs: number
  /** For the handshake of a TLS connection. */
  readonly handshakeTimeoutMs: number
  /** Connections of one address; 0 and less is no bound. */
  readonly connectionsPerClient: number
  /** Verbs that are taken though HTTP's parser does not know them; see custom-verbs.ts. */
  readonly customVerbs?: readonly string[]
  /** Whether the streams of requests without a body are over from the beginning. */
  readonly endsEmptyRequests?: boolean
  /** Names what is refused here, so that it can be explained; without one it has no name. */
  readonly nameRefused?: NameRefused
}

/** Keeps why somebody at an address was refused; gives the id for `X-Request-Id`. */
export type NameRefused = (status: number, reason: string, remote: string) => string

type Handle = (message: IncomingMessage, response: ServerResponse) => void

export class HttpListeners {
  readonly #options: ListenerOptions
  readonly #handle: Handle
  readonly #clients: ConnectionCounts
  readonly #takeVerbs: TakeVerbs | undefined
  readonly #lingering: Lingering
  readonly #name: NameRefused | undefined
  /** Of clients that were refused before they asked. */
  readonly #refused = new Lingering(REFUSED)
  readonly #servers: Server[] = []
  readonly #doors: SecureDoor[] = []

  constructor(options: ListenerOptions, handle: Handle) {
    this.#options = options
    const timed = options.writeTimeoutMs > 0 ? withTimeout(options.writeTimeoutMs, handle) : handle
    this.#lingering = new Lingering(options.lingering ?? LINGERING)
    const { nameRefused, bodyWindowMs = limits.httpBodyWindowMs } = options
    this.#name = nameRefused
    const bodies = new Bodies(bodyWindowMs, this.#lingering, nameRefused)
    this.#handle = (message, response) => {
      bodies.watch(message, response)
      if (!tooManyHeaders(message, response, nameRefused)) timed(message, response)
    }
    this.#clients = new ConnectionCounts(options.connectionsPerClient)
    const { customVerbs = [] } = options
    this.#takeVerbs = customVerbs.length > 0 ? takingVerbs(customVerbs) : undefined
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

  /**
   * Has all TLS listeners speak by these options from now on: handshakes that begin later see
   * them, connections that are there go on.
   */
  secure(options: SecureOptions): void {
    for (const door of this.#doors) door.configure(options)
  }

  /** Changes the bound for connections that come from now on; those that are there stay. */
  set connectionsPerClient(bound: number) {
    this.#clients.bound = bound
  }

  /** Stops listening, ends idle connections, resolves when the last request was answered. */
  async close(): Promise<void> {
    const closed = this.#servers.map(closeServer)
    this.#endLingering()
    for (const door of this.#doors) door.dropHandshakes()
    await Promise.all(closed)
  }

  /** Cuts the connections that are still there. */
  cut(): void {
    for (const server of this.#servers) server.closeAllConnections()
    this.#endLingering()
    for (const door of this.#doors) door.dropHandshakes()
  }

  #endLingering(): void {
    this.#lingering.cut()
    this.#refused.cut()
  }

  #newServer(secure: SecureOptions | undefined): Server {
    const { maxHeaderSizeBytes, headerTimeoutMs, requestTimeoutMs, idleTimeoutMs } = this.#options
    const { endsEmptyRequests = false } = this.#options
    const options = {
      optimizeEmptyRequests: endsEmptyRequests,
      maxHeaderSize: maxHeaderSizeBytes,
      headersTimeout: Math.min(headerTimeoutMs, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: limits.httpTimeoutCheckMs,
      requireHostHeader: false,
      noDelay: true,
    }
    const server =
      secure === undefined ? createServer(options, this.#handle) : this.#newSecure(options, secure)
    // Silent sockets wait for their answer; nothing but the bounds above ends them.
    server.timeout = 0
    server.maxConnections = limits.httpConnections
    // One more, so that one too many is seen: what is beyond it node leaves out in silence.
    server.maxHeadersCount = limits.httpHeaders + 1
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
      refuseUnparsed(error, socket, this.#lingering, this.#name),
    )
    admitOnly(server, socket => this.#admit(socket, secure === undefined))
    if (this.#takeVerbs !== undefined) {
      server.on(secure === undefined ? 'connection' : 'secureConnection', this.#takeVerbs)
    }
    return server
  }

  /** Answers or closes a connection that is one too many, and says false. */
  #admit(socket: Socket, inClear: boolean): boolean {
    if (this.#clients.admit(socket)) return true
    if (inClear) this.#refused.end(socket, tooManyText(socket, this.#name))
    else socket.destroy()
    return false
  }

  #newSecure(options: ServerOptions, secure: SecureOptions): Server {
    const server = createSecureServer(
      {
        ...options,
        ...contextOptions(secure),
        ALPNProtocols: ['http/1.1'],
        handshakeTimeout: this.#options.handshakeTimeoutMs,
        requestCert: secure.verifiesClients,
        rejectUnauthorized: secure.verifiesClients,
      },
      this.#handle,
    )
    const door = new SecureDoor(server, secure)
    this.#doors.push(door)
    enterOnly(server, door)
    return server
  }
}

/** Connections that the door does not let in never reach the server's parser. */
function enterOnly(server: SecureServer, door: SecureDoor): void {
  server.on('connection', socket => door.begin(socket))
  const emit = server.emit.bind(server)
  server.emit = (name: string, ...parameters: unknown[]): boolean => {
    if (name !== 'secureConnection') return emit(name, ...parameters)
    const socket = parameters[0] as TLSSocket
    if (door.letsIn(socket)) return emit(name, ...parameters)
    socket.destroy()
    return true
  }
}

/** Connections that are not admitted never reach the server's parser. */
function admitOnly(server: Server, admit: (socket: Socket) => boolean): void {
  const emit = server.emit.bind(server)
  server.emit = (name: string, ...parameters: unknown[]): boolean =>
    name === 'connection' && !admit(parameters[0] as Socket) ? true : emit(name, ...parameters)
}

/** Refuses a request with more headers than are taken; says whether it did. */
function tooManyHeaders(
  { rawHeaders, socket }: IncomingMessage,
  response: ServerResponse,
  name: NameRefused | undefined,
): boolean {
  const PARTS_EACH = 2
  if (rawHeaders.length <= limits.httpHeaders * PARTS_EACH) return false
  const text = `More than ${limits.httpHeaders} headers. See docs/limits.md.`
  const id = name?.(431, text, remoteOf(socket))
  response.writeHead(431, {
    ...(id === undefined ? {} : { 'X-Request-Id': id }),
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': text.length,
    Connection: 'close',
  })
  response.end(text)
  return true
}

/**
 * Bodies that are still coming: each must bring something in every window of time. What is not
 * read on our side is not held against its sender, nor is what was received whole. After an
 * answer that leaves the connection open, the rest of a body goes by within Lingering's bounds.
 */
class Bodies {
  readonly #windowMs: number
  readonly #lingering: Lingering
  readonly #name: NameRefused | undefined
  readonly #open = new Map<IncomingMessage, Coming>()
  #timer: NodeJS.Timeout | undefined

  constructor(windowMs: number, lingering: Lingering, name: NameRefused | undefined) {
    this.#windowMs = windowMs
    this.#name = name
    this.#lingering = lingering
  }

  watch(message: IncomingMessage, response: ServerResponse): void {
    const { headers } = message
    if (headers['transfer-encoding'] === undefined && !Number(headers['content-length'])) return
    // Most have come with their head: they are here once its packet is parsed.
    process.nextTick(this.#addUnlessHere, message, response)
  }

  readonly #addUnlessHere = (message: IncomingMessage, response: ServerResponse): void => {
    if (!isHere(message) && !message.destroyed) this.#add(message, response)
  }

  #add(message: IncomingMessage, response: ServerResponse): void {
    this.#lingering.watch(message, response)
    const { bytesRead: bytes } = message.socket
    const coming: Coming = { response, bytes, sinceMs: performance.now(), answered: undefined }
    this.#open.set(message, coming)
    message.once('close', () => this.#open.delete(message))
    response.once('finish', () => {
      coming.answered = { bytes: message.socket.bytesRead, atMs: performance.now() }
    })
    const everyMs = Math.min(this.#windowMs, limits.httpTimeoutCheckMs)
    this.#timer ??= setInterval(() => this.#look(), everyMs).unref()
  }

  #look(): void {
    const nowMs = performance.now()
    for (const [message, seen] of this.#open) {
      // Node tells nobody that the client left once the answer was out.
      if (message.complete || message.socket.destroyed) this.#open.delete(message)
      else if (seen.answered !== undefined) this.#cutRest(message.socket, seen.answered, nowMs)
      else if (message.isPaused() || message.readableLength > 0) seen.sinceMs = nowMs
      else if (nowMs - seen.sinceMs >= this.#windowMs) this.#judge(message, seen, nowMs)
    }
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #cutRest(socket: Socket, { bytes, atMs }: Answered, nowMs: number): void {
    const { sizeBytes, wholeMs } = this.#lingering.bounds
    if (socket.bytesRead - bytes > sizeBytes || nowMs - atMs > wholeMs) socket.destroy()
  }

  #judge({ socket }: IncomingMessage, seen: Coming, nowMs: number): void {
    if (socket.bytesRead - seen.bytes < limits.httpBodyWindowSizeBytes) {
      if (!seen.response.headersSent) socket.write(lastWord(SLOW_BODY, socket, this.#name))
      // It is not waited for any longer.
      Socket.prototype.destroySoon.call(socket)
    }
    seen.bytes = socket.bytesRead
    seen.sinceMs = nowMs
  }
}

/** A body on its way: how much had come when its window began. */
interface Coming {
  readonly response: ServerResponse
  bytes: number
  sinceMs: number
  answered: Answered | undefined
}

/** When a request was answered, and how much had come by then. */
interface Answered {
  readonly bytes: number
  readonly atMs: number
}

const LINGERING: LingerBounds = {
  sizeBytes: limits.httpLingerSizeBytes,
  wholeMs: limits.httpLingerMs,
  silentMs: limits.httpLingerSilentMs,
}
const REFUSED: LingerBounds = {
  sizeBytes: limits.httpLingerSizeBytes,
  wholeMs: limits.httpRefusedLingerMs,
  silentMs: limits.httpRefusedLingerMs,
}

/** What node keeps at a connection, and its types leave out: the answer that is under way. */
type Answering = Socket & { readonly _httpMessage?: ServerResponse | null }

/** An answer without a body: its first line after the version, and why. */
type LastWord = readonly [status: string, reason: string]

const NO_REQUEST: LastWord = ['400 Bad Request', 'what came is no request of HTTP']
const SLOW_BODY: LastWord = ['408 Request Timeout', 'its body brought too little for too long']
const UNPARSED: Readonly<Record<string, LastWord>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'its head is too long'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Payload Too Large', 'extensions of its chunks are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'it did not come whole in time'],
}

/** Answers what is no request, or did not come in time. */
function refuseUnparsed(
  { code = '' }: NodeJS.ErrnoException,
  socket: Answering,
  lingering: Lingering,
  name: NameRefused | undefined,
): void {
  const { _httpMessage: answer } = socket
  const isParsers = code.startsWith('HPE_')
  const word = UNPARSED[code] ?? NO_REQUEST
  const mayAnswer = isParsers || UNPARSED[code] !== undefined
  if (!mayAnswer || !socket.writable || answer?.headersSent === true) socket.destroy()
  else if (isParsers && !answer) lingering.end(socket, lastWord(word, socket, name))
  else {
    // Whoever works on an answer is told by the end of the connection alone.
    socket.write(lastWord(word, socket, name))
    socket.destroy()
  }
}

/** An answer whose id says why, where somebody keeps that. */
const lastWord = ([status, reason]: LastWord, socket: Socket, name?: NameRefused): string =>
  `HTTP/1.1 ${status}\r\n${idLine(Number.parseInt(status, 10), reason, socket, name)}` +
  'Connection: close\r\nContent-Length: 0\r\n\r\n'

const idLine = (status: number, reason: string, socket: Socket, name?: NameRefused): string =>
  name === undefined ? '' : `X-Request-Id: ${name(status, reason, remoteOf(socket))}\r\n`

const remoteOf = ({ remoteAddress = '' }: Socket): string => remoteAddress

const TOO_MANY_TEXT =
  'Your IP is issuing too many concurrent connections, please rate limit your calls\n'
const TOO_MANY = 'its address has too many connections'
const tooManyText = (socket: Socket, name?: NameRefused): string =>
  [
    'HTTP/1.1 429 Too Many Requests',
    `${idLine(429, TOO_MANY, socket, name)}Content-Type: text/plain`,
    `Content-Length: ${TOO_MANY_TEXT.length}`,
    'Connection: close',
    '',
    TOO_MANY_TEXT,
  ].join('\r\n')

/** Ends connections whose answer was not taken in time, but for one that goes on. */
function withTimeout(timeoutMs: number, handle: Handle): Handle {
  return (message, response) => {
    const timer = setTimeout(() => {
      if (!('goesOn' in response)) message.socket.destroy()
    }, timeoutMs)
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
