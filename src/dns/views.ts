/**
 * What DNS asks of an agent that keeps a part of a store: that what an answer stands on is there.
 *
 * Owns the port alone; a server has no need of it.
 */
import type { Interest } from '../store/replica/interest.ts'

export interface DnsViews {
  /**
   * Undefined where all of it is here; else a promise of that, which rejects with OperatingError
   * when no server can be reached or it takes too long.
   */
  ensure(interests: readonly Interest[]): Promise<void> | undefined
}
