/**
 * The registry's rows on the wire: the text of each and the shape that it promises.
 *
 * Owns field names, their order, and what stands for an empty value, as Consul's HTTP API has
 * them: lists and maps are never null. The text of a row is kept (fragments.ts), so that a list is
 * joined from texts that are there already.
 */

import { hash } from 'node:crypto'
import { FragmentCache } from '../../base/fragments.ts'
import type { Coordinate } from '../../base/vivaldi.ts'
import type { Instance, NodeServices, ServiceTags } from '../../registry/catalog.ts'
import { type RegistryFields, registryFields } from '../../registry/fields.ts'
import type { InstanceHealth } from '../../registry/health.ts'
import type { NodeInfo } from '../../registry/overview.ts'
import type { Cell } from '../../store/table.ts'
import type { CheckRow } from '../../store/tables/check.ts'
import type { NodeRow } from '../../store/tables/node.ts'
import type { ServiceRow } from '../../store/tables/service.ts'
import type { SessionRow } from '../../store/tables/session.ts'
import { bool, float, int, list, map, nullable, object, optional, text } from '../shape.ts'
import { definitionFields, definitionJson } from './check-definition.ts'

const indexes = { CreateIndex: int, ModifyIndex: int }
const weightsShape = object({ Passing: int, Warning: int })
const addressShape = object({ Address: text, Port: int })
const portShape = object({ Name: text, Port: int, Default: bool })
/** No proxies are registered yet: this is what Consul prints where there is none. */
const noProxy = { Mode: '', MeshGateway: {}, Expose: {} }
const noProxyShape = object({ Mode: text, MeshGateway: object({}), Expose: object({}) })
const connectShape = object({ Native: optional(bool) })

export const nodeShape = object({
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: map(text),
  Meta: map(text),
  ...indexes,
})

export const serviceShape = object({
  Kind: optional(text),
  ID: text,
  Service: text,
  Tags: list(text),
  Address: text,
  TaggedAddresses: optional(map(addressShape)),
  Meta: map(text),
  Port: int,
  Ports: optional(list(portShape)),
  SocketPath: optional(text),
  Weights: weightsShape,
  EnableTagOverride: bool,
  Proxy: noProxyShape,
  Connect: connectShape,
  ...indexes,
})

/** A service as its own agent shows it. */
export const agentServiceShape = object({
  Kind: optional(text),
  ID: text,
  Service: text,
  Tags: list(text),
  Meta: map(text),
  Port: int,
  Ports: optional(list(portShape)),
  Address: text,
  SocketPath: optional(text),
  TaggedAddresses: optional(map(addressShape)),
  Weights: weightsShape,
  EnableTagOverride: bool,
  ContentHash: optional(text),
  Connect: optional(connectShape),
  Datacenter: text,
})

/** An instance with its node's fields, as the catalog lists it. */
export const instanceShape = object({
  ID: text,
  Node: text,
  Address: text,
  Datacenter: text,
  TaggedAddresses: map(text),
  NodeMeta: map(text),
  ServiceKind: text,
  ServiceID: text,
  ServiceName: text,
  ServiceTags: list(text),
  ServiceAddress: text,
  ServiceTaggedAddresses: optional(map(addressShape)),
  ServiceWeights: weightsShape,
  ServiceMeta: map(text),
  ServicePort: int,
  ServicePorts: optional(list(portShape)),
  ServiceSocketPath: text,
  ServiceEnableTagOverride: bool,
  ServiceProxy: noProxyShape,
  ServiceConnect: connectShape,
  ...indexes,
})

export const checkShape = object({
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
  ...indexes,
})

export const healthShape = object({
  Node: nodeShape,
  Service: serviceShape,
  Checks: list(checkShape),
})

export const sessionShape = object({
  ID: text,
  Name: text,
  Node: text,
  LockDelay: int,
  Behavior: text,
  TTL: text,
  NodeChecks: list(text),
  ServiceChecks: nullable(list(object({ ID: text, Namespace: text }))),
  ...indexes,
})

export const coordinateShape = object({
  Vec: list(float),
  Error: float,
  Adjustment: float,
  Height: float,
})

/** A coordinate as answers have it. */
export const coordinateJson = ({ vec, error, adjustment, height }: Coordinate) => ({
  Vec: vec,
  Error: error,
  Adjustment: adjustment,
  Height: height,
})

export const nodeInfoShape = object({
  ID: text,
  Node: text,
  Address: text,
  TaggedAddresses: map(text),
  Meta: map(text),
  Services: list(serviceShape),
  Checks: list(checkShape),
})

/** The texts of rows; those of nodes carry the name of the datacenter. */
export interface Wire {
  /** What filters may select of them. */
  readonly fields: RegistryFields
  node(cell: Cell<NodeRow>): string
  service(cell: Cell<ServiceRow>): string
  check(cell: Cell<CheckRow>): string
  session(cell: Cell<SessionRow>): string
  instance(instance: Instance): string
  health(instance: InstanceHealth): string
  /** A node with its services by id, or `null`. */
  nodeServices(found: NodeServices | undefined): string
  /** A node with its services in a list, or nulls. */
  nodeServiceList(found: NodeServices | undefined): string
  /** A node with all that is on it. */
  nodeInfo(info: NodeInfo): string
  /** A name and its tags as one entry of a map. */
  serviceTags(names: ServiceTags): string
  /** A service as its own agent shows it. */
  agentService(service: ServiceRow, contentHash?: string): string
  /** A check as its own agent shows it: without indexes. */
  agentCheck(check: CheckRow): string
}

/** Makes the texts for one datacenter. */
export function createWire(datacenter: string): Wire {
  const nodes = new FragmentCache<Cell<NodeRow>>(cell =>
    JSON.stringify({ ...nodeJson(cell.row, datacenter), ...indexesOf(cell) }),
  )
  const services = new FragmentCache<Cell<ServiceRow>>(serviceText)
  const checks = new FragmentCache<Cell<CheckRow>>(cell =>
    JSON.stringify({ ...checkJson(cell.row), ...indexesOf(cell) }),
  )
  // The text of an instance has two parts, so that each lives as long as its row.
  const nodeParts = new FragmentCache<Cell<NodeRow>>(({ row }) => {
    const { Meta: NodeMeta, ...rest } = nodeJson(row, datacenter)
    return JSON.stringify({ ...rest, NodeMeta }).slice(0, -1)
  })
  const serviceParts = new FragmentCache<Cell<ServiceRow>>(servicePart)
  const each = <T extends object>(cache: FragmentCache<T>, cells: readonly T[]): string =>
    cells.map(cell => cache.of(cell)).join(',')
  return {
    fields: registryFields(datacenter),
    node: cell => nodes.of(cell),
    service: cell => services.of(cell),
    check: cell => checks.of(cell),
    session: sessionText,
    instance: ({ node, service }) => `${nodeParts.of(node)},${serviceParts.of(service)}`,
    health: ({ node, service, checks: own }) =>
      `{"Node":${nodes.of(node)},"Service":${services.of(service)},"Checks":[${each(checks, own)}]}`,
    nodeServices(found) {
      if (found === undefined) return 'null'
      const on = found.services.map(one => `${JSON.stringify(one.row.id)}:${services.of(one)}`)
      return `{"Node":${nodes.of(found.node)},"Services":{${on.join(',')}}}`
    },
    nodeServiceList: found =>
      found === undefined
        ? '{"Node":null,"Services":null}'
        : `{"Node":${nodes.of(found.node)},"Services":[${each(services, found.services)}]}`,
    nodeInfo({ node, services: on, checks: own }) {
      const { Datacenter: _, ...info } = nodeJson(node.row, datacenter)
      const start = JSON.stringify(info).slice(0, -1)
      return `${start},"Services":[${each(services, on)}],"Checks":[${each(checks, own)}]}`
    },
    serviceTags: ({ name, tags }) => `${JSON.stringify(name)}:${JSON.stringify(tags)}`,
    agentService: (service, contentHash) =>
      JSON.stringify(agentServiceJson(service, datacenter, contentHash)),
    agentCheck: check => JSON.stringify({ ...checkJson(check), CreateIndex: 0, ModifyIndex: 0 }),
  }
}

const CONTENT_HASH_CHARS = 16

/** A hash of what an agent shows of a service: it changes whenever that does. */
export const contentHashOf = (service: ServiceRow): string =>
  hash('sha256', JSON.stringify(agentServiceJson(service, '')), 'hex').slice(0, CONTENT_HASH_CHARS)

const indexesOf = ({ createIndex, modifyIndex }: Cell<unknown>) => ({
  CreateIndex: createIndex,
  ModifyIndex: modifyIndex,
})

const nodeJson = (row: NodeRow, datacenter: string) => ({
  ID: row.id,
  Node: row.node,
  Address: row.address,
  Datacenter: datacenter,
  TaggedAddresses: row.taggedAddresses,
  Meta: row.meta,
})

const hasAny = (map: object): boolean => Object.keys(map).length > 0

function taggedAddressesJson({ taggedAddresses }: ServiceRow) {
  const entries = Object.entries(taggedAddresses)
  return Object.fromEntries(
    entries.map(([name, { address, port }]) => [name, { Address: address, Port: port }]),
  )
}

const portsJson = ({ ports }: ServiceRow) =>
  ports.map(({ name, port, isDefault }) => ({ Name: name, Port: port, Default: isDefault }))

const weightsJson = ({ weights: { passing, warning } }: ServiceRow) => ({
  Passing: passing,
  Warning: warning,
})

const connectJson = ({ connectNative }: ServiceRow) => (connectNative ? { Native: true } : {})

function serviceText(cell: Cell<ServiceRow>): string {
  const { row } = cell
  return JSON.stringify({
    ...(row.kind === '' ? {} : { Kind: row.kind }),
    ID: row.id,
    Service: row.name,
    Tags: row.tags,
    Address: row.address,
    ...(hasAny(row.taggedAddresses) ? { TaggedAddresses: taggedAddressesJson(row) } : {}),
    Meta: row.meta,
    Port: row.port,
    ...(row.ports.length === 0 ? {} : { Ports: portsJson(row) }),
    ...(row.socketPath === '' ? {} : { SocketPath: row.socketPath }),
    Weights: weightsJson(row),
    EnableTagOverride: row.enableTagOverride,
    Proxy: noProxy,
    Connect: connectJson(row),
    ...indexesOf(cell),
  })
}

/** The half of an instance's text that the service tells, without the opening brace. */
function servicePart(cell: Cell<ServiceRow>): string {
  const { row } = cell
  const json = JSON.stringify({
    ServiceKind: row.kind,
    ServiceID: row.id,
    ServiceName: row.name,
    ServiceTags: row.tags,
    ServiceAddress: row.address,
    ...(hasAny(row.taggedAddresses) ? { ServiceTaggedAddresses: taggedAddressesJson(row) } : {}),
    ServiceWeights: weightsJson(row),
    ServiceMeta: row.meta,
    ServicePort: row.port,
    ...(row.ports.length === 0 ? {} : { ServicePorts: portsJson(row) }),
    ServiceSocketPath: row.socketPath,
    ServiceEnableTagOverride: row.enableTagOverride,
    ServiceProxy: noProxy,
    ServiceConnect: connectJson(row),
    ...indexesOf(cell),
  })
  return json.slice(1)
}

const agentServiceJson = (row: ServiceRow, datacenter: string, contentHash?: string) => ({
  ...(row.kind === '' ? {} : { Kind: row.kind }),
  ID: row.id,
  Service: row.name,
  Tags: row.tags,
  Meta: row.meta,
  Port: row.port,
  ...(row.ports.length === 0 ? {} : { Ports: portsJson(row) }),
  Address: row.address,
  ...(row.socketPath === '' ? {} : { SocketPath: row.socketPath }),
  ...(hasAny(row.taggedAddresses) ? { TaggedAddresses: taggedAddressesJson(row) } : {}),
  Weights: weightsJson(row),
  EnableTagOverride: row.enableTagOverride,
  ...(contentHash === undefined ? {} : { ContentHash: contentHash }),
  ...(row.connectNative ? { Connect: connectJson(row) } : {}),
  Datacenter: datacenter,
})

const checkJson = (row: CheckRow) => ({
  Node: row.node,
  CheckID: row.checkId,
  Name: row.name,
  Status: row.status,
  Notes: row.notes,
  Output: row.output,
  ServiceID: row.serviceId,
  ServiceName: row.serviceName,
  ServiceTags: row.serviceTags,
  Type: row.type,
  Interval: row.interval,
  Timeout: row.timeout,
  ExposedPort: 0,
  Definition: definitionJson(row.definition),
})

const NANOSECONDS_PER_MS = 1e6

function sessionText(cell: Cell<SessionRow>): string {
  const { row } = cell
  return JSON.stringify({
    ID: row.id,
    Name: row.name,
    Node: row.node,
    LockDelay: Math.round(row.lockDelayMs * NANOSECONDS_PER_MS),
    Behavior: row.behavior,
    TTL: row.ttl,
    NodeChecks: row.nodeChecks,
    ServiceChecks:
      row.serviceChecks.length === 0
        ? null
        : row.serviceChecks.map(({ id, namespace }) => ({ ID: id, Namespace: namespace })),
    ...indexesOf(cell),
  })
}
