/**
 * A server among servers: makes the parts of the room `cluster` that tell who they are, and gives
 * the rest of the agent what it needs of them.
 *
 * Owns the joining alone, and the order in which a server goes: it says so, gives up its role, and
 * only then ends what it serves.
 */
import { assert } from '../base/assert.ts'
import { sleep } from '../base/clock.ts'
import { messageOf, Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RpcService } from '../base/rpc.ts'
import type { Timeouts } from '../base/timeouts.ts'
import { productVersion } from '../base/version.ts'
import { Beats } from '../cluster/clocks.run.ts'
import type { Levels } from '../cluster/features.ts'
import { serverAddress } from '../cluster/port.ts'
import { type RenewalItem, renewHere, SharedRenewals } from '../cluster/renewals.run.ts'
import { Seat } from '../cluster/servers.run.ts'
import { refuseLeaving, ServerStatus } from '../cluster/servers.ts'
import { withdrawServer } from '../registry/self.ts'
import type { AgentChannel, ServerAddress } from '../rpc/channels.ts'
import { peerCalls, peerService } from '../rpc/peer.ts'
import type { Age } from '../store/freshness.ts'
import { roles } from '../store/role.ts'
import type { Store } from '../store/store.ts'
import { type ServerRow, servers } from '../store/tables/server.ts'
import { type Duty, ownRenewals, type Renewals, type Timekeeper } from '../store/timekeeper.ts'
import type { Writer } from '../store/writer.ts'
import { Cluster, LEADING_ROLE } from './cluster.ts'
import type { SettledConfig } from './config.ts'
import { secretsUrlOf } from './config-secrets.ts'
import type { World } from './parts.ts'
import { serverDuty } from './server-duty.ts'
import { healthOf } from './server-health.ts'

/** What the member of the store that a server may have does with the servers' changes. */
export interface MembersPort {
  /** Whether each server has a member. */
  readonly isManaged: boolean
  /** What is done about all members by the server that holds the role. */
  readonly duties: readonly Duty[]
  hasVote(nodeId: string): boolean | undefined
  /** Why a server's member is not well, '' when it is; undefined where nothing is known of it. */
  faultOf(nodeId: string): string | undefined
  /** Takes a server's member away, once the server is off the list. */
  remove(server: ServerRow): Promise<void>
}

/** Servers on a store of somebody else's. */
export const noMembers: MembersPort = {
  isManaged: false,
  duties: [],
  hasVote: () => undefined,
  faultOf: () => undefined,
  remove: async () => {},
}

export interface ServersGround {
  readonly store: Store
  readonly writer: Writer
  readonly timeouts: Timeouts
  readonly age: Age
  readonly members: MembersPort
  /** The way to other servers; undefined where servers do not talk to each other. */
  readonly channel: Pick<AgentChannel, 'call'> | undefined
  readonly metrics: Metrics
  /** The feature levels of this program. */
  readonly levels: Levels
}

const WRONG_CLOCK =
  "this server's clock is wrong by the other servers': it issues nothing until it is set right; " +
  'ask another server'

export class Servers {
  readonly seat: Seat
  readonly cluster: Cluster
  /** What the one that holds the role does about servers and their members. */
  readonly duties: readonly Duty[]
  readonly #beats: Beats<ServerAddress>
  readonly #calls: ReturnType<typeof peerCalls> | undefined
  readonly #ground: ServersGround
  readonly #world: World
  readonly #config: SettledConfig

  constructor(config: SettledConfig, ground: ServersGround, world: World) {
    const { store, writer, timeouts, age, members, channel, metrics } = ground
    const { clock, random, log } = world
    this.#ground = ground
    this.#world = world
    this.#config = config
    this.seat = new Seat(
      { store, clock, random, log },
      { self: selfOf(config, clock.wall()), levels: ground.levels },
    )
    const health = healthOf(store, clock)
    this.#calls = channel === undefined ? undefined : peerCalls(channel)
    const { nodeId } = config
    this.#beats = new Beats<ServerAddress>({
      ...{ clock, log },
      others: () => this.#others(),
      own: () => {
        const { isHealthy, revision } = health()
        const wrongClock = this.mayKeepTime ? '' : 'its clock is wrong'
        const trouble = isHealthy ? wrongClock : 'it cannot write'
        return { nodeId, revision, viewAgeMs: Math.round(age.ageMs()), trouble }
      },
      beat: (to, word) => {
        assert(this.#calls !== undefined, 'without a way to others there are none to tell')
        return this.#calls.beat(to, word)
      },
    })
    metrics.gauge(
      'server.clock_apart',
      "Milliseconds by which this server's clock is ahead of the servers' middle one.",
      () => Math.round(this.#beats.apartMs),
    )
    const removeMember = (server: ServerRow): Promise<void> => members.remove(server)
    const judgesInMs = (): number => this.seat.judgesInMs
    this.cluster = new Cluster({
      ...{ store, writer, clock, timeouts, age, removeMember, judgesInMs },
      own: () => this.seat.row,
      health: () => {
        const own = health()
        return { ...own, isHealthy: own.isHealthy && this.mayKeepTime }
      },
      reportOf: id => this.#beats.reportOf(id),
      isManaged: members.isManaged,
      hasVote: nodeId => members.hasVote(nodeId),
      isMemberWell: nodeId => (members.faultOf(nodeId) ?? '') === '',
    })
    const about = serverDuty({
      ...{ store, clock, log, removeMember, judgesInMs },
      reconnectTimeoutMs: config.reconnectTimeoutMs,
    })
    this.duties = [about, ...members.duties]
  }

  /** Whether this server's clock is right enough to keep the time of others, and to issue. */
  get mayKeepTime(): boolean {
    return this.#beats.mayKeepTime
  }

  /** Why this server gives nobody a certificate or a token just now; undefined where it may. */
  refuseIssuing(): Refusal | undefined {
    return this.mayKeepTime ? undefined : new Refusal(503, WRONG_CLOCK)
  }

  /** Takes the place among the servers, and talks to them from now on. */
  async start(): Promise<void> {
    await this.seat.start()
    if (this.#calls !== undefined && this.#ground.store.supports.shared) this.#beats.start()
  }

  async stop(): Promise<void> {
    this.#beats.stop()
    await this.seat.stop()
  }

  /** Who starts liveness over: this server, or the one that holds the role. */
  renewals(timekeeper: Timekeeper): Renewals {
    const { store } = this.#ground
    if (!store.supports.shared) return ownRenewals(timekeeper)
    const ask = (items: readonly RenewalItem[]) => {
      const to = this.#holder()
      return to === undefined ? undefined : this.#calls?.renew(to, items)
    }
    return new SharedRenewals({ timekeeper, clock: this.#world.clock, ask })
  }

  /** What other servers may call here. */
  service(timekeeper: Timekeeper): RpcService {
    return peerService({
      heard: word => this.#beats.take(word),
      renewed: items => renewHere(this.#ground.store, timekeeper, items),
    })
  }

  /** Where the holder of the role is; undefined where that is nobody, or this server. */
  #holder(): ServerAddress | undefined {
    const view = this.#ground.store.view()
    const holder = view.get(roles, LEADING_ROLE)?.row.holder
    if (holder === undefined || holder === this.#config.nodeId) return undefined
    const row = view.get(servers, holder)?.row
    return row === undefined ? undefined : { nodeId: holder, address: serverAddress(row) }
  }

  #others(): { nodeId: string; to: ServerAddress }[] {
    return this.cluster.known().flatMap(({ row, status }) => {
      const { nodeId } = row
      const isThere = status === ServerStatus.alive || status === ServerStatus.leaving
      if (nodeId === this.#config.nodeId || !isThere) return []
      return [{ nodeId, to: { nodeId, address: serverAddress(row) } }]
    })
  }

  /** Why this server should not leave for good; undefined where it may. */
  refuseLeaving(): Refusal | undefined {
    const { isManaged } = this.#ground.members
    return refuseLeaving(this.cluster.known(), this.#config.nodeId, isManaged)
  }

  /** Says that this server takes no new work. What cannot be said in time is left unsaid. */
  async drain(local: { drain(): Promise<void> }): Promise<void> {
    if (!this.#ground.store.supports.shared) return
    await this.#briefly('draining', Promise.all([this.seat.drain(), local.drain()]))
  }

  /** Says that this server left, and takes what stands on its node out of the catalog. */
  async leave(): Promise<void> {
    const { store, members } = this.#ground
    if (!store.supports.shared) return
    const { nodeName } = this.#config
    const withdrawing = store.write(view => ({ txn: withdrawServer(view, nodeName), answer: true }))
    await this.#briefly('leaving', Promise.all([this.seat.leave(), withdrawing]))
    // Two members without one of them decide nothing: it goes before its process does.
    const { log } = this.#world
    const failed = (error: unknown): void => log.warn('leaving', { error: messageOf(error) })
    await members.remove(this.seat.row).catch(failed)
  }

  async #briefly(what: string, work: Promise<unknown>): Promise<void> {
    const { clock, log } = this.#world
    const told = work.catch((error: unknown) => log.warn(what, { error: messageOf(error) }))
    await Promise.race([told, sleep(clock, limits.agentStopMs)])
  }
}

/** Whether others are told where its secrets are: a port that is any free one is not known yet. */
const tellsSecrets = ({ ports, secrets }: SettledConfig): boolean =>
  ports.secrets > 0 || (ports.secrets === 0 && secrets.apiAddress !== undefined)

const selfOf = (config: SettledConfig, sinceMs: number) => ({
  nodeId: config.nodeId,
  name: config.nodeName,
  address: config.advertiseAddress,
  ports: {
    server: config.ports.server,
    serfLan: config.ports.serfLan,
    serfWan: config.ports.serfWan,
    ...(config.ports.grpc > 0 ? { grpc: config.ports.grpc } : {}),
    ...(config.ports.grpcTls > 0 ? { grpcTls: config.ports.grpcTls } : {}),
  },
  ...(tellsSecrets(config) ? { secretsUrl: secretsUrlOf(config) } : {}),
  version: productVersion,
  hasAcl: config.acl.enabled,
  meta: config.nodeMeta,
  sinceMs,
})
