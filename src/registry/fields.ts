/**
 * What filters may select of the registry's rows, under the names that answers have for it.
 *
 * Owns the selectors of nodes, instances, services, checks and health, as Consul declares them. A
 * name that is not here is refused, whatever answers show. The mesh's fields are there and empty.
 */

import { toText } from '../base/bytes.ts'
import {
  bool,
  each,
  type Field,
  type Fields,
  int,
  itself,
  record,
  struct,
  text,
  texts,
} from '../filter/fields.ts'
import type { Cell } from '../store/table.ts'
import type { CheckRow } from '../store/tables/check.ts'
import type { ConfigEntryRow } from '../store/tables/config-entry.ts'
import type { KvRow } from '../store/tables/kv.ts'
import type { NodeRow } from '../store/tables/node.ts'
import type { ServiceAddress, ServicePort, ServiceRow } from '../store/tables/service.ts'

import type { ServiceTags } from './catalog.ts'
import { type Intention, metaOf } from './intention.ts'

/** The selectors of each kind of item; rows stand in whatever has them under `row`. */
export interface RegistryFields {
  readonly node: Fields<{ readonly row: NodeRow }>
  readonly instance: Fields<InstanceRows>
  readonly service: Fields<{ readonly row: ServiceRow }>
  readonly check: Fields<{ readonly row: CheckRow }>
  readonly health: Fields<HealthRows>
  /** A node with all that is on it, as the web interface lists it. */
  readonly nodeInfo: Fields<NodeInfoRows>
}

export interface InstanceRows {
  readonly node: { readonly row: NodeRow }
  readonly service: { readonly row: ServiceRow }
}

export interface HealthRows extends InstanceRows {
  readonly checks: readonly { readonly row: CheckRow }[]
}

export interface NodeInfoRows {
  readonly node: { readonly row: NodeRow }
  readonly services: readonly { readonly row: ServiceRow }[]
  readonly checks: readonly { readonly row: CheckRow }[]
}

/** The selectors of a registry; nodes and instances tell the name of its datacenter. */
export function registryFields(datacenter: string): RegistryFields {
  const node: RegistryFields['node'] = {
    ...nodeFields,
    Datacenter: text(() => datacenter),
  }
  const { Node, Meta: NodeMeta, ...ofNode } = node
  const instance: RegistryFields['instance'] = {
    ...within<InstanceRows, { readonly row: NodeRow }>(one => one.node, {
      ...ofNode,
      Node: Node!,
      NodeMeta: NodeMeta!,
    }),
    ...within<InstanceRows, { readonly row: ServiceRow }>(one => one.service, instanceFields()),
  }
  const health: RegistryFields['health'] = {
    Node: struct(one => one.node, node),
    Service: struct(one => one.service, serviceFields),
    Checks: each(one => one.checks, checkFields),
  }
  const nodeInfo: RegistryFields['nodeInfo'] = {
    ...within<NodeInfoRows, { readonly row: NodeRow }>(one => one.node, node),
    Services: each(one => one.services, serviceFields),
    Checks: each(one => one.checks, checkFields),
  }
  return { node, instance, service: serviceFields, check: checkFields, health, nodeInfo }
}

/** The fields of a part, as fields of the whole. */
function within<T, U>(get: (item: T) => U, fields: Fields<U>): Fields<T> {
  const moved = (field: Field<U>): Field<T> => ({
    compile(match, depth, budget) {
      const test = field.compile(match, depth, budget)
      return item => test(get(item))
    },
  })
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, moved(field)]))
}

const nodeFields: RegistryFields['node'] = {
  ID: text(({ row }) => row.id),
  Node: text(({ row }) => row.node),
  Address: text(({ row }) => row.address),
  TaggedAddresses: record(({ row }) => row.taggedAddresses, itself),
  Meta: record(({ row }) => row.meta, itself),
  PeerName: text(() => ''),
}

const addressFields: Fields<ServiceAddress> = {
  Address: text(({ address }) => address),
  Port: int(({ port }) => port),
}

const addressField: Field<ServiceAddress> = struct(address => address, addressFields)

const portFields: Fields<ServicePort> = {
  Name: text(({ name }) => name),
  Port: int(({ port }) => port),
  Default: bool(({ isDefault }) => isDefault),
}

const weightFields: Fields<ServiceRow['weights']> = {
  Passing: int(({ passing }) => passing),
  Warning: int(({ warning }) => warning),
}

const connectFields: Fields<ServiceRow> = { Native: bool(row => row.connectNative) }

const none: Field<unknown> = text(() => '')
const zero: Field<unknown> = int(() => 0)
const no: Field<unknown> = bool(() => false)
const modeFields: Fields<unknown> = { Mode: none }
const nothing = (): readonly unknown[] => []

/** There are no proxies yet: whatever is asked of one, it is empty. */
const proxyFields: Fields<unknown> = {
  DestinationServiceName: none,
  DestinationServiceID: none,
  LocalServiceAddress: none,
  LocalServicePort: zero,
  LocalServiceSocketPath: none,
  Mode: none,
  MeshGateway: struct(row => row, modeFields),
  TransparentProxy: struct(row => row, { OutboundListenerPort: zero, DialedDirectly: no }),
  Upstreams: each(nothing, {
    DestinationType: none,
    DestinationName: none,
    DestinationNamespace: none,
    DestinationPartition: none,
    DestinationPeer: none,
    Datacenter: none,
    LocalBindAddress: none,
    LocalBindPort: zero,
    LocalBindSocketPath: none,
    LocalBindSocketMode: none,
    MeshGateway: struct(row => row, modeFields),
    CentrallyConfigured: no,
  }),
  Expose: struct(row => row, {
    Checks: no,
    Paths: each(nothing, {
      Path: none,
      ListenerPort: zero,
      LocalPathPort: zero,
      Protocol: none,
      ParsedFromCheck: no,
    }),
  }),
}

const serviceFields: RegistryFields['service'] = {
  Kind: text(({ row }) => row.kind),
  ID: text(({ row }) => row.id),
  Service: text(({ row }) => row.name),
  Tags: texts(({ row }) => row.tags),
  Address: text(({ row }) => row.address),
  TaggedAddresses: record(({ row }) => row.taggedAddresses, addressField),
  Meta: record(({ row }) => row.meta, itself),
  Port: int(({ row }) => row.port),
  Ports: each(({ row }) => row.ports, portFields),
  SocketPath: text(({ row }) => row.socketPath),
  Weights: struct(({ row }) => row.weights, weightFields),
  EnableTagOverride: bool(({ row }) => row.enableTagOverride),
  Proxy: struct(({ row }) => row, proxyFields),
  Connect: struct(({ row }) => row, connectFields),
  PeerName: text(() => ''),
}

/** The same where they stand beside those of the node: `Port` is `ServicePort` there. */
function instanceFields(): RegistryFields['service'] {
  const { Service, PeerName, ...others } = serviceFields
  const named = Object.entries(others).map(([name, field]) => [`Service${name}`, field])
  return { ...Object.fromEntries(named), ServiceName: Service! }
}

const checkFields: RegistryFields['check'] = {
  Node: text(({ row }) => row.node),
  CheckID: text(({ row }) => row.checkId),
  Name: text(({ row }) => row.name),
  Status: text(({ row }) => row.status),
  Notes: text(({ row }) => row.notes),
  Output: text(({ row }) => row.output),
  ServiceID: text(({ row }) => row.serviceId),
  ServiceName: text(({ row }) => row.serviceName),
  ServiceTags: texts(({ row }) => row.serviceTags),
  Type: text(({ row }) => row.type),
  Interval: text(({ row }) => row.interval),
  Timeout: text(({ row }) => row.timeout),
  ExposedPort: int(() => 0),
  PeerName: text(() => ''),
}

/** What all kinds of configuration entries have in common. */
export const configFields: Fields<Cell<ConfigEntryRow>> = {
  Kind: text(({ row }) => row.kind),
  Name: text(({ row }) => row.name),
  Meta: record(({ row }) => (row.fields.Meta ?? {}) as Record<string, string>, itself),
}

export const intentionFields: Fields<Intention> = {
  ID: text(({ source }) => source.LegacyID ?? ''),
  Description: text(({ source }) => source.Description ?? ''),
  SourceNS: text(() => 'default'),
  SourceName: text(({ source }) => source.Name),
  SourcePeer: text(({ source }) => source.Peer ?? ''),
  SourceType: text(({ source }) => source.Type),
  DestinationNS: text(() => 'default'),
  DestinationName: text(({ destination }) => destination),
  Action: text(({ source }) => source.Action ?? ''),
  Precedence: int(({ source }) => source.Precedence),
  Meta: record(metaOf, itself),
}

/** What feeds may select of entries of the key/value store; its lists take no filter. */
export const kvFields: Fields<Cell<KvRow>> = {
  Key: text(({ key }) => toText(key)),
  Session: text(({ row }) => row.session),
  LockIndex: int(({ row }) => row.lockIndex),
}

/** The same of the names of services. */
export const serviceTagFields: Fields<ServiceTags> = {
  Name: text(({ name }) => name),
  Tags: texts(({ tags }) => tags),
}
