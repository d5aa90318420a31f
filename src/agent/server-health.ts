/**
 * How this server fares: whether it can write, and since when that is so.
 *
 * Owns the moment of the last change, which is noticed when it is asked for. Decides nothing.
 */
import type { Revision, WallMs } from '../base/brand.ts'
import type { Clock } from '../base/clock.ts'
import type { Store } from '../store/store.ts'

/** How the server fares. */
export interface ServerHealth {
  /** Whether it can write. */
  readonly isHealthy: boolean
  /** Since when that is as it is. */
  readonly since: WallMs
  readonly generation: number
  readonly revision: Revision
}

/** Tells at each call how a server on this store fares. It begins well. */
export function healthOf(store: Store, clock: Clock): () => ServerHealth {
  let wasHealthy = true
  let since = clock.wall()
  return () => {
    const { fault, generation, revision } = store.status()
    const isHealthy = fault === ''
    if (isHealthy !== wasHealthy) since = clock.wall()
    wasHealthy = isHealthy
    return { isHealthy, since, generation, revision }
  }
}
