/**
 * Reads while the store cannot say what is newest: for how long this server's own view will do.
 *
 * Owns that bound. A right that others took away meanwhile is not known here, so it is short, and
 * nothing that writes or uses something up is ever answered so. Pure.
 */
import { OperatingCode, OperatingError } from '../base/errors.ts'
import type { Age } from '../store/freshness.ts'

/** The age of this server's view, and up to which age reads are answered by it; 0 for none. */
export interface Offline {
  readonly age: Age
  readonly maxMs: number
}

/** Whether reads are answered by the view that is here. */
export const isReadOn = (offline: Offline | undefined): boolean =>
  offline !== undefined && offline.maxMs > 0 && offline.age.ageMs() <= offline.maxMs

/** Whether nobody could say so for a while: then it is not waited for again. */
export const isKnownOffline = (offline: Offline | undefined): boolean =>
  offline?.age.isDegraded === true && isReadOn(offline)

/** Whether the store could not be reached, which is no other fault of it. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof OperatingError && error.code === OperatingCode.unavailable
