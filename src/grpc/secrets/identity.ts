/**
 * `gatehouse.v1.Identity`: tokens are got by a login, looked at, renewed and ended.
 *
 * Owns the methods, and which half of the server a login is for: the auth methods of the secrets by
 * their paths, or one of Consul's API. What proves who somebody is goes into the room and nowhere
 * else.
 */
import { Refusal } from '../../base/errors.ts'
import type { Who } from '../../base/who.ts'
import type { JsonObject } from '../../secrets/field.ts'
import { decidedInside, type GrpcCall, type GrpcMethod, unary } from '../declare.ts'
import { type Asked, Door, dataIn, objectOf, type SecretsGrpcPorts, type Told } from './door.ts'
import { authMessage, type SecretAuth, type SecretWrap, wrapMessage } from './messages.ts'

/** A token that an auth method of Consul's API gave. */
export interface RegistryToken {
  readonly secret: string
  readonly accessor: string
  readonly policies: readonly string[]
  /** 0 for a token that does not end. */
  readonly durationSeconds: number
}

/** What the service is made of; either half may be off. */
export interface IdentityGrpcPorts {
  readonly secrets: SecretsGrpcPorts | undefined
  /** Logs in by an auth method of Consul's API, and keeps the record of that. */
  readonly login:
    | ((
        who: Who,
        method: { readonly authMethod: string; readonly meta: Readonly<Record<string, string>> },
        bearerToken: string,
      ) => Promise<RegistryToken | Refusal>)
    | undefined
}

interface LoginRequest {
  readonly method?: 'userpass' | 'approle' | 'path' | 'registry'
  readonly userpass?: { mount: string; username: string; password: string } | null
  readonly approle?: { mount: string; roleId: string; secretId: string } | null
  readonly path?: { path: string; data: Buffer } | null
  readonly registry?: {
    authMethod: string
    bearerToken: string
    meta: Readonly<Record<string, string>>
  } | null
  readonly namespace: string
  readonly wrapTtlSeconds: number
}

interface LoginAnswer {
  readonly auth?: SecretAuth
  readonly wrap?: SecretWrap
  readonly warnings: readonly string[]
  readonly requestId: string
}

/** What `lookup-self` tells. */
interface Looked {
  readonly accessor: string
  readonly display_name: string
  readonly policies: readonly string[]
  readonly identity_policies: readonly string[]
  readonly entity_id: string
  readonly type: string
  readonly path: string
  readonly creation_time: number
  readonly expire_time: string | null
  readonly ttl: number
  readonly renewable: boolean
  readonly orphan: boolean
  readonly num_uses: number
  readonly meta: Readonly<Record<string, string>> | null
}

const protoFile = 'gatehouse/v1/identity.proto'
const SERVICE = 'gatehouse.v1.Identity'
const SELF = 'auth/token/'

/** The methods. */
export function identityService({ secrets, login }: IdentityGrpcPorts): readonly GrpcMethod[] {
  const door = secrets && new Door(secrets)
  const ofSecrets = async (call: GrpcCall, asked: Asked | Refusal): Promise<Told | Refusal> => {
    if (asked instanceof Refusal) return asked
    return door === undefined ? SECRETS_OFF : door.get(call, asked)
  }
  return [
    unary<LoginRequest, LoginAnswer>({
      ...{ protoFile, path: `${SERVICE}/Login`, effect: 'writes', access: decidedInside },
      summary: 'Gives a token to who proves who he is.',
      nameOf: ({ method = '' }) => method,
      async run(request, call) {
        const { registry } = request
        if (registry !== undefined && registry !== null) {
          if (login === undefined) return REGISTRY_OFF
          if (request.wrapTtlSeconds > 0) return NOT_WRAPPED
          const { authMethod, meta, bearerToken } = registry
          const token = await login(call.who, { authMethod, meta }, bearerToken)
          return token instanceof Refusal ? token : registryAnswer(token, call)
        }
        // Whoever logs in may show an old token: it is not looked at.
        const told = await ofSecrets(call, loginOf(request))
        return told instanceof Refusal ? told : loginAnswer(told)
      },
    }),
    unary<{ incrementSeconds: number; namespace: string }, LoginAnswer>({
      ...{ protoFile, path: `${SERVICE}/RenewSelf`, effect: 'writes', access: decidedInside },
      summary: 'Lets the token that asks live on.',
      async run({ incrementSeconds, namespace }, call) {
        const data: JsonObject = incrementSeconds > 0 ? { increment: incrementSeconds } : {}
        const asked: Asked = { operation: 'update', path: `${SELF}renew-self`, namespace, data }
        const told = await ofSecrets(call, asked)
        return told instanceof Refusal ? told : loginAnswer(told)
      },
    }),
    unary<{ namespace: string }, object>({
      ...{ protoFile, path: `${SERVICE}/LookupSelf`, effect: 'reads', access: decidedInside },
      summary: 'Tells of the token that asks.',
      async run({ namespace }, call) {
        const path = `${SELF}lookup-self`
        const told = await ofSecrets(call, { operation: 'read', path, namespace })
        return told instanceof Refusal ? told : lookedAnswer(told)
      },
    }),
    unary<{ namespace: string }, { requestId: string }>({
      ...{ protoFile, path: `${SERVICE}/RevokeSelf`, effect: 'writes', access: decidedInside },
      summary: 'Ends the token that asks.',
      async run({ namespace }, call) {
        const path = `${SELF}revoke-self`
        const told = await ofSecrets(call, { operation: 'update', path, namespace })
        return told instanceof Refusal ? told : { requestId: told.id }
      },
    }),
  ]
}

const SECRETS_OFF = new Refusal(501, 'the secrets of this server are switched off')
const REGISTRY_OFF = new Refusal(501, 'access control of the registry is switched off')
const NOT_WRAPPED = new Refusal(400, 'wrap_ttl_seconds: not with registry')
const NO_METHOD = new Refusal(400, 'method: one of userpass, approle, path and registry')
const NO_USER = new Refusal(400, 'userpass.username: must not be empty')
const NO_LOGIN_PATH = new Refusal(400, 'path.path: must begin with auth/')

/** The request of a login among the secrets. */
function loginOf({ userpass, approle, path, ...more }: LoginRequest): Asked | Refusal {
  const { namespace, wrapTtlSeconds } = more
  const asked = (where: string, data: JsonObject): Asked => ({
    ...{ operation: 'update', path: where, namespace, data, wrapTtlSeconds, token: '' },
  })
  if (userpass !== undefined && userpass !== null) {
    const { mount, username, password } = userpass
    if (username === '') return NO_USER
    return asked(`auth/${mount || 'userpass'}/login/${username}`, { password })
  }
  if (approle !== undefined && approle !== null) {
    const { mount, roleId, secretId } = approle
    const proof = { role_id: roleId, ...(secretId !== '' && { secret_id: secretId }) }
    return asked(`auth/${mount || 'approle'}/login`, proof)
  }
  if (path === undefined || path === null) return NO_METHOD
  if (!path.path.startsWith('auth/')) return NO_LOGIN_PATH
  const data = objectOf(path.data)
  return data instanceof Refusal ? data : asked(path.path, data)
}

function loginAnswer({ answer, wrapped, id }: Told): LoginAnswer | Refusal {
  const warnings = answer.warnings ?? []
  if (wrapped !== undefined) return { wrap: wrapMessage(wrapped), warnings, requestId: id }
  if (answer.auth === undefined) return NO_LOGIN
  return { auth: authMessage(answer.auth), warnings, requestId: id }
}

const NO_LOGIN = new Refusal(400, 'path.path: gives no token')

const registryAnswer = (token: RegistryToken, { id }: GrpcCall): LoginAnswer => ({
  auth: {
    ...{ clientToken: token.secret, accessor: token.accessor, policies: token.policies },
    ...{ tokenPolicies: token.policies, identityPolicies: [], metadata: {}, entityId: '' },
    ...{ durationSeconds: token.durationSeconds, renewable: false, tokenType: 'service' },
    ...{ orphan: true, numUses: 0 },
  },
  warnings: [],
  requestId: id,
})

function lookedAnswer({ answer, id }: Told) {
  const looked = dataIn<Looked>(answer)
  return {
    accessor: looked.accessor ?? '',
    displayName: looked.display_name ?? '',
    policies: looked.policies ?? [],
    identityPolicies: looked.identity_policies ?? [],
    entityId: looked.entity_id ?? '',
    tokenType: looked.type ?? '',
    path: looked.path ?? '',
    creationTimeSeconds: looked.creation_time ?? 0,
    expireTime: looked.expire_time ?? '',
    ttlSeconds: looked.ttl ?? 0,
    renewable: looked.renewable ?? false,
    orphan: looked.orphan ?? false,
    numUses: looked.num_uses ?? 0,
    metadata: looked.meta ?? {},
    requestId: id,
  }
}
