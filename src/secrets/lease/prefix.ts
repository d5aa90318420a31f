/**
 * Ending all that was given under a path: tokens of a login, secrets of an engine.
 *
 * Owns the steps: each ends as much as one transaction holds. Pure.
 */
import type { Draft } from '../storage.ts'
import { endToken } from '../token/end.ts'
import { tokenLeaseFolders, tokenLeasesIn } from '../token/token.ts'
import {
  endLease,
  forgetLease,
  type LeaseRow,
  leaseRows,
  ROWS_OF_LEASE,
  revocationRows,
} from './lease.ts'
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
  if (!endTokensUnder(draft, namespaceId, folder, room)) return false
  const rows = leaseRows(draft, namespaceId)
  for (const rest of rows.keys(folder, room.left + 1)) {
    if (!room.take(ROWS_OF_LEASE)) return false
    const lease = rows.kept<LeaseRow>(folder + rest)!
    if (how === 'revoke') endLease(draft, lease)
    else forgetLease(draft, lease)
  }
  return how === 'revoke' || forgetWaiting(draft, `${namespaceId}/${folder}`, room)
}

/** Ends the tokens among what was given, as far as there is room. */
function endTokensUnder(draft: Draft, namespaceId: string, folder: string, room: Room): boolean {
  for (const each of tokenLeaseFolders(draft, namespaceId, folder)) {
    for (const { place } of tokenLeasesIn(draft, namespaceId, each, room.left + 1)) {
      if (room.left < 1 || !endToken(draft, place, 'tree', room)) return false
    }
  }
  return true
}

/** Whether engines are still to take back what was given under a path. */
export const isOwed = (draft: Draft, namespaceId: string, folder: string): boolean =>
  revocationRows(draft).keys(`${namespaceId}/${folder}`, 1).length > 0

/** Takes back no more what waits for that. */
function forgetWaiting(draft: Draft, folder: string, room: Room): boolean {
  const rows = revocationRows(draft)
  for (const rest of rows.keys(folder, room.left + 1)) {
    if (!room.take(1)) return false
    rows.delete(folder + rest)
  }
  return true
}
