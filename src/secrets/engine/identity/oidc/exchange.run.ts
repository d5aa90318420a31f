/**
 * `identity/oidc/provider/<name>/token`: a client redeems a code, or asks for a token of its own.
 *
 * Owns its declaration, and what is asked before tokens are given. They are signed before the
 * transaction that spends the code: of two who redeem it at once, that decides who is given them.
 * Follows RFC 6749 and OpenID Connect Core 1.0, section 3.1.3.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Answer, type Call, type PathSpec, path, prepared } from '../../../declare.ts'
import { str, toSeconds } from '../../../field.ts'
import { hashClaim } from '../../../oidc/algorithm.ts'
import { clientById, isClient, type Shown, shownIn } from '../../../oidc/client.ts'
import { codeAt, isVerifier, type ShownCode } from '../../../oidc/code.ts'
import { allows, keyAt } from '../../../oidc/key.ts'
import { claimsOfScopes, factsOf, isAssigned, OPENID, scopesIn } from '../../../oidc/people.ts'
import { letsIn, providerAt, providerIssuer } from '../../../oidc/provider.ts'
import { type ClientRow, codeRows, type KeyRow, type ProviderRow } from '../../../oidc/rows.ts'
import { signToken } from '../../../oidc/sign.run.ts'
import type { Claims } from '../../../oidc/template.ts'
import { claimsOf } from '../../../oidc/token.ts'
import * as shape from '../../../shape.ts'
import { issueToken } from '../../../token/issue.ts'
import { type Fault, fault, faultParts, tokenAnswer, tokenFault } from './oauth.ts'
import type { OidcPorts } from './ports.ts'

const fields = {
  name: str('Name of the provider.'),
  grant_type: str('`authorization_code` or `client_credentials`.'),
  code: str('The code that is redeemed.', { isSecret: true }),
  redirect_uri: str('The one that the code was asked for with.'),
  code_verifier: str('RFC 7636: what the code was asked for with.', { isSecret: true }),
  scope: str('Of `client_credentials`: `openid` and scopes of the provider.'),
  client_id: str('The id of the client, where no header says it.'),
  client_secret: str('Its secret, where no header says it.', { isSecret: true }),
}
type TokenCall = Call<typeof fields>

/** What was prepared: the answer, where tokens are to be given. */
interface Prepared {
  readonly answer: Answer | undefined
  readonly spends: boolean
}

export const exchangePath = (ports: OidcPorts): PathSpec =>
  path({
    pattern: 'oidc/provider/{name}/token',
    help: {
      synopsis: 'Gives tokens to a client.',
      description:
        'For a code, or for the client itself. It shows its id and secret as Basic authorization or among the data.',
    },
    fields,
    access: 'open',
    seesAuthorization: true,
    operations: {
      update: prepared<typeof fields, Prepared>({
        summary: 'Gives tokens to a client.',
        effect: 'reads',
        answer: shape.object({
          token_type: shape.optional(shape.text),
          access_token: shape.optional(shape.text),
          id_token: shape.optional(shape.text),
          expires_in: shape.optional(shape.int),
          ...faultParts,
        }),
        examples: [{ grant_type: 'authorization_code', code: 'A', client_id: 'B' }],
        prepare: call => prepare(call, ports),
        puts: ({ spends }) => spends,
        run: call => exchange(call),
      }),
    },
  })

/** A request as far as it is known to be a client's. */
interface Known {
  readonly client: ClientRow
  readonly key: KeyRow
  readonly provider: ProviderRow
}

/** Tokens that are to be given. */
interface Grant extends Known {
  /** Undefined where they are for the client itself. */
  readonly code: ShownCode | undefined
  readonly claims: Claims
}

/** What a request comes to. A code that was shown is spent, whether it is good or not. */
interface Decision {
  readonly code: ShownCode | undefined
  readonly outcome: Grant | Fault
}

function exchange(call: Call<typeof fields, Prepared>): Answer {
  const { draft, namespace } = call
  const { code, outcome } = decide(call as never)
  if ('error' in outcome) {
    if (code !== undefined) codeRows(draft, namespace.id).delete(code.path)
    return tokenFault(outcome)
  }
  const { answer } = call.prepared
  if (answer === undefined) return tokenFault(ANEW)
  if (code !== undefined) codeRows(draft, namespace.id).delete(code.path)
  return answer
}

const ANEW = fault('server_error', 'something was changed meanwhile: try again')

/** Signs what is to be given, as far as can be told before the transaction. */
async function prepare(call: TokenCall, ports: OidcPorts): Promise<Prepared> {
  const { code, outcome } = decide(call)
  const spends = code !== undefined
  if ('error' in outcome) return { answer: undefined, spends }
  const given = await (outcome.code === undefined
    ? ownToken(call, outcome, ports)
    : tokensFor(call, { ...outcome, code: outcome.code }, ports))
  const tooLong = (refusal: Refusal) => tokenFault(fault('server_error', refusal.text))
  return { answer: given instanceof Refusal ? tooLong(given) : tokenAnswer(given), spends }
}

function decide(call: TokenCall): Decision {
  const known = knownFrom(call)
  if ('error' in known) return { code: undefined, outcome: known }
  const { grant_type: type = '' } = call.fields
  if (type !== 'authorization_code' && type !== 'client_credentials') {
    const text = 'unsupported grant_type or parameter is empty value'
    return { code: undefined, outcome: fault('unsupported_grant_type', text) }
  }
  const isForClient = type === 'client_credentials'
  if (!(isForClient ? known.client.clientCredentials : known.client.authorizationCode)) {
    const text = 'client is not authorized to use given credentials flow'
    return { code: undefined, outcome: fault('invalid_grant', text) }
  }
  return isForClient
    ? { code: undefined, outcome: ownGrant(call, known) }
    : codeDecision(call, known)
}

const UNKNOWN = fault('invalid_client', 'client failed to authenticate')

/** Which client asks, and what for: by what it shows. */
function knownFrom({ draft, namespace, fields: said, authorization }: TokenCall): Known | Fault {
  const provider = providerAt(draft, namespace.id, said.name!)
  if (provider === undefined) return fault('invalid_request', 'provider not found')
  const { client_id: clientId = '', client_secret: clientSecret = '' } = said
  const shown: Shown = shownIn(authorization ?? '') ?? { clientId, clientSecret }
  if (shown.clientId === '') return fault('invalid_request', 'client_id parameter is required')
  const client = clientById(draft, namespace.id, shown.clientId)
  if (client === undefined || !isClient(draft, client, shown)) return UNKNOWN
  if (!letsIn(provider, client.clientId)) {
    return fault('invalid_client', 'client is not authorized to use the provider')
  }
  const key = keyAt(draft, namespace.id, client.key)
  if (key === undefined) return fault('server_error', `client key "${client.key}" not found`)
  return allows(key, client.clientId)
    ? { client, key, provider }
    : fault('invalid_client', 'client is not authorized to use the key')
}

// --- for a code

function codeDecision(call: TokenCall, known: Known): Decision {
  const { draft, namespace, fields: said } = call
  const { code: text = '' } = said
  if (text === '') {
    return { code: undefined, outcome: fault('invalid_request', 'code parameter is required') }
  }
  const code = codeAt(draft, namespace.id, text)
  if (code === undefined) {
    const over = fault('invalid_grant', 'authorization grant is invalid or expired')
    return { code: undefined, outcome: over }
  }
  const refused = refuseCode(call, known, code) ?? refuseVerifier(call, known, code)
  if (refused !== undefined) return { code, outcome: refused }
  const { entityId, scopes } = code.row
  const claims = claimsOfScopes(
    ...([draft, namespace.id, scopes, factsOf(draft, namespace.id, entityId)] as const),
  )
  return typeof claims === 'string'
    ? { code, outcome: fault('invalid_request', claims) }
    : { code, outcome: { ...known, code, claims } }
}

function refuseCode(
  { draft, namespace, fields: said }: TokenCall,
  { client }: Known,
  { row }: ShownCode,
): Fault | undefined {
  if (row.clientId !== client.clientId) {
    return fault('invalid_grant', 'authorization code was not issued to the client')
  }
  if (row.provider !== said.name) {
    return fault('invalid_grant', 'authorization code was not issued by the provider')
  }
  const { redirect_uri: redirectUri = '' } = said
  if (redirectUri === '') return fault('invalid_request', 'redirect_uri parameter is required')
  if (row.redirectUri !== redirectUri) {
    const text = 'redirect_uri does not match the redirect_uri used in the authorization request'
    return fault('invalid_grant', text)
  }
  return isAssigned(draft, namespace.id, row.entityId, client.assignments)
    ? undefined
    : fault('invalid_request', 'identity entity not authorized by client assignment')
}

/** Why who redeems a code does not show that he asked for it. */
function refuseVerifier(
  { fields: said }: TokenCall,
  { client }: Known,
  { row: { challenge } }: ShownCode,
): Fault | undefined {
  const { code_verifier: verifier = '' } = said
  if (challenge === undefined) {
    if (client.isPublic) return fault('invalid_request', 'PKCE is required for public clients')
    return verifier === ''
      ? undefined
      : fault('invalid_request', 'unexpected code_verifier for token exchange')
  }
  if (verifier === '') {
    return fault('invalid_request', 'expected code_verifier for token exchange')
  }
  return isVerifier(challenge, verifier)
    ? undefined
    : fault('invalid_grant', 'invalid code_verifier for token exchange')
}

/** An access token and an identity token, for a code. */
async function tokensFor(
  { draft, namespace, fields: said, now, path: below, mount }: TokenCall,
  { client, key, provider, code, claims }: Grant & { readonly code: ShownCode },
  ports: OidcPorts,
): Promise<object | Refusal> {
  const { entityId, scopes, nonce, authTimeMs } = code.row
  const { secret } = issueToken(draft, {
    ...{ type: 'batch', policies: [], parent: undefined, depth: 0, role: '', entityId: '' },
    ...{ path: mount.path + below, meta: null, displayName: '', numUses: 0, periodMs: 0 },
    ...{ ttlMs: client.accessTokenTtlMs, explicitMaxTtlMs: 0, renewable: false, boundCidrs: [] },
    ...{ namespaceId: namespace.id, mountAccessor: mount.accessor },
    // It has no policy and no entity: what it is for is known to the userinfo endpoint alone.
    internal: {
      oidc_provider: said.name!,
      oidc_client_id: client.clientId,
      oidc_entity_id: entityId,
      oidc_scopes: scopes.join(' '),
    },
  })
  const own = {
    ...(nonce !== '' && { nonce }),
    ...(authTimeMs !== undefined && { auth_time: toSeconds(authTimeMs) }),
    at_hash: hashClaim(key.algorithm, secret),
    c_hash: hashClaim(key.algorithm, said.code!),
  }
  const core = {
    issuer: providerIssuer(provider, said.name!, ports.address(), namespace),
    ...{ namespaceId: namespace.id, subject: entityId, audience: client.clientId },
    ...{ nowMs: now, ttlMs: client.idTokenTtlMs },
  }
  const idToken = await signToken(ports.arithmetic, key, claimsOf(core, own, claims))
  if (idToken instanceof Refusal) return idToken
  return {
    token_type: 'Bearer',
    access_token: secret,
    id_token: idToken,
    expires_in: toSeconds(client.accessTokenTtlMs),
  }
}

// --- for the client itself

function ownGrant({ draft, namespace, fields: said }: TokenCall, known: Known): Grant | Fault {
  const scopes = scopesIn(said.scope ?? '', known.provider)
  if (scopes === undefined) {
    return fault('invalid_request', `scope parameter must contain the "${OPENID}" value`)
  }
  const claims = claimsOfScopes(draft, namespace.id, scopes, undefined)
  return typeof claims === 'string'
    ? fault('invalid_request', claims)
    : { ...known, code: undefined, claims }
}

/** A token that says which client it is from. */
async function ownToken(
  { namespace, fields: said, now, random }: TokenCall,
  { client, key, provider, claims }: Grant,
  ports: OidcPorts,
): Promise<object | Refusal> {
  const core = {
    issuer: providerIssuer(provider, said.name!, ports.address(), namespace),
    ...{ namespaceId: namespace.id, subject: client.clientId, audience: client.clientId },
    ...{ nowMs: now, ttlMs: client.idTokenTtlMs },
  }
  const token = await signToken(
    ports.arithmetic,
    key,
    claimsOf(core, { jti: random.uuid() }, claims),
  )
  if (token instanceof Refusal) return token
  return {
    token_type: 'Bearer',
    access_token: token,
    expires_in: toSeconds(client.idTokenTtlMs),
  }
}
