/**
 * The heartbeat of an agent that is no server: one stream to one server, as long as it lives.
 *
 * Owns when it beats, when it takes another server (no echo, the stream's end, or a peer that says
 * that nobody hears us), and the carrying out of what the server asks it to look after.
 */
import type { Clock, Random, Timer } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Coordinate } from '../base/vivaldi.ts'
import type { Prober, ProbeTarget } from './probe.run.ts'

export interface Beat {
  /** Where this agent's RPC is reached; with the first beat of a stream. */
  readonly address?: string
  /** The server is to answer with the same number. */
  readonly echo?: number
  readonly coordinate?: Coordinate
  readonly findings?: readonly { readonly target: string; readonly isReachable: boolean }[]
  readonly leaves?: boolean
}

export interface Pace {
  readonly beatMs?: number
  readonly coordinateMs?: number
  readonly echo?: number
  readonly coordinate?: Coordinate
  readonly orders?: readonly (ProbeTarget & { readonly isSilent: boolean })[]
}

/** A stream of beats to one server. */
export interface BeatStream {
  readonly serverId: string
  send(beat: Beat): void
  cancel(): void
}

export interface HeartbeatPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly prober: Prober
  /** Where this agent's RPC is reached, `host:port`. */
  readonly address: () => string
  /** Opens a stream, to another server than one that failed, and not too often. */
  readonly open: (onPace: (pace: Pace) => void, onEnd: (problem: string) => void) => BeatStream
}

export class Heartbeat {
  readonly #ports: HeartbeatPorts
  #stream: BeatStream | undefined
  #timer: Timer | undefined
  #isOver = false
  #beatMs: number = limits.heartbeatMs
  #coordinateMs: number = limits.coordinateMs
  #echo = 0
  /** When the echo that is awaited was asked for; undefined where none is. */
  #askedMs: number | undefined
  #echoedMs = 0
  #isFirstEcho = true
  #openedMs = Number.NEGATIVE_INFINITY
  #findings: { target: string; isReachable: boolean }[] = []

  constructor(ports: HeartbeatPorts) {
    this.#ports = ports
    ports.prober.onSilent = () => this.#unheard()
  }

  /** Begins to beat; returns at once. */
  start(): void {
    this.#open()
    this.#beatLater()
  }

  /** The server that hears this agent, '' for none. */
  get serverId(): string {
    return this.#stream?.serverId ?? ''
  }

  /** Ends it. `leaves`: for good, so that nobody looks after this agent. */
  stop(leaves: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#timer?.clear()
    if (leaves) this.#stream?.send({ leaves })
    else this.#stream?.cancel()
  }

  #open(): void {
    const { clock, open, address, log } = this.#ports
    this.#openedMs = clock.monotonic()
    this.#askedMs = undefined
    this.#isFirstEcho = true
    let stream: BeatStream | undefined
    stream = open(
      pace => {
        if (stream === this.#stream) this.#paced(pace)
      },
      problem => {
        if (this.#isOver || stream !== this.#stream) return
        log.info('the server that hears this agent is gone', { server: this.serverId, problem })
        this.#open()
      },
    )
    this.#stream = stream
    const coordinate = this.#coordinate()
    stream.send({ address: address(), echo: this.#askEcho(), ...coordinate, ...this.#found() })
  }

  #beatLater(): void {
    const { clock, random } = this.#ports
    // A little earlier each time, never later: agents do not beat in step.
    const delayMs = this.#beatMs * (0.8 + 0.2 * random.fraction())
    this.#timer = clock.after(delayMs, () => {
      this.#beat()
      this.#beatLater()
    })
  }

  #beat(): void {
    const nowMs = this.#ports.clock.monotonic()
    if (this.#askedMs !== undefined && nowMs - this.#askedMs >= limits.echoTimeoutMs) {
      this.#reopen('no echo came')
      return
    }
    const wantsEcho = this.#askedMs === undefined && nowMs - this.#echoedMs >= limits.echoMs
    const echo = wantsEcho ? { echo: this.#askEcho() } : {}
    this.#stream?.send({ ...echo, ...this.#coordinate(), ...this.#found() })
  }

  #askEcho(): number {
    this.#askedMs = this.#ports.clock.monotonic()
    this.#echo = (this.#echo % MAX_ECHO) + 1
    return this.#echo
  }

  #coordinate(): Pick<Beat, 'coordinate'> {
    const coordinate = this.#ports.prober.toTell(this.#coordinateMs)
    return coordinate === undefined ? {} : { coordinate }
  }

  #found(): Pick<Beat, 'findings'> {
    if (this.#findings.length === 0) return {}
    const findings = this.#findings
    this.#findings = []
    return { findings }
  }

  #reopen(problem: string): void {
    this.#ports.log.info('taking another server', { server: this.serverId, problem })
    this.#stream?.cancel()
    this.#open()
  }

  /** A peer says that the servers do not hear this agent. */
  #unheard(): void {
    const { clock } = this.#ports
    if (this.#isOver || clock.monotonic() - this.#openedMs < limits.rehearMs) return
    this.#reopen('a peer says that no server hears this agent')
  }

  #paced({ beatMs = 0, coordinateMs = 0, echo = 0, coordinate, orders = [] }: Pace): void {
    const { clock, prober } = this.#ports
    if (beatMs > 0) this.#beatMs = Math.min(Math.max(beatMs, PACE_MIN_MS), limits.heartbeatMaxMs)
    if (coordinateMs > 0) this.#coordinateMs = Math.max(coordinateMs, limits.coordinateMs)
    if (echo === this.#echo && this.#askedMs !== undefined) {
      const nowMs = clock.monotonic()
      const rttMs = nowMs - this.#askedMs
      this.#askedMs = undefined
      this.#echoedMs = nowMs
      // The first one took as long as the connection, too.
      const isFirst = this.#isFirstEcho
      this.#isFirstEcho = false
      if (!isFirst && coordinate !== undefined) prober.measured(this.serverId, coordinate, rttMs)
    }
    for (const { isSilent, ...target } of orders) {
      if (isSilent) this.#look(target)
      else void prober.measure(target)
    }
  }

  #look(target: ProbeTarget): void {
    void this.#ports.prober.look(target).then(isReachable => {
      if (isReachable === undefined || this.#isOver) return
      if (this.#findings.length >= limits.livenessReportNodes) return
      this.#findings.push({ target: target.id, isReachable })
      this.#stream?.send(this.#found())
    })
  }
}

const MAX_ECHO = 1_000_000
/** Whatever a server says, an agent does not beat more often. */
const PACE_MIN_MS = 250
