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

/** Ends a switch over a tagged union: call it as `unreachable(x satisfies never)`. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${typeof value}`)
}

let verifying = false

/** Turns the dear checks on; every test does, production does not. */
export function enableVerify(): void {
  verifying = true
}

/** A check that costs more than a comparison: runs only where `enableVerify` was called. */
export function verify(check: () => boolean, message: string): void {
  if (verifying) assert(check(), message)
}
