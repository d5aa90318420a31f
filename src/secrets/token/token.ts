/**
 * Tokens: the rows behind `X-Vault-Token`.
 *
 * Owns the row, how it is found by its secret, by its accessor and by its parent, and how secrets
 * of tokens look. The secret itself lies nowhere: a row is found by its keyed hash, and an accessor
 * is that hash in a disguise, so that it needs no row of its own. Pure.
 */
import { base62 } from '../../base/base62.ts'
import type { Random } from '../../base/clock.ts'
import type { Barrier } from '../barrier/keyring.ts'
import type { Draft, Storage } from '../storage.ts'
import { WRAPPING_POLICY } from './policies.ts'

/** Where a token's row lies. */
export interface TokenPlace {
  readonly namespaceId: string
  readonly hash: string
}

/** Whether a token takes its children along. */
export type EndOfToken = 'tree' | 'alone'

export interface TokenRow {
  readonly type: 'service' | 'batch'
  /** '' for a batch token. */
  readonly accessor: string
  /** The token that made it; undefined for an orphan. */
  readonly parent: TokenPlace | undefined
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
  /** How many tokens stand above it. */
  readonly depth: number
  /** Said once its end began: it is refused, and what hangs on it is being ended. */
  readonly ending?: EndOfToken
}

/** Tokens by the hash of their secret. */
export const tokenRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'tokens')

/** Children, by `<hash of the parent>/<hash of the child>`, where the parent's row lies. */
export const childRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'children')

/** What a child's row says. */
export interface ChildRow {
  readonly namespaceId: string
}

/** What is left of the uses of a token, by its hash; none is there before the first use. */
export const useRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'uses')

/** What leases there are, by their id; a token's has nothing in it but where the token lies. */
export const leaseRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'leases')

/** What the id of a token's lease begins its last part with. */
const TOKEN_LEASE = 'h'

/** The lease of a token, without what its namespace adds; undefined where it has none: batch
 * tokens, those without an end, and those of a wrapping. */
export const tokenLeaseOf = (
  { type, ttlMs, path, policies }: TokenRow,
  hash: string,
): string | undefined =>
  type === 'batch' || ttlMs === 0 || policies[0] === WRAPPING_POLICY
    ? undefined
    : `${path}/${TOKEN_LEASE}${hash}`

const TOKEN_LEASE_ID = /\/h([0-9a-f]{32})$/

/** The hash of the token whose lease an id is; undefined for what is no token's. */
export const tokenLeaseHash = (id: string): string | undefined => TOKEN_LEASE_ID.exec(id)?.[1]

export const SERVICE_PREFIX = 'hvs.'
export const BATCH_PREFIX = 'hvb.'
const SECRET_CHARS = 24

/** A new service token's secret. */
export const newSecret = (random: Random, namespaceId: string): string =>
  SERVICE_PREFIX + base62(random, SECRET_CHARS) + suffixOf(namespaceId)

/** What secrets, accessors and leases of a namespace end in. */
export const suffixOf = (namespaceId: string): string =>
  namespaceId === 'root' ? '' : `.${namespaceId}`

/** The id of the namespace that a token, an accessor or a lease says that it belongs to. */
export function namespaceIdIn(text: string): string {
  const body = /^hv[sb]\./.test(text) ? text.slice(SERVICE_PREFIX.length) : text
  const at = body.lastIndexOf('.')
  return at === -1 ? 'root' : body.slice(at + 1)
}

const HASH_HEX_CHARS = 32

/** The hash that a secret's row is found by. */
export const hashIn = (barrier: Barrier, secret: string): string =>
  barrier.hashOf(secret).slice(0, HASH_HEX_CHARS)

/** Where the row of a secret lies, whether there is one or not. */
export const placeOf = (barrier: Barrier, secret: string): TokenPlace => ({
  namespaceId: namespaceIdIn(secret),
  hash: hashIn(barrier, secret),
})

/** The row at a place, unless its end began. It must not be changed. */
export function tokenAt(draft: Draft, { namespaceId, hash }: TokenPlace): TokenRow | undefined {
  const row = tokenRows(draft, namespaceId).kept<TokenRow>(hash)
  return row?.ending !== undefined || isOver(row, draft.now) ? undefined : row
}

const isOver = (row: TokenRow | undefined, nowMs: number): boolean =>
  row !== undefined && row.expiresAtMs > 0 && row.expiresAtMs <= nowMs

/** The kind of deadline that ends tokens. */
export const TOKEN_KIND = 'token'

/** Writes the row of a token; the kind of its deadline is `token`. */
export function writeToken(draft: Draft, hash: string, row: TokenRow): void {
  const header = row.expiresAtMs > 0 ? { kind: TOKEN_KIND, dueMs: row.expiresAtMs } : {}
  tokenRows(draft, row.namespaceId).put(hash, row, header)
}
