/**
 * Comparing secrets.
 *
 * Owns the one comparison whose time tells nothing of where two of them differ.
 */
import { timingSafeEqual } from 'node:crypto'

/** Whether two secrets are the same. Only their lengths can be told from the time that it takes. */
export function isSameSecret(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
