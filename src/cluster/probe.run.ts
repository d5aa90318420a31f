/**
 * Looking after other agents, and being looked after; what comes out of it besides is where this
 * agent stands.
 *
 * Owns the bound of probes under way, what counts as reachable, and the moving coordinate. Whoever
 * answers at all under his own certificate is there, whatever he says.
 */
import type { Clock, Random } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import { type Coordinate, distanceS, MovingCoordinate } from '../base/vivaldi.ts'

/** Who is to be looked after, and where. */
export interface ProbeTarget {
  readonly id: string
  readonly address: string
}

/** What a peer answered; `coordinate` undefined where it answered with a failure. */
export interface ProbeAnswer {
  readonly coordinate: Coordinate | undefined
}

export interface ProberPorts {
  readonly clock: Clock
  readonly random: Random
  /** Asks a peer; rejects where nobody answered under its certificate. */
  readonly ask: (target: ProbeTarget, isSilent: boolean, timeoutMs: number) => Promise<ProbeAnswer>
}

export class Prober {
  readonly #ports: ProberPorts
  readonly #moving: MovingCoordinate
  #underWay = 0
  #told: { readonly atMs: number; readonly coordinate: Coordinate } | undefined
  /** Is called when a peer says that the servers do not hear this agent. */
  onSilent: () => void = () => {}

  constructor(ports: ProberPorts) {
    this.#ports = ports
    this.#moving = new MovingCoordinate(ports.random, limits.coordinatePeers)
  }

  /** Where this agent stands. */
  get coordinate(): Coordinate {
    return this.#moving.now
  }

  /** Whether a silent peer is there; undefined where too many probes are under way to say so. */
  async look(target: ProbeTarget): Promise<boolean | undefined> {
    if (this.#underWay >= limits.probesInFlight) return undefined
    return (await this.#probe(target, true)) !== undefined
  }

  /** Measures how far a peer is. */
  async measure(target: ProbeTarget): Promise<void> {
    if (this.#underWay < limits.probesInFlight / 2) await this.#probe(target, false)
  }

  async #probe(target: ProbeTarget, isSilent: boolean): Promise<ProbeAnswer | undefined> {
    const { ask, clock } = this.#ports
    this.#underWay++
    try {
      // The first one may have to connect, which takes longer than there and back.
      const first = await ask(target, isSilent, limits.probeTimeoutMs)
      const sentMs = clock.monotonic()
      if (first.coordinate === undefined) return first
      const second = await ask(target, false, limits.probeTimeoutMs).catch(() => first)
      if (second !== first && second.coordinate !== undefined) {
        this.measured(target.id, second.coordinate, clock.monotonic() - sentMs)
      }
      return first
    } catch {
      return undefined
    } finally {
      this.#underWay--
    }
  }

  /** A message to a peer that stands there and back took so long. */
  measured(peer: string, coordinate: Coordinate, rttMs: number): void {
    this.#moving.measured(peer, coordinate, rttMs / 1000)
  }

  /** Answers a peer. */
  answer(isSilent: boolean): ProbeAnswer {
    if (isSilent) this.onSilent()
    return { coordinate: this.coordinate }
  }

  /** The coordinate, where it has moved since it was last told and that is long enough ago. */
  toTell(everyMs: number): Coordinate | undefined {
    const nowMs = this.#ports.clock.monotonic()
    const { coordinate } = this
    const told = this.#told
    if (told !== undefined) {
      if (nowMs - told.atMs < everyMs) return undefined
      const isSure = Math.abs(told.coordinate.error - coordinate.error) < ERROR_MOVED
      const movedMs = movedS(told.coordinate, coordinate) * 1000
      if (isSure && movedMs < limits.coordinateMovedMs) return undefined
    } else if (coordinate.error >= ERROR_UNKNOWN) return undefined
    this.#told = { atMs: nowMs, coordinate }
    return coordinate
  }
}

/** An error that changed by this is worth telling. */
const ERROR_MOVED = 0.2
/** What has never been measured is not told. */
const ERROR_UNKNOWN = 1.5

const movedS = (one: Coordinate, other: Coordinate): number =>
  distanceS({ ...one, height: 0, adjustment: 0 }, { ...other, height: 0, adjustment: 0 }) +
  Math.abs(one.height - other.height) +
  Math.abs(one.adjustment - other.adjustment)
