/**
 * Repeating what may be repeated while etcd cannot be reached, and sharing reads.
 *
 * Owns the pauses between attempts. Must only be given work that can be done twice, or errors that
 * say that nothing was done.
 */
import type { MonotonicMs } from '../../base/brand.ts'
import { type Clock, sleep } from '../../base/clock.ts'
import { RpcError } from '../../base/io/grpc.ts'
import { limits } from '../../base/limits.ts'
import { afterPoll } from '../../base/slices.ts'
import { isUnclear } from './client.ts'

/** Repeats a read, or what can be done twice, until etcd answers or the time has come. */
export function patiently<T>(
  clock: Clock,
  untilMs: MonotonicMs,
  work: () => Promise<T>,
): Promise<T> {
  return repeated(clock, untilMs, isUnclear, work)
}

/** Repeats only while the request surely never left. */
export function untilSent<T>(
  clock: Clock,
  untilMs: MonotonicMs,
  work: () => Promise<T>,
): Promise<T> {
  return repeated(clock, untilMs, error => !error.sent, work)
}

async function repeated<T>(
  clock: Clock,
  untilMs: MonotonicMs,
  mayRepeat: (error: RpcError) => boolean,
  work: () => Promise<T>,
): Promise<T> {
  let pauseMs: number = limits.etcdRetryMinMs
  for (;;) {
    try {
      return await work()
    } catch (error) {
      const isLate = clock.monotonic() + pauseMs > untilMs
      if (isLate || !(error instanceof RpcError && mayRepeat(error))) throw error
    }
    await sleep(clock, pauseMs)
    pauseMs = Math.min(limits.etcdRetryMaxMs, pauseMs * 2)
  }
}

/**
 * A read that many share: at most one is in flight and one gathers callers, so that everybody gets
 * an answer to a read that was sent after he came. `finish` is what is done with the answer, once
 * for all of them, while the next read is on its way already.
 */
export class SharedRead<R, T> {
  readonly #read: () => Promise<R>
  readonly #finish: (answer: R) => Promise<T>
  #inFlight: Promise<unknown> | undefined
  #gathering: Promise<T> | undefined

  constructor(read: () => Promise<R>, finish: (answer: R) => Promise<T>) {
    this.#read = read
    this.#finish = finish
  }

  get(): Promise<T> {
    if (this.#inFlight === undefined) return this.#send()
    this.#gathering ??= this.#inFlight.then(() => {
      this.#gathering = undefined
      return this.#send()
    })
    return this.#gathering
  }

  #send(): Promise<T> {
    const answer = this.#read()
    const settled = answer.then(ignore, ignore)
    this.#inFlight = settled
    void settled.then(() => {
      if (this.#inFlight === settled && this.#gathering === undefined) this.#inFlight = undefined
    })
    return answer.then(async given => {
      const finished = await this.#finish(given)
      // What hundreds of callers do next must not hold back the read that others wait for.
      await new Promise<void>(afterPoll)
      return finished
    })
  }
}

const ignore = (): void => {}
