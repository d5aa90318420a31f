/**
 * The certificates that were given, by serial number.
 *
 * Owns their row and where it lies.
 */
import type { Call } from '../../declare.ts'

/** A certificate that was given. */
export interface CertificateRow {
  /** DER, in base64. */
  readonly der: string
  /** '' for none of the issuers here. */
  readonly issuerId: string
  /** '' where no role was asked. */
  readonly role: string
  readonly issuedAtMs: number
  readonly notAfterMs: number
}

const CERTIFICATES = 'cert/'

/** Keeps a certificate; the serial number is hex digits alone. */
export function keepCertificate(
  { storage }: Pick<Call, 'storage'>,
  serial: string,
  row: CertificateRow,
): void {
  storage.put(CERTIFICATES + serial, row)
}
