/**
 * The rows of ACME: accounts, orders, authorizations, keys of external accounts, and the queue of
 * challenges that are looked at.
 *
 * Owns their keys and forms, and what follows from them: the status of an order is never kept
 * where its authorizations tell it. Pure.
 */
import type { MountRow } from '../../../mount/mount.ts'
import type { Draft, Storage } from '../../../storage.ts'
import type { Jwk } from './jws.ts'
import { ACME_KIND } from './nonce.ts'

export interface AccountRow {
  readonly id: string
  /** The directory that it was made in. */
  readonly directory: string
  readonly jwk: Jwk
  readonly status: 'valid' | 'deactivated' | 'revoked'
  readonly contacts: readonly string[]
  readonly hasAgreed: boolean
  readonly createdMs: number
  /** When the account was last used for an order. */
  readonly usedMs: number
  /** The external account's binding, as it was sent. */
  readonly binding: { readonly id: string; readonly sent: unknown } | undefined
  /** When it was deactivated or revoked. */
  readonly endedMs?: number
}

export interface Identifier {
  readonly type: 'dns' | 'ip'
  /** Without the `*.` of a wildcard. */
  readonly value: string
  readonly isWildcard: boolean
}

export interface OrderRow {
  readonly id: string
  readonly accountId: string
  readonly directory: string
  readonly identifiers: readonly Identifier[]
  readonly authorizationIds: readonly string[]
  readonly notBeforeMs: number | undefined
  readonly notAfterMs: number | undefined
  readonly createdMs: number
  readonly expiresMs: number
  /** What was issued: the chain in PEM, and the serial number. */
  readonly issued: { readonly chain: string; readonly serial: string } | undefined
}

export type ChallengeType = 'http-01' | 'dns-01' | 'tls-alpn-01'

export interface Challenge {
  readonly type: ChallengeType
  readonly token: string
  readonly status: 'pending' | 'processing' | 'valid' | 'invalid'
  readonly validatedMs?: number
  readonly error?: Readonly<Record<string, unknown>>
}

export interface AuthorizationRow {
  readonly id: string
  readonly accountId: string
  readonly identifier: Identifier
  readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated'
  readonly expiresMs: number
  readonly challenges: readonly Challenge[]
}

export interface ExternalKeyRow {
  readonly id: string
  readonly key: string
  readonly directory: string
  readonly createdMs: number
}

/** A challenge that waits to be looked at. */
export interface ValidationRow {
  readonly mount: MountRow
  readonly accountId: string
  readonly authorizationId: string
  readonly type: ChallengeType
  readonly identifier: Identifier
  readonly token: string
  /** What must be found: the token with the name of the account's key. */
  readonly keyAuthorization: string
  readonly tries: number
  readonly nextMs: number
}

const accountKey = (id: string): string => `acme/account/${id}`
const thumbprintKey = (directory: string, thumbprint: string): string =>
  `acme/account-of/${directory}${thumbprint}`
const orderFolder = (accountId: string): string => `acme/order/${accountId}/`
const authorizationKey = (accountId: string, id: string): string =>
  `acme/authorization/${accountId}/${id}`
const externalKey = (id: string): string => `acme/eab/${id}`
const issuedKey = (serial: string): string => `acme/issued/${serial}`

export const accountAt = (storage: Storage, id: string): AccountRow | undefined =>
  storage.kept<AccountRow>(accountKey(id))

export const putAccount = (storage: Storage, row: AccountRow): void =>
  storage.put(accountKey(row.id), row)

export const deleteAccount = (storage: Storage, id: string): void => storage.delete(accountKey(id))

/** The account of a key in a directory. */
export function accountOf(
  storage: Storage,
  directory: string,
  thumbprint: string,
): AccountRow | undefined {
  const found = storage.kept<{ id: string }>(thumbprintKey(directory, thumbprint))
  return found && accountAt(storage, found.id)
}

export const nameAccount = (
  storage: Storage,
  { directory, id }: Pick<AccountRow, 'directory' | 'id'>,
  thumbprint: string,
): void => storage.put(thumbprintKey(directory, thumbprint), { id })

export const unnameAccount = (storage: Storage, directory: string, thumbprint: string): void =>
  storage.delete(thumbprintKey(directory, thumbprint))

/** The ids of all accounts. */
export const accountIds = (storage: Storage): string[] => storage.keys('acme/account/')

export const orderAt = (storage: Storage, accountId: string, id: string): OrderRow | undefined =>
  storage.kept<OrderRow>(orderFolder(accountId) + id)

/** Keeps an order until it is over. */
export const putOrder = (storage: Storage, row: OrderRow, dueMs: number): void =>
  storage.put(orderFolder(row.accountId) + row.id, row, { kind: ACME_KIND, dueMs })

export const orderIds = (storage: Storage, accountId: string): string[] =>
  storage.keys(orderFolder(accountId))

export const authorizationAt = (
  storage: Storage,
  accountId: string,
  id: string,
): AuthorizationRow | undefined => storage.kept<AuthorizationRow>(authorizationKey(accountId, id))

export const putAuthorization = (storage: Storage, row: AuthorizationRow): void =>
  storage.put(authorizationKey(row.accountId, row.id), row, {
    kind: ACME_KIND,
    dueMs: row.expiresMs,
  })

export const externalAt = (storage: Storage, id: string): ExternalKeyRow | undefined =>
  storage.kept<ExternalKeyRow>(externalKey(id))

export const putExternal = (storage: Storage, row: ExternalKeyRow): void =>
  storage.put(externalKey(row.id), row)

export const deleteExternal = (storage: Storage, id: string): void =>
  storage.delete(externalKey(id))

export const externalIds = (storage: Storage): string[] => storage.keys('acme/eab/')

/** Keeps for whom a certificate was issued, as long as it holds. */
export const putIssued = (
  storage: Storage,
  serial: string,
  accountId: string,
  dueMs: number,
): void => storage.put(issuedKey(serial), { accountId }, { kind: ACME_KIND, dueMs })

/** The account that a certificate was issued for. */
export const issuedFor = (storage: Storage, serial: string): string | undefined =>
  storage.kept<{ accountId: string }>(issuedKey(serial))?.accountId

/** Challenges of all mounts that wait to be looked at. */
export const validationRows = (draft: Draft): Storage => draft.area('root', 'acme-validations')

/** What an order is at a time, by its authorizations. */
export function statusOf(
  storage: Storage,
  { accountId, authorizationIds, issued, expiresMs }: OrderRow,
  nowMs: number,
): 'pending' | 'ready' | 'valid' | 'invalid' {
  if (issued !== undefined) return 'valid'
  if (expiresMs <= nowMs) return 'invalid'
  const all = authorizationIds.map(id => authorizationAt(storage, accountId, id))
  if (all.some(row => row === undefined || isOver(row, nowMs))) return 'invalid'
  return all.every(row => row!.status === 'valid') ? 'ready' : 'pending'
}

const isOver = ({ status, expiresMs }: AuthorizationRow, nowMs: number): boolean =>
  status === 'invalid' || status === 'deactivated' || expiresMs <= nowMs
