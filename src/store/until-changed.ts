/**
 * Waiting for something of the store to change, for loops that look at it again and again.
 *
 * Owns that such a wait ends: by a change, after a time, or when its loop is to stop, whichever
 * comes first, and that nothing of it is left behind.
 */
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Scopes, Target } from './wait.ts'

/** What a wait stands on. */
export interface WaitPorts {
  readonly scopes: Scopes
  readonly clock: Pick<Clock, 'after'>
}

/**
 * Resolves once one of the targets changes, after `delayMs` at the latest (0 and less: at once in
 * the next turn), or when the signal aborts. Where too many wait already, time alone ends it.
 */
export function untilChanged(
  { scopes, clock }: WaitPorts,
  targets: readonly Target[],
  delayMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const done = (): void => {
      timer.clear()
      for (const waiter of waiters) waiter.cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const hasRoom = scopes.waiting + targets.length <= limits.waiters
    const waiters = hasRoom ? targets.map(target => scopes.wait(target, done)) : []
    const timer = clock.after(Math.max(0, delayMs), done)
    signal.addEventListener('abort', done, { once: true })
  })
}
