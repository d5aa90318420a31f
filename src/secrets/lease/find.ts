/**
 * Leases by their ids, whatever they are of.
 *
 * Owns what a lease of a token or of an engine has in common: how it is found, shown and renewed.
 * Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { mountAt } from '../mount/mount.ts'
import { ttlsOf } from '../mount/ttl.ts'
import type { Draft, Page } from '../storage.ts'
import {
  type TokenPlace,
  type TokenRow,
  tokenLeaseFolders,
  tokenLeaseFoldersIn,
  tokenLeasesIn,
  tokenOfLease,
} from '../token/token.ts'
import { type Ttl, ttlOf } from '../token/ttl.ts'
import { type LeaseRow, leaseRows, localId, putLease } from './lease.ts'

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
  const lease = leaseRows(draft, namespaceId).kept<LeaseRow>(id)
  if (lease !== undefined) return { of: 'engine', lease }
  const found = tokenOfLease(draft, namespaceId, id)
  return found && { of: 'token', ...found }
}

/** How many leases begin with a text, up to a number. */
export function countLeasesUnder(
  draft: Draft,
  namespaceId: string,
  prefix: string,
  most: number,
): number {
  let count = leaseRows(draft, namespaceId).keys(prefix, most).length
  for (const folder of tokenLeaseFolders(draft, namespaceId, prefix)) {
    if (count >= most) break
    count += tokenLeasesIn(draft, namespaceId, folder, most - count).length
  }
  return count
}

/** What stands right under a folder ('' or ending in '/'): ids, and folders with their slash. */
export function listLeases(
  draft: Draft,
  namespaceId: string,
  folder: string,
  { after = '', limit = 0 }: Page,
): string[] {
  const names = new Set(leaseRows(draft, namespaceId).list(folder))
  for (const name of tokenLeaseFoldersIn(draft, namespaceId, folder)) names.add(name)
  for (const { name } of tokenLeasesIn(draft, namespaceId, folder)) names.add(name)
  const sorted = [...names].sort().filter(name => name > after)
  return limit > 0 ? sorted.slice(0, limit) : sorted
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
