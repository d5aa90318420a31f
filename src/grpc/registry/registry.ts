/**
 * gatehouse.v1.Registry: the catalog and the health of what is in it.
 *
 * Owns parsing out of and rendering into messages; the rules are those of /v1/catalog and
 * /v1/health.
 */
import { missing, type Refusal } from '../../base/errors.ts'
import { keptInSlices, sortInSlices } from '../../base/slices.ts'
import type { Caller } from '../../base/who.ts'
import type { Fields } from '../../filter/fields.ts'
import { type Filter, filterOf } from '../../filter/filter.ts'
import { allNodes, nodeServices, type ServiceTags, serviceNames } from '../../registry/catalog.ts'
import { distancesFrom, nearMeant } from '../../registry/coordinate.ts'
import { completeRegistration, refuseKind } from '../../registry/definition.ts'
import { type RegistryFields, registryFields } from '../../registry/fields.ts'
import {
  checksInState,
  type InstanceHealth,
  nodeChecks,
  serviceChecks,
  serviceHealth,
} from '../../registry/health.ts'
import type { Question, View } from '../../store/ask.ts'
import { isRefusal } from '../../store/store.ts'
import type { Cell } from '../../store/table.ts'
import type { CheckRow } from '../../store/tables/check.ts'
import { onNode } from '../../store/tables/names.ts'
import type { NodeRow } from '../../store/tables/node.ts'
import type { ServiceRow } from '../../store/tables/service.ts'
import { duplex, type GrpcCall, type GrpcMethod, unary } from '../declare.ts'
import { keepAlive } from './keep-alive.ts'
import {
  type CheckMessage,
  checkGiven,
  checkMessage,
  type InstanceMessage,
  instanceMessage,
  type NodeMessage,
  nodeGiven,
  nodeMessage,
  type ServiceMessage,
  serviceGiven,
  serviceMessage,
} from './messages.ts'
import { type MaskFields, type MaskMessage, maskOf, type Page, pageOf } from './page.ts'
import type { RegistryGrpcPorts } from './ports.ts'
import { type ReadOptionsMessage, type ReadStateMessage, readAs } from './reading.ts'
import { byRoom } from './rights.ts'
import {
  type DurationMessage,
  durationOf,
  type Maybe,
  type StatusMessage,
  statusGiven,
} from './values.ts'

export type CatalogPorts = Pick<
  RegistryGrpcPorts,
  'registry' | 'asker' | 'authority' | 'random' | 'clock' | 'waits' | 'identity'
>

const PROTO = 'gatehouse/v1/registry.proto'

/** The methods of the catalog. */
export function registryService(ports: CatalogPorts): readonly GrpcMethod[] {
  const fields = registryFields(ports.identity.datacenter)
  return [
    registerMethod(ports),
    deregisterMethod(ports),
    heartbeatMethod(ports),
    keepAliveMethod(ports),
    listServicesMethod(ports, fields),
    listInstancesMethod(ports, fields),
    listNodesMethod(ports, fields),
    getNodeMethod(ports, fields),
    listChecksMethod(ports, fields),
  ]
}

// --- writes

interface RegisterRequest {
  readonly node: Maybe<NodeMessage>
  readonly skipNodeUpdate: boolean
  readonly service: Maybe<ServiceMessage>
  readonly checks: readonly CheckMessage[]
}

const registerMethod = ({ registry }: CatalogPorts): GrpcMethod =>
  unary<RegisterRequest, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/Register', effect: 'writes' },
    summary: 'Registers a node, and a service and checks on it.',
    access: byRoom,
    nameOf: ({ node, service }: RegisterRequest) => service?.name || (node?.name ?? ''),
    async run({ node, service, checks, skipNodeUpdate }, { who }) {
      const given = node ? nodeGiven(node) : NO_NODE
      const kind = service ? refuseKind(service.kind) : undefined
      if (kind !== undefined) return kind
      const registration = completeRegistration({
        node: given,
        skipNodeUpdate,
        service: service ? serviceGiven(given.node, service) : undefined,
        checks: checks.map(check => checkGiven(given.node, check)),
      })
      if (isRefusal(registration)) return registration
      const done = await registry.register(who, registration)
      return isRefusal(done) ? done : {}
    },
  })

const NO_NODE: NodeRow = { node: '', id: '', address: '', taggedAddresses: {}, meta: {} }

interface DeregisterRequest {
  readonly node: string
  readonly serviceId: string
  readonly checkId: string
}

const deregisterMethod = ({ registry }: CatalogPorts): GrpcMethod =>
  unary<DeregisterRequest, object>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/Deregister', effect: 'writes' },
    summary: 'Removes a check, else a service with its checks, else a node with all on it.',
    access: byRoom,
    nameOf: ({ node, serviceId, checkId }: DeregisterRequest) => checkId || serviceId || node,
    async run({ node, serviceId, checkId }, { who }) {
      const done = await registry.deregister(who, { node, serviceId, checkId })
      return isRefusal(done) ? done : {}
    },
  })

interface HeartbeatRequest {
  readonly node: string
  readonly checkId: string
  readonly status: StatusMessage
  readonly output: string
}

interface HeartbeatAnswer {
  readonly ttl: DurationMessage
}

const beat = async (
  { registry }: CatalogPorts,
  { who }: GrpcCall,
  { node, checkId, status, output }: HeartbeatRequest,
): Promise<{ answer: HeartbeatAnswer; ttlMs: number } | Refusal> => {
  const ttlMs = await registry.heartbeat(who, {
    ...{ node, checkId, output },
    status: statusGiven(status),
  })
  return isRefusal(ttlMs) ? ttlMs : { answer: { ttl: durationOf(ttlMs) }, ttlMs }
}

const heartbeatMethod = (ports: CatalogPorts): GrpcMethod =>
  unary<HeartbeatRequest, HeartbeatAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/Heartbeat', effect: 'writes' },
    summary: 'Starts the time of a check of the catalog over, and says how it is.',
    isRenewal: true,
    access: byRoom,
    nameOf: ({ checkId }: HeartbeatRequest) => checkId,
    async run(request, call) {
      const done = await beat(ports, call, request)
      return isRefusal(done) ? done : done.answer
    },
  })

const keepAliveMethod = (ports: CatalogPorts): GrpcMethod =>
  duplex<HeartbeatRequest, HeartbeatAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/KeepAlive', effect: 'writes' },
    summary: 'Heartbeats as long as the stream lives.',
    isRenewal: true,
    access: byRoom,
    open: (call, out) =>
      keepAlive<HeartbeatRequest, HeartbeatAnswer>(ports.clock, call, out, {
        idOf: ({ node, checkId }) => onNode(node, checkId),
        renew: message => beat(ports, call, message),
      }),
  })

// --- reads

interface ListRequest {
  readonly nodeMeta: Readonly<Record<string, string>>
  readonly filter: string
  readonly near?: string
  readonly pageSize: number
  readonly pageToken: string
  readonly readMask?: Maybe<MaskMessage>
  readonly read: Maybe<ReadOptionsMessage>
}

/** How a list of items is asked for and narrowed. */
interface Listed<T> {
  readonly ask: (who: Caller) => Question<Iterable<T>> | Refusal
  readonly fields: Fields<T>
  readonly nodeOf: (item: T) => string
  readonly placeOf: (item: T) => string
}

/** A page of a list: of what the asker may see what the filter keeps, nearest first if asked. */
async function listed<T>(
  ports: CatalogPorts,
  request: ListRequest,
  call: GrpcCall,
  { ask, fields, nodeOf, placeOf }: Listed<T>,
): Promise<{ page: Page<T>; state: ReadStateMessage } | Refusal> {
  const filter = filterOf(request.filter, fields)
  if (isRefusal(filter)) return filter
  const read = await readAs(ports, call, request.read, ask)
  if (isRefusal(read)) return read
  const distance = distanceIn(read.view, request.near ?? '', ports, call)
  if (distance === undefined) {
    const items = kept(read.value, filter)
    return { page: await pageOf(items, request, { placeOf }), state: read.state() }
  }
  const items = await keptInSlices(read.value, filter?.keeps ?? (() => true))
  const sorted = await sortInSlices(items, (a, b) => distance(nodeOf(a)) - distance(nodeOf(b)))
  const page = await pageOf(sorted, request, { placeOf: undefined })
  return { page, state: read.state() }
}

/** Undefined stands for what was looked at and is not wanted, so that slices count it. */
function* kept<T>(items: Iterable<T>, filter: Filter<T> | undefined): Iterable<T | undefined> {
  for (const item of items) yield filter === undefined || filter.keeps(item) ? item : undefined
}

function distanceIn(
  view: View,
  text: string,
  { identity: { nodeName } }: CatalogPorts,
  { remote }: GrpcCall,
): ((node: string) => number) | undefined {
  const near = nearMeant(text, { node: nodeName, address: () => remote })
  return near && distancesFrom(view, near)
}

const metaOf = ({ nodeMeta }: Pick<ListRequest, 'nodeMeta'>) => Object.entries(nodeMeta)

interface ListServicesAnswer {
  readonly services: readonly ServiceTags[]
  readonly nextPageToken: string
  readonly state: ReadStateMessage
}

const listServicesMethod = (ports: CatalogPorts, fields: RegistryFields): GrpcMethod =>
  unary<ListRequest, ListServicesAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/ListServices', effect: 'reads' },
    summary: 'The names of all services, each with the tags of its instances.',
    access: byRoom,
    async run(request, call) {
      const filter = filterOf(request.filter, fields.instance)
      if (isRefusal(filter)) return filter
      const read = await readAs(ports, call, request.read, who =>
        serviceNames(who, metaOf(request), filter?.keeps),
      )
      if (isRefusal(read)) return read
      const names = await keptInSlices(read.value, one => one !== undefined)
      const placeOf = ({ name }: ServiceTags): string => Buffer.from(name).toString('latin1')
      const sorted = (names as ServiceTags[]).toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
      const { items, nextPageToken } = await pageOf(sorted, request, { placeOf })
      return { services: items, nextPageToken, state: read.state() }
    },
  })

interface ListInstancesRequest extends ListRequest {
  readonly service: string
  readonly passingOnly: boolean
  readonly tags: readonly string[]
}

interface ListInstancesAnswer {
  readonly instances: readonly Partial<InstanceMessage>[]
  readonly nextPageToken: string
  readonly state: ReadStateMessage
}

const listInstancesMethod = (ports: CatalogPorts, fields: RegistryFields): GrpcMethod =>
  unary<ListInstancesRequest, ListInstancesAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/ListInstances', effect: 'reads' },
    summary: 'The instances of a service with their health.',
    access: byRoom,
    nameOf: ({ service }: ListInstancesRequest) => service,
    async run(request, call) {
      const { service, tags, passingOnly: passing } = request
      if (service === '') return missing('service name')
      const masked = maskOf<InstanceMessage>(request.readMask, instanceFields)
      const { datacenter } = ports.identity
      const found = await listed<InstanceHealth>(ports, request, call, {
        ask: who => serviceHealth(who, service, { tags, meta: metaOf(request), passing }),
        fields: fields.health,
        nodeOf: ({ node }) => node.row.node,
        placeOf: one => one.service.key,
      })
      if (isRefusal(found)) return found
      const { items, nextPageToken } = found.page
      const instances = items.map(one => masked(instanceMessage(one, datacenter)))
      return { instances, nextPageToken, state: found.state }
    },
  })

interface ListNodesAnswer {
  readonly nodes: readonly Partial<NodeMessage>[]
  readonly nextPageToken: string
  readonly state: ReadStateMessage
}

const listNodesMethod = (ports: CatalogPorts, fields: RegistryFields): GrpcMethod =>
  unary<ListRequest, ListNodesAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/ListNodes', effect: 'reads' },
    summary: 'All nodes, by name.',
    access: byRoom,
    async run(request, call) {
      const masked = maskOf<NodeMessage>(request.readMask, nodeFields)
      const { datacenter } = ports.identity
      const found = await listed<Cell<NodeRow>>(ports, request, call, {
        ask: who => allNodes(who, metaOf(request)),
        fields: fields.node,
        nodeOf: ({ row }) => row.node,
        placeOf: ({ key }) => key,
      })
      if (isRefusal(found)) return found
      const { items, nextPageToken } = found.page
      const nodes = items.map(one => masked(nodeMessage(one, datacenter)))
      return { nodes, nextPageToken, state: found.state }
    },
  })

interface GetNodeRequest {
  readonly name: string
  readonly filter: string
  readonly read: Maybe<ReadOptionsMessage>
}

interface GetNodeAnswer {
  readonly node: NodeMessage | null
  readonly services: readonly ServiceMessage[]
  readonly state: ReadStateMessage
}

const getNodeMethod = (ports: CatalogPorts, fields: RegistryFields): GrpcMethod =>
  unary<GetNodeRequest, GetNodeAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/GetNode', effect: 'reads' },
    summary: 'A node and the services on it.',
    access: byRoom,
    nameOf: ({ name }: GetNodeRequest) => name,
    async run({ name, filter: text, read: options }, call) {
      if (name === '') return missing('node name')
      const filter = filterOf<Cell<ServiceRow>>(text, fields.service)
      if (isRefusal(filter)) return filter
      const read = await readAs(ports, call, options, who => nodeServices(who, name))
      if (isRefusal(read)) return read
      const { value } = read
      if (value === undefined) return { node: null, services: [], state: read.state() }
      const services = await keptInSlices(value.services, filter?.keeps ?? (() => true))
      return {
        node: nodeMessage(value.node, ports.identity.datacenter),
        services: services.map(serviceMessage),
        state: read.state(),
      }
    },
  })

interface ListChecksRequest extends ListRequest {
  readonly of?: 'node' | 'service' | 'status' | undefined
  readonly node?: string
  readonly service?: string
  readonly status?: StatusMessage
}

interface ListChecksAnswer {
  readonly checks: readonly Partial<CheckMessage>[]
  readonly nextPageToken: string
  readonly state: ReadStateMessage
}

const listChecksMethod = (ports: CatalogPorts, fields: RegistryFields): GrpcMethod =>
  unary<ListChecksRequest, ListChecksAnswer>({
    ...{ protoFile: PROTO, path: 'gatehouse.v1.Registry/ListChecks', effect: 'reads' },
    summary: "The checks of a node, of a service's instances, or all that say the same.",
    access: byRoom,
    nameOf: ({ node, service }: ListChecksRequest) => node ?? service ?? '',
    async run(request, call) {
      const asked = checksAsked(request)
      if (isRefusal(asked)) return asked
      const masked = maskOf<CheckMessage>(request.readMask, checkFields)
      const found = await listed<Cell<CheckRow>>(ports, request, call, {
        ask: asked,
        fields: fields.check,
        nodeOf: ({ row }) => row.node,
        // The checks of a service go by its instances.
        placeOf: ({ key, row }) =>
          request.of === 'service' ? `${onNode(row.node, row.serviceId)}\0${key}` : key,
      })
      if (isRefusal(found)) return found
      const { items, nextPageToken } = found.page
      const checks = items.map(one => masked(checkMessage(one)))
      return { checks, nextPageToken, state: found.state }
    },
  })

/** The question that a list of checks asks. */
function checksAsked(request: ListChecksRequest): Listed<Cell<CheckRow>>['ask'] | Refusal {
  const { of, node = '', service = '', status } = request
  const meta = metaOf(request)
  switch (of) {
    case 'node':
      return node === '' ? missing('node name') : who => nodeChecks(who, node)
    case 'service':
      return service === '' ? missing('service name') : who => serviceChecks(who, service, meta)
    default: {
      const state = statusGiven(status) ?? 'any'
      return who => checksInState(who, state, meta)
    }
  }
}

// --- what masks may name

const plain = <M>(names: readonly (keyof M & string)[]): MaskFields =>
  Object.fromEntries(names.map(name => [name, true]))

const INDEXES = ['createIndex', 'modifyIndex'] as const
const nodeFields = plain<NodeMessage>([
  ...(['id', 'name', 'address', 'datacenter', 'taggedAddresses', 'meta'] as const),
  ...INDEXES,
])
const serviceFields = plain<ServiceMessage>([
  ...(['id', 'name', 'tags', 'address', 'port', 'meta', 'taggedAddresses', 'ports'] as const),
  ...(['socketPath', 'weights', 'enableTagOverride', 'kind', 'connectNative'] as const),
  ...INDEXES,
])
const checkFields = plain<CheckMessage>([
  ...(['node', 'checkId', 'name', 'status', 'notes', 'output', 'serviceId'] as const),
  ...(['serviceName', 'serviceTags', 'type', 'interval', 'timeout', 'definition'] as const),
  ...INDEXES,
])
const instanceFields: MaskFields = {
  node: nodeFields,
  service: serviceFields,
  checks: checkFields,
  status: true,
}
