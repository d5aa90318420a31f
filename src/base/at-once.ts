/**
 * Work that is done at once where it can be, and is waited for where it must be.
 *
 * Owns the one way to go on with either.
 */

/** What is there by now, or will be. */
export type Soon<T> = T | Promise<T>

/** Goes on with a value: at once if it is there, and without a turn of the loop. */
export const after = <T, U>(value: Soon<T>, next: (value: T) => Soon<U>): Soon<U> =>
  value instanceof Promise ? value.then(next) : next(value)
