/**
 * Forgetting revoked certificates that are long over.
 *
 * Owns that a list whose entries go gets another number: an edition is never told in two ways.
 * Pure.
 */
import type { Storage } from '../../../storage.ts'
import { refreshList } from './list.ts'
import { REVOKED, type RevokedRow, revokedAfter, revokedAt } from './rows.ts'

/** A revoked certificate, with its serial number. */
export interface Revoked {
  readonly serial: string
  readonly row: RevokedRow
}

/** So many revoked certificates behind a serial number, in order. */
export const revokedPage = (storage: Storage, after: string, limit: number): Revoked[] =>
  revokedAfter(storage, after, limit).map(serial => ({ serial, row: revokedAt(storage, serial)! }))

/** Forgets revoked certificates, and gives their lists another edition. */
export function forgetRevoked(storage: Storage, serials: readonly string[], nowMs: number): void {
  const lists = new Set<string>()
  for (const serial of serials) {
    const row = revokedAt(storage, serial)
    if (row === undefined) continue
    lists.add(row.list)
    storage.delete(REVOKED + serial)
  }
  for (const list of lists) refreshList(storage, list, nowMs, 'tidied')
}
