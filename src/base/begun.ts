/**
 * A stream whose first piece is there, and one that nobody is to read.
 *
 * Owns nothing but those steps: what fails before the first piece can still be answered otherwise
 * than by a stream that breaks off, and what was begun holds something until it ends.
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

/** The rest of an answer, until the signal. */
type Parts = (signal: AbortSignal) => AsyncIterable<unknown>

/** Ends what nobody reads after all, so that what it holds is let go of. Never rejects. */
export async function letGo(parts: Parts): Promise<void> {
  try {
    // To end one that was not asked for anything yet would run none of it.
    for await (const _part of parts(AbortSignal.abort())) break
  } catch {
    // It has ended.
  }
}
