/**
 * Which declared path a path is.
 *
 * Owns the order: the pattern with the longest beginning in letters wins, one segment before the
 * rest of a path, and of those the one with more letters behind it. Pure.
 */
import type { PathSpec } from './declare.ts'

interface Compiled {
  readonly spec: PathSpec
  /** Literal text, or the name of an open part. */
  readonly parts: readonly ({ readonly literal: string } | { readonly name: string })[]
  /** The name of the part that takes the rest; undefined for none. */
  readonly rest: string | undefined
  /** Literals that stand behind the rest. */
  readonly tail: readonly string[]
}

/** A path that was found, with its open parts. */
export interface Matched {
  readonly spec: PathSpec
  readonly parts: Readonly<Record<string, string>>
}

export class Matcher {
  readonly #literal = new Map<string, Compiled[]>()
  readonly #open: Compiled[] = []

  constructor(specs: readonly PathSpec[]) {
    for (const compiled of specs.map(compile).sort(byPrecedence)) {
      const [first] = compiled.parts
      if (first === undefined || !('literal' in first)) this.#open.push(compiled)
      else {
        const known = this.#literal.get(first.literal)
        if (known === undefined) this.#literal.set(first.literal, [compiled])
        else known.push(compiled)
      }
    }
  }

  /** `path` has no slash at its end unless it is a folder's. */
  find(path: string): Matched | undefined {
    const segments = path === '' ? [] : path.split('/')
    const candidates = this.#literal.get(segments[0] ?? '') ?? []
    return firstOf(candidates, segments) ?? firstOf(this.#open, segments)
  }
}

function compile(spec: PathSpec): Compiled {
  const segments = spec.pattern === '' ? [] : spec.pattern.split('/')
  const restAt = segments.findIndex(segment => REST.test(segment))
  const fixed = restAt === -1 ? segments : segments.slice(0, restAt)
  return {
    spec,
    rest: restAt === -1 ? undefined : REST.exec(segments[restAt]!)![1],
    tail: restAt === -1 ? [] : segments.slice(restAt + 1),
    parts: fixed.map(segment => {
      const name = /^\{(\w+)\}$/.exec(segment)?.[1]
      return name === undefined ? { literal: segment } : { name }
    }),
  }
}

const REST = /^\{(\w+)\*\}$/

function byPrecedence(a: Compiled, b: Compiled): number {
  for (const [i, part] of a.parts.entries()) {
    const other = b.parts[i]
    if (other === undefined) return -1
    if ('literal' in part !== 'literal' in other) return 'literal' in part ? -1 : 1
  }
  if (b.parts.length > a.parts.length) return 1
  const rests = Number(a.rest !== undefined) - Number(b.rest !== undefined)
  return rests === 0 ? b.tail.length - a.tail.length : rests
}

function firstOf(
  candidates: readonly Compiled[],
  segments: readonly string[],
): Matched | undefined {
  for (const candidate of candidates) {
    const parts = matchOne(candidate, segments)
    if (parts !== undefined) return { spec: candidate.spec, parts }
  }
  return undefined
}

function matchOne(
  { parts, rest, tail }: Compiled,
  segments: readonly string[],
): Record<string, string> | undefined {
  if (segments.length < parts.length + tail.length) return undefined
  if (rest === undefined && segments.length !== parts.length) return undefined
  const found: Record<string, string> = {}
  for (const [i, part] of parts.entries()) {
    const segment = segments[i]!
    if ('literal' in part) {
      if (part.literal !== segment) return undefined
    } else if (segment === '') return undefined
    else found[part.name] = segment
  }
  if (rest === undefined) return found
  const restEnd = segments.length - tail.length
  if (tail.some((literal, i) => segments[restEnd + i] !== literal)) return undefined
  found[rest] = segments.slice(parts.length, restEnd).join('/')
  // What stands behind the rest is said of something: `mounts/tune` is a mount's name.
  return tail.length > 0 && found[rest] === '' ? undefined : found
}
