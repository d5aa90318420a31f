/**
 * Tokens that may be used a number of times.
 *
 * Owns the count: a row of its own, written before a request has any effect and also for one that
 * is refused. Nothing lies there before the first use. Pure.
 */
import type { Refusal } from '../../base/errors.ts'
import { INVALID } from '../refusals.ts'
import type { Draft } from '../storage.ts'
import { type TokenPlace, type TokenRow, useRows } from './token.ts'

interface UsesRow {
  readonly left: number
}

/** How often a token may still be used; 0 for no bound, as it is shown. */
export const usesLeft = (draft: Draft, place: TokenPlace, { numUses }: TokenRow): number =>
  numUses === 0 ? 0 : (useRows(draft, place.namespaceId).kept<UsesRow>(place.hash)?.left ?? numUses)

/** Takes a use away; gives how many are left then. Only of a token that has a bound. */
export function countUse(draft: Draft, place: TokenPlace, token: TokenRow): number | Refusal {
  const left = usesLeft(draft, place, token) - 1
  if (left < 0) return INVALID
  const row: UsesRow = { left }
  useRows(draft, place.namespaceId).put(place.hash, row)
  return left
}
