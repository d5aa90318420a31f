/**
 * V8's CPU profiler, for a while at a time.
 *
 * Owns the session with V8, which is inside of the process: nothing listens for it. One profile at
 * a time; it says which functions ran and never what they held.
 */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Clock } from '../clock.ts'
import { encodePprof } from '../pprof.ts'

const PERIOD_US = 1_000

export interface Profiler {
  readonly isRunning: boolean
  /** Profiles until the time is over or the signal comes; gives pprof's form, compressed. */
  profile(durationMs: number, signal: AbortSignal): Promise<Buffer>
}

/** Makes the profiler; it costs nothing until it is used. */
export function createProfiler(clock: Clock): Profiler {
  let isRunning = false
  return {
    get isRunning() {
      return isRunning
    },
    async profile(durationMs, signal) {
      isRunning = true
      // Node's inspector brings its whole client of HTTP along, which takes megabytes.
      const { Session } = await import('node:inspector/promises')
      const session = new Session()
      session.connect()
      try {
        const beganMs = clock.wall()
        await session.post('Profiler.enable')
        await session.post('Profiler.setSamplingInterval', { interval: PERIOD_US })
        await session.post('Profiler.start')
        await pause(clock, durationMs, signal)
        const { profile } = await session.post('Profiler.stop')
        return await promisify(gzip)(encodePprof(profile, beganMs, PERIOD_US))
      } finally {
        session.disconnect()
        isRunning = false
      }
    },
  }
}

function pause(clock: Clock, durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      timer.clear()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.after(durationMs, done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}
