/**
 * What the agent knows one of its checks to say, which may be newer than what the catalog says.
 *
 * Owns when that is written: a new status and the first output at once, a new output alone at most
 * once in a while, and never two writes at a time, so that the newest always comes last. Knows no
 * rule and no store.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Timeout, Timeouts } from '../base/timeouts.ts'
import type { Said } from '../registry/local.ts'
import { CheckStatus } from '../store/tables/check.ts'
import type { LocalCheck } from '../store/tables/local.ts'

export interface HeldPorts {
  readonly clock: Clock
  readonly timeouts: Timeouts
  /** How long a new output alone may wait; 0 for not at all. */
  readonly outputDelayMs: number
  /** Writes what a check says; rejects when it may not have been written. */
  readonly write: (checkId: string, said: Said) => Promise<unknown>
  /** Told when a write failed that nobody waits for. */
  readonly failed: (error: unknown) => void
}

/**
 * Tells of writes that failed, one line for all: when the store cannot write, thousands of checks
 * may not be written.
 */
export function failuresTold(ports: {
  readonly timeouts: Timeouts
  readonly log: Log
}): (error: unknown) => void {
  let writes = 0
  return error => {
    writes++
    if (writes > 1) return
    ports.timeouts.after(limits.agentSyncDelayMs, () => {
      ports.log.warn('checks were not written', { writes, error: messageOf(error) })
      writes = 0
    })
  }
}

export class HeldCheck {
  readonly check: LocalCheck
  readonly #ports: HeldPorts
  #said: Said
  /** What is in the catalog, as far as this agent wrote it. */
  #written: Said
  #criticalSinceMs: number | undefined
  #delay: Timeout | undefined
  #writing: Promise<void> | undefined
  /** Whether there was no output to write so far. */
  #isMute: boolean
  #isDropped = false

  constructor(check: LocalCheck, said: Said, ports: HeldPorts) {
    this.check = check
    this.#ports = ports
    this.#said = said
    this.#written = said
    this.#isMute = said.output === ''
    this.#note(said)
  }

  get said(): Said {
    return this.#said
  }

  /** A write that is under way, for those who stop. */
  get writing(): Promise<void> | undefined {
    return this.#writing
  }

  /** How long the check has been critical without a break, 0 when it is not. */
  get criticalForMs(): number {
    if (this.#criticalSinceMs === undefined) return 0
    return this.#ports.clock.monotonic() - this.#criticalSinceMs
  }

  /** Takes over what the catalog says, unless something newer is known here. */
  adopt(said: Said): void {
    if (this.#writing !== undefined || this.#said.status !== this.#written.status) return
    if (said.status !== this.#said.status) this.#note(said)
    this.#written = said
    this.#waitOrNot()
  }

  /** The check says something. Resolves when it is written, or when that can wait. */
  async say(said: Said): Promise<void> {
    this.#note(said)
    if (this.#isUrgent) await this.#write()
    else this.#waitOrNot()
  }

  /** Writes what the check says now, after a write that is under way. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined
      this.#waitOrNot()
    })
    return this.#writing
  }

  /** Says something without waiting; what goes wrong is told, and tried again. */
  sayLater(said: Said): void {
    this.say(said).catch(this.#ports.failed)
  }

  /** The check is gone or defined anew: nothing is written any more. */
  drop(): void {
    this.#isDropped = true
    this.#waitOrNot()
  }

  async #writeAll(): Promise<void> {
    // What is said meanwhile is written too, before anybody who waits goes on.
    do {
      const said = this.#said
      await this.#ports.write(this.check.checkId, said)
      this.#written = said
      this.#isMute = this.#isMute && said.output === ''
    } while (this.#isUrgent)
  }

  get #isUrgent(): boolean {
    if (this.#isDropped) return false
    if (this.#said.status !== this.#written.status) return true
    if (this.#said.output === this.#written.output) return false
    // Why a new check is critical is what people look for.
    return this.#ports.outputDelayMs === 0 || this.#isMute
  }

  /** Never 0: a write that failed must not be tried again without a pause. */
  get #delayMs(): number {
    return Math.max(this.#ports.outputDelayMs, limits.agentSyncDelayMs)
  }

  /** Sets or clears the time at which an output that was not written will be. */
  #waitOrNot(): void {
    if (this.#isDropped || this.#said.output === this.#written.output) {
      this.#delay?.cancel()
      this.#delay = undefined
      return
    }
    this.#delay ??= this.#ports.timeouts.after(this.#delayMs, () => {
      this.#delay = undefined
      this.#write().catch(this.#ports.failed)
    })
  }

  #note(said: Said): void {
    const isCritical = said.status === CheckStatus.critical
    if (!isCritical) this.#criticalSinceMs = undefined
    else this.#criticalSinceMs ??= this.#ports.clock.monotonic()
    this.#said = said
  }
}
