/**
 * Loaded into a measured process before its program (`node --import`): answers the bench.
 *
 * Owns the loop's figures, and the work that a bench puts beside the program (keys in a worker).
 * The program runs as it is: it knows nothing of this, and shares only the module that measures
 * slices.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { longestSlice, resetLongestSlice } from '../../src/base/slices.ts'
import { answerParent } from './answers.ts'
import type { LoopFigures } from './child.ts'

const NANOSECONDS_PER_MS = 1e6
const delay = monitorEventLoopDelay({ resolution: 1 })

answerParent({
  /** Starts measuring the loop anew. */
  reset() {
    resetLongestSlice()
    delay.reset()
    delay.enable()
  },
  /** Gives the figures since `reset`, and stops measuring. */
  loop(): LoopFigures {
    delay.disable()
    return {
      longestSliceMs: longestSlice(),
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
