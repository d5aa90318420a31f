/**
 * Tokens: the rows behind `X-Vault-Token`.
 *
 * Owns the row, how it is found by its secret, by its accessor and by its parent, and how secrets
 * of tokens look. The secret itself lies nowhere: a row is found by its keyed hash, and an accessor
 * is that hash in a disguise, so that it needs no row of its own. Pure.
 */
import { base62 } from '../../base/base62.ts'
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import type { Random } from '../../base/clock.ts'
import { limits } from '../../base/limits.ts'
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
  /** Whether it is found by its role and its entity too: quotas count by those. */
  readonly isCounted?: true
  /** How many tokens stand above it. */
  readonly depth: number
  /** Said once its end began: it is refused, and what hangs on it is being ended. */
  readonly ending?: EndOfToken
}

/** Tokens by the hash of their secret. */
export const tokenRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'tokens')

/** What is left of the uses of a token, by its hash; none is there before the first use. */
export const useRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'uses')

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
  // Of one whose end began the timekeeper goes on where nobody else does.
  const dueMs = row.ending === undefined ? row.expiresAtMs : draft.now + limits.endingTakeoverMs
  const due = dueMs > 0 ? { kind: TOKEN_KIND, dueMs } : {}
  tokenRows(draft, row.namespaceId).put(hash, row, { ...due, folders: foldersOf(row) })
}

/** Whether a token has a lease: not a batch token, one without an end, or that of a wrapping. */
const isLeased = ({ type, ttlMs, policies }: TokenRow): boolean =>
  type === 'service' && ttlMs > 0 && policies[0] !== WRAPPING_POLICY

/** What a token is found by beside its hash: the path that gave it, and its parent. */
function foldersOf(row: TokenRow): readonly Bytes[] {
  const folders: Bytes[] = []
  if (isLeased(row)) folders.push(fromText(`${row.namespaceId}/given/${row.path}/`))
  if (row.parent !== undefined) folders.push(childrenFolder(row.parent))
  if (row.isCounted && isLeased(row)) {
    const { namespaceId, mountAccessor, entityId, internal } = row
    const { role_name: role = '' } = internal
    if (role !== '') folders.push(roleFolder(namespaceId, mountAccessor, role))
    if (entityId !== '') folders.push(entityFolder(namespaceId, entityId))
  }
  return folders
}

/** What tokens that a role of a login gave are found by, where they are counted. */
export const roleFolder = (namespaceId: string, mountAccessor: string, role: string): Bytes =>
  fromText(`${namespaceId}/of-role/${mountAccessor}/${role}/`)

/** What leases that an entity has are found by, where they are counted. */
export const entityFolder = (namespaceId: string, entityId: string): Bytes =>
  fromText(`${namespaceId}/of-entity/${entityId}/`)

const childrenFolder = ({ namespaceId, hash }: TokenPlace): Bytes =>
  fromText(`${namespaceId}/children/${hash}/`)

/** The tokens that a token made, at most so many. */
export const childrenOf = (draft: Draft, parent: TokenPlace, limit: number): TokenPlace[] =>
  draft.inFolder(childrenFolder(parent), limit).map(placeOfKey)

const KEY = /^(.*)\/tokens\/([0-9a-f]+)$/

/** Where the row with a key lies. */
function placeOfKey(key: Bytes): TokenPlace {
  const [, namespaceId = '', hash = ''] = KEY.exec(toText(key)) ?? []
  return { namespaceId, hash }
}

// --- leases of tokens

/** What the id of a token's lease begins its last part with. */
const TOKEN_LEASE = 'h'
const TOKEN_LEASE_ID = /^(.*)\/h([0-9a-f]{32})$/

/** The token whose lease an id is, without what its namespace adds; undefined for none. */
export function tokenOfLease(
  draft: Draft,
  namespaceId: string,
  id: string,
): { readonly place: TokenPlace; readonly token: TokenRow } | undefined {
  const [, path, hash = ''] = TOKEN_LEASE_ID.exec(id) ?? []
  if (path === undefined) return undefined
  const place = { namespaceId, hash }
  const token = tokenAt(draft, place)
  return token !== undefined && token.path === path && isLeased(token)
    ? { place, token }
    : undefined
}

/**
 * The folders of leases of tokens that begin with a text, without what stands before the ids of all
 * leases.
 */
export function tokenLeaseFolders(draft: Draft, namespaceId: string, prefix: string): string[] {
  const before = `${namespaceId}/given/`
  const folders = draft.foldersUnder(fromText(before + prefix))
  return folders.map(folder => toText(folder).slice(before.length))
}

/** The folders of leases of tokens right under one ('' or ending in '/'), with their slash. */
export function tokenLeaseFoldersIn(draft: Draft, namespaceId: string, folder: string): string[] {
  const names = draft.foldersIn(fromText(`${namespaceId}/given/${folder}`))
  return names.filter(name => name !== '').map(toText)
}

/** The leases of tokens in a folder, at most so many: the last part of each id, with its token. */
export const tokenLeasesIn = (
  draft: Draft,
  namespaceId: string,
  folder: string,
  limit?: number,
): { readonly name: string; readonly place: TokenPlace }[] =>
  draft.inFolder(fromText(`${namespaceId}/given/${folder}`), limit).map(key => {
    const place = placeOfKey(key)
    return { name: TOKEN_LEASE + place.hash, place }
  })
