/**
 * Leases: what was given for a time, and has to be taken back at its end.
 *
 * Owns the rows of leases that engines give, how they are found by their path and by the token that
 * they were given to, and the queue of those that are to be taken back. The lease of a token has no
 * row: it is the token. Taking back is the engine's work (revoke.run.ts). Pure.
 */

import { base62 } from '../../base/base62.ts'
import type { JsonObject } from '../field.ts'
import type { MountRow } from '../mount/mount.ts'
import { countsHolders } from '../quota/quota.ts'
import type { Draft, Storage } from '../storage.ts'
import type { VaultPrincipal } from '../token/principal.ts'
import { entityFolder, namespaceIdIn, suffixOf, type TokenPlace } from '../token/token.ts'
import type { Room } from './room.ts'

/** What an engine gave for a time. */
export interface LeaseRow {
  /** Without what its namespace adds: the path that gave it, and letters and digits. */
  readonly id: string
  readonly namespaceId: string
  /** The mount that gave it, as it was: what it keeps stays until its leases are taken back. */
  readonly mount: MountRow
  /** To whom; its end ends the lease too. */
  readonly token: TokenPlace
  /** The entity of whom it was given to, where quotas count by that. */
  readonly entityId?: string
  /** What the engine wants to know again to take it back. */
  readonly data: JsonObject
  readonly renewable: boolean
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** As it was given, and as it is renewed where nobody asks for another. */
  readonly ttlMs: number
  /** 0 for the mount's. */
  readonly maxTtlMs: number
  readonly lastRenewalMs: number
}

/** A lease that is over and to be taken back, and how that went so far. */
export interface RevocationRow {
  readonly lease: LeaseRow
  readonly tries: number
  /** Not before then, by the wall clock. */
  readonly nextMs: number
  /** What the engine said last; '' before the first try. */
  readonly error: string
}

/** The kind of deadline that ends leases. */
export const LEASE_KIND = 'lease'

/** Leases by their id. */
export const leaseRows = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'leases')

/** Leases by `<hash of the token>/<id>`. */
const leasesOfTokens = (draft: Draft, namespaceId: string): Storage =>
  draft.area(namespaceId, 'leases-of-tokens')

/** What is to be taken back, of all namespaces, by `<namespace id>/<lease id>`. */
export const revocationRows = (draft: Draft): Storage => draft.area('root', 'revocations')

const RANDOM_CHARS = 24

/** What a new lease is made of. */
export interface NewLease {
  /** The path that gives it, in its namespace. */
  readonly path: string
  readonly mount: MountRow
  /** Whom it is given to: it ends with the token. */
  readonly who: Pick<VaultPrincipal, 'token' | 'hash'>
  readonly data: JsonObject
  readonly ttlMs: number
  readonly maxTtlMs?: number
  readonly renewable: boolean
}

/** Writes a lease of what an engine is about to give. */
export function registerLease(draft: Draft, lease: NewLease): LeaseRow {
  const { mount, who } = lease
  const isBatch = who.token.type === 'batch'
  // Nothing ends with a batch token, which is nowhere: so its leases live no longer than it does.
  const { expiresAtMs } = who.token
  const leftMs = isBatch && expiresAtMs > 0 ? expiresAtMs - draft.now : lease.ttlMs
  const ttlMs = Math.min(lease.ttlMs, leftMs)
  const row: LeaseRow = {
    id: `${lease.path}/${base62(draft.random, RANDOM_CHARS)}`,
    namespaceId: mount.namespaceId,
    mount,
    token: { namespaceId: who.token.namespaceId, hash: who.hash },
    ...(countsHolders(draft) ? { entityId: who.token.entityId } : {}),
    ...{ ttlMs, data: lease.data, renewable: lease.renewable && !isBatch },
    issuedAtMs: draft.now,
    expiresAtMs: draft.now + ttlMs,
    maxTtlMs: lease.maxTtlMs ?? 0,
    lastRenewalMs: 0,
  }
  putLease(draft, row)
  if (!isBatch) {
    const link: LeaseLink = { namespaceId: row.namespaceId }
    leasesOfTokens(draft, row.token.namespaceId).put(`${who.hash}/${row.id}`, link)
  }
  return row
}

/** Where the lease of a token lies. */
interface LeaseLink {
  readonly namespaceId: string
}

/** Writes a lease as it is now. */
export function putLease(draft: Draft, row: LeaseRow): void {
  const { namespaceId, token, entityId = '' } = row
  const folders = entityId === '' ? [] : [entityFolder(token.namespaceId, entityId)]
  leaseRows(draft, namespaceId).put(row.id, row, {
    ...{ kind: LEASE_KIND, dueMs: row.expiresAtMs },
    ...(folders.length === 0 ? {} : { folders }),
  })
}

/** The id of a lease as clients know it. */
export const shownId = ({ id, namespaceId }: Pick<LeaseRow, 'id' | 'namespaceId'>): string =>
  id + suffixOf(namespaceId)

/** What an id, as clients know it, means in a namespace; undefined where it is of another. */
export function localId(shown: string, namespaceId: string): string | undefined {
  if (namespaceIdOf(shown) !== namespaceId) return undefined
  const suffix = suffixOf(namespaceId)
  return suffix === '' ? shown : shown.slice(0, -suffix.length)
}

/** Paths of mounts may have dots: only what stands behind the last slash says a namespace. */
const namespaceIdOf = (shown: string): string =>
  namespaceIdIn(shown.slice(shown.lastIndexOf('/') + 1))

/** Rows that the end of a lease writes. */
export const ROWS_OF_LEASE = 3

/** Ends a lease: it is none any more, and waits for its engine to take it back. */
export function endLease(draft: Draft, lease: LeaseRow): void {
  forgetLease(draft, lease)
  const waiting: RevocationRow = { lease, tries: 0, nextMs: draft.now, error: '' }
  revocationRows(draft).put(revocationKey(lease), waiting)
}

const revocationKey = ({ namespaceId, id }: LeaseRow): string => `${namespaceId}/${id}`

/** Forgets a lease: nobody is to take back what it was given for. */
export function forgetLease(draft: Draft, { namespaceId, id, token }: LeaseRow): void {
  leaseRows(draft, namespaceId).delete(id)
  leasesOfTokens(draft, token.namespaceId).delete(`${token.hash}/${id}`)
}

/** Ends the leases that were given to a token, as far as there is room. */
export function endLeasesOfToken(draft: Draft, place: TokenPlace, room: Room): boolean {
  const links = leasesOfTokens(draft, place.namespaceId)
  const folder = `${place.hash}/`
  for (const id of links.keys(folder, room.left + 1)) {
    if (!room.take(ROWS_OF_LEASE)) return false
    const { namespaceId } = links.kept<LeaseLink>(folder + id)!
    const row = leaseRows(draft, namespaceId).kept<LeaseRow>(id)
    if (row === undefined) links.delete(folder + id)
    else endLease(draft, row)
  }
  return true
}
