/**
 * What a mount keeps of its revocations: who was revoked, and what its lists say by now.
 *
 * Owns the rows and where they lie. Issuers of one name and key share a list, as whoever checks a
 * certificate cannot tell them apart. Entries count by their sequence: a list of a number always
 * has the same entries, whichever server makes it.
 */
import { hash } from 'node:crypto'
import type { ParsedCertificate } from '../../../../x509/certificate.ts'
import type { CrlReason } from '../../../../x509/crl.ts'
import type { Storage } from '../../../storage.ts'

export interface RevokedRow {
  /** '' for none of the issuers here. */
  readonly issuerId: string
  /** The list that it belongs to; '' for none. */
  readonly list: string
  readonly revokedAtMs: number
  /** When the certificate is over. */
  readonly expiresAtMs: number
  /** Among those of its list, from 1 on. */
  readonly sequence: number
  readonly reason?: CrlReason
}

/** One edition of a list: what number it has, up to where its entries go, when it holds. */
export interface Edition {
  readonly number: number
  readonly sequence: number
  readonly thisUpdateMs: number
  readonly nextUpdateMs: number
}

/** A list: its newest whole edition, and the newest of what changed since. */
export interface ListRow {
  readonly whole: Edition
  readonly delta?: Edition
  /** The greatest of all numbers and sequences that were given. */
  readonly lastNumber: number
  readonly lastSequence: number
  /** When revoked certificates were last forgotten: the entries of a number are others since. */
  readonly tidied: number
}

/** Where revoked certificates lie, by the hex digits of their serial numbers. */
export const REVOKED = 'revoked/'
export const LISTS = 'crl/'

const ids = new WeakMap<ParsedCertificate, string>()

/** The id of the list that an issuer signs. */
export function listIdOf(issuer: ParsedCertificate): string {
  const known = ids.get(issuer)
  if (known !== undefined) return known
  const ID_CHARS = 32
  const id = hash('sha256', Buffer.concat([issuer.subject, issuer.spki])).slice(0, ID_CHARS)
  ids.set(issuer, id)
  return id
}

export const revokedAt = (storage: Storage, serial: string): RevokedRow | undefined =>
  storage.kept<RevokedRow>(REVOKED + serial)

export const listAt = (storage: Storage, id: string): ListRow | undefined =>
  storage.kept<ListRow>(LISTS + id)

/** So many keys are looked at in one step. */
const STEP_KEYS = 256
const DIGITS = '0123456789abcdef'

/** The serial numbers of all revoked certificates, in order, in steps of bounded work. */
export function* revokedSerials(storage: Storage, prefix = ''): Generator<string> {
  const keys = storage.keys(REVOKED + prefix, STEP_KEYS + 1)
  if (keys.length <= STEP_KEYS) {
    for (const key of keys) yield prefix + key
    return
  }
  if (storage.has(REVOKED + prefix)) yield prefix
  for (const digit of DIGITS) yield* revokedSerials(storage, prefix + digit)
}

/**
 * At most so many of them behind a serial number, in order; '' for the first. What lies before is
 * not looked at.
 */
export function revokedAfter(storage: Storage, after: string, limit: number): string[] {
  if (after === '') return storage.keys(REVOKED, limit)
  const found: string[] = []
  // First what goes on from it, then what stands behind it at each of its digits.
  const prefixes = [after]
  for (let at = after.length - 1; at >= 0; at--) {
    const digit = DIGITS.indexOf(after.charAt(at))
    for (const next of DIGITS.slice(digit + 1)) prefixes.push(after.slice(0, at) + next)
  }
  for (const prefix of prefixes) {
    const wanted = limit - found.length
    if (wanted <= 0) break
    for (const key of storage.keys(REVOKED + prefix, wanted + 1)) {
      const serial = prefix + key
      if (serial !== after && found.length < limit) found.push(serial)
    }
  }
  return found
}
