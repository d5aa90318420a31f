/**
 * What the audit record of a request to the secrets says beside what every record says.
 *
 * Owns the fields (Vault's names for them) and that no secret is among them: every text of data is
 * an HMAC by a key of the barrier, so that whoever holds a value can find its records and nobody
 * can find the value. Times, numbers and switches stay, and what is under keys that a mount names.
 */

import { limits } from '../base/limits.ts'
import type { RequestFacts, Who } from '../base/who.ts'
import type { Barrier } from './barrier/keyring.ts'
import { type Plan, type SecretsRequest, takesAll, UNRECOGNIZED } from './decide.ts'
import type { Answer, Auth } from './declare.ts'
import type { Denial } from './denials.ts'
import type { JsonObject } from './field.ts'
import { TIME } from './shape.ts'
import type { VaultPrincipal } from './token/principal.ts'
import type { TokenRow } from './token/token.ts'

/** `hmac-sha256:` and 64 digits: what records have in the place of a text. */
export const auditHash = (barrier: Barrier, text: string): string =>
  `hmac-sha256:${barrier.hashOf(`audit\0${text}`)}`

/** What became known of a request on its way; what is not known yet is not there. */
export interface Trail {
  barrier?: Barrier
  plan?: Plan
  who?: VaultPrincipal | undefined
  answer?: Answer
  /** Why it was refused, where a right was lacking. */
  denial?: Denial | undefined
  /** How many keys of a list a policy gives at a time, where it does. */
  pageLimit?: number
  /** Of a stream: whether it begins or is over, and what came of it. No text of a client's. */
  stream?: StreamFacts
}

/** What records say of large data that goes through as a stream. */
export interface StreamFacts {
  readonly phase: 'begin' | 'end'
  readonly plaintextSizeBytes?: number
  readonly chunks?: number
  /** Whether it came to its end, and all of it was authentic. */
  readonly isWhole?: boolean
}

/** Whoever makes a request, as records name him: by the accessor of his token. */
export class SecretsCaller implements Who {
  readonly rights = ''
  readonly request: RequestFacts
  readonly trail: Trail = {}

  constructor(
    asked: SecretsRequest,
    method: string,
    body: Pick<RequestFacts, 'bodySizeBytes'> & { readonly face?: string },
  ) {
    const isRead = ['read', 'list', 'scan', 'help'].includes(asked.operation)
    this.request = {
      id: asked.facts.id,
      operation: `${isRead ? 'GET' : method} /v1/{path}`,
      name: asked.path,
      query: '',
      remote: asked.facts.remote,
      forwarder: asked.facts.forwarder,
      body: undefined,
      bodySizeBytes: body.bodySizeBytes,
      overrides: false,
      isRenewal: false,
      recorded: false,
      advisories: [],
      overridden: [],
      refusedBy: undefined,
      detail: () => detailOf(asked, this.trail, body.face),
    }
  }

  get accessor(): string {
    return this.trail.who?.token.accessor ?? 'unknown'
  }

  may(): boolean {
    return false
  }
}

/** The fields as JSON. */
function detailOf(request: SecretsRequest, trail: Trail, face: string | undefined): string {
  const { operation, facts, data } = request
  const { barrier, plan, who, denial, stream } = trail
  const wrapTtl = facts.wrapTtlMs && facts.wrapTtlMs / 1_000
  const about =
    `{"operation":${JSON.stringify(operation)}` +
    (face === undefined ? '' : `,"face":${JSON.stringify(face)}`) +
    (stream === undefined ? '' : `,"stream":${JSON.stringify(stream)}`) +
    (plan === undefined ? '' : placeText(plan)) +
    (wrapTtl === undefined ? '' : `,"wrap_ttl":${wrapTtl}`) +
    (who === undefined ? '' : whoText(who)) +
    (denial === undefined ? '' : `,"denied":${JSON.stringify(deniedOf(denial))}`)
  const { mount } = plan ?? {}
  const clear = mount?.config.auditNonHmacRequestKeys ?? NONE
  const isSaid = barrier !== undefined && !isEmpty(data)
  const said = isSaid ? `,"data":${hashedText(namesOf(data, plan, barrier), barrier, clear)}` : ''
  const given = responseText(trail, mount?.config.auditNonHmacResponseKeys ?? NONE)
  const sizeChars = about.length + said.length + given.length + 1
  if (sizeChars <= limits.auditDetailChars) return `${about}${said}${given}}`
  // The names are what a record is read for; values are left out where there are too many.
  return `${about},"elidedChars":${sizeChars}}`
}

const NONE: readonly string[] = []

function isEmpty(data: JsonObject): boolean {
  for (const _name in data) return false
  return true
}

/** Where a plan leads to, behind other fields. Kept as long as the plan is. */
function placeText(plan: Plan): string {
  const known = placeTexts.get(plan)
  if (known !== undefined) return known
  const { namespace, mount } = plan
  const place = {
    namespace: namespace.path,
    mount_point: mount && (mount.kind === 'auth' ? `auth/${mount.path}` : mount.path),
    mount_type: mount?.type,
    mount_accessor: mount?.accessor,
  }
  const text = `,${JSON.stringify(place).slice(1, -1)}`
  placeTexts.set(plan, text)
  return text
}

const placeTexts = new WeakMap<Plan, string>()

/** Who asks, behind other fields. Kept for a token with the policies that hold for it. */
function whoText({ token, policies }: VaultPrincipal): string {
  const known = whoTexts.get(policies)
  if (known?.token === token) return known.text
  const auth = {
    display_name: token.displayName,
    policies,
    entity_id: token.entityId || undefined,
    token_type: 'service',
  }
  const text = `,"auth":${JSON.stringify(auth)}`
  whoTexts.set(policies, { token, text })
  return text
}

const whoTexts = new WeakMap<readonly string[], { token: TokenRow; text: string }>()

/** What decided against it. */
const deniedOf = ({ decision: { reason, rule, parameter } }: Denial) => ({
  reason,
  parameter,
  rule: rule && { path: rule.pattern, policy: rule.policy, line: rule.line },
})

/** What was answered, behind other fields. */
function responseText({ barrier, answer }: Trail, clear: readonly string[]): string {
  if (barrier === undefined || answer === undefined) return ''
  const { data, dataText, auth, lease, warnings, wrapped } = answer
  const parts: string[] = []
  if (data !== undefined) parts.push(`"data":${hashedText(data, barrier, clear)}`)
  else if (dataText !== undefined) parts.push(`"data":${hashedJson(dataText, barrier, clear)}`)
  if (auth !== undefined) parts.push(`"auth":${authText(auth, barrier)}`)
  if (wrapped !== undefined) {
    const token = auditHash(barrier, wrapped.token)
    parts.push(`"wrap_info":${JSON.stringify({ ...wrapped, token })}`)
  }
  if (lease?.id) parts.push(`"secret":${JSON.stringify({ lease_id: lease.id })}`)
  if (warnings?.length) parts.push(`"warnings":${JSON.stringify(warnings.map(withoutNames))}`)
  return `,"response":{${parts.join(',')}}`
}

/**
 * The data of a request with an HMAC for each name that is no field of its path: a token that was
 * sent where a name belongs (`curl -d hvs.…`) is one. Where any name will do, names are names.
 */
function namesOf(data: JsonObject, plan: Plan | undefined, barrier: Barrier): JsonObject {
  const spec = plan?.matched?.spec
  if (spec === undefined || takesAll(spec)) return data
  if (Object.keys(data).every(name => Object.hasOwn(spec.fields, name))) return data
  const entries = Object.entries(data).map(([name, value]) => [
    Object.hasOwn(spec.fields, name) ? name : auditHash(barrier, name),
    value,
  ])
  return Object.fromEntries(entries)
}

/** A warning about such names tells them to who sent them alone. */
const withoutNames = (warning: string): string =>
  warning.startsWith(UNRECOGNIZED) ? UNRECOGNIZED : warning

function authText(
  { client_token: token, metadata, mfa_requirement: asked, ...rest }: Auth,
  barrier: Barrier,
): string {
  const hashed = token === '' ? '' : auditHash(barrier, token)
  // The id of a login is half of what finishes it.
  const mfa_requirement = asked && {
    ...asked,
    mfa_request_id: auditHash(barrier, asked.mfa_request_id),
  }
  const shown = JSON.stringify({ client_token: hashed, ...rest, mfa_requirement }).slice(0, -1)
  return `${shown},"metadata":${hashedText(metadata, barrier, NONE)}}`
}

/** The same of a text that is JSON already: short ones are asked for again and again. */
function hashedJson(text: string, barrier: Barrier, clear: readonly string[]): string {
  const isKept = clear.length === 0 && text.length <= limits.auditedTextChars
  const known = isKept ? barrier.audited.get(text) : undefined
  if (known !== undefined) return known
  const hashed = hashedText(JSON.parse(text), barrier, clear)
  if (isKept) barrier.audited.set(text, hashed)
  return hashed
}

/** JSON with an HMAC for every text; those under the keys that are named stay. */
function hashedText(value: unknown, barrier: Barrier, clear: readonly string[]): string {
  if (typeof value === 'string') {
    return TIME.test(value) ? `"${value}"` : `"${auditHash(barrier, value)}"`
  }
  if (typeof value === 'bigint') return String(Number(value))
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) {
    return `[${value.map(part => hashedText(part, barrier, clear)).join(',')}]`
  }
  let text = ''
  for (const [key, part] of Object.entries(value)) {
    if (part === undefined) continue
    const shown = clear.includes(key) ? clearText(part) : hashedText(part, barrier, clear)
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${shown}`
  }
  return `{${text}}`
}

const clearText = (value: unknown): string =>
  JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? Number(part) : part))
