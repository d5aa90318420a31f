/**
 * Who listens to what a live object tells.
 *
 * Owns that a listener which throws harms nobody else: its fault goes to the process, as if the
 * listener had been called by Node itself.
 */

/** Names of what is told, with what each is told with. */
type Told = Record<string, unknown>

export class Listeners<T extends Told> {
  readonly #listeners = new Map<keyof T, Set<(what: never) => void>>()

  /** Calls `listener` from now on; gives what ends that. */
  on<N extends keyof T>(name: N, listener: (what: T[N]) => void): () => void {
    const all = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, all)
    // Of its own, so that one that is added twice is told twice and ended once.
    const own = (what: T[N]): void => listener(what)
    all.add(own)
    return () => void all.delete(own)
  }

  tell<N extends keyof T>(name: N, what: T[N]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        ;(listener as (what: T[N]) => void)(what)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}
