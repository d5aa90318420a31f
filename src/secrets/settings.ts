/**
 * Settings that operators make by the API, for all servers: CORS, headers of the web interface,
 * headers that the audit shows.
 *
 * Owns their rows, in the root namespace. Pure.
 */
import { ROOT } from './namespace/namespace.ts'
import type { Draft, Storage } from './storage.ts'

export interface CorsRow {
  readonly origins: readonly string[]
  /** Headers beside those that clients of Vault send anyway. */
  readonly headers: readonly string[]
}

const rowsOf = (draft: Draft): Storage => draft.area(ROOT.id, 'settings')

const CORS = 'cors'

/** Which pages of other origins may ask; undefined for none. */
export const corsOf = (draft: Draft): CorsRow | undefined => rowsOf(draft).kept<CorsRow>(CORS)

export const putCors = (draft: Draft, row: CorsRow): void => rowsOf(draft).put(CORS, row)

export const dropCors = (draft: Draft): void => rowsOf(draft).delete(CORS)

/** Headers of requests that the audit shows, by lower-case name. */
export interface AuditedHeader {
  /** Whether only the hash of the value is shown. */
  readonly hmac: boolean
}

type AuditedHeaders = Readonly<Record<string, AuditedHeader>>

const AUDITED = 'audited-headers'

/** What the audit shows before anybody said anything, as in Vault. */
const INITIAL: AuditedHeaders = {
  'correlation-id': { hmac: false },
  'user-agent': { hmac: false },
  'x-correlation-id': { hmac: false },
}

/** The headers that the audit shows. The object must not be changed. */
export const auditedHeaders = (draft: Draft): AuditedHeaders =>
  rowsOf(draft).kept<AuditedHeaders>(AUDITED) ?? INITIAL

/** Shows one more header, or (undefined) one less. */
export function putAuditedHeader(
  draft: Draft,
  name: string,
  header: AuditedHeader | undefined,
): void {
  const known = new Map(Object.entries(auditedHeaders(draft)))
  if (header === undefined) known.delete(name.toLowerCase())
  else known.set(name.toLowerCase(), header)
  rowsOf(draft).put(AUDITED, Object.fromEntries(known))
}

/** Headers of the web interface, by lower-case name. */
export const uiHeaderRows = (draft: Draft): Storage => draft.area(ROOT.id, 'ui-headers')
