import { createPrivateKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { needsOpenssl, openssl } from '../../../../x509/openssl.ts'
import { Files, mountAuthority, openAuthority } from '../authority.ts'

/** An authority that OpenSSL made: its certificate and its key, and files of both. */
function authorityOf(files: Files, kind: readonly string[], name: string) {
  const [key, certificate] = [files.file(''), files.file('')]
  openssl(
    ...['req', '-x509', '-new', '-nodes', '-newkey', ...kind, '-subj', `/CN=${name}`],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-days', '3000'],
    ...['-keyout', key, '-out', certificate],
  )
  const pem = openssl('x509', '-in', certificate)
  return { key, certificate, pem, keyPem: openssl('pkey', '-in', key) }
}

const kinds = [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], ['ed25519']]

t.test('an authority that OpenSSL made signs here', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  for (const kind of kinds) {
    const at = `${kind[0]!.replace(':', '-')}/`
    await mountAuthority(secrets, at)
    const made = authorityOf(files, kind, 'Theirs')
    const text = openssl('x509', '-text', '-in', made.certificate) + made.keyPem
    const { status, body } = await secrets.post(`${at}config/ca`, { pem_bundle: text })
    t.equal(status, 200)
    const [issuer] = body.data.imported_issuers
    const [key] = body.data.imported_keys
    t.strictSame(body.data.mapping, { [issuer]: key })
    t.equal(body.data.existing_issuers, null)
    t.equal((await secrets.read(`${at}config/issuers`)).body.data.default, issuer)
    t.equal((await secrets.read(`${at}ca/pem`)).text, made.pem.trimEnd())
    const again = await secrets.post(`${at}issuers/import/bundle`, { pem_bundle: text })
    t.strictSame(again.body.data.existing_issuers, [issuer])
    t.strictSame(again.body.data.existing_keys, [key])
    t.equal(again.body.data.imported_issuers, null)
    const { csr } = (
      await secrets.post(`${at}intermediate/generate/internal`, { common_name: 'Below' })
    ).body.data
    const signed = await secrets.post(`${at}root/sign-intermediate`, { csr, ttl: '1h' })
    t.equal(files.verdict(signed.body.data.certificate, { roots: [made.pem] }), 'OK', at)
  }
})

t.test('an intermediate of ours that OpenSSL signed', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  for (const [at, kind] of kinds.entries()) {
    const made = authorityOf(files, kind, 'Theirs')
    const { csr, key_id } = (
      await secrets.post('pki/issuers/generate/intermediate/internal', {
        ...{ common_name: `Ours ${at}`, key_type: ['ed25519', 'rsa', 'ec'][at]! },
        add_basic_constraints: true,
      })
    ).body.data
    const request = files.file(csr)
    t.match(openssl('req', '-verify', '-noout', '-text', '-in', request), /CA:TRUE/)
    const signed = openssl(
      ...['x509', '-req', '-in', request, '-CA', made.certificate, '-CAkey', made.key],
      ...['-days', '2000', '-copy_extensions', 'copy', '-extfile'],
      files.file('keyUsage=critical,keyCertSign,cRLSign\n'),
    )
    const set = await secrets.post('pki/intermediate/set-signed', { certificate: signed })
    const [issuer] = set.body.data.imported_issuers
    t.strictSame(set.body.data.mapping, { [issuer]: key_id })
    const root = await secrets.post('pki/issuers/import/cert', { pem_bundle: made.pem })
    const read = await secrets.read(`pki/issuer/${issuer}`)
    t.equal(read.body.data.ca_chain.length, 2, 'its issuer came later')
    const below = await secrets.post('pki/intermediate/generate/internal', { common_name: 'Below' })
    const leaf = await secrets.post(`pki/issuer/${issuer}/sign-intermediate`, {
      ...{ csr: below.body.data.csr, ttl: '1h' },
    })
    const [own, ...between] = leaf.body.data.ca_chain
    t.equal(files.verdict(own, { roots: [made.pem], between }), 'OK')
    t.equal(root.body.data.mapping[root.body.data.imported_issuers[0]], '')
  }
})

t.test('a key that comes after its certificate is its key', async t => {
  const secrets = await openAuthority(t)
  await mountAuthority(secrets, 'other/')
  const made = (
    await secrets.post('other/root/generate/exported', { common_name: 'Root', key_type: 'ec' })
  ).body.data
  const set = await secrets.post('pki/issuers/import/cert', { pem_bundle: made.certificate })
  const [issuer] = set.body.data.imported_issuers
  t.equal((await secrets.read('pki/config/issuers')).body.data.default, '')
  const key = await secrets.post('pki/keys/import', {
    pem_bundle: made.private_key,
    key_name: 'late',
  })
  t.equal(key.body.data.key_name, 'late')
  t.equal((await secrets.read('pki/config/issuers')).body.data.default, issuer)
  t.equal((await secrets.read(`pki/issuer/${issuer}`)).body.data.key_id, key.body.data.key_id)
  const twice = await secrets.post('pki/keys/import', { pem_bundle: made.private_key })
  t.match(twice.body.warnings[0], /^Key already imported/)
})

t.test('the default follows what is imported, where that is clear', async t => {
  const secrets = await openAuthority(t)
  await mountAuthority(secrets, 'other/')
  const make = async (name: string) =>
    (await secrets.post('other/root/generate/exported', { common_name: name, key_type: 'ec' })).body
      .data
  const [one, two, three] = [await make('One'), await make('Two'), await make('Three')]
  const bundle = (...made: (typeof one)[]): string =>
    made.map(each => `${each.certificate}\n${each.private_key}\n`).join('')
  const first = await secrets.post('pki/issuers/import/bundle', { pem_bundle: bundle(one, two) })
  t.match(first.body.warnings[0], /^The imported bundle contained multiple certs/)
  const { default: standard } = (await secrets.read('pki/config/issuers')).body.data
  t.equal(standard, first.body.data.imported_issuers[0])
  await secrets.post('pki/config/issuers', {
    ...{ default: standard, default_follows_latest_issuer: true },
  })
  const next = await secrets.post('pki/issuers/import/bundle', { pem_bundle: bundle(three) })
  const [latest] = next.body.data.imported_issuers
  t.equal((await secrets.read('pki/config/issuers')).body.data.default, latest)
  await secrets.remove('pki/root')
  const both = await secrets.post('pki/issuers/import/bundle', { pem_bundle: bundle(two, three) })
  t.match(both.body.warnings[0], /^Default issuer left unchanged/)
})

t.test('what is refused of a bundle', needsOpenssl, async t => {
  const secrets = await openAuthority(t)
  const files = new Files(t)
  const made = authorityOf(files, kinds[1]!, 'Theirs')
  const locked = createPrivateKey(made.keyPem)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString()
  const leaf = openssl(
    ...['req', '-x509', '-new', '-key', made.key, '-subj', '/CN=leaf'],
    ...['-addext', 'basicConstraints=critical,CA:FALSE'],
  )
  const odd = openssl(
    ...['req', '-x509', '-new', '-nodes', '-newkey', 'ec', '-pkeyopt'],
    ...['ec_paramgen_curve:secp256k1', '-subj', '/CN=odd', '-keyout', files.file('')],
  )
  const long = 'x'.repeat(600_000)
  const rows = secrets.rows().length
  const cases: [string, string, string][] = [
    ['issuers/import/cert', '', "'pem_bundle' and 'certificate' parameters were empty"],
    ['issuers/import/cert', '/etc/ca.pem', 'provided data for import was too short'],
    ['issuers/import/cert', 'x'.repeat(100), 'invalid PEM data'],
    ['issuers/import/cert', long, 'must not be longer than'],
    ['issuers/import/cert', made.pem + made.keyPem, 'private keys found in the PEM bundle'],
    ['issuers/import/bundle', made.pem.replace('END', 'EMD'), 'invalid PEM data'],
    ['issuers/import/bundle', made.pem + locked, 'Error parsing key 0: it is no unencrypted'],
    [
      'issuers/import/bundle',
      leaf,
      'Error parsing issuer 0: Refusing to import non-CA certificate',
    ],
    [
      'issuers/import/bundle',
      odd,
      'Error parsing issuer 0: Refusing to import CA certificate with',
    ],
    [
      'issuers/import/bundle',
      made.pem + made.pem.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n'),
      'Error parsing issuer 1: error parsing certificate: ',
    ],
  ]
  for (const [at, pem_bundle, text] of cases) {
    const { status, body } = await secrets.post(`pki/${at}`, { pem_bundle })
    t.equal(status, 400, text)
    t.ok(body.errors[0]?.includes(text), `${text} | ${body.errors[0]}`)
    t.notOk(body.errors[0]?.includes('MII'), 'nothing of it is quoted')
  }
  t.equal(secrets.rows().length, rows, 'nothing was kept')
  const { body } = await secrets.post('pki/keys/import', { pem_bundle: made.keyPem + made.keyPem })
  t.match(body.errors[0], /^only a single key can be present/)
  t.equal((await secrets.post('pki/keys/import', { pem_bundle: locked })).status, 400)
  t.equal((await secrets.post('pki/keys/import', { pem_bundle: made.pem })).status, 400)
  t.equal(new X509Certificate(made.pem).ca, true)
})
