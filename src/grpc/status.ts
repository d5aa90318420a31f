/**
 * How refusals and faults end a call.
 *
 * Owns which code of gRPC each HTTP status and each code of a fault has, and what programs can
 * read beside it. The rooms know HTTP's statuses alone. Tells nothing of a fault that is ours.
 */
import { OperatingCode, OperatingError, Refusal } from '../base/errors.ts'
import type { RpcCode } from '../base/rpc.ts'
import { type FailureDetails, GrpcFailure } from './declare.ts'

/** How a call ended otherwise than well. */
export interface Ending {
  readonly code: RpcCode
  readonly text: string
  /** What HTTP would answer, for records. */
  readonly status: number
  readonly details: FailureDetails
}

/** Of whatever a handler gave or threw. */
export function endingOf(error: unknown): Ending {
  if (error instanceof Refusal) return ofRefusal(error)
  if (error instanceof GrpcFailure) {
    const { code, message: text, details } = error
    return { code, text, status: STATUS_OF[code], details }
  }
  if (error instanceof OperatingError) return ofOperating(error)
  return { code: 'INTERNAL', text: OURS, status: 500, details: NO_DETAILS }
}

/** Ends before anything of the call was done. */
export const refused = (code: RpcCode, text: string, details = NO_DETAILS): Ending => ({
  code,
  text,
  status: STATUS_OF[code],
  details,
})

const NO_DETAILS: FailureDetails = {}

function ofRefusal({ status, text }: Refusal): Ending {
  const code = codeOf(status, text)
  return { code, text: text === '' ? code : text, status, details: detailsOf(status) }
}

/** Consul says 403 of a token that nobody has; to gRPC's clients that is another matter. */
const UNKNOWN_TOKEN = 'ACL not found'

/** A room's "no" has 500 where Consul's has, which means the caller; faults of ours say no more. */
const OURS = 'internal error'

function codeOf(status: number, text: string): RpcCode {
  if (status === 403 && text.startsWith(UNKNOWN_TOKEN)) return 'UNAUTHENTICATED'
  if (status === 500 && text !== OURS) return 'INVALID_ARGUMENT'
  const code = CODE_OF.get(status)
  if (code !== undefined) return code
  return status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT'
}

const CODE_OF: ReadonlyMap<number, RpcCode> = new Map([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [405, 'UNIMPLEMENTED'],
  [408, 'DEADLINE_EXCEEDED'],
  [409, 'ABORTED'],
  [412, 'FAILED_PRECONDITION'],
  [413, 'RESOURCE_EXHAUSTED'],
  [415, 'INVALID_ARGUMENT'],
  [429, 'RESOURCE_EXHAUSTED'],
  [500, 'INTERNAL'],
  [501, 'UNIMPLEMENTED'],
  [503, 'UNAVAILABLE'],
])

const STATUS_OF: Readonly<Record<RpcCode, number>> = {
  CANCELLED: 499,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 412,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
}

const RETRY_MS = 1_000

/** What a status alone tells programs. */
function detailsOf(status: number): FailureDetails {
  switch (status) {
    case 429:
      return {
        reason: 'RATE_LIMITED',
        retryMs: RETRY_MS,
        quota: { subject: 'requests', text: 'limits.request_limits' },
      }
    case 413:
      return { reason: 'TOO_LARGE', quota: { subject: 'size', text: 'see docs/limits.md' } }
    case 503:
      return { retryMs: RETRY_MS }
    default:
      return NO_DETAILS
  }
}

function ofOperating({ code, message: text }: OperatingError): Ending {
  switch (code) {
    case OperatingCode.unavailable:
      return unavailable(`No cluster leader (${text})`, 'NO_LEADER')
    case OperatingCode.uncertain: {
      const details = { reason: 'OUTCOME_UNKNOWN' }
      return { code: 'INTERNAL', text: `it may be done or not: ${text}`, status: 500, details }
    }
    case OperatingCode.unaudited:
      return unavailable(text, 'UNAUDITED')
    case OperatingCode.stopped:
    case OperatingCode.closed:
    case OperatingCode.disk:
      return unavailable(text, 'STORE_STOPPED')
    case OperatingCode.limit:
      return { ...ofRefusal(new Refusal(413, text)), details: { reason: 'TOO_LARGE' } }
    case OperatingCode.busy:
      return {
        ...ofRefusal(new Refusal(429, text)),
        details: { reason: 'BUSY', retryMs: RETRY_MS },
      }
    case OperatingCode.compacted:
      return { code: 'OUT_OF_RANGE', text, status: 410, details: { reason: 'COMPACTED' } }
    default:
      return { code: 'INTERNAL', text, status: 500, details: NO_DETAILS }
  }
}

const unavailable = (text: string, reason: string): Ending => ({
  code: 'UNAVAILABLE',
  text,
  status: 503,
  details: { reason, retryMs: RETRY_MS },
})
