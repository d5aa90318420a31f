import t from 'tap'
import { DEFAULTS, roleFields } from '../../../../../src/secrets/engine/pki/role/row.ts'
import type { Json } from '../../../../../src/secrets/field.ts'
import { openAuthority } from '../authority.ts'

const NO_ISSUER =
  'Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set'

t.test('a role of which nothing is said has the defaults of the API', async t => {
  const secrets = await openAuthority(t)
  const made = await secrets.post('pki/roles/r')
  t.equal(made.status, 200)
  t.strictSame(made.body.warnings, [NO_ISSUER])
  const { body } = await secrets.read('pki/roles/r')
  t.strictSame(body.data, made.body.data)
  t.strictSame(Object.keys(body.data), Object.keys(roleFields))
  t.strictSame(body.data, {
    ...{ ttl: 0, max_ttl: 0, allow_token_displayname: false, allow_localhost: true },
    ...{ allowed_domains: [], allowed_domains_template: false, allow_bare_domains: false },
    ...{ allow_subdomains: false, allow_glob_domains: false, allow_wildcard_certificates: true },
    ...{ allow_any_name: false, enforce_hostnames: true, allow_ip_sans: true },
    ...{ allowed_ip_sans_cidr: [], allowed_uri_sans: [], allowed_uri_sans_template: false },
    ...{ allowed_other_sans: [], allowed_serial_numbers: [], allowed_user_ids: [] },
    ...{ server_flag: true, client_flag: true, code_signing_flag: false },
    ...{ email_protection_flag: false, key_type: 'rsa', key_bits: 2048, signature_bits: 256 },
    ...{ use_pss: false, key_usage: ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment'] },
    ...{ ext_key_usage: [], ext_key_usage_oids: [], use_csr_common_name: true },
    ...{ use_csr_sans: true, ou: [], organization: [], country: [], locality: [], province: [] },
    ...{ street_address: [], postal_code: [], generate_lease: false, no_store: false },
    ...{ no_store_metadata: true, require_cn: true, cn_validations: ['email', 'hostname'] },
    ...{ serial_number_source: 'json-csr', policy_identifiers: [] },
    ...{ basic_constraints_valid_for_non_ca: false, not_before_duration: 30, not_before: '' },
    ...{ not_before_bound: 'permit', not_after: '', not_after_bound: 'permit' },
    issuer_ref: 'default',
  })
})

/** A value of each field other than its default, and how it is told. */
const others: Readonly<Record<string, readonly [said: Json, told: unknown]>> = {
  ttl: ['1h', 3_600],
  max_ttl: [7_200, 7_200],
  allowed_domains: ['a.com, b.com', ['a.com', 'b.com']],
  allowed_ip_sans_cidr: [
    ['10.1.2.3/8', 'FD00::1/8'],
    ['10.0.0.0/8', 'fd00::/8'],
  ],
  allowed_uri_sans: [['spiffe://a/*'], ['spiffe://a/*']],
  allowed_other_sans: ['1.2.3;utf8:a*', ['1.2.3;utf8:a*']],
  allowed_serial_numbers: [
    ['a', 'b'],
    ['a', 'b'],
  ],
  allowed_user_ids: ['a', ['a']],
  key_type: ['ec', 'ec'],
  key_bits: ['384', 384],
  signature_bits: [512, 512],
  key_usage: ['', []],
  ext_key_usage: [['TimeStamping'], ['TimeStamping']],
  ext_key_usage_oids: ['1.2.3.4', ['1.2.3.4']],
  cn_validations: ['Disabled', ['disabled']],
  serial_number_source: ['json', 'json'],
  policy_identifiers: [
    '[{"oid":"1.2.3","notice":"hello, you"},{"oid":"1.2.4"}]',
    ['{"oid":"1.2.3","notice":"hello, you"}', '{"oid":"1.2.4"}'],
  ],
  not_before_duration: ['1m', 60],
  not_before: ['2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z'],
  not_before_bound: ['forbid', 'forbid'],
  not_after: ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59Z'],
  not_after_bound: ['ttl-limited', 'ttl-limited'],
  issuer_ref: ['other', 'other'],
}

/** The same of the fields that are like others. */
function otherOf(name: keyof typeof roleFields): readonly [Json, unknown] {
  if (Object.hasOwn(others, name)) return others[name]!
  const value = DEFAULTS[name]
  return typeof value === 'boolean'
    ? [String(!value), !value]
    : [
        ['x', 'y'],
        ['x', 'y'],
      ]
}

t.test('every field is read as it was written, and goes with the next write', async t => {
  const secrets = await openAuthority(t)
  const names = Object.keys(roleFields) as (keyof typeof roleFields)[]
  for (const name of names) {
    const [said, told] = otherOf(name)
    const more = name === 'key_bits' ? { key_type: 'ec' } : {}
    const { status, text } = await secrets.post('pki/roles/r', { [name]: said, ...more })
    t.equal(status, 200, `${name}: ${text}`)
    const { body } = await secrets.read('pki/roles/r')
    t.strictSame(body.data[name], told, name)
    t.notSame(told, DEFAULTS[name], `${name} is not what it is anyway`)
    t.equal((await secrets.ask('patch', 'pki/roles/r', { data: { ou: 'x' } })).status, 200, name)
    const patched = (await secrets.read('pki/roles/r')).body.data
    t.strictSame({ ...patched, ou: body.data.ou }, body.data, `patching leaves ${name}`)
  }
  await secrets.post('pki/roles/r')
  const { body } = await secrets.read('pki/roles/r')
  t.strictSame(body.data, {
    ...DEFAULTS,
    key_bits: 2048,
    signature_bits: 256,
    not_before_duration: 30,
  })
})

const wrong: readonly (readonly [Record<string, Json>, RegExp])[] = [
  [{ ttl: '2h', max_ttl: '1h' }, /^"ttl" value must be less than "max_ttl" value$/],
  [{ key_type: 'dsa' }, /^unknown key type dsa$/],
  [{ key_bits: 1024 }, /^RSA keys < 2048 bits are unsafe and not supported: got 1024$/],
  [{ key_bits: 2049 }, /^unsupported bit length for RSA key: 2049$/],
  [{ key_type: 'ec', key_bits: 255 }, /^unsupported bit length for EC key: 255$/],
  [{ signature_bits: 128 }, /^unsupported hash signature algorithm: 128$/],
  [{ ext_key_usage_oids: 'x' }, /^"x" could not be parsed as a valid oid/],
  [{ policy_identifiers: 'x' }, /^"x" could not be parsed as a policy identifier$/],
  [{ policy_identifiers: '1.2.3,1.2.3' }, /said twice/],
  [{ policy_identifiers: '[{"oid":1}]' }, /could not be parsed as a policy identifier$/],
  [{ allowed_other_sans: 'a' }, /^error parsing allowed_other_sans: expected a semicolon/],
  [{ allowed_other_sans: '1.2;utf16:a' }, /^error parsing allowed_other_sans: only utf8/],
  [{ allowed_other_sans: 'a;utf8:a' }, /^error parsing allowed_other_sans: not an object/],
  [{ allowed_ip_sans_cidr: '10.0.0.1' }, /^error parsing allowed_ip_sans_cidr: invalid CIDR/],
  [{ allowed_ip_sans_cidr: '10.0.0.1/33' }, /^error parsing allowed_ip_sans_cidr: invalid CIDR/],
  [{ cn_validations: 'none' }, /^cn_validations value incorrect: unknown type: `none`$/],
  [{ cn_validations: 'email,EMAIL' }, /`email` specified multiple times$/],
  [{ cn_validations: 'disabled,email' }, /^cn_validations value incorrect: cannot specify/],
  [{ serial_number_source: 'csr' }, /^invalid serial_number_source: csr$/],
  [{ not_before_bound: 'x' }, /^Unknown value for field `not_before_bound`/],
  [{ not_after_bound: 'ttl' }, /^Unknown value for field `not_after_bound`/],
  [{ not_after: 'tomorrow' }, /^not_after is not a time/],
  [{ not_before: '2030-02-31T00:00:00Z' }, /^not_before is not a time/],
  [{ ttl: 'x' }, /^Field validation failed: error converting input for field "ttl"/],
]

t.test('roles that could not give what they say are refused', async t => {
  const secrets = await openAuthority(t)
  for (const [said, text] of wrong) {
    const got = await secrets.post('pki/roles/r', said)
    t.equal(got.status, 400, JSON.stringify(said))
    t.match(got.text, text)
  }
  t.equal((await secrets.read('pki/roles/r')).status, 404)
  const patched = await secrets.ask('patch', 'pki/roles/r', { data: { ou: 'x' } })
  t.equal(patched.text, 'Unable to fetch role entry to patch')
  for (const name of ['-a', 'a-', 'a b', '.', 'a.', 'é']) {
    t.equal((await secrets.post(`pki/roles/${name}`)).status, 404, name)
  }
})

t.test('what is said of leases and issuers', async t => {
  const secrets = await openAuthority(t)
  const leased = await secrets.post('pki/roles/r', { generate_lease: true, issuer_ref: 'x' })
  t.equal(leased.body.data.generate_lease, true)
  t.match(leased.body.warnings, [/^Issuing Certificate was set to x but no/, /encouraged to dis/])
  const both = await secrets.post('pki/roles/r', { generate_lease: true, no_store: true })
  t.equal(both.body.data.generate_lease, false)
  t.match(both.body.warnings, [/^Issuing/, /^mutually exclusive values/])
  await secrets.post('pki/root/generate/internal', { common_name: 'R', key_type: 'ec' })
  t.equal((await secrets.post('pki/roles/r')).body.warnings, null)
})

t.test('roles are listed and deleted', async t => {
  const secrets = await openAuthority(t)
  t.equal((await secrets.list('pki/roles')).status, 404)
  for (const name of ['b', 'a', 'a.c']) await secrets.post(`pki/roles/${name}`)
  t.strictSame((await secrets.list('pki/roles')).body.data.keys, ['a', 'a.c', 'b'])
  const page = await secrets.list('pki/roles', { data: { after: 'a', limit: 1 } })
  t.strictSame(page.body.data.keys, ['a.c'])
  t.equal((await secrets.remove('pki/roles/a')).status, 204)
  t.equal((await secrets.remove('pki/roles/a')).status, 204)
  t.equal((await secrets.read('pki/roles/a')).status, 404)
})
