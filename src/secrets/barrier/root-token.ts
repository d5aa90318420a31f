/**
 * An attempt to make a root token by key shares, and the form in which the token is given out.
 *
 * Owns when a step is refused. The token leaves it only under a one-time pad that whoever began
 * knows, or encrypted to his OpenPGP key. Texts are Vault's. Pure.
 */
import type { MonotonicMs } from '../../base/brand.ts'
import { Refusal } from '../../base/errors.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import type { ShareCounts } from '../../store/tables/seal.ts'
import { Attempt, type Moment } from './attempt.ts'

/** To whom the token is given: who knows the pad, or has the key of OpenPGP. */
export type Recipient =
  | { readonly otp: string }
  | { readonly pgpKey: string; readonly fingerprint: string }

const refusal = (text: string): Refusal => new Refusal(400, text)

export class RootTokenAttempt extends Attempt {
  readonly recipient: Recipient

  constructor(recipient: Recipient, moment: Moment) {
    super(moment)
    this.recipient = recipient
  }

  get fingerprint(): string {
    return 'fingerprint' in this.recipient ? this.recipient.fingerprint : ''
  }

  /** Takes a share, which is the attempt's from now on. The key, once there are enough. */
  take(
    share: Buffer,
    nonce: string,
    of: ShareCounts,
    nowMs: MonotonicMs,
  ): Buffer | Refusal | undefined {
    if (!isSameSecret(nonce, this.nonce)) {
      share.fill(0)
      const text = `nonce for this root generation operation is "${this.nonce}"`
      return refusal(`incorrect nonce supplied; ${text}`)
    }
    this.touch(nowMs)
    if (!this.shares.add(share)) {
      return refusal('given key has already been provided during this generation operation')
    }
    if (this.shares.progress < of.threshold) return undefined
    return this.shares.take(of) ?? refusal('failed to compute root key: these are not its shares')
  }
}

/** A token under a one-time pad of its length: both XORed, in base64 without padding. */
export function encodeToken(token: string, otp: string): string {
  return xor(Buffer.from(token), Buffer.from(otp)).toString('base64').replace(/=+$/, '')
}

/** The token again. */
export function decodeToken(encoded: string, otp: string): string | Refusal {
  const bytes = Buffer.from(encoded, 'base64')
  const pad = Buffer.from(otp)
  if (bytes.length === 0 || bytes.length !== pad.length) {
    return refusal('encoded_token and otp must be of one length')
  }
  return xor(bytes, pad).toString('utf8')
}

const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, at) => byte ^ (b[at] ?? 0)))
