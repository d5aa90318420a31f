/**
 * An attempt to make a root token by key shares, and the form in which the token is given out.
 *
 * Owns what each step writes and when it is refused. The token leaves it only under a one-time pad
 * that whoever began knows, or encrypted to his OpenPGP key. Texts are Vault's. Pure.
 */
import { Refusal } from '../../base/errors.ts'
import { isSameSecret } from '../../base/same-secret.ts'
import type { Decision } from '../../store/store.ts'
import { addRootToken } from '../initial.ts'
import { Draft } from '../storage.ts'
import {
  dropAttempt,
  type GivenShare,
  gather,
  keepAttempt,
  newAttempt,
  openAttempt,
  type ShownAttempt,
  type Step,
  showAttempt,
  wipeAttempt,
} from './attempt.ts'
import type { OldShares } from './rekey.ts'

/** To whom the token is given: who knows the pad, or has the key of OpenPGP. */
export type Recipient =
  | { readonly otp: string }
  | { readonly pgpKey: string; readonly fingerprint: string }

export const ROOT_TOKEN_KIND = 'generate-root'

type ShownToken = ShownAttempt<Recipient>

const refusal = (text: string): Refusal => new Refusal(400, text)

export const fingerprintOf = (recipient: Recipient | undefined): string =>
  recipient !== undefined && 'fingerprint' in recipient ? recipient.fingerprint : ''

/** Begins an attempt. */
export function startRootToken(recipient: Recipient, step: Step): Decision<ShownToken> | Refusal {
  const found = openAttempt(ROOT_TOKEN_KIND, step)
  if (found !== undefined) {
    wipeAttempt(found)
    return refusal('root generation already in progress')
  }
  const { op, shown } = keepAttempt(ROOT_TOKEN_KIND, newAttempt(recipient, step), step)
  return { txn: [op], answer: shown }
}

/** What came of a share: the token, once there are enough. */
export interface RootTokenStep {
  readonly attempt: ShownToken
  readonly token: string | undefined
}

/**
 * Takes a share. With the last one the token is made and the attempt ends, in one transaction.
 * Answers a refusal where the shares were wrong; they are forgotten then.
 */
export function takeTokenShare(
  { share, nonce }: GivenShare,
  old: OldShares,
  step: Step,
): Decision<RootTokenStep | Refusal> | Refusal {
  const found = openAttempt<Recipient>(ROOT_TOKEN_KIND, step)
  if (found === undefined) return refusal('no root generation in progress')
  if (!isSameSecret(nonce, found.nonce)) {
    wipeAttempt(found)
    const text = `nonce for this root generation operation is "${found.nonce}"`
    return refusal(`incorrect nonce supplied; ${text}`)
  }
  const before = showAttempt(found)
  const gathered = gather(found.shares, share, old)
  if (gathered === false) {
    wipeAttempt(found)
    return refusal('given key has already been provided during this generation operation')
  }
  if ('shares' in gathered) {
    const next = { ...found, shares: gathered.shares }
    const { op, shown } = keepAttempt(ROOT_TOKEN_KIND, next, step)
    return { txn: [op], answer: { attempt: shown, token: undefined } }
  }
  const { key } = gathered
  const isRight = key !== undefined && old.isRight(key)
  key?.fill(0)
  if (!isRight) {
    const { op } = keepAttempt(ROOT_TOKEN_KIND, { ...found, shares: [] }, step)
    const why =
      key === undefined
        ? 'failed to compute root key: these are not its shares'
        : 'root generation aborted: root key verification failed: unseal failed, invalid key'
    return { txn: [op], answer: refusal(why) }
  }
  const { view, barrier, now, random } = step
  const draft = new Draft(view, barrier, now, random)
  const token = addRootToken(draft)
  const txn = [...draft.ops(), dropAttempt(ROOT_TOKEN_KIND)]
  return { txn, answer: { attempt: before, token } }
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
