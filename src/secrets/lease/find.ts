/**
 * Leases by their ids, whatever they are of.
 *
 * Owns what a lease of a token or of an engine has in common: how it is found, shown and renewed.
 * Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { mountAt } from '../mount/mount.ts'
import { ttlsOf } from '../mount/ttl.ts'
import type { Draft } from '../storage.ts'
import {
  leaseRows,
  type TokenPlace,
  type TokenRow,
  tokenAt,
  tokenLeaseHash,
} from '../token/token.ts'
import { type Ttl, ttlOf } from '../token/ttl.ts'
import { type LeaseRow, localId, putLease } from './lease.ts'

/** What an id leads to. */
export type FoundLease =
  | { readonly of: 'token'; readonly place: TokenPlace; readonly token: TokenRow }
  | { readonly of: 'engine'; readonly lease: LeaseRow }

/** The lease of an id as clients write it, in its own namespace; undefined where there is none. */
export function findLease(
  draft: Draft,
  namespaceId: string,
  shown: string,
): FoundLease | undefined {
  const id = localId(shown, namespaceId)
  if (id === undefined) return undefined
  const row = leaseRows(draft, namespaceId).kept<LeaseRow>(id)
  if (row === undefined) return undefined
  if (row.id !== undefined) return { of: 'engine', lease: row }
  const place = { namespaceId, hash: tokenLeaseHash(id) ?? '' }
  const token = tokenAt(draft, place)
  return token && { of: 'token', place, token }
}

/** The times of a lease, in milliseconds. */
export const timesOf = (found: FoundLease) => {
  if (found.of === 'engine') return found.lease
  const { createdAtMs, expiresAtMs, lastRenewalMs, renewable } = found.token
  return { issuedAtMs: createdAtMs, expiresAtMs, lastRenewalMs, renewable }
}

const NOT_RENEWABLE = new Refusal(400, 'lease is not renewable')
const OVER = new Refusal(400, 'lease expired')

/** Renews what an engine gave. */
export function renewLease(draft: Draft, lease: LeaseRow, incrementMs: number): Ttl | Refusal {
  const { now } = draft
  if (lease.expiresAtMs <= now) return OVER
  if (!lease.renewable) return NOT_RENEWABLE
  const mount = mountAt(draft, { id: lease.namespaceId }, 'secret', lease.mount.path)
  if (mount === undefined || mount.uuid !== lease.mount.uuid) return NOT_RENEWABLE
  const ttl = ttlOf({ ...lease, incrementMs }, ttlsOf(draft, mount), now)
  if (ttl instanceof Refusal) return ttl
  putLease(draft, { ...lease, expiresAtMs: now + ttl.ttlMs, lastRenewalMs: now })
  return ttl
}
