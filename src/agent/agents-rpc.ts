/**
 * A server's side of the calls between agents: the agents' CA, the services, the listener.
 *
 * Owns the joining alone: what a peer's certificate means, whom the CA refuses, what joiners are
 * told.
 */
import { X509Certificate } from 'node:crypto'
import { assert } from '../base/assert.ts'
import { messageOf } from '../base/errors.ts'
import { openRpcServer, type RpcServer } from '../base/io/grpc.ts'
import { digestsOf } from '../base/io/rpc-listener.ts'
import type { RpcService } from '../base/rpc.ts'
import { AgentsCa, type AgentsCaPorts, type OwnMembership } from '../cluster/ca.run.ts'
import type { ClusterKey } from '../cluster/cluster-key.ts'
import type { JoinToken } from '../cluster/join-token.ts'
import { identityOf } from '../cluster/names.ts'
import { knownServers, ServerStatus } from '../cluster/servers.ts'
import {
  type AgentChannel,
  addressText,
  openAgentChannel,
  type ServerAddress,
} from '../rpc/channels.ts'
import { joinService } from '../rpc/join.ts'
import type { Store } from '../store/store.ts'
import { servers as serversTable } from '../store/tables/server.ts'
import type { Writer } from '../store/writer.ts'
import type { EnterConfig } from './enter.ts'
import type { Membership } from './membership.ts'
import type { World } from './parts.ts'

export interface AgentsGround extends Pick<AgentsCaPorts, 'audit' | 'refuseIssuing'> {
  readonly store: Store
  readonly writer: Writer
  readonly membership: Membership
  /** The registry key, for a server that joins. */
  readonly registryKey: () => Buffer
  readonly joinToken: JoinToken | undefined
  /** Ends what gives the keys of a new cluster to its other founders, on the same port. */
  stopFounding(): Promise<void>
}

/** A server among agents. */
export interface AgentsRpc {
  readonly ca: AgentsCa
  /** The way to single agents and servers. */
  readonly channel: AgentChannel
  /** Takes over what the store says, and has leaves renewed from now on. */
  start(): Promise<void>
  /** Answers other agents by these services, joining among them. */
  listen(
    services: readonly RpcService[],
    host: string,
    port: number,
  ): Promise<{ host: string; port: number }>
  stop(): Promise<void>
}

/** Makes a server's side; nothing listens or runs yet. */
export function composeAgentsRpc(
  config: EnterConfig,
  { membership, registryKey, stopFounding, ...ground }: AgentsGround,
  { clock, random, log }: Pick<World, 'clock' | 'random' | 'log'>,
): AgentsRpc {
  const { store } = ground
  const { clusterKey } = membership
  assert(clusterKey !== undefined, 'a server has the cluster key')
  const ca = new AgentsCa({
    ...{ ...ground, clock, random, log, nodeName: config.nodeName },
    own: ownOf(membership, clusterKey),
  })
  let ownPort = config.ports.server
  const places = (): readonly ServerAddress[] => {
    const known = knownServers(store.view())
      .filter(({ status }) => status !== ServerStatus.left)
      .map(({ row }) => ({
        nodeId: row.nodeId,
        address: addressText(row.address, row.ports.server),
      }))
    if (known.length > 0) return known
    return [{ nodeId: config.nodeId, address: addressText(config.advertiseAddress, ownPort) }]
  }
  const join = joinService({
    ca,
    clusterId: membership.clusterId,
    fingerprint: () => fingerprintOf(membership),
    servers: places,
    onServers(changed) {
      const target = { table: serversTable.name, prefix: '' }
      const waiter = store.scopes.wait(target, changed)
      return () => waiter.cancel()
    },
    keys: () => ({
      clusterKey: clusterKey.bytes(),
      registryKey: registryKey(),
      roots: Buffer.from(JSON.stringify(membership.roots)),
    }),
  })
  const channel = openAgentChannel({ material: () => membership.material('agents'), clock, random })
  let server: RpcServer | undefined
  return {
    ca,
    channel,
    async start() {
      await ca.start()
      membership.keepRenewed(
        () => ca.renewOwn(),
        error => log.warn('own certificates were not renewed', { error: messageOf(error) }),
      )
    },
    async listen(services, host, port) {
      server = openRpcServer([join, ...services], {
        material: () => membership.material('agents'),
        identify: certificate => identityOf(certificate, membership.clusterId),
        isRefused: peer => ca.isRefused(peer),
        clock,
        log,
      })
      await stopFounding()
      const bound = await server.listen(host, port)
      ownPort = bound.port
      return bound
    },
    async stop() {
      await stopFounding()
      channel.close()
      await server?.close()
      await ca.stop()
      await membership.stop()
    },
  }
}

const ownOf = (membership: Membership, clusterKey: ClusterKey): OwnMembership => ({
  clusterId: membership.clusterId,
  nodeId: membership.nodeId,
  clusterKey,
  roots: () => membership.roots,
  rootKeys: () => membership.rootKeys(),
  takeRoots: roots => membership.takeRoots(roots),
  renewOwn: () => membership.renewOwn(),
  keyDigest: () => membership.keyDigest(),
  leaf: () => membership.leaf(),
})

function fingerprintOf(membership: Membership): string {
  const certificate = membership.material('agents').certificate()
  return certificate === undefined
    ? ''
    : digestsOf(new X509Certificate(certificate.raw)).fingerprint
}
