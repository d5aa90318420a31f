/**
 * Lease counts: how many leases there may be under a path.
 *
 * Owns the counting, which looks at no more leases than there may be. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import type { Answer } from '../declare.ts'
import { countLeasesUnder } from '../lease/find.ts'
import { namespacesUnder } from '../namespace/change.ts'
import { namespaceAt } from '../namespace/namespace.ts'
import type { Draft } from '../storage.ts'
import { type QuotaPlace, type QuotaRow, quotasFor } from './quota.ts'

const EXCEEDED = new Refusal(429, 'lease count quota exceeded')

/** The refusal of an answer with one more lease than there may be. The draft holds it already. */
export function refuseLeases(
  draft: Draft,
  place: QuotaPlace,
  { auth, lease }: Answer,
): Refusal | undefined {
  const isLeased =
    (auth !== undefined && auth.token_type === 'service' && auth.lease_duration > 0) ||
    (lease !== undefined && lease.id !== '')
  if (!isLeased) return undefined
  const isOver = quotasFor(draft, 'lease-count', place).some(
    row => countLeases(draft, row, row.leasesMax + 1) > row.leasesMax,
  )
  return isOver ? EXCEEDED : undefined
}

/** How many leases a quota is about, up to a number. */
export function countLeases(draft: Draft, row: QuotaRow, most: number): number {
  const { namespacePath, mountPath, suffix, isInheritable } = row
  const namespace = namespaceAt(draft, namespacePath)
  if (namespace === undefined) return 0
  const below = isInheritable && mountPath === '' ? namespacesUnder(draft, namespace, true) : []
  let count = 0
  for (const { id } of [namespace, ...below]) {
    const folder = mountPath + suffix.replace(/\*$/, '')
    count += countLeasesUnder(draft, id, folder, most - count)
    if (count >= most) return count
  }
  return count
}
