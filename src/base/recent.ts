/**
 * What was used recently: a bounded memory of values by their keys.
 *
 * Owns the bound. Two generations: what is asked for moves to the young one; once that is full, the
 * old one goes. So at most twice the bound is kept, and nothing is counted or sorted.
 */

export class Recent<K, V> {
  readonly #bound: number
  #young = new Map<K, V>()
  #old = new Map<K, V>()

  /** At least `bound` of the values that were used last are kept, and at most twice as many. */
  constructor(bound: number) {
    this.#bound = bound
  }

  get(key: K): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#bound) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  /** How many are kept; one that is in both generations counts twice. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  clear(): void {
    this.#young = new Map()
    this.#old = new Map()
  }
}
