/**
 * A server's part: it hears the agents that are connected to it, tells the holder of the
 * timekeeper's role what changed, once a second, and passes on whom to look after.
 *
 * Owns the streams, the pace that agents are given, and the reports. Judges nobody: that is the
 * holder's (liveness.ts). Its own process may have been paused: that is held against no agent.
 */
import type { Clock, Random, Timer } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Coordinate } from '../base/vivaldi.ts'
import type { ProbeOrder } from './liveness.ts'
import type { Beat, Pace } from './liveness-agent.run.ts'
import { Ear, type EarReport } from './liveness-ear.ts'
import { HeardTime } from './liveness-time.ts'
import type { Prober, ProbeTarget } from './probe.run.ts'

/** A report with what tells it from others of the same server. */
export interface NumberedReport extends EarReport {
  readonly run: string
  readonly number: number
}

/** What the holder answers to a report. */
export interface ReportAnswer {
  readonly isHolder: boolean
  readonly wantsWhole: boolean
  readonly orders: readonly ProbeOrder[]
  /** Why the brake is on, '' while it is off. */
  readonly alarm: string
  /** Some agents of any server. */
  readonly peers: readonly ProbeTarget[]
}

export interface HearingPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly prober: Prober
  /** The id of this server's node. */
  readonly serverId: string
  /** Tells the holder, whoever it is; rejects where it is not known or does not answer. */
  readonly report: (report: NumberedReport) => Promise<ReportAnswer>
  /** Takes where an agent stands. */
  readonly place: (nodeId: string, coordinate: Coordinate) => void
  /** How many agents there are in all, and other servers, for the pace and to measure. */
  readonly agents: () => number
  readonly servers: () => readonly ProbeTarget[]
}

/** An agent's stream, from the server's side. */
export interface HeardStream {
  /** False: the agent is to connect anew. */
  beat(beat: Beat): boolean
  ended(): void
}

export class Hearing {
  readonly #ports: HearingPorts
  readonly #ear = new Ear()
  readonly #time: HeardTime
  readonly #run: string
  readonly #streams = new Map<string, (pace: Pace) => void>()
  /** Agents to measure the way to: some of those of which the holder told last. */
  readonly #peers: ProbeTarget[] = []
  #number = 0
  #timer: Timer | undefined
  #isOver = false
  #measuredMs = Number.NEGATIVE_INFINITY
  #alarm = ''
  #reporting: Promise<void> = Promise.resolve()

  constructor(ports: HearingPorts) {
    this.#ports = ports
    this.#time = new HeardTime(ports.clock)
    this.#run = ports.random.uuid()
  }

  /** Begins to report; returns at once. */
  start(): void {
    this.#reportLater()
  }

  /** Reports no more; resolves once none is under way. */
  async stop(): Promise<void> {
    this.#isOver = true
    this.#timer?.clear()
    await this.#reporting
  }

  /** How many agents this server hears. */
  get size(): number {
    return this.#ear.size
  }

  /** Why the holder keeps silent nodes as they are, '' while it does not; as it last said. */
  get alarm(): string {
    return this.#alarm
  }

  /** An agent opened a stream; `send` tells it of the pace. */
  opened(nodeId: string, send: (pace: Pace) => void): HeardStream {
    const ear = this.#ear
    let stream: number | undefined
    return {
      beat: beat => {
        const nowMs = this.#time.now()
        if (stream === undefined) {
          stream = ear.opened(nodeId, beat.address ?? '', nowMs)
          this.#streams.set(nodeId, send)
          send({ beatMs: ear.paceMs, coordinateMs: this.#coordinateMs() })
        } else if (!ear.beat(nodeId, stream, nowMs)) return false
        this.#beat(nodeId, stream, beat, send)
        return true
      },
      ended: () => {
        if (stream === undefined) return
        if (ear.isCurrent(nodeId, stream)) this.#streams.delete(nodeId)
        ear.closed(nodeId, stream, this.#time.now())
      },
    }
  }

  #beat(nodeId: string, stream: number, beat: Beat, send: (pace: Pace) => void): void {
    const { echo = 0, coordinate, findings = [], leaves = false } = beat
    for (const finding of findings) this.#ear.found({ prober: nodeId, ...finding })
    if (coordinate !== undefined) this.#ports.place(nodeId, coordinate)
    if (leaves) {
      this.#ear.left(nodeId, stream)
      this.#streams.delete(nodeId)
    } else if (echo > 0) {
      const measure = this.#proposed(nodeId)
      send({
        echo,
        coordinate: this.#ports.prober.coordinate,
        beatMs: this.#ear.paceMs,
        coordinateMs: this.#coordinateMs(),
        ...(measure === undefined ? {} : { orders: [{ ...measure, isSilent: false }] }),
      })
    }
  }

  /** Now and then, somebody whom an agent may measure the way to. */
  #proposed(nodeId: string): ProbeTarget | undefined {
    const { random } = this.#ports
    if (random.fraction() > limits.echoMs / limits.measureMs) return undefined
    const peer = this.#peers[Math.floor(random.fraction() * this.#peers.length)]
    return peer === undefined || peer.id === nodeId ? undefined : peer
  }

  #remember(peer: ProbeTarget): void {
    if (peer.address === '') return
    const { length } = this.#peers
    const isFull = length >= limits.measurePeers
    const at = isFull ? Math.floor(this.#ports.random.fraction() * length) : length
    this.#peers[at] = peer
  }

  /** So that all agents together write no more than the store should bear. */
  #coordinateMs(): number {
    const fairMs = (this.#ports.agents() / limits.coordinatesPerSecond) * 1000
    return Math.max(limits.coordinateMs, Math.ceil(fairMs))
  }

  #reportLater(delayMs: number = limits.livenessReportMs): void {
    this.#timer = this.#ports.clock.after(delayMs, () => {
      this.#reporting = this.#reportAll().finally(() => {
        if (!this.#isOver) this.#reportLater()
      })
    })
  }

  async #reportAll(): Promise<void> {
    this.#measureNow()
    do {
      const report = this.#ear.take(this.#time.now())
      try {
        const answer = await this.#ports.report({
          ...report,
          run: this.#run,
          number: ++this.#number,
        })
        if (answer.isHolder) this.#answered(answer)
        else {
          this.#ear.untold(report)
          return
        }
      } catch (error) {
        this.#ear.untold(report)
        this.#ports.log.debug('the holder was not told', { error: messageOf(error) })
        return
      }
    } while (this.#ear.hasMore && !this.#isOver)
  }

  #answered({ wantsWhole, orders, alarm, peers }: ReportAnswer): void {
    for (const peer of peers) this.#remember(peer)
    if (wantsWhole) this.#ear.startWhole()
    this.#alarm = alarm
    for (const { prober, target: id, address } of orders) {
      if (prober === this.#ports.serverId) this.#look({ id, address })
      else this.#streams.get(prober)?.({ orders: [{ id, address, isSilent: true }] })
    }
  }

  /** There is no other agent to ask: the server looks itself. */
  #look(target: ProbeTarget): void {
    const { prober, serverId } = this.#ports
    void prober.look(target).then(isReachable => {
      if (isReachable === undefined) return
      this.#ear.found({ prober: serverId, target: target.id, isReachable })
    })
  }

  /** Where servers stand comes from the ways between them and to some agents. */
  #measureNow(): void {
    const { clock, random, prober, servers, serverId, place } = this.#ports
    const nowMs = clock.monotonic()
    if (nowMs - this.#measuredMs < limits.coordinateMs) return
    this.#measuredMs = nowMs
    const targets = [...servers(), ...this.#peers.slice(0, servers().length + 1)]
    const target = targets[Math.floor(random.fraction() * targets.length)]
    if (target !== undefined && target.id !== serverId) void prober.measure(target)
    const coordinate = prober.toTell(this.#coordinateMs())
    if (coordinate !== undefined) place(serverId, coordinate)
  }
}
