/**
 * The HTTP server: fastify routes what is declared, the pipeline answers.
 *
 * Owns listening, bounds on sizes and times, and the answers for paths and methods that are not
 * declared. Must not know what any path means.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Refusal } from '../base/errors.ts'
import type { TakeForwarded } from '../base/forwarding.ts'
import { createHttpServer, type HttpRouter, type RawHandler } from '../base/io/fastify.ts'
import type { ListenerOptions, SocketFile } from '../base/io/http-listener.ts'
import type { Counter, Metrics, Sample } from '../base/metrics.ts'
import type { SecureOptions } from '../base/tls.ts'
import { type Admission, isExempt, type RequestRates } from './admission.ts'
import type { Acting, Method, Operation, PathDeclaration, Reading } from './declare.ts'
import { forwarded, forwarderOf } from './forwarded.ts'
import { cleanPath, isUnclean, pathIn, readOpenPart } from './path.ts'
import { type FixedParts, type HttpSettings, Pipeline, type PipelineOptions } from './pipeline.ts'
import type { readParameters } from './query.ts'

export interface HttpOptions extends PipelineOptions, ListenerOptions {
  readonly paths: readonly PathDeclaration[]
  readonly metrics: Metrics
  /** A body, where its operation says nothing else. */
  readonly bodySizeBytes: number
  readonly admission: Admission
  /** Hears that somebody asks for something, before anything is done for it. */
  readonly asked?: () => void
  /** Sees every request that was admitted, unread and unrouted; true when it sees to it. */
  readonly divert?: (
    message: IncomingMessage,
    response: ServerResponse,
    /** Answers it as anything is answered. */
    reply: PlainReply,
  ) => boolean
}

/** Answers a request by a text. */
export type PlainReply = (
  status: number,
  text: string,
  headers?: Readonly<Record<string, string>>,
) => void

export interface HttpFace {
  /** Listens, in clear unless TLS is given; gives what was bound. Throws the system's error. */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  /** Takes requests that clients sent to other agents. They are answered like any. */
  readonly takeForwarded: TakeForwarded
  /** Takes over settings that changed. */
  configure(settings: HttpSettings): void
  /** Listens on a socket in a file. Throws the system's error, or one that says what is there. */
  listenFile(file: SocketFile, secure?: SecureOptions): Promise<void>
  /** Takes over certificates, versions and who is asked for a certificate, for new connections. */
  secure(options: SecureOptions): void
  /** Changes how many requests are taken, and connections of one address, as at a reload. */
  setLimits(limits: { rates: RequestRates; connectionsPerClient: number }): void
  /** Ends idle connections and resolves when requests under way are answered. */
  close(): Promise<void>
  /** Cuts the connections that are still there. */
  cut(): void
}

const METHODS: readonly Method[] = ['GET', 'PUT', 'POST', 'DELETE']
const OTHER_METHODS = ['HEAD', 'PATCH'] as const

/** Makes the registry's HTTP face. */
export function createHttpFace(options: HttpOptions): HttpFace {
  const pipeline = new Pipeline(options)
  const { admission, divert, asked, ...listening } = options
  const router = createHttpServer({
    ...listening,
    nameRefused: pipeline.nameRefused,
    ...(divert === undefined
      ? {}
      : {
          divert: (message, response) =>
            divert(message, response, (status, text, headers) =>
              pipeline.plain(response, status, text, headers),
            ),
        }),
    admit(message, response) {
      asked?.()
      const refusal = admission.refuse(message)
      if (refusal === undefined) return true
      pipeline.turnAway(message, response, refusal)
      return false
    },
    notFound: ({ message, response }) => notFound(pipeline, options, message, response),
    tooLarge: ({ message, response, limitBytes }) =>
      pipeline.plain(response, 413, tooLargeText(message, limitBytes), { Connection: 'close' }),
    unreadable: ({ response }) =>
      pipeline.plain(response, 400, 'Bad Request', { Connection: 'close' }),
  })
  for (const declaration of options.paths) addPath(router, pipeline, declaration, options)
  return {
    listen: (host, port, secure) => router.listen(host, port, secure),
    listenFile: (file, secure) => router.listenFile(file, secure),
    secure: secure => router.secure(secure),
    takeForwarded: (head, sink, wanted) =>
      forwarded(head, sink, wanted, (message, response) => void router.take(message, response)),
    configure: settings => pipeline.configure(settings),
    setLimits({ rates, connectionsPerClient }) {
      admission.setRates(rates)
      router.limitClients(connectionsPerClient)
    },
    close: () => {
      pipeline.stopStreams()
      return router.close()
    },
    cut: () => router.cut(),
  }
}

function addPath(
  router: HttpRouter,
  pipeline: Pipeline,
  { path, where, operations, optionsBody = '' }: PathDeclaration,
  options: HttpOptions,
): void {
  const parts = { prefix: path.replace(/\{.*$/, ''), suffix: path.replace(/^.*\}|^[^{]*$/, '') }
  const pattern = path.replace(/\{\w+\}$/, '*').replaceAll(/\{(\w+)\}/g, ':$1')
  const allowed = METHODS.filter(method => operations[method] !== undefined)
  for (const method of allowed) {
    const operation = operations[method]!
    const given = 'bodySizeBytes' in operation ? operation.bodySizeBytes : undefined
    const isRenewal = 'isRenewal' in operation && operation.isRenewal === true
    const fixed = { ...parts, operation: `${method} ${path}`, isRenewal, where }
    const handled = handlerOf(pipeline, operation, fixed)
    const handle = where === 'agent' ? ofOneself(pipeline, handled) : handled
    const rated = isExempt(path) ? handle : ratedBy(options.admission, pipeline, handle)
    const { times, counters } = seriesOf(options.metrics, method, path, 'ask' in operation)
    const handler = pipeline.counted(rated, times, counters)
    if (takesStream(operation)) router.addStreaming(method, pattern, handler)
    else router.add(method, pattern, handler, given ?? options.bodySizeBytes)
  }
  const refuse: RawHandler = ({ message, response }) => {
    // Cleaned it may be another path, which takes the method.
    if (parts.prefix.endsWith('/') && isUnclean(pathOf(message))) {
      redirect(pipeline, message, response)
      return
    }
    pipeline.plain(response, 405, `method ${message.method} not allowed`, {
      Allow: ['OPTIONS', ...allowed].join(','),
    })
  }
  for (const method of [...METHODS, ...OTHER_METHODS]) {
    if (operations[method as Method] === undefined)
      router.add(method, pattern, refuse, options.bodySizeBytes)
  }
  router.add(
    'OPTIONS',
    pattern,
    ({ response }) =>
      pipeline.plain(response, 200, optionsBody, { Allow: ['OPTIONS', ...allowed].join(',') }),
    options.bodySizeBytes,
  )
}

const takesStream = (operation: Operation): boolean =>
  'run' in operation && operation.body !== undefined && 'stream' in operation.body

/** A handler that answers nobody who meant another agent: it was not asked of this one. */
function ofOneself(pipeline: Pipeline, handle: RawHandler): RawHandler {
  return incoming => {
    if (forwarderOf(incoming.message) === undefined) handle(incoming)
    else pipeline.plain(incoming.response, 404, 'this is for the agent that was asked to answer')
  }
}

/** A handler that takes no more requests than the configured rates: of whole ones, unparsed. */
function ratedBy(admission: Admission, pipeline: Pipeline, handle: RawHandler): RawHandler {
  return incoming => {
    const refusal = admission.refuseRate(incoming.message)
    if (refusal === undefined) handle(incoming)
    else pipeline.refuseEarly(incoming.message, incoming.response, refusal)
  }
}

/** What of a path's requests is counted. Names are Consul's; so are the labels: `v1.kv._`. */
function seriesOf(
  metrics: Metrics,
  method: Method,
  path: string,
  isRead: boolean,
): { readonly times: Sample; readonly counters: readonly Counter[] } {
  const place = path.slice(1).replaceAll('/', '.')
  const labels = { method, path: place.replaceAll(/\{\w+\}/g, '_') }
  const times = metrics.sample('api.http', 'Milliseconds that a request took.', labels)
  // What an agent answers of itself, it asks no server for.
  if (/^\/v1\/(agent|status)\//.test(path)) return { times, counters: [] }
  const calls = [
    metrics.counter('client.rpc', 'Requests that need a server.'),
    metrics.counter('rpc.request', 'Requests that this server took.'),
  ]
  const reads = metrics.counter('rpc.query', 'Reads among the requests that this server took.')
  return { times, counters: isRead ? [...calls, reads] : calls }
}

function handlerOf(pipeline: Pipeline, operation: Operation, fixed: FixedParts): RawHandler {
  const handle =
    'ask' in operation
      ? pipeline.reading(operation as Reading<typeof readParameters>, fixed)
      : pipeline.acting(operation as Acting<Record<string, never>, unknown>, fixed)
  if (!fixed.prefix.endsWith('/')) return handle
  // A literal '//' or '..' never reaches an open part: it is redirected away first.
  return incoming => {
    const { message, response } = incoming
    const path = pathOf(message)
    if (isUnclean(path)) redirect(pipeline, message, response)
    else handle(incoming)
  }
}

const pathOf = ({ url = '/' }: IncomingMessage): string => pathIn(url)

function redirect(
  pipeline: Pipeline,
  message: IncomingMessage,
  response: Parameters<Pipeline['plain']>[0],
): void {
  const path = pathOf(message)
  const query = (message.url ?? '').slice(path.length)
  // Browsers read a backslash as a slash: two of them at the beginning would name a host.
  const clean = cleanPath(path).replaceAll('\\', '%5C')
  pipeline.plain(response, 307, '', { Location: clean + query })
}

const UI_OFF = 'Consul UI is disabled. Set ui_config.enabled=true to enable it.\n'

function notFound(
  pipeline: Pipeline,
  { takesUnprintable }: HttpOptions,
  message: IncomingMessage,
  response: Parameters<Pipeline['plain']>[0],
): void {
  const path = pathOf(message)
  if (isUnclean(path)) redirect(pipeline, message, response)
  else if (readOpenPart(path, '/', takesUnprintable) instanceof Refusal)
    pipeline.plain(response, 400, '')
  else if (path === '/') pipeline.plain(response, 200, UI_OFF)
  else if (path.startsWith('/v1/')) {
    pipeline.plain(response, 404, 'Invalid URL path: not a recognized HTTP API endpoint\n')
  } else {
    const hint = "if attempting to use the HTTP API, ensure the path starts with '/v1/'"
    pipeline.plain(response, 404, `Invalid URL path: ${hint}\n`)
  }
}

/** Both phrases that clients look for are in it. */
function tooLargeText(message: IncomingMessage, limitBytes: number): string {
  const length = message.headers['content-length'] ?? `more than ${limitBytes}`
  return (
    `Request body(${length} bytes) too large, max size: ${limitBytes} bytes. ` +
    `Value exceeds ${limitBytes} byte limit. See docs/limits.md.`
  )
}
