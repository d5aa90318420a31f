/**
 * `identity/oidc/provider/<name>/userinfo`: what the scopes of an access token say of somebody.
 *
 * Owns its declaration, and which tokens it takes: those that the provider's token endpoint gave,
 * and none of any other kind. Pure. Follows OpenID Connect Core 1.0, section 5.3, and RFC 6750.
 */
import { type Answer, type Call, type PathSpec, path } from '../../../declare.ts'
import { str } from '../../../field.ts'
import { clientById } from '../../../oidc/client.ts'
import { claimsOfScopes, factsOf, isAssigned } from '../../../oidc/people.ts'
import { letsIn, providerAt } from '../../../oidc/provider.ts'
import * as shape from '../../../shape.ts'
import { tokenOfSecret } from '../../../token/target.ts'
import type { TokenRow } from '../../../token/token.ts'
import { type Fault, fault, userinfoFault } from './oauth.ts'

const fields = { name: str('Name of the provider.') }
type UserinfoCall = Call<typeof fields>

const operation = {
  summary: 'Tells what an access token is for.',
  effect: 'reads' as const,
  answer: shape.anyObject,
  run: tell,
}

export const userinfoPath: PathSpec = path({
  pattern: 'oidc/provider/{name}/userinfo',
  help: {
    synopsis: 'Tells a client of the person who logged in to it.',
    description: 'What the scopes of its access token say, which it shows as Bearer authorization.',
  },
  fields,
  access: 'open',
  seesAuthorization: true,
  operations: { read: operation, update: operation },
})

const DENIED = fault('invalid_token', 'permission denied')
const BEARER = 'Bearer '

function tell(call: UserinfoCall): Answer {
  const claims = claimsFor(call)
  return 'fault' in claims ? userinfoFault(claims.fault) : { bare: claims.told }
}

type Told = { readonly told: object } | { readonly fault: Fault }
const refused = (error: Fault['error'], description: string): Told => ({
  fault: fault(error, description),
})

function claimsFor(call: UserinfoCall): Told {
  const { draft, namespace, fields: said } = call
  const token = shownToken(call)
  if ('error' in token) return { fault: token }
  const provider = providerAt(draft, namespace.id, said.name!)
  if (provider === undefined) return refused('invalid_request', 'provider not found')
  const {
    oidc_client_id: clientId = '',
    oidc_entity_id: entityId = '',
    oidc_scopes: scopes = '',
  } = token.internal
  const client = clientById(draft, namespace.id, clientId)
  if (client === undefined) return refused('access_denied', 'client not found')
  const identity = factsOf(draft, namespace.id, entityId)
  if (identity === undefined) {
    return refused('access_denied', 'identity entity associated with the request not found')
  }
  if (!isAssigned(draft, namespace.id, entityId, client.assignments)) {
    return refused('access_denied', 'identity entity not authorized by client assignment')
  }
  if (!letsIn(provider, clientId)) {
    return refused('access_denied', 'client is not authorized to use the provider')
  }
  const names = scopes.split(' ').filter(name => provider.scopesSupported.includes(name))
  const claims = claimsOfScopes(draft, namespace.id, names, identity)
  if (typeof claims === 'string') return refused('invalid_request', claims)
  return { told: { ...claims, sub: identity.id } }
}

/** The access token that a request shows, given by this provider of this namespace. */
function shownToken({
  draft,
  namespace,
  secret,
  authorization = '',
  fields: { name },
}: UserinfoCall): TokenRow | Fault {
  if (!authorization.startsWith(BEARER)) {
    if (secret === '') return DENIED
    return fault('invalid_token', 'access token must be sent as a Bearer token')
  }
  const token = tokenOfSecret(draft, authorization.slice(BEARER.length))?.token
  if (token === undefined || token.namespaceId !== namespace.id) return DENIED
  const { oidc_provider: provider } = token.internal
  if (token.type !== 'batch' || provider === undefined) {
    return fault('invalid_token', 'access token is malformed or invalid')
  }
  return provider === name ? token : DENIED
}
