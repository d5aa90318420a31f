/**
 * What a server answers: the envelope around data, as Vault's clients read it.
 *
 * Owns the reading of bodies. Whole numbers keep all their digits; a body that is no envelope is
 * its own data; the keys that a user chose are never looked up by plain access.
 */
import { parseExact } from '../../base/exact-json.ts'

/** An object of JSON. */
export type Data = Readonly<Record<string, unknown>>

/** Beside a token: what a login or a renewal says of it. */
export interface Auth {
  readonly client_token: string
  readonly accessor: string
  readonly policies: readonly string[] | null
  readonly token_policies?: readonly string[] | null
  readonly identity_policies?: readonly string[] | null
  readonly metadata: Data | null
  readonly orphan?: boolean
  readonly entity_id?: string
  readonly lease_duration: number
  readonly renewable: boolean
  readonly mfa_requirement?: MfaRequirement | null
}

/** A login that is good only once a second factor was given. */
export interface MfaRequirement {
  readonly mfa_request_id: string
  readonly mfa_constraints: Readonly<Record<string, { readonly any: readonly MfaMethod[] }>>
}

/** One second factor that would do. */
export interface MfaMethod {
  readonly type: string
  readonly id: string
  readonly uses_passcode: boolean
  readonly name?: string
}

/** Instead of an answer: the token that gives it, once. `ttl` in seconds. */
interface WrapInfo {
  readonly token: string
  readonly accessor: string
  readonly ttl: number
  readonly creation_time: string
  readonly creation_path: string
  readonly wrapped_accessor?: string
}

/** An answer's envelope. `lease_duration` in seconds. */
export interface Secret {
  readonly request_id: string
  readonly lease_id: string
  readonly lease_duration: number
  readonly renewable: boolean
  readonly data: Data | null
  readonly warnings: readonly string[] | null
  readonly auth?: Auth
  readonly wrap_info?: WrapInfo
  readonly mount_type?: string
}

/** A secret of data alone, for what was put together here. */
export function secretOf(data: Data): Secret {
  return {
    request_id: '',
    lease_id: '',
    lease_duration: 0,
    renewable: false,
    data,
    warnings: null,
  }
}

/** The envelope in a body; undefined when it is empty or holds errors alone. Throws SyntaxError. */
export function parseSecret(body: Buffer): Secret | undefined {
  if (body.length === 0) return undefined
  const parsed = parseExact(body.toString('utf8'))
  if (!isData(parsed)) throw new SyntaxError('the answer is no JSON object')
  const { request_id, lease_id, lease_duration, renewable, data, warnings } = parsed
  const { auth, wrap_info, mount_type } = parsed
  const isEnvelope =
    [request_id, lease_id, lease_duration, renewable].some(Boolean) ||
    [data, warnings, auth, wrap_info].some(one => one !== null && one !== undefined)
  if (!isEnvelope && Object.hasOwn(parsed, 'errors')) return undefined
  const secret = {
    request_id: String(request_id ?? ''),
    lease_id: String(lease_id ?? ''),
    lease_duration: Number(lease_duration ?? 0),
    renewable: renewable === true,
    data: isEnvelope ? (isData(data) ? data : null) : parsed,
    warnings: Array.isArray(warnings) ? warnings.map(String) : null,
  }
  return {
    ...secret,
    ...(isData(auth) ? { auth: auth as unknown as Auth } : {}),
    ...(isData(wrap_info) ? { wrap_info: wrap_info as unknown as WrapInfo } : {}),
    ...(typeof mount_type === 'string' ? { mount_type } : {}),
  }
}

/** Whether a value is an object of JSON, and no list. */
export function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What stands under a key that a user or a server chose; undefined where there is none. */
export function valueIn(data: Data | null | undefined, key: string): unknown {
  return data && Object.hasOwn(data, key) ? data[key] : undefined
}

/** Whether the answer was put away, and only its token came. */
export function isWrapped({ wrap_info }: Secret): boolean {
  return wrap_info !== undefined && wrap_info.ttl !== 0
}

/** The names of a listing; undefined when the answer is none. */
export function keysOf(secret: Secret | undefined): readonly unknown[] | undefined {
  const keys = valueIn(secret?.data, 'keys')
  return Array.isArray(keys) ? keys : undefined
}
