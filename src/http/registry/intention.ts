/**
 * The paths of intentions: `/v1/connect/intentions`.
 *
 * Owns parsing into and rendering out of the room's functions, and how a pair of services is named
 * in a query.
 */
import { notServed, Refusal } from '../../base/errors.ts'
import { access } from '../../base/who.ts'
import { permissions } from '../../registry/config-entry/service-intentions.ts'
import { intentionFields } from '../../registry/fields.ts'
import {
  allIntentions,
  exactIntention,
  type Intention,
  intentionById,
  type Match,
  matchIntentions,
  metaOf,
  type Pair,
  type Said,
} from '../../registry/intention.ts'
import type { Registry } from '../../registry/room.run.ts'
import type { Question } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import {
  type Asking,
  acting,
  askEach,
  askOne,
  definePath,
  json,
  type Operation,
  type PathDeclaration,
  plain,
  type Reply,
  reading,
} from '../declare.ts'
import { filtering, optionalString, string, strings } from '../query.ts'
import {
  anything,
  bool,
  enterprise,
  int,
  list,
  map,
  nullable,
  type Of,
  object,
  optional,
  type Shape,
  text,
} from '../shape.ts'
import { shapeOf } from './config.ts'

const permissionsShape = shapeOf(permissions)

const intentionShape = object({
  ID: optional(text),
  Description: optional(text),
  SourceNS: text,
  SourceName: text,
  DestinationNS: text,
  DestinationName: text,
  SourcePeer: optional(text),
  SourceType: text,
  Action: optional(text),
  Permissions: optional(permissionsShape),
  Meta: optional(map(text)),
  Precedence: int,
  CreatedAt: optional(text),
  UpdatedAt: optional(text),
  CreateIndex: int,
  ModifyIndex: int,
})

/** What a body may say of an intention; what the server alone knows is not looked at. */
const bodyShape = object({
  ID: text,
  Description: text,
  SourcePartition: enterprise('Partitions'),
  SourceNS: enterprise('Namespaces'),
  SourcePeer: text,
  SourceSamenessGroup: text,
  SourceName: text,
  DestinationPartition: enterprise('Partitions'),
  DestinationNS: enterprise('Namespaces'),
  DestinationName: text,
  SourceType: text,
  Action: text,
  Permissions: permissionsShape as Shape<Said['permissions']>,
  DefaultAddr: text,
  DefaultPort: int,
  Meta: map(text),
  Precedence: int,
  CreatedAt: anything,
  UpdatedAt: anything,
  Hash: anything,
  CreateIndex: int,
  ModifyIndex: int,
})
const body = { shape: bodyShape, failure: 'Request decode failed' }

const NOT_FOUND = 'Intention not found'
const absent: Reply = plain(NOT_FOUND, 404)
const reads = () => [access('read', 'intention')]
const writes = () => [access('write', 'intention')]

export interface IntentionOptions {
  readonly datacenter: string
  /** What holds for a pair of which no intention says anything. */
  readonly defaultIntentionPolicy: 'allow' | 'deny'
}

/** The paths of intentions. */
export function intentionPaths(room: Registry, options: IntentionOptions): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/connect/intentions',
      operations: { GET: listOperation(), POST: createOperation(room, options.datacenter) },
    }),
    exactPath(room, options.datacenter),
    matchPath(),
    checkPath(room, options.defaultIntentionPolicy === 'allow'),
    idPath(room, options.datacenter),
  ]
}

function listOperation(): Operation {
  return reading({
    summary: 'All intentions, the most precise first.',
    query: { filter: filtering(intentionFields) },
    answers: { 200: { json: list(intentionShape), help: 'intentions' } },
    access: reads,
    ask: ({ query: { filter }, who }) => askEach(allIntentions(who), intentionText, { filter }),
  })
}

function createOperation(room: Registry, datacenter: string): Operation {
  return acting({
    summary: 'Makes an intention that is known by an id. Deprecated: write the pair.',
    query: {},
    body,
    answers: { 200: { json: object({ ID: text }), help: 'its id' } },
    access: writes,
    async run({ body: given, who }) {
      if (given.ID !== '') return new Refusal(500, 'ID must be empty when creating a new intention')
      const pair = pairOf(given)
      if (isRefusal(pair)) return pair
      const said = saidOf(given)
      const id = await room.createIntention(who, { pair, said, datacenter })
      return isRefusal(id) ? id : json({ ID: id })
    },
  })
}

const pairQuery = {
  source: optionalString('The service that calls, or *.'),
  destination: optionalString('The service that is called, or *.'),
}

function exactPath(room: Registry, datacenter: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/connect/intentions/exact',
    operations: {
      GET: reading({
        summary: 'What is said of a pair of services.',
        query: pairQuery,
        answers: {
          200: { json: intentionShape, help: 'the intention' },
          404: { text: NOT_FOUND },
        },
        access: reads,
        ask({ query, who }) {
          const pair = readPair(query, true)
          return isRefusal(pair) ? pair : askIntention(exactIntention(who, pair))
        },
      }),
      PUT: acting({
        summary: 'Says whether one service may call another.',
        query: pairQuery,
        body,
        answers: { 200: { json: bool, help: 'true' } },
        access: writes,
        async run({ query, body: given, who }) {
          const pair = readPair(query, false)
          if (isRefusal(pair)) return pair
          const refusal = refuseForeign(given)
          if (refusal !== undefined) return refusal
          return answered(await room.putIntention(who, { pair, said: saidOf(given), datacenter }))
        },
      }),
      DELETE: acting({
        summary: 'Takes back what is said of a pair of services.',
        query: pairQuery,
        body: undefined,
        answers: { 200: { json: bool, help: 'true, also when nothing was said' } },
        access: writes,
        async run({ query, who }) {
          const pair = readPair(query, false)
          return isRefusal(pair)
            ? pair
            : answered(await room.deleteIntention(who, pair, datacenter))
        },
      }),
    },
  })
}

const answered = (answer: boolean | Refusal): Reply | Refusal =>
  isRefusal(answer) ? answer : json(answer)

function askIntention(
  question: Question<Intention | undefined | Refusal> | Refusal,
): Asking | Refusal {
  if (isRefusal(question)) return question
  return askOne(question, found => {
    if (found === undefined) return absent
    if (isRefusal(found)) return plain(found.text, found.status)
    return { status: 200, body: intentionText(found) }
  })
}

function matchPath(): PathDeclaration {
  const answer = map(nullable(list(intentionShape)))
  return definePath({
    where: 'servers',
    path: '/v1/connect/intentions/match',
    operations: {
      GET: reading({
        summary: 'The intentions that count for services, those that decide first.',
        query: {
          by: optionalString('source or destination: what the names are of.'),
          name: strings('A service; may be given again.'),
        },
        cached: true,
        answers: { 200: { json: answer, help: 'lists of intentions by name' } },
        access: reads,
        ask({ query: { by, name: names }, who }) {
          if (by === undefined) return new Refusal(500, "required query parameter 'by' not set")
          if (by !== 'source' && by !== 'destination') {
            return new Refusal(500, "'by' parameter must be one of 'source' or 'destination'")
          }
          if (names.length === 0) {
            return new Refusal(500, "required query parameter 'name' not set")
          }
          const parties = names.map(name => readParty('name', name, false))
          const bad = parties.find(isRefusal)
          if (bad !== undefined) return bad
          const services = parties.map(party => (party as Party).name)
          const question = matchIntentions(who, { by, names: services })
          if (isRefusal(question)) return question
          // Answered under the names as they were given, whatever their form.
          const given = new Map(names.map((name, i) => [services[i]!, name]))
          return askEach(question, match => matchText(match, given), { brackets: '{}' })
        },
      }),
    },
  })
}

const matchText = ({ name, intentions }: Match, given: ReadonlyMap<string, string>): string =>
  `${JSON.stringify(given.get(name) ?? name)}:[${intentions.map(intentionText).join(',')}]`

function checkPath(room: Registry, isAllowedByDefault: boolean): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/connect/intentions/check',
    operations: {
      GET: acting({
        summary: 'Whether one service may call another.',
        query: { ...pairQuery, 'source-type': string('consul, which is all that there is.') },
        body: undefined,
        answers: { 200: { json: object({ Allowed: bool }), help: 'Whether it may.' } },
        access: () => [access('read', 'service')],
        async run({ query, who }) {
          const type = query['source-type']
          if (type !== '' && type !== 'consul') {
            return new Refusal(500, `unsupported SourceType: ${JSON.stringify(type.slice(0, 64))}`)
          }
          const pair = readPair(query, false)
          if (isRefusal(pair)) return pair
          const Allowed = await room.checkIntention(who, { ...pair, isAllowedByDefault })
          return isRefusal(Allowed) ? Allowed : json({ Allowed })
        },
      }),
    },
  })
}

function idPath(room: Registry, datacenter: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/connect/intentions/{id}',
    operations: {
      GET: reading({
        summary: 'An intention by its id. Deprecated: ask for the pair.',
        query: {},
        answers: {
          200: { json: intentionShape, help: 'the intention' },
          404: { text: NOT_FOUND },
        },
        access: reads,
        ask: ({ name: id, who }) => askIntention(intentionById(who, id)),
      }),
      PUT: acting({
        summary: 'Says anew what an intention says. Deprecated: write the pair.',
        query: {},
        body,
        answers: { 200: { json: object({ ID: text }), help: 'its id' } },
        access: writes,
        async run({ name: id, body: given, who }) {
          const pair = pairOf(given)
          if (isRefusal(pair)) return pair
          const request = { id, pair, said: saidOf(given), datacenter }
          const answer = await room.updateIntention(who, request)
          return isRefusal(answer) ? answer : json({ ID: answer })
        },
      }),
      DELETE: acting({
        summary: 'Takes back an intention by its id. Deprecated: delete the pair.',
        query: {},
        body: undefined,
        answers: { 200: { json: bool, help: 'true' } },
        access: writes,
        run: async ({ name: id, who }) =>
          answered(await room.deleteIntentionById(who, id, datacenter)),
      }),
    },
  })
}

function saidOf(given: Of<typeof bodyShape>): Said {
  return {
    action: given.Action || undefined,
    permissions: given.Permissions,
    description: given.Description || undefined,
    type: given.SourceType,
    meta: given.Meta,
  }
}

function pairOf(given: Of<typeof bodyShape>): Pair | Refusal {
  const refusal = refuseForeign(given)
  if (refusal !== undefined) return refusal
  return { source: given.SourceName, peer: '', destination: given.DestinationName }
}

function refuseForeign(given: Of<typeof bodyShape>): Refusal | undefined {
  if (given.SourcePeer !== '') return notServed('SourcePeer')
  if (given.SourceSamenessGroup === '') return undefined
  return new Refusal(500, 'sameness-groups are an enterprise-only feature')
}

// --- names of services in queries

interface Party {
  readonly peer: string
  readonly name: string
}

/** The pair that a query names. Both must be there. */
function readPair(
  query: { readonly source: string | undefined; readonly destination: string | undefined },
  mayBePeer: boolean,
): Pair | Refusal {
  for (const which of ['source', 'destination'] as const) {
    if (query[which]) continue
    return new Refusal(500, `required query parameter '${which}' not set`)
  }
  const source = readParty('source', query.source!, mayBePeer)
  if (isRefusal(source)) return source
  const destination = readParty('destination', query.destination!, false)
  if (isRefusal(destination)) return destination
  return { source: source.name, peer: source.peer, destination: destination.name }
}

/** `name`, `default/name`, `default/default/name`; where a peer may stand, also `peer:p/name`. */
function readParty(which: string, given: string, mayBePeer: boolean): Party | Refusal {
  const invalid = (why: string): Refusal =>
    new Refusal(500, `${which} ${JSON.stringify(given.slice(0, 256))} is invalid: ${why}`)
  const parts = given.split('/')
  if (parts.length > 3) return invalid("input can contain at most two '/'")
  const name = parts.at(-1)!
  const isPeer = parts[0]!.startsWith('peer:')
  if (isPeer && !mayBePeer) return invalid('cannot specify a peer here')
  if (isPeer && parts.length === 1) return invalid('need to specify the service name as well')
  const scopes = parts.slice(isPeer ? 1 : 0, -1)
  const foreign = scopes.find(one => one !== '' && one.toLowerCase() !== 'default')
  if (foreign !== undefined) {
    const what = `Invalid ${which}(${foreign.slice(0, 64)})`
    return new Refusal(400, `${what}: Namespaces is a Consul Enterprise feature`)
  }
  return { peer: isPeer ? parts[0]!.slice('peer:'.length) : '', name }
}

/** The text of an intention. */
export function intentionText({ source, destination, entry }: Intention): string {
  const meta = metaOf({ source, destination, entry })
  return JSON.stringify({
    ID: source.LegacyID,
    Description: source.Description,
    SourceNS: 'default',
    SourceName: source.Name,
    DestinationNS: 'default',
    DestinationName: destination,
    SourcePeer: source.Peer,
    SourceType: source.Type,
    Action: source.Action,
    Permissions: source.Permissions,
    Meta: Object.keys(meta).length === 0 ? undefined : meta,
    Precedence: source.Precedence,
    CreatedAt: source.LegacyCreateTime,
    UpdatedAt: source.LegacyUpdateTime,
    CreateIndex: entry.createIndex,
    ModifyIndex: entry.modifyIndex,
  })
}
