/**
 * Renewing tokens: `auth/token/renew`, `renew-self`, `renew-accessor`.
 *
 * Owns whom it asks: the role that made a token, or the login that gave it. Pure.
 */
import { Refusal } from '../../../base/errors.ts'
import { type Call, type Engine, type Outcome, path } from '../../declare.ts'
import { dur, str } from '../../field.ts'
import { identityPolicies } from '../../identity/context.ts'
import { markSeen } from '../../identity/entity.ts'
import { type MountRow, route } from '../../mount/mount.ts'
import { type MountTtls, ttlsOf } from '../../mount/ttl.ts'
import { authOf } from '../../token/issue.ts'
import { loginTtlsOf } from '../../token/login.ts'
import { type Bounds, NOT_RENEWABLE, refuseRenewal, renewToken } from '../../token/renew.ts'
import { tokenRole } from '../../token/role.ts'
import {
  acrossNamespaces,
  byAccessor,
  bySecret,
  ownTarget,
  type Target,
} from '../../token/target.ts'
import type { TokenRow } from '../../token/token.ts'

const increment = dur('How long it is to live from now; the answer says how long it will.')
const token = str('The secret of the token.', { isSecret: true })
const accessor = str('The accessor of the token.')

const synopsis = 'Renews a token.'
const summary = synopsis

/** The paths that renew tokens. */
export const renewPaths = (engines: readonly Engine[]) => [
  path({
    pattern: 'renew',
    help: { synopsis, description: 'Without `token`, the one that asks.' },
    fields: { token, increment },
    access: 'authorized',
    operations: {
      update: {
        ...{ summary, givesAuth: true, examples: [{ token: 'hvs.example', increment: '1h' }] },
        run: call => {
          const secret = call.fields.token ?? ''
          if (secret === '') return new Refusal(400, 'missing token ID')
          return (
            acrossNamespaces(call, secret, 'renew') ??
            renewed(call, engines, bySecret(call, secret), 'token not found')
          )
        },
      },
    },
  }),
  path({
    pattern: 'renew-self',
    help: { synopsis: 'Renews the token that asks.', description: 'Allowed by `default`.' },
    fields: { token: str('Taken, and of no meaning.', { isDeprecated: true }), increment },
    access: 'authorized',
    operations: {
      update: {
        ...{ summary, givesAuth: true },
        run: call =>
          acrossNamespaces(call, call.secret, 'renew') ??
          renewed(call, engines, ownTarget(call), ''),
      },
    },
  }),
  path({
    pattern: 'renew-accessor',
    help: { synopsis, description: 'The one of an accessor; its secret is not told.' },
    fields: { accessor, increment },
    access: 'authorized',
    operations: {
      update: {
        ...{ summary, givesAuth: true },
        run: call => {
          const given = call.fields.accessor ?? ''
          if (given === '') return new Refusal(400, 'missing accessor')
          return (
            acrossNamespaces(call, given, 'renew') ??
            renewed(call, engines, byAccessor(call, given), 'invalid accessor')
          )
        },
      },
    },
  }),
]

type RenewCall = Pick<Call<{ increment: typeof increment }>, 'draft' | 'namespace' | 'mount'> & {
  readonly fields: { readonly increment: number | undefined }
}

function renewed(
  call: RenewCall,
  engines: readonly Engine[],
  target: Target | undefined,
  unknown: string,
): Outcome {
  if (target === undefined) return new Refusal(400, unknown)
  const { draft, fields } = call
  const { place, token, secret } = target
  const refused = refuseRenewal(token)
  if (refused !== undefined) return refused
  const life = lifeOf(call, engines, token)
  if (life instanceof Refusal) return life
  const ttl = renewToken(draft, place, token, { ...life, incrementMs: fields.increment ?? 0 })
  if (ttl instanceof Refusal) return ttl
  if (token.entityId !== '') markSeen(draft, token.namespaceId, token.entityId)
  const ofIdentity = identityPolicies(draft, token.namespaceId, token.entityId)
  return {
    auth: authOf({ secret, row: token }, ofIdentity, ttl.ttlMs),
    warnings: ttl.warnings,
  }
}

interface Life {
  readonly bounds: Bounds
  readonly mount: MountTtls
}

/** What bounds a token by now: who gave it is asked again. */
function lifeOf(call: RenewCall, engines: readonly Engine[], token: TokenRow): Life | Refusal {
  const { draft, namespace, mount } = call
  if (token.mountAccessor === mount.accessor) {
    const bounds = boundsByRole(call, token)
    return bounds instanceof Refusal ? bounds : { bounds, mount: ttlsOf(draft, mount) }
  }
  const login = route(draft, namespace, token.path)?.mount
  // Where it came from is gone, or something else is there now.
  if (login === undefined || login.accessor !== token.mountAccessor) return NOT_RENEWABLE
  const bounds = boundsByLogin(draft, engines, login, token)
  return bounds instanceof Refusal ? bounds : { bounds, mount: loginTtlsOf(draft, login) }
}

const own = ({ ttlMs, explicitMaxTtlMs, periodMs }: TokenRow): Bounds => ({
  ...{ ttlMs, explicitMaxTtlMs, periodMs },
})

function boundsByRole({ draft, namespace }: RenewCall, token: TokenRow): Bounds | Refusal {
  if (token.role === '') return own(token)
  const role = tokenRole(draft, namespace.id, token.role)
  if (role === undefined) {
    const name = JSON.stringify(token.role)
    return new Refusal(400, `original token role ${name} could not be found, not renewing`)
  }
  const { periodMs, explicitMaxTtlMs } = role.params
  return {
    ...own(token),
    periodMs: periodMs || token.periodMs,
    explicitMaxTtlMs: least(token.explicitMaxTtlMs, explicitMaxTtlMs),
  }
}

function boundsByLogin(
  draft: Call['draft'],
  engines: readonly Engine[],
  login: MountRow,
  token: TokenRow,
): Bounds | Refusal {
  const engine = engines.find(one => one.kind === 'auth' && one.type === login.type)
  if (engine?.renew === undefined) return own(token)
  const params = engine.renew(draft, login, token)
  if (params instanceof Refusal) return params
  const { ttlMs, maxTtlMs, periodMs } = params
  return { ttlMs, maxTtlMs, periodMs, explicitMaxTtlMs: token.explicitMaxTtlMs }
}

/** The lesser of two times, of which 0 says nothing. */
const least = (a: number, b: number): number => (a === 0 || b === 0 ? a || b : Math.min(a, b))
