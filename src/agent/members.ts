/**
 * A server that runs a member of its own: joins what is known of the cluster with the store's
 * members, for whoever composes and ends an agent.
 *
 * Owns where members lie (at the same distance from the RPC's port on every server, so that nobody
 * has to be told) and whose settings they go by. Holds no rule.
 */
import { foregroundClock } from '../base/clock.ts'
import type { TlsMaterial } from '../base/tls.ts'
import { knownServers, ServerStatus } from '../cluster/servers.ts'
import { connectMember } from '../store/etcd/cluster.ts'
import { MemberCare } from '../store/etcd/member/care.ts'
import type { MemberHealth } from '../store/etcd/member/health.ts'
import { ManagedMember, type MemberIdentity } from '../store/etcd/member/member.ts'
import { type MemberAddress, memberUrl } from '../store/etcd/member/words.ts'
import { roles } from '../store/role.ts'
import type { Store } from '../store/store.ts'
import { AUTOPILOT_KEY, autopilot } from '../store/tables/autopilot.ts'
import { LEADING_ROLE } from './cluster.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'
import type { MembersPort } from './servers.ts'

/** A server as it is known by its RPC: `host:port`. */
interface ServerPlace {
  readonly nodeId: string
  readonly address: string
}

/** What members need of this agent's membership. */
export interface MemberMembership {
  readonly clusterId: string
  readonly foundation: { readonly founders: readonly ServerPlace[] } | undefined
  readonly servers: readonly ServerPlace[]
  material(use: 'store'): TlsMaterial
  follow(changed: () => void): () => void
}

/** Starts this server's member; `signal` ends a start that waits for others. */
export function startOwnMember(
  config: SettledConfig,
  membership: MemberMembership,
  { random, log, environment }: World,
  signal?: AbortSignal,
): Promise<ManagedMember> {
  const { dataDir = '', nodeId, bindAddress, advertiseAddress, store } = config
  const { program, peerPort, clientPort, quotaSizeBytes } = store.member
  const settings = {
    ...{ name: nodeId, listen: [bindAddress], advertise: advertiseAddress },
    ...{ peerPort, clientPort, quotaSizeBytes },
  }
  const { clusterId } = membership
  const others = (servers: readonly ServerPlace[]): MemberAddress[] =>
    servers.filter(one => one.nodeId !== nodeId).flatMap(one => addressOf(one, config) ?? [])
  const own: MemberAddress = {
    name: nodeId,
    peerUrl: memberUrl(advertiseAddress, peerPort),
    clientUrl: memberUrl(advertiseAddress, clientPort),
  }
  const { foundation, servers } = membership
  const isAlone = foundation === undefined && others(servers).length === 0
  const founders = isAlone ? [own] : foundation && [own, ...others(foundation.founders)]
  const identity = identityOf(membership)
  return ManagedMember.start(
    { ...{ dataDir, clusterId, settings, program, identity, founders }, heard: others(servers) },
    {
      ...{ random, log, environment, connect: connectMember, clock: foregroundClock },
      ...(signal === undefined ? {} : { signal }),
    },
  )
}

function identityOf(membership: MemberMembership): MemberIdentity {
  return {
    pems() {
      const { cert, key, ca } = membership.material('store').pems()
      const text = (bytes: Buffer | undefined): string => bytes?.toString('latin1') ?? ''
      return { cert: text(cert), key: text(key), roots: Buffer.concat([...ca]).toString('latin1') }
    },
    follow: changed => membership.follow(changed),
  }
}

/** Where the member of another server is; undefined for an address that cannot be read. */
function addressOf({ nodeId, address }: ServerPlace, config: SettledConfig) {
  const [, host = '', port] = /^\[?(.+?)\]?:(\d{1,5})$/.exec(address) ?? []
  if (host === '') return undefined
  const { peerPort, clientPort } = config.store.member
  const distance = Number(port) - config.ports.server
  return {
    name: nodeId,
    peerUrl: memberUrl(host, peerPort + distance),
    clientUrl: memberUrl(host, clientPort + distance),
  }
}

/** All members as this server sees and, when it is its turn, changes them. */
export class Members implements MembersPort {
  readonly isManaged = true
  readonly #care: MemberCare

  constructor(member: ManagedMember, store: Store, config: SettledConfig, { log }: World) {
    const { nodeId } = config
    this.#care = new MemberCare({
      ...{ member, store, log, clock: foregroundClock },
      rules: () => store.view().get(autopilot, AUTOPILOT_KEY)?.row ?? config.autopilot,
      left: () => leftOf(store),
      role: () => {
        const holder = store.view().get(roles, LEADING_ROLE)?.row.holder
        return holder === undefined ? 'nobody' : holder === nodeId ? 'ours' : 'theirs'
      },
    })
  }

  get duties(): MembersPort['duties'] {
    return this.#care.duties
  }

  /** How all members are, as this server saw them last. */
  get health(): readonly MemberHealth[] {
    return this.#care.members
  }

  hasVote(nodeId: string): boolean | undefined {
    const members = this.#care.members
    if (members.length === 0) return undefined
    return members.some(one => one.nodeId === nodeId && !one.isLearner)
  }

  faultOf(nodeId: string): string | undefined {
    return this.#care.members.find(one => one.nodeId === nodeId)?.fault
  }

  remove({ nodeId }: { readonly nodeId: string }): Promise<void> {
    return this.#care.remove(nodeId)
  }

  start(): void {
    this.#care.start()
  }

  stop(): Promise<void> {
    return this.#care.stop()
  }
}

function leftOf(store: Store): ReadonlySet<string> {
  const list = knownServers(store.view())
  return new Set(
    list.flatMap(({ row, status }) => (status === ServerStatus.left ? [row.nodeId] : [])),
  )
}
