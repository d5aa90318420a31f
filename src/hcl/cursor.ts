/**
 * A place in a text that only moves forward and knows its line and column.
 *
 * Owns the counting of lines, the bound on nesting and how objects are put together from their
 * keys; both grammars of this folder stand on it. Knows nothing of tokens.
 */
import { assert } from '../base/assert.ts'
import { limits } from '../base/limits.ts'
import { HclError } from './error.ts'
import type { HclEntry, HclObject, HclValue, Position } from './hcl.ts'

/** What is noted of a text beside its data, by the object that it concerns. */
export interface Notes {
  readonly positions: Map<HclObject, ReadonlyMap<string, Position>>
  /** Kept on demand only. */
  readonly entries: Map<HclObject, readonly HclEntry[]> | undefined
}

export class Cursor {
  readonly text: string
  /** Offset of the next character. */
  at: number
  #line = 1
  #lineStart = 0
  /** The last offset asked for: positions are asked for in ascending order. */
  #asked = 0
  #nextLineStart: number
  #depth = 0

  constructor(text: string) {
    this.text = text
    this.at = text.startsWith('\ufeff') ? 1 : 0
    this.#nextLineStart = this.#lineStartAfter(0)
  }

  /** Line and column of an offset that is not before the last one asked for. */
  positionAt(offset: number): Position {
    assert(offset >= this.#asked, 'positions are asked for in ascending order')
    this.#asked = offset
    while (this.#nextLineStart <= offset) {
      this.#line++
      this.#lineStart = this.#nextLineStart
      this.#nextLineStart = this.#lineStartAfter(this.#lineStart)
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 }
  }

  /** Stops the parse at the place where the cursor stands. */
  fail(reason: string): never {
    const position = this.positionAt(Math.max(this.at, this.#asked))
    throw new HclError(reason, position.line, position.column)
  }

  /** Runs `parse` one level deeper, within the bound. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > limits.hclDepth) this.fail(`nested deeper than ${limits.hclDepth}`)
    const value = parse()
    this.#depth--
    return value
  }

  #lineStartAfter(offset: number): number {
    const newline = this.text.indexOf('\n', offset)
    return newline === -1 ? Number.POSITIVE_INFINITY : newline + 1
  }
}

/** Gathers the keys of one object. Keys such as `__proto__` become plain own properties. */
export class ObjectBuilder {
  readonly #notes: Notes
  readonly #entries: HclEntry[] | undefined
  readonly #values = new Map<string, HclValue>()
  readonly #positions = new Map<string, Position>()
  /** Keys whose array stands for blocks that were repeated, not for a list that was written. */
  readonly #repeated = new Set<string>()

  constructor(notes: Notes) {
    this.#notes = notes
    this.#entries = notes.entries === undefined ? undefined : []
  }

  /** Sets a key; one that is there already is replaced. */
  set(key: string, value: HclValue, position: Position): void {
    this.#entries?.push({ key, value, position })
    this.#keep(key, value, position)
  }

  /** As `set`, but an object that follows an object makes a list of both. */
  add(key: string, value: HclValue, position: Position): void {
    this.#entries?.push({ key, value, position })
    const before = this.#values.get(key)
    const isBlock = typeof value === 'object' && value !== null && !Array.isArray(value)
    if (isBlock && Array.isArray(before) && this.#repeated.has(key)) {
      before.push(value)
      return
    }
    const isSecond =
      isBlock && typeof before === 'object' && before !== null && !Array.isArray(before)
    if (isSecond) this.#repeated.add(key)
    else this.#repeated.delete(key)
    this.#keep(key, isSecond ? [before, value] : value, position)
  }

  /** The object; what is noted of it is noted under it. */
  build(): HclObject {
    const object: HclObject = Object.fromEntries(this.#values)
    this.#notes.positions.set(object, this.#positions)
    if (this.#entries !== undefined) this.#notes.entries?.set(object, this.#entries)
    return object
  }

  #keep(key: string, value: HclValue, position: Position): void {
    this.#values.set(key, value)
    this.#positions.set(key, position)
  }
}
