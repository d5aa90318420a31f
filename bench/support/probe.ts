/**
 * Loaded into a measured process before its program (`node --import`): answers the bench.
 *
 * Owns the loop's figures, and the work that a bench puts beside the program (keys in a worker).
 * The program runs as it is, from its sources or from what was emitted of them, and knows nothing
 * of this: what it measures of slices is found under a name that the whole process knows.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { answerParent } from './answers.ts'
import type { LoopFigures } from './child.ts'

const NANOSECONDS_PER_MS = 1e6
const delay = monitorEventLoopDelay({ resolution: 1 })

/** Undefined where no program of ours runs here. */
const slices = (): Slices | undefined => Reflect.get(globalThis, Symbol.for('gatehouse.slices'))

interface Slices {
  longestSlice(): number
  resetLongestSlice(): void
}

answerParent({
  /** Starts measuring the loop anew. */
  reset() {
    slices()?.resetLongestSlice()
    delay.reset()
    delay.enable()
  },
  /** Gives the figures since `reset`, and stops measuring. */
  loop(): LoopFigures {
    delay.disable()
    return {
      longestSliceMs: slices()?.longestSlice() ?? 0,
      delayP99Ms: delay.percentile(99) / NANOSECONDS_PER_MS,
      delayMaxMs: delay.max / NANOSECONDS_PER_MS,
    }
  },
  /** Generates RSA keys in a thread of this process; resolves when all are made. */
  keys(detail: { readonly count: number; readonly bits: number }) {
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./keys.ts', import.meta.url), { workerData: detail })
      worker.once('error', reject)
      worker.once('exit', resolve)
    })
  },
})
process.channel?.unref()
