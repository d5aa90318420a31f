/**
 * The end of tokens: what a token made ends before it does, and what is its own goes with it.
 *
 * Owns the steps. What fits into one transaction is one. Of a larger tree the token at its top is
 * marked, so that it is refused, and each further step ends as much as one transaction holds, the
 * lowest first; any server can take the next one, since what is left is found in the store alone.
 * Pure.
 */
import { limits } from '../../base/limits.ts'
import { endLeasesOfToken } from '../lease/lease.ts'
import { Room } from '../lease/room.ts'
import type { Draft, Storage } from '../storage.ts'
import { cubbyholeOf } from './cubbyhole.ts'
import {
  type ChildRow,
  childRows,
  type EndOfToken,
  leaseRows,
  TOKEN_KIND,
  type TokenPlace,
  type TokenRow,
  tokenLeaseOf,
  tokenRows,
  useRows,
} from './token.ts'

/**
 * Ends a token, or does a further step of that. True once nothing is left of it; where it was not
 * there, nothing is written.
 */
export function endToken(
  draft: Draft,
  place: TokenPlace,
  how: EndOfToken = 'tree',
  room = new Room(),
): boolean {
  const rows = tokenRows(draft, place.namespaceId)
  const row = rows.kept<TokenRow>(place.hash)
  if (row === undefined) return true
  const ending = row.ending ?? how
  // The mark itself takes one.
  const inner = new Room(room.left - 1)
  const isWhole = ending === 'tree' ? endTree(draft, place, inner) : letGo(draft, place, row, inner)
  room.left = inner.left
  if (isWhole) return true
  // The timekeeper goes on where nobody else does.
  const dueMs = draft.now + limits.endingTakeoverMs
  rows.put(place.hash, { ...row, ending }, { kind: TOKEN_KIND, dueMs })
  return false
}

/** A token on the way down, with the children that are not done yet. */
interface Level {
  readonly place: TokenPlace
  readonly children: readonly string[]
  done: number
}

/** Ends a tree from below, as far as there is room. */
function endTree(draft: Draft, top: TokenPlace, room: Room): boolean {
  const way: Level[] = [levelOf(draft, top, room)]
  for (let level = way.at(-1); level !== undefined; level = way.at(-1)) {
    const child = level.children[level.done]
    if (child === undefined) {
      if (!endOne(draft, level.place, room)) return false
      way.pop()
      const above = way.at(-1)?.place
      if (above !== undefined)
        childRows(draft, above.namespaceId).delete(linkOf(above, level.place))
    } else {
      level.done++
      way.push(levelOf(draft, childAt(draft, level.place, child), room))
    }
  }
  return true
}

/** No more children are looked at than there may be room for. */
function levelOf(draft: Draft, place: TokenPlace, { left }: Room): Level {
  const children = childRows(draft, place.namespaceId).keys(`${place.hash}/`, left + 1)
  return { place, children, done: 0 }
}

function childAt(draft: Draft, { namespaceId, hash }: TokenPlace, child: string): TokenPlace {
  const row = childRows(draft, namespaceId).kept<ChildRow>(`${hash}/${child}`)
  return { namespaceId: row?.namespaceId ?? namespaceId, hash: child }
}

/** Ends a token that has no children any more. */
function endOne(draft: Draft, place: TokenPlace, room: Room): boolean {
  const { namespaceId, hash } = place
  const row = tokenRows(draft, namespaceId).kept<TokenRow>(hash)
  return (
    deleteUnder(cubbyholeOf(draft, place), '', room) &&
    endLeasesOfToken(draft, place, room) &&
    deleteRow(draft, place, row, room)
  )
}

/** Ends a token whose children stay: only the way to them goes. */
const letGo = (draft: Draft, place: TokenPlace, row: TokenRow, room: Room): boolean =>
  deleteUnder(childRows(draft, place.namespaceId), `${place.hash}/`, room) &&
  deleteUnder(cubbyholeOf(draft, place), '', room) &&
  endLeasesOfToken(draft, place, room) &&
  deleteRow(draft, place, row, room)

const MOST_ROWS_OF_ONE = 4

function deleteRow(
  draft: Draft,
  { namespaceId, hash }: TokenPlace,
  row: TokenRow | undefined,
  room: Room,
): boolean {
  if (!room.take(MOST_ROWS_OF_ONE)) return false
  tokenRows(draft, namespaceId).delete(hash)
  if (row === undefined) return true
  const lease = tokenLeaseOf(row, hash)
  if (lease !== undefined) leaseRows(draft, namespaceId).delete(lease)
  if (row.numUses > 0) useRows(draft, namespaceId).delete(hash)
  const { parent } = row
  if (parent === undefined) return true
  childRows(draft, parent.namespaceId).delete(linkOf(parent, { namespaceId, hash }))
  return true
}

const linkOf = (parent: TokenPlace, child: TokenPlace): string => `${parent.hash}/${child.hash}`

/** Deletes what is under a folder, as far as there is room. */
function deleteUnder(rows: Storage | undefined, folder: string, room: Room): boolean {
  if (rows === undefined) return true
  const keys = rows.keys(folder, room.left + 1)
  for (const key of keys) {
    if (!room.take(1)) return false
    rows.delete(folder + key)
  }
  return true
}
