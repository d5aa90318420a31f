/**
 * Connections of this client: those of base/io/grpc-link.ts.
 *
 * Owns that what they fail with is a GatehouseError.
 */
import { type ApiLink, type LinkFailure, openApiLink } from '../base/io/grpc-link.ts'
import { type ErrorCode, GatehouseError } from './errors.ts'
import type { Dial, Link } from './link.ts'

/** How the servers are spoken to over TLS; all of it PEM. */
export interface ClientTls {
  /** Who may sign for the servers; the system's authorities unless given. */
  readonly ca?: string
  /** What this client shows, and its key. */
  readonly cert?: string
  readonly key?: string
  /** The name that the servers' certificates are for; the one each is reached by unless given. */
  readonly serverName?: string
}

/** Opens connections in clear, or over TLS. */
export function dialOver(tls: boolean | ClientTls): Dial {
  const settings = tls === true ? {} : tls === false ? undefined : tls
  return async address => linkOf(await openApiLink(address, settings))
}

function linkOf(api: ApiLink): Link {
  return {
    ready: timeoutMs => api.ready(timeoutMs).catch(refuse),
    call: (method, request, call) =>
      api.call(method, request, call).catch(refuse) as Promise<never>,
    async listen(method, request, metadata, listener) {
      return api.listen(method, request, metadata, {
        onMessage: message => listener.onMessage(message as never),
        onEnd: failure => listener.onEnd(failure === undefined ? undefined : errorOf(failure)),
      })
    },
    close: () => api.close(),
  }
}

function refuse(failure: LinkFailure): never {
  throw errorOf(failure)
}

const errorOf = ({ code, message, ...facts }: LinkFailure): GatehouseError =>
  new GatehouseError(code as ErrorCode, message, facts)
