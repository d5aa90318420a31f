/**
 * The server of everybody's gRPC: bytes in, bytes out.
 *
 * Owns the bounds of connections, calls and messages, what the library is asked for, and which
 * calls it gets: streams of messages are its own, a call with one request and one answer is taken
 * from it (grpc-unary.ts). Decodes no message and knows no method: who opens it says what is
 * called, and gets calls of unknown methods too. What is refused here (a message too large, a frame
 * that is none, a deadline that passed) reaches nobody.
 */
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { type Clock, sleep } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { RpcCode } from '../rpc.ts'
import { afterPoll } from '../slices.ts'
import type { SecureOptions } from '../tls.ts'
import {
  type BoundCode,
  type IncomingBounds,
  IncomingCall,
  IncomingCalls,
} from './grpc-incoming.ts'
import { type Grpc, loadGrpc } from './grpc-js.ts'
import { type GrpcListenerOptions, GrpcListeners } from './grpc-listener.ts'
import { GrpcSessions } from './grpc-sessions.ts'
import { type CallNames, type OpenedStream, takeUnary } from './grpc-unary.ts'
import type { SocketFile } from './socket-file.ts'

export type { SocketFile } from './socket-file.ts'

/** How a call could not be answered; `metadata` goes with it, as `-bin` entries where Buffers. */
export interface PublicStatus {
  readonly code: RpcCode
  readonly text: string
  readonly metadata: Readonly<Record<string, string | Buffer>>
}

/** A call with one request, whole and within its bound. */
export interface OneRequest extends PublicCall {
  readonly request: Buffer
}

/** What every call has. */
export interface PublicCall {
  /** `/package.Service/Method`, as it was asked for. */
  readonly path: string
  /** The client's address, without its port; '' for a socket in a file. */
  readonly remote: string
  /** Until the caller's deadline; undefined where it has none. */
  readonly leftMs: number | undefined
  /** What the answer says as `x-request-id`; undefined where who takes it is to name it. */
  readonly id?: string
  /** The agent that the client spoke to, where it was another one: its node id. */
  readonly forwarder?: string
  /** What that agent shows to the registry where the client shows no token: a secret. */
  readonly defaultToken?: string
  /** All of it, by names in lower case; of several values of one name, with commas between. */
  readonly metadata: Readonly<Record<string, string | Buffer>>
  /** One entry of it; `-bin` ones as text of base64. */
  header(name: string): string | undefined
  /** Calls once nobody waits for the answer any more, also when it was given. */
  onOver(over: () => void): void
}

/** An answer to one request. The first of the two ends the call. */
export interface OneAnswer {
  answer(message: Buffer, metadata: Readonly<Record<string, string>>): void
  refuse(status: PublicStatus): void
}

/** An answer that goes on. */
export interface StreamAnswer {
  /** Sends the head of the answer; the first message would, without metadata. */
  begin(metadata: Readonly<Record<string, string>>): void
  /** False: messages wait. One who lets more than `limits.grpcStreamMessages` wait is cut off. */
  send(message: Buffer): boolean
  /** Whether nothing waits. */
  readonly isDrained: boolean
  onDrain(drained: () => void): void
  /** Ends the stream, well (with more metadata) or not, after what was sent. */
  end(status?: PublicStatus, trailers?: Readonly<Record<string, string>>): void
}

/** Where messages of a stream go. */
export interface StreamRequests {
  /** While a promise of it is pending nothing further comes. It must not throw or reject. */
  onMessage(message: Buffer): void | Promise<void>
  /** The client has sent everything. Not called where it is known that it left. */
  onHalfClose(): void
}

/** A method, as the wire has it. */
export type PublicMethod =
  | {
      readonly form: 'unary'
      take(call: OneRequest, answer: OneAnswer): void
    }
  | {
      readonly form: 'server-stream'
      /** Whether `send` says that messages wait from the first one on. */
      readonly isPaced?: boolean
      take(call: OneRequest, answer: StreamAnswer): void
    }
  | {
      readonly form: 'duplex'
      take(call: PublicCall, answer: StreamAnswer): StreamRequests
    }

export interface PublicServerOptions extends GrpcListenerOptions {
  readonly clock: Clock
  readonly log: Log
  /** By `/package.Service/Method`; loaded when the first connection came. */
  load(): Promise<ReadonlyMap<string, PublicMethod>>
  /** What answers calls of methods that are not there. */
  readonly fallback: Extract<PublicMethod, { form: 'duplex' }>
  /** What calls are called that have one request and one answer. */
  readonly names: CallNames
  /** After so much silence a connection is asked for a sign of life, and for so long. */
  readonly keepaliveMs: number
  readonly keepaliveTimeoutMs: number
  /** Of what is on its way; those of `limits` unless given. */
  readonly bounds?: IncomingBounds
}

export interface PublicServer {
  /** Port 0 binds a free one; in clear unless TLS is given. Throws the system's error. */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  listenFile(file: SocketFile, secure?: SecureOptions): Promise<void>
  /** Takes over certificates, versions and who is asked for a certificate, for new connections. */
  secure(options: SecureOptions): void
  /** Changes how many connections of one address are taken. */
  limitClients(connections: number): void
  /** Takes no more calls, and resolves when those under way are answered. */
  close(): Promise<void>
  /** Cuts the connections that are still there. */
  cut(): void
  /** How many connections and calls are there. */
  readonly connections: number
  readonly calls: number
}

/** Makes a server; it answers once it listens. */
export function openPublicServer(options: PublicServerOptions): PublicServer {
  let calls: IncomingCalls | undefined
  let loading: Promise<Part> | undefined
  const listeners = new GrpcListeners(options, socket => {
    loading ??= openPart(options).then(opened => {
      calls = opened.calls
      return opened
    })
    loading.then(
      part => part.take(socket),
      (error: unknown) => {
        options.log.error('grpc: the services cannot be loaded', { error: messageOf(error) })
        socket.destroy()
      },
    )
  })
  return {
    listen: (host, port, secure) => listeners.listen(host, port, secure),
    listenFile: (file, secure) => listeners.listenFile(file, secure),
    secure: secure => listeners.secure(secure),
    limitClients(connections) {
      listeners.connectionsPerClient = connections
    },
    async close() {
      listeners.stop()
      const part = await loading?.catch(() => undefined)
      part?.shutDown()
      await part?.calls.emptied()
      // What was answered goes out before its connection does.
      await Promise.race([listeners.emptied(), sleep(options.clock, limits.rpcStopMs)])
      listeners.cut()
    },
    cut: () => listeners.cut(),
    get connections() {
      return listeners.connections
    },
    get calls() {
      return calls?.count ?? 0
    },
  }
}

interface Part {
  readonly calls: IncomingCalls
  take(socket: Socket): void
  /** Takes no more calls; each connection closes once what is under way on it is answered. */
  shutDown(): void
}

async function openPart(options: PublicServerOptions): Promise<Part> {
  const [grpc, methods] = await Promise.all([loadGrpc(), options.load()])
  const { clock, keepaliveMs, keepaliveTimeoutMs, names, bounds } = options
  const calls = new IncomingCalls(clock, bounds)
  const streams = new LibraryCalls(grpc, calls)
  const server = new grpc.Server({
    ...SERVER_OPTIONS,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    interceptors: [
      (_method, call) => {
        // It stays the call that it is: each one around it would cost every message.
        streams.open(call as unknown as OpenedCall)
        return call as Grpc.ServerInterceptingCall
      },
    ],
  })
  const answering = new Answering(grpc, streams)
  const same = (bytes: Buffer): Buffer => bytes
  const unary = new Map<string | undefined, Extract<PublicMethod, { form: 'unary' }>>()
  for (const [path, method] of methods) {
    if (method.form === 'unary') unary.set(path, method)
    else server.register(path, answering.handlerOf(method) as never, same, same, TYPES[method.form])
  }
  answerUnknown(server, answering.handlerOf(options.fallback), same)
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const sessions = new GrpcSessions(clock)
  const ports = { clock, calls, names }
  divert(server, sessions, opened => {
    const method = unary.get(opened.headers[':path'])
    if (method !== undefined) takeUnary(ports, method, opened)
    return method !== undefined
  })
  return {
    take(socket) {
      if (!socket.destroyed) injector.injectConnection(socket)
    },
    calls,
    shutDown() {
      calls.stop()
      sessions.stop()
      server.tryShutdown(() => {})
    },
  }
}

const TYPES = { 'server-stream': 'serverStream', duplex: 'bidi' } as const

const SERVER_OPTIONS: Grpc.ServerOptions = {
  'grpc.enable_channelz': 0,
  'grpc.max_concurrent_streams': limits.grpcCallsPerConnection,
  'grpc.max_receive_message_length': limits.grpcMessageSizeBytes,
  'grpc.max_send_message_length': -1,
  'grpc-node.max_session_memory': limits.grpcConnectionSizeBytes / 1_000_000,
}

/** The library answers unknown methods itself, in words of its own: its table is asked last. */
function answerUnknown(server: Grpc.Server, func: unknown, same: (bytes: Buffer) => Buffer): void {
  const { handlers } = server as unknown as { handlers: Map<string, object> }
  const get = handlers.get.bind(handlers)
  handlers.get = path =>
    get(path) ?? { func, serialize: same, deserialize: same, type: 'bidi', path }
}

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** Shows each stream to `take` before the library, which gets those that are not taken. */
function divert(
  server: Grpc.Server,
  sessions: GrpcSessions,
  take: (opened: OpenedStream) => boolean,
): void {
  const { http2Servers } = server as unknown as { http2Servers: Map<Http2Server, object> }
  for (const http2 of http2Servers.keys()) {
    const [library] = http2.listeners('stream') as unknown as [OnStream]
    const onStream: OnStream = (stream, headers) => {
      // Reset since it was read: the library would answer it all the same, and that throws.
      if (stream.destroyed || stream.closed) return
      const connection = sessions.of(stream.session)
      if (take({ stream, headers, connection })) return
      connection.enter()
      stream.once('close', () => connection.leave())
      library(stream, headers)
    }
    http2.removeAllListeners('stream')
    http2.on('stream', onStream)
    http2.on('session', session => sessions.add(session))
  }
}

type Writable = Grpc.ServerWritableStream<Buffer, Buffer>
type Duplex = Grpc.ServerDuplexStream<Buffer, Buffer>

/** What the library has of a call, and its types leave out. */
interface OpenedCall {
  readonly stream: ServerHttp2Stream
  sendStatus(status: { code: number; details: string; metadata: null }): void
}

/** The call that the library opened, of what it hands over. */
const openedOf = (call: Writable | Duplex): OpenedCall =>
  (call as unknown as { call: OpenedCall }).call

/** A call of the library's, within our bounds. */
class LibraryCall extends IncomingCall {
  readonly remote: string
  readonly #call: OpenedCall
  readonly #status: typeof Grpc.status

  constructor(call: OpenedCall, status: typeof Grpc.status) {
    super()
    this.#call = call
    this.#status = status
    this.remote = call.stream.session?.socket?.remoteAddress ?? ''
  }

  end(code: BoundCode, details: string): void {
    this.#call.sendStatus({ code: this.#status[code], details, metadata: null })
  }

  reset(): void {
    this.#call.stream.close()
  }
}

/** The library's calls, from their opening on. */
class LibraryCalls {
  readonly #status: typeof Grpc.status
  readonly #calls: IncomingCalls
  readonly #open = new Map<OpenedCall, LibraryCall>()

  constructor({ status }: typeof Grpc, calls: IncomingCalls) {
    this.#status = status
    this.#calls = calls
  }

  open(opened: OpenedCall): void {
    const call = new LibraryCall(opened, this.#status)
    this.#open.set(opened, call)
    const { stream } = opened
    stream.once('close', () => {
      this.#open.delete(opened)
      this.#calls.leave(call)
    })
    if (!this.#calls.enter(call)) return
    stream.on('data', (chunk: Buffer) => void this.#calls.took(call, chunk.length))
  }

  handed(opened: OpenedCall): void {
    const call = this.#open.get(opened)
    if (call !== undefined) this.#calls.handed(call)
  }

  taken(opened: OpenedCall): void {
    const call = this.#open.get(opened)
    if (call !== undefined) this.#calls.taken(call)
  }
}

/** Puts the library's calls before what answers them. */
class Answering {
  readonly #grpc: typeof Grpc
  readonly #calls: LibraryCalls

  constructor(grpc: typeof Grpc, calls: LibraryCalls) {
    this.#grpc = grpc
    this.#calls = calls
  }

  handlerOf(method: Exclude<PublicMethod, { form: 'unary' }>): unknown {
    if (method.form === 'server-stream') {
      return (call: Writable) => {
        this.#calls.handed(openedOf(call))
        if (method.isPaced === true) paced(call)
        method.take(new OneCall(call), this.#stream(call))
      }
    }
    return (call: Duplex) => {
      const opened = openedOf(call)
      this.#calls.handed(opened)
      pass(call, method.take(new Call(call), this.#stream(call)), () => this.#calls.taken(opened))
    }
  }

  #stream(call: Writable | Duplex): StreamAnswer {
    let isOver = false
    const end: StreamAnswer['end'] = (status, trailers = {}) => {
      if (isOver) return
      isOver = true
      if (status === undefined) call.end(this.#metadata(trailers))
      else call.emit('error', this.#failure(status))
    }
    call.once('close', () => {
      isOver = true
    })
    return {
      begin: metadata => call.sendMetadata(this.#metadata(metadata)),
      send(message) {
        if (isOver) return false
        if (call.writableLength >= limits.grpcStreamMessages) {
          end(SLOW)
          return false
        }
        return call.write(message)
      },
      get isDrained() {
        return isOver || !call.writableNeedDrain
      },
      onDrain: drained => call.on('drain', drained),
      end,
    }
  }

  #failure({ code, text, metadata }: PublicStatus): Partial<Grpc.ServiceError> {
    const { status } = this.#grpc
    return { code: status[code], details: text, metadata: this.#metadata(metadata) }
  }

  #metadata(entries: PublicStatus['metadata']): Grpc.Metadata {
    const metadata = new this.#grpc.Metadata()
    for (const name in entries) metadata.set(name, entries[name]!)
    return metadata
  }
}

const SLOW: PublicStatus = {
  code: 'RESOURCE_EXHAUSTED',
  text: 'too many messages wait for a slow reader',
  metadata: {},
}

/** Has a stream say that it is full while anything waits in it. The library sets that bound. */
function paced(call: Writable): void {
  const { _writableState: state } = call as unknown as {
    _writableState: { highWaterMark: number }
  }
  state.highWaterMark = 1
}

/** Hands over what comes, one message after the other where it is taken slowly. */
function pass(call: Duplex, requests: StreamRequests, onTaken: () => void): void {
  const { stream } = openedOf(call)
  let taking: Promise<void> | undefined
  call.on('data', (message: Buffer) => {
    onTaken()
    const taken = requests.onMessage(message)
    if (taken === undefined) return
    call.pause()
    taking = taken.then(() => {
      taking = undefined
      call.resume()
    })
  })
  // Clients that leave may send an end first, and right behind it that they left.
  const end = (): void =>
    afterPoll(() =>
      afterPoll(() => {
        const isGone = stream.closed || stream.destroyed || call.cancelled
        if (!isGone) requests.onHalfClose()
      }),
    )
  call.on('end', () => {
    if (taking === undefined) end()
    else void taking.then(end)
  })
}

/** The library says so of every call: when it was answered, when its caller left. */
const onOver = (call: NodeJS.EventEmitter, over: () => void): void => {
  call.on('cancelled', over)
}

/** A call as the library has it, read only where somebody asks. */
class Call implements PublicCall {
  readonly #call: Writable | Duplex

  constructor(call: Writable | Duplex) {
    this.#call = call
  }

  get path(): string {
    return this.#call.getPath()
  }

  get remote(): string {
    return addressOf(this.#call.getPeer())
  }

  get leftMs(): number | undefined {
    const deadline = Number(this.#call.getDeadline())
    return Number.isFinite(deadline) ? Math.max(0, deadline - Date.now()) : undefined
  }

  get metadata(): Record<string, string | Buffer> {
    const { metadata } = this.#call
    const entries = Object.keys(metadata.toJSON()).map(name => {
      const value = name.endsWith('-bin') ? metadata.get(name)[0]! : this.header(name)!
      return [name, value] as const
    })
    return Object.fromEntries(entries)
  }

  header(name: string): string | undefined {
    const values = this.#call.metadata.get(name)
    if (values.length > 1) return values.join(',')
    const [first] = values
    return typeof first === 'string' ? first : first?.toString('base64')
  }

  onOver(over: () => void): void {
    if (this.#call.cancelled) over()
    else onOver(this.#call, over)
  }
}

class OneCall extends Call implements OneRequest {
  readonly request: Buffer

  constructor(call: Writable) {
    super(call)
    this.request = call.request
  }
}

/** `10.0.0.1:8080` and `fe80::1:8080` without the port; whatever has none is a socket in a file. */
const addressOf = (peer: string): string => {
  const colon = peer.lastIndexOf(':')
  return colon === -1 ? '' : peer.slice(0, colon)
}
