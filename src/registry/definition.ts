/**
 * Definitions: what an agent may be asked to keep registered, and what is filled in.
 *
 * Owns the bounds on a service's metadata, weights and ports, the default ids of its checks and
 * the addresses that are told apart by family. The texts are those of Consul's agent API. Pure.
 */
import { isIP } from 'node:net'
import { denied } from '../base/denied.ts'
import { notServed, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import { access, type Who } from '../base/who.ts'
import type { Question } from '../store/ask.ts'
import type { Cell } from '../store/table.ts'
import { type CheckRow, CheckStatus } from '../store/tables/check.ts'
import { type LocalServiceRow, localServices } from '../store/tables/local.ts'
import { onNode } from '../store/tables/names.ts'
import type { NodeRow } from '../store/tables/node.ts'
import type { ServicePort, ServiceRow } from '../store/tables/service.ts'
import { isAnyAddress, type Registration, SERF_HEALTH } from './catalog.ts'
import type { SessionRequest } from './session.ts'

/** A service as it was given: its id may be '', and its weights left out. */
export type GivenService = Omit<ServiceRow, 'weights' | 'agentOwned'> & {
  readonly weights: ServiceRow['weights'] | undefined
}

const MESH_KINDS = [
  'connect-proxy',
  'mesh-gateway',
  'terminating-gateway',
  'ingress-gateway',
  'api-gateway',
]

/** Why services of a kind are not taken: those of the mesh. */
export const refuseKind = (kind: string): Refusal | undefined =>
  MESH_KINDS.includes(kind) ? notServed(`Kind ${kind}`) : undefined

/** The node with its id as ids are compared. */
export const completeNode = (given: NodeRow): NodeRow => ({
  ...given,
  id: given.id.toLowerCase(),
})

/** A check of the catalog as it was given; its id, its node and its status may be left out. */
export type GivenCheck = Omit<CheckRow, 'status' | 'serviceName' | 'serviceTags' | 'agentOwned'> & {
  readonly status: CheckStatus | undefined
}

/** The check with what was left out. The rule fills in its service's name. */
export const completeCheck = (node: string, given: GivenCheck): CheckRow => ({
  ...given,
  node: given.node || node,
  checkId: given.checkId || given.name,
  status: given.status ?? CheckStatus.critical,
  serviceName: '',
  serviceTags: [],
  agentOwned: false,
})

/** A registration as it was given. */
export interface GivenRegistration {
  readonly node: NodeRow
  readonly skipNodeUpdate: boolean
  readonly service: GivenService | undefined
  readonly checks: readonly CheckRow[]
}

/** The registration with what was left out; or why its service is none. */
export function completeRegistration(given: GivenRegistration): Registration | Refusal {
  const { node, service, checks, skipNodeUpdate } = given
  const ports = service === undefined ? undefined : portsProblem(service)
  if (ports !== undefined) return new Refusal(500, ports)
  return {
    node: completeNode(node),
    skipNodeUpdate,
    service: service === undefined ? undefined : completeService(service, false),
    checks,
  }
}

/** A session as it was asked for, where undefined leaves something to us. */
export type GivenSession = Omit<SessionRequest, 'lockDelayMs' | 'nodeChecks'> & {
  readonly lockDelayMs: number | undefined
  readonly nodeChecks: readonly string[] | undefined
}

/** The session with what was left out; `ownNode` is that of the agent that was asked. */
export const completeSession = (given: GivenSession, ownNode: string): SessionRequest => ({
  ...given,
  node: given.node || ownNode,
  lockDelayMs: given.lockDelayMs ?? limits.lockDelayDefaultMs,
  nodeChecks: given.nodeChecks ?? [SERF_HEALTH],
})

/** The service with what was left out: its id, its weights, and the port of its default entry. */
export function completeService(given: GivenService, agentOwned: boolean): ServiceRow {
  const { id, name, weights, port, ports } = given
  return {
    ...given,
    id: id === '' ? name : id,
    weights: weights ?? { passing: 1, warning: 1 },
    port: defaultPort(ports)?.port ?? port,
    agentOwned,
  }
}

const defaultPort = (ports: readonly ServicePort[]): ServicePort | undefined =>
  ports.find(({ isDefault }) => isDefault) ?? ports[0]

/** A service as an agent keeps it registered; or why it does not take it. */
export function agentService(given: GivenService): ServiceRow | Refusal {
  return refuseService(given) ?? withTaggedAddresses(completeService(given, true))
}

/** Why an agent does not take a service; undefined when it does. */
export function refuseService(given: GivenService): Refusal | undefined {
  if (given.name === '') return new Refusal(400, 'Missing service name')
  if (isAnyAddress(given.address)) return new Refusal(400, 'Invalid service address')
  const weights = weightsProblem(given.weights)
  if (weights !== undefined) return new Refusal(400, `Invalid Weights: ${weights}`)
  const meta = metaProblem(given.meta)
  if (meta !== undefined) return new Refusal(400, `Invalid Service Meta: ${meta}`)
  const ports = portsProblem(given)
  if (ports !== undefined) return new Refusal(400, `Validation failed: ${ports}`)
  return undefined
}

const WEIGHT_MAX = 65_535

function weightsProblem(weights: GivenService['weights']): string | undefined {
  if (weights === undefined) return undefined
  const { passing, warning } = weights
  if (passing < 1) return 'Passing must be greater than 0'
  if (warning < 0) return 'Warning must be greater or equal than 0'
  if (Math.max(passing, warning) > WEIGHT_MAX) return 'DNS Weight must be between 0 and 65535'
  return undefined
}

/**
 * What is wrong with metadata; undefined when nothing is. Names of pairs are told, values never:
 * they may be anything.
 */
export function metaProblem(
  meta: Readonly<Record<string, string>>,
  reserved: 'no reserved keys' | 'reserved keys too' = 'no reserved keys',
): string | undefined {
  const pairs = Object.entries(meta)
  if (pairs.length > limits.metaPairs) {
    return `it cannot contain more than ${limits.metaPairs} key/value pairs`
  }
  for (const [key, value] of pairs) {
    const problem = metaPairProblem(key, value, reserved === 'reserved keys too')
    const name = key.slice(0, limits.metaKeyChars)
    if (problem !== undefined) return `couldn't load the pair of key '${name}': ${problem}`
  }
  return undefined
}

const RESERVED_META = 'consul-'

function metaPairProblem(key: string, value: string, takesReserved: boolean): string | undefined {
  if (key === '') return 'Key cannot be blank'
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return 'Key contains invalid characters'
  if (key.length > limits.metaKeyChars) {
    return `Key is too long (limit: ${limits.metaKeyChars} characters)`
  }
  if (!takesReserved && key.startsWith(RESERVED_META)) {
    return `Key prefix '${RESERVED_META}' is reserved for internal use`
  }
  if (value.length > limits.metaValueChars) {
    return `Value is too long (limit: ${limits.metaValueChars} characters)`
  }
  return undefined
}

/** What is wrong with a service's ports; undefined when nothing is. */
export function portsProblem({ port, ports }: GivenService): string | undefined {
  if (ports.length === 0) return undefined
  // What was read can be written back: answers carry the default entry's port as Port.
  if (port !== 0 && port !== defaultPort(ports)?.port) return 'Port and Ports cannot both be set'
  if (ports.some(({ name }) => name === '')) return 'each entry of Ports needs a name'
  if (new Set(ports.map(({ name }) => name)).size < ports.length) {
    return 'the names in Ports must differ'
  }
  if (ports.some(one => one.port < 1 || one.port > 65_535)) return 'Ports must be 1 to 65535'
  if (ports.filter(({ isDefault }) => isDefault).length > 1) {
    return 'only one entry of Ports can be the default'
  }
  return undefined
}

/** The service with its own address under the names that tell families apart. */
export function withTaggedAddresses(service: ServiceRow): ServiceRow {
  const family = isIP(service.address)
  if (family === 0) return service
  const own = { address: service.address, port: service.port }
  const filled = { [`lan_ipv${family}`]: own, [`wan_ipv${family}`]: own }
  return { ...service, taggedAddresses: { ...filled, ...service.taggedAddresses } }
}

/** The id of one of a service's checks that was given none. */
export const defaultCheckId = (serviceId: string, position: number, count: number): string =>
  count > 1 ? `service:${serviceId}:${position + 1}` : `service:${serviceId}`

/** The name of a service's check that was given none. */
export const defaultCheckName = (serviceName: string): string => `Service '${serviceName}' check`

/** One of the services that a node's agent keeps registered, or why it is not told. */
export function localService(
  who: Who,
  node: string,
  id: string,
): Question<Cell<LocalServiceRow> | Refusal> {
  const key = onNode(node, id)
  return {
    key: `local-service ${key}`,
    target: { table: localServices.name, key },
    newest: view => view.get(localServices, key)?.modRevision ?? view.newest(localServices),
    read(view) {
      const found = view.get(localServices, key)
      if (found === undefined) return new Refusal(404, `unknown service ID: ${id}`)
      const wanted = access('read', 'service', found.row.service.name)
      return who.may(wanted) ? found : denied(who, wanted)
    },
  }
}
