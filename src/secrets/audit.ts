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
function detailOf(
  request: SecretsRequest,
  { barrier, plan, who, answer, denial, stream }: Trail,
  face: string | undefined,
): string {
  const { operation, facts, data } = request
  const hashed = (value: unknown, clear: readonly string[] = []): unknown =>
    barrier === undefined ? undefined : withoutSecrets(value, barrier, clear)
  const { mount, namespace } = plan ?? {}
  const said = {
    operation,
    face,
    stream,
    namespace: namespace?.path,
    mount_point: mount && (mount.kind === 'auth' ? `auth/${mount.path}` : mount.path),
    mount_type: mount?.type,
    mount_accessor: mount?.accessor,
    wrap_ttl: facts.wrapTtlMs && facts.wrapTtlMs / 1_000,
    auth: who && {
      display_name: who.token.displayName,
      policies: who.policies,
      entity_id: who.token.entityId || undefined,
      token_type: 'service',
    },
    denied: denial && deniedOf(denial),
    data:
      Object.keys(data).length === 0
        ? undefined
        : hashed(namesOf(data, plan, barrier), mount?.config.auditNonHmacRequestKeys),
    response: answer && responseOf(answer, barrier, mount?.config.auditNonHmacResponseKeys),
  }
  const text = JSON.stringify(said, (_key, value) =>
    typeof value === 'bigint' ? Number(value) : value,
  )
  if (text.length <= limits.auditDetailChars) return text
  // The names are what a record is read for; values are left out where there are too many.
  return JSON.stringify({ ...said, data: undefined, response: undefined, elidedChars: text.length })
}

/** What decided against it. */
const deniedOf = ({ decision: { reason, rule, parameter } }: Denial) => ({
  reason,
  parameter,
  rule: rule && { path: rule.pattern, policy: rule.policy, line: rule.line },
})

function responseOf(
  answer: Answer,
  barrier: Barrier | undefined,
  clear: readonly string[] = [],
): unknown {
  if (barrier === undefined) return undefined
  const { data, dataText, auth, lease, warnings, wrapped } = answer
  const shown = data ?? (dataText === undefined ? undefined : JSON.parse(dataText))
  return {
    data: shown && withoutSecrets(shown, barrier, clear),
    auth: auth && authOf(auth, barrier),
    wrap_info: wrapped && { ...wrapped, token: auditHash(barrier, wrapped.token) },
    secret: lease?.id ? { lease_id: lease.id } : undefined,
    warnings: warnings?.length ? warnings.map(withoutNames) : undefined,
  }
}

/**
 * The data of a request with an HMAC for each name that is no field of its path: a token that was
 * sent where a name belongs (`curl -d hvs.…`) is one. Where any name will do, names are names.
 */
function namesOf(
  data: JsonObject,
  plan: Plan | undefined,
  barrier: Barrier | undefined,
): JsonObject {
  const spec = plan?.matched?.spec
  if (spec === undefined || takesAll(spec) || barrier === undefined) return data
  const entries = Object.entries(data).map(([name, value]) => [
    Object.hasOwn(spec.fields, name) ? name : auditHash(barrier, name),
    value,
  ])
  return Object.fromEntries(entries)
}

/** A warning about such names tells them to who sent them alone. */
const withoutNames = (warning: string): string =>
  warning.startsWith(UNRECOGNIZED) ? UNRECOGNIZED : warning

const authOf = (auth: Auth, barrier: Barrier) => ({
  ...auth,
  client_token: auth.client_token === '' ? '' : auditHash(barrier, auth.client_token),
  metadata: auth.metadata && withoutSecrets(auth.metadata, barrier, []),
})

/** The same with an HMAC for every text; those under the keys that are named stay. */
function withoutSecrets(value: unknown, barrier: Barrier, clear: readonly string[]): unknown {
  if (typeof value === 'string') return TIME.test(value) ? value : auditHash(barrier, value)
  if (Array.isArray(value)) return value.map(part => withoutSecrets(part, barrier, clear))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, part]) => [
    key,
    clear.includes(key) ? part : withoutSecrets(part, barrier, clear),
  ])
  return Object.fromEntries(entries)
}
