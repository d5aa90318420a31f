/**
 * What one transaction of a large piece of work may hold.
 *
 * Owns the counting of operations and of their size. What does not fit is left to further
 * transactions: see ending.ts. Pure.
 */
import { limits } from '../base/limits.ts'
import type { Op } from '../store/store.ts'

export class Budget {
  #ops = 0
  #sizeBytes = 0

  /** Whether operations that belong together still fit; they count if so. */
  takes(ops: readonly Op[]): boolean {
    const sizeBytes = ops.reduce((total, op) => total + sizeOf(op), 0)
    const fits =
      this.#ops + ops.length <= limits.endingOps &&
      this.#sizeBytes + sizeBytes <= limits.endingSizeBytes
    if (!fits) return false
    this.#ops += ops.length
    this.#sizeBytes += sizeBytes
    return true
  }
}

function sizeOf({ table, key, row }: Op): number {
  const rowSizeBytes = row === undefined ? 0 : table.codec.encode(row).length
  return table.prefix.length + key.length + rowSizeBytes
}
