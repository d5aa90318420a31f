/**
 * Agents, servers and one holder in a world of ticks: who is up, who reaches whom.
 *
 * Agents are three fields and a few rules: connect to a server, beat, look after another when told.
 * Whatever is written is kept as the store would. What may never happen is noted in `broken`.
 */
import type { Random } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { Liveness, type Mark, type ProbeOrder, type Stored } from '../../src/cluster/liveness.ts'
import { Ear } from '../../src/cluster/liveness-ear.ts'

const STEP_MS = 250
/** An agent whose server answers no more notices it after this long. */
const NOTICE_MS = 10_000

interface Agent {
  readonly id: string
  up: boolean
  /** Whether it reaches the servers. */
  uplink: boolean
  /** Agents reach those of their own island. */
  island: number
  server: Server | undefined
  stream: number
  beatMs: number
  lostMs: number
  /** Whether it went down or to another island, or has come back since not long. */
  harmedMs: number
}

interface Server {
  readonly id: string
  up: boolean
  ear: Ear
  mail: { readonly atMs: number; readonly order: ProbeOrder }[]
  knowsHolder: boolean
}

export class World {
  nowMs = 1_000
  readonly agents = new Map<string, Agent>()
  readonly servers: Server[]
  readonly stored = new Map<string, Stored>()
  readonly history: string[] = []
  readonly broken: string[] = []
  liveness: Liveness
  orders = 0
  readonly #random: Random

  constructor(random: Random, servers: number, agents: number) {
    this.#random = random
    this.servers = Array.from({ length: servers }, (_, at) => ({
      id: `s${at}`,
      up: true,
      ear: new Ear(),
      mail: [],
      knowsHolder: false,
    }))
    for (let at = 0; at < agents; at++) this.add(`n${at}`)
    this.liveness = this.#holder()
  }

  add(id: string): void {
    this.stored.set(id, 'none')
    const fresh = { up: true, uplink: true, island: 0, server: undefined, stream: 0 }
    this.agents.set(id, { id, ...fresh, beatMs: 0, lostMs: 0, harmedMs: Number.NEGATIVE_INFINITY })
  }

  #holder(): Liveness {
    const ports = {
      random: this.#random,
      distanceS: () => Number.POSITIVE_INFINITY,
      storedOf: (id: string) => this.stored.get(id) ?? 'absent',
    }
    const liveness = new Liveness(ports, this.nowMs)
    for (const [id, stored] of this.stored) {
      if (stored === 'none' || stored === 'absent') continue
      liveness.known(id, `${id}:1`, stored, this.nowMs)
    }
    for (const server of this.servers) server.knowsHolder = false
    return liveness
  }

  /** Another server takes the role: it knows what the store says. */
  moveHolder(): void {
    this.liveness = this.#holder()
  }

  /** An agent ends; as a process that is killed, or as a machine that loses its power. */
  kill(id: string, isSilent: boolean): void {
    const agent = this.agents.get(id)!
    agent.up = false
    agent.harmedMs = this.nowMs
    if (!isSilent) agent.server?.ear.closed(id, agent.stream, this.nowMs)
    agent.server = undefined
  }

  revive(id: string): void {
    const agent = this.agents.get(id)!
    if (agent.up) return
    agent.up = true
    agent.harmedMs = this.nowMs
  }

  move(id: string, island: number): void {
    const agent = this.agents.get(id)!
    if (agent.island === island) return
    agent.island = island
    agent.harmedMs = this.nowMs
  }

  stopServer(at: number): void {
    const server = this.servers[at]!
    server.up = false
    server.mail = []
    server.ear = new Ear()
    for (const agent of this.agents.values()) if (agent.server === server) agent.server = undefined
  }

  startServer(at: number): void {
    const server = this.servers[at]!
    server.up = true
    server.knowsHolder = false
  }

  run(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; ) this.step()
  }

  /** Runs until it holds, at most for so long; whether it does. */
  until(holds: () => boolean, boundMs: number): boolean {
    for (const endMs = this.nowMs + boundMs; !holds(); this.step()) {
      if (this.nowMs >= endMs) return false
    }
    return true
  }

  step(): void {
    this.nowMs += STEP_MS
    for (const agent of this.agents.values()) this.#live(agent)
    for (const server of this.servers) if (server.up) this.#deliver(server)
    if (this.nowMs % 1_000 === 0) for (const server of this.servers) this.#report(server)
    const { orders, marks } = this.liveness.tick(this.nowMs)
    for (const order of orders) this.#send(order)
    for (const mark of marks) this.#write(mark)
  }

  #live(agent: Agent): void {
    if (!agent.up) return
    if (agent.server === undefined) {
      const up = this.servers.filter(one => one.up)
      if (!agent.uplink || agent.island !== 0 || up.length === 0) return
      agent.server = up[Math.floor(this.#random.fraction() * up.length)]!
      agent.stream = agent.server.ear.opened(agent.id, `${agent.id}:1`, this.nowMs)
      agent.beatMs = this.nowMs
      agent.lostMs = 0
      return
    }
    if (!agent.uplink || agent.island !== 0) {
      agent.lostMs += STEP_MS
      if (agent.lostMs >= NOTICE_MS) agent.server = undefined
      return
    }
    if (this.nowMs - agent.beatMs < agent.server.ear.paceMs) return
    agent.beatMs = this.nowMs
    const isHeard = agent.server.ear.beat(agent.id, agent.stream, this.nowMs)
    if (!isHeard) agent.server = undefined
  }

  #report(server: Server): void {
    if (!server.up) return
    if (!server.knowsHolder) server.ear.startWhole()
    server.knowsHolder = true
    do {
      const report = server.ear.take(this.nowMs)
      this.liveness.report(server.id, report, this.nowMs)
      for (const { prober, target, isReachable } of report.findings) {
        this.liveness.probed(prober, target, isReachable, this.nowMs)
      }
    } while (server.ear.hasMore)
  }

  #send(order: ProbeOrder): void {
    this.orders++
    const server = this.servers.find(one =>
      order.prober === one.id ? true : this.agents.get(order.prober)?.server === one,
    )
    server?.mail.push({ atMs: this.nowMs + STEP_MS, order })
  }

  #deliver(server: Server): void {
    const due = server.mail.filter(({ atMs }) => atMs <= this.nowMs)
    server.mail = server.mail.filter(({ atMs }) => atMs > this.nowMs)
    for (const { order } of due) {
      const { prober, target } = order
      const isReachable = this.reaches(prober, target)
      if (isReachable === undefined) continue
      server.ear.found({ prober, target, isReachable })
    }
  }

  /** Whether one reaches another; undefined where it cannot say so. */
  reaches(prober: string, target: string): boolean | undefined {
    const by = this.agents.get(prober)
    const isCut = by !== undefined && (!by.up || !by.uplink || by.island !== 0)
    if (isCut || (by !== undefined && by.server === undefined)) return undefined
    const to = this.agents.get(target)!
    return to.up && to.island === 0
  }

  #write({ id, as }: Mark): void {
    const agent = this.agents.get(id)!
    this.history.push(`${id} ${as}`)
    if (as === 'left') {
      this.stored.set(id, 'absent')
      this.liveness.unlisted(id)
      return
    }
    this.stored.set(id, as)
    this.liveness.known(id, `${id}:1`, as, this.nowMs)
    const steadyMs = this.nowMs - agent.harmedMs
    // News may be older than the harm by what reports and probes take.
    if (steadyMs < 3 * limits.probeAgainMs) return
    if (as === 'critical' && agent.up && agent.island === 0) this.broken.push(`${id} is well`)
    if (as === 'passing' && !agent.up) this.broken.push(`${id} is down`)
  }

  /** What the store says, in numbers. */
  count(stored: Stored): number {
    let count = 0
    for (const id of this.agents.keys()) if (this.stored.get(id) === stored) count++
    return count
  }

  /** Agents of which the store says what is not so. */
  wrong(): string[] {
    const isWell = ({ up, island }: Agent): boolean => up && island === 0
    return [...this.agents.values()]
      .filter(agent => this.stored.get(agent.id) !== (isWell(agent) ? 'passing' : 'critical'))
      .map(({ id }) => id)
  }
}
