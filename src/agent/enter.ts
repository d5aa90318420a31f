/**
 * How an agent comes to its cluster: by what is on its disk, else by founding one or by joining.
 *
 * Owns the choice, and that nothing counts before all of it is on the disk: the file of the
 * membership is written last. A start that was cut off anywhere goes on where it was.
 */
import { hostname } from 'node:os'
import { assert } from '../base/assert.ts'
import { OperatingCode, OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { CLUSTER_KEY_SIZE_BYTES, ClusterKey } from '../cluster/cluster-key.ts'
import { RootKeys } from '../cluster/root-keys.ts'
import { caUses } from '../store/tables/cluster.ts'
import type { SettledConfig } from './config.ts'
import {
  type FoundingPlan,
  type HostNames,
  keepClusterKey,
  Membership,
  type MembershipState,
  type MembershipWorld,
  ownLeaves,
  readClusterKey,
  readMembership,
  settleNodeKey,
  trustOf,
} from './membership.ts'

/** What of the configuration it takes to enter. */
export type EnterConfig = Pick<
  SettledConfig,
  'dataDir' | 'nodeId' | 'nodeName' | 'advertiseAddress' | 'bindAddress' | 'ports'
>

export interface EnterWorld extends MembershipWorld {
  readonly log: Log
}

/**
 * The membership of this agent. Rejects with OperatingError that says what to do: a damaged file,
 * a join token that is refused, servers that are of another cluster.
 */
export async function enterCluster(config: EnterConfig, world: EnterWorld): Promise<Membership> {
  const { dataDir } = config
  const kept = dataDir === undefined ? undefined : await readMembership(dataDir)
  if (kept !== undefined) return resume(config, kept, world)
  return foundAlone(config, world)
}

/** Goes on with what is on the disk. */
async function resume(
  config: EnterConfig,
  state: MembershipState,
  world: EnterWorld,
): Promise<Membership> {
  const { dataDir, nodeId } = config
  assert(dataDir !== undefined, 'what was kept was in a folder')
  if (state.nodeId !== nodeId) {
    const text =
      `${dataDir} holds the membership of the node ${state.nodeId}, and this one is ${nodeId}: ` +
      'give it its id back (node_id), or remove cluster.json and node-key.pem to join anew'
    throw new OperatingError(OperatingCode.damaged, text)
  }
  const cluster = await readClusterKey(dataDir)
  if (state.kind === 'server' && cluster === undefined) {
    const text = `${dataDir}/cluster.key is gone: restore it from this server or another`
    throw new OperatingError(OperatingCode.damaged, text)
  }
  const node = await settleNodeKey(dataDir)
  const place = { dataDir, hosts: hostsOf(config) }
  const membership = new Membership(state, { node, cluster }, place, world)
  if (state.kind === 'server') {
    if (!membership.rootKeys().isOpen) {
      const text = `${dataDir}/cluster.key is another key than this server's: put back its own`
      throw new OperatingError(OperatingCode.damaged, text)
    }
    if (membership.isDue()) await membership.renewOwn()
  }
  return membership
}

/** A cluster of this server alone. */
async function foundAlone(config: EnterConfig, world: EnterWorld): Promise<Membership> {
  const clusterId = world.random.uuid()
  return found(config, { clusterId, founders: [] }, world)
}

/** The first server of a cluster makes its roots and keys. */
async function found(
  config: EnterConfig,
  plan: FoundingPlan,
  world: EnterWorld,
): Promise<Membership> {
  const { dataDir, nodeId } = config
  const { clock, random } = world
  const node = await settleNodeKey(dataDir)
  const kept = dataDir === undefined ? undefined : await readClusterKey(dataDir)
  const cluster = kept ?? new ClusterKey(random.bytes(CLUSTER_KEY_SIZE_BYTES))
  if (kept === undefined) await keepClusterKey(dataDir, cluster)
  const none = new RootKeys(cluster, [])
  const roots = caUses.map(use => none.next(use, plan.clusterId, clock.wall(), random))
  const keys = new RootKeys(cluster, roots)
  const { clusterId } = plan
  const hosts = hostsOf(config)
  const membership = new Membership(
    {
      ...{ format: 1, clusterId, kind: 'server', nodeId, roots, servers: [] },
      leaves: ownLeaves(keys, { clusterId, nodeId }, node, hosts, world),
      trust: trustOf(keys),
      ...(plan.founders.length === 0 ? {} : { foundation: plan }),
    },
    { node, cluster },
    { dataDir, hosts },
    world,
  )
  await membership.save()
  return membership
}

/** What members of the store on this host are reached by. */
function hostsOf({ advertiseAddress, bindAddress, nodeName }: EnterConfig): HostNames {
  const isPlain = (address: string): boolean => address !== '0.0.0.0' && address !== '::'
  const addresses = [...new Set([advertiseAddress, bindAddress])].filter(isPlain)
  const isName = (name: string): boolean =>
    /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(name)
  return { addresses, names: [...new Set([nodeName, hostname()])].filter(isName) }
}
