/**
 * Network coordinates: a space in which the distance of two nodes is the round-trip time between.
 *
 * Owns the arithmetic: distances, and how a measured round-trip time moves a coordinate (Vivaldi,
 * Dabek and others 2004, with heights; adjustments after Lee and others 2010; and a pull towards
 * the origin, with the constants that Serf uses, so that coordinates of both mean the same). Reads
 * no clock, and randomness is passed in. Numbers that are none never get into a coordinate.
 */
import type { Random } from './clock.ts'

export interface Coordinate {
  /** Seconds along each axis. */
  readonly vec: readonly number[]
  /** How sure it is: 1.5 says not at all, and less is better. */
  readonly error: number
  /** Seconds that are added to a distance. */
  readonly adjustment: number
  /** Seconds from the node to the space, as of a slow access link. */
  readonly height: number
}

export const DIMENSIONS = 8
const ERROR_MAX = 1.5
const HEIGHT_MIN_S = 1e-5
/** How much of an error, and of a force, one measurement can change. */
const ERROR_SHARE = 0.25
const FORCE_SHARE = 0.25
const ADJUSTMENT_SAMPLES = 20
/** At this distance from the origin the pull towards it is one second. */
const GRAVITY_S = 150
const TINY = 1e-6
const FILTER_SAMPLES = 3
/** A round-trip time beyond this is a fault and no distance. */
const RTT_MAX_S = 10

/** Where a node stands of which nothing is known. */
export const ORIGIN: Coordinate = {
  vec: Array.from({ length: DIMENSIONS }, () => 0),
  error: ERROR_MAX,
  adjustment: 0,
  height: HEIGHT_MIN_S,
}

/** Whether these are numbers, and as many as there have to be. */
export const isCoordinate = ({ vec, error, adjustment, height }: Coordinate): boolean =>
  vec.length === DIMENSIONS && [...vec, error, adjustment, height].every(Number.isFinite)

/** The estimated round-trip time between two coordinates in seconds; infinite where one lacks. */
export function distanceS(one: Coordinate | undefined, other: Coordinate | undefined): number {
  if (one === undefined || other === undefined || one.vec.length !== other.vec.length) {
    return Number.POSITIVE_INFINITY
  }
  const raw = rawDistanceS(one, other)
  const adjusted = raw + one.adjustment + other.adjustment
  return adjusted > 0 ? adjusted : raw
}

function rawDistanceS(one: Coordinate, other: Coordinate): number {
  let squares = 0
  for (const [axis, value] of one.vec.entries()) squares += (value - other.vec[axis]!) ** 2
  return Math.sqrt(squares) + one.height + other.height
}

/** A coordinate that measurements move; what its node keeps of itself. */
export class MovingCoordinate {
  readonly #random: Pick<Random, 'fraction'>
  /** The newest round-trip times of each peer, whose middle one counts. */
  readonly #recent = new Map<string, number[]>()
  readonly #peersMax: number
  readonly #offsets: number[] = Array.from({ length: ADJUSTMENT_SAMPLES }, () => 0)
  #next = 0
  #now = ORIGIN

  /** `peersMax`: peers whose newest times are kept; those that were measured longest ago go. */
  constructor(random: Pick<Random, 'fraction'>, peersMax: number) {
    this.#random = random
    this.#peersMax = peersMax
  }

  get now(): Coordinate {
    return this.#now
  }

  /**
   * Takes in that a message to a peer that stands at `other` and back took `rttS` seconds. What
   * cannot be is passed over: false then.
   */
  measured(peer: string, other: Coordinate, rttS: number): boolean {
    if (!isCoordinate(other) || !(rttS >= 0 && rttS <= RTT_MAX_S)) return false
    const typicalS = Math.max(this.#typical(peer, rttS), TINY)
    const pulled = drawn(this.#moved(other, typicalS), ORIGIN, this.#random)
    const moved = { ...pulled, adjustment: this.#adjusted(pulled, other, typicalS) }
    this.#now = isCoordinate(moved) ? moved : ORIGIN
    return true
  }

  #typical(peer: string, rttS: number): number {
    const times = this.#recent.get(peer) ?? []
    this.#recent.delete(peer)
    times.push(rttS)
    if (times.length > FILTER_SAMPLES) times.shift()
    this.#recent.set(peer, times)
    if (this.#recent.size > this.#peersMax) {
      const [oldest] = this.#recent.keys()
      this.#recent.delete(oldest!)
    }
    return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!
  }

  #moved(other: Coordinate, rttS: number): Coordinate {
    const own = this.#now
    const estimateS = distanceS(own, other)
    const wrongness = Math.abs(estimateS - rttS) / rttS
    const weight = own.error / Math.max(own.error + other.error, TINY)
    const share = ERROR_SHARE * weight
    const error = Math.min(share * wrongness + own.error * (1 - share), ERROR_MAX)
    const forceS = FORCE_SHARE * weight * (rttS - estimateS)
    return pushed({ ...own, error }, forceS, other, this.#random)
  }

  #adjusted(own: Coordinate, other: Coordinate, rttS: number): number {
    this.#offsets[this.#next] = rttS - rawDistanceS(own, other)
    this.#next = (this.#next + 1) % ADJUSTMENT_SAMPLES
    return this.#offsets.reduce((sum, one) => sum + one, 0) / (2 * ADJUSTMENT_SAMPLES)
  }
}

/** Away from `other` by so many seconds, or towards it where they are negative. */
function pushed(
  own: Coordinate,
  forceS: number,
  other: Coordinate,
  random: Pick<Random, 'fraction'>,
): Coordinate {
  const apart = own.vec.map((value, axis) => value - other.vec[axis]!)
  const lengthS = Math.hypot(...apart)
  const isApart = lengthS > TINY
  const away = isApart ? apart.map(value => value / lengthS) : someDirection(random)
  const rise = isApart ? ((own.height + other.height) * forceS) / lengthS : 0
  return {
    ...own,
    vec: own.vec.map((value, axis) => value + away[axis]! * forceS),
    height: Math.max(own.height + rise, HEIGHT_MIN_S),
  }
}

/** Towards the origin, so that the space as a whole does not drift away. */
function drawn(own: Coordinate, origin: Coordinate, random: Pick<Random, 'fraction'>): Coordinate {
  const pull = (distanceS(own, origin) / GRAVITY_S) ** 2
  return pushed(own, -pull, origin, random)
}

/** Two nodes in one place are parted in any direction. */
function someDirection(random: Pick<Random, 'fraction'>): number[] {
  const any = Array.from({ length: DIMENSIONS }, () => random.fraction() - 0.5)
  const length = Math.hypot(...any)
  return length > TINY ? any.map(value => value / length) : any.map((_, axis) => (axis ? 0 : 1))
}
