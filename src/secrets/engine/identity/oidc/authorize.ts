/**
 * `identity/oidc/provider/<name>/authorize`: somebody who is logged in lets a client have what it
 * asks for.
 *
 * Owns its declaration, and what is asked before a code is given. The page that asks people in a
 * browser is a web interface's: it calls this path with their token. Pure. Follows OpenID Connect
 * Core 1.0, section 3.1.2, and RFC 7636.
 */
import { limits } from '../../../../base/limits.ts'
import { type Answer, type Call, type PathSpec, path } from '../../../declare.ts'
import { int, str, toSeconds } from '../../../field.ts'
import { clientById, isRedirect } from '../../../oidc/client.ts'
import { giveCode, isChallenge } from '../../../oidc/code.ts'
import { isAssigned, OPENID, scopesIn } from '../../../oidc/people.ts'
import { letsIn, providerAt } from '../../../oidc/provider.ts'
import type { ClientRow, CodeRow } from '../../../oidc/rows.ts'
import * as shape from '../../../shape.ts'
import { authorizeFault, type Fault, fault, faultParts } from './oauth.ts'

const fields = {
  name: str('Name of the provider.'),
  client_id: str('The id of the client that asks.'),
  scope: str('What it asks for, with spaces between: `openid` and scopes of the provider.'),
  redirect_uri: str('Where the answer is to be sent: one that the client was registered with.'),
  response_type: str('`code`.'),
  state: str('Comes back as it is.'),
  nonce: str('Comes back in the identity token.'),
  max_age: int('How many seconds ago the login may be that the token comes from.'),
  code_challenge: str('RFC 7636: what the code is to be redeemed with, hashed.'),
  code_challenge_method: str('`S256`, or `plain`, which is meant unless said.'),
  request: str('Not supported.'),
  request_uri: str('Not supported.'),
}
type AuthorizeCall = Call<typeof fields>

const operation = {
  summary: 'Gives a code for a client.',
  effect: 'writes' as const,
  answer: shape.object({
    code: shape.optional(shape.text),
    state: shape.text,
    ...faultParts,
  }),
  run: authorize,
}

export const authorizePath: PathSpec = path({
  pattern: 'oidc/provider/{name}/authorize',
  help: {
    synopsis: 'Lets a client know who somebody is.',
    description: 'For the entity of who asks; the code is redeemed once, within five minutes.',
  },
  fields,
  access: 'authorized',
  operations: { read: operation, update: operation },
})

function authorize(call: AuthorizeCall): Answer {
  const { draft, namespace, fields: said } = call
  const { state = '' } = said
  const meant = meantBy(call)
  if ('error' in meant) return authorizeFault(meant, state)
  const code = giveCode(draft, namespace.id, meant)
  return code === undefined ? authorizeFault(TOO_MANY, state) : { bare: { code, state } }
}

const TOO_MANY = fault(
  'temporarily_unavailable',
  'too many authorization codes of the identity entity are not redeemed yet',
)

/** What a code is to stand for, or why there is to be none. */
function meantBy(call: AuthorizeCall): CodeRow | Fault {
  const { draft, namespace, fields: said, given } = call
  const { client_id: clientId = '', redirect_uri: redirectUri = '', name = '' } = said
  if (clientId === '') return fault('invalid_client_id', 'client_id parameter is required')
  const client = clientById(draft, namespace.id, clientId)
  if (client === undefined) return fault('invalid_client_id', 'client with client_id not found')
  if (!client.authorizationCode) {
    const text = 'client not allowed to perform authorization code credential flow'
    return fault('invalid_grant', text)
  }
  if (redirectUri === '') return fault('invalid_request', 'redirect_uri parameter is required')
  if (!isRedirect(redirectUri, client)) {
    return fault('invalid_redirect_uri', 'redirect_uri is not allowed for the client')
  }
  const provider = providerAt(draft, namespace.id, name)
  if (provider === undefined) return fault('invalid_request', 'provider not found')
  if (!letsIn(provider, clientId)) {
    return fault('unauthorized_client', 'client is not authorized to use the provider')
  }
  if (given('request')) {
    return fault('request_not_supported', 'request parameter is not supported')
  }
  if (given('request_uri')) {
    return fault('request_uri_not_supported', 'request_uri parameter is not supported')
  }
  const scopes = scopesIn(said.scope ?? '', provider)
  if (scopes === undefined) {
    return fault('invalid_request', `scope parameter must contain the "${OPENID}" value`)
  }
  const refused = refuseType(said.response_type ?? '') ?? refusePerson(call, client)
  if (refused !== undefined) return refused
  const proof = proofOf(call, client)
  if ('error' in proof) return proof
  const { nonce = '' } = said
  if (nonce.length > limits.oidcEchoedChars || redirectUri.length > limits.oidcUriChars) {
    return fault('invalid_request', 'nonce or redirect_uri is too long')
  }
  return {
    ...{ provider: name, clientId, redirectUri, nonce, scopes },
    entityId: call.who!.token.entityId,
    ...proof,
  }
}

function refuseType(type: string): Fault | undefined {
  if (type === '') return fault('invalid_request', 'response_type parameter is required')
  return type === 'code'
    ? undefined
    : fault('unsupported_response_type', 'unsupported response_type value')
}

/** Why who asks may not log in to a client. */
function refusePerson(
  { draft, namespace, who }: AuthorizeCall,
  { assignments }: ClientRow,
): Fault | undefined {
  const { entityId = '', namespaceId } = who?.token ?? {}
  if (entityId === '') {
    return fault('access_denied', 'identity entity must be associated with the request')
  }
  // Those of other namespaces are nobody in here: an id says nothing of where it is from.
  if (namespaceId !== namespace.id) {
    return fault('access_denied', 'identity entity associated with the request not found')
  }
  return isAssigned(draft, namespace.id, entityId, assignments)
    ? undefined
    : fault('access_denied', 'identity entity not authorized by client assignment')
}

/** What whoever redeems the code has to show, and when the login was, where that is asked for. */
function proofOf(
  { fields: said, given, who, now }: AuthorizeCall,
  { isPublic }: ClientRow,
): Pick<CodeRow, 'challenge' | 'authTimeMs'> | Fault {
  if (isPublic && !given('code_challenge')) {
    return fault('invalid_request', 'PKCE is required for public clients')
  }
  const method = said.code_challenge_method || 'plain'
  if (given('code_challenge')) {
    if (method !== 'plain' && method !== 'S256') {
      return fault('invalid_request', 'invalid code_challenge_method')
    }
    if (!isChallenge(said.code_challenge!))
      return fault('invalid_request', 'invalid code_challenge')
  }
  const challenge = given('code_challenge')
    ? { challenge: { text: said.code_challenge!, method: method as 'plain' } }
    : {}
  const { max_age: maxAgeS } = said
  if (maxAgeS === undefined) return challenge
  if (maxAgeS < 1) return fault('invalid_request', 'max_age must be greater than zero')
  const authTimeMs = who!.token.createdAtMs
  return toSeconds(now - authTimeMs) > maxAgeS
    ? fault('max_age_violation', 'active re-authentication is required by max_age')
    : { ...challenge, authTimeMs }
}
