import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { pemBlocks, pemOf } from '../../../../../src/x509/pem.ts'
import { needsOpenssl, openssl } from '../../../../x509/openssl.ts'
import type { TestSecrets } from '../../../harness.ts'
import { testPorts } from '../../../ports.ts'
import { Files, mountAuthority, openAuthority } from '../authority.ts'

/** A root in `pki/`. */
async function root(secrets: TestSecrets, more: Record<string, string | number> = {}) {
  const asked = { common_name: 'Root X', key_type: 'ec', ttl: '87600h', ...more }
  return (await secrets.post('pki/root/generate/internal', asked)).body.data
}

const request = async (secrets: TestSecrets, at: string, more: Record<string, string> = {}) =>
  (await secrets.post(at, { common_name: 'Intermediate X', key_type: 'ec', ...more })).body.data

t.test('an intermediate of another mount, of every kind of key', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const types = ['rsa', 'ec', 'ed25519']
  for (const above of types) {
    for (const below of types) {
      const made = await root(secrets, { key_type: above, common_name: `Root ${above} ${below}` })
      await secrets.post('pki/config/issuers', { default: made.issuer_id })
      const at = `${above}-${below}/`
      await mountAuthority(secrets, at)
      const { csr, key_id } = await request(secrets, `${at}intermediate/generate/internal`, {
        key_type: below,
      })
      const signed = await secrets.post('pki/root/sign-intermediate', { csr, ttl: '43800h' })
      t.equal(signed.status, 200)
      const { certificate, ca_chain, issuing_ca } = signed.body.data
      t.equal(issuing_ca, made.certificate)
      t.strictSame(ca_chain, [certificate, made.certificate])
      t.equal(files.verdict(certificate, { roots: [made.certificate] }), 'OK', at)
      const set = await secrets.post(`${at}intermediate/set-signed`, {
        certificate: ca_chain.join('\n'),
      })
      const [own, its] = set.body.data.imported_issuers
      t.strictSame(set.body.data.mapping, { [own]: key_id, [its]: '' })
      const chain = await secrets.read(`${at}ca_chain`, { token: '' })
      t.equal(chain.text, ca_chain.join('\n'), 'the default is the one with a key')
    }
  }
})

t.test(
  'requests that OpenSSL made are signed as they ask, or as is said',
  needsOpenssl,
  async t => {
    const secrets = await openAuthority(t)
    const files = new Files(t)
    const made = await root(secrets, { key_type: 'rsa' })
    const config = files.file(
      [
        '[req]\ndistinguished_name=name\nreq_extensions=ext\nprompt=no',
        '[name]\nC=DE\nO=Asked\nCN=Asked CA',
        '[ext]\nsubjectAltName=DNS:asked.example,email:ca@asked.example,IP:192.0.2.9',
        'keyUsage=digitalSignature,nonRepudiation\nbasicConstraints=CA:FALSE',
        'certificatePolicies=1.2.3.4\n1.2.3.4.5=ASN1:UTF8String:odd\n',
      ].join('\n'),
    )
    for (const kind of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], ['ed25519']]) {
      const out = files.file('')
      openssl(
        ...['req', '-new', '-nodes', '-newkey', ...kind, '-config', config],
        ...['-keyout', files.file(''), '-out', out],
      )
      const csr = openssl('req', '-in', out)
      const asked = await secrets.post('pki/root/sign-intermediate', { csr, use_csr_values: true })
      const shown = files.shown(asked.body.data.certificate)
      t.equal(files.verdict(asked.body.data.certificate, { roots: [made.certificate] }), 'OK')
      for (const part of [
        /Subject: C ?= ?DE, O ?= ?Asked, CN ?= ?Asked CA/,
        /Digital Signature, Non Repudiation, Certificate Sign, CRL Sign/,
        /CA:TRUE/,
        /DNS:asked.example, email:ca@asked.example, IP Address:192.0.2.9/,
        /Policy: 1.2.3.4/,
        /1.2.3.4.5: *\n.*odd/,
      ]) {
        t.match(shown, part)
      }
      const said = await secrets.post('pki/root/sign-intermediate', {
        ...{ csr, organization: 'Said', alt_names: 'said.example', exclude_cn_from_sans: true },
        max_path_length: 1,
        signature_bits: 512,
        use_pss: true,
        skid: '01:02-03 04',
        permitted_dns_domains: 'said.example',
      })
      const second = files.shown(said.body.data.certificate)
      t.equal(files.verdict(said.body.data.certificate, { roots: [made.certificate] }), 'OK')
      for (const part of [
        /Subject: O ?= ?Said, CN ?= ?Asked CA/,
        /X509v3 Subject Alternative Name: *\n *DNS:said.example\n/,
        /CA:TRUE, pathlen:1/,
        /Subject Key Identifier: *\n *01:02:03:04\n/,
        /rsassaPss[\s\S]*sha512/,
        /Permitted:\s+DNS:said.example/,
      ]) {
        t.match(second, part)
      }
      t.notMatch(second, /1.2.3.4/)
    }
  },
)

t.test('formats, lengths and what outlives its issuer', async t => {
  const secrets = await openAuthority(t)
  const made = await root(secrets, { ttl: '1000h', max_path_length: 1 })
  const { csr } = await request(secrets, 'pki/intermediate/generate/internal')
  const sign = (more: Record<string, string | boolean | number> = {}) =>
    secrets.post('pki/root/sign-intermediate', { csr, ttl: '2000h', ...more })
  const pem = await sign()
  t.match(pem.body.warnings.join('\n'), /is after the CA's expiration time/)
  t.match(pem.body.warnings.join('\n'), /Max path length of the signed certificate is zero/)
  t.match(pem.body.warnings.join('\n'), /hasn't configured any authority information/)
  const der = (await sign({ format: 'der' })).body.data
  t.equal(
    new X509Certificate(Buffer.from(der.ca_chain[1], 'base64')).fingerprint256,
    new X509Certificate(made.certificate).fingerprint256,
  )
  t.equal(der.ca_chain[0], der.certificate)
  const bundle = (await sign({ format: 'pem_bundle' })).body.data
  t.equal(bundle.certificate, bundle.ca_chain.join('\n'))
  const enforced = await sign({ enforce_leaf_not_after_behavior: true })
  t.match(enforced.body.errors[0], /^cannot satisfy request, as TTL would result in notAfter of /)
  const at = 'pki/issuer/default'
  await secrets.ask('patch', at, { data: { leaf_not_after_behavior: 'truncate' } })
  t.equal((await sign()).body.data.expiration > made.expiration, true)
  const cut = await sign({ enforce_leaf_not_after_behavior: true })
  t.equal(cut.body.data.expiration, made.expiration)
  await secrets.ask('patch', at, { data: { leaf_not_after_behavior: 'always_enforce_err' } })
  t.equal((await sign()).status, 400)
  t.equal((await sign({ ttl: '1h' })).status, 200)
  await mountAuthority(secrets, 'below/')
  const own = await request(secrets, 'below/intermediate/generate/internal')
  const zero = (await sign({ csr: own.csr, ttl: '1h' })).body.data
  await secrets.post('below/intermediate/set-signed', { certificate: zero.certificate })
  const refused = await secrets.post('below/root/sign-intermediate', { csr })
  t.equal(
    refused.body.errors[0],
    'signing certificate has a max path length of zero, and cannot issue further CA certificates',
  )
})

t.test('what is refused of a request', async t => {
  const secrets = await openAuthority(t)
  const { csr } = await request(secrets, 'pki/intermediate/generate/internal')
  const none = await secrets.post('pki/root/sign-intermediate', { csr })
  t.equal(
    none.body.errors[0],
    'could not fetch the CA certificate (was one set?): no default issuer currently configured',
  )
  const made = await root(secrets)
  const cases: [string, object, string][] = [
    ['root', {}, '"csr" is empty'],
    ['root', { csr: 'xx' }, 'csr contains no data'],
    ['root', { csr: made.certificate }, 'certificate request could not be parsed: '],
    ['root', { csr, skid: 'xyz' }, 'cannot parse requested SKID value as hex'],
    ['root', { csr, format: 'x' }, 'The "format" path parameter must be "pem" or "der"'],
    ['root', { csr, signature_bits: 5 }, 'unsupported hash signature algorithm: 5'],
    [
      'issuer/nobody',
      { csr },
      'could not fetch the CA certificate (was one set?): unable to find PKI issuer for reference: nobody',
    ],
  ]
  for (const [at, data, text] of cases) {
    const { status, body } = await secrets.post(`pki/${at}/sign-intermediate`, data as never)
    t.equal(status, 400, text)
    t.ok(body.errors[0].includes(text), body.errors[0])
  }
  const { der } = pemBlocks(csr)[0]!
  der[der.length - 1]! ^= 1
  const broken = pemOf('CERTIFICATE REQUEST', der)
  t.equal((await secrets.post('pki/root/sign-intermediate', { csr: broken })).status, 400)
  await secrets.ask('patch', 'pki/issuer/default', { data: { usage: 'read-only,crl-signing' } })
  const unused = await secrets.post('pki/root/sign-intermediate', { csr })
  t.match(
    unused.body.errors[0],
    /requested usage issuing-certificates for issuer \[id:.*\] but only had usage crl-signing,rea/,
  )
})

t.test('an issuer that lost its right while somebody signed gives nothing', async t => {
  const { arithmetic: real } = testPorts()
  let meanwhile = async (): Promise<unknown> => undefined
  const arithmetic = {
    ...real,
    async sign(input: Parameters<typeof real.sign>[0]) {
      const signature = await real.sign(input)
      await meanwhile()
      return signature
    },
  }
  const secrets = await openAuthority(t, { ports: { arithmetic } })
  await root(secrets)
  const { csr } = await request(secrets, 'pki/intermediate/generate/internal')
  const rows = () => secrets.rows().length
  const before = rows()
  for (const [change, text] of [
    [
      () => secrets.ask('patch', 'pki/issuer/default', { data: { usage: 'read-only' } }),
      /requested usage issuing-certificates/,
    ],
    [() => secrets.remove('pki/issuer/default'), /unable to find PKI issuer/],
  ] as const) {
    meanwhile = async () => {
      meanwhile = async () => undefined
      await change()
    }
    const { status, body } = await secrets.post('pki/root/sign-intermediate', { csr })
    t.equal(status, 400)
    t.match(body.errors[0], text)
    t.ok(rows() <= before, 'no certificate was kept')
    await secrets.ask('patch', 'pki/issuer/default', { data: { usage: 'issuing-certificates' } })
  }
  meanwhile = async () => {
    meanwhile = async () => undefined
    await root(secrets, { issuer_name: 'taken' })
  }
  const late = await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Root', key_type: 'ec', issuer_name: 'taken' },
  })
  t.equal(late.body.errors[0], 'issuer name already in use')
})

t.test('a self-issued certificate is signed as it is', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  await mountAuthority(secrets, 'old/')
  for (const [above, below] of [
    ['ec', 'ec'],
    ['rsa', 'ec'],
    ['rsa', 'rsa'],
  ] as const) {
    const made = await root(secrets, { key_type: above })
    const old = await secrets.post('old/root/generate/internal', {
      ...{ common_name: 'Old Root', key_type: below, key_bits: 0, ttl: '20000h' },
      ...{ permitted_dns_domains: 'example.com', max_path_length: 2, alt_names: 'old.example.com' },
      ...(below === 'rsa' && { signature_bits: 384 }),
    })
    const { certificate: given } = old.body.data
    const at = `pki/issuer/${made.issuer_id}/sign-self-issued`
    const { body } = await secrets.post(at, { certificate: given })
    const { certificate, issuing_ca } = body.data
    t.equal(issuing_ca, made.certificate)
    t.equal(files.verdict(certificate, { roots: [made.certificate] }), 'OK')
    const [before, after] = [new X509Certificate(given), new X509Certificate(certificate)]
    for (const part of [
      'subject',
      'serialNumber',
      'validFrom',
      'validTo',
      'subjectAltName',
    ] as const) {
      t.equal(after[part], before[part], part)
    }
    t.ok(after.publicKey.equals(before.publicKey))
    t.match(files.shown(certificate), /CA:TRUE, pathlen:2/)
    t.match(files.shown(certificate), /Permitted:\s+DNS:example.com/)
    if (below === 'rsa') t.match(files.shown(certificate), /sha384WithRSAEncryption/)
    // What the old root signed is followed to the new one.
    const { csr } = await request(secrets, 'pki/intermediate/generate/internal')
    const signed = await secrets.post(`old/issuer/${old.body.data.issuer_id}/sign-intermediate`, {
      ...{ csr, ttl: '1h', exclude_cn_from_sans: true },
    })
    const between = [certificate]
    t.equal(
      files.verdict(signed.body.data.certificate, { roots: [made.certificate], between }),
      'OK',
    )
    if (above === below) continue
    const strict = await secrets.post(at, {
      certificate: given,
      require_matching_certificate_algorithms: true,
    })
    t.match(strict.body.errors[0], /does not match submitted certificate's/)
  }
  const { csr } = await request(secrets, 'pki/intermediate/generate/internal')
  const signed = await secrets.post('pki/root/sign-intermediate', { csr })
  for (const [certificate, text] of [
    ['xx', 'certificate could not be PEM-decoded'],
    [csr, 'error parsing certificate: '],
    [signed.body.data.certificate, 'given certificate is not self-issued'],
  ]) {
    const { body } = await secrets.post('pki/root/sign-self-issued', { certificate: certificate! })
    t.ok(body.errors[0].startsWith(text), body.errors[0])
  }
})

t.test('signing again for a key that is here', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  await mountAuthority(secrets, 'new/')
  const own = await root(secrets, { key_name: 'mine', issuer_name: 'mine' })
  const made = await secrets.post('new/root/generate/internal', {
    ...{ common_name: 'New Root', key_type: 'ec', ttl: '40000h' },
  })
  const cross = await secrets.post('pki/intermediate/cross-sign', {
    ...{ common_name: 'Root X', key_ref: 'mine', exclude_cn_from_sans: true },
  })
  t.equal(cross.body.data.key_id, own.key_id)
  t.equal(
    (await secrets.post('pki/intermediate/cross-sign', { key_ref: 'mine', key_type: 'ec' })).status,
    400,
  )
  const skid = new X509Certificate(own.certificate)
  const signed = await secrets.post('new/root/sign-intermediate', {
    ...{ csr: cross.body.data.csr, common_name: 'Root X', ttl: '20000h' },
  })
  const set = await secrets.post('pki/intermediate/set-signed', {
    certificate: signed.body.data.certificate,
  })
  const [id] = set.body.data.imported_issuers
  t.equal(set.body.data.mapping[id], own.key_id)
  t.ok(new X509Certificate(signed.body.data.certificate).publicKey.equals(skid.publicKey))
  // A certificate of the old root is one of the new one's now.
  const { csr } = await request(secrets, 'new/intermediate/generate/internal')
  const leaf = await secrets.post('pki/issuer/mine/sign-intermediate', { csr })
  t.equal(
    files.verdict(leaf.body.data.certificate, {
      roots: [made.body.data.certificate],
      between: [signed.body.data.certificate],
    }),
    'OK',
  )
})
