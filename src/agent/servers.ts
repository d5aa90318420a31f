/**
 * A server among servers: makes the parts of the room `cluster` that tell who they are, and gives
 * the rest of the agent what it needs of them.
 *
 * Owns the joining alone, and the order in which a server goes: it says so, gives up its role, and
 * only then ends what it serves.
 */
import { sleep } from '../base/clock.ts'
import { messageOf, type Refusal } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Timeouts } from '../base/timeouts.ts'
import { productVersion } from '../base/version.ts'
import { type Levels, ownLevels } from '../cluster/features.ts'
import { Seat } from '../cluster/servers.run.ts'
import { refuseLeaving } from '../cluster/servers.ts'
import { withdrawServer } from '../registry/self.ts'
import type { Age } from '../store/freshness.ts'
import type { Store } from '../store/store.ts'
import type { ServerRow } from '../store/tables/server.ts'
import type { Duty } from '../store/timekeeper.ts'
import type { Writer } from '../store/writer.ts'
import { Cluster } from './cluster.ts'
import type { SettledConfig } from './config.ts'
import type { World } from './parts.ts'
import { serverDuty } from './server-duty.ts'
import { healthOf } from './server-health.ts'

/** What the member of the store that a server may have does with the servers' changes. */
export interface MembersPort {
  /** Whether each server has a member. */
  readonly isManaged: boolean
  hasVote(nodeId: string): boolean | undefined
  /** Takes a server's member away, once the server is off the list. */
  remove(server: ServerRow): Promise<void>
}

/** Servers on a store of somebody else's. */
export const noMembers: MembersPort = {
  isManaged: false,
  hasVote: () => undefined,
  remove: async () => {},
}

export interface ServersGround {
  readonly store: Store
  readonly writer: Writer
  readonly timeouts: Timeouts
  readonly age: Age
  readonly members: MembersPort
  /** The feature levels of this program; tests bring others. */
  readonly levels?: Levels
}

export class Servers {
  readonly seat: Seat
  readonly cluster: Cluster
  readonly duty: Duty
  readonly #ground: ServersGround
  readonly #world: World
  readonly #config: SettledConfig

  constructor(config: SettledConfig, ground: ServersGround, world: World) {
    const { store, writer, timeouts, age, members } = ground
    const { clock, random, log } = world
    this.#ground = ground
    this.#world = world
    this.#config = config
    this.seat = new Seat(
      { store, clock, random, log },
      { self: selfOf(config, clock.wall()), levels: ground.levels ?? ownLevels },
    )
    const removeMember = (server: ServerRow): Promise<void> => members.remove(server)
    this.cluster = new Cluster({
      ...{ store, writer, clock, timeouts, age, removeMember },
      own: () => this.seat.row,
      health: healthOf(store, clock),
      reportOf: () => undefined,
      isManaged: members.isManaged,
      hasVote: nodeId => members.hasVote(nodeId),
    })
    this.duty = serverDuty({ store, clock, timeouts, log, removeMember })
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
    await this.#briefly('leaving', members.remove(this.seat.row))
  }

  async #briefly(what: string, work: Promise<unknown>): Promise<void> {
    const { clock, log } = this.#world
    const told = work.catch((error: unknown) => log.warn(what, { error: messageOf(error) }))
    await Promise.race([told, sleep(clock, limits.agentStopMs)])
  }
}

const selfOf = (config: SettledConfig, sinceMs: number) => ({
  nodeId: config.nodeId,
  name: config.nodeName,
  address: config.advertiseAddress,
  ports: {
    server: config.ports.server,
    serfLan: config.ports.serfLan,
    serfWan: config.ports.serfWan,
  },
  version: productVersion,
  hasAcl: config.acl.enabled,
  meta: config.nodeMeta,
  sinceMs,
})
