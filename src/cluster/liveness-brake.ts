/**
 * The brake on mass lapses: whether nodes that nobody reaches may be marked now.
 *
 * Owns the window in which falls are counted, when the brake goes on and off, and what may pass it
 * meanwhile. When more than a share of all nodes, or all of one server's, fall silent at about the
 * same time, it is more likely that a cable was cut than that they all died: their last state is
 * kept for a grace time. Single nodes pass the brake where the others are vouched for. Pure.
 */
import { limits } from '../base/limits.ts'

/** A node that fell silent; counts until it is heard again or the window has passed. */
export interface Fall {
  readonly atMs: number
  readonly server: string
  counts: boolean
}

/** How the nodes fare, by number. */
export interface Tally {
  /** Not marked, and not left. */
  readonly alive: number
  /** Silent, but reached by others. */
  readonly vouched: number
  /** Silent, and nobody is known to reach them. */
  readonly unvouched: number
}

/** Why the brake is on, and until when it holds. */
export interface BrakeState {
  readonly sinceMs: number
  readonly graceEndsMs: number
  readonly reason: string
}

export class Brake {
  readonly #heardOf: (server: string) => number
  #falls: Fall[] = []
  #first = 0
  #counting = 0
  readonly #countingOf = new Map<string, number>()
  /** Nodes marked since it went on. */
  #passed = 0
  state: BrakeState | undefined

  /** `heardOf` tells how many nodes a server hears now. */
  constructor(heardOf: (server: string) => number) {
    this.#heardOf = heardOf
  }

  /** A node fell silent; `server` heard it last, '' for none. */
  fell(server: string, nowMs: number, tally: Tally): Fall {
    const fall = { atMs: nowMs, server, counts: true }
    this.#falls.push(fall)
    this.#count(server, 1)
    this.#forget(nowMs)
    const reason = this.#massReason(server, tally)
    if (reason !== undefined && (this.state === undefined || nowMs >= this.state.graceEndsMs)) {
      this.state = { sinceMs: nowMs, graceEndsMs: nowMs + limits.livenessGraceMs, reason }
      this.#passed = 0
    }
    return fall
  }

  /** It is heard again. */
  rose(fall: Fall): void {
    if (!fall.counts) return
    fall.counts = false
    this.#count(fall.server, -1)
  }

  #count(server: string, by: number): void {
    this.#counting += by
    const now = (this.#countingOf.get(server) ?? 0) + by
    if (now === 0) this.#countingOf.delete(server)
    else this.#countingOf.set(server, now)
  }

  #forget(nowMs: number): void {
    for (;;) {
      const oldest = this.#falls[this.#first]
      if (oldest === undefined || oldest.atMs > nowMs - limits.livenessWindowMs) break
      this.rose(oldest)
      this.#first++
    }
    if (this.#first * 2 <= this.#falls.length) return
    this.#falls = this.#falls.slice(this.#first)
    this.#first = 0
  }

  #massReason(server: string, { alive }: Tally): string | undefined {
    const within = `within ${limits.livenessWindowMs / 1000} s`
    if (this.#counting < limits.livenessBrakeNodes) return undefined
    if (this.#counting > alive * limits.livenessBrakeShare) {
      return `${this.#counting} of ${alive} nodes fell silent ${within}`
    }
    const ofServer = this.#countingOf.get(server) ?? 0
    if (server === '' || ofServer < limits.livenessBrakeNodes) return undefined
    if (this.#heardOf(server) > 0) return undefined
    return `all ${ofServer} nodes of one server fell silent ${within}`
  }

  /**
   * Whether a node that nobody reaches may be marked: always without brake; behind it once the
   * grace is over, or where those that nobody vouches for are few and most are vouched for.
   */
  mayMark(nowMs: number, { alive, vouched, unvouched }: Tally): boolean {
    if (this.state === undefined || nowMs >= this.state.graceEndsMs) return true
    const few = unvouched + this.#passed
    return few <= Math.max(1, (alive + this.#passed) * limits.livenessBrakeShare) && vouched >= few
  }

  /** A node was marked. */
  marked(): void {
    if (this.state !== undefined) this.#passed++
  }

  /** Lets go once nobody waits for a verdict and most nodes are heard again. */
  release(nowMs: number, { alive, vouched, unvouched }: Tally): void {
    this.#forget(nowMs)
    if (this.state === undefined || unvouched > 0) return
    if (this.#counting > 0 && nowMs < this.state.graceEndsMs) return
    if (vouched > (alive * limits.livenessBrakeShare) / 2) return
    this.state = undefined
  }
}
