/**
 * Clients: programs that people log in to by way of this server.
 *
 * Owns their ids and secrets, how one shows that it is who it says, and where answers to it may be
 * sent. Pure. Follows RFC 6749, sections 2.3 and 3.1.2, and RFC 8252, section 7.3.
 */
import { timingSafeEqual } from 'node:crypto'
import { base62 } from '../../base/base62.ts'
import type { Random } from '../../base/clock.ts'
import type { Draft } from '../storage.ts'
import { type ClientRow, clientIdRows, clientRows, isName, setUser } from './rows.ts'

const ID_CHARS = 32
const SECRET_PREFIX = 'hvo_secret_'
const SECRET_CHARS = 64

/** The client of a name, which may be anything. The row must not be changed. */
export const clientAt = (draft: Draft, namespaceId: string, name: string): ClientRow | undefined =>
  isName(name) ? clientRows(draft, namespaceId).kept<ClientRow>(name) : undefined

/** The client of an id. */
export function clientById(draft: Draft, namespaceId: string, id: string): ClientRow | undefined {
  const row = clientIdRows(draft, namespaceId).kept<{ readonly name: string }>(id)
  return row && clientAt(draft, namespaceId, row.name)
}

/** What a new client shows itself with. A public one has no secret: it could not keep it. */
export const newCredentials = (
  random: Random,
  isPublic: boolean,
): Pick<ClientRow, 'clientId' | 'clientSecret'> => ({
  clientId: base62(random, ID_CHARS),
  clientSecret: isPublic ? '' : SECRET_PREFIX + base62(random, SECRET_CHARS),
})

/** Writes a client. */
export function putClient(draft: Draft, namespaceId: string, name: string, row: ClientRow): void {
  const before = clientAt(draft, namespaceId, name)
  clientRows(draft, namespaceId).put(name, row)
  clientIdRows(draft, namespaceId).put(row.clientId, { name })
  setUser(draft, namespaceId, { kind: 'client', name }, { before: before?.key, after: row.key })
}

/** Deletes a client; nothing happens where there is none. */
export function deleteClient(draft: Draft, namespaceId: string, name: string): void {
  const before = clientAt(draft, namespaceId, name)
  if (before === undefined) return
  clientRows(draft, namespaceId).delete(name)
  clientIdRows(draft, namespaceId).delete(before.clientId)
  setUser(draft, namespaceId, { kind: 'client', name }, { before: before.key, after: undefined })
}

/** What a client shows at the token endpoint. */
export interface Shown {
  readonly clientId: string
  readonly clientSecret: string
}

const BASIC = /^basic +([A-Za-z0-9+/]+=*)$/i

/**
 * What the header of a request shows; undefined where it is of another kind. Both parts are escaped
 * as forms are, by who follows the letter: nothing that we give needs that, so both are understood.
 */
export function shownIn(authorization: string): Shown | undefined {
  const [, encoded] = BASIC.exec(authorization) ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const at = text.indexOf(':')
  if (at === -1) return undefined
  return { clientId: unescaped(text.slice(0, at)), clientSecret: unescaped(text.slice(at + 1)) }
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

/** Whether somebody is the client: a public one needs to show nothing. */
export function isClient(draft: Draft, client: ClientRow, { clientSecret }: Shown): boolean {
  if (client.isPublic) return true
  const digest = (text: string): Buffer => Buffer.from(draft.barrier.hashOf(`compared\0${text}`))
  return timingSafeEqual(digest(client.clientSecret), digest(clientSecret))
}

const LOOPBACK =
  /^([A-Za-z][A-Za-z0-9+.-]*:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d*)?(?=[/?#]|$)/

/** Without its port, where it is one of the client's own machine: programs take any free one. */
const withoutPort = (uri: string): string => uri.replace(LOOPBACK, '$1')

/** Whether answers may be sent there: as it was registered, to the letter. */
export const isRedirect = (uri: string, { redirectUris }: ClientRow): boolean =>
  redirectUris.includes(uri) ||
  (LOOPBACK.test(uri) && redirectUris.some(one => withoutPort(one) === withoutPort(uri)))
