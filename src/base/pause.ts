/**
 * Waiting that a signal can cut short.
 *
 * Owns that nothing is left behind: neither a timer that holds the process nor a listener.
 */
import type { Clock } from './clock.ts'

/** Waits `delayMs`, or until the signal aborts. */
export function pause(
  clock: Pick<Clock, 'after'>,
  delayMs: number,
  signal: AbortSignal,
): Promise<void> {
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
