/**
 * What went wrong, in the words that clients match on.
 *
 * Owns which status and text each code of a fault has. Tells nothing of a fault that is ours.
 */
import { OperatingCode, OperatingError } from '../base/errors.ts'

/** What a fault looks like to a client. Faults of ours say no more than that. */
export function faultReply(error: unknown): { status: number; text: string } {
  if (!(error instanceof OperatingError)) return { status: 500, text: 'internal error' }
  switch (error.code) {
    case OperatingCode.unavailable:
      return { status: 500, text: `No cluster leader (${error.message})` }
    case OperatingCode.uncertain:
      return { status: 500, text: `leadership lost while committing log (${error.message})` }
    case OperatingCode.limit:
      return { status: 413, text: `${error.message} (too large; Value exceeds the limit)` }
    case OperatingCode.busy:
      return { status: 429, text: error.message }
    case OperatingCode.unaudited:
      return { status: 503, text: error.message }
    default:
      return { status: 500, text: error.message }
  }
}
