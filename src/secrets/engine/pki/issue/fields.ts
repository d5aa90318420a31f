/**
 * What requests for certificates of a role may say.
 *
 * Owns the fields and the shape of answers; what they come to is wanted.ts's and give.ts's.
 */
import { bool, dur, int, list, str } from '../../../field.ts'
import * as shape from '../../../shape.ts'

const no = { initial: false }

/** Said of issuing and of signing alike. */
const common = {
  role: str('The role that is asked.'),
  issuer_ref: str('The issuer, where the path names one: its id, its name, or `default`.'),
  common_name: str('The common name of the subject: a host, or an e-mail address.', {
    initial: '',
  }),
  alt_names: str('Host names and e-mail addresses beside it, with commas between them.', {
    initial: '',
  }),
  ip_sans: list('IP addresses that it is for.', { initial: [] }),
  uri_sans: list('URIs that it is for.', { initial: [] }),
  other_sans: list('Other names, each `<oid>;UTF8:<value>`.', { initial: [] }),
  user_ids: list('User ids of the subject.', { initial: [] }),
  serial_number: str("The subject's serialNumber; not the serial number of the certificate.", {
    initial: '',
  }),
  exclude_cn_from_sans: bool('Whether the common name stands in the subject alone.', no),
  ttl: dur('How long it is valid; role and mount have bounds.', { initial: 0 }),
  not_before: str('From when it is valid (RFC 3339).', { initial: '' }),
  not_after: str('Until when it is valid (RFC 3339), instead of `ttl`.', { initial: '' }),
  format: str('`pem`, `der` (in base64), or `pem_bundle` (with key and chain).', {
    initial: 'pem',
  }),
  private_key_format: str('`pkcs8`, or `der` or `pem` for the form of the kind of key.', {
    initial: 'der',
  }),
  remove_roots_from_chain: bool('Whether the chain is told without who signed itself.', no),
}

/** With a key that is drawn here. */
export const issueFields = {
  ...common,
  key_type: str('The kind of key, where the role says `any`.'),
  key_bits: int('The size of the key, where the role says `any`.'),
}

/** For a key that stays where it is. */
export const signFields = {
  ...common,
  csr: str('The certificate signing request, in PEM.', { initial: '' }),
}

/** The same, where the request is taken as it stands. */
export const verbatimFields = {
  ...signFields,
  key_usage: list('What the key is for, where the CSR does not say.', {
    initial: ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment'],
  }),
  ext_key_usage: list('Extended usages by name, where the CSR does not say.', { initial: [] }),
  ext_key_usage_oids: list('Extended usages by identifier, where the CSR does not say.', {
    initial: [],
  }),
  signature_bits: int('The hash of signatures by RSA: 256, 384 or 512; 0 for 256.', {
    initial: 0,
  }),
  use_pss: bool('Whether RSA signs by PSS.', no),
  basic_constraints_valid_for_non_ca: bool(
    'Whether the certificate says that it is of no authority.',
    no,
  ),
}

/** What is told of a certificate that was signed. */
export const signedShape = {
  certificate: shape.text,
  issuing_ca: shape.text,
  ca_chain: shape.optional(shape.texts),
  serial_number: shape.text,
  not_before: shape.int,
  expiration: shape.int,
}

/** The same, with the key that was drawn for it. */
export const issuedShape = {
  ...signedShape,
  private_key: shape.text,
  private_key_type: shape.text,
}
