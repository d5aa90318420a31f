/**
 * The rows of approle: roles, and the secret ids of each.
 *
 * Owns how they lie. A secret id lies nowhere: its accessor is a keyed hash of it, and its row is
 * found by that, so that a login reads one row and a list of accessors is one of keys. The secret
 * ids of a role stand under an id that the role has for ever: those of one that is gone open
 * nothing, also where their rows are still there. Pure.
 */
import type { RowEnd } from '../../deadline.ts'
import { oneSpelling } from '../../identity/rows.ts'
import type { Draft, Storage } from '../../storage.ts'
import type { TokenParams } from '../../token/params.ts'

export interface RoleRow {
  readonly name: string
  /** Of this role alone: another one of the same name has another. */
  readonly uuid: string
  readonly roleId: string
  readonly bindSecretId: boolean
  /** Where logins may come from. */
  readonly secretIdCidrs: readonly string[]
  /** Uses of a secret id; 0 for no bound. */
  readonly secretIdNumUses: number
  /** How long a secret id lives; 0 for ever. */
  readonly secretIdTtlMs: number
  readonly localSecretIds: boolean
  readonly token: TokenParams
}

export interface SecretIdRow {
  readonly accessor: string
  /** What is left; 0 for no bound. */
  readonly numUses: number
  readonly ttlMs: number
  /** 0 for never. It is the row's `dueMs` too. */
  readonly expiresAtMs: number
  readonly createdAtMs: number
  readonly updatedAtMs: number
  readonly metadata: Readonly<Record<string, string>>
  readonly cidrs: readonly string[]
  readonly tokenCidrs: readonly string[]
}

const SECRET_ID_KIND = 'secret-id'

/** What ends secret ids that are over. */
export const secretIdEnd: RowEnd = {
  kind: SECRET_ID_KIND,
  end: (draft, { namespaceId, area, path }) => draft.area(namespaceId, area).delete(path),
}

const NAME = /^\w([\w.-]*\w)?$/

/** The name of a role in its one spelling; undefined where it can be none. */
export const roleNameOf = (text: string): string | undefined =>
  NAME.test(text) ? text.toLowerCase() : undefined

export const ROLES = 'roles/'
const ROLE_IDS = 'role-ids/'
export const SECRET_IDS = 'secret-ids/'

/** The role of a name. The row must not be changed. */
export function roleAt(storage: Storage, text: string): RoleRow | undefined {
  const name = roleNameOf(text)
  return name === undefined ? undefined : storage.kept<RoleRow>(ROLES + name)
}

const roleIdKey = (draft: Draft, roleId: string): string =>
  ROLE_IDS + draft.barrier.hashOf(`role id\0${oneSpelling(roleId)}`)

interface RoleIdRow {
  readonly name: string
}

/** The name of the role that has an id, in any spelling. */
export const holderOf = (draft: Draft, storage: Storage, roleId: string): string | undefined =>
  storage.kept<RoleIdRow>(roleIdKey(draft, roleId))?.name

/** The role of a role id, in its very spelling. */
export function roleOfId(draft: Draft, storage: Storage, roleId: string): RoleRow | undefined {
  const name = holderOf(draft, storage, roleId)
  const role = name === undefined ? undefined : storage.kept<RoleRow>(ROLES + name)
  return role?.roleId === roleId ? role : undefined
}

/** Writes a role, and that its id is its own. */
export function putRole(
  draft: Draft,
  storage: Storage,
  role: RoleRow,
  before: RoleRow | undefined,
): void {
  if (before !== undefined && before.roleId !== role.roleId) {
    storage.delete(roleIdKey(draft, before.roleId))
  }
  if (before?.roleId !== role.roleId) {
    storage.put(roleIdKey(draft, role.roleId), { name: role.name })
  }
  storage.put(ROLES + role.name, role)
}

/** Ends a role; its secret ids open nothing from then on. */
export function deleteRole(draft: Draft, storage: Storage, role: RoleRow): void {
  storage.delete(roleIdKey(draft, role.roleId))
  storage.delete(ROLES + role.name)
}

/** The folder of a role's secret ids. */
export const secretIdsOf = ({ uuid }: Pick<RoleRow, 'uuid'>): string => `${SECRET_IDS}${uuid}/`

const UUID_PARTS = [8, 12, 16, 20, 32] as const

/** The accessor of a secret id, in the form of a UUID. */
export function accessorOf(draft: Draft, role: RoleRow, secretId: string): string {
  const hex = draft.barrier.hashOf(`secret id\0${role.uuid}\0${secretId}`)
  return UUID_PARTS.map((end, i) => hex.slice(UUID_PARTS[i - 1] ?? 0, end)).join('-')
}

/** The secret id of an accessor; undefined where it is over too. */
export function secretIdAt(
  storage: Storage,
  role: RoleRow,
  accessor: string,
  nowMs: number,
): SecretIdRow | undefined {
  if (accessor.includes('/')) return undefined
  const row = storage.kept<SecretIdRow>(secretIdsOf(role) + accessor)
  return row === undefined || (row.expiresAtMs > 0 && row.expiresAtMs <= nowMs) ? undefined : row
}

/** Writes a secret id. */
export function putSecretId(storage: Storage, role: RoleRow, row: SecretIdRow): void {
  const header = row.expiresAtMs > 0 ? { kind: SECRET_ID_KIND, dueMs: row.expiresAtMs } : {}
  storage.put(secretIdsOf(role) + row.accessor, row, header)
}
