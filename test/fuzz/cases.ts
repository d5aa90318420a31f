/**
 * Fuzzing: a target makes an input from a seed and says what must hold of it.
 *
 * Owns seeds, what every case is held to whatever its target (it ends, it is quick, and nothing
 * that it needed stays), and how a failure is told: by the command that runs that case again.
 */
import { writeSync } from 'node:fs'
import path from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { crc32 } from 'node:zlib'
import { messageOf } from '../../src/base/errors.ts'
import { type Draw, seeded } from '../fake/random.ts'

/** What is tried. */
export interface Target<I> {
  make(draw: Draw): I
  /** Throws when something does not hold. */
  run(input: I): void | Promise<void>
  /** The input as a failure shows it. */
  show(input: I): string
}

/** A case that takes longer is run again; it must not take so much of the processor then. */
const SLOW_MS = 500
const GROWTH_SIZE_BYTES = 64 * 1_048_576
/** Memory is first looked at when so many cases have warmed the target up. */
const WARM_CASES = 64
const SHOWN_CHARS = 2_000
const REASON_CHARS = 200
const HANG_MS = 20_000

const file = path.relative(process.cwd(), process.argv[1] ?? '')
const commandOf = (seed: number | string): string =>
  `GATEHOUSE_SEED=${seed} node --no-warnings ${file}`

const firstSeed = seedOf(process.env.GATEHOUSE_SEED)
// On stderr: the runner shows it with a failure of any kind, a crash included.
writeSync(2, `${commandOf(firstSeed)}\n`)

/** The first case's seed; those of the others follow it. A commit's hash or a date will do. */
function seedOf(given: string | undefined): number {
  if (given === undefined) return Math.floor(Math.random() * 2 ** 32)
  return /^\d{1,10}$/.test(given) ? Number(given) % 2 ** 32 : crc32(given)
}

/** The cases of a target one by one, for `untilBudget`. */
export function casesOf<I>(target: Target<I>): (index: number) => void | Promise<void> {
  const holdsOn = memoryGuard()
  return index => {
    const seed = (firstSeed + index) % 2 ** 32
    const input = target.make(seeded(seed))
    const fail = (error: unknown): never => {
      throw failureOf(error, seed, target.show(input))
    }
    const end = (startedMs: number): void | Promise<void> => {
      Atomics.store(underWay, 0, 0)
      holdsOn(index)
      if (performance.now() - startedMs > SLOW_MS) return runAgain(target, input)
    }
    Atomics.store(underWay, 0, ++started)
    Atomics.store(underWay, 1, seed)
    const startedMs = performance.now()
    try {
      const running = target.run(input)
      if (running !== undefined) return running.then(() => end(startedMs)).catch(fail)
      return end(startedMs)?.catch(fail)
    } catch (error) {
      return fail(error)
    }
  }
}

function failureOf(error: unknown, seed: number, input: string): Error {
  const reason = messageOf(error).slice(0, REASON_CHARS)
  const { stack } = error instanceof Error ? error : {}
  const failure = new Error(`${reason} [${commandOf(seed)}]`)
  return Object.assign(failure, { input: input.slice(0, SHOWN_CHARS), stack })
}

/** Tells a slow case from a machine that was busy elsewhere. */
async function runAgain<I>(target: Target<I>, input: I): Promise<void> {
  const before = process.cpuUsage()
  await target.run(input)
  const { user, system } = process.cpuUsage(before)
  const tookMs = (user + system) / 1_000
  if (tookMs > SLOW_MS) throw new Error(`it takes ${tookMs} ms`)
}

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
})()

/** Looks now and then whether memory is held that was not held before. */
function memoryGuard(): (index: number) => void {
  let firstBytes = 0
  return index => {
    // Collecting takes longer than most cases: at 64, 128, 256 …
    if (index < WARM_CASES || (index & (index - 1)) !== 0) return
    collectGarbage()
    const { heapUsed, external } = process.memoryUsage()
    if (index === WARM_CASES) firstBytes = heapUsed + external
    const grownBytes = heapUsed + external - firstBytes
    if (grownBytes <= GROWTH_SIZE_BYTES) return
    throw new Error(`after ${index} cases ${grownBytes} bytes more are held than at first`)
  }
}

/** How many cases ran, of all targets. */
let started = 0

/** The case that runs (0 for none), and its seed: what the other thread looks at. */
const underWay = new Uint32Array(new SharedArrayBuffer(8))

/** A case that never ends holds this thread, so another one tells of it and ends the process. */
const watchdog = new Worker(
  `const { workerData: { underWay, periodMs, command } } = require('node:worker_threads')
   let last = 0
   setInterval(() => {
     const now = Atomics.load(underWay, 0)
     if (now === 0 || now !== last) last = now
     else {
       const text = command.replace('?', Atomics.load(underWay, 1))
       require('node:fs').writeSync(2, 'a case does not end: ' + text + '\\n')
       process.kill(process.pid, 'SIGKILL')
     }
   }, periodMs)`,
  { eval: true, workerData: { underWay, periodMs: HANG_MS, command: commandOf('?') } },
)
watchdog.unref()
