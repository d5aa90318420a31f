/**
 * The only importer of fastify: routing, body reading and connection bounds.
 *
 * Owns fastify's options, all written out, and the listening servers. Handlers get Node's own
 * request and response with the body as one buffer, whatever its type is said to be; fastify's
 * reply is not used, since answers are rendered already.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { limits } from '../limits.ts'

export interface RawRequest {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
}

export type RawHandler = (request: RawRequest) => void

export interface HttpServerOptions {
  readonly maxHeaderSizeBytes: number
  readonly notFound: RawHandler
  readonly tooLarge: (request: RawRequest & { readonly limitBytes: number }) => void
  readonly unreadable: RawHandler
}

export interface HttpRouter {
  /** Adds a route; a pattern may end in '*', which takes the rest of the path. */
  add(method: string, pattern: string, handler: RawHandler, bodyLimitBytes: number): void
  /**
   * Listens on one more address; port 0 binds a free one. Throws the system's error, with its
   * `code`.
   */
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  /** Stops listening, ends idle connections, and resolves when the last request was answered. */
  close(): Promise<void>
  /** Cuts the connections that are still there. */
  cut(): void
}

const NO_BODY = Buffer.alloc(0)
/** The longest open part that the router matches; the request line's bound is the real one. */
const MAX_PARAM_CHARS = 65_536

/** Creates a server that is not listening yet. */
export function createHttpServer(options: HttpServerOptions): HttpRouter {
  const app = Fastify({
    logger: false,
    bodyLimit: limits.httpBodySizeBytes,
    exposeHeadRoutes: false,
    routerOptions: {
      caseSensitive: true,
      ignoreDuplicateSlashes: false,
      ignoreTrailingSlash: false,
      maxParamLength: MAX_PARAM_CHARS,
      // Nobody reads the parsed query string: paths parse their own, by their declarations.
      querystringParser: () => EMPTY_QUERY,
    },
    trustProxy: false,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    keepAliveTimeout: limits.httpIdleTimeoutMs,
    requestTimeout: limits.httpRequestTimeoutMs,
    connectionTimeout: 0,
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.setNotFoundHandler((request, reply) => options.notFound(take(request, reply)))
  app.setErrorHandler((error: { code?: string }, request, reply) => {
    const raw = take(request, reply)
    const { bodyLimit: limitBytes } = request.routeOptions
    if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
      options.tooLarge({ ...raw, limitBytes: limitBytes ?? 0 })
    else options.unreadable(raw)
  })
  const handle = (message: IncomingMessage, response: ServerResponse): void => {
    // Whatever the client says of its body, it is bytes; some say nonsense.
    if (message.method !== 'GET') message.headers['content-type'] = ANY_TYPE
    hideEscapes(message)
    app.routing(message, response)
  }
  const servers: Server[] = []
  return {
    add(method, pattern, handler, bodyLimitBytes) {
      app.route({
        method,
        url: pattern,
        bodyLimit: bodyLimitBytes,
        handler: (request, reply) => handler(take(request, reply)),
      })
    },
    async listen(host, port) {
      await app.ready()
      const server = newServer(options.maxHeaderSizeBytes, handle)
      server.listen({ host, port, exclusive: true })
      await once(server, 'listening')
      servers.push(server)
      const address = server.address()
      if (address === null || typeof address === 'string') return { host, port }
      return { host: address.address, port: address.port }
    },
    async close() {
      await Promise.all(servers.map(closeServer))
      await app.close()
    },
    cut() {
      for (const server of servers) server.closeAllConnections()
    },
  }
}

const ANY_TYPE = 'application/octet-stream'

function newServer(
  maxHeaderSize: number,
  handle: (message: IncomingMessage, response: ServerResponse) => void,
): Server {
  const server = createServer(
    {
      maxHeaderSize,
      headersTimeout: limits.httpHeaderReadTimeoutMs,
      requestTimeout: limits.httpRequestTimeoutMs,
      keepAliveTimeout: limits.httpIdleTimeoutMs,
      requireHostHeader: false,
      noDelay: true,
    },
    handle,
  )
  // Silent sockets wait for their answer; nothing but the bounds above ends them.
  server.timeout = 0
  return server
}

function closeServer(server: Server): Promise<void> {
  // Who is answered from now on does not stay; idle connections end at once.
  server.keepAliveTimeout = 1
  return new Promise(resolve => {
    server.close(() => resolve())
  })
}

const EMPTY_QUERY: Record<string, unknown> = Object.freeze({})

/** A message whose URL the router must not see as it is. */
interface Disguised extends IncomingMessage {
  originalUrl?: string
}

/** The router would decode escapes and refuse those that are not UTF-8; paths decode their own. */
function hideEscapes(message: Disguised): void {
  const { url } = message
  if (url === undefined || !url.includes('%')) return
  message.originalUrl = url
  message.url = url.replaceAll('%', '~')
}

function take(request: FastifyRequest, reply: FastifyReply): RawRequest {
  reply.hijack()
  const message: Disguised = request.raw
  if (message.originalUrl !== undefined) message.url = message.originalUrl
  const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY
  return { message, response: reply.raw, body }
}
