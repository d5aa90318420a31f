/**
 * The paths of the catalog: `/v1/catalog/`.
 *
 * Owns parsing into and rendering out of the room's functions, nothing else.
 */
import { missing, notServed, Refusal } from '../../base/errors.ts'
import { keptInSlices } from '../../base/slices.ts'
import { access } from '../../base/who.ts'
import type { Filter } from '../../filter/filter.ts'
import {
  allNodes,
  type Instance,
  type NodeServices,
  nodeServices,
  type Registration,
  serviceInstances,
  serviceNames,
} from '../../registry/catalog.ts'
import { completeCheck, completeRegistration } from '../../registry/definition.ts'
import type { Registry } from '../../registry/room.run.ts'
import type { Question } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { CheckRow } from '../../store/tables/check.ts'
import type { NodeRow } from '../../store/tables/node.ts'
import type { ServiceRow } from '../../store/tables/service.ts'
import {
  type Asking,
  acting,
  askEach,
  askOne,
  definePath,
  json,
  type PathDeclaration,
  type Reply,
  reading,
} from '../declare.ts'
import { filtering, notYet, pairs, strings, switched } from '../query.ts'
import { bool, int, list, map, nullable, type Of, object, text } from '../shape.ts'
import { definitionFields, readDefinition } from './check-definition.ts'
import { distanceOf, type NearOf, nearParameter } from './near.ts'
import {
  enterpriseFields,
  localityShape,
  readService,
  readStatus,
  serviceFields,
} from './service-body.ts'
import { instanceShape, nodeShape, serviceShape, type Wire } from './wire.ts'

/** What every list of the catalog and of health may be narrowed by. */
export const narrowing = {
  'node-meta': pairs('key:value that the node must have; all of those given.'),
  near: nearParameter,
}

/** What lists of instances take besides. */
export const instanceQuery = {
  ...narrowing,
  tag: strings('A tag that the instance must have; all of those given, without case.'),
  'merge-central-config': switched(
    'Joins central configuration into each instance; there is none yet.',
    'Invalid value for ?merge-central-config',
  ),
  peer: notYet('peer', 'Imported from this peer.'),
  sg: notYet('sg', 'Of this sameness group.'),
}

const written = (answer: true | Refusal): Reply | Refusal =>
  isRefusal(answer) ? answer : json(answer)

/** The paths of the catalog of one datacenter. */
export function catalogPaths(
  room: Registry,
  wire: Wire,
  near: NearOf,
  datacenter: string,
): PathDeclaration[] {
  return [
    registerPath(room, datacenter),
    deregisterPath(room, datacenter),
    ...catalogReads(wire, near),
  ]
}

/** Those of them that read. */
export const catalogReads = (wire: Wire, near: NearOf): PathDeclaration[] => [
  ...listPaths(wire, near),
  ...nodePaths(wire),
]

function registerPath(room: Registry, datacenter: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/catalog/register',
    operations: {
      PUT: acting({
        summary: 'Registers a node, and a service and checks on it.',
        query: {},
        body: { shape: registrationShape, failure: 'Request decode failed' },
        answers: { 200: { json: bool, help: 'true' } },
        access: () => [access('write', 'node'), access('write', 'service')],
        run({ body, who }) {
          const registration = readRegistration(body, datacenter)
          return isRefusal(registration)
            ? registration
            : room.register(who, registration).then(written)
        },
      }),
    },
  })
}

function deregisterPath(room: Registry, datacenter: string): PathDeclaration {
  return definePath({
    where: 'servers',
    path: '/v1/catalog/deregister',
    operations: {
      PUT: acting({
        summary: 'Deregisters a check, else a service with its checks, else a node with all on it.',
        query: {},
        body: { shape: deregistrationShape, failure: 'Request decode failed' },
        answers: { 200: { json: bool, help: 'true, also when there was nothing' } },
        access: () => [access('write', 'node'), access('write', 'service')],
        async run({ body, who }) {
          const refusal = refuseDatacenter(body.Datacenter, datacenter) ?? refusePeer(body.PeerName)
          if (refusal !== undefined) return refusal
          const { Node: node, ServiceID: serviceId, CheckID: checkId } = body
          return written(await room.deregister(who, { node, serviceId, checkId }))
        },
      }),
    },
  })
}

function listPaths(wire: Wire, near: NearOf): PathDeclaration[] {
  return [
    definePath({
      where: 'servers',
      path: '/v1/catalog/nodes',
      operations: {
        GET: reading({
          summary: 'All nodes, by name.',
          query: { ...narrowing, filter: filtering(wire.fields.node) },
          effective: true,
          answers: { 200: { json: list(nodeShape), help: 'nodes' } },
          access: () => [access('read', 'node')],
          ask(request) {
            const { query, who } = request
            const { filter } = query
            const distance = distanceOf<Cell<NodeRow>>(near(request), ({ row }) => row.node)
            return askEach(allNodes(who, query['node-meta']), wire.node, { filter, distance })
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/catalog/services',
      operations: {
        GET: reading({
          summary: 'The names of all services, each with the tags of its instances.',
          query: {
            'node-meta': narrowing['node-meta'],
            filter: filtering(wire.fields.instance),
          },
          effective: true,
          cached: true,
          answers: { 200: { json: map(list(text)), help: 'tags by name' } },
          access: () => [access('read', 'service')],
          ask({ query, who }) {
            const { filter } = query
            const question = serviceNames(who, query['node-meta'], filter?.keeps)
            const asking = askEach(question, wire.serviceTags, { brackets: '{}' })
            return filter === undefined ? asking : filteredBy(filter, asking)
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/catalog/service/{service}',
      operations: {
        GET: reading({
          summary: 'The instances of a service, by node name and service id.',
          query: { ...instanceQuery, filter: filtering(wire.fields.instance) },
          effective: true,
          cached: true,
          answers: { 200: { json: list(instanceShape), help: 'instances with their nodes' } },
          access: service => [access('read', 'service', service), access('read', 'node')],
          ask(request) {
            const { name, query, who } = request
            if (name === '') return missing('service name')
            const { filter } = query
            const wanted = { tags: query.tag, meta: query['node-meta'] }
            const distance = distanceOf<Instance>(near(request), ({ node }) => node.row.node)
            const question = serviceInstances(who, name, wanted)
            return askEach(question, wire.instance, { filter, distance })
          },
        }),
      },
    }),
  ]
}

function nodePaths(wire: Wire): PathDeclaration[] {
  const nodeRights = (node: string) => [access('read', 'node', node), access('read', 'service')]
  const filter = filtering(wire.fields.service)
  const ofNode = object({ Node: nodeShape, Services: map(serviceShape) })
  const listOfNode = object({
    Node: nullable(nodeShape),
    Services: nullable(list(serviceShape)),
  })
  return [
    definePath({
      where: 'servers',
      path: '/v1/catalog/node/{node}',
      operations: {
        GET: reading({
          summary: 'A node and the services on it by their ids.',
          query: { filter },
          effective: true,
          answers: { 200: { json: nullable(ofNode), help: 'null when the node is not known' } },
          access: nodeRights,
          ask({ name, query, who }) {
            if (name === '') return missing('node name')
            return askNode(nodeServices(who, name), wire.nodeServices, query.filter)
          },
        }),
      },
    }),
    definePath({
      where: 'servers',
      path: '/v1/catalog/node-services/{node}',
      operations: {
        GET: reading({
          summary: 'A node and the list of services on it.',
          query: { filter, 'merge-central-config': instanceQuery['merge-central-config'] },
          effective: true,
          answers: { 200: { json: listOfNode, help: 'nulls when the node is not known' } },
          access: nodeRights,
          ask({ name, query, who }) {
            if (name === '') return missing('node name')
            const one = askNode(nodeServices(who, name), wire.nodeServiceList, query.filter)
            return { ...one, variant: `list ${one.variant}` }
          },
        }),
      },
    }),
  ]
}

/** A node with those of its services that the filter keeps. */
function askNode(
  question: Question<NodeServices | undefined>,
  render: (found: NodeServices | undefined) => string,
  filter: Filter<Cell<ServiceRow>> | undefined,
): Asking {
  const reply = (found: NodeServices | undefined): Reply => ({ status: 200, body: render(found) })
  if (filter === undefined) return askOne(question, reply)
  const filtered = askOne(question, async found => {
    const services = await keptInSlices(found?.services ?? [], filter.keeps)
    return reply(found && { ...found, services })
  })
  return filteredBy(filter, filtered)
}

/** A question that its filter is a part of. */
const filteredBy = (filter: Filter<never>, asking: Asking): Asking => ({
  ...asking,
  variant: filter.text,
  isPassing: true,
})

/** A check as it is registered: with its last status and output. */
export const registeredCheckShape = object({
  Node: text,
  CheckID: text,
  Name: text,
  Status: text,
  Notes: text,
  Output: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: list(text),
  Type: text,
  Interval: text,
  Timeout: text,
  ExposedPort: int,
  Definition: object(definitionFields),
  PeerName: text,
  ...enterpriseFields,
  CreateIndex: int,
  ModifyIndex: int,
})

const registrationShape = object({
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: map(text),
  NodeMeta: map(text),
  Service: nullable(
    object({ ...serviceFields, Service: text, PeerName: text, CreateIndex: int, ModifyIndex: int }),
  ),
  Check: nullable(registeredCheckShape),
  Checks: list(registeredCheckShape),
  SkipNodeUpdate: bool,
  Locality: localityShape,
  PeerName: text,
  ...enterpriseFields,
})

const deregistrationShape = object({
  Node: text,
  Address: text,
  Datacenter: text,
  ServiceID: text,
  CheckID: text,
  PeerName: text,
  ...enterpriseFields,
})

function refuseDatacenter(given: string, own: string): Refusal | undefined {
  return given === '' || given === own ? undefined : new Refusal(500, 'No path to datacenter')
}

/** What belongs to another cluster is not served yet. */
export const refusePeer = (peer: string): Refusal | undefined =>
  peer === '' ? undefined : notServed('PeerName')

function readRegistration(
  body: Of<typeof registrationShape>,
  datacenter: string,
): Registration | Refusal {
  const given = body.Check === undefined ? body.Checks : [body.Check, ...body.Checks]
  const peers = [body, body.Service, ...given].map(one => one?.PeerName ?? '')
  const refusal =
    refuseDatacenter(body.Datacenter, datacenter) ??
    refusePeer(peers.find(peer => peer !== '') ?? '') ??
    (body.Locality === undefined ? undefined : notServed('Locality'))
  if (refusal !== undefined) return refusal
  const service =
    body.Service === undefined
      ? undefined
      : readService(body.Node, body.Service.Service, body.Service)
  if (isRefusal(service)) return service
  const checks = given.map(check => readCheck(body.Node, check))
  const bad = checks.find(isRefusal)
  if (bad !== undefined) return bad
  return completeRegistration({
    node: {
      node: body.Node,
      id: body.ID,
      address: body.Address,
      taggedAddresses: body.TaggedAddresses,
      meta: body.NodeMeta,
    },
    skipNodeUpdate: body.SkipNodeUpdate,
    service,
    checks: checks as CheckRow[],
  })
}

/** A check's row; id, node and status have defaults. The room fills in its service's name. */
export function readCheck(node: string, body: Of<typeof registeredCheckShape>): CheckRow | Refusal {
  const status = readStatus(body.Status)
  if (isRefusal(status)) return status
  return completeCheck(node, {
    node: body.Node,
    checkId: body.CheckID,
    name: body.Name,
    status,
    notes: body.Notes,
    output: body.Output,
    serviceId: body.ServiceID,
    type: body.Type,
    interval: body.Interval,
    timeout: body.Timeout,
    definition: readDefinition(body.Definition),
  })
}
