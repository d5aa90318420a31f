/**
 * Answers as Vault's clients read them: the envelope, its copies at the top, and errors.
 *
 * Owns the order and the presence of every key. Pure.
 */
import { stringifyExact } from '../base/exact-json.ts'
import type { Answer } from './declare.ts'

/** A finished answer. */
export interface Rendered {
  readonly status: number
  readonly body: string | Buffer
  readonly type: string
  readonly headers?: Readonly<Record<string, string>>
  /** What follows the head, in place of a body, as it comes. */
  readonly parts?: (signal: AbortSignal) => AsyncIterable<string | Uint8Array>
}

const JSON_TYPE = 'application/json'
const OCTETS = 'application/octet-stream'
const NO_CONTENT = 204
const NOT_FOUND = 404

export interface Wrapped {
  readonly token: string
  readonly accessor: string
  readonly ttl: number
  readonly creation_time: string
  readonly creation_path: string
  readonly wrapped_accessor?: string
}

/** What an answer was to. */
export interface Context {
  readonly requestId: string
  readonly isRead: boolean
  readonly mountType: string
  /** Whether `data` stands beside the envelope too, as old clients look for it. */
  readonly copiesData: boolean
}

export const errorBody = (errors: readonly string[]): string => JSON.stringify({ errors })

/** The body of an answer. */
export function render(answer: Answer, context: Context): Rendered {
  const { bare, raw, headers, wrapped, wrappedAs } = answer
  const more = headers === undefined ? {} : { headers }
  if (answer.parts !== undefined) {
    const { parts, type = OCTETS } = answer
    return { status: answer.status ?? 200, body: '', type, parts, ...more }
  }
  if (wrapped !== undefined) {
    const told = wrappedAs === undefined ? wrapped : { ...wrapped, token: wrappedAs }
    const body = wrappedEnvelope(told, answer.warnings)
    return { status: 200, body, type: JSON_TYPE, ...more }
  }
  if (raw !== undefined) return { status: answer.status ?? 200, ...raw, ...more }
  if (bare !== undefined) {
    const body = `${stringifyExact(bare)}\n`
    return { status: answer.status ?? 200, body, type: JSON_TYPE, ...more }
  }
  const says =
    answer.data !== undefined ||
    answer.dataText !== undefined ||
    answer.auth !== undefined ||
    answer.lease !== undefined ||
    (answer.warnings ?? []).length > 0
  if (!says) {
    const status = answer.status ?? (context.isRead ? NOT_FOUND : NO_CONTENT)
    const isRefused = status === NOT_FOUND || answer.errors !== undefined
    const body = isRefused ? errorBody(answer.errors ?? []) : ''
    return { status, body, type: JSON_TYPE, ...more }
  }
  return { status: answer.status ?? 200, body: envelope(answer, context), type: JSON_TYPE, ...more }
}

/** The envelope of an answer, with a line end behind it as Go's encoder writes one. */
function envelope(
  answer: Answer,
  { requestId, mountType, copiesData }: Omit<Context, 'isRead'>,
): string {
  const { lease, auth, warnings } = answer
  const data = answer.dataText ?? (answer.data === undefined ? 'null' : stringifyExact(answer.data))
  const copies =
    copiesData && answer.data !== undefined && Object.keys(answer.data).length > 0
      ? `,${data.slice(1, -1)}`
      : ''
  const errors = answer.errors === undefined ? '' : `"errors":${JSON.stringify(answer.errors)},`
  return (
    `{${errors}"request_id":${JSON.stringify(requestId)},` +
    `"lease_id":${JSON.stringify(lease?.id ?? '')},"renewable":${lease?.renewable ?? false},` +
    `"lease_duration":${lease?.durationS ?? 0},"data":${data},"wrap_info":null,` +
    `"warnings":${warnings === undefined || warnings.length === 0 ? 'null' : JSON.stringify(warnings)},` +
    `"auth":${auth === undefined ? 'null' : JSON.stringify(auth)},` +
    `"mount_type":${JSON.stringify(mountType)}${copies}}\n`
  )
}

/** The envelope of an answer that was wrapped: all else is left to who unwraps it. */
const wrappedEnvelope = (wrapped: Wrapped, warnings: readonly string[] = []): string =>
  `{"request_id":"","lease_id":"","renewable":false,"lease_duration":0,"data":null,` +
  `"wrap_info":${JSON.stringify(wrapped)},` +
  `"warnings":${warnings.length === 0 ? 'null' : JSON.stringify(warnings)},` +
  '"auth":null,"mount_type":""}\n'
