/**
 * How full etcd is, and what is still taken then.
 *
 * Owns the shares of the quota at which what is refused, and the asking. Asks more often the
 * fuller etcd is; while it cannot be asked what was known last holds. An alarm of etcd's is for who
 * runs its members to clear, once there is room. What counts is the file with its holes, as for
 * etcd's own limit: only defragmentation makes it smaller.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { OperatingCode, OperatingError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import type { Need } from '../table.ts'
import type { Etcd } from './client.ts'

/** From these shares of the quota on. */
const TIGHT_SHARE = 0.8
const SCARCE_SHARE = 0.95
/** Below this there is time. */
const AMPLE_SHARE = 0.6

export class Space {
  readonly #etcd: Pick<Etcd, 'usage'>
  readonly #clock: Clock
  readonly #quotaSizeBytes: number
  #share = 0
  #isFull = false
  #timer: Timer | undefined
  #isStopped = false

  /**
   * `quotaSizeBytes` is for an etcd that does not say its own (before 3.6); 0: not known, and only
   * its alarm counts.
   */
  constructor(etcd: Pick<Etcd, 'usage'>, clock: Clock, quotaSizeBytes: number) {
    this.#etcd = etcd
    this.#clock = clock
    this.#quotaSizeBytes = quotaSizeBytes
  }

  /** Asks from now on; returns at once. */
  start(): void {
    void this.look()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.clear()
  }

  /** Asks now. */
  async look(): Promise<void> {
    this.#timer?.clear()
    try {
      const { sizeBytes, quotaSizeBytes, isFull } = await this.#etcd.usage()
      const quota = quotaSizeBytes || this.#quotaSizeBytes
      this.#share = quota === 0 ? 0 : sizeBytes / quota
      this.#isFull = isFull
    } catch {
      // What cannot be asked refuses writes by itself.
    }
    if (this.#isStopped) return
    const isAmple = this.#share < AMPLE_SHARE && !this.#isFull
    const pauseMs = isAmple ? limits.etcdUsageMs : limits.etcdUsageNearMs
    this.#timer = this.#clock.after(pauseMs, () => void this.look())
  }

  /** Why something is not put; undefined when it may be. */
  refusal(need: Need): OperatingError | undefined {
    const isScarce = this.#isFull || this.#share >= SCARCE_SHARE
    if (need === 'upkeep' || (!isScarce && (need === 'data' || this.#share < TIGHT_SHARE))) {
      return undefined
    }
    const percent = Math.floor(this.#share * 100)
    const state = this.#isFull ? 'has reached its quota' : `holds ${percent} % of its quota`
    const taken = isScarce
      ? 'only deletions, revocations, renewals and changes of health are taken'
      : 'no logins are taken'
    const text = `etcd ${state}: ${taken} until there is room again`
    return new OperatingError(OperatingCode.disk, text)
  }
}
