/**
 * Where large batches are encrypted and decrypted: in a thread beside the loop, or where there is
 * but one core, or much for the thread to do already, at once.
 *
 * Owns the thread: it is started by the first batch, and ends when it has had nothing to do for a
 * while. No memory is copied or shared: each piece is handed over, and handed back.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Eventually } from '../eventually.ts'
import { limits } from '../limits.ts'
import { startFile } from '../places.ts'
import { type CipherRun, runCiphers } from './cipher-run.ts'

type Waiting = PromiseWithResolvers<CipherRun | undefined>

const FILE = startFile('base/io/cipher-thread')

export class CipherLane {
  readonly #isUseful: boolean
  #worker: Worker | undefined
  /** In the order of their batches, which is that of the answers. */
  #waiting: Waiting[] = []
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false

  /** `cores` is how many this process has: with one, a thread beside the loop only costs. */
  constructor(cores = availableParallelism()) {
    this.#isUseful = cores > 1
  }

  /**
   * Does a batch: now, or in the thread, and then its memory must not be touched meanwhile; what
   * resolves has it again. Undefined where the thread ended with it.
   */
  run(run: CipherRun): Eventually<CipherRun | undefined> {
    const isFull = this.#waiting.length >= limits.cipherLaneWaiting
    if (!this.#isUseful || this.#isClosed || isFull) return runCiphers(run)
    const waiting: Waiting = Promise.withResolvers()
    this.#worker ??= this.#start()
    this.#waiting.push(waiting)
    this.#worker.ref()
    this.#worker.postMessage(run, [run.memory.buffer, run.sizesBytes.buffer])
    return waiting.promise
  }

  #start(): Worker {
    const worker = new Worker(FILE, { resourceLimits: YOUNG })
    worker.on('message', (done: CipherRun) => {
      this.#waiting.shift()?.resolve(done)
      if (this.#waiting.length === 0) this.#rest(worker)
    })
    worker.on('error', () => this.#lose(worker))
    worker.on('exit', () => this.#lose(worker))
    return worker
  }

  #rest(worker: Worker): void {
    worker.unref()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      if (this.#waiting.length === 0) void this.#end()
    }, limits.threadIdleMs)
    this.#idleTimer.unref()
  }

  #lose(worker: Worker): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const lost = this.#waiting
    this.#waiting = []
    for (const { resolve } of lost) resolve(undefined)
  }

  async #end(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  /** Ends the thread once its batches are done. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#idleTimer)
    await Promise.all(this.#waiting.map(({ promise }) => promise))
    await this.#end()
  }
}

/** What dies young there is all that there is: it needs no more room than the loop's has. */
const YOUNG = { maxYoungGenerationSizeMb: 12 }
