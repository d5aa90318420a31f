/**
 * The holder's part: as long as this server has the timekeeper's role, it judges who is alive.
 *
 * Owns the following of the store, the writing of what `liveness.ts` tells, and whom each server is
 * to have looked after. Every write is fenced by the role. Begins anew with each tenure, from what
 * the store says and whole reports of the servers.
 */
import type { WallMs } from '../base/brand.ts'
import { type Clock, type Random, sleep } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import { inSlices } from '../base/slices.ts'
import { distanceS } from '../base/vivaldi.ts'
import { type Decide, type Decision, type Event, isRefusal, type Store } from '../store/store.ts'
import { agents } from '../store/tables/agent.ts'
import { checks } from '../store/tables/check.ts'
import { coordinates } from '../store/tables/coordinate.ts'
import { fold } from '../store/tables/names.ts'
import { type NodeRow, nodes } from '../store/tables/node.ts'
import type { Duty } from '../store/timekeeper.ts'
import type { Reader } from '../store/view.ts'
import {
  Liveness,
  type LivenessStatus,
  type Mark,
  type Phase,
  type ProbeOrder,
  phases,
  type Stored,
} from './liveness.ts'
import type { NumberedReport, ReportAnswer } from './liveness-server.run.ts'
import { HeardTime } from './liveness-time.ts'

/** What the holder knows of the catalog, and does to it: the registry's rules. */
export interface AgentRules {
  readonly standingOf: (view: Reader, id: string) => Stored
  readonly nodeOfAgent: (view: Reader, id: string) => string | undefined
  readonly markAgents: (view: Reader, marks: readonly Mark[], now: WallMs) => Decision<number>
  /** The id of the check that says whether a node's agent is alive. */
  readonly checkId: string
}

export interface HolderPorts {
  readonly store: Store
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly rules: AgentRules
}

type Fenced = <A>(decide: Decide<A>) => Decide<A>

const NOT_HOLDER: ReportAnswer = {
  isHolder: false,
  wantsWhole: false,
  orders: [],
  alarm: '',
  peers: [],
}

/** What this server would judge, were it the holder; and does, as long as it is. */
export class LivenessHolder {
  readonly #ports: HolderPorts
  readonly #time: HeardTime
  #tenure: Tenure | undefined

  constructor(ports: HolderPorts) {
    this.#ports = ports
    this.#time = new HeardTime(ports.clock)
    for (const phase of phases) {
      const help = 'Nodes with an agent, as the holder of the role sees them; 0 on other servers.'
      ports.metrics.gauge('liveness.nodes', help, () => this.#count(phase), { phase })
    }
    const help = '1 while nodes keep their state because many fell silent at once.'
    const isOn = (): number => (this.#tenure?.liveness.status.brake === undefined ? 0 : 1)
    ports.metrics.gauge('liveness.brake', help, isOn)
  }

  #count(phase: Phase): number {
    return this.#tenure?.liveness.status.nodes[phase] ?? 0
  }

  /** How the nodes fare; undefined where this server is not the holder. */
  get status(): LivenessStatus | undefined {
    return this.#tenure?.liveness.status
  }

  /** The work that the timekeeper's holder does. */
  readonly duty: Duty = async (signal, fenced) => {
    const tenure = new Tenure(this.#ports, this.#time, fenced)
    this.#tenure = tenure
    try {
      await tenure.serve(signal)
    } finally {
      this.#tenure = undefined
    }
  }

  /** Takes what a server hears; says so where this server is not the holder. */
  report(serverId: string, report: NumberedReport): ReportAnswer {
    return this.#tenure?.report(serverId, report) ?? NOT_HOLDER
  }
}

/** What is known of the reports of one server. */
interface Reporter {
  readonly run: string
  number: number
  orders: ProbeOrder[]
}

/** The time in which this server has the role. */
class Tenure {
  readonly liveness: Liveness
  readonly #ports: HolderPorts
  readonly #time: HeardTime
  readonly #fenced: Fenced
  readonly #reporters = new Map<string, Reporter>()
  #alarm = ''

  constructor(ports: HolderPorts, time: HeardTime, fenced: Fenced) {
    const { store, random, rules } = ports
    this.#ports = ports
    this.#time = time
    this.#fenced = fenced
    const placeOf = (id: string) => {
      const node = rules.nodeOfAgent(store.view(), id)
      return node === undefined ? undefined : store.view().get(coordinates, fold(node))
    }
    this.liveness = new Liveness(
      {
        random,
        distanceS: (one, other) =>
          distanceS(placeOf(one)?.row.coordinate, placeOf(other)?.row.coordinate),
        storedOf: id => rules.standingOf(store.view(), id),
      },
      time.now(),
    )
  }

  report(serverId: string, report: NumberedReport): ReportAnswer {
    const { run, number, whole, findings } = report
    let reporter = this.#reporters.get(serverId)
    const isKnown = reporter !== undefined && reporter.run === run
    if (!isKnown && !whole?.isFirst) {
      return { ...NOT_HOLDER, isHolder: true, wantsWhole: true, alarm: this.#alarm }
    }
    if (reporter === undefined || !isKnown) {
      reporter = { run, number: 0, orders: [] }
      this.#reporters.set(serverId, reporter)
    }
    if (number > reporter.number) {
      reporter.number = number
      const nowMs = this.#time.now()
      this.liveness.report(serverId, report, nowMs)
      for (const { prober, target, isReachable } of findings) {
        this.liveness.probed(prober, target, isReachable, nowMs)
      }
    }
    const { orders } = reporter
    reporter.orders = []
    const peers = this.liveness.someHeard(limits.measurePeersAtOnce)
    return { isHolder: true, wantsWhole: false, orders, alarm: this.#alarm, peers }
  }

  async serve(signal: AbortSignal): Promise<void> {
    const following = this.#follow(signal)
    while (!signal.aborted) {
      const { isMore, failed } = await this.#tick()
      const pauseMs = failed ? limits.expiryRetryMs : limits.livenessTickMs
      await sleep(this.#ports.clock, isMore ? 0 : pauseMs)
    }
    await following
  }

  async #tick(): Promise<{ isMore: boolean; failed: boolean }> {
    const { orders, marks, isMore } = this.liveness.tick(this.#time.now())
    for (const order of orders) {
      const waiting = this.#reporters.get(order.server)?.orders
      if (waiting !== undefined && waiting.length < limits.probeOrdersPerSecond) waiting.push(order)
    }
    this.#tellAlarm()
    const failed = marks.length > 0 && !(await this.#write(marks))
    return { isMore: isMore || (marks.length > 0 && !failed), failed }
  }

  async #write(marks: readonly Mark[]): Promise<boolean> {
    const { store, log, rules } = this.#ports
    let done = 0
    try {
      const decide = this.#fenced((view, now) => rules.markAgents(view, marks, now))
      const written = await store.write(decide)
      if (!isRefusal(written)) done = written.answer
    } catch (error) {
      log.warn('nodes were not marked, will try again', { error: messageOf(error) })
    }
    for (const { id } of marks.slice(done)) this.liveness.unwritten(id)
    for (const { id, as } of marks.slice(0, done)) {
      if (as === 'critical') log.warn('an agent is not live or unreachable', { node: id })
    }
    return done > 0
  }

  #tellAlarm(): void {
    const { brake, nodes } = this.liveness.status
    const alarm = brake?.reason ?? ''
    if (alarm === this.#alarm) return
    this.#alarm = alarm
    const { vouched, condemned, suspect } = nodes
    const counts = { vouched, condemned, suspect }
    if (alarm === '') this.#ports.log.info('silent nodes are heard again or marked', counts)
    else this.#ports.log.error(`${alarm}: they keep their state for now`, counts)
  }

  /** Keeps up with what the store says of agents, until the signal aborts. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#ports
    while (!signal.aborted) {
      try {
        const view = store.view()
        const cursor = store.feed(view.revision)
        await inSlices(view.entries(agents), ({ key }) => this.#listed(key))
        for (;;) {
          const soon = cursor.next(signal)
          const change = soon instanceof Promise ? await soon : soon
          if (change === undefined || change === 'resync') break
          for (const event of change.events) this.#note(event)
        }
      } catch (error) {
        log.warn('following the store', { error: messageOf(error) })
        await sleep(clock, limits.agentSyncDelayMs)
      }
    }
  }

  #note({ table, key, before, after }: Event): void {
    const { store, rules } = this.#ports
    if (table === agents) this.#listed(key)
    else if (table === nodes) {
      for (const cell of [before, after]) {
        if (cell !== undefined) this.#changed((cell.row as NodeRow).id)
      }
    } else if (table === checks) {
      const row = (after ?? before)?.row as { node: string; checkId: string } | undefined
      if (row?.checkId !== rules.checkId) return
      const id = store.view().get(nodes, fold(row.node))?.row.id
      if (id !== undefined) this.#changed(id)
    }
  }

  #listed(id: string): void {
    const { store, rules } = this.#ports
    const view = store.view()
    const row = view.get(agents, id)?.row
    if (row === undefined) this.liveness.unlisted(id)
    else this.liveness.known(id, row.address, rules.standingOf(view, id), this.#time.now())
  }

  #changed(id: string): void {
    if (id === '') return
    const { store, rules } = this.#ports
    this.liveness.changed(id, rules.standingOf(store.view(), id))
  }
}
