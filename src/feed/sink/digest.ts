/**
 * What tells one wanted state from another.
 *
 * Owns the sum: SHA-256 over JSON, so that a kind need not compare what it wants piece by piece.
 */
import { createHash } from 'node:crypto'

/** The sum of something that JSON can say; maps and buffers must be spelled out before. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex')
}
