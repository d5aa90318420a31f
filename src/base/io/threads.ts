/**
 * Threads of our own for arithmetic that would hold the loop: not those of libuv, which are the
 * disk's.
 *
 * Owns how many there are, their queue, and that idle ones end. A thread that dies takes its one
 * job with it, and the next job starts another.
 */
import type { KeyObject } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { messageOf, OperatingCode, OperatingError } from '../errors.ts'
import { limits } from '../limits.ts'
import { startFile } from '../places.ts'

/** What threads do: what each kind of job is given, and what it gives. */
export interface Jobs {
  readonly hashPassword: {
    readonly given: { readonly password: string; readonly salt: Uint8Array }
    readonly gives: string
  }
  readonly isPassword: {
    readonly given: { readonly password: string; readonly hash: string }
    readonly gives: boolean
  }
  readonly generateRsa: { readonly given: { readonly bits: number }; readonly gives: KeyObject }
  /** By the name that node:crypto has for the algorithm. */
  readonly generateNamed: { readonly given: { readonly name: string }; readonly gives: KeyObject }
  /** In the words of node:crypto's `sign`. */
  readonly sign: {
    readonly given: SignInput
    readonly gives: Uint8Array
  }
  /** In the words of node:crypto's `privateDecrypt`. */
  readonly decrypt: {
    readonly given: DecryptInput
    readonly gives: Uint8Array
  }
}

export interface SignInput {
  /** Null where the key has a hash of its own. */
  readonly hash: string | null
  readonly data: Uint8Array
  readonly key: KeyObject
  readonly padding?: number | undefined
  readonly saltLength?: number | undefined
  readonly dsaEncoding?: 'der' | 'ieee-p1363'
  /** Of ML-DSA and SLH-DSA: what a signature is for beside its text. */
  readonly context?: Uint8Array
}

export interface DecryptInput {
  readonly key: KeyObject
  readonly data: Uint8Array
  readonly padding?: number
  readonly oaepHash?: string
}

export type JobKind = keyof Jobs
export interface Job<K extends JobKind = JobKind> {
  readonly kind: K
  readonly given: Jobs[K]['given']
}

/** From a thread. */
type Done = { readonly gives: unknown } | { readonly error: Error }

interface Waiting {
  readonly job: Job
  resolve(gives: unknown): void
  reject(error: Error): void
}

/** How many threads, and how many jobs wait for one. */
export interface ThreadBounds {
  readonly threads: number
  readonly waiting: number
  /** What is said where too many wait. */
  readonly busy: string
}

const FILE = startFile('base/io/thread')

export class Threads {
  readonly #bounds: ThreadBounds
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, Waiting>()
  readonly #queue: Waiting[] = []
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(bounds: ThreadBounds) {
    this.#bounds = bounds
  }

  /** Does a job. Rejects as node:crypto throws, and with OperatingError (`busy`, `closed`). */
  do<K extends JobKind>(kind: K, given: Jobs[K]['given']): Promise<Jobs[K]['gives']> {
    if (this.#isClosed) return Promise.reject(STOPPING())
    if (this.#queue.length >= this.#bounds.waiting) {
      return Promise.reject(new OperatingError(OperatingCode.busy, this.#bounds.busy))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ job: { kind, given }, resolve: resolve as Waiting['resolve'], reject })
      this.#start()
    })
  }

  #start(): void {
    while (this.#queue.length > 0) {
      const worker =
        this.#idle.pop() ?? (this.#busy.size < this.#bounds.threads ? this.#newWorker() : undefined)
      if (worker === undefined) return
      const waiting = this.#queue.shift()!
      this.#busy.set(worker, waiting)
      worker.ref()
      worker.postMessage(waiting.job)
    }
  }

  #newWorker(): Worker {
    const worker = new Worker(FILE)
    worker.on('message', (done: Done) => {
      const waiting = this.#busy.get(worker)
      if ('error' in done) waiting?.reject(done.error)
      else waiting?.resolve(done.gives)
      this.#rest(worker)
    })
    worker.on('error', error => this.#lose(worker, new Error(messageOf(error))))
    worker.on('exit', () => this.#lose(worker, new Error('a thread for arithmetic ended')))
    return worker
  }

  #rest(worker: Worker): void {
    this.#busy.delete(worker)
    this.#idle.push(worker)
    worker.unref()
    this.#start()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.#endIdle(), limits.threadIdleMs)
    this.#idleTimer.unref()
  }

  #lose(worker: Worker, error: Error): void {
    const waiting = this.#busy.get(worker)
    this.#busy.delete(worker)
    const at = this.#idle.indexOf(worker)
    if (at !== -1) this.#idle.splice(at, 1)
    waiting?.reject(error)
    if (!this.#isClosed) this.#start()
  }

  async #endIdle(): Promise<void> {
    await Promise.all(this.#idle.splice(0).map(worker => worker.terminate()))
  }

  /** Ends the threads once their jobs are done; what waits is refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#idleTimer)
    for (const { reject } of this.#queue.splice(0)) reject(STOPPING())
    await Promise.all([...this.#busy.keys()].map(doneOrGone))
    await this.#endIdle()
  }
}

/** One that dies sends no message; its job is rejected then. */
const doneOrGone = (worker: Worker): Promise<void> =>
  new Promise(resolve => {
    worker.once('message', () => resolve())
    worker.once('exit', () => resolve())
  })

const STOPPING = () => new OperatingError(OperatingCode.closed, 'this server is stopping')
