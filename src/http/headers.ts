/**
 * What request headers say: the token, and what is refused because of them.
 *
 * Owns the order in which a token is looked for. Must never log or quote a token.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Refusal } from '../base/errors.ts'

/**
 * The token of a request, '' for none: the query's `token`, then X-Consul-Token, then a bearer
 * token, then X-Vault-Token, the secrets' name of the same header. `rawQuery` is the part of the
 * URL behind '?'.
 */
export function tokenOf(headers: IncomingHttpHeaders, rawQuery: string): string {
  const fromQuery = rawQuery.includes('token=')
    ? new URLSearchParams(rawQuery).get('token')
    : undefined
  if (fromQuery) return fromQuery
  const header = headers['x-consul-token']
  if (typeof header === 'string' && header !== '') return header
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const other = headers['x-vault-token']
  return typeof other === 'string' ? other : ''
}

/** The address of the client: what the first proxy saw, else the other end of the connection. */
export function sourceIpOf({ headers, socket }: IncomingMessage): string {
  const forwarded = headers['x-forwarded-for']
  const given = Array.isArray(forwarded) ? forwarded[0] : forwarded
  const address = given?.split(',', 1)[0]?.trim() || (socket.remoteAddress ?? '')
  // An IPv4 client of a socket for both families.
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}

/** Headers of the enterprise edition: 'default' is the same as none, the rest is refused. */
export function refuseHeaders(headers: IncomingHttpHeaders): Refusal | undefined {
  return (
    refuseForeign('X-Consul-Namespace', headers['x-consul-namespace'], 'Namespaces') ??
    refuseForeign('X-Consul-Partition', headers['x-consul-partition'], 'Partitions')
  )
}

function refuseForeign(
  name: string,
  value: string | string[] | undefined,
  what: string,
): Refusal | undefined {
  if (value === undefined || value === '' || value === 'default') return undefined
  return new Refusal(400, `Invalid header: "${name}" - ${what} are a Consul Enterprise feature`)
}

/** Reads take Cache-Control; what it asks for is always so here, but its form is checked. */
export function refuseCacheControl(headers: IncomingHttpHeaders): Refusal | undefined {
  const given = headers['cache-control']
  if (given === undefined) return undefined
  const isBad = given.split(',').some(part => {
    const [name, value = ''] = part.trim().toLowerCase().split('=')
    return (name === 'max-age' || name === 'stale-if-error') && !/^\d+$/.test(value)
  })
  return isBad ? new Refusal(400, 'Invalid Cache-Control header.') : undefined
}

/** Whether the client asked for gzip. */
export function acceptsGzip(headers: IncomingHttpHeaders): boolean {
  const accepted = headers['accept-encoding']
  if (accepted === undefined || !accepted.includes('gzip')) return false
  return accepted.split(',').some(part => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/.test(part))
}
