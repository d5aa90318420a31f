/**
 * Leases of certificates: as one ends early, its certificate is revoked.
 *
 * Owns that. A certificate that is over, or was never stored, needs no revocation.
 */
import { Refusal } from '../../../../base/errors.ts'
import { readCertificate } from '../../../../x509/certificate.ts'
import type { Engine } from '../../../declare.ts'
import { coldOf, storageOf } from '../../../mount/mount.ts'
import type { CertificateRow } from '../certificates.ts'
import { serialHex } from '../serial.ts'
import { revokeOnce } from './revoke.ts'

/** Takes back the certificate that a lease was given for. */
export const revokeLeased: NonNullable<Engine['revoke']> = async (draft, mount, lease) => {
  const { serial_number: told } = lease.data
  const serial = typeof told === 'string' ? serialHex(told) : undefined
  const row = serial && (await coldOf(draft, mount).get<CertificateRow>(serial))
  if (!row) return undefined
  const certificate = readCertificate(Buffer.from(row.der, 'base64'))
  return inside => {
    const revoked = revokeOnce({ storage: storageOf(inside, mount), now: inside.now }, certificate)
    // An issuer is no leaf, and has no lease.
    if (revoked instanceof Refusal) throw new Error(revoked.text)
  }
}
