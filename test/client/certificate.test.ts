/** A certificate that is always fresh, over streams that come and go. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { KeptCertificate } from '../../src/client/certificate.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import { tempFolder } from '../clients/process.ts'
import { settled } from '../fake/clock.ts'
import { makeAuthority } from '../x509/pki.ts'
import { FakeServers } from './link-fake.ts'

const root = makeAuthority(tempFolder(t))
const { cert: leaf, key } = root.issue('web')

function open() {
  const fake = new FakeServers()
  const { clock } = fake
  const world = { clock, servers: fake.to(['a:1', 'b:1']), namespace: '' }
  const one = new KeptCertificate('web', { commonName: 'web.example' }, world)
  const told: string[] = []
  one.on('change', ({ serial }) => told.push(serial))
  one.on('problem', ({ code }) => told.push(code))
  const give = (serialNumber: string, inMs = 60_000): void => {
    const certificate = {
      serialNumber,
      certificatePem: leaf,
      issuingCaPem: root.cert,
      caChainPem: [root.cert],
      privateKeyPem: key,
      privateKeyType: 'ec',
      notBeforeSeconds: 0,
      notAfterSeconds: 2e9,
    }
    fake.streams.at(-1)?.listener.onMessage({ certificate, nextMs: clock.wall() + inMs } as never)
  }
  const end = (error?: GatehouseError): void => fake.streams.at(-1)?.listener.onEnd(error)
  return { fake, one, told, give, end }
}

t.test('is there when it is made, and fresh ones come', async t => {
  const { fake, one, told, give } = open()
  const begun = one.begin()
  await settled()
  t.match(fake.streams[0], {
    method: 'Certificates/Watch',
    request: { wish: { role: 'web', commonName: 'web.example' }, csrPem: '' },
  })
  give('01')
  await begun
  t.match(one.current, { serial: '01', key, cert: leaf, ca: root.cert, notAfterMs: 2e12 })
  give('02')
  t.same(told, ['01', '02'])
  one.close()
  await settled()
  t.equal(fake.streams[0]?.isCancelled, true)
  t.equal(fake.clock.timers, 0)
})

t.test('a stream that ends early is opened again when the next one is due', async t => {
  const { fake, one, give, end } = open()
  const begun = one.begin()
  await settled()
  give('01')
  await begun
  end(new GatehouseError('UNAVAILABLE', 'killed'))
  await fake.clock.advance(59_000)
  t.equal(fake.streams.length, 1, 'each stream begins with a new certificate')
  await fake.clock.advance(2_000)
  t.equal(fake.streams.length, 2)
})

t.test('a delay is told, and the last certificate holds on', async t => {
  const { fake, one, told, give } = open()
  const begun = one.begin()
  await settled()
  give('01')
  await begun
  const delay = { code: 14, message: 'sealed' }
  fake.streams[0]?.listener.onMessage({ delay, nextMs: fake.clock.wall() + 5_000 } as never)
  t.same(told, ['01', 'UNAVAILABLE'])
  t.equal(one.current.serial, '01')
})

t.test('a refusal is told at once; servers that are away are waited for', async t => {
  const refused = open()
  const begun = refused.one.begin()
  await settled()
  refused.end(new GatehouseError('PERMISSION_DENIED', 'no'))
  await t.rejects(begun, { code: 'PERMISSION_DENIED' })
  const away = open()
  away.fake.down.add('a:1').add('b:1')
  const later = away.one.begin()
  await away.fake.clock.advance(5_000)
  away.fake.down.clear()
  await away.fake.clock.advance(limits.clientRetryMaxMs)
  away.give('01')
  await later
  t.equal(away.one.current.serial, '01')
})
