/**
 * The paths of prepared queries: `/v1/query`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */

import { notServed, Refusal } from '../../base/errors.ts'
import { renderInSlices } from '../../base/slices.ts'
import { access } from '../../base/who.ts'
import type { Executed, Queries } from '../../registry/query.run.ts'
import type { QueryRequest } from '../../registry/query.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { QueryRow } from '../../store/tables/query.ts'
import { type Contact, contactFields, contactHeaders, contactJson, contactOf } from '../contact.ts'
import {
  acting,
  askEach,
  askOne,
  definePath,
  EMPTY,
  json,
  type Operation,
  type PathDeclaration,
  plain,
  type Reply,
  reading,
} from '../declare.ts'
import { flag, type Parameter, string } from '../query.ts'
import { bool, int, list, map, nullable, type Of, object, optional, text } from '../shape.ts'
import { enterpriseFields } from './service-body.ts'
import { healthShape, type Wire } from './wire.ts'

/** The part of the prepared queries that this face uses. */
export type QueriesPort = Pick<
  Queries,
  'all' | 'byId' | 'create' | 'update' | 'delete' | 'execute' | 'explain'
>

const queryBodyShape = object({
  ID: text,
  Name: text,
  Session: text,
  Token: text,
  Template: object({ Type: text, Regexp: text, RemoveEmptyTags: bool }),
  Service: object({
    Service: text,
    SamenessGroup: text,
    Failover: object({
      NearestN: int,
      Datacenters: list(text),
      Targets: list(object({ Peer: text, PeerName: text, Datacenter: text, ...enterpriseFields })),
    }),
    OnlyPassing: bool,
    IgnoreCheckIDs: list(text),
    Near: text,
    Tags: list(text),
    NodeMeta: map(text),
    ServiceMeta: map(text),
    Connect: bool,
    Peer: text,
    PeerName: text,
    ...enterpriseFields,
  }),
  DNS: object({ TTL: text }),
  CreateIndex: int,
  ModifyIndex: int,
})

const queryShape = object({
  ID: text,
  Name: text,
  Session: text,
  Token: text,
  Template: object({ Type: text, Regexp: text, RemoveEmptyTags: bool }),
  Service: object({
    Service: text,
    Failover: object({
      NearestN: int,
      Datacenters: nullable(list(text)),
      Targets: nullable(list(object({ Peer: optional(text), Datacenter: optional(text) }))),
    }),
    OnlyPassing: bool,
    IgnoreCheckIDs: nullable(list(text)),
    Near: text,
    Tags: nullable(list(text)),
    NodeMeta: nullable(map(text)),
    ServiceMeta: nullable(map(text)),
    Connect: bool,
  }),
  DNS: object({ TTL: text }),
  CreateIndex: int,
  ModifyIndex: int,
})

/** What an answer that does not block says of itself in its body. */
const metaFields = {
  Index: int,
  ...contactFields,
  ConsistencyLevel: text,
  NotModified: bool,
  Backend: int,
  ResultsFilteredByACLs: bool,
}

const executedShape = object({
  Service: text,
  Nodes: list(healthShape),
  DNS: object({ TTL: text }),
  Datacenter: text,
  PeerName: text,
  Failovers: int,
  ...metaFields,
})

/** The paths of prepared queries of one datacenter. */
export function queryPaths(
  queries: QueriesPort,
  wire: Wire,
  datacenter: string,
): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/query',
      operations: { GET: listOperation(queries), POST: createOperation(queries) },
    }),
    definePath({
      where: 'servers',
      path: '/v1/query/{query}',
      operations: {
        GET: getOperation(queries),
        PUT: updateOperation(queries),
        DELETE: deleteOperation(queries),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/query/{query}/execute',
      operations: { GET: executeOperation(queries, wire, datacenter) },
      optionsBody: '{}',
    }),
    definePath({
      where: 'servers',
      path: '/v1/query/{query}/explain',
      operations: { GET: explainOperation(queries) },
    }),
  ]
}

const NOT_FOUND = plain('Query not found', 404)
const notFound = { text: 'There is no such query.' }
const WRITING = [access('write', 'query')]

const listOperation = (queries: QueriesPort): Operation =>
  reading({
    summary: 'All prepared queries, by their ids.',
    query: {},
    answers: { 200: { json: list(queryShape), help: 'queries' } },
    access: () => [access('read', 'query'), access('write', 'acl')],
    ask: ({ who }) => askEach(queries.all(who), queryText),
  })

const getOperation = (queries: QueriesPort): Operation =>
  reading({
    summary: 'A prepared query, as a list of one.',
    query: {},
    answers: { 200: { json: list(queryShape), help: 'the query' }, 404: notFound },
    access: () => [access('read', 'query'), access('write', 'acl')],
    ask({ name, who }) {
      const question = queries.byId(who, name)
      if (isRefusal(question)) return question
      return askOne(question, found => {
        if (isRefusal(found)) return plain(found.text, found.status)
        return found === undefined ? NOT_FOUND : { status: 200, body: `[${queryText(found)}]` }
      })
    },
  })

const createOperation = (queries: QueriesPort): Operation =>
  acting({
    summary: 'Creates a prepared query.',
    query: {},
    body: { shape: queryBodyShape, failure: 'Request decode failed' },
    answers: { 200: { json: object({ ID: text }), help: "the query's id" } },
    access: () => WRITING,
    async run({ body, who }) {
      if (body.ID !== '') {
        return new Refusal(500, 'ID must be empty when creating a new prepared query')
      }
      const request = readQuery(body)
      if (isRefusal(request)) return request
      const id = await queries.create(who, request)
      return isRefusal(id) ? id : json({ ID: id })
    },
  })

const updateOperation = (queries: QueriesPort): Operation =>
  acting({
    summary: 'Puts another prepared query in the place of one.',
    query: {},
    body: { shape: queryBodyShape, failure: 'Request decode failed', optional: true },
    answers: { 200: { empty: 'It was changed.' } },
    access: () => WRITING,
    async run({ name, body, who }) {
      const request = readQuery(body)
      if (isRefusal(request)) return request
      const id = await queries.update(who, name, request)
      return isRefusal(id) ? id : EMPTY
    },
  })

const deleteOperation = (queries: QueriesPort): Operation =>
  acting({
    summary: 'Deletes a prepared query.',
    query: {},
    body: undefined,
    answers: { 200: { empty: 'It was deleted.' } },
    access: () => WRITING,
    async run({ name, who }) {
      const id = await queries.delete(who, name)
      return isRefusal(id) ? id : EMPTY
    },
  })

const modes = {
  stale: flag('From this server at once, however old its view.'),
  consistent: flag('After the store has confirmed that the view is current.'),
  cached: flag('Tells in X-Cache that the answer was made anew.'),
}

const limitParameter: Parameter<number> = {
  help: 'At most so many instances; 0 for all.',
  schema: { type: 'integer', minimum: 0 },
  parse([value]) {
    if (value === undefined || value === '') return 0
    if (/^[+-]?\d{1,15}$/.test(value)) return Number(value)
    const quoted = JSON.stringify(value.slice(0, SHOWN_CHARS))
    return new Refusal(500, `Bad limit: strconv.Atoi: parsing ${quoted}: invalid syntax`)
  },
}

const SHOWN_CHARS = 64

function executeOperation(queries: QueriesPort, wire: Wire, datacenter: string): Operation {
  return acting({
    summary: 'The instances that a prepared query gives, by its id or a name.',
    query: {
      ...modes,
      near: string('Nearest to this node first; _agent or _ip for who is asked or who asks.'),
      limit: limitParameter,
      connect: flag('Only instances that speak the mesh’s TLS.'),
    },
    body: undefined,
    meta: true,
    answers: { 200: { json: executedShape, help: 'instances to use' }, 404: notFound },
    access: () => [access('read', 'service'), access('read', 'node')],
    async run({ name, who, query, sourceIp, forwarder, age }) {
      const { near, limit, connect: isConnect } = query
      if (query.stale && query.consistent) return bothModes
      const isStale = query.stale
      const asked = { sourceIp: sourceIp(), agentNode: forwarder?.node }
      const options = { isStale, near, limit, isConnect, ...asked }
      const executed = await queries.execute(who, name, options)
      if (executed === undefined) return NOT_FOUND
      if (isRefusal(executed)) return executed
      const contact = contactOf(age, isStale)
      return executedReply(executed, wire, datacenter, { ...query, contact })
    },
  })
}

function explainOperation(queries: QueriesPort): Operation {
  return acting({
    summary: 'The prepared query that a name means, with its template rendered.',
    query: modes,
    body: undefined,
    meta: true,
    answers: {
      200: { json: object({ Query: queryShape, ...metaFields }), help: 'the query' },
      404: notFound,
    },
    access: () => [access('read', 'query'), access('write', 'acl')],
    async run({ name, who, query, age }) {
      if (query.stale && query.consistent) return bothModes
      const found = await queries.explain(who, name, query.stale)
      if (found === undefined) return NOT_FOUND
      if (isRefusal(found)) return found
      const contact = contactOf(age, query.stale)
      const answer = json({ Query: queryJson(found), ...metaJson({ ...query, contact }) })
      return { ...answer, headers: contactHeaders(contact) }
    },
  })
}

const bothModes = new Refusal(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.')

/** How it was read. */
interface ReadAs {
  readonly stale: boolean
  readonly consistent: boolean
  readonly contact: Contact
}

const metaJson = (query: ReadAs, isFiltered = false) => ({
  Index: 0,
  ...contactJson(query.contact),
  ConsistencyLevel: query.stale ? 'stale' : query.consistent ? 'consistent' : 'leader',
  NotModified: false,
  Backend: 0,
  ResultsFilteredByACLs: isFiltered,
})

async function executedReply(
  { query, instances, isFiltered }: Executed,
  wire: Wire,
  datacenter: string,
  modesGiven: ReadAs & { readonly cached: boolean },
): Promise<Reply> {
  const pieces = await renderInSlices(instances, instance => wire.health(instance))
  const rest = {
    DNS: { TTL: query.dnsTtl },
    Datacenter: datacenter,
    PeerName: '',
    Failovers: 0,
    ...metaJson(modesGiven, isFiltered),
  }
  const body = Buffer.concat([
    Buffer.from(`{"Service":${JSON.stringify(query.service.service)},"Nodes":[`),
    ...pieces,
    Buffer.from(`],${JSON.stringify(rest).slice(1)}`),
  ])
  const headers = contactHeaders(modesGiven.contact)
  return { status: 200, body, headers: { ...headers, ...(modesGiven.cached ? MISS : {}) } }
}

const MISS = { 'X-Cache': 'MISS' }

const queryText = (cell: Cell<QueryRow>): string => JSON.stringify(queryJson(cell.row, cell))

const orNull = <T extends object>(value: T): T | null =>
  Object.keys(value).length === 0 ? null : value

function queryJson(row: QueryRow, cell?: Cell<QueryRow>) {
  const { service, template } = row
  const { failover } = service
  return {
    ID: row.id,
    Name: row.name,
    Session: row.session,
    Token: row.token,
    Template: {
      Type: template.type,
      Regexp: template.regexp,
      RemoveEmptyTags: template.removeEmptyTags,
    },
    Service: {
      Service: service.service,
      Failover: {
        NearestN: failover.nearestN,
        Datacenters: orNull(failover.datacenters),
        Targets: orNull(
          failover.targets.map(({ peer, datacenter }) => ({
            ...(peer === '' ? {} : { Peer: peer }),
            ...(datacenter === '' ? {} : { Datacenter: datacenter }),
          })),
        ),
      },
      OnlyPassing: service.onlyPassing,
      IgnoreCheckIDs: orNull(service.ignoreCheckIds),
      Near: service.near,
      Tags: orNull(service.tags),
      NodeMeta: orNull(service.nodeMeta),
      ServiceMeta: orNull(service.serviceMeta),
      Connect: service.connect,
    },
    DNS: { TTL: row.dnsTtl },
    CreateIndex: cell?.createIndex ?? 0,
    ModifyIndex: cell?.modifyIndex ?? 0,
  }
}

function readQuery(body: Of<typeof queryBodyShape>): QueryRequest | Refusal {
  const { Service, Template } = body
  if (Service.SamenessGroup !== '') return notServed('SamenessGroup')
  if (Service.Peer !== '' || Service.PeerName !== '') return notServed('Peer')
  const { Failover } = Service
  return {
    name: body.Name,
    session: body.Session,
    token: body.Token,
    template: {
      type: Template.Type,
      regexp: Template.Regexp,
      removeEmptyTags: Template.RemoveEmptyTags,
    },
    service: {
      service: Service.Service,
      failover: {
        nearestN: Failover.NearestN,
        datacenters: Failover.Datacenters,
        targets: Failover.Targets.map(({ Peer, PeerName, Datacenter }) => ({
          peer: Peer || PeerName,
          datacenter: Datacenter,
        })),
      },
      onlyPassing: Service.OnlyPassing,
      ignoreCheckIds: Service.IgnoreCheckIDs,
      near: Service.Near,
      tags: Service.Tags,
      nodeMeta: Service.NodeMeta,
      serviceMeta: Service.ServiceMeta,
      connect: Service.Connect,
    },
    dnsTtl: body.DNS.TTL,
  }
}
