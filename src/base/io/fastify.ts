/**
 * The only importer of fastify: routing.
 *
 * Owns fastify's options, all written out, and what of its findings is remembered (routes.ts), so
 * that a path which is asked for again goes to its handler straight. Handlers get Node's own
 * request and response with the body as one buffer, or unread where it may be long, whatever its
 * type is said to be; fastify's reply is not used, since answers are rendered already. Bodies are
 * read by whole-body.ts, listening is http-listener.ts's work.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { limits } from '../limits.ts'
import type { SecureOptions } from '../tls.ts'
import { HttpListeners, type ListenerOptions, type SocketFile } from './http-listener.ts'
import { takeOriginForm } from './origin-form.ts'
import { type Route, Routes } from './routes.ts'
import { BodyReader, type BodyTaker, NO_BODY, UNBOUNDED } from './whole-body.ts'

export interface RawRequest {
  readonly message: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
}

export type RawHandler = (request: RawRequest) => void

export interface HttpServerOptions extends ListenerOptions {
  /** Sees every request first, before its body is read; false when it has answered it. */
  readonly admit: (message: IncomingMessage, response: ServerResponse) => boolean
  /** Sees every request that was admitted, unread and unrouted; true when it sees to it. */
  readonly divert?: (message: IncomingMessage, response: ServerResponse) => boolean
  readonly notFound: RawHandler
  readonly tooLarge: (request: RawRequest & { readonly limitBytes: number }) => void
  readonly unreadable: RawHandler
}

export interface HttpRouter {
  /**
   * Adds a route; a pattern may end in '*', which takes the rest of the path. The method may be
   * one of the listener's custom verbs, whose bodies nobody reads.
   */
  add(method: string, pattern: string, handler: RawHandler, bodyLimitBytes: number): void
  /** Adds a route whose body nobody reads but the handler, from the message, as it comes. */
  addStreaming(method: string, pattern: string, handler: RawHandler): void
  /**
   * Listens on one more address, in clear unless TLS is given; port 0 binds a free one. Throws the
   * system's error, with its `code`.
   */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  /** Listens on a socket in a file. Throws the system's error, with its `code`. */
  listenFile(file: SocketFile, secure?: SecureOptions): Promise<void>
  /** Takes a request that came on no listener of this server, as if it had come on one. */
  take(message: IncomingMessage, response: ServerResponse): Promise<void>
  /** Has TLS listeners speak by these options from now on; connections that are there go on. */
  secure(options: SecureOptions): void
  /** Changes how many connections one address may have from now on. */
  limitClients(connectionsPerClient: number): void
  /** Stops listening, ends idle connections, and resolves when the last request was answered. */
  close(): Promise<void>
  /** Cuts the connections that are still there. */
  cut(): void
}

/** The longest open part that the router matches; the request line's bound is the real one. */
const MAX_PARAM_CHARS = 65_536

const NONE = (): never => {
  throw new Error('no route has a schema of fastify')
}

/** Creates a server that is not listening yet. */
export function createHttpServer(options: HttpServerOptions): HttpRouter {
  const app = createApp(options)
  app.removeAllContentTypeParsers()
  // Nobody reads a body but the route that was found, from the message.
  app.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null))
  app.setNotFoundHandler((request, reply) => options.notFound(take(request, reply)))
  app.setErrorHandler((_error, request, reply) => options.unreadable(take(request, reply)))
  const bodies = new BodyReader(UNBOUNDED)
  const routes = new Routes<Target>()
  const enter = (target: Target, message: IncomingMessage, response: ServerResponse): void => {
    if ('handle' in target) bodies.read(target, message, response)
    else target.stream({ message, response, body: NO_BODY })
  }
  const receive = (message: IncomingMessage, response: ServerResponse): void => {
    if (!takeOriginForm(message)) {
      options.unreadable({ message, response, body: NO_BODY })
      return
    }
    if (!options.admit(message, response)) return
    if (options.divert?.(message, response) === true) return
    const known = routes.known(message.method ?? '', message.url ?? '')
    if (known !== undefined) {
      enter(known, message, response)
      return
    }
    // Whatever the client says of its body, it is bytes; some say nonsense.
    if (message.method !== 'GET') message.headers['content-type'] = ANY_TYPE
    hideEscapes(message)
    app.routing(message, response)
  }
  const addRoute = (route: Route<Target>): void => {
    routes.declare(route)
    app.route({
      method: route.method,
      url: route.pattern,
      handler(request, reply) {
        const { message, response } = take(request, reply)
        routes.found(route, message.url ?? '')
        enter(route.target, message, response)
      },
    })
  }
  // Nobody reads what is empty.
  const listeners = new HttpListeners({ ...options, endsEmptyRequests: true }, receive)
  return {
    add(method, pattern, handler, bodySizeBytes) {
      const target: BodyTaker = {
        bodySizeBytes,
        handle: (message, response, body) => handler({ message, response, body }),
        refuse: (message, response) =>
          options.tooLarge({ message, response, body: NO_BODY, limitBytes: bodySizeBytes }),
      }
      addRoute({ method, pattern, target })
    },
    addStreaming: (method, pattern, stream) => addRoute({ method, pattern, target: { stream } }),
    async listen(host, port, secure) {
      await app.ready()
      return listeners.listen(host, port, secure)
    },
    async listenFile(file, secure) {
      await app.ready()
      await listeners.listenFile(file, secure)
    },
    async take(message, response) {
      await app.ready()
      receive(message, response)
    },
    secure: secure => listeners.secure(secure),
    limitClients(connectionsPerClient) {
      listeners.connectionsPerClient = connectionsPerClient
    },
    async close() {
      await listeners.close()
      await app.close()
    },
    cut: () => listeners.cut(),
  }
}

/** What answers at a route: with the body read, or as it comes. */
type Target = BodyTaker | { readonly stream: RawHandler }

const createApp = ({ idleTimeoutMs, requestTimeoutMs }: ListenerOptions): FastifyInstance =>
  Fastify({
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
    // Bodies are decoded by their declarations: without these fastify loads two compilers.
    schemaController: { compilersFactory: { buildValidator: NONE, buildSerializer: NONE } },
    trustProxy: false,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    keepAliveTimeout: idleTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionTimeout: 0,
  })

const ANY_TYPE = 'application/octet-stream'
const EMPTY_QUERY: Record<string, unknown> = Object.freeze({})

/** A message whose URL or verb the router must not see as it is. */
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
  return { message, response: reply.raw, body: NO_BODY }
}
