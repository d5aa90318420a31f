/**
 * The certificates that were given, by serial number.
 *
 * Owns their row and where it lies: among the cold ones, since there may be millions.
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

/** Keeps a certificate by its serial number, which is hex digits alone. */
export function keepCertificate(
  { cold }: Pick<Call, 'cold'>,
  serial: string,
  row: CertificateRow,
): void {
  cold.put(serial, row)
}
