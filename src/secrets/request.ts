/**
 * Requests to the secrets as all faces make them: the one canonical form of a path, data as JSON,
 * and that nothing is answered before its record is kept.
 *
 * Owns what must not differ between faces. Decides nothing of what is asked.
 */
import { letGo } from '../base/begun.ts'
import { parseBody } from '../base/bounded-json.ts'
import { Refusal } from '../base/errors.ts'
import { after, type Eventually } from '../base/eventually.ts'
import { limits } from '../base/limits.ts'
import type { Who } from '../base/who.ts'
import { SecretsCaller } from './audit.ts'
import type { SecretsRequest } from './decide.ts'
import type { Operation } from './declare.ts'
import type { JsonObject } from './field.ts'
import type { Handled } from './room.run.ts'

/** Whether it changes what stands there, as far as its verb tells. */
export const isWrite = (operation: Operation): boolean =>
  operation === 'update' || operation === 'create' || operation === 'patch'

/**
 * A path as it is routed, authorised and executed; `name` is decoded already. A refusal may have no
 * text.
 */
export function canonicalPath(name: string): string | Refusal {
  // Text that is not UTF-8 would be two keys in one spelling.
  if (name.includes('\ufffd')) return new Refusal(400, '')
  const segments = name.split('/')
  if (segments.includes('..')) return new Refusal(400, 'relative paths not supported')
  if (segments.includes('.')) return new Refusal(400, 'relative paths not supported')
  const path = name.replaceAll(/\/{2,}/g, '/').replace(/^\//, '')
  return Buffer.byteLength(path) > limits.secretPathSizeBytes
    ? new Refusal(400, `path exceeds ${limits.secretPathSizeBytes} bytes`)
    : path
}

/** The path that an operation means: that of a list ends in a slash, none that is written does. */
export function pathFor(operation: Operation, path: string): string | Refusal {
  const isFolder = operation === 'list' || operation === 'scan'
  if (isFolder && !path.endsWith('/')) return `${path}/`
  return isWrite(operation) && path.endsWith('/') ? NO_FOLDER : path
}

const NO_FOLDER = new Refusal(400, "cannot write to a path ending in '/'")

/** The data of a body: JSON, or a form where the client says so and it is no JSON. */
export function dataOf(mediaType: string, body: Buffer): JsonObject | Refusal {
  const parsed = parseBody(mediaType, body)
  if ('fault' in parsed) {
    const { what, text } = parsed.fault
    return new Refusal(400, what === 'syntax' ? BAD_BODY : `${BAD_BODY}: ${text}`)
  }
  const { value } = parsed
  if (value === undefined || value === null) return NO_DATA
  return typeof value === 'object' && !Array.isArray(value)
    ? (value as JsonObject)
    : new Refusal(400, BAD_BODY)
}

export const NO_DATA: JsonObject = {}
const BAD_BODY = 'error parsing JSON'

/** Where records of answers go: what the audit room does of it. */
export interface Records {
  /** Keeps the record of what was answered; undefined where that is done already. */
  answered(who: Who, answer: { status: number; reason?: string }): Promise<void> | undefined
}

/** What anybody may ask at any time, and has no effect. */
const UNAUDITED = /^sys\/(health|seal-status|leader|init)$/

/** How a request came: the verb of HTTP that stands for it, and what it carried. */
export interface Sent {
  readonly method: string
  readonly bodySizeBytes: number
  /** The face, where it is not HTTP. */
  readonly face?: string
}

/** What is given to a request, once the record of it is kept. */
export function recorded(
  records: Records | undefined,
  request: SecretsRequest,
  sent: Sent,
  handle: (caller: SecretsCaller | undefined) => Eventually<Handled>,
): Eventually<Handled> {
  if (records === undefined || UNAUDITED.test(request.path)) return handle(undefined)
  const caller = new SecretsCaller(request, sent.method, sent)
  return after(handle(caller), handled => kept(records, caller, handled))
}

/** What was given, once the record of it is kept. */
function kept(records: Records, caller: SecretsCaller, handled: Handled): Eventually<Handled> {
  const { status } = handled
  const reason = handled instanceof Refusal ? { reason: handled.text } : {}
  const keeping = records.answered(caller, { status, ...reason })
  if (keeping === undefined) return handled
  if ('parts' in handled && handled.parts !== undefined) {
    const { parts } = handled
    keeping.catch(() => letGo(parts))
  }
  return keeping.then(() => handled)
}
