/**
 * Whether what is wanted is there already.
 *
 * Owns the comparing of what somebody wrote with what an answer shows of it: durations may be texts
 * or seconds, lists texts with commas, numbers texts; lists of names have no order. What an answer
 * does not show, such as a password, cannot be compared, and is told by its name. Pure.
 */
import { type Json, type JsonObject, toDurationMs } from '../field.ts'

/** How what is wanted stands to what is there. */
export interface Matched {
  /** Dotted names of what differs. */
  readonly differing: readonly string[]
  /** Of what nothing shows. */
  readonly hidden: readonly string[]
}

/** Compares; what is there beyond what is wanted stays as it is. */
export function matchData(wanted: JsonObject, shown: JsonObject, at = ''): Matched {
  const differing: string[] = []
  const hidden: string[] = []
  for (const [name, value] of Object.entries(wanted)) {
    const path = at + name
    const other = Object.hasOwn(shown, name) ? shown[name] : undefined
    if (other === undefined) {
      if (!isNothing(value)) hidden.push(path)
    } else if (isObject(value) && isObject(other)) {
      const below = matchData(value, other, `${path}.`)
      differing.push(...below.differing)
      // Of an object that is shown, what it lacks is not there.
      differing.push(...below.hidden)
    } else if (!isSame(value, other)) differing.push(path)
  }
  return { differing, hidden }
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isNothing = (value: Json): boolean =>
  value === null || value === '' || (Array.isArray(value) && value.length === 0)

function isSame(wanted: Json, shown: Json): boolean {
  if (wanted === shown || (isNothing(wanted) && isNothing(shown))) return true
  if (Array.isArray(shown) || Array.isArray(wanted)) {
    const [some, others] = [listOf(wanted), listOf(shown)]
    return some.length === others.length && some.every((each, i) => each === others[i])
  }
  if (isObject(wanted) || isObject(shown)) {
    return isNothing(wanted) && isObject(shown) && Object.keys(shown).length === 0
  }
  const [some, other] = [String(wanted), String(shown)]
  if (some === other || some.trim() === other.trim()) return true
  // One of them is a number: the other may be the same time in words.
  if (typeof wanted !== 'number' && typeof shown !== 'number') return false
  const someMs = toDurationMs(wanted)
  return someMs !== undefined && someMs === toDurationMs(shown)
}

function listOf(value: Json): string[] {
  if (value === null || value === '') return []
  const list = Array.isArray(value) ? value : String(value).split(',')
  return list
    .map(each => (typeof each === 'object' ? JSON.stringify(each) : String(each).trim()))
    .sort()
}
