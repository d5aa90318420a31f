/**
 * The paths of providers and what anybody is told of one: `identity/oidc/provider`.
 *
 * Owns their declarations and rules. Pure. What is told follows OpenID Connect Discovery 1.0.
 */
import { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { list, str } from '../../../field.ts'
import { ALGORITHMS } from '../../../oidc/algorithm.ts'
import { issuerWarnings, refuseIssuer } from '../../../oidc/issuer.ts'
import { claimsOfScopes, OPENID, scopeAt } from '../../../oidc/people.ts'
import { letsIn, providerAt, providerIssuer, providerKeySet } from '../../../oidc/provider.ts'
import { DEFAULT, isName, namesOf, type ProviderRow, providerRows } from '../../../oidc/rows.ts'
import { NOBODY } from '../../../oidc/template.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { infoAnswer } from '../entity.ts'
import type { OidcPorts } from './ports.ts'
import { discovered, keySetAnswer, keySetShape } from './well-known.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const name = str('Name of the provider.')
const fields = {
  name,
  issuer: str(
    'Scheme, host and port that its tokens say they are from; empty for the address of the server that answers.',
  ),
  allowed_client_ids: list('Ids of the clients that may use it, `*` for all. None unless said.'),
  scopes_supported: list('Names of the scopes that its clients may ask for.'),
}
const nameFields = { name }
const listFields = { allowed_client_id: str('Only those that a client of this id may use.') }
type ProviderCall = Call<typeof fields>

const providerShape = shape.object({
  issuer: shape.text,
  allowed_client_ids: shape.texts,
  scopes_supported: shape.texts,
})

/** The paths of providers on a server that is reached at an address. */
export function providerPaths({ address, addresses }: OidcPorts): PathSpec[] {
  const shown = (row: ProviderRow, name: string, namespace: ProviderCall['namespace']) => ({
    issuer: providerIssuer(row, name, address(), namespace),
    allowed_client_ids: row.allowedClientIds,
    scopes_supported: row.scopesSupported,
  })
  return [
    path({
      pattern: 'oidc/provider',
      help: { synopsis: 'All providers.', description: 'Lists their names, and what they are.' },
      fields: listFields,
      access: 'authorized',
      operations: {
        list: {
          summary: 'Lists all providers.',
          answer: shape.keys,
          run({ draft, namespace, fields: { allowed_client_id: clientId = '' } }) {
            const names = namesOf(providerRows(draft, namespace.id), DEFAULT)
            const found = names.flatMap(name => {
              const row = providerAt(draft, namespace.id, name)!
              const isMeant = clientId === '' || letsIn(row, clientId)
              return isMeant ? [[name, shown(row, name, namespace)] as const] : []
            })
            return infoAnswer(found)
          },
        },
      },
    }),
    path({
      pattern: 'oidc/provider/{name}',
      help: {
        synopsis: 'A provider: what a group of clients gets to know of people.',
        description: 'Makes, changes, tells of and deletes it. `default` is there from the start.',
      },
      fields,
      access: 'authorized',
      exists: ({ draft, namespace, fields }) =>
        providerAt(draft, namespace.id, fields.name!) !== undefined,
      operations: {
        read: {
          summary: 'Tells of a provider.',
          answer: providerShape,
          run({ draft, namespace, fields }) {
            if (!isName(fields.name!)) return UNSUPPORTED_PATH
            const row = providerAt(draft, namespace.id, fields.name!)
            return row === undefined ? NOTHING : { data: shown(row, fields.name!, namespace) }
          },
        },
        update: {
          summary: 'Makes or changes a provider.',
          run: call => write(call, addresses()),
          examples: [{ allowed_client_ids: ['*'], scopes_supported: [] }],
        },
        delete: { summary: 'Deletes a provider.', run: remove },
      },
    }),
    ...wellKnownOf(address),
  ]
}

function write(
  { draft, namespace, fields: said }: ProviderCall,
  addresses: readonly string[],
): Outcome {
  const name = said.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const before = providerAt(draft, namespace.id, name)
  const unique = (texts: readonly string[] = []): string[] => [...new Set(texts)]
  const row: ProviderRow = {
    issuer: said.issuer ?? before?.issuer ?? '',
    allowedClientIds: unique(said.allowed_client_ids ?? before?.allowedClientIds),
    scopesSupported: unique(said.scopes_supported ?? before?.scopesSupported),
  }
  const refused = refuseIssuer(row.issuer) ?? refuse(draft, namespace.id, row)
  if (refused !== undefined) return refused
  const rows = providerRows(draft, namespace.id)
  if (before === undefined && rows.keys('', limits.oidcProviders).length >= limits.oidcProviders) {
    return bad(`a namespace has at most ${limits.oidcProviders} providers`)
  }
  rows.put(name, row)
  const conflict = claimsOfScopes(draft, namespace.id, row.scopesSupported, NOBODY)
  const warnings = [
    ...issuerWarnings(row.issuer, addresses),
    ...(typeof conflict === 'string'
      ? [`${conflict}. This may result in an error if the scopes are requested together.`]
      : []),
  ]
  return warnings.length === 0 ? NOTHING : { warnings }
}

/** What is wrong about a provider, but for its issuer. */
function refuse(
  draft: ProviderCall['draft'],
  namespaceId: string,
  { allowedClientIds, scopesSupported }: ProviderRow,
): Refusal | undefined {
  if (allowedClientIds.length + scopesSupported.length > limits.oidcListItems) {
    return bad(`a provider has more than ${limits.oidcListItems} ids and scopes`)
  }
  const missing = scopesSupported.find(name => scopeAt(draft, namespaceId, name) === undefined)
  return missing === undefined ? undefined : bad(`scope ${JSON.stringify(missing)} does not exist`)
}

function remove({ draft, namespace, fields }: ProviderCall): Outcome {
  const name = fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  if (name === DEFAULT) {
    return bad(`deletion of OIDC provider ${JSON.stringify(name)} not allowed`)
  }
  providerRows(draft, namespace.id).delete(name)
  return NOTHING
}

const discoveryShape = shape.object({
  issuer: shape.text,
  jwks_uri: shape.text,
  authorization_endpoint: shape.text,
  token_endpoint: shape.text,
  userinfo_endpoint: shape.text,
  request_parameter_supported: shape.bool,
  request_uri_parameter_supported: shape.bool,
  id_token_signing_alg_values_supported: shape.texts,
  response_types_supported: shape.texts,
  scopes_supported: shape.texts,
  claims_supported: shape.texts,
  subject_types_supported: shape.texts,
  grant_types_supported: shape.texts,
  token_endpoint_auth_methods_supported: shape.texts,
  code_challenge_methods_supported: shape.texts,
})

const discoveryOf = (issuer: string, { scopesSupported }: ProviderRow) => ({
  issuer,
  jwks_uri: `${issuer}/.well-known/keys`,
  // A page of the web interface: it has the token of who sits before it.
  authorization_endpoint: `${issuer.replace('/v1/', '/ui/vault/')}/authorize`,
  token_endpoint: `${issuer}/token`,
  userinfo_endpoint: `${issuer}/userinfo`,
  request_parameter_supported: false,
  request_uri_parameter_supported: false,
  id_token_signing_alg_values_supported: ALGORITHMS,
  response_types_supported: ['code'],
  scopes_supported: [...scopesSupported, OPENID],
  claims_supported: [],
  subject_types_supported: ['public'],
  grant_types_supported: ['authorization_code', 'client_credentials'],
  token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
  code_challenge_methods_supported: ['S256', 'plain'],
})

const wellKnownOf = (address: () => string): PathSpec[] => [
  path({
    pattern: 'oidc/provider/{name}/.well-known/openid-configuration',
    help: {
      synopsis: 'What clients have to know of a provider.',
      description: 'Its issuer, its addresses, and how it signs.',
    },
    fields: nameFields,
    access: 'open',
    operations: {
      read: {
        summary: 'Tells what clients have to know of a provider.',
        answer: discoveryShape,
        run({ draft, namespace, fields }) {
          const row = providerAt(draft, namespace.id, fields.name!)
          if (row === undefined) return NOTHING
          return discovered(
            discoveryOf(providerIssuer(row, fields.name!, address(), namespace), row),
          )
        },
      },
    },
  }),
  path({
    pattern: 'oidc/provider/{name}/.well-known/keys',
    help: {
      synopsis: "The public keys of a provider's tokens.",
      description: "Those that its clients' tokens are signed with, will be, and have been.",
    },
    fields: nameFields,
    access: 'open',
    operations: {
      read: {
        summary: "Tells the public keys of a provider's tokens.",
        answer: keySetShape,
        run({ draft, namespace, fields }) {
          const row = providerAt(draft, namespace.id, fields.name!)
          if (row === undefined) return NOTHING
          return keySetAnswer(draft, providerKeySet(draft, namespace.id, row))
        },
      },
    },
  }),
]
