/**
 * How an agent comes to its cluster: by what is on its disk, else by founding one or by joining.
 *
 * Owns the choice, and that nothing counts before all of it is on the disk: the file of the
 * membership is written last. A start that was cut off anywhere goes on where it was.
 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { assert } from '../base/assert.ts'
import { type Clock, sleep } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { readFileIfExists, removeFile, writeFileAtomic } from '../base/io/file.ts'
import type { RpcServer } from '../base/io/grpc.ts'
import type { Log } from '../base/log.ts'
import { CLUSTER_KEY_SIZE_BYTES, ClusterKey } from '../cluster/cluster-key.ts'
import type { FoundingPlan } from '../cluster/founding.ts'
import { type JoinToken, parseJoinToken } from '../cluster/join-token.ts'
import { RootKeys } from '../cluster/root-keys.ts'
import { keepRegistryKey, loadRegistryKey } from '../identity/registry-key.run.ts'
import { addressText, type ServerAddress } from '../rpc/channels.ts'
import type { CaRootRow } from '../store/tables/cluster.ts'
import { caUses } from '../store/tables/cluster.ts'
import type { SettledConfig } from './config.ts'
import { type FoundingSettings, foundTogether, giveKeys } from './founding.ts'
import { type Joined, type Joiner, JoinRefused, joinAny } from './join.ts'
import { resolvePlaces } from './join-places.ts'
import {
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
  | 'dataDir'
  | 'nodeId'
  | 'nodeName'
  | 'advertiseAddress'
  | 'bindAddress'
  | 'ports'
  | 'isServer'
  | 'join'
>

export interface EnterWorld extends MembershipWorld {
  readonly log: Log
  /** The variables of this process. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** One whose timers hold the process open: nothing else does while it waits for others. */
  readonly waiting?: Clock
  /** Ends a start that waits for others. */
  readonly signal?: AbortSignal
  /** Writes a file as a whole; tests end the process there. */
  readonly write?: (path: string, text: string | Buffer) => Promise<void>
}

/** A membership, and what still gives the keys of a new cluster to its other founders. */
export interface Entered {
  readonly membership: Membership
  readonly joinToken: JoinToken | undefined
  /** To be called before other agents are listened to on the same port. */
  stopFounding(): Promise<void>
}

/**
 * Enters the cluster. Rejects with OperatingError that says what to do: a damaged file, a join
 * token that is refused, servers that are of another cluster.
 */
export async function enterCluster(config: EnterConfig, world: EnterWorld): Promise<Entered> {
  const { dataDir, join, isServer } = config
  const kept = dataDir === undefined ? undefined : await readMembership(dataDir)
  const joinToken = await readJoinToken(config, world)
  const done = (membership: Membership, listener?: RpcServer): Entered => ({
    membership,
    joinToken,
    stopFounding: async () => listener?.close(),
  })
  if (kept !== undefined) {
    const membership = await resume(config, kept, world)
    const isMaker = kept.foundation?.maker === config.nodeId
    if (!isMaker || joinToken === undefined || join.places.length === 0) return done(membership)
    const settings = await foundingOf(config, joinToken, world)
    return done(membership, await giveKeys(settings, world, membership))
  }
  if (isServer && join.places.length === 0) return done(await foundAlone(config, world))
  if (joinToken === undefined) throw new OperatingError(OperatingCode.unavailable, NO_TOKEN)
  if (isServer && join.expect > 1) {
    const settings = await foundingOf(config, joinToken, world)
    const ended = await foundTogether(settings, world)
    if ('membership' in ended) return done(ended.membership, ended.listener)
    const entered = done(await take(config, ended.joined, ended.plan, world))
    await removeFile(`${settings.dataDir}/founding.json`)
    return entered
  }
  const joined = await joinSoon(config, await joinerOf(config, joinToken), world)
  return done(await take(config, joined, undefined, world))
}

const NO_TOKEN =
  'to join a cluster takes a join token: join_token_file, or GATEHOUSE_JOIN_TOKEN ' +
  '(a server makes one by: gatehouse join-token create)'

/** The join token of the configuration, its file or the environment. */
async function readJoinToken(
  { join: { token, tokenFile } }: EnterConfig,
  { environment = {} }: EnterWorld,
): Promise<JoinToken | undefined> {
  let text = token || (environment.GATEHOUSE_JOIN_TOKEN ?? '')
  if (tokenFile !== undefined) {
    const read = await readFileIfExists(tokenFile)
    if (read === undefined) {
      throw new OperatingError(
        OperatingCode.unavailable,
        `join_token_file: ${tokenFile} is not there`,
      )
    }
    text = read.toString('utf8')
  }
  if (text.trim() === '') return undefined
  const parsed = parseJoinToken(text.trim())
  if (parsed !== undefined) return parsed
  const fault = 'the join token has not the form of one: a UUID, a dot, 32 or more characters'
  throw new OperatingError(OperatingCode.unavailable, fault)
}

async function joinerOf(config: EnterConfig, token: JoinToken): Promise<Joiner> {
  const { dataDir, nodeId, nodeName: name, isServer } = config
  const key = await settleNodeKey(dataDir)
  const kind = isServer ? 'server' : 'client'
  return { kind, nodeId, name, key, publicKey: createPublicKey(key), token }
}

/** Joins as soon as a server lets this agent in; a no of one is final. */
async function joinSoon(config: EnterConfig, joiner: Joiner, world: EnterWorld): Promise<Joined> {
  const { places, retryIntervalMs, retryMax } = config.join
  const { log, waiting = world.clock } = world
  for (let tries = 1; ; tries++) {
    try {
      const addresses = await resolvePlaces(places, world)
      return await joinAny(addresses, joiner, world)
    } catch (error) {
      if (error instanceof JoinRefused || tries === retryMax) throw error
      log.warn('no server lets this agent in yet; it is tried again', { error: messageOf(error) })
      await sleep(waiting, retryIntervalMs)
    }
  }
}

/** Keeps what a server gave: the membership counts once its file is there, which is last. */
async function take(
  config: EnterConfig,
  joined: Joined,
  plan: FoundingPlan | undefined,
  world: EnterWorld,
): Promise<Membership> {
  const { dataDir, nodeId, isServer } = config
  const { clusterId, keys, servers } = joined
  const node = await settleNodeKey(dataDir)
  const hosts = hostsOf(config)
  const place = { dataDir, hosts, write: world.write }
  if (!isServer) {
    const trust = { agents: joined.roots, store: [] }
    const leaves = { agents: joined.chain }
    const state = { format: 1, clusterId, kind: 'client', nodeId, roots: [] } as const
    const all = { ...state, servers, trust, leaves }
    const membership = new Membership(all, { node, cluster: undefined }, place, world)
    await membership.save()
    return membership
  }
  if (keys === undefined || keys === null) throw new Error('a server was given no keys')
  const cluster = new ClusterKey(keys.clusterKey)
  const roots = JSON.parse(keys.roots.toString('utf8')) as CaRootRow[]
  await keepClusterKey(dataDir, cluster, world.write)
  if (dataDir !== undefined) await keepRegistryKey(dataDir, keys.registryKey, world.write)
  return serverOf(config, { clusterId, roots, servers, plan, node, cluster }, world)
}

/** What it takes to found with others. */
async function foundingOf(
  config: EnterConfig,
  token: JoinToken,
  world: EnterWorld,
): Promise<FoundingSettings> {
  const { dataDir, nodeId, nodeName: name, advertiseAddress, bindAddress, ports, join } = config
  assert(dataDir !== undefined, 'a store that is shared has a folder beside it')
  const address = addressText(advertiseAddress, ports.server)
  const { write = writeFileAtomic } = world
  return {
    ...{ dataDir, expect: join.expect, host: bindAddress, port: ports.server, token },
    ...{ self: { nodeId, name, address }, write },
    joiner: await joinerOf(config, token),
    places: () => resolvePlaces(join.places, world),
    found: plan => found(config, plan, world),
    keysOf: membership => {
      const clusterKey = membership.clusterKey?.bytes() ?? Buffer.alloc(0)
      const registryKey = readFileSync(`${dataDir}/registry.key`, 'latin1').trim()
      return {
        clusterKey,
        registryKey: Buffer.from(registryKey, 'hex'),
        roots: Buffer.from(JSON.stringify(membership.roots)),
      }
    },
  }
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
  const place = { dataDir, hosts: hostsOf(config), write: world.write }
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
  return found(config, { clusterId: world.random.uuid(), maker: '', founders: [] }, world)
}

/** The first server of a cluster makes its roots and keys. */
async function found(
  config: EnterConfig,
  plan: FoundingPlan,
  world: EnterWorld,
): Promise<Membership> {
  const { dataDir } = config
  const { clock, random, write } = world
  const node = await settleNodeKey(dataDir)
  const kept = dataDir === undefined ? undefined : await readClusterKey(dataDir)
  const cluster = kept ?? new ClusterKey(random.bytes(CLUSTER_KEY_SIZE_BYTES))
  if (kept === undefined) await keepClusterKey(dataDir, cluster, write)
  // The others get it with the cluster key.
  if (plan.founders.length > 0) await loadRegistryKey(dataDir, random)
  const { clusterId } = plan
  const none = new RootKeys(cluster, [])
  const roots = caUses.map(use => none.next(use, clusterId, clock.wall(), random))
  const agreed = plan.founders.length === 0 ? undefined : plan
  return serverOf(config, { clusterId, roots, servers: [], plan: agreed, node, cluster }, world)
}

interface ServerParts {
  readonly clusterId: string
  readonly roots: readonly CaRootRow[]
  readonly servers: readonly ServerAddress[]
  readonly plan: FoundingPlan | undefined
  readonly node: KeyObject
  readonly cluster: ClusterKey
}

async function serverOf(
  config: EnterConfig,
  { clusterId, roots, servers, plan, node, cluster }: ServerParts,
  world: EnterWorld,
): Promise<Membership> {
  const { dataDir, nodeId } = config
  const keys = new RootKeys(cluster, roots)
  const hosts = hostsOf(config)
  const membership = new Membership(
    {
      ...{ format: 1, clusterId, kind: 'server', nodeId, roots, servers },
      leaves: ownLeaves(keys, { clusterId, nodeId }, node, hosts, world),
      trust: trustOf(keys),
      ...(plan === undefined ? {} : { foundation: plan }),
    },
    { node, cluster },
    { dataDir, hosts, write: world.write },
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
