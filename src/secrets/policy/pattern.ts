/**
 * Paths of blocks as patterns: one path, all that begin alike, or paths segment by segment.
 *
 * Owns what `*` and `+` mean, and which of two patterns that cover one path goes before the other.
 * A `*` is one only at the very end, a `+` only as a whole segment; elsewhere they stand for
 * themselves.
 */

export interface Pattern {
  /** With its wildcards, and the namespace of its policy. */
  readonly text: string
  readonly form: 'exact' | 'prefix' | 'segments'
  /** Segments before the closing `*`, of which the last may be a part of one. */
  readonly segments: readonly string[]
  /** Whether it ends in `*`. */
  readonly isOpen: boolean
  /** Where the first wildcard stands; the length where there is none. */
  readonly firstAt: number
  /** How many segments are `+`. */
  readonly plusCount: number
  /** The text without a closing `*`. */
  readonly stem: string
}

/** What no path of a policy may have. */
export const FORBIDDEN = '+*'

/** The pattern of a path; there is one for each text. */
export function patternOf(text: string): Pattern {
  const isOpen = text.endsWith('*')
  const stem = isOpen ? text.slice(0, -1) : text
  const segments = stem.split('/')
  const plusCount = segments.filter(isPlus).length
  const before = plusCount === 0 ? [] : segments.slice(0, segments.findIndex(isPlus))
  return {
    ...{ text, segments, isOpen, plusCount, stem },
    form: plusCount > 0 ? 'segments' : isOpen ? 'prefix' : 'exact',
    firstAt: plusCount === 0 ? stem.length : before.reduce((sum, one) => sum + one.length + 1, 0),
  }
}

/** Whether a segment of a pattern stands for any one. */
export const isPlus = (segment: string): boolean => segment === '+'

/**
 * Whether `a` decides before `b` about a path that both cover, both with wildcards: the later
 * first wildcard, a closed pattern, fewer `+`, the longer one, the one that sorts last.
 */
export function goesBefore(a: Pattern, b: Pattern): boolean {
  if (a.firstAt !== b.firstAt) return a.firstAt > b.firstAt
  if (a.isOpen !== b.isOpen) return b.isOpen
  if (a.plusCount !== b.plusCount) return a.plusCount < b.plusCount
  if (a.stem.length !== b.stem.length) return a.stem.length > b.stem.length
  return a.stem > b.stem
}
