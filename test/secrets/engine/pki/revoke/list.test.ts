/** Lists as time goes on: each has its next edition before it is over. */
import t from 'tap'
import { FakeClock } from '../../../../fake/clock.ts'
import { openKept } from './authority.ts'

t.test('a list that nobody touches is made anew before it is over', async t => {
  const clock = new FakeClock()
  const mount = await openKept(t, clock)
  await mount.secrets.post('pki/config/crl', { expiry: '40s' })
  let { number, nextUpdate } = await mount.list()
  for (let i = 0; i < 3; i++) {
    await clock.advance(31_000)
    const next = await mount.list()
    t.equal(next.number, number! + 1)
    t.ok(+next.thisUpdate < +nextUpdate!, 'before the one before was over')
    number = next.number
    nextUpdate = next.nextUpdate
  }
})

t.test('where nobody keeps the time, a list that is over is none', async t => {
  const clock = new FakeClock()
  const mount = await openKept(t, clock)
  await mount.secrets.post('pki/config/crl', { expiry: '40s' })
  clock.elapse(40_001)
  t.match(await mount.secrets.read('pki/crl'), { status: 503, text: /made anew/ })
  await clock.advance(200)
  t.equal((await mount.secrets.read('pki/crl')).status, 200)
})

t.test('by itself, with deltas in between', async t => {
  const clock = new FakeClock()
  const mount = await openKept(t, clock)
  await mount.secrets.post('pki/config/crl', {
    ...{ expiry: '60s', auto_rebuild: true, auto_rebuild_grace_period: '20s' },
    ...{ enable_delta: true, delta_rebuild_interval: '10s' },
  })
  const first = await mount.list()
  await clock.advance(1_000)
  await mount.revoke((await mount.issue('a.example')).serial_number)
  const counts = async () => [
    (await mount.list()).entries.length,
    (await mount.list('crl/delta')).entries.length,
  ]
  t.same(await counts(), [0, 0])
  await clock.advance(10_000)
  t.same(await counts(), [0, 1])
  const delta = await mount.list('crl/delta')
  t.equal(delta.deltaOf, first.number)
  await clock.advance(10_000)
  t.equal((await mount.list('crl/delta')).number, delta.number, 'nothing changed since')
  await clock.advance(20_000)
  t.same(await counts(), [1, 0])
  t.ok((await mount.list()).number! > delta.number!)
})

t.test(
  'the list of an issuer that has gone stands still, and goes on when it comes back',
  async t => {
    const clock = new FakeClock()
    const mount = await openKept(t, clock)
    const { secrets, root } = mount
    await secrets.post('pki/config/crl', { expiry: '40s' })
    const leaf = await mount.issue('a.example')
    await mount.revoke(leaf.serial_number)
    const { number } = await mount.list()
    await secrets.remove('pki/issuer/default')
    const written = () => secrets.store.view().revision
    await clock.advance(31_000)
    const still = written()
    await clock.advance(90_000)
    t.equal(written(), still, 'nobody writes editions for nobody')
    t.equal((await secrets.read('pki/crl')).status, 204)
    const back = await secrets.post('pki/issuers/import/cert', { pem_bundle: root })
    const [id] = back.body.data.imported_issuers
    const list = await mount.list(`issuer/${id}/crl/der`)
    t.equal(list.entries.length, 1)
    t.ok(list.number! > number!)
  },
)
