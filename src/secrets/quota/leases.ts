/**
 * Lease counts: how many leases there may be under a path, by a role of a login, or of an entity.
 *
 * Owns the counting, which looks at no more leases than there may be. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { Answer } from '../declare.ts'
import { countLeasesUnder } from '../lease/find.ts'
import { mountAt } from '../mount/mount.ts'
import { namespacesUnder } from '../namespace/change.ts'
import { type Namespace, namespaceAt } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import type { VaultPrincipal } from '../token/principal.ts'
import { entityFolder, roleFolder } from '../token/token.ts'
import { entityQuotasFor, type QuotaPlace, type QuotaRow, quotasFor } from './quota.ts'

/** The refusal of what would be one lease too many. */
export const LEASES_EXCEEDED = new Refusal(429, 'lease count quota exceeded')

/**
 * The refusal of an answer with one more lease than there may be, for who has asked. The draft
 * holds it already.
 */
export function refuseLeases(
  draft: Draft,
  place: QuotaPlace,
  { auth, lease }: Answer,
  who: Pick<VaultPrincipal, 'token'> | undefined,
): Refusal | undefined {
  const isToken = auth !== undefined && auth.token_type === 'service' && auth.lease_duration > 0
  const isLeased = isToken || (lease !== undefined && lease.id !== '')
  if (!isLeased) return undefined
  // Some logins have no role in their request: they say it of the token.
  const role = place.role || (isToken ? (auth.metadata?.role_name ?? '') : '')
  const isOver = quotasFor(draft, 'lease-count', { ...place, role }).some(
    row => countLeases(draft, row, row.leasesMax + 1) > row.leasesMax,
  )
  if (isOver) return LEASES_EXCEEDED
  const entityId = isToken ? auth.entity_id : (who?.token.entityId ?? '')
  const namespaceId = isToken ? undefined : who?.token.namespaceId
  return refuseOfEntity(draft, place, entityId, namespaceId)
}

function refuseOfEntity(
  draft: Draft,
  { namespace: { path } }: QuotaPlace,
  entityId: string,
  namespaceId = namespaceAt(draft, path)?.id ?? '',
): Refusal | undefined {
  if (entityId === '') return undefined
  const folder = entityFolder(namespaceId, entityId)
  const isOver = entityQuotasFor(draft, { path }).some(
    ({ leasesMax }) => draft.inFolder(folder, leasesMax + 1).length > leasesMax,
  )
  return isOver ? LEASES_EXCEEDED : undefined
}

/** How many leases a quota is about, up to a number; one of entities is about none together. */
export function countLeases(draft: Draft, row: QuotaRow, most: number): number {
  const { namespacePath, mountPath, suffix, isInheritable } = row
  const namespace = namespaceAt(draft, namespacePath)
  if (namespace === undefined) return 0
  if (row.role !== '') return countOfRole(draft, namespace, row, most)
  const below = isInheritable && mountPath === '' ? namespacesUnder(draft, namespace, true) : []
  let count = 0
  for (const { id } of [namespace, ...below]) {
    const folder = mountPath + suffix.replace(/\*$/, '')
    count += countLeasesUnder(draft, id, folder, most - count)
    if (count >= most) return count
  }
  return count
}

function countOfRole(
  draft: Draft,
  namespace: Namespace,
  { mountPath, role }: QuotaRow,
  most: number,
): number {
  const mount = mountAt(draft, namespace, 'auth', mountPath.slice('auth/'.length))
  if (mount === undefined) return 0
  return draft.inFolder(roleFolder(namespace.id, mount.accessor, role), most).length
}
