/**
 * The only importer of @grpc/grpc-js and @grpc/proto-loader: clients from our own proto files.
 *
 * Owns loading (both are large, so only when the first client is opened), the options of every
 * channel and the mapping of failures to RpcError. Never retries and never judges a failure: who
 * called knows what was sent. The proto files lie in `proto/`, beside src as beside dist.
 */
import { isIP } from 'node:net'
import path from 'node:path'
import { checkServerIdentity } from 'node:tls'
import type * as Grpc from '@grpc/grpc-js'
import type { PackageDefinition } from '@grpc/proto-loader'
import type { TlsPems } from '../tls.ts'

/** What a call ended with instead of an answer. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  /** gRPC's name of the status: UNAVAILABLE, NOT_FOUND, … */
  readonly code: string
  /** False when the request surely never left: there was no connection. */
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
  }
  /** False: its connections are its own, and gone once it is closed. */
  readonly isShared?: boolean
}

const PROTO_FOLDER = path.join(import.meta.dirname, '../../../proto')

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
): Promise<RpcClient<M>> {
  const [grpc, definitions] = await Promise.all([loadGrpc(), loadDefinitions(protoFile)])
  const client = new grpc.Client(address, credentialsOf(grpc, settings), optionsOf(settings))
  const describe = (method: string) => {
    const [service = '', name = ''] = method.split('/')
    const { path, requestSerialize, responseDeserialize } = serviceOf(definitions, service)[name]!
    return [path, requestSerialize, responseDeserialize] as const
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
        stream.cancel()
      }
    },
    close: () => client.close(),
  }
}

function headersOf(grpc: typeof Grpc, metadata: Metadata): Grpc.Metadata {
  const headers = new grpc.Metadata()
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value)
  return headers
}

function credentialsOf(grpc: typeof Grpc, { tls }: ChannelSettings): Grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure()
  const { ca = [], key = null, cert = null } = tls.pems ?? {}
  const roots = ca.length === 0 ? null : Buffer.concat(ca)
  return grpc.credentials.createSsl(roots, key, cert, {
    rejectUnauthorized: tls.rejectUnauthorized,
    checkServerIdentity: (_asked, certificate) => checkServerIdentity(tls.name, certificate),
  })
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

async function loadGrpc(): Promise<typeof Grpc> {
  // Read by the library when it loads: names are resolved outside of the disk's thread pool.
  process.env.GRPC_NODE_USE_ALTERNATIVE_RESOLVER ??= 'true'
  const grpc = await import('@grpc/grpc-js')
  grpc.setLogVerbosity(grpc.logVerbosity.NONE)
  return grpc
}

const loaded = new Map<string, Promise<PackageDefinition>>()

function loadDefinitions(protoFile: string): Promise<PackageDefinition> {
  let definitions = loaded.get(protoFile)
  if (definitions === undefined) {
    definitions = import('@grpc/proto-loader').then(({ load }) =>
      load(protoFile, {
        includeDirs: [PROTO_FOLDER],
        keepCase: false,
        enums: String,
        defaults: true,
        arrays: true,
        objects: false,
        oneofs: false,
      }),
    )
    loaded.set(protoFile, definitions)
  }
  return definitions
}

function serviceOf(definitions: PackageDefinition, service: string): Grpc.ServiceDefinition {
  return definitions[service] as Grpc.ServiceDefinition
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
  stream.on('error', (error: Grpc.ServiceError) => end(toRpcError(grpc, error)))
  stream.on('end', () => end(undefined))
  return {
    send(request) {
      if (!over) stream.write(request)
    },
    cancel() {
      over = true
      stream.cancel()
    },
  }
}

function toRpcError(grpc: typeof Grpc, { code, details }: Grpc.ServiceError): RpcError {
  const sent = !details.startsWith('No connection established')
  return new RpcError(grpc.status[code], details, sent)
}
