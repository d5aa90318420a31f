/**
 * The paths of clients: `identity/oidc/client`.
 *
 * Owns their declarations and rules. Pure but for pairs of the key `default`, which are drawn
 * before the transaction that first needs them.
 */
import type { KeyObject } from 'node:crypto'
import { DAY_MS } from '../../../../base/duration.ts'
import { Refusal } from '../../../../base/errors.ts'
import type { Arithmetic } from '../../../../base/io/arithmetic.ts'
import { limits } from '../../../../base/limits.ts'
import {
  type Call,
  NOTHING,
  type Outcome,
  type PathSpec,
  path,
  prepared,
} from '../../../declare.ts'
import { bool, dur, list, str, toSeconds } from '../../../field.ts'
import { clientAt, deleteClient, newCredentials, putClient } from '../../../oidc/client.ts'
import { drawDefault } from '../../../oidc/draw.run.ts'
import { addDefault, wishAt } from '../../../oidc/key.ts'
import { assignmentAt } from '../../../oidc/people.ts'
import { type ClientRow, clientRows, DEFAULT, isName } from '../../../oidc/rows.ts'
import { UNSUPPORTED_PATH } from '../../../refusals.ts'
import * as shape from '../../../shape.ts'
import { infoAnswer } from '../entity.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const fields = {
  name: str('Name of the client.'),
  key: str('The key that its tokens are signed with, for good; `default` unless said.'),
  redirect_uris: list(
    'Where answers may be sent, to the letter; of those at this machine itself, any port will do.',
  ),
  assignments: list('Who may log in to it: those of any of these. Nobody unless said.'),
  client_type: str(
    '`confidential`, which keeps a secret, or `public`, which cannot; for good. `confidential` unless said.',
  ),
  id_token_ttl: dur('How long its identity tokens hold; 24h unless said.'),
  access_token_ttl: dur('How long it may ask for what a scope says; 24h unless said.'),
  authorization_code: bool('Whether people log in to it; so unless said.'),
  client_credentials: bool('Whether it gets tokens for itself; not unless said.'),
}
type ClientCall = Call<typeof fields>

const clientShape = shape.object({
  redirect_uris: shape.texts,
  assignments: shape.texts,
  key: shape.text,
  id_token_ttl: shape.int,
  access_token_ttl: shape.int,
  client_type: shape.text,
  client_id: shape.text,
  client_credentials: shape.bool,
  authorization_code: shape.bool,
  client_secret: shape.optional(shape.text),
})

/** What is shown of a client, but for its secret. */
const shown = (row: ClientRow) => ({
  redirect_uris: row.redirectUris,
  assignments: row.assignments,
  key: row.key,
  id_token_ttl: toSeconds(row.idTokenTtlMs),
  access_token_ttl: toSeconds(row.accessTokenTtlMs),
  client_type: row.isPublic ? 'public' : 'confidential',
  client_id: row.clientId,
  client_credentials: row.clientCredentials,
  authorization_code: row.authorizationCode,
})

export const clientPaths = (arithmetic: Arithmetic): PathSpec[] => [
  path({
    pattern: 'oidc/client',
    help: { synopsis: 'All clients.', description: 'Lists their names, with all but secrets.' },
    fields: {},
    access: 'authorized',
    operations: {
      list: {
        summary: 'Lists all clients.',
        answer: shape.keys,
        run({ draft, namespace }) {
          const rows = clientRows(draft, namespace.id)
          return infoAnswer(
            rows.keys().map(name => [name, shown(rows.kept<ClientRow>(name)!)] as const),
          )
        },
      },
    },
  }),
  path({
    pattern: 'oidc/client/{name}',
    help: {
      synopsis: 'A client: a program that people log in to by way of this server.',
      description: 'Makes, changes, tells of and deletes it. Its id and its secret are drawn.',
    },
    fields,
    access: 'authorized',
    exists: ({ draft, namespace, fields: { name } }) =>
      clientAt(draft, namespace.id, name!) !== undefined,
    operations: {
      read: { summary: 'Tells of a client, its secret too.', answer: clientShape, run: read },
      update: prepared<typeof fields, readonly KeyObject[]>({
        summary: 'Makes or changes a client.',
        prepare({ draft, namespace, fields: { name, key } }) {
          if (clientAt(draft, namespace.id, name!) !== undefined) return []
          return drawDefault(arithmetic, draft, namespace.id, key ?? DEFAULT)
        },
        run: write,
        examples: [
          { redirect_uris: ['https://shop.example.com/callback'], assignments: ['allow_all'] },
        ],
      }),
      delete: {
        summary: 'Deletes a client; its codes and tokens are good for nothing.',
        run: remove,
      },
    },
  }),
]

function read({ draft, namespace, fields: { name } }: ClientCall): Outcome {
  if (!isName(name!)) return UNSUPPORTED_PATH
  const row = clientAt(draft, namespace.id, name!)
  if (row === undefined) return NOTHING
  const secret = row.isPublic ? {} : { client_secret: row.clientSecret }
  return { data: { ...shown(row), ...secret } }
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)]

/** A client as a request wishes it, over what it is. */
function wishOf({ draft, namespace, fields: said }: ClientCall): ClientRow | Refusal {
  const before = clientAt(draft, namespace.id, said.name!)
  const type = said.client_type ?? (before?.isPublic === true ? 'public' : 'confidential')
  const isPublic = type === 'public'
  if (before !== undefined) {
    const { key = before.key } = said
    if (key !== before.key) return bad('key modification is not allowed')
    if (isPublic !== before.isPublic) return bad('client_type modification is not allowed')
  }
  if (!isPublic && type !== 'confidential') {
    return bad(`invalid client_type ${JSON.stringify(type)}`)
  }
  return {
    ...(before ?? newCredentials(draft.random, isPublic)),
    ...{ isPublic, key: said.key ?? before?.key ?? DEFAULT },
    redirectUris: unique(said.redirect_uris ?? before?.redirectUris ?? []),
    assignments: unique(said.assignments ?? before?.assignments ?? []),
    idTokenTtlMs: said.id_token_ttl ?? before?.idTokenTtlMs ?? DAY_MS,
    accessTokenTtlMs: said.access_token_ttl ?? before?.accessTokenTtlMs ?? DAY_MS,
    authorizationCode: said.authorization_code ?? before?.authorizationCode ?? true,
    clientCredentials: said.client_credentials ?? before?.clientCredentials ?? false,
  }
}

/** What is wrong about a client. */
function refuse({ draft, namespace }: ClientCall, row: ClientRow): Refusal | undefined {
  const missing = row.assignments.find(
    name => assignmentAt(draft, namespace.id, name) === undefined,
  )
  if (missing !== undefined) return bad(`assignment ${JSON.stringify(missing)} does not exist`)
  const key = wishAt(draft, namespace.id, row.key)
  if (key === undefined) return bad(`key ${JSON.stringify(row.key)} does not exist`)
  if (row.idTokenTtlMs > key.verificationMs) {
    return bad(
      "a client's id_token_ttl cannot be greater than the verification_ttl of the key it references",
    )
  }
  if (row.isPublic && row.clientCredentials) {
    // Whoever knows its id could have tokens of its own (RFC 6749, section 4.4).
    return bad('client_credentials requires a client of type confidential')
  }
  const { oidcListItems, oidcUriChars } = limits
  if (row.redirectUris.length + row.assignments.length > oidcListItems) {
    return bad(`a client has more than ${oidcListItems} redirect_uris and assignments`)
  }
  return row.redirectUris.some(uri => uri.length > oidcUriChars)
    ? bad(`one of redirect_uris exceeds ${oidcUriChars} characters`)
    : undefined
}

function write(call: Call<typeof fields, readonly KeyObject[]>): Outcome {
  const { draft, namespace } = call
  const name = call.fields.name!
  if (!isName(name)) return UNSUPPORTED_PATH
  const row = wishOf(call as never)
  if (row instanceof Refusal) return row
  const refused =
    refuse(call as never, row) ?? addDefault(draft, namespace.id, row.key, call.prepared)
  if (refused !== undefined) return refused
  putClient(draft, namespace.id, name, row)
  return NOTHING
}

function remove({ draft, namespace, fields: { name } }: ClientCall): Outcome {
  if (!isName(name!)) return UNSUPPORTED_PATH
  deleteClient(draft, namespace.id, name!)
  return NOTHING
}
