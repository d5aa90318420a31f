/**
 * The only importer of fastify: routing, body reading and connection bounds.
 *
 * Owns fastify's options, all written out. Handlers get Node's own request and response with the
 * body as one buffer; fastify's reply is not used, since answers are rendered already.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
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
  /** Port 0 binds a free one. Throws the system's error, with its `code`. */
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
    http: {
      maxHeaderSize: options.maxHeaderSizeBytes,
      headersTimeout: limits.httpHeaderReadTimeoutMs,
      requireHostHeader: false,
      noDelay: true,
    },
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
      await app.listen({ host, port, exclusive: true })
      const address = app.server.address()
      if (address === null || typeof address === 'string') return { host, port }
      return { host: address.address, port: address.port }
    },
    close: () => app.close(),
    cut: () => app.server.closeAllConnections(),
  }
}

const EMPTY_QUERY: Record<string, unknown> = Object.freeze({})

function take(request: FastifyRequest, reply: FastifyReply): RawRequest {
  reply.hijack()
  const body = Buffer.isBuffer(request.body) ? request.body : NO_BODY
  return { message: request.raw, response: reply.raw, body }
}
