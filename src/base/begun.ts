/**
 * A stream whose first piece is there.
 *
 * Owns nothing but that step: what fails before the first piece can still be answered otherwise
 * than by a stream that breaks off.
 */

/** The same items, once the first came; rejects as that would. Whoever stops early ends both. */
export async function begun<T>(
  items: AsyncGenerator<T, void, undefined>,
): Promise<AsyncGenerator<T, void, undefined>> {
  const first = await items.next()
  async function* all(): AsyncGenerator<T, void, undefined> {
    try {
      if (first.done !== true) yield first.value
      yield* items
    } finally {
      await items.return()
    }
  }
  return all()
}
