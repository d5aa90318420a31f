/**
 * Revoking: what becomes of a certificate that is not to be trusted any more.
 *
 * Owns what can be revoked, and that what was revoked stays so, at the time when it first was.
 * Pure; whoever calls has read the certificate and knows that the asker may.
 */
import { Refusal } from '../../../../base/errors.ts'
import type { ParsedCertificate } from '../../../../x509/certificate.ts'
import type { CrlReason } from '../../../../x509/crl.ts'
import type { Answer } from '../../../declare.ts'
import { toSeconds } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { Storage } from '../../../storage.ts'
import { issuerOfRow, type StoredIssuer } from '../issuer/stored.ts'
import { bad } from '../refusals.ts'
import { momentText } from '../role/times.ts'
import { issuersOf } from '../rows.ts'
import { serialText } from '../serial.ts'
import { noteEntry } from './list.ts'
import { listIdOf, REVOKED, type RevokedRow, revokedAt } from './rows.ts'
import { crlConfigOf } from './settings.ts'

/** What of a call is needed to revoke. */
export interface Revoking {
  readonly storage: Storage
  readonly now: number
}

export const revocationShape = shape.object({
  revocation_time: shape.int,
  revocation_time_rfc3339: shape.time,
  state: shape.text,
})

/** A leaf that lives on for less is as good as over: leases are kept by the second. */
const NEARLY_OVER_MS = 2_000

/** What came of revoking. */
export interface RevokedOnce {
  /** Undefined where it was over, so that no list needs to show it. */
  readonly row: RevokedRow | undefined
  /** Whether it was revoked before: it is as it was then. */
  readonly wasRevoked: boolean
}

/**
 * Revokes a certificate that an issuer of this mount gave. One that is over is not revoked, unless
 * settings say so. Refused for an issuer of this mount itself.
 */
export function revokeOnce(
  { storage, now }: Revoking,
  certificate: ParsedCertificate,
  reason?: CrlReason,
): RevokedOnce | Refusal {
  const { serial, notAfter } = certificate
  const told = serialText(serial)
  const own = issuersOf(storage).find(row => row.serial === told)
  if (own !== undefined) return bad(`adding issuer (id: ${own.id}) to its own CRL is not allowed`)
  const before = revokedAt(storage, serial)
  if (before !== undefined) return { row: before, wasRevoked: true }
  const isOver = notAfter.getTime() < now + NEARLY_OVER_MS
  if (isOver && !crlConfigOf(storage).allow_expired_cert_revocation) {
    return { row: undefined, wasRevoked: false }
  }
  const issuer = issuerOf(storage, certificate)
  return { row: putRevoked({ storage, now }, certificate, issuer, reason), wasRevoked: false }
}

/** The same, as it is told. */
export function revokeCertificate(
  call: Revoking,
  certificate: ParsedCertificate,
): Answer | Refusal {
  const revoked = revokeOnce(call, certificate)
  if (revoked instanceof Refusal) return revoked
  const { row } = revoked
  const told = serialText(certificate.serial)
  if (row === undefined) {
    const warning =
      `certificate with serial ${told} already expired; refusing to add to CRL. Enable ` +
      "'AllowExpiredCertRevocation' to allow revoking expired certificates."
    return { warnings: [warning] }
  }
  const warnings =
    row.list === '' ? [`no issuer of this mount signed ${told}: no list will show it`] : []
  return { data: revocationData(row), warnings }
}

/** Writes that a certificate is revoked, and notes it for its list. */
export function putRevoked(
  { storage, now }: Revoking,
  { serial, notAfter }: ParsedCertificate,
  issuer: StoredIssuer | undefined,
  reason?: CrlReason,
): RevokedRow {
  const list = issuer === undefined ? '' : listIdOf(issuer.certificate)
  const row: RevokedRow = {
    issuerId: issuer?.row.id ?? '',
    ...{ list, revokedAtMs: now, expiresAtMs: notAfter.getTime() },
    sequence: list === '' ? 0 : noteEntry(storage, list, now),
    ...(reason !== undefined && { reason }),
  }
  storage.put(REVOKED + serial, row)
  return row
}

/** Who of this mount signed a certificate; undefined for nobody. */
export function issuerOf(
  storage: Storage,
  certificate: ParsedCertificate,
): StoredIssuer | undefined {
  return issuersOf(storage)
    .map(issuerOfRow)
    .find(
      ({ certificate: above }) =>
        above.subject.equals(certificate.issuer) && certificate.verify(above.publicKey),
    )
}

/** What is told of a revocation. */
const revocationData = ({ revokedAtMs }: RevokedRow) => ({
  revocation_time: toSeconds(revokedAtMs),
  revocation_time_rfc3339: momentText(revokedAtMs),
  state: 'revoked',
})
