import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import t from 'tap'
import type { Json } from '../../../../../src/secrets/field.ts'
import { ExtensionOid } from '../../../../../src/x509/extension.ts'
import { keyKinds, needsOpenssl } from '../../../../x509/openssl.ts'
import { putHolder } from '../../../holder.ts'
import { Files, mountAuthority, openAuthority } from '../authority.ts'
import { serialsOfCold as stored } from '../cold-rows.ts'
import { certificateIn, csrPem, derOf, keyIn, makeRole, makeRoot } from './giving.ts'

const kinds = [
  { key_type: 'rsa', label: 'RSA PRIVATE KEY' },
  { key_type: 'ec', key_bits: 224, label: 'EC PRIVATE KEY' },
  { key_type: 'ec', label: 'EC PRIVATE KEY' },
  { key_type: 'ec', key_bits: 384, label: 'EC PRIVATE KEY' },
  { key_type: 'ec', key_bits: 521, label: 'EC PRIVATE KEY' },
  { key_type: 'ed25519', label: 'PRIVATE KEY' },
]

t.test('certificates of every kind, in every form', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  for (const { label, ...kind } of kinds) {
    await makeRole(secrets, 'web', kind)
    for (const format of ['pem', 'der', 'pem_bundle']) {
      for (const form of ['der', 'pkcs8']) {
        const what = `${JSON.stringify(kind)} ${format} ${form}`
        const said = { common_name: 'a.example.com', format, private_key_format: form }
        const { body } = await secrets.post('pki/issue/web', said)
        const { private_key, private_key_type, certificate, issuing_ca, ca_chain } = body.data
        t.equal(private_key_type, kind.key_type, what)
        const key = keyIn(private_key, private_key_type, form === 'pkcs8')
        const isDer = format === 'der'
        if (!isDer)
          t.ok(
            private_key.startsWith(
              `-----BEGIN ${form === 'pkcs8' ? '' : label.replace('PRIVATE KEY', '')}PRIVATE KEY-----\n`,
            ),
            what,
          )
        const own = isDer ? certificate : certificate.split(/(?<=-----END CERTIFICATE-----)/)[0]
        const pem = isDer ? pemFrom(own) : own.slice(own.indexOf('-----BEGIN CERT'))
        const read = new X509Certificate(pem)
        t.ok(read.checkPrivateKey(key), what)
        t.equal(files.verdict(pem, { roots: [root.certificate] }), 'OK', what)
        t.strictSame(ca_chain, [issuing_ca], what)
        t.equal(isDer ? pemFrom(issuing_ca) : issuing_ca, root.certificate, what)
        if (format !== 'pem_bundle') continue
        const blocks = certificate.match(/-----BEGIN [A-Z ]+-----/g)
        t.strictSame(
          blocks,
          [label, 'CERTIFICATE', 'CERTIFICATE'].map(name => `-----BEGIN ${name}-----`),
        )
      }
    }
  }
})

const pemFrom = (base64: string): string =>
  `-----BEGIN CERTIFICATE-----\n${base64.match(/.{1,64}/g)!.join('\n')}\n-----END CERTIFICATE-----`

t.test('what a certificate says is what its role says', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  await secrets.post('pki/config/urls', {
    issuing_certificates: 'http://pki.example.com/ca',
    crl_distribution_points: 'http://pki.example.com/crl',
    ocsp_servers: 'http://pki.example.com/ocsp',
  })
  await makeRole(secrets, 'all', {
    ...{ organization: 'Acme,Acme', ou: ['A', 'B'], country: 'DE', locality: 'L' },
    ...{ province: 'P', street_address: 'S 1', postal_code: '12345' },
    ...{ allowed_uri_sans: 'spiffe://td/*', allowed_other_sans: '1.2.3.4;utf8:dev*' },
    ...{ allowed_serial_numbers: 'n*', allowed_user_ids: 'ann', server_flag: false },
    ...{ code_signing_flag: true, email_protection_flag: true, ext_key_usage: 'TimeStamping' },
    ...{
      ext_key_usage_oids: '1.3.6.1.4.1.311.20.2.2',
      key_usage: 'DigitalSignature,encipheronly,KeyAgreement,nothing',
    },
    policy_identifiers: '[{"oid":"1.3.6.1.4.1.7.8","notice":"hello","cps":"http://cps"}]',
    ...{ basic_constraints_valid_for_non_ca: true, allow_bare_domains: true },
  })
  const { body } = await secrets.post('pki/issue/all', {
    common_name: 'ann@example.com',
    alt_names: 'www.example.com, *.example.com,bob@example.com',
    ip_sans: ['10.0.0.1', 'FD00:0::1', '::ffff:10.0.0.2'],
    uri_sans: 'spiffe://td/a,spiffe://td/b/c',
    other_sans: '1.2.3.4;UTF8:devops',
    ...{ serial_number: 'n1', user_ids: 'ann', ttl: '1h' },
  })
  const { certificate, serial_number, not_before, expiration } = body.data
  t.equal(files.verdict(certificate, { roots: [root.certificate] }), 'OK')
  const shown = files.shown(certificate)
  const wanted = [
    /Subject: C = DE, O = Acme, OU = A \+ OU = B, L = L, ST = P, street = S 1, postalCode = 12345, CN = ann@example.com, serialNumber = n1, UID = ann/,
    /X509v3 Key Usage: critical\n\s+Digital Signature, Key Agreement, Encipher Only\n/,
    /Extended Key Usage: \n\s+TLS Web Client Authentication, Code Signing, E-mail Protection, Time Stamping, Microsoft Smartcard Login\n/,
    /Basic Constraints: critical\n\s+CA:FALSE/,
    /DNS:www.example.com, DNS:\*.example.com, email:ann@example.com, email:bob@example.com, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1, IP Address:10.0.0.2, URI:spiffe:\/\/td\/a, URI:spiffe:\/\/td\/b\/c, othername: 1.2.3.4::devops/,
    /Policy: 1.3.6.1.4.1.7.8\n\s+CPS: http:\/\/cps\n\s+User Notice:\n\s+Explicit Text: hello/,
    /CA Issuers - URI:http:\/\/pki.example.com\/ca/,
    /OCSP - URI:http:\/\/pki.example.com\/ocsp/,
    /CRL Distribution Points: \n\s+Full Name:\n\s+URI:http:\/\/pki.example.com\/crl/,
  ]
  for (const part of wanted) t.match(shown, part)
  t.ok(shown.includes(serial_number))
  t.equal(expiration - not_before, 3_630)
})

t.test('a chain of two, told with and without its root', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  await mountAuthority(secrets, 'int/')
  const asked = await secrets.post('int/intermediate/generate/internal', { common_name: 'I' })
  const between = await secrets.post('pki/root/sign-intermediate', {
    ...{ csr: asked.body.data.csr, common_name: 'I', ttl: '4000h' },
  })
  const whole = [between.body.data.certificate, root.certificate].join('\n')
  const set = await secrets.post('int/intermediate/set-signed', { certificate: whole })
  t.equal(set.status, 200, set.text)
  await secrets.post('int/roles/web', { allow_any_name: true })
  const { body } = await secrets.post('int/issue/web', { common_name: 'a.example.com' })
  t.strictSame(body.data.ca_chain, [between.body.data.certificate, root.certificate])
  t.equal(body.data.issuing_ca, between.body.data.certificate)
  const chain = { roots: [root.certificate], between: [between.body.data.certificate] }
  t.equal(files.verdict(body.data.certificate, chain), 'OK')
  const said = { common_name: 'a.example.com', remove_roots_from_chain: true }
  const rootless = await secrets.post('int/issue/web', said)
  t.strictSame(rootless.body.data.ca_chain, [between.body.data.certificate])
  const alone = await secrets.post('pki/roles/web', { allow_any_name: true, key_type: 'ec' })
  t.equal(alone.status, 200)
  t.notOk(Object.hasOwn((await secrets.post('pki/issue/web', said)).body.data, 'ca_chain'))
})

t.test('the issuer is named by the role, or by the path', async t => {
  const secrets = await openAuthority(t)
  const one = await makeRoot(secrets, { issuer_name: 'one' })
  const two = await makeRoot(secrets, { issuer_name: 'two', common_name: 'Two' })
  await makeRole(secrets, 'first')
  await makeRole(secrets, 'second', { issuer_ref: 'two' })
  await makeRole(secrets, 'none', { issuer_ref: 'nobody' })
  const key = generateKeyPairSync('ed25519').privateKey
  await makeRole(secrets, 'any', { key_type: 'any', issuer_ref: 'two' })
  const csr = csrPem({ commonName: 'a.example.com' }, key)
  const said = { common_name: 'a.example.com', csr }
  const issuerAt = async (path: string): Promise<string> => {
    const { body, status, text } = await secrets.post(path, said)
    return status === 200 ? body.data.issuing_ca : text
  }
  t.equal(await issuerAt('pki/issue/first'), one.certificate)
  t.equal(await issuerAt('pki/issue/second'), two.certificate)
  t.equal(await issuerAt(`pki/issuer/${two.issuer_id}/issue/first`), two.certificate)
  t.equal(await issuerAt('pki/issuer/one/issue/second'), one.certificate)
  t.equal(await issuerAt('pki/issuer/default/issue/second'), one.certificate)
  t.equal(await issuerAt('pki/sign/any'), two.certificate)
  t.equal(await issuerAt('pki/issuer/one/sign/any'), one.certificate)
  t.equal(await issuerAt('pki/sign-verbatim'), one.certificate)
  t.equal(await issuerAt('pki/sign-verbatim/any'), two.certificate)
  t.equal(await issuerAt('pki/issuer/two/sign-verbatim'), two.certificate)
  t.equal(await issuerAt('pki/issuer/one/sign-verbatim/any'), one.certificate)
  const missing =
    'could not fetch the CA certificate (was one set?): unable to find PKI issuer for reference: nobody'
  t.equal(await issuerAt('pki/issue/none'), missing)
  t.equal(await issuerAt('pki/issuer/nobody/issue/first'), missing)
  t.equal(await issuerAt('pki/issue/gone'), 'unknown role: gone')
  t.equal(await issuerAt('pki/sign/gone'), 'unknown role: gone')
  t.equal(await issuerAt('pki/sign-verbatim/gone'), 'unknown role: gone')
  await secrets.post('pki/issuer/two', { usage: 'read-only,crl-signing', issuer_name: 'two' })
  t.match(await issuerAt('pki/issue/second'), /requested usage issuing-certificates/)
})

const refused: readonly (readonly [Record<string, Json>, string])[] = [
  [{ common_name: 'a.example.net' }, 'common name a.example.net not allowed by this role'],
  [
    {},
    'the common_name field is required, or must be provided in a CSR with "use_csr_common_name" set to true, unless "require_cn" is set to false',
  ],
  [{ alt_names: 'b.evil.com' }, 'subject alternate name b.evil.com not allowed by this role'],
  [{ alt_names: 'a@evil.com' }, 'email address a@evil.com not allowed by this role'],
  [
    { alt_names: 'a_b.example.com' },
    'subject alternate name a_b.example.com not allowed by this role',
  ],
  [{ ip_sans: '10.0.0' }, 'the value "10.0.0" is not a valid IP address'],
  [
    { uri_sans: 'urn:a' },
    'URI Subject Alternative Names are not allowed in this role, but were provided via the API',
  ],
  [{ other_sans: '1.2.3;UTF8:a' }, 'other SAN OID 1.2.3 not allowed by this role'],
  [
    { other_sans: 'a' },
    'could not parse requested other SAN: expected a semicolon in other SAN "a"',
  ],
  [{ serial_number: 'a' }, 'serial_number a not allowed by this role'],
  [{ user_ids: 'a' }, 'user_id a is not allowed by this role'],
  [{ format: 'x' }, 'the "format" path parameter must be "pem", "der", or "pem_bundle"'],
  [
    { ttl: '1h', not_after: '2030-01-01T00:00:00Z' },
    'Either ttl or not_after should be provided. Both should not be provided in the same request.',
  ],
]

t.test('what a role does not give is refused, and nothing is kept', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'web')
  const [before, kept] = [secrets.rows(), await stored(secrets)]
  for (const [said, text] of refused) {
    const usual = Object.keys(said).length === 0 ? {} : { common_name: 'a.example.com' }
    const got = await secrets.post('pki/issue/web', { ...usual, ...said })
    t.equal(got.status, 400, text)
    t.equal(got.text, text)
  }
  t.strictSame(secrets.rows(), before)
  t.strictSame(await stored(secrets), kept)
})

t.test('how much a certificate may say', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'any', { allow_any_name: true, cn_validations: 'disabled' })
  const names = (count: number): string => Array.from({ length: count }, (_, i) => `a${i}.b`).join()
  const cases = [
    [{ common_name: 'a', alt_names: names(1_024) }, ''],
    [{ common_name: 'a', alt_names: names(1_025) }, 'a certificate has at most 1024 names'],
    [{ common_name: `${'a b '.repeat(512)}` }, ''],
    [{ common_name: `${'a b '.repeat(512)}c` }, 'a name has at most 2048 characters'],
    [
      { common_name: 'a', alt_names: `a@${'b'.repeat(2_048)}` },
      'a name has at most 2048 characters',
    ],
  ] as const
  for (const [said, text] of cases) {
    const more = { exclude_cn_from_sans: true }
    const got = await secrets.post('pki/issue/any', { ...said, ...more })
    t.equal(got.status === 200 ? '' : got.text, text)
  }
})

t.test('a role for any kind of key needs a kind', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'any', { key_type: 'any' })
  await makeRole(secrets, 'one')
  const said = { common_name: 'a.example.com' }
  const none = await secrets.post('pki/issue/any', said)
  t.match(none.text, /^role key type "any" not allowed for issuing certificates without/)
  const wrong = await secrets.post('pki/issue/any', { ...said, key_type: 'ec', key_bits: 100 })
  t.equal(wrong.text, 'unsupported bit length for EC key: 100')
  const given = await secrets.post('pki/issue/any', { ...said, key_type: 'ec', key_bits: 384 })
  const { publicKey } = new X509Certificate(given.body.data.certificate)
  t.equal(publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1')
  const ignored = await secrets.post('pki/issue/one', { ...said, key_type: 'rsa' })
  t.strictSame(ignored.body.warnings, [
    'parameters key_type and key_bits ignored as role had specific values',
  ])
  t.equal(ignored.body.data.private_key_type, 'ec')
})

t.test('a CSR of every kind of key is signed', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  await makeRole(secrets, 'any', { key_type: 'any' })
  for (const [name, make] of Object.entries(keyKinds)) {
    const { privateKey, publicKey } = make()
    const names = { dnsNames: ['a.example.com', 'b.example.com'], addresses: ['10.0.0.1'] }
    const csr = csrPem({ commonName: 'a.example.com' }, privateKey, { names })
    const { status, text, body } = await secrets.post('pki/sign/any', { csr, ttl: '1h' })
    t.equal(status, 200, `${name}: ${text}`)
    const { certificate } = body.data
    t.equal(files.verdict(certificate, { roots: [root.certificate] }), 'OK', name)
    t.ok(new X509Certificate(certificate).publicKey.equals(publicKey))
    t.strictSame(certificateIn(certificate).names.dnsNames, names.dnsNames)
    t.notOk(Object.hasOwn(body.data, 'private_key'))
  }
})

t.test('keys of CSRs that a role does not take', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'rsa', { key_type: 'rsa', key_bits: 3072 })
  await makeRole(secrets, 'ec', { key_type: 'ec', key_bits: 384 })
  await makeRole(secrets, 'ed', { key_type: 'ed25519' })
  await makeRole(secrets, 'any', { key_type: 'any', key_bits: 521 })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
  const textOf = async (role: string, key: typeof rsa): Promise<string> => {
    const csr = csrPem({ commonName: 'a.example.com' }, key)
    const { status, text } = await secrets.post(`pki/sign/${role}`, { csr })
    return status === 200 ? 'signed' : text
  }
  const tooSmall = (least: number, is: number): string =>
    `role requires a minimum of a ${least}-bit key, but CSR's key is ${is} bits`
  t.equal(await textOf('rsa', ec), 'role requires keys of type rsa')
  t.equal(await textOf('ec', rsa), 'role requires keys of type ec')
  t.equal(await textOf('ed', ec), 'role requires keys of type ed25519')
  t.equal(await textOf('rsa', rsa), tooSmall(3072, 2048))
  t.equal(await textOf('ec', ec), tooSmall(384, 256))
  t.equal(await textOf('any', small), tooSmall(2048, 1024))
  t.equal(await textOf('any', ec), 'signed', 'its size is meant for keys that are drawn')
  t.match(await textOf('any', odd), /^Unknown key type in CSR/)
})

t.test('what is no CSR', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'any', { key_type: 'any' })
  const key = generateKeyPairSync('ed25519').privateKey
  const csr = csrPem({ commonName: 'a.example.com' }, key)
  const der = derOf(csr)
  der[der.length - 1]! ^= 1
  const label = 'CERTIFICATE REQUEST'
  const forged = `-----BEGIN ${label}-----\n${der.toString('base64')}\n-----END ${label}-----`
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /^"csr" is empty$/],
    ['hello', /^csr contains no data$/],
    [csr.slice(0, 80), /^certificate request could not be parsed: /],
    [forged, /^request signature invalid$/],
    [csr.replaceAll('CERTIFICATE REQUEST', 'X').replace(/^M.*$/m, ''), /could not be parsed/],
  ]
  for (const path of ['pki/sign/any', 'pki/sign-verbatim']) {
    for (const [text, wanted] of cases) {
      const got = await secrets.post(path, { csr: text })
      t.equal(got.status, 400)
      t.match(got.text, wanted)
    }
  }
})

t.test('what of a CSR counts is for the role to say', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'csr', { key_type: 'any', allowed_ip_sans_cidr: '10.0.0.0/8' })
  await makeRole(secrets, 'said', {
    ...{ key_type: 'any', use_csr_sans: false, use_csr_common_name: false },
  })
  const key = generateKeyPairSync('ed25519').privateKey
  const names = { dnsNames: ['csr.example.com'], addresses: ['10.0.0.1'] }
  const subject = { commonName: 'cn.example.com', organizations: ['Evil'] }
  const more = { names, isAuthority: true, usages: ['keyCertSign'] as const }
  const csr = csrPem(subject, key, more)
  const said = { csr, common_name: 'said.example.com', alt_names: 'alt.example.com' }
  const ofCsr = await secrets.post('pki/sign/csr', said)
  const one = certificateIn(ofCsr.body.data.certificate)
  t.strictSame(one.subjectName, [['CN', 'cn.example.com']])
  t.strictSame(one.names.dnsNames, ['csr.example.com', 'cn.example.com'])
  t.equal(one.isAuthority, false)
  t.strictSame(one.usages, ['digitalSignature', 'keyEncipherment', 'keyAgreement'])
  t.strictSame(ofCsr.body.warnings, [
    'specified CSR contained a Basic Constraints extension that was ignored during issuance',
    'the common_name field was provided but the role is set with "use_csr_common_name" set to true',
    'the alt_names field was provided but the role is set with "use_csr_sans" set to true',
  ])
  const two = certificateIn((await secrets.post('pki/sign/said', said)).body.data.certificate)
  t.strictSame(two.subjectName, [['CN', 'said.example.com']])
  t.strictSame(two.names.dnsNames, ['said.example.com', 'alt.example.com'])
  t.strictSame(two.names.addresses, [])
  const outside = csrPem(subject, key, { names: { addresses: ['10.0.0.1', '11.0.0.1'] } })
  const got = await secrets.post('pki/sign/csr', { csr: outside })
  t.equal(got.text, 'the IP address "11.0.0.1" is not allowed in this role')
})

t.test('a CSR that is taken as it stands', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const root = await makeRoot(secrets)
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const csr = csrPem({ commonName: 'what ever', organizations: ['Own'] }, key, {
    names: { dnsNames: ['anything.test'], addresses: ['1.1.1.1'], uris: ['urn:x'] },
    ...{ isAuthority: true, usages: ['digitalSignature'], extendedUsages: ['OCSPSigning'] },
    extra: [
      { oid: '1.2.3.4', critical: false, value: Buffer.of(5, 0) },
      {
        oid: ExtensionOid.authorityKeyId,
        critical: false,
        value: Buffer.from('30048002aabb', 'hex'),
      },
    ],
  })
  const { body } = await secrets.post('pki/sign-verbatim', { csr, ttl: '1h' })
  const { certificate } = body.data
  t.equal(files.verdict(certificate, { roots: [root.certificate] }), 'OK')
  const read = certificateIn(certificate)
  t.strictSame(read.subjectName, [
    ['O', 'Own'],
    ['CN', 'what ever'],
  ])
  t.strictSame(read.names.dnsNames, ['anything.test'])
  t.strictSame(read.usages, ['digitalSignature'])
  t.strictSame(read.extendedUsages, ['OCSPSigning'])
  t.equal(read.isAuthority, false)
  t.ok(read.authorityKeyId?.equals(certificateIn(root.certificate).subjectKeyId!))
  t.ok(read.extensions.some(({ oid }) => oid === '1.2.3.4'))
  const bare = csrPem({ commonName: 'bare' }, key)
  const said = {
    key_usage: 'KeyAgreement',
    ext_key_usage: 'ClientAuth',
    ext_key_usage_oids: '1.2.3',
  }
  const plain = await secrets.post('pki/sign-verbatim', { csr: bare, ...said })
  const second = certificateIn(plain.body.data.certificate)
  t.strictSame(second.usages, ['keyAgreement'])
  t.strictSame(second.extendedUsages, ['clientAuth', '1.2.3'])
  t.strictSame(createPublicKey(key).equals(second.publicKey), true)
})

t.test('signing verbatim by a role has its times, and keeps what it keeps', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'short', { ttl: '1m', max_ttl: '2m', no_store: true })
  const csr = csrPem({ commonName: 'x' }, generateKeyPairSync('ed25519').privateKey)
  const usual = await secrets.post('pki/sign-verbatim/short', { csr })
  t.equal(usual.body.data.expiration - usual.body.data.not_before, 90)
  const long = await secrets.post('pki/sign-verbatim/short', { csr, ttl: '1h' })
  t.equal(long.body.data.expiration - long.body.data.not_before, 150)
  t.match(long.body.warnings, [/^TTL "1h0m0s" is longer than permitted maxTTL "2m0s"/])
  t.equal((await stored(secrets)).length, 1, 'the root alone')
  await secrets.post('pki/sign-verbatim', { csr })
  t.equal((await stored(secrets)).length, 2)
})

t.test('a certificate is kept unless its role says otherwise', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'kept')
  await makeRole(secrets, 'lost', { no_store: true })
  const said = { common_name: 'a.example.com' }
  const revision = secrets.store.view().revision
  await secrets.post('pki/issue/lost', said)
  t.equal(secrets.store.view().revision, revision, 'nothing was written')
  const { body } = await secrets.post('pki/issue/kept', said)
  const serials = await stored(secrets)
  t.equal(serials.length, 2, 'beside the root')
  t.ok(serials.includes(body.data.serial_number.replaceAll(':', '')))
})

t.test('a lease of a certificate lives as long as it does, and ends with the token', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'leased', { generate_lease: true, ttl: '1h' })
  const { body } = await secrets.post('pki/issue/leased', { common_name: 'a.example.com' })
  t.match(body.lease_id, /^pki\/issue\/leased\/[A-Za-z0-9]{24}$/)
  t.equal(body.renewable, false)
  t.ok(body.lease_duration > 3_590 && body.lease_duration <= 3_600)
  const found = await secrets.post('sys/leases/lookup', { lease_id: body.lease_id })
  t.equal(found.status, 200, found.text)
  t.equal(found.body.data.renewable, false)
})

t.test('a role that changes while a key is drawn gives nothing', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'slow', { key_type: 'rsa', key_bits: 3072 })
  const issuing = secrets.post('pki/issue/slow', { common_name: 'a.example.com' })
  await makeRole(secrets, 'slow', { key_type: 'rsa', allowed_domains: 'other.com' })
  const got = await issuing
  t.equal(got.status, 503)
  t.match(got.text, /^the role was changed while the certificate was made/)
  t.equal((await stored(secrets)).length, 1, 'the root alone')
})

t.test('who asks is held against domains of a role', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  const policy = 'path "pki/*" { capabilities = ["create", "update"] }'
  await secrets.post('sys/policies/acl/all', { policy })
  for (const name of ['ann', 'bob']) {
    const metadata = { site: `${name}.net`, evil: '*' }
    const { body } = await secrets.post('identity/entity', { name, metadata })
    const row = { policies: ['all'], entityId: body.data.id, displayName: `token-${name}` }
    await putHolder(secrets, name, row)
  }
  await putHolder(secrets, 'nobody', { policies: ['all'], displayName: '' })
  const said = { allowed_domains: '', allow_token_displayname: true }
  await makeRole(secrets, 'own', said)
  await makeRole(secrets, 'site', {
    ...{
      allowed_domains_template: true,
      allowed_uri_sans_template: true,
      allow_glob_domains: true,
    },
    ...{ allow_bare_domains: true, allowed_uri_sans: 'spiffe://td/{{identity.entity.name}}/*' },
    allowed_domains: '{{identity.entity.metadata.site}},{{identity.entity.metadata.evil}}.com',
  })
  const ask = async (token: string, role: string, name: string, more: Record<string, Json> = {}) =>
    (await secrets.post(`pki/issue/${role}`, { common_name: name, ...more }, { token })).status
  t.equal(await ask('ann', 'own', 'token-ann'), 200)
  t.equal(await ask('ann', 'own', 'x.token-ann'), 200)
  t.equal(await ask('ann', 'own', 'token-bob'), 400)
  t.equal(await ask('nobody', 'own', 'x.token-bob'), 400)
  t.equal(await ask('ann', 'site', 'www.ann.net'), 200)
  t.equal(await ask('ann', 'site', 'ann.net'), 200)
  t.equal(await ask('ann', 'site', 'www.bob.net'), 400)
  t.equal(await ask('bob', 'site', 'www.bob.net'), 200)
  t.equal(await ask('bob', 'site', 'www.evil.com'), 400, 'a value widens nothing')
  t.equal(await ask('nobody', 'site', 'www.ann.net'), 400)
  t.equal(await ask('ann', 'site', 'ann.net', { uri_sans: 'spiffe://td/ann/a' }), 200)
  t.equal(await ask('bob', 'site', 'bob.net', { uri_sans: 'spiffe://td/ann/a' }), 400)
})
