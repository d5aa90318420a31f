/**
 * One connection of the client package to one server, over gRPC.
 *
 * Owns how a call of a public method is made, and what its failure says: code, text, the request's
 * id, how long to wait, whether it may have been carried out. Never retries. Must load on Node 20
 * as well, as the package's users may have it.
 */
import { isIP } from 'node:net'
import { checkServerIdentity } from 'node:tls'
import { limits } from '../limits.ts'
import { cancelSoon, type Grpc, loadGrpc } from './grpc-js.ts'
import { codecOf, loadDefinitions, type MessageCodec, serviceOf } from './proto.ts'

/** How a server is spoken to over TLS. */
export interface LinkTls {
  /** Who may sign for the server, as PEM; the system's authorities unless given. */
  readonly ca?: string
  /** What we show, as PEM. */
  readonly cert?: string
  readonly key?: string
  /** What the server's certificate is for; the name or address it is reached by unless given. */
  readonly serverName?: string
}

/** Names and texts that travel with a call. */
export type LinkMetadata = Readonly<Record<string, string>>

/** What a call ended with instead of an answer. */
export interface LinkFailure {
  /** gRPC's name of the status. */
  readonly code: string
  readonly message: string
  /** False when it surely was not carried out. */
  readonly mayHaveHappened: boolean
  readonly requestId: string
  /** The server's word for why, in upper case; empty where it gave none. */
  readonly reason: string
  readonly retryAfterMs?: number
}

/** Which method, of which contract. */
export interface LinkMethod {
  /** Below `proto/`. */
  readonly protoFile: string
  readonly path: string
}

export interface LinkCallOptions {
  readonly timeoutMs: number
  readonly metadata: LinkMetadata
  readonly signal: AbortSignal
}

export interface LinkStreamListener {
  onMessage(message: object): void
  /** Comes once, last, and not at all after `cancel`. */
  onEnd(failure: LinkFailure | undefined): void
}

/** A connection. What it rejects with is a LinkFailure. */
export interface ApiLink {
  ready(timeoutMs: number): Promise<void>
  call(method: LinkMethod, request: object, options: LinkCallOptions): Promise<object>
  listen(
    method: LinkMethod,
    request: object,
    metadata: LinkMetadata,
    listener: LinkStreamListener,
  ): Promise<{ cancel(): void }>
  close(): void
}

const OPTIONS: Grpc.ClientOptions = {
  'grpc.max_receive_message_length': limits.clientMessageSizeBytes,
  'grpc.max_send_message_length': limits.clientMessageSizeBytes,
  // A connection that went silent under a call is noticed within these.
  'grpc.keepalive_time_ms': limits.clientPingMs,
  'grpc.keepalive_timeout_ms': limits.clientPingTimeoutMs,
  'grpc.keepalive_permit_without_calls': 0,
  'grpc.initial_reconnect_backoff_ms': limits.clientRetryMs,
  'grpc.min_reconnect_backoff_ms': limits.clientRetryMs,
  'grpc.max_reconnect_backoff_ms': limits.clientRetryMaxMs,
  // Which server is asked, and how often, is decided above.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  'grpc.use_local_subchannel_pool': 1,
}

/** Opens a connection to `host:port`, in clear unless `tls` is given. Connects when first used. */
export async function openApiLink(address: string, tls: LinkTls | undefined): Promise<ApiLink> {
  const [grpc, details] = await Promise.all([loadGrpc(), Details.load()])
  const client = new grpc.Client(address, ...wayTo(grpc, address, tls))
  const failed = (error: Partial<Grpc.ServiceError>, id: string): LinkFailure =>
    failureOf(error, `${grpc.status[error.code ?? grpc.status.INTERNAL]}`, id, details)
  const { READY } = grpc.connectivityState
  return {
    ready(timeoutMs) {
      if (client.getChannel().getConnectivityState(true) === READY) return Promise.resolve()
      return new Promise((resolve, reject) => {
        client.waitForReady(Date.now() + timeoutMs, error => {
          if (error === undefined) resolve()
          else reject(unreached(address))
        })
      })
    },
    async call(method, request, { timeoutMs, metadata, signal }) {
      const { path, requestSerialize, responseDeserialize } = await definitionOf(method)
      const headers = headersOf(grpc, metadata)
      return new Promise((resolve, reject) => {
        let id = ''
        const under = client.makeUnaryRequest<object, object>(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          headers,
          { deadline: Date.now() + timeoutMs },
          (error, answer) => {
            signal.removeEventListener('abort', cancel)
            if (error) reject(failed(error, id))
            else resolve(answer as object)
          },
        )
        const cancel = (): void => cancelSoon(under)
        under.on('metadata', received => {
          id = idOf(received)
        })
        if (signal.aborted) cancel()
        else signal.addEventListener('abort', cancel, { once: true })
      })
    },
    async listen(method, request, metadata, listener) {
      const { path, requestSerialize, responseDeserialize } = await definitionOf(method)
      const headers = headersOf(grpc, metadata)
      const stream = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        headers,
      )
      return passing(stream, listener, failed)
    },
    close: () => client.close(),
  }
}

function passing(
  stream: Grpc.ClientReadableStream<object>,
  listener: LinkStreamListener,
  failed: (error: Partial<Grpc.ServiceError>, id: string) => LinkFailure,
): { cancel(): void } {
  let isOver = false
  let id = ''
  const end = (failure: LinkFailure | undefined): void => {
    if (isOver) return
    isOver = true
    listener.onEnd(failure)
  }
  stream.on('metadata', received => {
    id = idOf(received)
  })
  stream.on('data', (message: object) => {
    if (!isOver) listener.onMessage(message)
  })
  // The library may push what came after the end into its own stream, which fails then.
  stream.on('error', error => {
    if (!isOver) end(failed(error as Partial<Grpc.ServiceError>, id))
  })
  stream.on('end', () => end(undefined))
  return {
    cancel() {
      isOver = true
      cancelSoon(stream)
    },
  }
}

function wayTo(
  grpc: typeof Grpc,
  address: string,
  tls: LinkTls | undefined,
): [Grpc.ChannelCredentials, Grpc.ClientOptions] {
  if (tls === undefined) return [grpc.credentials.createInsecure(), OPTIONS]
  const name = tls.serverName ?? hostOf(address)
  const bytes = (pem: string | undefined): Buffer | null =>
    pem === undefined ? null : Buffer.from(pem)
  const credentials = grpc.credentials.createSsl(bytes(tls.ca), bytes(tls.key), bytes(tls.cert), {
    rejectUnauthorized: true,
    checkServerIdentity: (_asked, certificate) => checkServerIdentity(name, certificate),
  })
  // An address cannot be asked for by name.
  const asked = isIP(name) === 0 ? name : 'localhost'
  return [credentials, { ...OPTIONS, 'grpc.ssl_target_name_override': asked }]
}

const hostOf = (address: string): string => address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')

function headersOf(grpc: typeof Grpc, metadata: LinkMetadata): Grpc.Metadata {
  const headers = new grpc.Metadata()
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value)
  return headers
}

async function definitionOf({ protoFile, path }: LinkMethod) {
  const [service = '', name = ''] = path.split('/')
  const found = serviceOf(await loadDefinitions(protoFile), service)?.[name]
  if (found === undefined) throw new Error(`${protoFile} does not define ${path}`)
  return found
}

const idOf = (metadata: Grpc.Metadata | undefined): string =>
  `${metadata?.get('x-request-id')[0] ?? ''}`

const unreached = (address: string): LinkFailure => ({
  code: 'UNAVAILABLE',
  message: `no connection to ${address}`,
  mayHaveHappened: false,
  requestId: '',
  reason: '',
})

/** After these nobody knows whether the request was carried out, unless a server said so. */
const UNCLEAR = new Set(['CANCELLED', 'DEADLINE_EXCEEDED', 'INTERNAL', 'UNAVAILABLE', 'UNKNOWN'])

/** What the library says where nothing was sent. */
const UNSENT = /^No connection established|^Waiting for LB pick/

function failureOf(
  { details: text = '', metadata }: Partial<Grpc.ServiceError>,
  code: string,
  id: string,
  details: Details,
): LinkFailure {
  const told = details.of(metadata?.get('grpc-status-details-bin')[0])
  // A server that says why it refused has done nothing, but for faults of its own.
  const isRefusal = told.reason !== '' && code !== 'INTERNAL'
  return {
    code,
    message: text,
    mayHaveHappened: UNCLEAR.has(code) && !UNSENT.test(text) && !isRefusal,
    requestId: told.requestId || idOf(metadata) || id,
    reason: told.reason,
    ...(told.retryAfterMs === undefined ? {} : { retryAfterMs: told.retryAfterMs }),
  }
}

interface Told {
  readonly reason: string
  readonly requestId: string
  readonly retryAfterMs: number | undefined
}

const NOTHING_TOLD: Told = { reason: '', requestId: '', retryAfterMs: undefined }

interface StatusMessage {
  readonly details: readonly { readonly type_url: string; readonly value: Buffer }[]
}

/** Reads what goes with a failed call: google.rpc.Status. */
class Details {
  readonly #status: MessageCodec
  readonly #parts: ReadonlyMap<string, MessageCodec>

  private constructor(status: MessageCodec, parts: ReadonlyMap<string, MessageCodec>) {
    this.#status = status
    this.#parts = parts
  }

  static async load(): Promise<Details> {
    const types = ['ErrorInfo', 'RequestInfo', 'RetryInfo'].map(name => `google.rpc.${name}`)
    const file = 'google/rpc/error_details.proto'
    const [status, ...parts] = await Promise.all([
      codecOf('google/rpc/status.proto', 'google.rpc.Status'),
      ...types.map(type => codecOf(file, type)),
    ])
    return new Details(status, new Map(types.map((type, at) => [type, parts[at]!])))
  }

  of(bytes: unknown): Told {
    if (!Buffer.isBuffer(bytes)) return NOTHING_TOLD
    try {
      const { details } = this.#status.decode(bytes) as StatusMessage
      return Object.assign({ ...NOTHING_TOLD }, ...details.map(part => this.#part(part)))
    } catch {
      // What nobody can read tells nothing.
      return NOTHING_TOLD
    }
  }

  #part({ type_url, value }: StatusMessage['details'][number]): Partial<Told> {
    const part = this.#parts.get(type_url.slice(type_url.lastIndexOf('/') + 1))?.decode(value) as
      | { reason?: string; requestId?: string; retryDelay?: { seconds: number; nanos: number } }
      | undefined
    if (part?.reason !== undefined) return { reason: part.reason }
    if (part?.requestId !== undefined) return { requestId: part.requestId }
    const { seconds = 0, nanos = 0 } = part?.retryDelay ?? {}
    return part?.retryDelay ? { retryAfterMs: seconds * 1_000 + nanos / 1e6 } : {}
  }
}
