/**
 * An attempt to replace key shares: who asked for what, the old shares that authorise it, and,
 * where that is wanted, the new ones that are shown before anything changes.
 *
 * Owns when a step is refused. Texts are Vault's. Pure.
 */
import type { MonotonicMs } from '../../base/brand.ts'
import type { Random } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import type { ShareCounts } from '../../store/tables/seal.ts'
import { Attempt, type Moment } from './attempt.ts'
import { ShareSet } from './shares.ts'

/** What a new set of shares is to be. */
export interface RekeyRequest extends ShareCounts {
  /** Of OpenPGP, in base64: one for each share, or none. */
  readonly pgpKeys: readonly string[]
  /** Whether the encrypted shares are kept here too. */
  readonly backup: boolean
  /** Whether the new shares must be shown before the old ones end. */
  readonly requireVerification: boolean
}

/** New shares that wait to be shown. */
interface Verification {
  nonce: string
  /** What the new shares are of. */
  readonly key: Buffer
  readonly shares: ShareSet
}

const refusal = (text: string): Refusal => new Refusal(400, text)

export class RekeyAttempt extends Attempt {
  readonly request: RekeyRequest
  #verification: Verification | undefined

  constructor(request: RekeyRequest, moment: Moment) {
    super(moment)
    this.request = request
  }

  /** New shares that wait to be shown. */
  get verification(): { readonly nonce: string; readonly progress: number } | undefined {
    const waiting = this.#verification
    return waiting && { nonce: waiting.nonce, progress: waiting.shares.progress }
  }

  /**
   * Takes a share of the old key, which is the attempt's from now on. The old key, once there are
   * enough; undefined before.
   */
  take(
    share: Buffer,
    nonce: string,
    old: ShareCounts,
    nowMs: MonotonicMs,
  ): Buffer | Refusal | undefined {
    const waiting = this.#verification
    if (waiting !== undefined) {
      share.fill(0)
      return refusal(
        'rekey operation already finished; verification must be performed; nonce for the ' +
          `verification operation is "${waiting.nonce}"`,
      )
    }
    if (!isSameSecret(nonce, this.nonce)) {
      share.fill(0)
      return refusal(`incorrect nonce supplied; nonce for this rekey operation is "${this.nonce}"`)
    }
    this.touch(nowMs)
    if (!this.shares.add(share)) {
      return refusal('given key has already been provided during this rekey operation')
    }
    if (this.shares.progress < old.threshold) return undefined
    return this.shares.take(old) ?? refusal('failed to compute the key: these are not its shares')
  }

  /** Has the new shares shown before anything is changed. The key is the attempt's from now on. */
  hold(key: Buffer, { nowMs, random }: Moment): string {
    this.touch(nowMs)
    this.#verification = { nonce: random.uuid(), key, shares: new ShareSet() }
    return this.#verification.nonce
  }

  /** Takes a new share that is shown. The new key, once they were right; undefined before. */
  verify(share: Buffer, nonce: string, { nowMs, random }: Moment): Buffer | Refusal | undefined {
    const waiting = this.#verification
    if (waiting === undefined) {
      share.fill(0)
      return refusal('no rekey verification in progress')
    }
    if (!isSameSecret(nonce, waiting.nonce)) {
      share.fill(0)
      const text = `nonce for this verify operation is "${waiting.nonce}"`
      return refusal(`incorrect nonce supplied; ${text}`)
    }
    this.touch(nowMs)
    if (!waiting.shares.add(share)) {
      return refusal('given key has already been provided during this verify operation')
    }
    if (waiting.shares.progress < this.request.threshold) return undefined
    const key = waiting.shares.take(this.request)
    if (key?.equals(waiting.key)) return key
    key?.fill(0)
    waiting.nonce = random.uuid()
    return refusal('rekey verification failed; incorrect key shares supplied')
  }

  /** Begins to have the new shares shown anew. */
  restartVerification(random: Random): void {
    if (this.#verification === undefined) return
    this.#verification.shares.wipe()
    this.#verification.nonce = random.uuid()
  }

  override wipe(): void {
    super.wipe()
    this.#verification?.shares.wipe()
    this.#verification?.key.fill(0)
    this.#verification = undefined
  }
}
