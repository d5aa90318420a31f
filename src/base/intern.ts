/**
 * Interning: one object for many that say the same, where a hundred thousand rows repeat them.
 *
 * Owns bounded pools. What comes out is shared and must never be changed. A full pool is emptied:
 * later values are then shared among themselves.
 */
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
export const internText = (text: string): string =>
  text.length > INTERNED_CHARS ? text : texts.of(text, text)

/** The one list that says this; items are plain data. */
export function internList<T>(list: readonly T[]): readonly T[] {
  if (list.length === 0) return EMPTY_LIST
  const key = JSON.stringify(list)
  return key.length > INTERNED_CHARS ? list : (plain.of(key, list) as readonly T[])
}

/** The one record that says this; values are plain data. */
export function internRecord<T extends object>(record: T): T {
  const key = JSON.stringify(record)
  if (key === '{}') return EMPTY_RECORD as T
  return key.length > INTERNED_CHARS ? record : (plain.of(key, record) as T)
}
