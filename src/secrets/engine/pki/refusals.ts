/**
 * Refusals of the PKI engine, in the words that clients of Vault's match on.
 *
 * Owns the form alone.
 */
import { Refusal } from '../../../base/errors.ts'

/** The caller's fault. */
export const bad = (text: string): Refusal => new Refusal(400, text)

/** What is known, and not served. */
export const later = (what: string): Refusal => new Refusal(501, `not served yet: ${what}`)
