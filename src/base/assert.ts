/**
 * Assertions for programmer's faults: a state that the code itself must rule out.
 *
 * Owns the one way to stop on an impossible state. Must never be used for a caller's fault
 * (that is a Refusal, see errors.ts) nor for an operating fault (that is retried or reported).
 */

/** Thrown when the program's own reasoning is wrong; never caught to go on. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
}

/** Stops when `condition` is false. The message names what must hold, never any user's data. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/**
 * Whether the dear checks are on: in every test and what it starts (the runner sets the variable,
 * a test file that is run by hand is known by its name), never in production.
 */
export const isVerifying: boolean =
  process.env.GATEHOUSE_VERIFY === '1' || process.argv[1]?.endsWith('.test.ts') === true

/** A check that costs more than a comparison. */
export function verify(check: () => boolean, message: string): void {
  if (isVerifying) assert(check(), message)
}
