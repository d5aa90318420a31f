/**
 * Leases of the local engines: never ended early, never counted on once their end is decided.
 */
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { LeaseTable, leases } from '../../src/store/lease.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { del, put, type Store } from '../../src/store/store.ts'
import { blobs, testTables } from '../conformance/store.ts'
import { FakeClock, settled } from '../fake/clock.ts'

const LATE_MS = 200
const tables = withSystemTables(testTables)

function world(): { clock: FakeClock; store: LocalStore } {
  const clock = new FakeClock()
  return { clock, store: openMemoryStore({ tables, clock, random: systemRandom }) }
}

async function putOn(store: Store, key: string, lease: string): Promise<void> {
  const row = put(blobs, key, Buffer.from('1'), lease)
  await store.write(() => ({ txn: [row], answer: undefined }))
}

t.test('ends after its time, with the rows that hang on it, not earlier', async t => {
  const { clock, store } = world()
  const lease = await store.grant(5_000)
  await putOn(store, 'a', lease.id)
  await putOn(store, 'b', '')
  await clock.advance(4_999)
  t.ok(store.view().get(blobs, 'a'))
  await clock.advance(LATE_MS)
  t.equal(store.view().get(blobs, 'a'), undefined)
  t.ok(store.view().get(blobs, 'b'))
  t.equal(store.view().count(leases), 0)
  t.equal(await store.keepAlive(lease.id), false)
  t.equal(await store.keepAlive('unknown'), false)
  t.equal(clock.timers, 0, 'no tick while there is no lease')
  await store.close()
})

t.test('being kept alive starts it over', async t => {
  const { clock, store } = world()
  const lease = await store.grant(10)
  t.equal(lease.ttlMs, limits.leaseTtlMinMs)
  await putOn(store, 'a', lease.id)
  for (let i = 0; i < 5; i++) {
    await clock.advance(900)
    t.equal(await store.keepAlive(lease.id), true)
  }
  await clock.advance(999)
  t.ok(store.view().get(blobs, 'a'))
  await clock.advance(LATE_MS)
  t.equal(store.view().get(blobs, 'a'), undefined)
  await store.close()
})

t.test('a lease granted after a long idle time has its whole time', async t => {
  const { clock, store } = world()
  await clock.advance(30 * 86_400_000)
  const lease = await store.grant(5_000)
  await putOn(store, 'a', lease.id)
  await clock.advance(4_999)
  t.ok(store.view().get(blobs, 'a'))
  await clock.advance(LATE_MS)
  t.equal(store.view().get(blobs, 'a'), undefined)
  await store.close()
})

t.test('a row that moved to another lease, or off it, stays', async t => {
  const { store } = world()
  const [one, two] = [await store.grant(60_000), await store.grant(60_000)]
  for (const key of ['moved', 'freed', 'deleted', 'stays']) await putOn(store, key, one.id)
  await putOn(store, 'moved', two.id)
  await putOn(store, 'freed', '')
  await store.write(() => ({ txn: [del(blobs, 'deleted')], answer: undefined }))
  await store.revoke(one.id)
  await store.revoke(one.id)
  t.same(
    store
      .view()
      .prefix(blobs, '')
      .map(({ key }) => key),
    ['freed', 'moved'],
  )
  await store.revoke(two.id)
  t.same(
    store
      .view()
      .prefix(blobs, '')
      .map(({ key }) => key),
    ['freed'],
  )
  await store.close()
})

t.test('nobody is told that a lease lives once its end is decided', async t => {
  const { clock, store } = world()
  const lease = await store.grant(5_000)
  await putOn(store, 'a', lease.id)
  const revoking = store.revoke(lease.id)
  t.equal(await store.keepAlive(lease.id), false)
  await revoking
  t.equal(store.view().get(blobs, 'a'), undefined)
  await clock.advance(10_000)
  t.equal(clock.timers, 0)
  await store.close()
})

t.test('an end that could not be written is tried again, and stays an end', async t => {
  const clock = new FakeClock()
  const real = openMemoryStore({ tables, clock: new FakeClock(), random: systemRandom })
  let failures = 0
  const store = new Proxy<Store>(real, {
    get(target, name) {
      if (name === 'write' && failures > 0) {
        return () => {
          failures--
          return Promise.reject(new OperatingError(OperatingCode.busy, 'too many writes'))
        }
      }
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const table = new LeaseTable(store, tables, clock)
  const lease = await table.grant(1_000, 'lease')
  failures = 5
  await clock.advance(1_000 + LATE_MS)
  t.ok(failures < 5 && failures > 0)
  t.equal(table.keepAlive(lease.id), false)
  t.equal(real.view().count(leases), 1)
  await clock.advance(1_000)
  t.equal(real.view().count(leases), 0)
  t.equal(clock.timers, 0)
  table.stop()
  await real.close()
})

t.test('a restored store has no leases, and revoking an old one does no harm', async t => {
  const { clock, store } = world()
  const lease = await store.grant(5_000)
  await putOn(store, 'a', lease.id)
  const row = { key: 'test/blob/a', body: Buffer.from('x'), createIndex: 1, modifyIndex: 1 }
  const restoring = store.restore({ rows: [row], index: 5, verify: () => {} })
  const revoking = store.revoke(lease.id)
  await Promise.all([restoring, revoking])
  await settled()
  t.equal(store.view().get(blobs, 'a')?.row.toString(), 'x')
  t.equal(await store.keepAlive(lease.id), false)
  await t.rejects(putOn(store, 'b', lease.id), { code: 'lease' })
  await clock.advance(10_000)
  t.ok(store.view().get(blobs, 'a'))
  await store.close()
})
