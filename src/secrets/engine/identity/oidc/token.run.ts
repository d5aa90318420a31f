/**
 * `identity/oidc/token/<role>` and `identity/oidc/introspect`: identity tokens are issued, and
 * looked at.
 *
 * Owns both paths. A token says who its bearer is to whoever has the public keys; it opens nothing
 * here.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, type Outcome, type PathSpec, path, prepared } from '../../../declare.ts'
import { str, toSeconds } from '../../../field.ts'
import { factsFor, identityOf } from '../../../identity/context.ts'
import { configuredIssuer, issuerAt, issuerPath } from '../../../oidc/issuer.ts'
import { allows, keyAt } from '../../../oidc/key.ts'
import { roleAt, roleKeySet } from '../../../oidc/role.ts'
import { isName } from '../../../oidc/rows.ts'
import { signToken } from '../../../oidc/sign.run.ts'
import { fillClaims } from '../../../oidc/template.ts'
import { claimsOf, verified } from '../../../oidc/token.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import type { OidcPorts } from './ports.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const tokenFields = { name: str('Name of the role.') }
const introspectFields = {
  token: str('The token that is looked at.', { isSecret: true }),
  client_id: str('Whom it is to be for; whoever it says unless said.'),
}

export const tokenPaths = (ports: OidcPorts): PathSpec[] => [
  path({
    pattern: 'oidc/token/{name}',
    help: {
      synopsis: 'Issues an identity token.',
      description: 'For the entity of who asks, as the role says.',
    },
    fields: tokenFields,
    access: 'authorized',
    operations: {
      read: prepared<typeof tokenFields, Outcome>({
        summary: 'Issues an identity token.',
        answer: shape.object({ token: shape.text, client_id: shape.text, ttl: shape.int }),
        prepare: call => issue(call, ports),
        run: call => call.prepared,
      }),
    },
  }),
  path({
    pattern: 'oidc/introspect',
    help: {
      synopsis: 'Tells whether an identity token holds.',
      description: 'Whether it was issued here, is not over, and its entity is there and enabled.',
    },
    fields: introspectFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Tells whether an identity token holds.',
        effect: 'reads',
        answer: shape.object({ active: shape.bool, error: shape.optional(shape.text) }),
        examples: [{ token: 'eyJhbGciOiJSUzI1NiJ9.e30.AA' }],
        run: introspect,
      },
    },
  }),
]

async function issue(call: Call<typeof tokenFields>, ports: OidcPorts): Promise<Outcome> {
  const { draft, namespace, who, fields, now } = call
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const role = roleAt(draft, namespace.id, name)
  if (role === undefined) return bad(`role ${JSON.stringify(name)} not found`)
  const key = keyAt(draft, namespace.id, role.key)
  if (key === undefined) return bad(`key ${JSON.stringify(role.key)} not found`)
  if (!allows(key, role.clientId)) {
    return bad(
      `the key ${JSON.stringify(role.key)} does not list the client ID of the role ${JSON.stringify(name)} as an allowed client ID`,
    )
  }
  // Those of other namespaces are nobody in here: an id says nothing of where it is from.
  if (who?.identity === undefined || who.token.namespaceId !== namespace.id) {
    return bad("no entity associated with the request's token")
  }
  const claims = fillClaims(role.template, {
    identity: factsFor(who.identity, who.token),
    nowMs: now,
  })
  const core = {
    issuer: issuerAt(configuredIssuer(draft, namespace.id), ports.address(), namespace),
    ...{ namespaceId: namespace.id, subject: who.token.entityId, audience: role.clientId },
    ...{ nowMs: now, ttlMs: role.ttlMs },
  }
  // What a template cannot say of somebody is left out: who he is, is said.
  const more = typeof claims === 'string' ? {} : claims
  const token = await signToken(ports.arithmetic, key, claimsOf(core, {}, more))
  if (token instanceof Refusal) return token
  return {
    data: { token, client_id: role.clientId, ttl: toSeconds(role.ttlMs) },
    ...(typeof claims === 'string' && { warnings: [`the role's template: ${claims}`] }),
  }
}

function introspect(call: Call<typeof introspectFields>): Outcome {
  const error = problemOf(call)
  return { bare: error === undefined ? { active: true } : { active: false, error } }
}

/** Why a token does not hold; undefined where it does. */
function problemOf({
  draft,
  namespace,
  fields,
}: Call<typeof introspectFields>): string | undefined {
  const { token = '', client_id: clientId = '' } = fields
  const claims = verified(token, roleKeySet(draft, namespace.id).keys)
  if (typeof claims === 'string') return claims
  const { iss, aud, exp, sub } = claims
  const nowS = toSeconds(draft.now)
  if (!isIssuer(String(iss), configuredIssuer(draft, namespace.id), issuerPath(namespace))) {
    return 'error validating claims: invalid issuer claim (iss)'
  }
  if (clientId !== '' && aud !== clientId) {
    return 'error validating claims: invalid audience claim (aud)'
  }
  if (typeof exp !== 'number' || nowS > exp) {
    return 'error validating claims: token is expired (exp)'
  }
  const identity = identityOf(draft, namespace.id, String(sub))
  if (identity === undefined) return 'entity was not found'
  return identity.isDisabled ? 'entity is disabled' : undefined
}

/** Without a configured issuer, each server says its own address: one of them is as good. */
const isIssuer = (said: string, configured: string, path: string): boolean =>
  configured === '' ? said.endsWith(path) : said === configured + path
