/**
 * Passcodes of the time (RFC 6238) by counters (RFC 4226), as apps for phones show them.
 *
 * Owns the arithmetic, and the URL that such an app reads a secret from. What was used, and how
 * often somebody may try, stands elsewhere. Pure.
 */
import { createHmac } from 'node:crypto'
import { SECOND_MS } from '../../base/duration.ts'

/** The hashes that RFC 6238 has, in the words of the API. */
export const totpAlgorithms = ['SHA1', 'SHA256', 'SHA512'] as const

export interface TotpParams {
  readonly algorithm: (typeof totpAlgorithms)[number]
  readonly digits: number
  readonly periodS: number
  /** How many steps before and behind the present one are taken too. */
  readonly skew: number
}

/** A secret that a phone has too. */
export interface TotpSecret extends TotpParams {
  readonly keyBase64: string
  readonly issuer: string
}

const COUNTER_SIZE_BYTES = 8
const LOW_NIBBLE = 15
const SIGN_MASK = 0x7fff_ffff

/** The passcode of a step (RFC 4226 section 5.3). */
export function totpCode(
  key: Buffer,
  step: number,
  { algorithm, digits }: Pick<TotpParams, 'algorithm' | 'digits'>,
): string {
  const counter = Buffer.alloc(COUNTER_SIZE_BYTES)
  counter.writeBigUInt64BE(BigInt(step))
  const digest = createHmac(algorithm.toLowerCase(), key).update(counter).digest()
  const at = digest[digest.length - 1]! & LOW_NIBBLE
  const number = (digest.readUInt32BE(at) & SIGN_MASK) % 10 ** digits
  return String(number).padStart(digits, '0')
}

/** The step of a time, counted from 1970 (RFC 6238 section 4). */
export const stepAt = (atMs: number, { periodS }: Pick<TotpParams, 'periodS'>): number =>
  Math.floor(atMs / SECOND_MS / periodS)

/** The steps whose passcodes are taken at a time. */
export function stepsAround(atMs: number, params: Pick<TotpParams, 'periodS' | 'skew'>): number[] {
  const now = stepAt(atMs, params)
  const first = Math.max(0, now - params.skew)
  return Array.from({ length: now + params.skew - first + 1 }, (_, i) => first + i)
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const BASE32_BITS = 5
const BASE32_MASK = 31
const BYTE_BITS = 8

/** Bytes in base32 without padding (RFC 4648 section 6). */
export function base32(bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let heldBits = 0
  for (const byte of bytes) {
    held = (held << BYTE_BITS) | byte
    heldBits += BYTE_BITS
    while (heldBits >= BASE32_BITS) {
      heldBits -= BASE32_BITS
      text += BASE32[(held >> heldBits) & BASE32_MASK]
    }
    held &= (1 << heldBits) - 1
  }
  return heldBits === 0 ? text : text + BASE32[(held << (BASE32_BITS - heldBits)) & BASE32_MASK]
}

/** What an app reads a secret from; `account` is what it shows beside the issuer. */
export function otpauthUrl(secret: TotpSecret, account: string): string {
  const { algorithm, digits, issuer, keyBase64, periodS } = secret
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`
  const key = base32(Buffer.from(keyBase64, 'base64'))
  return (
    `otpauth://totp/${label}?algorithm=${algorithm}&digits=${digits}` +
    `&issuer=${encodeURIComponent(issuer)}&period=${periodS}&secret=${key}`
  )
}
