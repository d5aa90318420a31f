/**
 * Waiting that ends early when there is nothing to wait for any more.
 *
 * Owns that no timer stays behind, since those of a member hold the process open.
 */
import type { Clock } from '../../../base/clock.ts'

/** Waits `delayMs`, or until the signal aborts. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const done = (): void => {
      timer.clear()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.after(delayMs, done)
    signal.addEventListener('abort', done, { once: true })
  })
}
