/**
 * Fragments: the JSON text of a stored row, made once and joined into every list that has the row.
 *
 * Owns a bounded cache by cell. A cell never changes, so its text is right for ever; what has not
 * been asked for in a while is forgotten, and what nobody holds any more goes with its cell.
 */
import { limits } from '../base/limits.ts'

export class FragmentCache<T extends object> {
  readonly #render: (cell: T) => string
  /** What was asked for lately; `#older` is what was asked for before that. */
  #recent = new WeakMap<T, string>()
  #older = new WeakMap<T, string>()
  #recentChars = 0

  constructor(render: (cell: T) => string) {
    this.#render = render
  }

  /** The text of a cell. */
  of(cell: T): string {
    return this.#recent.get(cell) ?? this.#keep(cell, this.#older.get(cell) ?? this.#render(cell))
  }

  #keep(cell: T, text: string): string {
    if (this.#recentChars + text.length > limits.fragmentCacheChars / 2) {
      this.#older = this.#recent
      this.#recent = new WeakMap()
      this.#recentChars = 0
    }
    this.#recentChars += text.length
    this.#recent.set(cell, text)
    return text
  }
}
