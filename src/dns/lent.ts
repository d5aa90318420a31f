/**
 * Answers that were lent to the thread of DNS, and whether they still hold.
 *
 * Owns the rule. Must never give out what is older than the last change that was counted: whoever
 * wrote was answered after that.
 */
import type { Clock } from '../base/clock.ts'
import { limits } from '../base/limits.ts'
import type { Question } from '../wire/dns/mod.ts'
import { AnswerCache, type Answering, type Keepable } from './cache.ts'
import { answeringOf, type Lent, type ThreadData } from './thread-messages.ts'

/** One of them as it is kept. */
export interface Borrowed extends Answering, Keepable, Pick<Lent, Standing> {
  /** By the monotonic clock of this thread. */
  readonly freshUntilMs: number
}
type Standing = 'generation' | 'mark' | 'count' | 'bounds' | 'recursionAvailable'

/** One that is kept beside its template, about. */
const KEPT_SIZE_BYTES = 256

export class LentAnswers {
  readonly #data: ThreadData
  readonly #clock: Clock
  readonly #kept = new AnswerCache<Borrowed>(limits.dnsThreadEntries, limits.dnsThreadSizeBytes)

  constructor(data: ThreadData, clock: Clock) {
    this.#data = data
    this.#clock = clock
  }

  keep(lent: Lent): void {
    const { key, generation, mark, count, bounds, recursionAvailable, freshMs } = lent
    this.#kept.set(key, {
      ...answeringOf(lent),
      ...{ generation, mark, count, bounds, recursionAvailable },
      freshUntilMs: this.#clock.monotonic() + freshMs,
      sizeBytes: KEPT_SIZE_BYTES + key.length + lent.sizeBytes,
      isUsed: false,
    })
  }

  /** What answers a question now; undefined where another must be asked. */
  find({ key, cookieOffset }: Question): Borrowed | undefined {
    // A cookie is made and judged by the one who has the secret.
    if (cookieOffset > 0) return undefined
    const kept = this.#kept.get(key)
    if (kept === undefined || this.#holds(kept)) return kept
    this.#kept.delete(key)
    return undefined
  }

  #holds({ generation, mark, count, second, freshUntilMs }: Borrowed): boolean {
    const { marks, generation: now } = this.#data
    if (Atomics.load(now, 0) !== generation) return false
    if (mark !== 0 && Atomics.load(marks, mark) !== count) return false
    if (second !== 0 && second !== Math.floor(this.#clock.wall() / 1_000)) return false
    return freshUntilMs === Number.POSITIVE_INFINITY || this.#clock.monotonic() < freshUntilMs
  }
}
