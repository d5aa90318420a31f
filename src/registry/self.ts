/**
 * How an agent stands in its own catalog: its node, the service that all servers make up, and the
 * check that says it is alive, and where it stands as long as nobody says better.
 *
 * Owns those entries. They are no definitions of the agent: its own lists do not show them.
 * Semantics follow Consul's. Pure.
 */

import type { Refusal } from '../base/errors.ts'
import { consulVersion } from '../base/version.ts'
import { ORIGIN } from '../base/vivaldi.ts'
import { everybody } from '../base/who.ts'
import { type Decision, isRefusal, type Op, put } from '../store/store.ts'
import { type CheckRow, CheckStatus, checks } from '../store/tables/check.ts'
import { coordinates } from '../store/tables/coordinate.ts'
import { fold, onNode } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import type { ServiceRow } from '../store/tables/service.ts'
import type { Reader } from '../store/view.ts'
import {
  checkOps,
  dropCheckOps,
  dropNodeOps,
  putIfChanged,
  register,
  SERF_HEALTH,
} from './catalog.ts'

/** The id and name of the service that every server is an instance of. */
export const SELF_SERVICE = 'consul'

/** What an agent says of itself. */
export interface Self {
  readonly node: string
  readonly nodeId: string
  /** The IP address that others reach it by. */
  readonly address: string
  /** Tagged addresses that do not follow from it. */
  readonly taggedAddresses: Readonly<Record<string, string>>
  readonly meta: Readonly<Record<string, string>>
  /** A server's; -1 where nothing listens. An agent that is none has none to tell of. */
  readonly ports:
    | { readonly server: number; readonly grpc: number; readonly grpcTls: number }
    | undefined
  /** Whether it takes no new work: then nobody should look it up. */
  readonly isDraining: boolean
}

/**
 * Puts the agent's own entries where they differ. `alone`: nobody else can have opened this
 * store, so a node of our name is ours, whatever id it has; else a living holder of the name is
 * a refusal.
 */
export function announceSelf(view: Reader, self: Self, alone: boolean): Decision<true> | Refusal {
  const node = nodeOf(self)
  const isOurs = alone && view.get(nodes, fold(self.node)) !== undefined
  const registered = register(view, everybody, {
    node,
    skipNodeUpdate: isOurs,
    service: self.ports === undefined ? undefined : serviceOf(self.node, self.ports),
    checks: self.isDraining ? [healthOf(self.node), drainOf(self.node)] : [healthOf(self.node)],
  })
  if (isRefusal(registered)) return registered
  const txn: Op[] = [...registered.txn]
  if (!self.isDraining && view.get(checks, onNode(self.node, DRAIN_CHECK)) !== undefined) {
    txn.push(...dropCheckOps(view, self.node, DRAIN_CHECK))
  }
  if (view.get(coordinates, fold(self.node)) === undefined) {
    txn.push(put(coordinates, fold(self.node), { node: self.node, coordinate: ORIGIN }))
  }
  if (isOurs) putIfChanged(view, nodes, fold(self.node), node, txn)
  return { txn, answer: true }
}

/**
 * What is done to a server's entries when it was found dead: its node is critical, and with it
 * end the sessions that stand on that. Nothing where it has none.
 */
export function failServer(view: Reader, node: string): Op[] {
  const health = view.get(checks, onNode(node, SERF_HEALTH))?.row
  if (health === undefined || health.status === CheckStatus.critical) return []
  const output = 'Agent not live or unreachable'
  return checkOps(view, { ...health, status: CheckStatus.critical, output })
}

/** Takes the node of a server that left out of the catalog, with all that stands on it. */
export const withdrawServer = (view: Reader, node: string): Op[] => dropNodeOps(view, node)

function nodeOf({ node, nodeId, address, taggedAddresses, meta }: Self): NodeRow {
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  return {
    node,
    id: nodeId,
    address,
    taggedAddresses: {
      lan: address,
      [`lan_${family}`]: address,
      wan: address,
      [`wan_${family}`]: address,
      ...taggedAddresses,
    },
    meta: { ...meta, 'consul-network-segment': '', 'consul-version': consulVersion },
  }
}

const serviceOf = (node: string, ports: NonNullable<Self['ports']>): ServiceRow => {
  return {
    node,
    id: SELF_SERVICE,
    name: SELF_SERVICE,
    kind: '',
    tags: [],
    address: '',
    taggedAddresses: {},
    meta: {
      grpc_port: String(ports.grpc),
      grpc_tls_port: String(ports.grpcTls),
      non_voter: 'false',
      raft_version: '3',
      read_replica: 'false',
      serf_protocol_current: '2',
      serf_protocol_max: '5',
      serf_protocol_min: '1',
      version: consulVersion,
    },
    port: ports.server,
    ports: [],
    socketPath: '',
    weights: { passing: 1, warning: 1 },
    enableTagOverride: false,
    connectNative: false,
    agentOwned: false,
  }
}

/** The check that takes a draining server out of the service of servers. */
export const DRAIN_CHECK = `_service_maintenance:${SELF_SERVICE}`

function drainOf(node: string): CheckRow {
  return {
    ...healthOf(node),
    checkId: DRAIN_CHECK,
    name: 'Service Maintenance Mode',
    status: CheckStatus.critical,
    notes: 'The server is being drained and takes no new work.',
    output: '',
    serviceId: SELF_SERVICE,
    serviceName: SELF_SERVICE,
    type: 'maintenance',
  }
}

/** The check that says that an agent is alive. */
export function healthOf(node: string): CheckRow {
  return {
    node,
    checkId: SERF_HEALTH,
    name: 'Serf Health Status',
    status: CheckStatus.passing,
    notes: '',
    output: 'Agent alive and reachable',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    interval: '',
    timeout: '',
    definition: {},
    agentOwned: false,
  }
}
