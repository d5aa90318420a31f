/**
 * Roles: what certificates a mount gives to those who may ask by one.
 *
 * Owns the fields of a role with their defaults, the row, what is wrong about one, and how it is
 * shown. A row keeps the names of the API: what is read is what was written, type by type. Pure.
 * Follows api-docs/secret/pki ("Create/Update role") of Vault's docs.
 */
import { Refusal } from '../../../../base/errors.ts'
import { isOid } from '../../../../x509/encode.ts'
import { bool, dur, type Field, int, type Json, list, str, toSeconds } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { Storage } from '../../../storage.ts'
import { bad } from '../refusals.ts'
import { cidrText, isRange, parseOtherName } from './names.ts'
import { refusePolicies } from './policies.ts'
import { momentOf, notAMoment } from './times.ts'

const yes = { initial: true }
const no = { initial: false }
const none: { initial: readonly string[] } = { initial: [] }

const textList = list('')

/** Identifiers of policies: a list, or a JSON text of objects, of which each is kept as text. */
const policyList: Field<readonly string[]> = {
  ...list('Policies: identifiers, or a JSON list of objects with `oid`, `cps` and `notice`.', none),
  convert(value) {
    const entries = typeof value === 'string' ? parsedList(value) : value
    if (!Array.isArray(entries)) return textList.convert(value)
    return textList.convert(
      entries.map(entry => (typeof entry === 'object' ? JSON.stringify(entry) : entry)),
    )
  },
}

function parsedList(text: string): Json[] | undefined {
  if (!/^\s*\[/.test(text)) return undefined
  try {
    return JSON.parse(text) as Json[]
  } catch {
    return undefined
  }
}

/** What a role says, with what holds where nothing is said. */
export const roleFields = {
  ttl: dur("How long a certificate holds where a request does not say; 0 for the mount's.", {
    initial: 0,
  }),
  max_ttl: dur("The longest that one may hold; 0 for the mount's.", { initial: 0 }),
  allow_token_displayname: bool('Whether the display name of who asks is a domain.', no),
  allow_localhost: bool('Whether `localhost` and `localdomain` are domains.', yes),
  allowed_domains: list('Domains that names may be of.', none),
  allowed_domains_template: bool('Whether domains are templates over who asks.', no),
  allow_bare_domains: bool('Whether a name may be a domain itself.', no),
  allow_subdomains: bool('Whether a name may stand below a domain.', no),
  allow_glob_domains: bool('Whether `*` in a domain stands for any text.', no),
  allow_wildcard_certificates: bool('Whether names may have a wildcard (RFC 6125, 6.4.3).', yes),
  allow_any_name: bool('Whether names may be of any domain.', no),
  enforce_hostnames: bool('Whether names must be names of hosts.', yes),
  allow_ip_sans: bool('Whether IP addresses are given.', yes),
  allowed_ip_sans_cidr: list('Ranges that IP addresses must be in; none for all.', none),
  allowed_uri_sans: list('Patterns of URIs that are given; none for no URIs.', none),
  allowed_uri_sans_template: bool('Whether patterns of URIs are templates over who asks.', no),
  allowed_other_sans: list('Other names: `*`, or `<oid>;UTF8:<pattern>`.', none),
  allowed_serial_numbers: list("Patterns of serial numbers of the certificate's subject.", none),
  allowed_user_ids: list('Patterns of user ids in the subject.', none),
  server_flag: bool('Whether a certificate is one of a TLS server.', yes),
  client_flag: bool('Whether it is one of a TLS client.', yes),
  code_signing_flag: bool('Whether it is to sign code.', no),
  email_protection_flag: bool('Whether it is to sign and encrypt mail.', no),
  key_type: str('The kind of keys: `rsa`, `ec`, `ed25519` or `any`.', { initial: 'rsa' }),
  key_bits: int('The size of keys; 0 for 2048 of `rsa` and 256 of `ec`.', { initial: 0 }),
  signature_bits: int('The hash of signatures by RSA: 256, 384 or 512; 0 for 256.', { initial: 0 }),
  use_pss: bool('Whether RSA signs by PSS.', no),
  key_usage: list('What the key is for (RFC 5280, 4.2.1.3), by names such as `CertSign`.', {
    initial: ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment'],
  }),
  ext_key_usage: list('Extended usages by name, such as `TimeStamping`.', none),
  ext_key_usage_oids: list('Extended usages by identifier.', none),
  use_csr_common_name: bool('Whether the common name is that of the CSR.', yes),
  use_csr_sans: bool('Whether alternative names are those of the CSR.', yes),
  ou: list('The organizational units of subjects.', none),
  organization: list('The organizations of subjects.', none),
  country: list('The countries of subjects.', none),
  locality: list('The localities of subjects.', none),
  province: list('The provinces of subjects.', none),
  street_address: list('The street addresses of subjects.', none),
  postal_code: list('The postal codes of subjects.', none),
  generate_lease: bool('Whether a certificate has a lease, whose end revokes it.', no),
  no_store: bool('Whether certificates are not kept: they are in no list and not revoked.', no),
  no_store_metadata: bool('Taken and shown: metadata is not kept.', yes),
  require_cn: bool('Whether a common name must be asked for.', yes),
  cn_validations: list('What a common name may be: `email`, `hostname`; or `disabled`.', {
    initial: ['email', 'hostname'],
  }),
  serial_number_source: str(
    "Where the subject's serial number is from: `json`, or `json-csr` for the CSR's too.",
    { initial: 'json-csr' },
  ),
  policy_identifiers: policyList,
  basic_constraints_valid_for_non_ca: bool(
    'Whether certificates say that they are of no authority.',
    no,
  ),
  not_before_duration: dur('How long before now a certificate begins to hold.', {
    initial: 30_000,
  }),
  not_before: str('When certificates begin to hold (RFC 3339).', { initial: '' }),
  not_before_bound: str('Whether requests say `not_before`: `permit`, `forbid` or `duration`.', {
    initial: 'permit',
  }),
  not_after: str('When certificates end (RFC 3339).', { initial: '' }),
  not_after_bound: str(
    'Whether requests say `not_after`: `permit`, `forbid`, `ttl-limited`, or a moment for the last.',
    { initial: 'permit' },
  ),
  issuer_ref: str('The issuer: an id, a name, or `default`.', { initial: 'default' }),
}

type Of<F> = F extends Field<infer T> ? T : never

/** A role; durations are in milliseconds. */
export type RoleRow = { readonly [K in keyof typeof roleFields]: Of<(typeof roleFields)[K]> }

const names = Object.keys(roleFields) as (keyof RoleRow)[]

/** A role of which nothing was said. */
export const DEFAULTS = Object.fromEntries(
  names.map(name => [name, roleFields[name].initial]),
) as unknown as RoleRow

/** Roles by name. */
export const ROLES = 'role/'

/** The role of a name; the same object as long as it stands. */
export const roleAt = (storage: Storage, name: string): RoleRow | undefined =>
  storage.kept<RoleRow>(ROLES + name)

const NAME = /^\w([\w.-]*\w)?$/

/** Whether a text can name a role. */
export const isRoleName = (text: string): boolean => NAME.test(text)

const DURATIONS = ['ttl', 'max_ttl', 'not_before_duration'] as const

/** A role as it is shown. */
export function showRole(role: RoleRow): Record<string, unknown> {
  const shown: Record<string, unknown> = { ...role }
  for (const name of DURATIONS) shown[name] = toSeconds(role[name])
  return shown
}

const shapes = { boolean: shape.bool, integer: shape.int, list: shape.texts, string: shape.text }

/** How a role is shown. */
export const roleShape = shape.object(
  Object.fromEntries(
    names.map(name => {
      const { type } = roleFields[name]
      return [name, shapes[(type === 'duration' ? 'integer' : type) as keyof typeof shapes]]
    }),
  ),
)

/** A role as it is kept, with what is said to who writes it. */
export interface Settled {
  readonly role: RoleRow
  readonly warnings: readonly string[]
}

/**
 * A role from what was said, with sizes of keys filled in and ranges in their one spelling; refused
 * where it could never give what it says.
 */
export function settle(said: RoleRow): Settled | Refusal {
  if (said.max_ttl > 0 && said.ttl > said.max_ttl) {
    return bad('"ttl" value must be less than "max_ttl" value')
  }
  const sizes = keySizes(said.key_type, said.key_bits, said.signature_bits)
  if (sizes instanceof Refusal) return sizes
  const refused =
    refuseOids(said.ext_key_usage_oids) ??
    refusePolicies(said.policy_identifiers) ??
    refuseOthers(said.allowed_other_sans) ??
    refuseTimes(said)
  if (refused !== undefined) return refused
  const ranges = said.allowed_ip_sans_cidr.map(text => (isRange(text) ? cidrText(text) : undefined))
  const wrong = ranges.indexOf(undefined)
  if (wrong !== -1) {
    const text = said.allowed_ip_sans_cidr[wrong]
    return bad(`error parsing allowed_ip_sans_cidr: invalid CIDR address: ${text}`)
  }
  const validations = validationsOf(said.cn_validations)
  if (validations instanceof Refusal) return validations
  if (!SOURCES.includes(said.serial_number_source)) {
    return bad(`invalid serial_number_source: ${said.serial_number_source}`)
  }
  const warnings: string[] = []
  if (said.generate_lease) warnings.push(said.no_store ? NO_LEASE : LEASES)
  const role: RoleRow = {
    ...said,
    key_bits: sizes.keyBits,
    signature_bits: sizes.signatureBits,
    allowed_ip_sans_cidr: ranges as string[],
    cn_validations: validations,
    generate_lease: said.generate_lease && !said.no_store,
    issuer_ref: said.issuer_ref === '' ? 'default' : said.issuer_ref,
  }
  return { role, warnings }
}

const SOURCES = ['json-csr', 'json']
const NO_LEASE =
  'mutually exclusive values no_store=true and generate_lease=true were both specified; no_store=true takes priority'
const LEASES =
  "it is encouraged to disable generate_lease and rely on PKI's native capabilities when possible; this option can cause instance-wide issues with large numbers of issued certificates"

export interface KeySizes {
  readonly keyBits: number
  readonly signatureBits: number
}

const RSA_BITS = [2048, 3072, 4096, 8192]
const EC_BITS = [224, 256, 384, 521]
const HASH_BITS = [256, 384, 512]

/** Sizes of a kind of keys and of the hash that is signed, where 0 stands for the usual one. */
export function keySizes(type: string, bits: number, hashBits: number): KeySizes | Refusal {
  switch (type) {
    case 'rsa': {
      const keyBits = bits === 0 ? 2048 : bits
      if (keyBits < 2048) {
        return bad(`RSA keys < 2048 bits are unsafe and not supported: got ${keyBits}`)
      }
      if (!RSA_BITS.includes(keyBits)) return bad(`unsupported bit length for RSA key: ${keyBits}`)
      const signatureBits = hashBits === 0 ? 256 : hashBits
      if (HASH_BITS.includes(signatureBits)) return { keyBits, signatureBits }
      return bad(`unsupported hash signature algorithm: ${signatureBits}`)
    }
    case 'ec': {
      const keyBits = bits === 0 ? 256 : bits
      if (!EC_BITS.includes(keyBits)) return bad(`unsupported bit length for EC key: ${keyBits}`)
      return { keyBits, signatureBits: hashBits }
    }
    case 'any':
    case 'ed25519':
      return { keyBits: bits, signatureBits: 0 }
    default:
      return bad(`unknown key type ${type}`)
  }
}

function refuseOids(oids: readonly string[]): Refusal | undefined {
  const wrong = oids.find(oid => !isOid(oid))
  if (wrong === undefined) return undefined
  const text = `${JSON.stringify(wrong)} could not be parsed as a valid oid`
  return bad(`${text} for an extended key usage`)
}

function refuseOthers(allowed: readonly string[]): Refusal | undefined {
  if (allowed.length === 1 && allowed[0] === '*') return undefined
  for (const text of allowed) {
    const parsed = parseOtherName(text)
    if (typeof parsed === 'string') return bad(`error parsing allowed_other_sans: ${parsed}`)
  }
  return undefined
}

const BEFORE_BOUNDS = ['permit', 'forbid', 'duration']
const AFTER_BOUNDS = ['permit', 'forbid', 'ttl-limited']

function refuseTimes(said: RoleRow): Refusal | undefined {
  const { not_before: before, not_after: after, not_after_bound: afterBound } = said
  if (!BEFORE_BOUNDS.includes(said.not_before_bound)) {
    return bad(
      'Unknown value for field `not_before_bound`. Possible values are `permit`, `forbid` or `duration`',
    )
  }
  if (!AFTER_BOUNDS.includes(afterBound) && momentOf(afterBound) === undefined) {
    return bad(
      'Unknown value for field `not_after_bound`. Possible values are `permit`, `forbid`, `ttl-limited`, or an explicit timestamp.',
    )
  }
  for (const [name, text] of [
    ['not_before', before],
    ['not_after', after],
  ] as const) {
    if (text !== '' && momentOf(text) === undefined) return notAMoment(name)
  }
  return undefined
}

function validationsOf(said: readonly string[]): readonly string[] | Refusal {
  if (said.length === 0) return DEFAULTS.cn_validations
  const wrong = (text: string): Refusal => bad(`cn_validations value incorrect: ${text}`)
  const lower = said.map(one => one.toLowerCase())
  for (const [at, one] of lower.entries()) {
    if (!['email', 'hostname', 'disabled'].includes(one)) {
      return wrong(`unknown type: \`${said[at]}\``)
    }
    if (lower.indexOf(one) !== at) return wrong(`\`${one}\` specified multiple times`)
  }
  if (lower.length > 1 && lower.includes('disabled')) {
    return wrong('cannot specify `disabled` along with `email` or `hostname`')
  }
  return lower
}
