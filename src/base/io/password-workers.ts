/**
 * Threads of our own that hash passwords: not those of libuv, which are the disk's.
 *
 * Owns how many there are, their queue, and that idle ones end. A thread that dies takes its one
 * job with it, and the next job starts another.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Random } from '../clock.ts'
import { messageOf, OperatingCode, OperatingError } from '../errors.ts'
import { limits } from '../limits.ts'
import { PASSWORD_SALT_SIZE_BYTES } from '../password-hash.ts'

/** What hashes passwords, and looks whether one is right. */
export interface PasswordHasher {
  /** Rejects with an OperatingError where too many wait. */
  hash(password: string): Promise<string>
  verify(password: string, hash: string): Promise<boolean>
}

/** To a thread: a password to be hashed with a salt, or to be held against a hash. */
export interface PasswordJob {
  readonly password: string
  readonly salt?: Uint8Array
  readonly hash?: string
}

/** From a thread. */
export interface PasswordDone {
  readonly hash?: string
  readonly isRight?: boolean
}

interface Waiting {
  readonly job: PasswordJob
  resolve(done: PasswordDone): void
  reject(error: Error): void
}

/** The thread's file beside this one, whichever form the two are in. */
const FILE = import.meta.filename.replace(/password-workers(?=\.[jt]s$)/, 'password-worker')

export class PasswordWorkers implements PasswordHasher {
  readonly #random: Random
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, Waiting>()
  readonly #queue: Waiting[] = []
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(random: Random) {
    this.#random = random
  }

  async hash(password: string): Promise<string> {
    const salt = this.#random.bytes(PASSWORD_SALT_SIZE_BYTES)
    return (await this.#do({ password, salt })).hash!
  }

  async verify(password: string, hash: string): Promise<boolean> {
    return (await this.#do({ password, hash })).isRight!
  }

  #do(job: PasswordJob): Promise<PasswordDone> {
    if (this.#isClosed) return Promise.reject(STOPPING())
    if (this.#queue.length >= limits.passwordsWaiting) return Promise.reject(TOO_MANY())
    return new Promise((resolve, reject) => {
      this.#queue.push({ job, resolve, reject })
      this.#start()
    })
  }

  #start(): void {
    while (this.#queue.length > 0) {
      const worker =
        this.#idle.pop() ??
        (this.#busy.size < limits.passwordThreads ? this.#newWorker() : undefined)
      if (worker === undefined) return
      const waiting = this.#queue.shift()!
      this.#busy.set(worker, waiting)
      worker.ref()
      worker.postMessage(waiting.job)
    }
  }

  #newWorker(): Worker {
    const worker = new Worker(FILE)
    worker.on('message', (done: PasswordDone) => {
      this.#busy.get(worker)?.resolve(done)
      this.#rest(worker)
    })
    worker.on('error', error => this.#lose(worker, new Error(messageOf(error))))
    worker.on('exit', () => this.#lose(worker, new Error('a thread that hashes passwords ended')))
    return worker
  }

  #rest(worker: Worker): void {
    this.#busy.delete(worker)
    this.#idle.push(worker)
    worker.unref()
    this.#start()
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.#endIdle(), limits.passwordThreadIdleMs)
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
    await Promise.all([...this.#busy.keys()].map(worker => once(worker, 'message')))
    await this.#endIdle()
  }
}

const TOO_MANY = () =>
  new OperatingError(OperatingCode.busy, 'too many passwords wait to be looked at: try again')
const STOPPING = () => new OperatingError(OperatingCode.closed, 'this server is stopping')
