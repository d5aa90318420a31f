/** Revoking by serial number, by the certificate, by its key, and of issuers. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import t from 'tap'
import { wallMs } from '../../../../../src/base/brand.ts'
import { systemClock } from '../../../../../src/base/clock.ts'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import { mountAuthority } from '../authority.ts'
import { Revoking } from './authority.ts'

t.test('what is revoked is in the list at once, and stays as it was', needsOpenssl, async t => {
  for (const keyType of ['ec', 'rsa', 'ed25519']) {
    const mount = await Revoking.open(t, {}, keyType)
    const [one, other] = [await mount.issue('one.example'), await mount.issue('other.example')]
    t.equal(await mount.judged(one.certificate), 'OK', keyType)
    const first = await mount.revoke(one.serial_number)
    t.match(first, { status: 200, body: { data: { state: 'revoked' } } })
    t.match(await mount.judged(one.certificate), /certificate revoked/)
    t.equal(await mount.judged(other.certificate), 'OK')
    const again = await mount.revoke(one.serial_number.replaceAll(':', '-').toUpperCase())
    t.same(again.body.data, first.body.data)
    const list = await mount.list()
    t.equal(list.entries.length, 1)
    t.equal(list.number, 2, 'the second edition, after the empty one')
  }
})

t.test('by the certificate itself: stored or not, of an issuer here', needsOpenssl, async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  await secrets.post('pki/roles/fleeting', {
    ...{ allow_any_name: true, key_type: 'ec', no_store: true, enforce_hostnames: false },
  })
  const fleeting = await mount.issue('fleeting.example', {}, 'fleeting')
  t.match(await mount.revoke(fleeting.serial_number), {
    status: 400,
    body: { errors: [`certificate with serial ${fleeting.serial_number} not found.`] },
  })
  const { certificate } = fleeting
  t.equal((await secrets.post('pki/revoke', { certificate })).status, 200)
  t.match(await mount.judged(certificate), /certificate revoked/)
  const serial = fleeting.serial_number
  const read = await secrets.read(`pki/cert/${serial}`, { token: '' })
  t.equal(read.body.data.certificate, certificate, 'it is stored now')
  t.ok(read.body.data.revocation_time > 0)
  const both = { certificate, serial_number: serial }
  t.match((await secrets.post('pki/revoke', both)).text, /not both/)
  t.match((await secrets.post('pki/revoke')).text, /must be provided/)
  t.match((await secrets.post('pki/revoke', { certificate: '/a/path' })).text, /too short/)
  await mountAuthority(secrets, 'other/')
  const made = await secrets.post('other/root/generate/internal', {
    ...{ common_name: 'Root', ttl: '87600h', key_type: 'ec' },
  })
  const foreign = await secrets.post('pki/revoke', { certificate: made.body.data.certificate })
  t.match(foreign.text, /unable to verify signature on presented cert/)
  const own = await secrets.post('pki/revoke', { certificate: mount.root })
  t.match(own.text, /adding issuer \(id: .*\) to its own CRL is not allowed/)
})

t.test('with its key, and with no other', async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  const leaf = await mount.issue('keyed.example')
  const asked = (private_key: string, more: object = {}) =>
    secrets.post('pki/revoke-with-key', {
      ...{ serial_number: leaf.serial_number, private_key },
      ...more,
    })
  const pemOf = (key: KeyObject): string => String(key.export({ type: 'pkcs8', format: 'pem' }))
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const ed = generateKeyPairSync('ed25519').privateKey
  t.match(await asked(pemOf(other)), {
    status: 400,
    text: /does not match certificate's public key/,
  })
  t.match(await asked(pemOf(ed)), { status: 400, text: /key type does not match/ })
  t.match(await asked('x'.repeat(80)), { status: 400, text: /failed to parse/ })
  t.match(await asked('short'), { status: 400, text: /too short/ })
  const without = { serial_number: leaf.serial_number }
  t.match(await secrets.post('pki/revoke-with-key', without), { status: 400, text: /Must have/ })
  t.equal((await mount.list()).entries.length, 0)
  t.equal((await asked(leaf.private_key)).status, 200)
  t.equal((await mount.list()).entries.length, 1)
})

t.test('one that is over is revoked only where settings say so', async t => {
  const nowMs = Date.now()
  let aheadMs = 0
  const clock = { ...systemClock, wall: () => wallMs(nowMs + aheadMs) }
  const mount = await Revoking.open(t, { clock })
  const leaf = await mount.issue('short.example', { ttl: '10s' })
  aheadMs = 9_000
  const late = await mount.revoke(leaf.serial_number)
  t.match(late, { status: 200, body: { warnings: [/already expired; refusing to add to CRL/] } })
  t.equal(late.body.data, null)
  await mount.secrets.post('pki/config/crl', { allow_expired_cert_revocation: true })
  t.equal((await mount.revoke(leaf.serial_number)).body.data.state, 'revoked')
})

t.test('an issuer: it gives nothing more, and its parent lists it', needsOpenssl, async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  const asked = await secrets.post('pki/intermediate/generate/internal', {
    ...{ common_name: 'Middle', key_type: 'ec' },
  })
  const { csr } = asked.body.data
  const signed = await secrets.post('pki/root/sign-intermediate', { csr, common_name: 'Middle' })
  const { certificate } = signed.body.data
  const kept = await secrets.post('pki/intermediate/set-signed', { certificate })
  const [id] = kept.body.data.imported_issuers
  t.equal(await mount.judged(certificate), 'OK')
  t.equal(
    (await secrets.post(`pki/issuer/${id}/issue/any`, { common_name: 'a', ttl: '1h' })).status,
    200,
  )
  const revoked = await secrets.post(`pki/issuer/${id}/revoke`)
  t.match(revoked.body.data, { revoked: true, usage: 'crl-signing,ocsp-signing,read-only' })
  t.match(await mount.judged(certificate), /certificate revoked/)
  t.equal(
    (await secrets.post(`pki/issuer/${id}/issue/any`, { common_name: 'a', ttl: '1h' })).status,
    400,
  )
  t.same((await secrets.post(`pki/issuer/${id}/revoke`)).body.data, revoked.body.data)
  t.equal((await secrets.read(`pki/issuer/${id}/crl`)).status, 200, 'its own list goes on')
})
