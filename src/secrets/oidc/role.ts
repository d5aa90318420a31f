/**
 * Roles: what a token for an audience is signed with and says.
 *
 * Owns what may be said of one, and the public keys that a namespace's tokens are looked at with.
 * Pure.
 */
import { base62 } from '../../base/base62.ts'
import { Refusal } from '../../base/errors.ts'
import type { Draft } from '../storage.ts'
import { type KeySet, keyAt, keySetOf, wishAt } from './key.ts'
import { isName, keyRows, type RoleRow, roleRows, setUser, usersOf } from './rows.ts'

const CLIENT_ID_CHARS = 26

/** The role of a name, which may be anything. The row must not be changed. */
export const roleAt = (draft: Draft, namespaceId: string, name: string): RoleRow | undefined =>
  isName(name) ? roleRows(draft, namespaceId).kept<RoleRow>(name) : undefined

/** What is wrong about a role; its template was read already. */
export function refuseRole(draft: Draft, namespaceId: string, role: RoleRow): Refusal | undefined {
  if (role.key === '') return new Refusal(400, 'the key parameter is required')
  const key = wishAt(draft, namespaceId, role.key)
  if (key === undefined) return new Refusal(400, `cannot find key ${JSON.stringify(role.key)}`)
  return role.ttlMs <= key.verificationMs
    ? undefined
    : new Refusal(
        400,
        "a role's token ttl cannot be longer than the verification_ttl of the key it references",
      )
}

/** Writes a role; one without an id of a client is given one. */
export function putRole(draft: Draft, namespaceId: string, name: string, role: RoleRow): void {
  const before = roleAt(draft, namespaceId, name)
  const clientId = role.clientId || base62(draft.random, CLIENT_ID_CHARS)
  roleRows(draft, namespaceId).put(name, { ...role, clientId } satisfies RoleRow)
  setUser(draft, namespaceId, { kind: 'role', name }, { before: before?.key, after: role.key })
}

/** Deletes a role; nothing happens where there is none. */
export function deleteRole(draft: Draft, namespaceId: string, name: string): void {
  const before = roleAt(draft, namespaceId, name)
  if (before === undefined) return
  roleRows(draft, namespaceId).delete(name)
  setUser(draft, namespaceId, { kind: 'role', name }, { before: before.key, after: undefined })
}

/** The public keys of all keys that roles sign with. */
export function roleKeySet(draft: Draft, namespaceId: string): KeySet {
  const names = keyRows(draft, namespaceId).keys()
  const used = names.filter(name => usersOf(draft, namespaceId, name, 'role', 1).length > 0)
  return keySetOf(
    used.map(name => keyAt(draft, namespaceId, name)!),
    draft.now,
  )
}
