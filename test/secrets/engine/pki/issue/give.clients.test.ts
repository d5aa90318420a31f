/**
 * What clients of Vault's ask of roles, request by request and type by type as their sources do.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import t from 'tap'
import { openAuthority } from '../authority.ts'
import { certificateIn, csrPem, makeRole, makeRoot } from './giving.ts'

t.test('cert-manager signs', async t => {
  const secrets = await openAuthority(t)
  const root = await makeRoot(secrets)
  const role = { allow_any_name: true, key_type: 'any', max_ttl: '2160h', require_cn: false }
  await makeRole(secrets, 'cm', { ...role, allowed_uri_sans: '*' })
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const names = {
    dnsNames: ['app.example.com', '*.app.example.com'],
    addresses: ['10.0.0.1'],
    uris: ['spiffe://cluster.local/ns/a/sa/b'],
  }
  const usages = ['digitalSignature', 'keyEncipherment'] as const
  const csr = csrPem({ commonName: 'app.example.com' }, privateKey, { names, usages })
  const { status, text, body } = await secrets.post('pki/sign/cm', {
    common_name: 'app.example.com',
    alt_names: names.dnsNames.join(','),
    ip_sans: names.addresses.join(','),
    uri_sans: names.uris.join(','),
    ...{ ttl: '2160h0m0s', csr, exclude_cn_from_sans: 'true' },
  })
  t.equal(status, 200, text)
  const { certificate, issuing_ca, ca_chain, expiration } = body.data
  const read = new X509Certificate(certificate)
  t.ok(read.publicKey.equals(publicKey))
  t.equal(issuing_ca, root.certificate)
  t.strictSame(ca_chain, [root.certificate])
  t.equal(expiration * 1_000, read.validToDate.getTime())
  const { rest, ...said } = certificateIn(certificate).names
  t.strictSame({ ...said, rest: rest.length }, { ...names, emails: [], others: [], rest: 0 })
  const bare = csrPem({}, privateKey, { names })
  const without = { common_name: '', alt_names: '', ip_sans: '', uri_sans: '' }
  const nameless = await secrets.post('pki/sign/cm', {
    ...{ ...without, ttl: '2160h0m0s', csr: bare, exclude_cn_from_sans: 'true' },
  })
  t.equal(nameless.status, 200, nameless.text)
  t.strictSame(certificateIn(nameless.body.data.certificate).subjectName, [])
})

t.test('consul-template takes a certificate and when it ends', async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'web')
  const mount = await secrets.read('sys/internal/ui/mounts/pki/issue/web')
  t.equal(mount.status, 200)
  t.match(mount.body.data, { type: 'pki', path: 'pki/', options: null })
  const { body } = await secrets.post('pki/issue/web', {
    ...{ common_name: 'foo.example.com', ttl: '30m', ip_sans: '127.0.0.1' },
  })
  t.equal(body.lease_id, '')
  t.equal(typeof body.data.certificate, 'string')
  t.equal(typeof body.data.private_key, 'string')
  t.ok(Number.isInteger(body.data.expiration))
  t.equal(
    body.data.expiration * 1_000,
    new X509Certificate(body.data.certificate).validToDate.getTime(),
  )
})

t.test("Consul's mesh has its leaves signed", async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  const made = await secrets.post('pki/roles/leaf-cert', {
    ...{ allow_any_name: true, allowed_uri_sans: 'spiffe://*', key_type: 'any' },
    ...{ max_ttl: '72h0m0s', no_store: true, require_cn: false },
  })
  t.equal(made.status, 200, made.text)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const uri = 'spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web'
  const csr = csrPem({}, privateKey, { names: { uris: [uri] } })
  const { status, text, body } = await secrets.post('pki/sign/leaf-cert', { csr, ttl: '72h0m0s' })
  t.equal(status, 200, text)
  const read = certificateIn(body.data.certificate)
  t.strictSame(read.names.uris, [uri])
  t.ok(read.extensions.some(({ oid, critical }) => oid === '2.5.29.17' && critical))
  t.equal(typeof body.data.issuing_ca, 'string')
})

t.test("Ansible and Kubernetes' operator ask for everything at once", async t => {
  const secrets = await openAuthority(t)
  await makeRoot(secrets)
  await makeRole(secrets, 'web', { generate_lease: true })
  const ansible = await secrets.post('pki/issue/web', {
    ...{ common_name: 'a.example.com', alt_names: 'b.example.com,c.example.com', ip_sans: '' },
    ...{ other_sans: '', uri_sans: '', ttl: '700h', format: 'pem', private_key_format: 'der' },
    exclude_cn_from_sans: false,
  })
  t.equal(ansible.status, 200, ansible.text)
  const operator = await secrets.post('pki/issue/web', {
    ...{ role: 'web', common_name: 'a.example.com', alt_names: '', ip_sans: '', uri_sans: '' },
    ...{ other_sans: '', user_ids: '', ttl: '3600', not_after: '', format: 'pem' },
    ...{ private_key_format: '', exclude_cn_from_sans: false, issuer_ref: '' },
  })
  t.equal(operator.status, 200, operator.text)
  t.ok(operator.body.lease_id.startsWith('pki/issue/web/'))
  t.equal(
    (await secrets.post('sys/leases/lookup', { lease_id: operator.body.lease_id })).status,
    200,
  )
})
