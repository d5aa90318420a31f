/**
 * Comparing secrets.
 *
 * Owns the comparisons whose time tells nothing of where two of them differ.
 */
import { timingSafeEqual } from 'node:crypto'

/** Whether two secrets are the same. Only their lengths can be told from the time that it takes. */
export function isSameSecret(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** The same without memory of its own, for what is compared at every request. */
export function isSameText(one: string, other: string): boolean {
  if (one.length !== other.length) return false
  let differing = 0
  for (let at = 0; at < one.length; at++) differing |= one.charCodeAt(at) ^ other.charCodeAt(at)
  return differing === 0
}
