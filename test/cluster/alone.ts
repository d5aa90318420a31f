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
    ports: { dns: -1, http: -1, https: -1, server: 0, serfLan: -1, serfWan: -1 },
  }
  const world = { clock: systemClock, random: systemRandom, log }
  const { membership, stopFounding } = await enterCluster(config, world)
  const registryKey = (): Buffer => Buffer.alloc(32)
  const parts = { ...ground, ...more, membership, registryKey, joinToken: undefined, stopFounding }
  return composeAgentsRpc(config, parts, world)
}
