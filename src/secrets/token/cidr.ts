/**
 * Addresses that tokens are bound to.
 *
 * Owns the question whether a client is at one of them. Pure.
 */
import { Networks, plainAddress } from '../../base/networks.ts'

/** Compiled once for each list: rows are kept, and their lists with them. */
const compiled = new WeakMap<readonly string[], Networks>()

/** Whether an address is in one of the ranges; none bind nothing. */
export function isFrom(cidrs: readonly string[], remote: string): boolean {
  if (cidrs.length === 0) return true
  let networks = compiled.get(cidrs)
  if (networks === undefined) {
    networks = new Networks(cidrs)
    compiled.set(cidrs, networks)
  }
  const address = plainAddress(remote)
  return address !== '' && networks.has(address)
}
