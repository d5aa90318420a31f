/**
 * The paths of the agents' CA and of join tokens, below `/v1/operator`. They are ours.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else. The secret of a join
 * token stands in one answer, when it was made; keys stand in none.
 */
import { X509Certificate } from 'node:crypto'
import { parseDurationMs } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import type { AgentsCa } from '../../cluster/ca.run.ts'
import { joinTokenText } from '../../cluster/join-token.ts'
import { isRefusal } from '../../store/store.ts'
import type { AgentRow, CaRootRow, JoinTokenRow } from '../../store/tables/cluster.ts'
import {
  acting,
  anonymous,
  definePath,
  json,
  type Operation,
  type PathDeclaration,
} from '../declare.ts'
import { bool, int, list, object, optional, text } from '../shape.ts'

/** The part of the room that this face uses. */
export type AgentsCaPort = Pick<
  AgentsCa,
  | 'listAgents'
  | 'listRoots'
  | 'listTokens'
  | 'readToken'
  | 'revoke'
  | 'rotate'
  | 'createToken'
  | 'rotateToken'
  | 'revokeToken'
>

const READING = [access('read', 'operator')]
const WRITING = [access('write', 'operator')]

/** The paths; where an agent does not speak with others each says so. */
export function agentsCaPaths(ca: AgentsCaPort | undefined): PathDeclaration[] {
  if (ca === undefined) return pathsOf({} as AgentsCaPort).map(off)
  return pathsOf(ca)
}

const OFF = new Refusal(501, 'not served here: calls between agents are off (ports.server)')

function off({ path, operations }: PathDeclaration): PathDeclaration {
  const refusing = ({ summary }: Operation): Operation =>
    acting({
      summary,
      query: {},
      body: { raw: 'Not read.' },
      answers: { 501: { text: OFF.text } },
      access: anonymous,
      run: () => OFF,
    })
  const entries = Object.entries(operations).map(([method, each]) => [method, refusing(each)])
  return definePath({ where: 'servers', path, operations: Object.fromEntries(entries) })
}

function pathsOf(ca: AgentsCaPort): PathDeclaration[] {
  return [...caPaths(ca), ...tokenPaths(ca)]
}

const rootShape = object({
  Use: text,
  Generation: int,
  Signs: bool,
  Trusted: bool,
  Fingerprint: text,
  CreateTime: text,
  ExpirationTime: text,
  RootCert: text,
})

const agentShape = object({
  NodeID: text,
  Node: text,
  Kind: text,
  SerialNumber: text,
  KeyDigest: text,
  Root: int,
  IssueTime: text,
  ExpirationTime: text,
  JoinTokenID: text,
  Revoked: bool,
  RevokeTime: optional(text),
})

const caPaths = (ca: AgentsCaPort): PathDeclaration[] => [
  definePath({
    where: 'servers',
    path: '/v1/operator/ca/roots',
    operations: {
      GET: acting({
        summary: "The roots of the agents' CA, the newest first.",
        query: {},
        body: undefined,
        answers: { 200: { json: list(rootShape), help: 'roots' } },
        access: () => READING,
        async run({ who }) {
          const roots = await ca.listRoots(who)
          return isRefusal(roots) ? roots : json(roots.map(root => rootJson(root, roots)))
        },
      }),
    },
  }),
  definePath({
    where: 'servers',
    path: '/v1/operator/ca/rotate',
    operations: {
      PUT: acting({
        summary: "Makes new roots of the agents' CA, which sign from now on.",
        query: {},
        body: undefined,
        answers: {
          200: { json: bool, help: 'true' },
          409: { text: 'A rotation is under way.' },
          503: { text: "This server's clock is wrong: ask another one." },
        },
        access: () => WRITING,
        async run({ who }) {
          const rotated = await ca.rotate(who)
          return isRefusal(rotated) ? rotated : json(true)
        },
      }),
    },
  }),
  definePath({
    where: 'servers',
    path: '/v1/operator/ca/agents',
    operations: {
      GET: acting({
        summary: 'Every agent that was let into the cluster.',
        query: {},
        body: undefined,
        answers: { 200: { json: list(agentShape), help: 'agents' } },
        access: () => READING,
        async run({ who }) {
          const agents = await ca.listAgents(who)
          return isRefusal(agents) ? agents : json(agents.map(agentJson))
        },
      }),
    },
  }),
  definePath({
    where: 'servers',
    path: '/v1/operator/ca/revoke/{node}',
    operations: {
      PUT: acting({
        summary: 'Lets an agent in no more, and cuts its connections.',
        query: {},
        body: undefined,
        answers: { 200: { json: bool, help: 'true' }, 404: { text: 'There is no such agent.' } },
        access: () => WRITING,
        async run({ name, who }) {
          const revoked = await ca.revoke(who, name)
          return isRefusal(revoked) ? revoked : json(true)
        },
      }),
    },
  }),
]

const tokenFields = {
  ID: text,
  Description: text,
  Kind: text,
  Uses: int,
  MaxUses: int,
  CreateTime: text,
  ExpirationTime: optional(text),
  Revoked: bool,
}

const tokenBody = object({
  Description: optional(text),
  Kind: optional(text),
  MaxUses: optional(int),
  TTL: optional(text),
})

const tokenPaths = (ca: AgentsCaPort): PathDeclaration[] => [
  definePath({
    where: 'servers',
    path: '/v1/operator/join-tokens',
    operations: {
      GET: acting({
        summary: 'The join tokens, without their secrets.',
        query: {},
        body: undefined,
        answers: { 200: { json: list(object(tokenFields)), help: 'join tokens' } },
        access: () => READING,
        async run({ who }) {
          const tokens = await ca.listTokens(who)
          return isRefusal(tokens) ? tokens : json(tokens.map(tokenJson))
        },
      }),
    },
  }),
  definePath({
    where: 'servers',
    path: '/v1/operator/join-token',
    operations: {
      PUT: acting({
        summary: 'Makes a join token.',
        query: {},
        body: { shape: tokenBody, failure: 'Request decode failed' },
        answers: { 200: { json: object({ ...tokenFields, Token: text }), help: SHOWN_ONCE } },
        access: () => WRITING,
        async run({ body, who }) {
          const ttl = body.TTL ?? ''
          const ttlMs = ttl === '' ? 0 : parseDurationMs(ttl)
          if (ttlMs === undefined) return new Refusal(400, 'TTL must be a duration such as 24h')
          const { Description: description = '', Kind = 'client', MaxUses: maxUses = 0 } = body
          const kind = Kind as 'client'
          return madeReply(await ca.createToken(who, { description, kind, maxUses, ttlMs }))
        },
      }),
    },
  }),
  definePath({
    where: 'servers',
    path: '/v1/operator/join-token/{id}',
    operations: {
      GET: acting({
        summary: 'A join token, without its secret.',
        query: {},
        body: undefined,
        answers: {
          200: { json: object(tokenFields), help: 'the join token' },
          404: { text: 'There is no such join token.' },
        },
        access: () => READING,
        async run({ name, who }) {
          const token = await ca.readToken(who, name)
          return isRefusal(token) ? token : json(tokenJson(token))
        },
      }),
      DELETE: acting({
        summary: 'Revokes a join token; one that was revoked is removed.',
        query: {},
        body: undefined,
        answers: { 200: { json: bool, help: 'true' }, 404: { text: 'There is no such token.' } },
        access: () => WRITING,
        async run({ name, who }) {
          const revoked = await ca.revokeToken(who, name)
          return isRefusal(revoked) ? revoked : json(true)
        },
      }),
    },
  }),
  definePath({
    where: 'servers',
    path: '/v1/operator/join-token/{id}/rotate',
    operations: {
      PUT: acting({
        summary: 'Gives a join token another secret.',
        query: {},
        body: undefined,
        answers: {
          200: { json: object({ ...tokenFields, Token: text }), help: SHOWN_ONCE },
          404: { text: 'There is no such join token.' },
        },
        access: () => WRITING,
        run: async ({ name, who }) => madeReply(await ca.rotateToken(who, name)),
      }),
    },
  }),
]

const SHOWN_ONCE = 'the join token with what whoever joins is given; it is shown this once'

type Made = Awaited<ReturnType<AgentsCaPort['createToken']>>

function madeReply(made: Made) {
  if (isRefusal(made)) return made
  const { row, secret } = made
  return json({ ...tokenJson(row), Token: joinTokenText({ id: row.id, secret }) })
}

const timeText = (ms: number): string => new Date(ms).toISOString()

const tokenJson = (row: JoinTokenRow) => ({
  ID: row.id,
  Description: row.description,
  Kind: row.kind,
  Uses: row.uses,
  MaxUses: row.maxUses,
  CreateTime: timeText(row.createdAtMs),
  ...(row.expiresAtMs === 0 ? {} : { ExpirationTime: timeText(row.expiresAtMs) }),
  Revoked: row.revokedAtMs > 0,
})

const agentJson = (row: AgentRow) => ({
  NodeID: row.nodeId,
  Node: row.name,
  Kind: row.kind,
  SerialNumber: row.serial,
  KeyDigest: row.keyDigest,
  Root: row.root,
  IssueTime: timeText(row.issuedAtMs),
  ExpirationTime: timeText(row.expiresAtMs),
  JoinTokenID: row.joinToken,
  Revoked: row.revokedAtMs > 0,
  ...(row.revokedAtMs > 0 ? { RevokeTime: timeText(row.revokedAtMs) } : {}),
})

function rootJson(row: CaRootRow, all: readonly CaRootRow[]) {
  const certificate = new X509Certificate(row.certificate)
  const newest = Math.max(...all.filter(({ use }) => use === row.use).map(one => one.generation))
  return {
    Use: row.use,
    Generation: row.generation,
    Signs: row.generation === newest,
    Trusted: row.retiredAtMs === 0,
    Fingerprint: certificate.fingerprint256,
    CreateTime: timeText(row.createdAtMs),
    ExpirationTime: certificate.validToDate.toISOString(),
    RootCert: row.certificate,
  }
}
