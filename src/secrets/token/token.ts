/**
 * Tokens: the rows behind `X-Vault-Token`.
 *
 * Owns the row, how it is found by its secret, by its accessor and by its parent, and how secrets
 * of tokens look. The secret itself lies nowhere: a row is found by its keyed hash. Pure.
 */
import type { Random } from '../../base/clock.ts'
import type { Draft, Storage } from '../storage.ts'

export interface TokenRow {
  readonly accessor: string
  /** The hash of the token that made it; '' for an orphan. */
  readonly parent: string
  /** By name, in order, `default` among them unless it was left out. */
  readonly policies: readonly string[]
  /** Where it was made: `auth/token/create`, `auth/approle/login`. */
  readonly path: string
  readonly meta: Readonly<Record<string, string>> | null
  readonly displayName: string
  /** How often it may be used in all; 0 for no bound. What is left stands in a row of its own. */
  readonly numUses: number
  readonly createdAtMs: number
  /** How long it was to live when it was made; 0 for ever. */
  readonly ttlMs: number
  /** From then on it is refused; 0 for never. It is the row's `dueMs` too. */
  readonly expiresAtMs: number
  readonly explicitMaxTtlMs: number
  readonly periodMs: number
  readonly renewable: boolean
  /** The token role that it was made by; '' for none. */
  readonly role: string
  readonly boundCidrs: readonly string[]
  readonly entityId: string
  readonly lastRenewalMs: number
  readonly namespaceId: string
  /** The mount that gave it, by accessor: the login's, or that of tokens. */
  readonly mountAccessor: string
  /** What the login wants to know again when it is renewed. */
  readonly internal: Readonly<Record<string, string>>
}

/** Tokens by the hash of their secret. */
export const tokenRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'tokens')

/** Hashes of tokens by the hash of their accessor. */
export const accessorRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'accessors')

/** Children, by `<hash of the parent>/<hash of the child>`. */
export const childRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'children')

/** What is left of the uses of a token, by its hash. */
export const useRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'uses')

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** The largest multiple of 62 in a byte: what is above would favour some letters. */
const FAIR = 248

/** Letters and digits, each as likely as the other. */
export function base62(random: Random, chars: number): string {
  let text = ''
  while (text.length < chars) {
    for (const byte of random.bytes(2 * chars)) {
      if (byte < FAIR && text.length < chars) text += BASE62[byte % BASE62.length]
    }
  }
  return text
}

export const SERVICE_PREFIX = 'hvs.'
export const BATCH_PREFIX = 'hvb.'
const SECRET_CHARS = 24

/** A new service token's secret. */
export const newSecret = (random: Random, namespaceId: string): string =>
  SERVICE_PREFIX + base62(random, SECRET_CHARS) + suffixOf(namespaceId)

/** A new accessor. */
export const newAccessor = (random: Random, namespaceId: string): string =>
  base62(random, SECRET_CHARS) + suffixOf(namespaceId)

const suffixOf = (namespaceId: string): string => (namespaceId === 'root' ? '' : `.${namespaceId}`)

/** The id of the namespace that a token, an accessor or a lease says that it belongs to. */
export function namespaceIdIn(text: string): string {
  const body = text.startsWith(SERVICE_PREFIX) ? text.slice(SERVICE_PREFIX.length) : text
  const at = body.lastIndexOf('.')
  return at === -1 ? 'root' : body.slice(at + 1)
}

/** Puts a token with all that leads to it; the kind of its deadline is `token`. */
export function putToken(draft: Draft, hash: string, row: TokenRow): void {
  const { namespaceId, expiresAtMs, accessor, parent } = row
  const header = expiresAtMs > 0 ? { kind: TOKEN_KIND, dueMs: expiresAtMs } : {}
  tokenRows(draft, namespaceId).put(hash, row, header)
  accessorRows(draft, namespaceId).put(draft.barrier.hashOf(accessor), { hash })
  if (parent !== '') childRows(draft, namespaceId).put(`${parent}/${hash}`, {})
}

/** The kind of deadline that ends tokens. */
export const TOKEN_KIND = 'token'
