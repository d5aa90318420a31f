/**
 * What requests for certificates of authorities, and for requests of such, may say.
 *
 * Owns the fields; what they come to is content.ts's. Names and defaults are Vault's.
 */
import { bool, dur, int, list, str } from '../../../field.ts'

export const issuerRef = str('An issuer: its id, its name, or `default`.', { initial: 'default' })
export const keyRef = str('A key: its id, its name, or `default`.', { initial: 'default' })

/** Names that a certificate is for. */
export const nameFields = {
  common_name: str('The common name of the subject.'),
  alt_names: str('Host names and e-mail addresses beside it, with commas between them.'),
  ip_sans: list('IP addresses that it is for.'),
  uri_sans: list('URIs that it is for.'),
  other_sans: list('Other names, each `<oid>;UTF8:<value>`.'),
  exclude_cn_from_sans: bool('Whether the common name stands in the subject alone.', {
    initial: false,
  }),
  serial_number: str("The subject's serialNumber; not the serial number of the certificate."),
  ou: list('OU of the subject.'),
  organization: list('O of the subject.'),
  country: list('C of the subject.'),
  locality: list('L of the subject.'),
  province: list('ST of the subject.'),
  street_address: list('STREET of the subject.'),
  postal_code: list('postalCode of the subject.'),
}

/** In which form the answer tells certificate and key. */
const formFields = {
  format: str('`pem`, `der` (in base64), or `pem_bundle` (the key before the certificate).', {
    initial: 'pem',
  }),
  private_key_format: str('`pkcs8`, or `der` or `pem` for the form of the kind of key.', {
    initial: 'der',
  }),
}

/** From when to when a certificate is valid. */
const lifeFields = {
  ttl: dur('How long it is valid; the mount has a bound.', { initial: 0 }),
  not_before: str('From when it is valid (RFC 3339).'),
  not_before_duration: dur('How long before now it begins.', { initial: 30_000 }),
  not_after: str('Until when it is valid (RFC 3339), instead of `ttl`.'),
}

/** How something is signed. */
const signatureFields = {
  signature_bits: int('The hash: 256, 384 or 512; 0 for the one that fits the key.', {
    initial: 0,
  }),
  use_pss: bool('Whether RSA signs by PSS.', { initial: false }),
}

const exported = str('`internal`, `exported` or `existing`.')

/** The key that is drawn, or used again. */
export const keyFields = {
  exported,
  key_type: str('`rsa`, `ec` or `ed25519`.', { initial: 'rsa' }),
  key_bits: int('Of RSA 2048, 3072, 4096 or 8192, of EC 224, 256, 384 or 521; 0 for the usual.', {
    initial: 0,
  }),
  key_name: str('A name for the key.'),
  key_ref: keyRef,
}

export const nameConstraintFields = {
  permitted_dns_domains: list('Domains that it may sign for.'),
  excluded_dns_domains: list('Domains that it may not sign for.'),
  permitted_ip_ranges: list('Ranges of addresses that it may sign for (CIDR).'),
  excluded_ip_ranges: list('Ranges of addresses that it may not sign for (CIDR).'),
  permitted_email_addresses: list('Mailboxes, hosts or domains of mail that it may sign for.'),
  excluded_email_addresses: list('Mailboxes, hosts or domains of mail that it may not sign for.'),
  permitted_uri_domains: list('Hosts or domains in URIs that it may sign for.'),
  excluded_uri_domains: list('Hosts or domains in URIs that it may not sign for.'),
}

/** What an authority may do. */
export const authorityFields = {
  ...nameConstraintFields,
  max_path_length: int('How many authorities may stand below it; -1 for any number.', {
    initial: -1,
  }),
  key_usage: list('Usages beside the signing of certificates and lists: `DigitalSignature`.'),
  ext_key_usage: list('Extended usages, by their names in Go.'),
  ext_key_usage_oids: list('Extended usages, by their identifiers.'),
}

export const issuerName = str('A name for the issuer.')

export const rootFields = {
  ...nameFields,
  ...formFields,
  ...lifeFields,
  ...keyFields,
  ...signatureFields,
  ...authorityFields,
  issuer_name: issuerName,
}

/** Of a request for a certificate: what only the certificate says is taken, and goes nowhere. */
export const intermediateFields = {
  ...nameFields,
  ...formFields,
  ...lifeFields,
  ...keyFields,
  signature_bits: signatureFields.signature_bits,
  add_basic_constraints: bool('Whether the request says that an authority is meant.', {
    initial: false,
  }),
}

export const signIntermediateFields = {
  ...nameFields,
  ...formFields,
  ...lifeFields,
  ...signatureFields,
  ...authorityFields,
  issuer_ref: issuerRef,
  issuer_name: issuerName,
  csr: str('The request, in PEM.', { initial: '' }),
  use_csr_values: bool('Whether subject, names and extensions are those of the request.', {
    initial: false,
  }),
  skid: str('The id of the key in the certificate, in hex, where it is not to be computed.'),
  enforce_leaf_not_after_behavior: bool(
    "Whether the issuer's own rule for what would outlive it holds here too.",
    { initial: false },
  ),
}

export const selfIssuedFields = {
  issuer_ref: issuerRef,
  certificate: str('The self-issued certificate, in PEM.', { initial: '' }),
  require_matching_certificate_algorithms: bool('Whether both keys must be of one kind.', {
    initial: false,
  }),
}

export const pageFields = {
  after: str('List only what stands behind this id.'),
  limit: int('List at most so many; 0 for all.'),
}
