/**
 * Waiting that a signal can cut short.
 *
 * Owns that nothing is left behind: neither a timer that holds the process nor a listener.
 */
import type { Clock } from '../base/clock.ts'

/** Waits `delayMs`, but not past `stop`. */
export function pause(clock: Clock, delayMs: number, stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve()
  return new Promise(resolve => {
    const end = (): void => {
      timer.clear()
      stop.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.after(delayMs, end)
    stop.addEventListener('abort', end)
  })
}
