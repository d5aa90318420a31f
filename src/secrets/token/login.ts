/**
 * Logins: the token that an auth method gives to whom it has recognised.
 *
 * Owns what is the same for all auth methods: policies, lifetime, type, entity, and the answer.
 * Whether somebody is who he says is the method's own business. Pure.
 */

import { Refusal } from '../../base/errors.ts'
import type { Answer, Call } from '../declare.ts'
import { identityPolicies } from '../identity/context.ts'
import { entityFor } from '../identity/entity.ts'
import type { MountRow } from '../mount/mount.ts'
import { type MountTtls, ttlsOf } from '../mount/ttl.ts'
import { DENIED } from '../refusals.ts'
import type { Draft } from '../storage.ts'
import { isFrom } from './cidr.ts'
import { authOf, issueToken } from './issue.ts'
import type { TokenParams } from './params.ts'
import { ROOT_POLICY, refuseUnassignable, withDefault } from './policies.ts'
import { ttlOf } from './ttl.ts'

/** Whom an auth method has recognised, and what it says of him. */
export interface Login {
  readonly alias: {
    readonly name: string
    readonly metadata?: Readonly<Record<string, string>>
    /** Names of groups that the method says he is in; undefined where it says nothing of groups. */
    readonly groups?: readonly string[]
  }
  /** Stands behind the name of the mount; may be ''. */
  readonly displayName: string
  /** Beside those of `params`. */
  readonly policies?: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly params: TokenParams
  /** What the method wants to know again when the token is renewed. */
  readonly internal?: Readonly<Record<string, string>>
}

/** What a login may live for, where neither role nor mount says so: hours, not a month. */
export function loginTtlsOf(draft: Draft, mount: Pick<MountRow, 'config'>): MountTtls {
  const ttls = ttlsOf(draft, mount)
  if (mount.config.defaultLeaseTtlMs > 0) return ttls
  return { ...ttls, defaultMs: Math.min(draft.ttls.loginMs, ttls.maxMs) }
}

const ROOT_REFUSED = new Refusal(400, 'auth methods cannot create root tokens')

// biome-ignore lint/suspicious/noExplicitAny: any login's fields
type LoginCall = Call<any, any>

/** Makes the token of a login, and its answer. */
export function loginAnswer(call: LoginCall, login: Login): Answer | Refusal {
  const { draft, mount, namespace, now, request } = call
  const { params } = login
  const policies = withDefault(
    [...params.policies, ...(login.policies ?? [])],
    !params.noDefaultPolicy,
  )
  if (policies.includes(ROOT_POLICY)) return ROOT_REFUSED
  if (!isFrom(params.boundCidrs, request.remote)) return DENIED
  const type = typeFor(mount, params)
  const refused = refuseUnassignable(policies) ?? refuseBatch(type, params)
  if (refused !== undefined) return refused
  const ttl = ttlOf({ ...params, issuedAtMs: now }, loginTtlsOf(draft, mount), now)
  if (ttl instanceof Refusal) return ttl
  const entity = entityFor(draft, mount, login.alias)
  if (entity instanceof Refusal) return entity
  const issued = issueToken(draft, {
    ...{ type, policies, parent: undefined, depth: 0, role: '', ttlMs: ttl.ttlMs },
    path: `auth/${mount.path}${call.path}`,
    meta: login.metadata,
    displayName: displayNameOf(mount, login.displayName),
    numUses: params.numUses,
    explicitMaxTtlMs: params.explicitMaxTtlMs,
    periodMs: params.periodMs,
    renewable: type === 'service',
    boundCidrs: params.strictlyBindIp ? [request.remote] : params.boundCidrs,
    entityId: entity.entityId,
    namespaceId: namespace.id,
    mountAccessor: mount.accessor,
    internal: login.internal ?? {},
  })
  return {
    auth: authOf(issued, identityPolicies(draft, namespace.id, entity.entityId)),
    warnings: ttl.warnings,
    ...(issued.row.accessor === '' ? {} : { wrappedAccessor: issued.row.accessor }),
  }
}

/** The type of a login's token: the mount may insist on one, or say what is usual. */
function typeFor({ config }: MountRow, { type }: TokenParams): 'service' | 'batch' {
  const ofMount = config.tokenType ?? 'default-service'
  if (ofMount === 'service' || ofMount === 'batch') return ofMount
  if (type === 'service' || type === 'batch') return type
  const usual = type === 'default' ? ofMount : type
  return usual === 'default-batch' ? 'batch' : 'service'
}

function refuseBatch(type: string, { periodMs, numUses }: TokenParams): Refusal | undefined {
  if (type !== 'batch') return undefined
  if (periodMs > 0) return new Refusal(400, 'batch tokens cannot be periodic')
  return numUses > 0 ? new Refusal(400, 'batch tokens cannot have a limited use count') : undefined
}

/** The mount, and who it is there: `userpass-ann`. */
function displayNameOf({ path }: MountRow, name: string): string {
  const source = path.replaceAll('/', '-')
  return (source + name).replace(/-$/, '')
}
