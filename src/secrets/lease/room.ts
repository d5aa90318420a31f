/**
 * What one transaction of a large piece of work may hold.
 *
 * Owns the counting. What does not fit is left to further transactions. Pure.
 */
import { limits } from '../../base/limits.ts'

/** How many rows a transaction may still write. */
export class Room {
  left: number

  constructor(left: number = limits.endingOps) {
    this.left = left
  }

  /** Takes the room of so many rows, if there is so much. */
  take(rows: number): boolean {
    if (rows > this.left) return false
    this.left -= rows
    return true
  }
}
