/**
 * The server of everybody's gRPC: bytes in, bytes out.
 *
 * Owns the bounds of connections, calls and messages, and what the library is asked for. Decodes no
 * message and knows no method: who opens it says what is called, and gets calls of unknown methods
 * too. Whatever the library refuses by itself (a message too large, a frame that is none, a
 * deadline that passed) reaches nobody.
 */
import type { Socket } from 'node:net'
import { type Clock, sleep } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { RpcCode } from '../rpc.ts'
import type { SecureOptions } from '../tls.ts'
import { type Grpc, loadGrpc } from './grpc-js.ts'
import { type GrpcListenerOptions, GrpcListeners } from './grpc-listener.ts'
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
  /** An entry of the metadata, the first where there are several; `-bin` ones as text of base64. */
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
  /** Ends the stream, well or not, after what was sent. */
  end(status?: PublicStatus): void
}

/** Where messages of a stream go. */
export interface StreamRequests {
  /** While a promise of it is pending nothing further comes. It must not throw or reject. */
  onMessage(message: Buffer): void | Promise<void>
  /** The client has sent everything. Not called where it left. */
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
  unknown(call: PublicCall): PublicStatus
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
  let loading: Promise<Part> | undefined
  const calls = new Calls()
  const listeners = new GrpcListeners(options, socket => {
    loading ??= openPart(options, calls)
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
      await calls.settled()
      part?.shutDown()
      // What was answered goes out before its connection does.
      await Promise.race([listeners.emptied(), sleep(options.clock, limits.rpcStopMs)])
      listeners.cut()
    },
    cut: () => listeners.cut(),
    get connections() {
      return listeners.connections
    },
    get calls() {
      return calls.count
    },
  }
}

interface Part {
  take(socket: Socket): void
  /** Lets each connection close once what was written has gone out. */
  shutDown(): void
}

async function openPart(options: PublicServerOptions, calls: Calls): Promise<Part> {
  const [grpc, methods] = await Promise.all([loadGrpc(), options.load()])
  const server = new grpc.Server(SERVER_OPTIONS)
  const answering = new Answering(grpc, calls)
  const same = (bytes: Buffer): Buffer => bytes
  for (const [path, method] of methods) {
    server.register(path, answering.handlerOf(method) as never, same, same, TYPES[method.form])
  }
  answerUnknown(server, answering.handlerOf(unknownMethod(options)), same)
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  return {
    take(socket) {
      if (!socket.destroyed) injector.injectConnection(socket)
    },
    shutDown: () => server.tryShutdown(() => {}),
  }
}

const TYPES = { unary: 'unary', 'server-stream': 'serverStream', duplex: 'bidi' } as const

const SERVER_OPTIONS: Grpc.ServerOptions = {
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': limits.grpcKeepaliveMs,
  'grpc.keepalive_timeout_ms': limits.grpcKeepaliveTimeoutMs,
  'grpc.max_connection_idle_ms': limits.grpcIdleMs,
  'grpc.max_concurrent_streams': limits.grpcCallsPerConnection,
  'grpc.max_receive_message_length': limits.grpcMessageSizeBytes,
  'grpc.max_send_message_length': -1,
}

/** The library answers unknown methods itself, in words of its own: its table is asked last. */
function answerUnknown(server: Grpc.Server, func: unknown, same: (bytes: Buffer) => Buffer): void {
  const { handlers } = server as unknown as { handlers: Map<string, object> }
  const get = handlers.get.bind(handlers)
  handlers.get = path =>
    get(path) ?? { func, serialize: same, deserialize: same, type: 'bidi', path }
}

const unknownMethod = (options: PublicServerOptions): PublicMethod => ({
  form: 'duplex',
  take(call, answer) {
    answer.end(options.unknown(call))
    return { onMessage: () => {}, onHalfClose: () => {} }
  },
})

type Unary = Grpc.ServerUnaryCall<Buffer, Buffer>
type Writable = Grpc.ServerWritableStream<Buffer, Buffer>
type Duplex = Grpc.ServerDuplexStream<Buffer, Buffer>

/** Puts the library's calls before what answers them. */
class Answering {
  readonly #grpc: typeof Grpc
  readonly #calls: Calls

  constructor(grpc: typeof Grpc, calls: Calls) {
    this.#grpc = grpc
    this.#calls = calls
  }

  handlerOf(method: PublicMethod): unknown {
    if (method.form === 'unary') {
      return (call: Unary, respond: Grpc.sendUnaryData<Buffer>) => {
        this.#calls.begin(call)
        method.take(new OneCall(call), {
          answer: (message, metadata) => respond(null, message, this.#metadata(metadata)),
          refuse: status => respond(this.#failure(status)),
        })
      }
    }
    if (method.form === 'server-stream') {
      return (call: Writable) => {
        this.#calls.begin(call)
        method.take(new OneCall(call), this.#stream(call))
      }
    }
    return (call: Duplex) => {
      this.#calls.begin(call)
      pass(call, method.take(new Call(call), this.#stream(call)))
    }
  }

  #stream(call: Writable | Duplex): StreamAnswer {
    let isOver = false
    const end = (status?: PublicStatus): void => {
      if (isOver) return
      isOver = true
      if (status === undefined) call.end()
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

/** Hands over what comes, one message after the other where it is taken slowly. */
function pass(call: Duplex, requests: StreamRequests): void {
  call.on('data', (message: Buffer) => {
    const taken = requests.onMessage(message)
    if (taken === undefined) return
    call.pause()
    void taken.then(() => call.resume())
  })
  call.on('end', () => {
    if (!call.cancelled) requests.onHalfClose()
  })
}

/** The library says so of every call: when it was answered, when its caller left. */
const onOver = (call: NodeJS.EventEmitter, over: () => void): void => {
  call.on('cancelled', over)
}

/** A call as the library has it, read only where somebody asks. */
class Call implements PublicCall {
  readonly #call: Unary | Writable | Duplex

  constructor(call: Unary | Writable | Duplex) {
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

  header(name: string): string | undefined {
    const [first] = this.#call.metadata.get(name)
    return typeof first === 'string' ? first : first?.toString('base64')
  }

  onOver(over: () => void): void {
    if (this.#call.cancelled) over()
    else onOver(this.#call, over)
  }
}

class OneCall extends Call implements OneRequest {
  readonly request: Buffer

  constructor(call: Unary | Writable) {
    super(call)
    this.request = call.request
  }
}

/** `10.0.0.1:8080` and `fe80::1:8080` without the port; whatever has none is a socket in a file. */
const addressOf = (peer: string): string => {
  const colon = peer.lastIndexOf(':')
  return colon === -1 ? '' : peer.slice(0, colon)
}

/** What is under way on a server. */
class Calls {
  count = 0
  #settled: (() => void) | undefined

  begin(call: Unary | Writable | Duplex): void {
    this.count++
    let isOver = false
    onOver(call, () => {
      if (isOver) return
      isOver = true
      this.count--
      if (this.count === 0) this.#settled?.()
    })
  }

  /** Resolves when every call is over. */
  async settled(): Promise<void> {
    if (this.count === 0) return
    await new Promise<void>(resolve => {
      this.#settled = resolve
    })
  }
}
