/**
 * Equality of plain data: what two rows say, not which objects they are.
 *
 * Owns one comparison, used to leave out writes that would change nothing.
 */

/** Whether two values of plain data (objects, arrays, buffers, primitives) say the same. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Buffer.isBuffer(a) || Buffer.isBuffer(b)) {
    return Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b)
  }
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!same(a[i], b[i])) return false
    return true
  }
  if (Array.isArray(b)) return false
  // Counted and compared in place: a list of keys for each object would be garbage at once.
  let left = 0
  for (const key in a) {
    if (!Object.hasOwn(b, key)) return false
    if (!same(a[key as keyof typeof a], b[key as keyof typeof b])) return false
    left++
  }
  for (const _key in b) left--
  return left === 0
}
