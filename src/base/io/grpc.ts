/**
 * gRPC between agents and to foreign servers: clients and servers from our own proto files.
 *
 * Owns the options of every channel and of the agents' server, and the mapping of failures to
 * RpcError and back. The library is large: it is loaded when the first client is opened or the
 * first connection came. Never retries and never judges a failure: who called knows what was sent.
 */
import { isIP } from 'node:net'
import { checkServerIdentity, type DetailedPeerCertificate, type SecureContext } from 'node:tls'
import { assert } from '../assert.ts'
import { sleep } from '../clock.ts'
import { messageOf } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Log } from '../log.ts'
import {
  callerProblem,
  type RpcCall,
  RpcFailure,
  type RpcHandler,
  type RpcIn,
  type RpcMethod,
  type RpcPeer,
  type RpcService,
  type StreamMethod,
  type UnaryMethod,
} from '../rpc.ts'
import type { TlsPems } from '../tls.ts'
import { cancelSoon, type Grpc, loadGrpc } from './grpc-js.ts'
import { loadDefinitions, serviceOf } from './proto.ts'
import { type RpcConnection, type RpcListenerOptions, RpcListeners } from './rpc-listener.ts'

/** What a call ended with instead of an answer. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  /** gRPC's name of the status: UNAVAILABLE, NOT_FOUND, … */
  readonly code: string
  /** False when it surely was not handled: there was no connection, or the server said so. */
  readonly sent: boolean

  constructor(code: string, message: string, sent: boolean) {
    super(message)
    this.code = code
    this.sent = sent
  }
}

/** The methods of a client: `package.Service/Method` to the types of request and answer. */
export type RpcMethods = Record<string, { readonly request: object; readonly answer: object }>

/** Who listens to a stream. `onEnd` comes once, last, and not at all after `cancel`. */
export interface RpcListener<A> {
  onMessage(answer: A): void
  onEnd(error: RpcError | undefined): void
}

/** A stream in both directions. */
export interface RpcStream<Q> {
  send(request: Q): void
  cancel(): void
}

/** Names and texts that travel with a call. */
export type Metadata = Readonly<Record<string, string>>

/** `metadata` travels with the stream's opening. */
export interface StreamOptions {
  readonly metadata?: Metadata
  readonly timeoutMs?: number
}

export interface RpcClient<M extends RpcMethods> {
  /** One request, one answer. Rejects with RpcError; too late is DEADLINE_EXCEEDED. */
  call<N extends keyof M & string>(
    method: N,
    request: M[N]['request'],
    timeoutMs: number,
    metadata?: Metadata,
  ): Promise<M[N]['answer']>
  /** Opens a stream that lasts until it is cancelled, ended by the other side or too late. */
  open<N extends keyof M & string>(
    method: N,
    listener: RpcListener<M[N]['answer']>,
    options: StreamOptions,
  ): RpcStream<M[N]['request']>
  /**
   * One request, many answers, taken at the reader's own pace. Throws RpcError; who stops reading
   * cancels the rest.
   */
  receive<N extends keyof M & string>(
    method: N,
    request: M[N]['request'],
    options: StreamOptions,
  ): AsyncIterable<M[N]['answer']>
  close(): void
}

/** How a client connects, where that is not the usual way. */
export interface ChannelSettings {
  /** Whom requests are addressed to; the address by default. */
  readonly authority?: string
  /**
   * Connects with TLS, to whoever has a certificate for this name or IP address. `pems` are what we
   * show, and who may sign for it; the system's authorities where they hold none.
   */
  readonly tls?: {
    readonly name: string
    readonly rejectUnauthorized: boolean
    readonly pems?: TlsPems
    /** Instead of `pems`: what is shown and trusted, made already. */
    readonly context?: SecureContext
  }
  /** False: its connections are its own, and gone once it is closed. */
  readonly isShared?: boolean
}

const CHANNEL_OPTIONS: Grpc.ClientOptions = {
  // What an answer may weigh is bounded by what was asked for.
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  // A connection that went silent under a call is noticed within these. Servers take pings on
  // idle connections amiss.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
}

/** Methods whose messages are not left to the library: those that come by the thousand. */
export type RpcCodecs<M extends RpcMethods> = {
  readonly [N in keyof M & string]?: {
    readonly encode?: (request: M[N]['request']) => Buffer
    /** Throws on bytes that are no such message. */
    readonly decode?: (answer: Buffer) => M[N]['answer']
  }
}

/**
 * Opens a client of the services in a proto file, given as its path below `proto/`. 64-bit numbers
 * come as `Long` objects and are taken as numbers or decimal strings, enums are their names.
 * Connects when the first call is made; `address` is `host:port` or a list of addresses that the
 * library takes (`ipv4:10.0.0.1:80,10.0.0.2:80`).
 */
export async function openRpcClient<M extends RpcMethods>(
  protoFile: string,
  address: string,
  settings: ChannelSettings = {},
  codecs: RpcCodecs<M> = {},
): Promise<RpcClient<M>> {
  const [grpc, definitions] = await Promise.all([loadGrpc(), loadDefinitions(protoFile)])
  const client = new grpc.Client(address, credentialsOf(grpc, settings), optionsOf(settings))
  const describe = (method: string) => {
    const [service = '', name = ''] = method.split('/')
    const { path, requestSerialize, responseDeserialize } = serviceOf(definitions, service)![name]!
    const own = codecs[method] as { encode?: Encode; decode?: Decode } | undefined
    return [path, own?.encode ?? requestSerialize, own?.decode ?? responseDeserialize] as const
  }
  return {
    call(method, request, timeoutMs, metadata = {}) {
      const deadline = Date.now() + timeoutMs
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest<object, object>(
          ...describe(method),
          request,
          headersOf(grpc, metadata),
          { deadline },
          (error, answer) => (error ? reject(toRpcError(grpc, error)) : resolve(answer!)),
        )
      })
    },
    open(method, listener, { metadata = {}, timeoutMs = Number.POSITIVE_INFINITY }) {
      const options = { deadline: Date.now() + timeoutMs }
      const headers = headersOf(grpc, metadata)
      const stream = client.makeBidiStreamRequest(...describe(method), headers, options)
      return listen(grpc, stream, listener)
    },
    async *receive(method, request, { metadata = {}, timeoutMs = Number.POSITIVE_INFINITY }) {
      const options = { deadline: Date.now() + timeoutMs }
      const headers = headersOf(grpc, metadata)
      const stream = client.makeServerStreamRequest(
        ...describe(method),
        request as object,
        headers,
        options,
      )
      try {
        yield* stream
      } catch (error) {
        throw toRpcError(grpc, error as Grpc.ServiceError)
      } finally {
        cancelSoon(stream)
      }
    },
    close: () => client.close(),
  }
}

type Encode = (request: object) => Buffer
type Decode = (answer: Buffer) => object

function headersOf(grpc: typeof Grpc, metadata: Metadata): Grpc.Metadata {
  const headers = new grpc.Metadata()
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value)
  return headers
}

function credentialsOf(grpc: typeof Grpc, { tls }: ChannelSettings): Grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure()
  const { rejectUnauthorized } = tls
  const verify: Grpc.VerifyOptions = {
    rejectUnauthorized,
    checkServerIdentity: (_asked, certificate) => checkServerIdentity(tls.name, certificate),
  }
  if (tls.context !== undefined) {
    return grpc.credentials.createFromSecureContext(tls.context, verify)
  }
  const { ca = [], key = null, cert = null } = tls.pems ?? {}
  const roots = ca.length === 0 ? null : Buffer.concat(ca)
  return grpc.credentials.createSsl(roots, key, cert, verify)
}

/** What is sent as the server's name where an address is asked for: it cannot be an address. */
const NAME_OF_ADDRESSES = 'localhost'
const sentName = (name: string): string => (isIP(name) === 0 ? name : NAME_OF_ADDRESSES)

function optionsOf({ authority, tls, isShared = true }: ChannelSettings): Grpc.ClientOptions {
  return {
    ...CHANNEL_OPTIONS,
    ...(authority === undefined ? {} : { 'grpc.default_authority': authority }),
    ...(tls === undefined ? {} : { 'grpc.ssl_target_name_override': sentName(tls.name) }),
    ...(isShared ? {} : { 'grpc.use_local_subchannel_pool': 1 }),
  }
}

function listen<Q, A>(
  grpc: typeof Grpc,
  stream: Grpc.ClientDuplexStream<Q, A>,
  listener: RpcListener<A>,
): RpcStream<Q> {
  let over = false
  stream.on('data', (answer: A) => {
    if (!over) listener.onMessage(answer)
  })
  const end = (error: RpcError | undefined): void => {
    if (over) return
    over = true
    listener.onEnd(error)
  }
  stream.on('error', (error: Grpc.ServiceError) => {
    // The library may push what came after the end into its own stream, which fails then.
    if (!over) end(toRpcError(grpc, error))
  })
  stream.on('end', () => end(undefined))
  return {
    send(request) {
      if (!over) stream.write(request)
    },
    cancel() {
      over = true
      cancelSoon(stream)
    },
  }
}

/** A trailer: the call was refused before anything was done. */
const UNTOUCHED = 'gatehouse-untouched'

function toRpcError(grpc: typeof Grpc, error: Partial<Grpc.ServiceError>): RpcError {
  const { code, details, metadata } = error
  if (code === undefined || details === undefined) {
    return new RpcError('INTERNAL', `${error.message}`, true)
  }
  const isUntouched = (metadata?.get(UNTOUCHED).length ?? 0) > 0
  const sent = !isUntouched && !details.startsWith('No connection established')
  return new RpcError(grpc.status[code], details, sent)
}

/** A connection to one agent, for methods of any service of ours. */
export interface RpcLink {
  /** Resolves once there is a connection; rejects with RpcError if there is none in time. */
  ready(timeoutMs: number): Promise<void>
  /** Rejects with RpcError; too late is DEADLINE_EXCEEDED. */
  call<Q extends object, A extends object>(
    method: UnaryMethod<Q, A>,
    request: Q,
    timeoutMs: number,
  ): Promise<A>
  /** Opens a stream that lasts until either side ends it. */
  open<Q extends object, A extends object>(
    method: StreamMethod<Q, A>,
    listener: RpcListener<A>,
  ): Promise<RpcStream<Q>>
  /** Calls under way go on. */
  close(): void
}

/** Opens a connection for methods of ours. Connects when it is first used. */
export async function openRpcLink(address: string, settings: ChannelSettings): Promise<RpcLink> {
  const grpc = await loadGrpc()
  const options = { ...optionsOf(settings), ...MESSAGE_BOUNDS }
  const client = new grpc.Client(address, credentialsOf(grpc, settings), options)
  const { READY } = grpc.connectivityState
  return {
    ready(timeoutMs) {
      if (client.getChannel().getConnectivityState(true) === READY) return Promise.resolve()
      return new Promise((resolve, reject) => {
        client.waitForReady(Date.now() + timeoutMs, error => {
          if (error === undefined) resolve()
          else reject(new RpcError('UNAVAILABLE', `no connection to ${address} in time`, false))
        })
      })
    },
    async call(method, request, timeoutMs) {
      const deadline = Date.now() + timeoutMs
      const { path, requestSerialize, responseDeserialize } = await definitionOf(method)
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest<object, object>(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          new grpc.Metadata(),
          { deadline },
          (error, answer) => (error ? reject(toRpcError(grpc, error)) : resolve(answer as never)),
        )
      })
    },
    async open(method, listener) {
      const { path, requestSerialize, responseDeserialize } = await definitionOf(method)
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
      return listen(grpc, stream, listener as RpcListener<object>)
    },
    close: () => client.close(),
  }
}

const MESSAGE_BOUNDS = {
  'grpc.max_receive_message_length': limits.rpcMessageSizeBytes,
  'grpc.max_send_message_length': limits.rpcMessageSizeBytes,
}

async function definitionOf({ protoFile, path }: RpcMethod) {
  const [service = '', name = ''] = path.split('/')
  const method = serviceOf(await loadDefinitions(protoFile), service)?.[name]
  assert(method !== undefined, `${path} stands in ${protoFile}`)
  return method
}

/** Where other agents are answered. */
export interface RpcServer {
  /** Port 0 binds a free one. */
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  /** Ends streams, lets calls that are under way finish for a bounded time, then cuts. */
  close(): Promise<void>
}

export interface RpcServerOptions extends RpcListenerOptions {
  readonly log: Log
}

/**
 * Makes a server of these services; it answers once it listens. Who is unknown is answered by a
 * part of its own, with closer bounds, so that strangers have nothing of what agents have.
 */
export function openRpcServer(
  services: readonly RpcService[],
  options: RpcServerOptions,
): RpcServer {
  const calls = new Calls()
  let parts: Promise<Parts> | undefined
  const listeners: RpcListeners = new RpcListeners(options, ({ socket, peer }) => {
    parts ??= openParts(services.flat(), { listeners, calls, log: options.log })
    parts.then(
      ({ known, unknown }) => (peer.kind === undefined ? unknown : known).take({ socket, peer }),
      error => {
        options.log.error('rpc: the services cannot be loaded', { error: messageOf(error) })
        socket.destroy()
      },
    )
  })
  return {
    listen: (host, port) => listeners.listen(host, port),
    async close() {
      listeners.stop()
      calls.endStreams()
      const drained = calls.settled().then(async () => {
        ;(await parts)?.shutDown()
        await listeners.emptied()
      })
      await Promise.race([drained, sleep(options.clock, limits.rpcStopMs)])
      listeners.cut()
    },
  }
}

interface Part {
  take(connection: RpcConnection): void
  /** Lets each connection close once what was written has gone out. */
  shutDown(): void
}

interface Parts {
  readonly known: Part
  readonly unknown: Part
  shutDown(): void
}

interface Surroundings {
  readonly listeners: RpcListeners
  readonly calls: Calls
  readonly log: Log
}

async function openParts(
  handlers: readonly RpcHandler[],
  surroundings: Surroundings,
): Promise<Parts> {
  const grpc = await loadGrpc()
  const definitions = await Promise.all(handlers.map(({ method }) => definitionOf(method)))
  const answering = new Answering(grpc, surroundings)
  const open = (options: Grpc.ServerOptions): Part => {
    const server = new grpc.Server({ ...SERVER_OPTIONS, ...options })
    handlers.forEach((handler, at) => {
      const service = { handle: definitions[at] } as unknown as Grpc.ServiceDefinition
      const handle = 'handle' in handler ? answering.unary(handler) : answering.stream(handler)
      server.addService(service, { handle } as Grpc.UntypedServiceImplementation)
    })
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
    return {
      take({ socket, peer }) {
        if (socket.destroyed) return
        answering.admit(socket, peer)
        injector.injectConnection(socket)
      },
      shutDown: () => server.tryShutdown(() => {}),
    }
  }
  const known = open({ ...MESSAGE_BOUNDS, 'grpc.max_concurrent_streams': limits.rpcCalls })
  const unknown = open({
    ...MESSAGE_BOUNDS,
    'grpc.max_receive_message_length': limits.rpcUnknownMessageSizeBytes,
    'grpc.max_concurrent_streams': limits.rpcUnknownCalls,
  })
  const shutDown = (): void => {
    known.shutDown()
    unknown.shutDown()
  }
  return { known, unknown, shutDown }
}

const SERVER_OPTIONS: Grpc.ServerOptions = {
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': limits.rpcKeepaliveMs,
  'grpc.keepalive_timeout_ms': limits.rpcKeepaliveTimeoutMs,
}

type UnaryHandler = Extract<RpcHandler, { handle: unknown }>
type StreamHandler = Extract<RpcHandler, { open: unknown }>
type Duplex = Grpc.ServerDuplexStream<object, object>

/** What grpc-js calls for every call: who it is, whether he may, and how it ends. */
class Answering {
  readonly #grpc: typeof Grpc
  readonly #surroundings: Surroundings
  /** By the object that stands for a connection's certificate. */
  readonly #peers = new WeakMap<object, RpcPeer>()

  constructor(grpc: typeof Grpc, surroundings: Surroundings) {
    this.#grpc = grpc
    this.#surroundings = surroundings
  }

  /**
   * grpc-js tells a handler of its connection only by what the socket says of its certificate. It
   * is made to say one object, by which we know the connection: nothing is decoded for each call.
   */
  admit(socket: RpcConnection['socket'], peer: RpcPeer): void {
    const standIn = { raw: Buffer.alloc(0) } as unknown as DetailedPeerCertificate
    this.#peers.set(standIn, peer)
    socket.authorized = true
    socket.getPeerCertificate = () => standIn
  }

  unary({ method, handle }: UnaryHandler): Grpc.handleUnaryCall<object, object> {
    return (call, answer) => {
      const gone = new AbortController()
      call.on('cancelled', () => gone.abort())
      const work = this.#surroundings.calls.isStopping
        ? stopping()
        : this.#admitted(method.callers, call, gone.signal)
      const settled =
        work instanceof RpcFailure ? Promise.reject(work) : invoke(() => handle(call.request, work))
      this.#surroundings.calls.add(settled)
      settled.then(
        value => answer(null, value),
        (error: unknown) => answer(this.#statusOf(method.path, error)),
      )
    }
  }

  stream({ method, open }: StreamHandler): Grpc.handleBidiStreamingCall<object, object> {
    return stream => {
      const gone = new AbortController()
      let listener: RpcIn<object> | undefined
      let isOver = false
      const end = (failure?: unknown): void => {
        if (isOver) return
        isOver = true
        if (failure === undefined) stream.end()
        else stream.emit('error', this.#statusOf(method.path, failure))
      }
      const send = (message: object): boolean => {
        if (isOver) return false
        if (stream.writableLength > limits.rpcStreamMessages) {
          end(new RpcFailure('RESOURCE_EXHAUSTED', 'too many messages wait for a slow reader'))
          return false
        }
        return stream.write(message)
      }
      try {
        const call = this.#admitted(method.callers, stream, gone.signal)
        if (call instanceof RpcFailure) throw call
        listener = open(call, { send, end })
      } catch (error) {
        stream.resume()
        end(error)
        return
      }
      this.#surroundings.calls.addStream(stream, end)
      pass(stream, listener, end)
      stream.once('close', () => {
        isOver = true
        gone.abort()
        listener.onEnd()
      })
    }
  }

  #admitted(
    callers: RpcHandler['method']['callers'],
    call: Grpc.ServerUnaryCall<object, object> | Duplex,
    signal: AbortSignal,
  ): RpcCall | RpcFailure {
    const peer = this.#peers.get(call.getAuthContext().sslPeerCertificate ?? call)
    if (peer === undefined) return new RpcFailure('UNAUTHENTICATED', 'the connection is gone', true)
    const problem = this.#surroundings.listeners.problemOf(peer)
    if (problem !== undefined) return new RpcFailure('UNAUTHENTICATED', problem, true)
    const refused = callerProblem(callers, peer)
    if (refused !== undefined) return refused
    const left = Number(call.getDeadline()) - Date.now()
    return { peer, signal, ...(Number.isFinite(left) ? { deadlineMs: Math.max(0, left) } : {}) }
  }

  #statusOf(method: string, error: unknown): Partial<Grpc.ServiceError> {
    const { status } = this.#grpc
    if (!(error instanceof RpcFailure)) {
      this.#surroundings.log.error('rpc: a call failed', { method, error: messageOf(error) })
      return { name: 'RpcFailure', code: status.INTERNAL, details: 'internal error' }
    }
    const metadata = new this.#grpc.Metadata()
    if (error.isUntouched) metadata.set(UNTOUCHED, '1')
    return { name: error.name, code: status[error.code], details: error.message, metadata }
  }
}

/** Hands over what comes, one message after the other where the listener takes its time. */
function pass(stream: Duplex, listener: RpcIn<object>, end: (failure?: unknown) => void): void {
  stream.on('data', (message: object) => {
    let taken: void | Promise<void>
    try {
      taken = listener.onMessage(message)
    } catch (error) {
      end(error)
      return
    }
    if (taken === undefined) return
    stream.pause()
    taken.then(() => stream.resume(), end)
  })
  stream.on('end', () => end())
  stream.on('drain', () => listener.onDrain?.())
}

async function invoke<T>(run: () => Promise<T>): Promise<T> {
  return run()
}

/** What is under way on a server. */
class Calls {
  readonly #open = new Set<Promise<unknown>>()
  readonly #streams = new Map<Duplex, (failure: RpcFailure) => void>()
  isStopping = false

  add(call: Promise<unknown>): void {
    const settled = call.catch(() => {}).finally(() => this.#open.delete(settled))
    this.#open.add(settled)
  }

  addStream(stream: Duplex, end: (failure: RpcFailure) => void): void {
    this.#streams.set(stream, end)
    stream.once('close', () => this.#streams.delete(stream))
    if (this.isStopping) end(stopping())
  }

  endStreams(): void {
    this.isStopping = true
    for (const end of [...this.#streams.values()]) end(stopping())
  }

  /** Resolves when every call was answered and every stream is closed. */
  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open)
    await new Promise<void>(resolve => {
      const look = (): void => {
        if (this.#streams.size === 0) resolve()
        else this.#streams.keys().next().value?.once('close', look)
      }
      look()
    })
  }
}

const stopping = (): RpcFailure => new RpcFailure('UNAVAILABLE', 'the server is stopping', true)
