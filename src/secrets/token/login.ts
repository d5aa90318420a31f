/**
 * Logins: the token that an auth method gives to whom it has recognised.
 *
 * Owns what is the same for all auth methods: policies, lifetime, type, entity, second factors, and
 * the answer. Whether somebody is who he says is the method's own business. Where a second factor
 * is asked for there is no token before that was looked at. Pure.
 */

import { Refusal } from '../../base/errors.ts'
import type { Answer, Auth, Call, Engine, MfaRequirement } from '../declare.ts'
import { identityPolicies } from '../identity/context.ts'
import { entityFor } from '../identity/entity.ts'
import { forgetFailures } from '../lockout/lockout.ts'
import { headerCredentials } from '../mfa/credentials.ts'
import { type Demand, demandsOn } from '../mfa/enforcement.ts'
import { usesPasscode } from '../mfa/method.ts'
import { putPending } from '../mfa/pending.ts'
import type { MountRow } from '../mount/mount.ts'
import { type MountTtls, ttlsOf } from '../mount/ttl.ts'
import type { Namespace } from '../namespace/namespace.ts'
import { DENIED } from '../refusals.ts'
import type { Draft } from '../storage.ts'
import { isFrom } from './cidr.ts'
import { authOf, type Issued, issueToken } from './issue.ts'
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
  /** The name whose failures are forgotten with the token; undefined for none. */
  readonly lockoutName?: string
}

/** Where a login is made. */
export interface LoginPlace {
  readonly draft: Draft
  readonly namespace: Namespace
  readonly mount: MountRow
  /** Below the mount. */
  readonly path: string
  /** The address that it comes from. */
  readonly remote: string
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

/**
 * The answer to a login: its token, or the second factors that are asked for first. What was shown
 * for these with the login is looked at next, in the login's place.
 */
export function loginAnswer(call: LoginCall, login: Login): Answer | Refusal {
  const { draft, mount, namespace, request, data } = call
  const place = { draft, mount, namespace, path: call.path, remote: request.remote }
  const wanted = wantedBy(place, login)
  if (wanted instanceof Refusal) return wanted
  const entity = entityFor(draft, mount, login.alias)
  if (entity instanceof Refusal) return entity
  const { entityId } = entity
  const header = request.headers[MFA_HEADER] ?? ''
  const shown = header === '' ? undefined : headerCredentials(header)
  if (shown instanceof Refusal) return shown
  const demands = demandsOn(draft, { namespace, mount, entityId })
  if (demands.length === 0) {
    const issued = giveToken(place, login, wanted, entityId)
    return tokenAnswer(place, issued, [
      ...wanted.warnings,
      ...(shown === undefined ? [] : [UNUSED_HEADER]),
    ])
  }
  const id = putPending(draft, namespace.id, {
    ...{ login, entityId, path: call.path, failures: 0 },
    ...{ mountUuid: mount.uuid, mountPath: mount.path },
    role: typeof data.role === 'string' ? data.role : '',
  })
  if (shown !== undefined) {
    return { onward: { path: VALIDATE, data: { mfa_request_id: id, mfa_payload: shown } } }
  }
  return { auth: asking(id, demands), warnings: [ASKS] }
}

/** The header that shows second factors with a login, in lower case. */
export const MFA_HEADER = 'x-vault-mfa'
const VALIDATE = 'sys/mfa/validate'
const UNUSED_HEADER = 'Found MFA header but failed to find MFA Enforcement Config'
const ASKS =
  'A login request was issued that is subject to MFA validation. Please make sure to validate the login by sending another request to mfa/validate endpoint.'

/** What is told in place of a token. */
function asking(id: string, demands: readonly Demand[]): Auth {
  const constraints: MfaRequirement['mfa_constraints'] = Object.fromEntries(
    demands.map(({ name, methods }) => [
      name,
      {
        any: methods.map(method => ({
          ...{ type: method.type, id: method.id, uses_passcode: usesPasscode(method) },
          ...(method.name === '' ? {} : { name: method.name }),
        })),
      },
    ]),
  )
  return {
    ...{ client_token: '', accessor: '', policies: null, metadata: null, lease_duration: 0 },
    ...{ renewable: false, entity_id: '', token_type: 'default', orphan: false },
    mfa_requirement: { mfa_request_id: id, mfa_constraints: constraints },
    num_uses: 0,
  }
}

/**
 * The answer to a login whose second factors were right: its token, by all that holds by now.
 * Refused where another entity is meant, or it may not log in any more; `engine` knows that.
 */
export function finishLogin(
  place: LoginPlace,
  login: Login,
  entityId: string,
  engine: Pick<Engine, 'renew'>,
): Answer | Refusal {
  const { draft, mount } = place
  const wanted = wantedBy(place, login)
  if (wanted instanceof Refusal) return wanted
  const entity = entityFor(draft, mount, login.alias)
  if (entity instanceof Refusal) return entity
  if (entity.entityId !== entityId) return DENIED
  const issued = giveToken(place, login, wanted, entityId)
  // Whose token would not be renewed is gone, or was made another one meanwhile.
  if (engine.renew?.(draft, mount, issued.row) instanceof Refusal) return DENIED
  return tokenAnswer(place, issued, wanted.warnings)
}

/** What a token is to be. */
interface Wanted {
  readonly type: 'service' | 'batch'
  readonly policies: readonly string[]
  readonly ttlMs: number
  readonly warnings: readonly string[]
}

function wantedBy({ draft, mount, remote }: LoginPlace, login: Login): Wanted | Refusal {
  const { params } = login
  const policies = withDefault(
    [...params.policies, ...(login.policies ?? [])],
    !params.noDefaultPolicy,
  )
  if (policies.includes(ROOT_POLICY)) return ROOT_REFUSED
  if (!isFrom(params.boundCidrs, remote)) return DENIED
  const type = typeFor(mount, params)
  const refused = refuseUnassignable(policies) ?? refuseBatch(type, params)
  if (refused !== undefined) return refused
  const { now } = draft
  const ttl = ttlOf({ ...params, issuedAtMs: now }, loginTtlsOf(draft, mount), now)
  return ttl instanceof Refusal ? ttl : { type, policies, ...ttl }
}

function giveToken(
  { draft, namespace, mount, path, remote }: LoginPlace,
  login: Login,
  { type, policies, ttlMs }: Wanted,
  entityId: string,
): Issued {
  const { params, lockoutName } = login
  const issued = issueToken(draft, {
    ...{ type, policies, parent: undefined, depth: 0, role: '', ttlMs },
    path: `auth/${mount.path}${path}`,
    meta: login.metadata,
    displayName: displayNameOf(mount, login.displayName),
    numUses: params.numUses,
    explicitMaxTtlMs: params.explicitMaxTtlMs,
    periodMs: params.periodMs,
    renewable: type === 'service',
    boundCidrs: params.strictlyBindIp ? [remote] : params.boundCidrs,
    entityId,
    namespaceId: namespace.id,
    mountAccessor: mount.accessor,
    internal: login.internal ?? {},
  })
  if (lockoutName !== undefined) forgetFailures(draft, mount, lockoutName)
  return issued
}

const tokenAnswer = (
  { draft, namespace }: LoginPlace,
  issued: Issued,
  warnings: readonly string[],
): Answer => ({
  auth: authOf(issued, identityPolicies(draft, namespace.id, issued.row.entityId)),
  warnings,
  ...(issued.row.accessor === '' ? {} : { wrappedAccessor: issued.row.accessor }),
})

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
