/**
 * The paths of tokens: `/v1/acl/token/`, `/v1/acl/bootstrap`, `/v1/acl/logout` (Consul's API).
 *
 * Owns parsing into and rendering out of the identity room's functions, and which answers show a
 * secret: those to who may write tokens, and a token's own.
 */
import { publicIndex } from '../../base/brand.ts'
import { Refusal } from '../../base/errors.ts'
import { access, isAnonymous, principalOf, type Who } from '../../base/who.ts'
import { syntheticsOf } from '../../identity/grants.ts'
import { type AclSettings, Principal } from '../../identity/resolve.ts'
import type { Identity, Stored } from '../../identity/room.run.ts'
import { allTokens, noToken, ownToken, tokenByAccessor } from '../../identity/token.ts'
import type { View } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import { policies, roles, type TokenRow } from '../../store/tables/acl.ts'
import {
  acting,
  anonymous,
  askEach,
  askOne,
  definePath,
  EMPTY,
  json,
  type PathDeclaration,
  plain,
  type Reply,
  reading,
} from '../declare.ts'
import { flag, string } from '../query.ts'
import { bool, either, list, object, text } from '../shape.ts'
import { deleted, missingId } from './acl-object.ts'
import {
  bootstrapShape,
  expandedShape,
  HIDDEN,
  policyJson,
  roleJson,
  syntheticJson,
  tokenBody,
  tokenGiven,
  tokenJson,
  tokenShape,
  tokenStubShape,
} from './acl-wire.ts'

/** What an expanded token tells of the agent that worked it out. */
export interface AclFacts extends AclSettings {
  readonly downPolicy: string
  readonly nodeName: string
}

const reads = () => [access('read', 'acl')]
const writes = () => [access('write', 'acl')]
const body = { shape: tokenBody, failure: 'Token decoding failed' }
const answers = { 200: { json: tokenShape, help: 'the token with its secret' } }
const notThere = { text: 'There is no such token.' }

/** The paths of tokens; `view`: the newest, for answers to writes. */
export function tokenPaths(room: Identity, view: () => View, facts: AclFacts): PathDeclaration[] {
  const whole = (made: Stored<TokenRow> | Refusal): Reply | Refusal =>
    isRefusal(made) ? made : json(tokenJson(view(), made, room.secretOf(made.row)))
  return [
    bootstrapPath(room, view),
    listPath(room),
    createPath(room, whole),
    selfPath(room, facts),
    clonePath(room, whole),
    onePath(room, whole, facts),
    logoutPath(room),
  ]
}

type Whole = (made: Stored<TokenRow> | Refusal) => Reply | Refusal

/** Whether a secret may be shown; what is hidden is not a part that was left out. */
const maySeeSecrets = (who: Who): boolean => principalOf(who).may(access('write', 'acl'))

const bootstrapPath = (room: Identity, view: () => View): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/bootstrap',
    operations: {
      PUT: acting({
        summary: 'Makes the first token, which may do everything.',
        query: {},
        body: {
          shape: object({ BootstrapSecret: text }),
          failure: 'Token decoding failed',
          optional: true,
        },
        answers: { 200: { json: bootstrapShape, help: 'the token' } },
        access: anonymous,
        async run({ body: { BootstrapSecret } }) {
          const made = await room.bootstrap(BootstrapSecret.toLowerCase())
          if (isRefusal(made)) return made
          const secret = room.secretOf(made.row)
          return json({ ID: secret, ...tokenJson(view(), made, secret) })
        },
      }),
    },
  })

const listPath = (room: Identity): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/tokens',
    operations: {
      GET: reading({
        summary: 'All tokens; their secrets for who may write tokens.',
        query: {
          policy: string('Only those that hold the policy with this ID.'),
          role: string('Only those that hold the role with this ID.'),
          authmethod: string('Only those that logins by this auth method gave.'),
          servicename: string('Only those with the identity of this service.'),
        },
        answers: { 200: { json: list(tokenStubShape), help: 'tokens' } },
        access: reads,
        ask({ query, who }) {
          const question = allTokens(who, {
            policy: query.policy.toLowerCase(),
            role: query.role.toLowerCase(),
            authMethod: query.authmethod,
            service: query.servicename,
          })
          if (isRefusal(question)) return question
          const secretOf = secretsFor(room, who)
          return askEach(question, (cell, at) =>
            JSON.stringify({ ...tokenJson(at, cell!, secretOf(cell!.row)), Legacy: false }),
          )
        },
      }),
    },
  })

const secretsFor = (room: Identity, who: Who): ((row: TokenRow) => string) =>
  maySeeSecrets(who) ? row => room.secretOf(row) : () => HIDDEN

const createPath = (room: Identity, whole: Whole): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/token',
    operations: {
      PUT: acting({
        summary: 'Creates a token.',
        query: {},
        body,
        answers,
        access: writes,
        async run({ body: given, who }) {
          const request = tokenGiven(given)
          if (isRefusal(request)) return request
          if (given.AuthMethod !== '') {
            return new Refusal(400, 'AuthMethod cannot be set when a token is created')
          }
          const accessor = given.AccessorID.toLowerCase()
          const secret = given.SecretID.toLowerCase()
          return whole(await room.createToken(who, request, { accessor, secret }))
        },
      }),
    },
  })

/** Whoever shows a token may see that one. */
const selfPath = (room: Identity, facts: AclFacts): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/token/self',
    operations: {
      GET: reading({
        summary: 'The token that the request shows.',
        query: { expanded: flag('With all policies and roles that it comes to.') },
        answers: {
          200: { json: either(tokenShape, expandedShape), help: 'the token with its secret' },
        },
        access: () => [],
        ask({ who, query }) {
          const { accessor } = who
          // One of the secrets has no row here; what it comes to is told all the same.
          const principal = principalOf(who)
          const isOther = principal instanceof Principal && principal.elsewhere !== undefined
          const other = isOther ? principal.token : undefined
          const secretOf = (row: TokenRow): string => (row === other ? HIDDEN : room.secretOf(row))
          const of = other === undefined ? accessor : JSON.stringify(other)
          const variant = query.expanded ? `self expanded ${of}` : `self ${of}`
          const render = tokenRenderer(query.expanded, secretOf, facts, other)
          return askOne(ownToken(accessor), render, { variant })
        },
      }),
    },
  })

const NEVER = publicIndex(0)

function tokenRenderer(
  isExpanded: boolean,
  secretOf: (row: TokenRow) => string,
  facts: AclFacts,
  other?: TokenRow,
): (cell: Cell<TokenRow> | undefined, view: View) => Reply {
  return (cell, view) => {
    const stored = cell ?? (other && { row: other, createIndex: NEVER, modifyIndex: NEVER })
    if (stored === undefined) return plain(noToken.text, noToken.status)
    const token = tokenJson(view, stored, secretOf(stored.row))
    return json(isExpanded ? { ...token, ...expandedJson(view, stored.row, facts) } : token)
  }
}

function expandedJson(view: View, row: TokenRow, facts: AclFacts) {
  const held = row.roles.flatMap(id => view.get(roles, id) ?? [])
  const grants = [row, ...held.map(cell => cell.row)]
  const linked = [...new Set(grants.flatMap(each => each.policies))]
  return {
    ExpandedPolicies: [
      ...linked.flatMap(id => view.get(policies, id) ?? []).map(policyJson),
      ...grants.flatMap(each => syntheticsOf(each, facts.datacenter)).map(syntheticJson),
    ],
    ExpandedRoles: held.map(cell => roleJson(view, cell)),
    NamespaceDefaultPolicyIDs: null,
    NamespaceDefaultRoleIDs: null,
    AgentACLDefaultPolicy: facts.defaultPolicy,
    AgentACLDownPolicy: facts.downPolicy,
    ResolvedByAgent: facts.nodeName,
  }
}

const clonePath = (room: Identity, whole: Whole): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/token/{accessor}/clone',
    operations: {
      PUT: acting({
        summary: 'Makes another token that gives the same.',
        query: {},
        body: { ...body, optional: true },
        answers: { ...answers, 404: notThere },
        access: writes,
        async run({ name, body: { Description }, who }) {
          return whole(await room.cloneToken(who, name.toLowerCase(), Description))
        },
      }),
    },
  })

function onePath(room: Identity, whole: Whole, facts: AclFacts): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/acl/token/{accessor}',
    operations: {
      GET: reading({
        summary: 'A token; its secret for who may write tokens.',
        query: { expanded: flag('With all policies and roles that it comes to.') },
        answers: {
          200: { json: either(tokenShape, expandedShape), help: 'the token' },
          404: notThere,
        },
        access: reads,
        ask({ name, who, query }) {
          if (name === '') return missingId('token AccessorID')
          const question = tokenByAccessor(who, name.toLowerCase())
          if (isRefusal(question)) return question
          const render = tokenRenderer(query.expanded, secretsFor(room, who), facts)
          return askOne(question, render, { variant: query.expanded ? 'expanded' : '' })
        },
      }),
      PUT: acting({
        summary: 'Changes a token.',
        query: {},
        body,
        answers,
        access: writes,
        async run({ name, body: given, who }) {
          if (name === '') return missingId('token AccessorID')
          const accessor = name.toLowerCase()
          if (given.AccessorID !== '' && given.AccessorID.toLowerCase() !== accessor) {
            return new Refusal(400, 'Token Accessor ID in URL and payload do not match')
          }
          const request = tokenGiven(given)
          if (isRefusal(request)) return request
          const secret = given.SecretID === HIDDEN ? '' : given.SecretID.toLowerCase()
          const more = { secret, authMethod: given.AuthMethod }
          return whole(await room.updateToken(who, accessor, { ...request, ...more }))
        },
      }),
      DELETE: acting({
        summary: 'Deletes a token: it is refused from then on.',
        query: {},
        body: undefined,
        answers: { 200: { json: bool, help: 'true' }, 404: notThere },
        access: writes,
        async run({ name, who }) {
          if (name === '') return missingId('token AccessorID')
          return deleted(await room.deleteToken(who, name.toLowerCase()), 'token')
        },
      }),
    },
  })
}

const logoutPath = (room: Identity): PathDeclaration =>
  definePath({
    where: 'servers',
    path: '/v1/acl/logout',
    operations: {
      POST: acting({
        summary: 'Ends the token that the request shows; only one that a login gave.',
        query: {},
        body: undefined,
        answers: {
          200: { empty: 'It is ended.' },
          401: { text: 'No token was shown.' },
        },
        access: () => [],
        async run({ who, token }) {
          if (token === '' || isAnonymous(who)) {
            return new Refusal(401, 'Supplied token does not exist')
          }
          const ended = await room.logout(who)
          return isRefusal(ended) ? ended : EMPTY
        },
      }),
    },
  })
