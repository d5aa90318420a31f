/**
 * Coordinates on their way to the store: gathered for a moment and written together.
 *
 * Owns the delay and the bound. Agents send theirs all the time, and each makes the last one of its
 * node void: writing every one would cost more than it tells. They are hints, and what is still
 * here when the agent stops is lost, as in Consul.
 */
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Timeouts } from '../base/timeouts.ts'
import type { Store } from '../store/store.ts'
import type { CoordinateRow } from '../store/tables/coordinate.ts'
import { fold } from '../store/tables/names.ts'
import { putCoordinates } from './coordinate.ts'

export interface CoordinatePorts {
  readonly store: Store
  readonly timeouts: Timeouts
  readonly log: Log
}

export class PendingCoordinates {
  readonly #ports: CoordinatePorts
  #pending = new Map<string, CoordinateRow>()
  #isFlushing = false

  constructor(ports: CoordinatePorts) {
    this.#ports = ports
  }

  /** Takes a coordinate; it is in the store soon. Throws `busy` when too many wait. */
  add(row: CoordinateRow): void {
    const key = fold(row.node)
    if (this.#pending.size >= limits.coordinatesPending && !this.#pending.has(key)) {
      throw new OperatingError(OperatingCode.busy, 'too many coordinates are waiting')
    }
    this.#pending.set(key, row)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.#ports.timeouts.after(limits.coordinateDelayMs, () => {
      this.#flush()
        .catch((error: unknown) =>
          this.#ports.log.warn('writing coordinates', { error: messageOf(error) }),
        )
        .finally(() => {
          this.#isFlushing = false
          if (this.#pending.size > 0) this.#schedule()
        })
    })
  }

  /** Writes what waits. What a failed write had is not tried again: newer ones come. */
  async #flush(): Promise<void> {
    const rows = [...this.#pending.values()]
    this.#pending = new Map()
    for (let at = 0; at < rows.length; at += limits.coordinateBatchRows) {
      const batch = rows.slice(at, at + limits.coordinateBatchRows)
      await this.#ports.store.write(view => putCoordinates(view, batch))
    }
  }
}
