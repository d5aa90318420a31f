/**
 * Ending all that was given under a path: tokens of a login, secrets of an engine.
 *
 * Owns the steps: each ends as much as one transaction holds. Pure.
 */
import type { Draft, Storage } from '../storage.ts'
import { endToken } from '../token/end.ts'
import { leaseRows, tokenLeaseHash } from '../token/token.ts'
import { endLease, forgetLease, type LeaseRow, ROWS_OF_LEASE, revocationRows } from './lease.ts'
import { Room } from './room.ts'

/** Whether engines are still to take back what they gave. */
export type HowToEnd = 'revoke' | 'forget'

/**
 * Ends what was given under a path ('' for all, else with a slash at its end), or does a further
 * step of that. True once nothing is left.
 */
export function endUnder(
  draft: Draft,
  namespaceId: string,
  folder: string,
  how: HowToEnd = 'revoke',
  room = new Room(),
): boolean {
  const rows = leaseRows(draft, namespaceId)
  for (const rest of rows.keys(folder, room.left + 1)) {
    const id = folder + rest
    const hash = tokenLeaseHash(id)
    if (hash !== undefined && isTokens(rows, id)) {
      // A token whose row is gone leaves nothing but this.
      if (room.left < 2 || !endToken(draft, { namespaceId, hash }, 'tree', room)) return false
      room.take(1)
      rows.delete(id)
    } else {
      if (!room.take(ROWS_OF_LEASE)) return false
      const lease = rows.kept<LeaseRow>(id)!
      if (how === 'revoke') endLease(draft, lease)
      else forgetLease(draft, lease)
    }
  }
  return how === 'revoke' || forgetWaiting(draft, `${namespaceId}/${folder}`, room)
}

/** Whether engines are still to take back what was given under a path. */
export const isOwed = (draft: Draft, namespaceId: string, folder: string): boolean =>
  revocationRows(draft).keys(`${namespaceId}/${folder}`, 1).length > 0

/** The row of a token's lease is empty. */
const isTokens = (rows: Storage, id: string): boolean =>
  Object.keys(rows.kept<object>(id) ?? {}).length === 0

/** Takes back no more what waits for that. */
function forgetWaiting(draft: Draft, folder: string, room: Room): boolean {
  const rows = revocationRows(draft)
  for (const rest of rows.keys(folder, room.left + 1)) {
    if (!room.take(1)) return false
    rows.delete(folder + rest)
  }
  return true
}
