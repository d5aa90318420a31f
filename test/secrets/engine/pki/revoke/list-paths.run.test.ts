/** Lists of revoked certificates: their forms, their numbers, their time, who may sign them. */
import t from 'tap'
import { readCrl } from '../../../../../src/x509/crl.ts'
import { pemBlocks } from '../../../../../src/x509/pem.ts'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import { mountAuthority, openAuthority } from '../authority.ts'
import { Revoking } from './authority.ts'

t.test('the same list in all its forms', async t => {
  const mount = await Revoking.open(t)
  const leaf = await mount.issue('a.example')
  await mount.revoke(leaf.serial_number)
  const { secrets } = mount
  const read = (path: string) => secrets.read(`pki/${path}`, { token: '' })
  const der = (await read('crl')).bytes
  for (const path of ['cert/crl/raw', 'issuer/default/crl/der']) {
    t.same((await read(path)).bytes, der, path)
  }
  for (const path of ['crl/pem', 'cert/crl/raw/pem', 'issuer/default/crl/pem']) {
    t.same(pemBlocks((await read(path)).text), [{ label: 'X509 CRL', der }], path)
  }
  t.same(pemBlocks((await read('issuer/default/crl')).body.data.crl)[0]!.der, der)
  t.same(pemBlocks((await read('cert/crl')).body.data.certificate)[0]!.der, der)
  for (const path of ['crl/delta', 'crl/delta/pem', 'issuer/default/crl/delta/der']) {
    t.match(await read(path), { status: 204, text: '' }, path)
  }
  const { thisUpdate } = readCrl(der)
  const passthrough_request_headers = ['If-Modified-Since']
  await secrets.post('sys/mounts/pki/tune', { passthrough_request_headers })
  const headers = { 'if-modified-since': thisUpdate.toUTCString() }
  t.equal((await secrets.read('pki/crl', { headers })).status, 304)
  const before = { 'if-modified-since': new Date(+thisUpdate - 1_000).toUTCString() }
  t.equal((await secrets.read('pki/crl', { headers: before })).status, 200)
})

t.test('where nobody signs there is no list', async t => {
  const secrets = await openAuthority(t)
  t.match(await secrets.read('pki/crl'), { status: 204, text: '' })
  t.equal((await secrets.read('pki/issuer/none/crl')).status, 400)
  const mount = await Revoking.open(t)
  const narrow = { usage: 'read-only,issuing-certificates' }
  await mount.secrets.ask('patch', 'pki/issuer/default', { data: narrow })
  const refused = await mount.secrets.read('pki/crl')
  t.match(refused, { status: 400, text: /requested usage crl-signing/ })
  await mount.secrets.ask('patch', 'pki/issuer/default', { data: { usage: 'crl-signing' } })
  t.equal((await mount.secrets.read('pki/crl')).status, 200)
  await mountAuthority(mount.secrets, 'keyless/')
  const pem_bundle = mount.root
  const kept = await mount.secrets.post('keyless/issuers/import/cert', { pem_bundle })
  const keyless = `keyless/issuer/${kept.body.data.imported_issuers[0]}/crl/der`
  t.match(await mount.secrets.read(keyless), { status: 400, text: /corresponding key/ })
})

t.test('switched off there is none, and none that is empty', async t => {
  const mount = await Revoking.open(t)
  await mount.secrets.post('pki/config/crl', { disable: true })
  t.match(await mount.secrets.read('pki/crl'), { status: 400, text: /disabled/ })
  await mount.secrets.post('pki/config/crl', { disable: false })
  t.equal((await mount.secrets.read('pki/crl')).status, 200)
  const leaf = await mount.issue('a.example')
  await mount.revoke(leaf.serial_number)
  await mount.secrets.post('pki/config/crl', { max_crl_entries: 0 })
  t.match(await mount.secrets.read('pki/crl'), { status: 500, text: /more than max_crl_entries/ })
})

t.test('numbers only grow; rotating gives another one', async t => {
  const mount = await Revoking.open(t)
  const numbers: number[] = []
  const note = async () => void numbers.push((await mount.list()).number!)
  await note()
  await note()
  for (let i = 0; i < 3; i++) {
    await mount.revoke((await mount.issue(`${i}.example`)).serial_number)
    await note()
  }
  t.same((await mount.secrets.read('pki/crl/rotate')).body.data, { success: true })
  await note()
  await mount.secrets.post('pki/config/crl', { expiry: '1h' })
  await note()
  t.same(numbers, [1, 1, 2, 3, 4, 5, 6])
  const { thisUpdate, nextUpdate } = await mount.list()
  t.equal(+nextUpdate! - +thisUpdate, 3_600_000)
})

t.test('made anew by time alone, with deltas between', needsOpenssl, async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  await secrets.post('pki/config/urls', { delta_crl_distribution_points: 'http://a.example/delta' })
  await secrets.post('pki/config/crl', { auto_rebuild: true, enable_delta: true })
  const leaf = await mount.issue('a.example')
  await mount.revoke(leaf.serial_number)
  t.equal((await mount.list()).entries.length, 0, 'not before its time')
  t.equal(await mount.judged(leaf.certificate), 'OK')
  const empty = await mount.list('crl/delta')
  t.match(empty, { entries: [], deltaOf: (await mount.list()).number })
  await secrets.read('pki/crl/rotate-delta')
  const delta = await mount.list('crl/delta')
  t.equal(delta.entries.length, 1)
  t.ok(delta.number! > delta.deltaOf!)
  t.match(await mount.judged(leaf.certificate, ['crl/pem', 'crl/delta/pem']), /certificate revoked/)
  await secrets.read('pki/crl/rotate')
  t.equal((await mount.list()).entries.length, 1)
  t.equal((await mount.list('crl/delta')).entries.length, 0)
  t.match(await mount.judged(leaf.certificate), /certificate revoked/)
})

t.test('issuers of one name and key share a list, others have their own', async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  const other = await secrets.post('pki/root/generate/internal', {
    ...{ common_name: 'Other', key_type: 'ec', issuer_name: 'other' },
  })
  const leaf = await mount.issue('a.example')
  await mount.revoke(leaf.serial_number)
  t.equal((await mount.list('issuer/default/crl/der')).entries.length, 1)
  const { entries, issuer } = await mount.list('issuer/other/crl/der')
  t.equal(entries.length, 0)
  t.notSame(issuer, (await mount.list()).issuer)
  t.ok(other.body.data.certificate)
})

t.test('settings: what they are at first, and what is wrong with others', async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  const first = await secrets.read('pki/config/crl')
  t.match(first.body.data, {
    ...{ expiry: '72h', disable: false, ocsp_disable: false, ocsp_expiry: '12h' },
    ...{ auto_rebuild: false, auto_rebuild_grace_period: '12h', enable_delta: false },
    ...{ delta_rebuild_interval: '15m', allow_expired_cert_revocation: false },
  })
  const wrong: [object, RegExp][] = [
    [{ expiry: 'soon' }, /given expiry could not be decoded/],
    [{ expiry: '0s' }, /expiry must be/],
    [{ ocsp_expiry: '-1s' }, /ocsp_expiry must be greater/],
    [{ auto_rebuild: true, auto_rebuild_grace_period: '72h' }, /strictly shorter than CRL expiry/],
    [{ enable_delta: true }, /cannot be enabled when auto rebuilding is disabled/],
    [
      { auto_rebuild: true, enable_delta: true, delta_rebuild_interval: '80h' },
      /delta rebuild window/,
    ],
  ]
  for (const [data, text] of wrong) {
    t.match(await secrets.post('pki/config/crl', data as never), { status: 400, text })
  }
  t.match(await secrets.post('pki/config/crl', { unified_crl: true }), { status: 501 })
  t.same((await secrets.read('pki/config/crl')).body.data, first.body.data)
})
