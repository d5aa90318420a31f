/**
 * The wishes that a certificate answers, told from the certificate: what `pki reissue` begins with.
 *
 * Owns what is taken over. Pure. Extensions that nobody here knows are not.
 */
import { fieldsOfName } from '../../x509/name.ts'
import type { IssuerRead } from './pki-issuer.ts'
import type { Data } from './secret.ts'

/** What a certificate was asked for by, with changes. */
export function templateOf(
  { certificate, keyId }: IssuerRead,
  isKeyKept: boolean,
  changes: Data,
): Data {
  const { names, publicKey, subjectKeyId, constraints } = certificate
  const fields = fieldsOfName(certificate.subjectName)
  const common = fields.commonName ?? ''
  const named = [...(names?.dnsNames ?? []), ...(names?.emails ?? [])]
  const seconds = (certificate.notAfter.getTime() - certificate.notBefore.getTime()) / 1_000
  const isPathOpen = certificate.pathLength === undefined
  const template: Data = {
    common_name: common,
    alt_names: named.join(','),
    ip_sans: (names?.addresses ?? []).join(','),
    uri_sans: (names?.uris ?? []).join(','),
    exclude_cn_from_sans: common !== '' && !named.includes(common),
    ou: fields.units,
    organization: fields.organizations,
    country: fields.countries,
    locality: fields.localities,
    province: fields.provinces,
    street_address: fields.streets,
    postal_code: fields.postalCodes,
    serial_number: fields.serialNumber ?? '',
    ttl: `${Math.round(seconds)}s`,
    max_path_length: isPathOpen ? -1 : certificate.pathLength,
    permitted_dns_domains: (constraints?.permitted?.dnsNames ?? []).join(','),
    ...(isKeyKept
      ? { key_ref: keyId, skid: subjectKeyId?.toString('hex') ?? '' }
      : { key_type: publicKey.asymmetricKeyType ?? '', key_bits: bitsOf(certificate) }),
  }
  return withChanges(template, changes)
}

const CURVE_BITS: Readonly<Record<string, number>> = {
  prime256v1: 256,
  secp224r1: 224,
  secp384r1: 384,
  secp521r1: 521,
}

function bitsOf({ publicKey }: IssuerRead['certificate']): number {
  const { modulusLength, namedCurve = '' } = publicKey.asymmetricKeyDetails ?? {}
  return modulusLength ?? CURVE_BITS[namedCurve] ?? 0
}

function withChanges(template: Data, changes: Data): Data {
  const data: Record<string, unknown> = { ...template }
  // Both say when it ends; the change counts.
  if (Object.hasOwn(changes, 'not_after')) delete data.ttl
  const isTypeOther = Object.hasOwn(changes, 'key_type') && changes.key_type !== template.key_type
  if (isTypeOther) delete data.key_bits
  return { ...data, ...changes }
}
