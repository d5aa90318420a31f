/**
 * Values that are there at once, or later: for work of which only some takes long.
 *
 * Owns going on with one either way, so that nothing is waited for that is there.
 */
import { startInSlices } from './slices.ts'

/** What is there by now, or will be. */
export type Eventually<T> = T | Promise<T>

/** Goes on with what is there now, or once it is. */
export const after = <T, R>(
  value: Eventually<T>,
  next: (value: T) => Eventually<R>,
): Eventually<R> => (value instanceof Promise ? value.then(next) : next(value))

/** How many pieces of work are under way at a time, and how often the clock is looked at. */
export interface Pace {
  /** Pieces that are waited for. */
  readonly atOnce: number
  /** Every so many items, a power of two. */
  readonly look: number
}

/**
 * Does the work of all items, and gives what came of each in their order. What needs no waiting is
 * done at once as far as a slice of the loop goes.
 */
export function mapEventually<T, R>(
  items: readonly T[],
  work: (item: T) => Eventually<R>,
  { atOnce, look }: Pace,
): Eventually<R[]> {
  const results = new Array<R>(items.length)
  let pending: Promise<void>[] = []
  const step = (item: T, at: number): undefined | Promise<unknown> => {
    const result = work(item)
    if (!(result instanceof Promise)) {
      results[at] = result
      return undefined
    }
    pending.push(
      result.then(done => {
        results[at] = done
      }),
    )
    if (pending.length < atOnce) return undefined
    const all = Promise.all(pending)
    pending = []
    return all
  }
  const begun = startInSlices(items, step, look)
  if (begun === undefined && pending.length === 0) return results
  return Promise.resolve(begun)
    .then(() => Promise.all(pending))
    .then(() => results)
}
