/**
 * Finds, among patterns with wildcards, the one that decides about a path.
 *
 * Owns a tree over the segments of patterns. A look-up follows the path as far as patterns spell
 * it out and then goes back: the later a first wildcard stands, the sooner its pattern is tried.
 * Where patterns begin with the same words and then have a `+`, the rest of them is searched, the
 * ones with fewer `+` first; nothing that cannot cover the path is looked at.
 */
import { goesBefore, isPlus, type Pattern } from './pattern.ts'

interface Kept {
  readonly pattern: Pattern
}

interface Place<R> {
  /** By the segment that comes next. */
  readonly below: Map<string, Place<R>>
  /** Where the next segment may be any. */
  plus: Place<R> | undefined
  /** Of the pattern that ends here. */
  end: R | undefined
  /** Of open patterns, by the part of the next segment that they spell out. */
  readonly open: Map<string, R>
  /** The lengths of those parts, the longest first. */
  readonly lengths: number[]
}

const emptyPlace = <R>(): Place<R> => ({
  below: new Map(),
  plus: undefined,
  end: undefined,
  open: new Map(),
  lengths: [],
})

export class PatternTree<R extends Kept> {
  readonly #root = emptyPlace<R>()

  /** The patterns have wildcards and differ. */
  constructor(rules: Iterable<R>) {
    for (const rule of rules) insert(this.#root, rule)
  }

  /** What decides about a path by a pattern with wildcards, if anything does. */
  find(path: string): R | undefined {
    const segments = path.split('/')
    const spelt: Place<R>[] = [this.#root]
    for (let at = 0; at < segments.length; at++) {
      const next = spelt[at]!.below.get(segments[at]!)
      if (next === undefined) break
      spelt.push(next)
    }
    for (let at = Math.min(spelt.length, segments.length) - 1; at >= 0; at--) {
      const found = findAt(spelt[at]!, segments, at)
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** The best of the patterns whose first wildcard stands in the segment `at` of the path. */
function findAt<R extends Kept>(
  place: Place<R>,
  segments: readonly string[],
  at: number,
): R | undefined {
  const open = openOf(place, segments[at]!)
  // What spells out a part of the segment has its wildcard after that of a `+`.
  if (place.plus === undefined || (open !== undefined && !endsAtSlash(open))) return open
  const search = new Search(segments, open)
  search.throughPlus(place.plus, at, 0)
  return search.best
}

const endsAtSlash = ({ pattern }: Kept): boolean => pattern.segments.at(-1) === ''

/** Of the open patterns at a place the one that spells out most of the segment. */
function openOf<R>({ open, lengths }: Place<R>, segment: string): R | undefined {
  for (const length of lengths) {
    if (length > segment.length) continue
    const rule = open.get(segment.slice(0, length))
    if (rule !== undefined) return rule
  }
  return undefined
}

class Search<R extends Kept> {
  best: R | undefined
  readonly #segments: readonly string[]

  constructor(segments: readonly string[], best: R | undefined) {
    this.#segments = segments
    this.best = best
  }

  /** The segment `at` is taken by a `+`, if there is something for it to stand for. */
  throughPlus(place: Place<R>, at: number, plusCount: number): void {
    const { best } = this
    // Whatever has more `+` than a closed pattern that was found cannot go before it.
    if (best?.pattern.isOpen === false && plusCount + 1 > best.pattern.plusCount) return
    if (this.#segments[at] !== '') this.#from(place, at + 1, plusCount + 1)
  }

  #from(place: Place<R>, at: number, plusCount: number): void {
    const segment = this.#segments[at]
    if (segment === undefined) {
      this.#offer(place.end)
      return
    }
    const next = place.below.get(segment)
    if (next !== undefined) this.#from(next, at + 1, plusCount)
    this.#offer(openOf(place, segment))
    if (place.plus !== undefined) this.throughPlus(place.plus, at, plusCount)
  }

  #offer(rule: R | undefined): void {
    if (rule === undefined) return
    if (this.best === undefined || goesBefore(rule.pattern, this.best.pattern)) this.best = rule
  }
}

function insert<R extends Kept>(root: Place<R>, rule: R): void {
  const { segments, isOpen } = rule.pattern
  const whole = isOpen ? segments.slice(0, -1) : segments
  let place = root
  for (const segment of whole) place = isPlus(segment) ? plusOf(place) : belowOf(place, segment)
  if (!isOpen) {
    place.end = rule
    return
  }
  const part = segments.at(-1)!
  place.open.set(part, rule)
  if (!place.lengths.includes(part.length)) place.lengths.push(part.length)
  place.lengths.sort((a, b) => b - a)
}

function plusOf<R>(place: Place<R>): Place<R> {
  place.plus ??= emptyPlace()
  return place.plus
}

function belowOf<R>(place: Place<R>, segment: string): Place<R> {
  const known = place.below.get(segment)
  if (known !== undefined) return known
  const made = emptyPlace<R>()
  place.below.set(segment, made)
  return made
}
