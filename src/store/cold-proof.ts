/**
 * The proof of cold rows: now and then all of them are read, since a start reads none.
 *
 * Owns when, and how slowly. Damage is told in the log, row by row as it is read and here as a
 * whole; nothing is changed, and everything else goes on.
 */
import { type Clock, sleep } from '../base/clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { Log } from '../base/log.ts'
import type { Store } from './store.ts'
import type { Duty } from './timekeeper.ts'
import { untilChanged } from './until-changed.ts'

export interface ColdProofPorts {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
}

/** Proves cold rows once a day, while the timekeeper's role is held. What etcd keeps it proves. */
export const coldProof =
  ({ store, clock, log }: ColdProofPorts): Duty =>
  async signal => {
    if (store.supports.shared) return
    const waits = { scopes: store.scopes, clock }
    const breathe = async (): Promise<void> => {
      await sleep(clock, limits.coldProofPauseMs)
      if (signal.aborted) throw new OperatingError(OperatingCode.closed, 'the proof was cut off')
    }
    for (let delayMs: number = limits.coldProofFirstMs; ; delayMs = limits.coldProofMs) {
      await untilChanged(waits, [], delayMs, signal)
      if (signal.aborted) return
      try {
        const rows = await store.cold.prove(breathe)
        if (rows > 0) log.info('cold rows were proven', { rows })
      } catch (error) {
        if (signal.aborted) return
        log.error('cold rows could not be proven', { error: messageOf(error) })
      }
    }
  }
