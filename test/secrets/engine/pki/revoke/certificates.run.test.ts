/** Certificates as they are fetched and listed. */
import t from 'tap'
import { pemBlocks } from '../../../../../src/x509/pem.ts'
import { Revoking } from './authority.ts'

t.test('by serial number, in all forms', async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  const leaf = await mount.issue('a.example')
  const read = (path: string) => secrets.read(`pki/cert/${path}`, { token: '' })
  const serial = leaf.serial_number
  t.equal((await read(serial)).body.data.certificate, leaf.certificate)
  t.equal((await read(serial.replaceAll(':', '-'))).body.data.certificate, leaf.certificate)
  t.equal((await read(`${serial}/raw/pem`)).text, leaf.certificate)
  t.same((await read(`${serial}/raw`)).bytes, pemBlocks(leaf.certificate)[0]!.der)
  t.equal((await read('11:22')).status, 404)
  t.equal((await read('nonsense')).status, 404)
  t.match(await read('11:22/raw'), { status: 204, text: '' })
  await mount.revoke(serial)
  const revoked = (await read(serial)).body.data
  t.ok(revoked.revocation_time > 0 && revoked.issuer_id !== '')
  t.equal(Math.floor(Date.parse(revoked.revocation_time_rfc3339) / 1_000), revoked.revocation_time)
})

t.test('listed in order, page by page', async t => {
  const mount = await Revoking.open(t)
  const { secrets } = mount
  t.equal((await secrets.list('pki/certs/revoked')).status, 404)
  const serials: string[] = [...(await secrets.list('pki/certs')).body.data.keys]
  t.equal(serials.length, 1, 'the root itself')
  for (let i = 0; i < 5; i++) {
    const { serial_number } = await mount.issue(`${i}.example`, { alt_names: 'x.example' })
    serials.push(serial_number)
    if (i > 2) await mount.revoke(serial_number)
  }
  serials.sort()
  t.same((await secrets.list('pki/certs')).body.data.keys, serials)
  const page = await secrets.list('pki/certs', { data: { after: serials[1]!, limit: 2 } })
  t.same(page.body.data.keys, serials.slice(2, 4))
  t.equal((await secrets.list('pki/certs/revoked')).body.data.keys.length, 2)
  const detailed = (await secrets.list('pki/certs/detailed')).body.data
  t.same(detailed.keys, serials)
  const named = Object.values<{ common_name: string }>(detailed.key_info)
  t.match(
    named.find(({ common_name }) => common_name === '0.example'),
    { issuer: 'CN=Root', key_type: 'ec', key_bits: 256, dns_names: ['0.example', 'x.example'] },
  )
})
