/**
 * Routes that were found before: the way of a path that is asked for again.
 *
 * Owns what is remembered of a router's findings, within bounds. Routes nothing itself: what it
 * does not know the router finds. An open end whose beginning no other route of its method shares
 * is known by that beginning, every other path by itself.
 */
import { limits } from '../limits.ts'

export interface Route<T> {
  readonly method: string
  /** As the router has it: names in a path begin with ':', and '*' is an open end. */
  readonly pattern: string
  readonly target: T
}

/** The routes of one method. */
interface OfMethod<T> {
  readonly patterns: string[]
  /** Those with an open end that were found; few, and looked at before any path is hashed. */
  readonly open: { readonly start: string; readonly target: T }[]
  paths: Map<string, T>
}

export class Routes<T> {
  readonly #methods = new Map<string, OfMethod<T>>()

  /** Tells of a route before the first request comes. */
  declare({ method, pattern }: Route<T>): void {
    this.#of(method).patterns.push(pattern)
  }

  /** Where a request goes; undefined where no such one was routed yet. */
  known(method: string, target: string): T | undefined {
    const routes = this.#methods.get(method)
    if (routes === undefined) return undefined
    const path = pathOf(target)
    for (const open of routes.open) if (path.startsWith(open.start)) return open.target
    return routes.paths.get(path)
  }

  /** Remembers where the router sent a request. */
  found({ method, pattern, target }: Route<T>, requestTarget: string): void {
    const routes = this.#of(method)
    const start = pattern.slice(0, -1)
    const isOpen = pattern.endsWith('*') && !start.includes(':')
    if (isOpen && routes.patterns.every(each => each === pattern || !each.startsWith(start))) {
      const known = routes.open.some(open => open.start === start)
      if (!known) routes.open.push({ start, target })
      return
    }
    const path = pathOf(requestTarget)
    if (path.length > limits.routedPathChars) return
    if (routes.paths.size >= limits.routedPaths) routes.paths = new Map()
    routes.paths.set(path, target)
  }

  #of(method: string): OfMethod<T> {
    let routes = this.#methods.get(method)
    if (routes === undefined) {
      routes = { patterns: [], open: [], paths: new Map() }
      this.#methods.set(method, routes)
    }
    return routes
  }
}

function pathOf(target: string): string {
  const mark = target.indexOf('?')
  return mark === -1 ? target : target.slice(0, mark)
}
