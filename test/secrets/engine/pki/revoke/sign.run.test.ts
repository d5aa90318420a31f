/** Lists that are put together by hand. */
import t from 'tap'
import { readCrl } from '../../../../../src/x509/crl.ts'
import { pemBlocks } from '../../../../../src/x509/pem.ts'
import { needsOpenssl } from '../../../../x509/openssl.ts'
import { Revoking } from './authority.ts'

const PATH = 'pki/issuer/default/sign-revocation-list'
const listIn = (pem: string) => readCrl(pemBlocks(pem)[0]!.der)

t.test('of certificates that somebody names', needsOpenssl, async t => {
  const mount = await Revoking.open(t)
  const leaf = await mount.issue('a.example')
  const value = Buffer.from('0c0178', 'hex').toString('base64')
  const signed = await mount.secrets.post(PATH, {
    ...{ crl_number: 7, delta_crl_base_number: 3, next_update: '1h' },
    revoked_certs: [
      { serial_number: leaf.serial_number, revocation_time: '2026-01-02T03:04:05Z' },
      {
        ...{ serial_number: 'AA-BB', revocation_time: 1_767_322_000 },
        extensions: [{ id: '2.5.29.21', value: Buffer.from('0a0101', 'hex').toString('base64') }],
      },
    ],
    extensions: [{ id: '1.2.3.4', critical: false, value }],
  })
  const list = listIn(signed.body.data.crl)
  t.match(list, { number: 7, deltaOf: 3 })
  t.equal(+list.nextUpdate! - +list.thisUpdate, 3_600_000)
  t.same(list.entries[0]!.revokedAt, new Date('2026-01-02T03:04:05Z'))
  t.match(list.entries[1], { serial: 'aabb', reason: 'keyCompromise' })
  const whole = await mount.secrets.post(PATH, {
    ...{ crl_number: 8, format: 'der' },
    revoked_certs: [{ serial_number: leaf.serial_number, revocation_time: '1767322000' }],
  })
  const der = Buffer.from(whole.body.data.crl, 'base64')
  t.equal(readCrl(der).entries.length, 1)
  t.equal((await mount.list()).entries.length, 0, 'nothing of it is kept')
})

t.test('of other lists that the issuer signed', async t => {
  const [mount, other] = [await Revoking.open(t), await Revoking.open(t)]
  const sign = async (revoked_certs: object[], by = mount) =>
    (await by.secrets.post(PATH, { revoked_certs } as never)).body.data.crl as string
  const first = await sign([
    { serial_number: '01', revocation_time: 1_000 },
    { serial_number: '02', revocation_time: 1_000 },
  ])
  const second = await sign([{ serial_number: '02', revocation_time: 500 }])
  const path = 'pki/issuer/default/resign-crls'
  const joined = await mount.secrets.post(path, { crls: [first, second], crl_number: 9 })
  const { entries, number } = listIn(joined.body.data.crl)
  t.equal(number, 9)
  t.same(
    entries.map(({ serial, revokedAt }) => [serial, +revokedAt]),
    [
      ['01', 1_000_000],
      ['02', 500_000],
    ],
  )
  t.match(joined.body.warnings, [/Duplicate serial 02/])
  const foreign = await sign([], other)
  t.match(await mount.secrets.post(path, { crls: [foreign] }), { text: /index: 0 was not signed/ })
  t.match(await mount.secrets.post(path, { crls: ['nonsense'] }), { text: /failed decoding crl 0/ })
})

t.test('what is wrong with one', async t => {
  const mount = await Revoking.open(t)
  const one = { serial_number: '01', revocation_time: 1_000 }
  const extension = (id: string, value = '') => [{ id, value }]
  const wrong: [object, RegExp][] = [
    [{ format: 'text' }, /unknown format value of text/],
    [{ next_update: '0s' }, /must be greater than 0/],
    [{ next_update: 'x' }, /invalid value for next_update/],
    [{ crl_number: -1 }, /crl_number parameter/],
    [{ delta_crl_base_number: -2 }, /delta_crl_base_number parameter/],
    [{ revoked_certs: 'x' }, /no list of objects/],
    [{ revoked_certs: [{ serial_number: 'xx' }] }, /entry 0: 'serial_number'/],
    [{ revoked_certs: [{ serial_number: '01' }] }, /missing 'revocation_time'/],
    [{ revoked_certs: [one, one] }, /duplicate serial number: 01, original entry 0 and 1/],
    [{ revoked_certs: [{ ...one, revocation_time: 'soon' }] }, /is not a time/],
    [{ extensions: extension('2.5.29.35') }, /is reserved/],
    [{ extensions: extension('2.5.29.20') }, /is reserved/],
    [{ extensions: extension('x') }, /no object identifier/],
    [{ extensions: extension('1.2.3', '*') }, /base64/],
    [{ extensions: [...extension('1.2.3'), ...extension('1.2.3')] }, /duplicate extension/],
  ]
  for (const [data, text] of wrong) {
    t.match(await mount.secrets.post(PATH, data as never), { status: 400, text }, String(text))
  }
})
