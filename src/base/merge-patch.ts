/**
 * JSON merge patch (RFC 7396). Pure.
 *
 * Owns the rule alone: null takes away, objects are merged, all else replaces.
 */

type Parts = { readonly [key: string]: unknown }

/** What `patch` makes of `target`; neither is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map(isObject(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  return Object.fromEntries(merged)
}

const isObject = (value: unknown): value is Parts =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
