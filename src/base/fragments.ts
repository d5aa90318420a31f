/**
 * Fragments: what stands for a stored row on the wire, made once and joined into every list that
 * has the row.
 *
 * Owns a bounded cache by cell. A cell never changes, so its fragment is right for ever; what has
 * not been asked for in a while is forgotten, and what nobody holds any more goes with its cell.
 */
import { limits } from './limits.ts'

/** Texts or bytes; anything that knows its length. */
export class FragmentCache<T extends object, F extends { readonly length: number } = string> {
  readonly #render: (cell: T) => F
  /** What was asked for lately; `#older` is what was asked for before that. */
  #recent = new WeakMap<T, F>()
  #older = new WeakMap<T, F>()
  #recentLength = 0

  constructor(render: (cell: T) => F) {
    this.#render = render
  }

  /** The fragment of a cell. */
  of(cell: T): F {
    return this.#recent.get(cell) ?? this.#keep(cell, this.#older.get(cell) ?? this.#render(cell))
  }

  #keep(cell: T, fragment: F): F {
    if (this.#recentLength + fragment.length > limits.fragmentCacheChars / 2) {
      this.#older = this.#recent
      this.#recent = new WeakMap()
      this.#recentLength = 0
    }
    this.#recentLength += fragment.length
    this.#recent.set(cell, fragment)
    return fragment
  }
}
