import { createPrivateKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import { Files, openAuthority } from '../authority.ts'

const kinds = [
  { key_type: 'rsa' },
  { key_type: 'rsa', key_bits: 3_072, signature_bits: 384 },
  { key_type: 'rsa', use_pss: true, signature_bits: 512 },
  { key_type: 'ec', key_bits: 224 },
  { key_type: 'ec' },
  { key_type: 'ec', key_bits: 384 },
  { key_type: 'ec', key_bits: 521 },
  { key_type: 'ed25519' },
]

t.test('a root of every kind of key is one to OpenSSL', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  for (const kind of kinds) {
    const { status, body } = await secrets.post('pki/root/generate/internal', {
      ...{ common_name: 'Root X', ttl: '87600h' },
      ...kind,
    })
    t.equal(status, 200, JSON.stringify(kind))
    const { certificate, serial_number } = body.data
    t.equal(files.verdict(certificate, { roots: [certificate] }), 'OK', JSON.stringify(kind))
    const shown = files.shown(certificate)
    t.match(shown, /CA:TRUE/)
    t.match(shown, /Certificate Sign, CRL Sign/)
    t.ok(shown.includes(serial_number))
    t.notOk(Object.hasOwn(body.data, 'private_key'))
  }
})

t.test('every field of a root stands in its certificate', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  await secrets.post('pki/config/urls', {
    issuing_certificates: 'https://a.example/ca',
    crl_distribution_points: ['https://a.example/crl', 'https://b.example/crl'],
    delta_crl_distribution_points: 'https://a.example/delta',
    ocsp_servers: 'https://a.example/ocsp',
  })
  const { body } = await secrets.post('pki/root/generate/internal', {
    common_name: 'Ünï.example',
    alt_names: 'a.example.com, b c,foo@x.example,*.w.example',
    ip_sans: '192.0.2.4,2001:db8::1',
    uri_sans: ['spiffe://x/y'],
    other_sans: '1.3.6.1.4.1.311.20.2.3;utf8:ann@example.com',
    ou: 'one,two',
    organization: 'Example',
    country: 'CH',
    locality: 'Bern',
    province: 'BE',
    street_address: 'Gasse 1',
    postal_code: '3000',
    serial_number: '7',
    key_type: 'ec',
    not_before: '2026-01-02T03:04:05Z',
    not_after: '2036-01-02T03:04:05+01:00',
    max_path_length: 3,
    key_usage: 'DigitalSignature,KeyAgreement',
    ext_key_usage: 'ServerAuth,ExtKeyUsageClientAuth',
    ext_key_usage_oids: '1.3.6.1.5.5.7.3.17',
    permitted_dns_domains: 'example.com,.example.org',
    excluded_dns_domains: 'bad.example.com',
    permitted_ip_ranges: '192.0.2.0/24',
    excluded_ip_ranges: ['2001:db8::/32'],
    permitted_email_addresses: 'example.com',
    excluded_email_addresses: 'bad@example.com',
    permitted_uri_domains: '.example.com',
    excluded_uri_domains: 'x.example.com',
  })
  const shown = files.shown(body.data.certificate)
  for (const part of [
    /Subject: C ?= ?CH, O ?= ?Example, OU ?= ?one \+ OU ?= ?two, L ?= ?Bern, ST ?= ?BE, street/,
    /street ?= ?Gasse 1, postalCode ?= ?3000, CN ?= ?\\C3\\9Cn\\C3\\AF.example, serialNumber ?= ?7/,
    /Not Before: Jan {2}2 03:04:05 2026 GMT/,
    /Not After : Jan {2}2 02:04:05 2036 GMT/,
    /Digital Signature, Certificate Sign, CRL Sign/,
    /TLS Web Server Authentication, TLS Web Client Authentication, ipsec Internet Key Exchange/,
    /CA:TRUE, pathlen:3/,
    /DNS:xn--n-nga1b.example, DNS:a.example.com, DNS:\*.w.example, email:foo@x.example, IP/,
    /IP Address:192.0.2.4, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe:\/\/x\/y/,
    /othername: UPN::ann@example.com/,
    /CA Issuers - URI:https:\/\/a.example\/ca/,
    /OCSP - URI:https:\/\/a.example\/ocsp/,
    /X509v3 CRL Distribution Points:[^X]*https:\/\/a.example\/crl[^X]*https:\/\/b.example\/crl/,
    /X509v3 Freshest CRL:[^X]*https:\/\/a.example\/delta/,
    /Name Constraints: critical/,
    /Permitted:\s+DNS:example.com\s+DNS:.example.org\s+IP:192.0.2.0\/255.255.255.0\s+email:exam/,
    /email:example.com\s+URI:.example.com\s+Excluded:\s+DNS:bad.example.com\s+IP:2001:DB8/,
    /IP:2001:DB8:[0:]*\/FFFF:FFFF:[0:]*\s+email:bad@example.com\s+URI:x.example.com/,
  ]) {
    t.match(shown, part)
  }
  t.strictSame(body.warnings, [
    'A certificate authority may not have these key usages: keyAgreement',
  ])
  t.equal(body.data.expiration, Date.parse('2036-01-02T02:04:05Z') / 1_000)
})

t.test('formats tell the same certificate and key', async t => {
  const secrets = await openAuthority(t)
  const make = async (more: Record<string, string>) => {
    const asked = { common_name: 'Root X', key_type: 'ec', ...more }
    return (await secrets.post('pki/root/generate/exported', asked)).body.data
  }
  const pem = await make({})
  const key = createPrivateKey(pem.private_key)
  t.match(pem.private_key, /^-----BEGIN EC PRIVATE KEY-----/)
  t.equal(pem.private_key_type, 'ec')
  t.ok(new X509Certificate(pem.certificate).checkPrivateKey(key))
  t.equal(pem.certificate, pem.issuing_ca)
  const bundle = await make({ format: 'pem_bundle', private_key_format: 'pkcs8' })
  t.match(bundle.private_key, /^-----BEGIN PRIVATE KEY-----/)
  t.equal(bundle.certificate, `${bundle.private_key}\n${bundle.issuing_ca}`)
  const der = await make({ format: 'der', private_key_format: 'pkcs8' })
  const read = createPrivateKey({
    key: Buffer.from(der.private_key, 'base64'),
    format: 'der',
    type: 'pkcs8',
  })
  t.ok(new X509Certificate(Buffer.from(der.certificate, 'base64')).checkPrivateKey(read))
  const old = await make({ format: 'der', key_type: 'rsa' })
  const rsa = createPrivateKey({
    key: Buffer.from(old.private_key, 'base64'),
    format: 'der',
    type: 'pkcs1',
  })
  t.equal(rsa.asymmetricKeyType, 'rsa')
})

t.test('the first is the default; rotation names the next, which replaces it', async t => {
  const secrets = await openAuthority(t)
  const make = async (at: string, more: Record<string, string> = {}) =>
    (await secrets.post(at, { common_name: 'Root', key_type: 'ec', ...more })).body.data
  const first = await make('pki/root/generate/internal', { issuer_name: 'one', key_name: 'k1' })
  const second = await make('pki/root/rotate/internal')
  t.equal(second.issuer_name, 'next')
  t.equal((await make('pki/root/rotate/internal')).issuer_name, '', 'somebody is called so')
  const config = () => secrets.read('pki/config/issuers')
  t.equal((await config()).body.data.default, first.issuer_id)
  const replaced = await secrets.post('pki/root/replace')
  t.equal(replaced.body.data.default, second.issuer_id)
  t.equal((await config()).body.data.default, second.issuer_id)
  await secrets.post('pki/config/issuers', {
    default: 'one',
    default_follows_latest_issuer: true,
  })
  const third = await make('pki/issuers/generate/root/internal')
  t.equal((await config()).body.data.default, third.issuer_id)
  const again = await secrets.post('pki/root/generate/existing', {
    common_name: 'Root',
    key_ref: 'k1',
  })
  t.equal(again.body.data.key_id, first.key_id)
  t.equal(again.body.data.key_name, 'k1')
  const ended = await secrets.remove('pki/root')
  t.match(ended.body.warnings[0], /^DELETE \/root deletes all keys and issuers/)
  t.equal((await secrets.list('pki/issuers')).status, 404)
  t.equal((await secrets.list('pki/keys')).status, 404)
  t.equal((await config()).body.data.default, '')
  t.equal((await secrets.read('pki/ca/pem')).status, 204)
})

t.test('the mount bounds how long one lives, and says so', async t => {
  const secrets = await openAuthority(t)
  await secrets.mount('pki', 'short/')
  const { body } = await secrets.post('short/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec', ttl: '87600h' },
  })
  t.equal(
    body.warnings[0],
    'TTL "87600h0m0s" is longer than permitted maxTTL "768h0m0s", so maxTTL is being used',
  )
  t.match(body.warnings[1], /^This mount hasn't configured any authority information access/)
  const livesS = body.data.expiration - Date.now() / 1_000
  t.ok(Math.abs(livesS - 768 * 3_600) < 60)
  const empty = await secrets.post('pki/root/generate/internal', {
    key_type: 'ec',
    max_path_length: 0,
  })
  t.match(empty.body.warnings.join('\n'), /without a Subject/)
  t.match(empty.body.warnings.join('\n'), /Max path length of the generated certificate is zero/)
})

t.test('what is refused of a root', async t => {
  const secrets = await openAuthority(t)
  await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'taken', key_name: 'taken' },
  })
  const rows = secrets.rows().length
  const cases: [object, string, string?][] = [
    [{ key_type: 'foo' }, 'unknown key type foo'],
    [{ key_bits: 3 }, 'unsupported bit length for EC key: 3'],
    [
      { key_type: 'rsa', key_bits: 1_024 },
      'RSA keys < 2048 bits are unsafe and not supported: got 1024',
    ],
    [{ key_type: 'rsa', key_bits: 2_049 }, 'unsupported bit length for RSA key: 2049'],
    [{ key_type: 'rsa', signature_bits: 5 }, 'unsupported hash signature algorithm: 5'],
    [
      { ttl: '1h', not_after: '2030-01-01T00:00:00Z' },
      'Either ttl or not_after should be provided. Both should not be provided in the same request.',
    ],
    [{ not_after: 'garbage' }, 'not_after is not a time such as'],
    [{ not_after: '2020-01-01T00:00:00Z' }, "is later than the certificate's Not After"],
    [{ issuer_name: 'Default' }, "reserved keyword 'default' can not be used as issuer name"],
    [{ issuer_name: '' }, 'expected non-empty issuer name'],
    [{ issuer_name: 'a/b' }, 'issuer name contained invalid characters'],
    [{ issuer_name: 'taken' }, 'issuer name already in use'],
    [{ key_name: 'a/b' }, 'key name contained invalid characters'],
    [{ key_name: 'default' }, "reserved keyword 'default' can not be used as key name"],
    [{ key_name: 'taken' }, 'key name already in use'],
    [{ format: 'x' }, 'the "format" path parameter must be "pem", "der", or "pem_bundle"'],
    [{ ip_sans: '1.2.3' }, 'the value "1.2.3" is not a valid IP address'],
    [{ uri_sans: 'no uri' }, 'is not a valid URI'],
    [{ other_sans: 'x' }, 'could not parse requested other SAN: expected a semicolon'],
    [{ other_sans: '1.2;utf8' }, 'expected a colon'],
    [{ other_sans: '1.2;ia5:x' }, 'only utf8 other SANs are supported'],
    [{ other_sans: 'x;utf8:x' }, 'not an object identifier'],
    [{ ext_key_usage_oids: 'x' }, 'is no object identifier'],
    [{ permitted_ip_ranges: '1.2.3.4/99' }, 'invalid CIDR address: 1.2.3.4/99'],
    [{ permitted_dns_domains: 'ü.example' }, 'is no name constraint'],
    [{ permitted_email_addresses: ['a\u0001'] }, 'is no name constraint'],
    [{ alt_names: 'a@x\u0001' }, 'is no email address'],
    [{ common_name: 'a\ud800' }, 'it cannot stand in a certificate'],
    [{}, 'the "exported" path parameter must be', 'foo'],
    [{ key_type: 'ec' }, 'key_type nor key_bits arguments can be set in this mode', 'existing'],
    [{ key_ref: 'nobody' }, 'unable to find PKI key for reference: nobody', 'existing'],
  ]
  for (const [more, text, kind = 'internal'] of cases) {
    const usual = kind === 'existing' ? {} : { key_type: 'ec' }
    const { status, body } = await secrets.post(`pki/root/generate/${kind}`, {
      ...{ common_name: 'Root', ...usual },
      ...more,
    })
    t.equal(status, 400, text)
    t.ok(body.errors[0]?.includes(text), `${text} | ${body.errors[0]}`)
  }
  t.equal(secrets.rows().length, rows, 'nothing was kept')
  const kms = await secrets.post('pki/root/generate/kms', { common_name: 'Root' })
  t.equal(kms.status, 501)
})

t.test('templates of addresses are filled in, or the root says none', async t => {
  const secrets = await openAuthority(t)
  const make = () =>
    secrets.post('pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  await secrets.post('pki/config/urls', {
    issuing_certificates: '{{cluster_aia_path}}/issuer/{{issuer_id}}/der',
    enable_templating: true,
  })
  const lacking = await make()
  t.equal(lacking.status, 400)
  t.match(lacking.body.errors[0], /unable to parse AIA URL information: .*\(aia_path\)/)
  await secrets.post('pki/config/cluster', { aia_path: 'http://cdn.example/pki' })
  const ignored = await make()
  t.match(ignored.body.warnings[0], /This AIA configuration has been ignored/)
  await secrets.post('pki/config/urls', { issuing_certificates: '{{cluster_aia_path}}/ca/der' })
  const filled = await make()
  const { infoAccess } = new X509Certificate(filled.body.data.certificate)
  t.equal(infoAccess, 'CA Issuers - URI:http://cdn.example/pki/ca/der')
})
