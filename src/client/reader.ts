/**
 * Reading changes one after the other, at the reader's own pace.
 *
 * Owns that a slow reader costs at most one waiting change for each item, and that leaving a loop
 * leaves nothing behind.
 */
import { type Change, type Item, Waiting } from './view.ts'

/** An iterator of changes: first all that is there, as `added`, then what happens to it. */
export class ChangeReader<V> implements AsyncIterableIterator<Change<V>> {
  readonly #waiting = new Waiting<V>()
  readonly #leave: (reader: ChangeReader<V>) => void
  #wanted: ((result: IteratorResult<Change<V>, undefined>) => void)[] = []
  #isOver = false

  /** `leave` is called once, when the reader is through or its source ended. */
  constructor(there: Iterable<Item<V>>, leave: (reader: ChangeReader<V>) => void) {
    this.#leave = leave
    for (const item of there) this.#waiting.add({ kind: 'added', ...item, before: undefined })
  }

  /** How many changes wait to be read. */
  get waiting(): number {
    return this.#waiting.size
  }

  add(changes: readonly Change<V>[]): void {
    if (this.#isOver) return
    for (const change of changes) this.#waiting.add(change)
    while (this.#wanted.length > 0) {
      const value = this.#waiting.take()
      if (value === undefined) return
      this.#wanted.shift()?.({ value, done: false })
    }
  }

  /** The source tells nothing more. What waits can still be read. */
  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const wanted of this.#wanted.splice(0)) wanted({ value: undefined, done: true })
    this.#leave(this)
  }

  next(): Promise<IteratorResult<Change<V>, undefined>> {
    const value = this.#waiting.take()
    if (value !== undefined) return Promise.resolve({ value, done: false })
    if (this.#isOver) return Promise.resolve({ value: undefined, done: true })
    return new Promise(resolve => this.#wanted.push(resolve))
  }

  return(): Promise<IteratorResult<Change<V>, undefined>> {
    while (this.#waiting.take() !== undefined);
    this.end()
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
