/**
 * Revoking as it is asked for: by serial number, by the certificate itself, with its key, and of
 * issuers.
 *
 * Owns how the certificate is found and what proves that it may be revoked. A certificate that is
 * not stored is, once somebody revokes it.
 */
import { createPublicKey } from 'node:crypto'
import { Refusal } from '../../../../base/errors.ts'
import { type ParsedCertificate, readCertificate } from '../../../../x509/certificate.ts'
import { type Call, type Outcome, path, prepared } from '../../../declare.ts'
import { str, type Values } from '../../../field.ts'
import { type CertificateRow, keepCertificate } from '../certificates.ts'
import { blocksOf, certificateOf, keyOf } from '../pem.ts'
import { bad } from '../refusals.ts'
import { serialHex } from '../serial.ts'
import { issuerOf, revocationShape, revokeCertificate } from './revoke.ts'

const revokeFields = {
  serial_number: str('The serial number, in hex with colons or hyphens.'),
  certificate: str('The certificate in PEM; an issuer of this mount must have signed it.'),
}
const withKeyFields = {
  ...revokeFields,
  private_key: str('The key of the certificate, in PEM.', { isSecret: true }),
}

/** What is to be revoked. */
interface Found {
  readonly certificate: ParsedCertificate
  /** Whether it has to be kept first. */
  readonly isNew: boolean
}

/** The paths. */
export const revokePaths = [
  path({
    pattern: 'revoke',
    help: {
      synopsis: 'Revokes a certificate.',
      description: 'Whether it was stored or not: one that was not is sent itself.',
    },
    fields: revokeFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof revokeFields, Found>({
        summary: 'Revokes a certificate.',
        answer: revocationShape,
        prepare: call => found(call),
        run: revoke,
        examples: [{ serial_number: '39:dd:2e:90' }],
      }),
    },
  }),
  path({
    pattern: 'revoke-with-key',
    help: {
      synopsis: 'Revokes a certificate by its key.',
      description: 'For holders, who may not revoke others’.',
    },
    fields: withKeyFields,
    access: 'authorized',
    operations: {
      update: prepared<typeof withKeyFields, Found>({
        summary: 'Revokes a certificate whose key is shown.',
        answer: revocationShape,
        prepare: foundWithKey,
        run: revoke,
      }),
    },
  }),
]

/** The certificate that is meant. */
async function found(call: Call<typeof revokeFields>): Promise<Found | Refusal> {
  const { fields } = call
  const [hasSerial, hasCertificate] = [call.given('serial_number'), call.given('certificate')]
  if (!hasSerial && !hasCertificate) {
    return bad('The serial number or certificate to revoke must be provided.')
  }
  if (hasSerial && hasCertificate) {
    return bad('Must provide either the certificate or the serial to revoke; not both.')
  }
  return hasSerial ? bySerial(call, fields.serial_number ?? '') : byItself(call, fields)
}

async function bySerial({ cold }: Pick<Call, 'cold'>, text: string): Promise<Found | Refusal> {
  if (text.trim() === '') return bad('The serial number must be provided')
  const serial = serialHex(text)
  const row = serial === undefined ? undefined : await cold.get<CertificateRow>(serial)
  if (row === undefined) return bad(`certificate with serial ${text} not found.`)
  return { certificate: readCertificate(Buffer.from(row.der, 'base64')), isNew: false }
}

async function byItself(
  { cold, storage }: Pick<Call, 'cold' | 'storage'>,
  { certificate: text = '' }: Values<typeof revokeFields>,
): Promise<Found | Refusal> {
  const SHORTEST_CHARS = 75
  if (text.length < SHORTEST_CHARS) {
    return bad(
      'provided certificate data was too short; perhaps a path was passed to the API rather than the contents of a PEM file',
    )
  }
  const blocks = blocksOf(text)
  if (blocks instanceof Refusal) return bad('certificate contains no PEM data')
  const certificate = certificateOf(blocks[0]!.der)
  if (certificate instanceof Refusal)
    return bad(`certificate could not be parsed: ${certificate.text}`)
  const row = await cold.get<CertificateRow>(certificate.serial)
  if (row !== undefined) {
    return Buffer.from(row.der, 'base64').equals(certificate.der)
      ? { certificate, isNew: false }
      : bad(
          "certificate with same serial but unequal value already present in this cluster's storage; refusing to revoke",
        )
  }
  return issuerOf(storage, certificate) === undefined
    ? bad(
        'unable to verify signature on presented cert from any present issuer in this mount; certificates from previous CAs will need to have their issuing CA and key re-imported if revocation is necessary',
      )
    : { certificate, isNew: true }
}

/** The same, where the key that is shown is its own. */
async function foundWithKey(call: Call<typeof withKeyFields>): Promise<Found | Refusal> {
  if (!call.given('private_key')) {
    return bad('Must have private key to revoke via the /revoke-with-key path.')
  }
  const text = call.fields.private_key ?? ''
  const SHORTEST_CHARS = 64
  if (text.length < SHORTEST_CHARS) {
    return bad(
      'Provided data for private_key was too short; perhaps a path was passed to the API rather than the contents of a PEM file?',
    )
  }
  const of = await found(call as unknown as Call<typeof revokeFields>)
  if (of instanceof Refusal) return of
  const blocks = blocksOf(text)
  const key = blocks instanceof Refusal ? undefined : keyOf(blocks[0]!)
  if (key === undefined) return bad('provided key PEM block contained no data or failed to parse')
  const { publicKey } = of.certificate
  if (key.asymmetricKeyType !== publicKey.asymmetricKeyType) {
    return bad("provided private key type does not match certificate's public key type")
  }
  return createPublicKey(key).equals(publicKey)
    ? of
    : bad("provided private key does not match certificate's public key")
}

function revoke(call: Call<typeof revokeFields | typeof withKeyFields, Found>): Outcome {
  const { certificate, isNew } = call.prepared
  const revoked = revokeCertificate(call, certificate)
  if (revoked instanceof Refusal || !isNew) return revoked
  keepCertificate(call, certificate.serial, {
    der: certificate.der.toString('base64'),
    issuerId: issuerOf(call.storage, certificate)?.row.id ?? '',
    ...{ role: '', issuedAtMs: call.now, notAfterMs: certificate.notAfter.getTime() },
  })
  return revoked
}
