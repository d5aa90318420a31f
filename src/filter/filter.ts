/**
 * Filters: the door of this folder. A text and the declared fields in, a test of items out.
 *
 * Owns the refusal that clients match on, and the few compiled filters that are kept, so that a
 * filter that is asked again need not be compiled again.
 */
import { Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { FilterError, print } from './expression.ts'
import { compile, type Fields } from './fields.ts'
import { parse } from './parse.ts'

export interface Filter<T> {
  /** The same for all expressions that are written differently and say the same word for word. */
  readonly text: string
  /** Whether an item is wanted. Throws a Refusal where a regular expression takes too long. */
  readonly keeps: (item: T) => boolean
}

/**
 * The filter that a text says; undefined for '', which keeps everything. 500 for a text that is no
 * expression, and for one that selects what is not declared: clients know both by that status.
 */
export function filterOf<T>(text: string, fields: Fields<T>): Filter<T> | Refusal | undefined {
  if (text === '') return undefined
  const kept = keptFor(fields)
  const known = kept.get(text)
  if (known !== undefined) return known
  try {
    const filter = filterFrom(text, fields)
    if (kept.size >= limits.filterCacheEntries) kept.delete(kept.keys().next().value!)
    kept.set(text, filter)
    return filter
  } catch (error) {
    return refusalOf(error)
  }
}

const cache = new WeakMap<object, Map<string, Filter<never>>>()

function keptFor<T>(fields: Fields<T>): Map<string, Filter<T>> {
  const kept = cache.get(fields) ?? new Map()
  cache.set(fields, kept)
  return kept
}

function filterFrom<T>(text: string, fields: Fields<T>): Filter<T> {
  const expression = parse(text)
  const work = { left: 0 }
  const test = compile(expression, fields, { left: limits.filterPatternSteps, work })
  const keeps = (item: T): boolean => {
    work.left = limits.filterPatternWork
    try {
      return test(item)
    } catch (error) {
      throw refusalOf(error)
    }
  }
  return { text: print(expression), keeps }
}

/** Everything else that is thrown is a fault of ours, and goes on. */
function refusalOf(error: unknown): Refusal {
  if (!(error instanceof FilterError)) throw error
  return new Refusal(500, `Failed to create boolean expression evaluator: ${error.message}`)
}
