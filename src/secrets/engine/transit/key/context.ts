/**
 * The context that keys are derived from, as requests say it.
 *
 * Owns the refusal of what is no base64. Pure.
 */
import { Refusal } from '../../../../base/errors.ts'
import { decode } from './base64.ts'

const UNREADABLE = new Refusal(400, 'failed to base64-decode context')

/** The bytes of a context; none for ''. */
export const contextOf = (text: string): Buffer | Refusal => decode(text) ?? UNREADABLE
