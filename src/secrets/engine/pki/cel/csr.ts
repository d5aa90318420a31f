/**
 * A CSR as programs of roles see it: by the names of Go's crypto/x509.
 *
 * Owns these names alone. Pure.
 */
import type { AnyRequest } from '../../../../x509/csr.ts'
import { fieldsOfName } from '../../../../x509/name.ts'

const ALGORITHMS: Readonly<Record<string, string>> = { rsa: 'RSA', ec: 'ECDSA', ed25519: 'Ed25519' }

/** A CSR as an object. */
export function csrFacts(csr: AnyRequest): object {
  const { subjectName, subject, spki, names, extensions, publicKey, signatureAlgorithm } = csr
  const name = fieldsOfName(subjectName)
  return {
    RawSubjectPublicKeyInfo: spki,
    RawSubject: subject,
    Version: 0,
    SignatureAlgorithm: signatureAlgorithm.name,
    PublicKeyAlgorithm: ALGORITHMS[publicKey.asymmetricKeyType ?? ''] ?? '',
    Subject: {
      CommonName: name.commonName ?? '',
      Country: name.countries,
      Organization: name.organizations,
      OrganizationalUnit: name.units,
      Locality: name.localities,
      Province: name.provinces,
      StreetAddress: name.streets,
      PostalCode: name.postalCodes,
      SerialNumber: name.serialNumber ?? '',
    },
    Extensions: Object.fromEntries(extensions.map(({ oid, value }) => [oid, value])),
    DNSNames: names.dnsNames,
    EmailAddresses: names.emails,
    IPAddresses: names.addresses,
    URIs: names.uris,
  }
}
