/** A server's side of the calls between agents, of a cluster of one, in memory. */
import { type AgentsGround, type AgentsRpc, composeAgentsRpc } from '../../src/agent/agents-rpc.ts'
import { enterCluster } from '../../src/agent/enter.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import type { Store } from '../../src/store/store.ts'
import type { Writer } from '../../src/store/writer.ts'

/** A server that joins nobody. */
export const NO_JOIN = {
  ...{ expect: 1, places: [], retryIntervalMs: 1_000, retryMax: 0, token: '' },
  tokenFile: undefined,
}

const kept = new Map<string, Awaited<ReturnType<typeof enterCluster>>>()

/** Makes it on an open store; nothing of it has started. */
export async function aloneAgents(
  ground: { readonly store: Store; readonly writer: Writer },
  log: LiveLog = silentLog,
  more: Pick<AgentsGround, 'audit' | 'refuseIssuing'> = {},
): Promise<AgentsRpc> {
  const config = {
    dataDir: undefined,
    nodeId: 'aaaaaaaa-0000-4000-8000-000000000001',
    nodeName: 'alone',
    advertiseAddress: '127.0.0.1',
    bindAddress: '127.0.0.1',
    isServer: true,
    join: NO_JOIN,
    ports: {
      dns: -1,
      http: -1,
      https: -1,
      secrets: -1,
      grpc: -1,
      grpcTls: -1,
      server: 0,
      serfLan: -1,
      serfWan: -1,
    },
  }
  const world = { clock: systemClock, random: systemRandom, log }
  const { clusterId } = ground.store.status()
  // What else lies on the disk beside a store: one that is opened again finds it there.
  const entered = kept.get(clusterId) ?? (await enterCluster(config, world))
  kept.set(clusterId, entered)
  const { membership, stopFounding } = entered
  const registryKey = (): Buffer => Buffer.alloc(32)
  const parts = { ...ground, ...more, membership, registryKey, joinToken: undefined, stopFounding }
  return composeAgentsRpc(config, parts, world)
}
