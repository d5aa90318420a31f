/**
 * Interning: one object for many that say the same, where a hundred thousand rows repeat them.
 *
 * Owns bounded pools. What comes out is shared and must never be changed. A full pool is emptied:
 * later values are then shared among themselves. A value that takes the place of another one is
 * shared with that or with nobody: what changes changes again, and would only fill the pools.
 */
import { same } from './equal.ts'
import { limits } from './limits.ts'

class Pool<T> {
  #kept = new Map<string, T>()

  of(key: string, value: T): T {
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    if (this.#kept.size >= limits.internedValues) this.#kept = new Map()
    this.#kept.set(key, value)
    return value
  }
}

const texts = new Pool<string>()
const plain = new Pool<unknown>()
const EMPTY_LIST: readonly never[] = Object.freeze([])
const EMPTY_RECORD = Object.freeze({})

/** Values longer than this are hardly repeated, and cost more to compare than they save. */
const INTERNED_CHARS = 256

/** The one string that says this. For names, not for ids that are each used once. */
export function internText(text: string, before?: string): string {
  if (before !== undefined) return text === before ? before : text
  return text.length > INTERNED_CHARS ? text : texts.of(text, text)
}

/** The one list that says this; items are plain data. */
export function internList<T>(list: readonly T[], before?: readonly T[]): readonly T[] {
  if (list.length === 0) return EMPTY_LIST
  if (before !== undefined) return same(list, before) ? before : list
  const key = JSON.stringify(list)
  return key.length > INTERNED_CHARS ? list : (plain.of(key, list) as readonly T[])
}

/** The one record that says this; values are plain data. */
export function internRecord<T extends object>(record: T, before?: T): T {
  if (before !== undefined) return same(record, before) ? before : record
  const key = JSON.stringify(record)
  if (key === '{}') return EMPTY_RECORD as T
  return key.length > INTERNED_CHARS ? record : (plain.of(key, record) as T)
}
