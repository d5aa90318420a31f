/**
 * The end of tokens: what a token made ends before it does, and what is its own goes with it.
 *
 * Owns the steps. What fits into one transaction is one. Of a larger tree the token at its top is
 * marked, so that it is refused, and each further step ends as much as one transaction holds, the
 * lowest first; any server can take the next one, since what is left is found in the store alone.
 * Pure.
 */
import { endLeasesOfToken } from '../lease/lease.ts'
import { Room } from '../lease/room.ts'
import type { Draft, Storage } from '../storage.ts'
import { cubbyholeOf } from './cubbyhole.ts'
import {
  childrenOf,
  type EndOfToken,
  type TokenPlace,
  type TokenRow,
  tokenRows,
  useRows,
  writeToken,
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
  const row = rowAt(draft, place)
  if (row === undefined) return true
  const ending = row.ending ?? how
  // The mark itself takes one.
  const inner = new Room(room.left - 1)
  const isWhole = ending === 'tree' ? endTree(draft, place, inner) : letGo(draft, place, inner)
  room.left = inner.left
  if (isWhole) return true
  writeToken(draft, place.hash, { ...row, ending })
  return false
}

const rowAt = (draft: Draft, { namespaceId, hash }: TokenPlace): TokenRow | undefined =>
  tokenRows(draft, namespaceId).kept<TokenRow>(hash)

/** A token on the way down, with the children that are not done yet. */
interface Level {
  readonly place: TokenPlace
  readonly children: readonly TokenPlace[]
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
    } else {
      level.done++
      way.push(levelOf(draft, child, room))
    }
  }
  return true
}

/** No more children are looked at than there may be room for. */
const levelOf = (draft: Draft, place: TokenPlace, { left }: Room): Level => ({
  place,
  children: childrenOf(draft, place, left + 1),
  done: 0,
})

/** Ends a token whose children stay: they are nobody's then. */
function letGo(draft: Draft, place: TokenPlace, room: Room): boolean {
  for (const child of childrenOf(draft, place, room.left + 1)) {
    if (!room.take(1)) return false
    const row = rowAt(draft, child)
    if (row !== undefined) writeToken(draft, child.hash, { ...row, parent: undefined })
  }
  return endOne(draft, place, room)
}

/** Ends a token that has no children any more. */
const endOne = (draft: Draft, place: TokenPlace, room: Room): boolean =>
  deleteAll(cubbyholeOf(draft, place), room) &&
  endLeasesOfToken(draft, place, room) &&
  deleteRow(draft, place, room)

const MOST_ROWS_OF_ONE = 2

function deleteRow(draft: Draft, place: TokenPlace, room: Room): boolean {
  if (!room.take(MOST_ROWS_OF_ONE)) return false
  const { namespaceId, hash } = place
  const row = rowAt(draft, place)
  tokenRows(draft, namespaceId).delete(hash)
  if (row !== undefined && row.numUses > 0) useRows(draft, namespaceId).delete(hash)
  return true
}

/** Deletes all rows, as far as there is room. */
function deleteAll(rows: Storage | undefined, room: Room): boolean {
  for (const key of rows?.keys('', room.left + 1) ?? []) {
    if (!room.take(1)) return false
    rows!.delete(key)
  }
  return true
}
