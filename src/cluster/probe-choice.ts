/**
 * Which agents look after a silent one.
 *
 * Owns the sets of those that can be asked and the choice among them: at random, spread over the
 * servers that hear them, one near to the silent node, one far from it. Near ones tell a node that
 * died from a cable that was cut; far ones do not share its cable. Pure: randomness is passed in.
 */
import type { Random } from '../base/clock.ts'

type Draw = Pick<Random, 'fraction'>

/** How many of a server's agents are compared by their distance for one choice. */
const COMPARED = 6
/** Random picks that meet somebody who cannot be asked, before a server is passed over. */
const MISSES = 12

/** The ids of a set, any of which is had at once. */
class Drawable {
  readonly #list: string[] = []
  readonly #places = new Map<string, number>()

  get size(): number {
    return this.#list.length
  }

  has(id: string): boolean {
    return this.#places.has(id)
  }

  add(id: string): void {
    if (this.#places.has(id)) return
    this.#places.set(id, this.#list.length)
    this.#list.push(id)
  }

  delete(id: string): void {
    const place = this.#places.get(id)
    if (place === undefined) return
    this.#places.delete(id)
    const last = this.#list.pop()!
    if (last === id) return
    this.#list[place] = last
    this.#places.set(last, place)
  }

  draw(random: Draw): string | undefined {
    return this.#list[Math.floor(random.fraction() * this.#list.length)]
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#list.values()
  }
}

/** Who is heard by whom. */
export class Hearers {
  readonly #of = new Map<string, Drawable>()

  /** How many a server hears. */
  count(server: string): number {
    return this.#of.get(server)?.size ?? 0
  }

  has(server: string, id: string): boolean {
    return this.#of.get(server)?.has(id) === true
  }

  add(server: string, id: string): void {
    const set = this.#of.get(server) ?? new Drawable()
    this.#of.set(server, set)
    set.add(id)
  }

  delete(server: string, id: string): void {
    const set = this.#of.get(server)
    set?.delete(id)
    if (set?.size === 0) this.#of.delete(server)
  }

  /** Forgets a server; gives all that it heard. */
  take(server: string): string[] {
    const ids = [...(this.#of.get(server) ?? [])]
    this.#of.delete(server)
    return ids
  }

  /** Forgets all that a server hears but those listed; gives them. */
  takeAllBut(server: string, listed: ReadonlySet<string>): string[] {
    const ids = [...(this.#of.get(server) ?? [])].filter(id => !listed.has(id))
    for (const id of ids) this.delete(server, id)
    return ids
  }

  /** Servers that hear somebody, in random order. */
  servers(random: Draw): string[] {
    return shuffled([...this.#of.keys()], random)
  }

  draw(server: string, random: Draw): string | undefined {
    return this.#of.get(server)?.draw(random)
  }
}

export interface ChoicePorts {
  readonly random: Draw
  /** The round-trip time between two nodes in seconds, infinite where it is not known. */
  readonly distanceS: (one: string, other: string) => number
}

/**
 * At most `count` agents that can be asked about `target`, none of `not`; `spare` stand in where
 * agents lack.
 */
export function chooseProbers(
  hearers: Hearers,
  { random, distanceS }: ChoicePorts,
  target: string,
  { count, not, spare }: { count: number; not: ReadonlySet<string>; spare: readonly string[] },
): string[] {
  const chosen = new Set<string>()
  const mayAsk = (id: string): boolean => id !== target && !not.has(id) && !chosen.has(id)
  const servers = hearers.servers(random)
  // Each time round, every server gives one, until none has one left.
  for (let round = 0; round < count && chosen.size < count; round++) {
    for (const server of servers) {
      if (chosen.size === count) break
      const some = drawSome(hearers, server, mayAsk, random)
      const picked = byDistance(some, chosen.size, id => distanceS(id, target))
      if (picked !== undefined) chosen.add(picked)
    }
  }
  for (const id of shuffled(spare, random)) {
    if (chosen.size < count && mayAsk(id)) chosen.add(id)
  }
  return [...chosen]
}

function drawSome(
  hearers: Hearers,
  server: string,
  mayAsk: (id: string) => boolean,
  random: Draw,
): string[] {
  const some = new Set<string>()
  for (let misses = 0; misses < MISSES && some.size < COMPARED; ) {
    const id = hearers.draw(server, random)
    if (id === undefined) break
    if (mayAsk(id) && !some.has(id)) some.add(id)
    else misses++
  }
  return [...some]
}

/** The nearest, the farthest, and any, in turn. */
function byDistance(
  ids: readonly string[],
  turn: number,
  distanceS: (id: string) => number,
): string | undefined {
  const [first] = ids
  if (first === undefined || turn % 3 === 2) return first
  const sign = turn % 3 === 0 ? 1 : -1
  let best = first
  let bestS = distanceS(first)
  for (const id of ids) {
    const thisS = distanceS(id)
    if (!Number.isFinite(thisS)) continue
    if (!Number.isFinite(bestS) || sign * thisS < sign * bestS) [best, bestS] = [id, thisS]
  }
  return best
}

function shuffled<T>(items: readonly T[], random: Draw): T[] {
  const list = [...items]
  for (let at = list.length - 1; at > 0; at--) {
    const other = Math.floor(random.fraction() * (at + 1))
    ;[list[at], list[other]] = [list[other]!, list[at]!]
  }
  return list
}
