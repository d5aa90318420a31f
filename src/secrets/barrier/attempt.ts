/**
 * Something that several holders of key shares do together, from its beginning to its end.
 *
 * Owns what all such attempts have in common: a nonce, who may end one, and when one is forgotten.
 * They lie in the memory of the server that was asked, one of each kind at a time: nobody can put
 * another in the place of one, nor end it without its nonce. Pure.
 */
import type { MonotonicMs } from '../../base/brand.ts'
import type { Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import { ShareSet } from './shares.ts'

/** Time and randomness of a step. */
export interface Moment {
  readonly nowMs: MonotonicMs
  readonly random: Random
}

export class Attempt {
  readonly nonce: string
  protected readonly shares = new ShareSet()
  readonly #startedMs: MonotonicMs
  #touchedMs: MonotonicMs

  constructor({ nowMs, random }: Moment) {
    this.nonce = random.uuid()
    this.#startedMs = nowMs
    this.#touchedMs = nowMs
  }

  /** Shares that authorise it, so far. */
  get progress(): number {
    return this.shares.progress
  }

  /** Whether nobody went on with it for too long. */
  isOver(nowMs: MonotonicMs): boolean {
    return nowMs - this.#touchedMs >= limits.sealAttemptMs
  }

  /**
   * Why it is not ended for somebody who has nothing to show but this nonce: he ends what he knows
   * the nonce of, or what was begun long ago.
   */
  refuseCancel(nonce: string, nowMs: MonotonicMs): Refusal | undefined {
    if (isSameSecret(nonce, this.nonce)) return undefined
    if (nonce === '' && nowMs - this.#startedMs >= limits.sealAttemptGuardMs) return undefined
    return new Refusal(400, 'the nonce of the operation is required to cancel it')
  }

  /** Somebody goes on with it. */
  protected touch(nowMs: MonotonicMs): void {
    this.#touchedMs = nowMs
  }

  /** Overwrites what it holds. */
  wipe(): void {
    this.shares.wipe()
  }
}
