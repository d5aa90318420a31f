/**
 * Ending rows of secret ids: those of a role that went, those that are over.
 *
 * Owns that it goes in steps of a bounded size. What is ended here opens nothing before already.
 * Pure.
 */
import { limits } from '../../../base/limits.ts'
import type { Storage } from '../../storage.ts'
import { ROLES, type RoleRow, SECRET_IDS, type SecretIdRow, secretIdsOf } from './rows.ts'

/** Ends some secret ids of a role that is gone; whether none is left. */
export function endSomeSecretIds(storage: Storage, role: Pick<RoleRow, 'uuid'>): boolean {
  const folder = secretIdsOf(role)
  const keys = storage.keys(folder, limits.secretIdsEndedAtOnce + 1)
  for (const key of keys.slice(0, limits.secretIdsEndedAtOnce)) storage.delete(folder + key)
  return keys.length <= limits.secretIdsEndedAtOnce
}

/** Ends some of the secret ids that are over, or whose role is gone; whether none is left. */
export function tidySome(storage: Storage, nowMs: number): boolean {
  const living = new Set(storage.keys(ROLES).map(name => storage.kept<RoleRow>(ROLES + name)!.uuid))
  let left = limits.secretIdsEndedAtOnce
  for (const key of storage.keys(SECRET_IDS)) {
    const uuid = key.slice(0, key.indexOf('/'))
    const expiresAtMs = storage.kept<SecretIdRow>(SECRET_IDS + key)!.expiresAtMs
    if (living.has(uuid) && (expiresAtMs === 0 || expiresAtMs > nowMs)) continue
    if (left-- === 0) return false
    storage.delete(SECRET_IDS + key)
  }
  return true
}
