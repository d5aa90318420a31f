/**
 * The target of a request, in the one form that every step after this one looks at.
 *
 * Owns making it that form, before anything is routed or authorised.
 */
import type { IncomingMessage } from 'node:http'

/**
 * The path of `GET http://host/path`, which servers must take (RFC 9112 §3.2.2), is cut out here,
 * as a router would do for itself alone. It would also pass over a fragment, which no target may
 * have: that is refused. False for it, and for what is no target.
 */
export function takeOriginForm(message: IncomingMessage): boolean {
  const { url = '' } = message
  if (url.includes('#')) return false
  if (url.startsWith('/') || url === '*') return true
  const path = /^https?:\/\/[^/?]*(.*)$/i.exec(url)?.[1]
  if (path === undefined) return false
  message.url = path.startsWith('/') ? path : `/${path}`
  return true
}
