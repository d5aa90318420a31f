/**
 * Ranges of addresses, one in another.
 *
 * Owns that question alone. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { parseNetwork, plainAddress } from '../../../base/networks.ts'

/** The refusal of ranges that are not all within others; none bind nothing. */
export function refuseWider(
  inner: readonly string[],
  outer: readonly string[],
): Refusal | undefined {
  if (inner.length === 0 || outer.length === 0) return undefined
  return inner.every(one => outer.some(other => isWithin(one, other))) ? undefined : WIDER
}

const WIDER = new Refusal(
  400,
  'failed to verify subset relationship between CIDR blocks on the role and CIDR blocks on the secret ID',
)

function isWithin(inner: string, outer: string): boolean {
  const one = parseNetwork(inner)
  const other = parseNetwork(outer)
  if (one === undefined || other === undefined || one.prefixBits < other.prefixBits) return false
  return other.has(plainAddress(inner.split('/')[0]!))
}
