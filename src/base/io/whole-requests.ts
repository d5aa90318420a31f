/**
 * A listener whose requests all go to one handler, each with its body as one buffer.
 *
 * Knows no route and no fastify: where one handler takes every path, a router costs half of what
 * Node itself does. Bodies are read by whole-body.ts, listening is http-listener.ts's work.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SecureOptions } from '../tls.ts'
import { HttpListeners, type ListenerOptions } from './http-listener.ts'
import { takeOriginForm } from './origin-form.ts'
import { type BodiesBound, BodyReader, type BodyTaker, type UnreadBody } from './whole-body.ts'

/** Why a request does not reach its handler: its target, its body, or what others sent already. */
export type Unread = 'unreadable' | UnreadBody

export interface WholeOptions extends ListenerOptions, BodyTaker, BodiesBound {
  /** Sees every request first, before its body is read; false when it has answered it. */
  readonly admit: (message: IncomingMessage, response: ServerResponse) => boolean
  /** Answers what is not handed on. The rest of the body may still come. */
  readonly refuse: (message: IncomingMessage, response: ServerResponse, why: Unread) => void
}

export interface WholeServer {
  /**
   * Listens on one more address, in clear unless TLS is given; port 0 binds a free one. Throws the
   * system's error, with its `code`.
   */
  listen(
    host: string,
    port: number,
    secure?: SecureOptions,
  ): Promise<{ host: string; port: number }>
  /** Takes a request that came on no listener of this server, as if it had come on one. */
  take(message: IncomingMessage, response: ServerResponse): void
  /** Has TLS listeners speak by these options from now on; connections that are there go on. */
  secure(options: SecureOptions): void
  /** Changes how many connections a client may have that come from now on. */
  limitClients(connections: number): void
  /** Stops listening, ends idle connections, and resolves when the last request was answered. */
  close(): Promise<void>
  /** Cuts the connections that are still there. */
  cut(): void
}

/** Creates a server that is not listening yet. */
export function createWholeServer(options: WholeOptions): WholeServer {
  const bodies = new BodyReader(options)
  const take = (message: IncomingMessage, response: ServerResponse): void => {
    if (!takeOriginForm(message)) options.refuse(message, response, 'unreadable')
    else if (options.admit(message, response)) bodies.read(options, message, response)
  }
  const listeners = new HttpListeners(options, take)
  return {
    take,
    listen: (host, port, secure) => listeners.listen(host, port, secure),
    secure: secure => listeners.secure(secure),
    limitClients(connections) {
      listeners.connectionsPerClient = connections
    },
    close: () => listeners.close(),
    cut: () => listeners.cut(),
  }
}
