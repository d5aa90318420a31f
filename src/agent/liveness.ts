/**
 * Who is alive, on this agent: makes the parts of the room `cluster` that find it out, and joins
 * them with the channels, the store and the registry.
 *
 * Owns the joining alone, for servers and for agents that are none. Where an agent does not speak
 * with others there is nothing to find out, and nothing here does anything.
 */
import { OperatingError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { RpcService } from '../base/rpc.ts'
import type { Coordinate } from '../base/vivaldi.ts'
import { everybody } from '../base/who.ts'
import { Heartbeat } from '../cluster/liveness-agent.run.ts'
import { LivenessHolder } from '../cluster/liveness-holder.run.ts'
import { Hearing, type NumberedReport, type ReportAnswer } from '../cluster/liveness-server.run.ts'
import { serverAddress } from '../cluster/port.ts'
import { Prober } from '../cluster/probe.run.ts'
import { knownServers, ServerStatus } from '../cluster/servers.ts'
import { markAgents, nodeOfAgent, standingOf } from '../registry/agent-health.ts'
import { SERF_HEALTH } from '../registry/catalog.ts'
import type { Registry } from '../registry/room.run.ts'
import type { AgentChannel, ServerAddress, ServerChannel } from '../rpc/channels.ts'
import { askPeer, beatStream, liveService, probeService, sendReport } from '../rpc/live.ts'
import { roles } from '../store/role.ts'
import type { Store } from '../store/store.ts'
import { agents } from '../store/tables/agent.ts'
import { servers } from '../store/tables/server.ts'
import type { Duty } from '../store/timekeeper.ts'
import { LEADING_ROLE } from './cluster.ts'
import type { World } from './parts.ts'

type LivenessWorld = Pick<World, 'clock' | 'random' | 'log'>

/** Who looks after others, over the way to single agents. */
const proberOver = (
  channel: Pick<AgentChannel, 'call'>,
  { clock, random }: LivenessWorld,
): Prober =>
  new Prober({
    ...{ clock, random },
    ask: (to, isSilent, timeoutMs) => askPeer(channel, to, isSilent, timeoutMs),
  })

export interface ServerLivenessGround {
  readonly store: Store
  /** The way to other agents; undefined where this server does not speak with any. */
  readonly channel: Pick<AgentChannel, 'call'> | undefined
  /** Takes where nodes stand. */
  readonly registry: () => Pick<Registry, 'updateCoordinate'>
}

interface ServerParts {
  readonly prober: Prober
  readonly holder: LivenessHolder
  readonly hearing: Hearing
}

/** A server's side: it hears agents, reports, and judges while it holds the timekeeper's role. */
export class ServerLiveness {
  readonly #parts: ServerParts | undefined

  constructor(nodeId: string, ground: ServerLivenessGround, world: World) {
    const { channel } = ground
    this.#parts = channel === undefined ? undefined : partsOf(nodeId, { ...ground, channel }, world)
  }

  /** Work of the role's holder. */
  get duties(): readonly Duty[] {
    return this.#parts === undefined ? [] : [this.#parts.holder.duty]
  }

  /** What other agents may call here. */
  get services(): readonly RpcService[] {
    if (this.#parts === undefined) return []
    const { prober, holder, hearing } = this.#parts
    return [probeService(prober), liveService(hearing, holder)]
  }

  /** Why silent nodes keep their state although nobody reaches them; '' while they do not. */
  get alarm(): string {
    return this.#parts?.hearing.alarm ?? ''
  }

  /** How many agents this server hears. */
  get heard(): number {
    return this.#parts?.hearing.size ?? 0
  }

  /** Begins to tell the holder what this server hears. */
  start(): void {
    this.#parts?.hearing.start()
  }

  async stop(): Promise<void> {
    await this.#parts?.hearing.stop()
  }
}

function partsOf(
  nodeId: string,
  { store, channel, registry }: ServerLivenessGround & { channel: Pick<AgentChannel, 'call'> },
  world: World,
): ServerParts {
  const { clock, random, log, metrics } = world
  const prober = proberOver(channel, world)
  const holder = new LivenessHolder({
    ...{ store, clock, random, log, metrics },
    rules: { standingOf, nodeOfAgent, markAgents, checkId: SERF_HEALTH },
  })
  const report = async (report: NumberedReport): Promise<ReportAnswer> => {
    const leading = holderOf(store)
    if (leading === nodeId) return holder.report(nodeId, report)
    const row = leading === undefined ? undefined : store.view().get(servers, leading)?.row
    if (row === undefined) throw new Error('no server holds the role')
    return sendReport(channel, { nodeId: row.nodeId, address: serverAddress(row) }, report)
  }
  const hearing = new Hearing({
    ...{ clock, random, log, prober, serverId: nodeId, report },
    place: (id, coordinate) => placed(store, { id, coordinate, registry: registry(), log }),
    agents: () => store.view().count(agents),
    servers: () => othersOf(store, nodeId).map(({ nodeId: id, address }) => ({ id, address })),
  })
  return { prober, holder, hearing }
}

const holderOf = (store: Store): string | undefined =>
  store.view().get(roles, LEADING_ROLE)?.row.holder

function othersOf(store: Store, nodeId: string): ServerAddress[] {
  return knownServers(store.view()).flatMap(({ row, status }) =>
    status === ServerStatus.alive && row.nodeId !== nodeId
      ? [{ nodeId: row.nodeId, address: serverAddress(row) }]
      : [],
  )
}

interface Placed {
  readonly id: string
  readonly coordinate: Coordinate
  readonly registry: Pick<Registry, 'updateCoordinate'>
  readonly log: Log
}

/** Coordinates are hints: one that cannot be taken now is passed over. */
function placed(store: Store, { id, coordinate, registry, log }: Placed): void {
  const node = nodeOfAgent(store.view(), id)
  if (node === undefined) return
  try {
    registry.updateCoordinate(everybody, { node, coordinate })
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error
    log.debug('a coordinate was passed over', { node, error: error.message })
  }
}

export interface ClientLivenessGround {
  readonly servers: Pick<ServerChannel, 'open'>
  readonly agents: Pick<AgentChannel, 'call'>
  /** Where this agent's RPC is reached, `host:port`. */
  readonly address: () => string
}

/** The side of an agent that is no server: it beats, looks after others, and is looked after. */
export class ClientLiveness {
  readonly #prober: Prober
  readonly #heartbeat: Heartbeat

  constructor({ servers, agents, address }: ClientLivenessGround, world: LivenessWorld) {
    const { clock, random, log } = world
    this.#prober = proberOver(agents, world)
    this.#heartbeat = new Heartbeat({
      ...{ clock, random, log, address, prober: this.#prober },
      open: (onPace, onEnd) => beatStream(servers, onPace, onEnd),
    })
  }

  /** What other agents may call here. */
  get service(): RpcService {
    return probeService(this.#prober)
  }

  /** Where this agent stands. */
  get coordinate(): Coordinate {
    return this.#prober.coordinate
  }

  start(): void {
    this.#heartbeat.start()
  }

  /** Ends it; `leaves`: for good, so that nobody looks after this agent any more. */
  stop(leaves: boolean): void {
    this.#heartbeat.stop(leaves)
  }
}
