/**
 * Refusals that several places give, in the words that clients of Vault's match on.
 *
 * Owns the texts alone; when one is given is decided elsewhere.
 */
import { Refusal, severalErrors } from '../base/errors.ts'

/** A refusal in the form of Go's multierror, as the router's errors come. */
export const asSeveral = (status: number, text: string): Refusal =>
  new Refusal(status, severalErrors([text]))

/** What every refusal of a right says. */
export const DENIED = asSeveral(403, 'permission denied')
/** What is said to a token that is nobody's: revoked, over, or never given. */
export const INVALID = new Refusal(403, severalErrors(['permission denied', 'invalid token']))
export const UNSUPPORTED_PATH = asSeveral(404, 'unsupported path')
export const UNSUPPORTED_OPERATION = asSeveral(405, 'unsupported operation')
