/**
 * Servers and agents in one process, on one store: the parts that run in a real agent, joined by
 * function calls in place of RPC, over links that can be cut.
 *
 * What is real: heartbeats, probes, reports, the judging, the rules, the store. What is not:
 * sockets, TLS and the encoding of messages. A message takes half of the time that the places of
 * both ends make. Each server has the same store, as if its view were always the newest.
 */
import type { Clock, Random } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import { type Beat, Heartbeat, type Pace } from '../../src/cluster/liveness-agent.run.ts'
import { LivenessHolder } from '../../src/cluster/liveness-holder.run.ts'
import { type HeardStream, Hearing } from '../../src/cluster/liveness-server.run.ts'
import { Prober, type ProbeTarget } from '../../src/cluster/probe.run.ts'
import { markAgents, nodeOfAgent, standingOf } from '../../src/registry/agent-health.ts'
import { register, SERF_HEALTH } from '../../src/registry/catalog.ts'
import { PendingCoordinates } from '../../src/registry/coordinates.run.ts'
import { Asker } from '../../src/store/ask.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { checks } from '../../src/store/tables/check.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { nodeRow, serviceRow } from '../registry/rules.ts'
import type { SteppedClock } from './clock.ts'

export interface SimulatedServer {
  readonly id: string
  readonly hearing: Hearing
  readonly prober: Prober
  readonly holder: LivenessHolder
  readonly placeMs: number
  up: boolean
}

export interface SimulatedAgent {
  readonly id: string
  readonly name: string
  readonly heartbeat: Heartbeat
  readonly prober: Prober
  /** Where it stands on a line, in milliseconds of a way there and back. */
  readonly placeMs: number
  up: boolean
  /** Whether it reaches the servers. */
  uplink: boolean
  server: SimulatedServer | undefined
  heard: HeardStream | undefined
}

export interface ClusterSize {
  readonly servers: number
  readonly agents: number
  /** Instances on each agent, each of a service of its own name. */
  readonly services: number
}

const idOf = (kind: number, at: number): string =>
  `${kind.toString(16).padStart(8, '0')}-0000-4000-8000-${at.toString(16).padStart(12, '0')}`

export class SimulatedCluster {
  readonly clock: SteppedClock
  readonly store: Store
  readonly asker: Asker
  readonly servers: SimulatedServer[]
  readonly agents: SimulatedAgent[]
  /** Messages between agents and servers, reports, and probes. */
  readonly counts = { beats: 0, paces: 0, reports: 0, probes: 0, transactions: 0 }
  /** Real time that the servers' parts took: hearing beats, and taking reports. */
  readonly tookMs = { beats: 0, reports: 0 }
  holder: SimulatedServer
  readonly #random: Random
  readonly #byId = new Map<string, SimulatedAgent>()
  readonly #serverById = new Map<string, SimulatedServer>()
  readonly #timeouts: Timeouts
  readonly #places: PendingCoordinates
  #tenure = new AbortController()
  #serving: Promise<void> = Promise.resolve()

  constructor(clock: SteppedClock, seed: string, size: ClusterSize) {
    this.clock = clock
    this.#random = seededRandom(Buffer.from(seed))
    const tables = withSystemTables(registryTables)
    const onCommit = (transactions: number): void => {
      this.counts.transactions += transactions
    }
    this.store = openMemoryStore({ tables, clock, random: this.#random, onCommit })
    this.#timeouts = new Timeouts(clock)
    this.asker = new Asker(this.store, this.#timeouts)
    const { store } = this
    this.#places = new PendingCoordinates({ store, timeouts: this.#timeouts, log: silentLog })
    this.servers = Array.from({ length: size.servers }, (_, at) => this.#server(at))
    this.agents = Array.from({ length: size.agents }, (_, at) => this.#agent(at))
    this.holder = this.servers[0]!
  }

  /** Registers all nodes with their services, then lets everybody start. */
  async start(services: number): Promise<void> {
    for (const [at, agent] of this.agents.entries()) {
      const written = this.#register(agent, at, services)
      if (at % 500 === 0) await written
    }
    await this.store.write(() => ({ txn: [], answer: true }))
    for (const { hearing } of this.servers) hearing.start()
    this.#take(this.holder)
    for (const { heartbeat } of this.agents) heartbeat.start()
  }

  async #register(agent: SimulatedAgent, at: number, services: number): Promise<void> {
    const address = `10.${(at >> 16) & 255}.${(at >> 8) & 255}.${at & 255}`
    const node = nodeRow(agent.name, { id: agent.id, address })
    const names = Array.from({ length: services }, (_, one) => `app-${at}-${one}`)
    for (const name of names.length === 0 ? [undefined] : names) {
      const service = name === undefined ? undefined : serviceRow(agent.name, name)
      const registration = { node, skipNodeUpdate: false, service, checks: [] }
      const written = await this.store.write(view => register(view, everybody, registration))
      if (isRefusal(written)) throw new Error(written.text)
    }
  }

  #take(server: SimulatedServer): void {
    this.holder = server
    this.#tenure = new AbortController()
    this.#serving = server.holder.duty(this.#tenure.signal, decide => decide)
  }

  /** The role goes to another server. */
  async moveRole(to: SimulatedServer): Promise<void> {
    this.#tenure.abort()
    await this.clock.advance(limits.livenessTickMs)
    await this.#serving
    this.#take(to)
  }

  async stop(): Promise<void> {
    for (const { heartbeat } of this.agents) heartbeat.stop(false)
    const stopped = this.servers.map(({ hearing }) => hearing.stop())
    this.#tenure.abort()
    await this.clock.advance(5_000)
    await Promise.all([...stopped, this.#serving])
    await this.store.close()
  }

  /** An agent ends; as a process that is killed, or as a machine that loses its power. */
  kill(agent: SimulatedAgent, isSilent: boolean): void {
    agent.up = false
    agent.heartbeat.stop(false)
    if (!isSilent && agent.uplink) agent.heard?.ended()
  }

  /** What the catalog says of an agent. */
  stateOf({ name }: SimulatedAgent): string {
    return this.store.view().get(checks, onNode(name, SERF_HEALTH))?.row.status ?? 'none'
  }

  count(status: string): number {
    return this.agents.filter(agent => this.stateOf(agent) === status).length
  }

  #server(at: number): SimulatedServer {
    const { clock, store } = this
    const id = idOf(1, at)
    const placeMs = at
    const prober = this.#prober(() => server)
    const log = silentLog
    const random = this.#random
    const holder = new LivenessHolder({
      ...{ store, clock, random, log, metrics: new Metrics(clock) },
      rules: { standingOf, nodeOfAgent, markAgents, checkId: SERF_HEALTH },
    })
    const hearing = new Hearing({
      ...{ clock, random, log, prober, serverId: id },
      report: async report => {
        this.counts.reports++
        if (!this.holder.up) throw new Error('nobody answers')
        const startedMs = performance.now()
        const answer = this.holder.holder.report(id, report)
        this.tookMs.reports += performance.now() - startedMs
        return answer
      },
      place: (nodeId, coordinate) => {
        const node = nodeOfAgent(store.view(), nodeId)
        if (node !== undefined) this.#places.add({ node, coordinate })
      },
      agents: () => this.agents.length,
      servers: () => this.servers.map(one => ({ id: one.id, address: '' })),
    })
    const server: SimulatedServer = { id, hearing, prober, holder, placeMs, up: true }
    this.#serverById.set(id, server)
    return server
  }

  #agent(at: number): SimulatedAgent {
    const { clock } = this
    const placeMs = 1 + 40 * this.#random.fraction()
    const prober = this.#prober(() => agent)
    const heartbeat = new Heartbeat({
      ...{ clock, random: this.#random, log: silentLog, prober },
      address: () => `node-${at}:8300`,
      open: (onPace, onEnd) => this.#open(agent, onPace, onEnd),
    })
    const agent: SimulatedAgent = {
      ...{ id: idOf(2, at), name: `node-${at}`, heartbeat, prober, placeMs },
      ...{ up: true, uplink: true, server: undefined, heard: undefined },
    }
    this.#byId.set(agent.id, agent)
    return agent
  }

  #open(agent: SimulatedAgent, onPace: (pace: Pace) => void, onEnd: (problem: string) => void) {
    const up = this.servers.filter(server => server.up)
    const server = up[Math.floor(this.#random.fraction() * up.length)]!
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      this.#later(agent, server, () => onEnd('given up'))
    }
    const heard = server.hearing.opened(agent.id, pace => {
      this.counts.paces++
      this.#later(agent, server, () => {
        if (!isOver && agent.up && agent.uplink) onPace(pace)
      })
    })
    agent.server = server
    agent.heard = heard
    return {
      serverId: server.id,
      send: (beat: Beat) => {
        this.counts.beats++
        if (isOver || !agent.uplink || !server.up) return
        this.#later(agent, server, () => {
          if (isOver || !agent.up) return
          const startedMs = performance.now()
          const isHeard = heard.beat(beat)
          this.tookMs.beats += performance.now() - startedMs
          if (!isHeard) end()
        })
      },
      cancel: () => {
        isOver = true
        if (agent.uplink) this.#later(agent, server, () => heard.ended())
      },
    }
  }

  #later(one: { placeMs: number }, other: { placeMs: number }, run: () => void): void {
    this.clock.after(Math.abs(one.placeMs - other.placeMs) / 2, run)
  }

  #prober(of: () => SimulatedAgent | SimulatedServer): Prober {
    const { clock } = this
    const random = this.#random
    const ask = async (target: ProbeTarget, isSilent: boolean, timeoutMs: number) => {
      this.counts.probes++
      const from = of()
      const to = this.#byId.get(target.id) ?? this.#serverById.get(target.id)!
      const crosses = (one: object): boolean => 'uplink' in one && one.uplink === false
      const isBetween = 'uplink' in from !== 'uplink' in to
      const isCut = isBetween && (crosses(from) || crosses(to))
      if (!to.up || isCut) {
        await sleepOn(clock, to.up ? timeoutMs : 1)
        throw new Error('nobody is there')
      }
      await sleepOn(clock, Math.abs(from.placeMs - to.placeMs))
      return to.prober.answer(isSilent)
    }
    return new Prober({ clock, random, ask })
  }
}

const sleepOn = (clock: Clock, ms: number): Promise<void> =>
  new Promise(resolve => {
    clock.after(ms, resolve)
  })
