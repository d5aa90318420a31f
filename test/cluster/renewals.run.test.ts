/**
 * Renewals over several servers: together, acknowledged by the holder alone, and none lost while
 * the role moves.
 */
import t, { type Test } from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { type RenewalItem, renewHere, SharedRenewals } from '../../src/cluster/renewals.run.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { roles } from '../../src/store/role.ts'
import { del, put } from '../../src/store/store.ts'
import { type DeadlineKind, Timekeeper } from '../../src/store/timekeeper.ts'
import { type Thing, testTables, things } from '../conformance/store.ts'
import { FakeClock, settled } from '../fake/clock.ts'

const LIFE_MS = 10_000

const liveness: DeadlineKind<Thing> = {
  name: 'thing',
  table: things,
  due: ({ row }) => ({ afterMs: row.size }),
  expire: key => () => ({ txn: [del(things, key)], answer: undefined }),
}

/** Two servers on one store; what is asked of the holder is counted. */
function world(t: Test) {
  const clock = new FakeClock()
  const tables = withSystemTables(testTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  const calls: (readonly RenewalItem[])[] = []
  let isCut = false
  const keepers = new Map<string, Timekeeper>()
  const server = (holder: string) => {
    const timekeeper = new Timekeeper(
      { store, clock, random: systemRandom, log: silentLog },
      { role: 'registry', holder, kinds: [liveness] },
    )
    keepers.set(holder, timekeeper)
    const ask = (items: readonly RenewalItem[]) => {
      const to = store.view().get(roles, 'registry')?.row.holder
      if (to === undefined || to === holder) return undefined
      calls.push(items)
      if (isCut) return Promise.reject(new Error('cut'))
      return renewHere(store, keepers.get(to)!, items)
    }
    return { timekeeper, renewals: new SharedRenewals({ timekeeper, clock, ask }) }
  }
  t.teardown(async () => {
    for (const each of keepers.values()) await each.stop()
    await store.close()
  })
  const add = async (key: string): Promise<void> => {
    const row: Thing = { group: 'g', tags: [], size: LIFE_MS }
    await store.write(() => ({ txn: [put(things, key, row)], answer: undefined }))
  }
  const keys = (): string[] =>
    store
      .view()
      .prefix(things, '')
      .map(({ key }) => key)
  const cut = (is: boolean): void => {
    isCut = is
  }
  return { clock, calls, server, add, keys, cut }
}

t.test('what comes together goes together, and keeps its rows alive', async t => {
  const { clock, calls, server, add, keys } = world(t)
  const one = server('one')
  const two = server('two')
  one.timekeeper.start()
  await settled()
  for (const key of ['a', 'b', 'c']) await add(key)
  for (let round = 0; round < 5; round++) {
    await clock.advance(LIFE_MS - 1_000)
    const renewed = Promise.all(['a', 'b', 'gone'].map(key => two.renewals.renew('thing', key)))
    await clock.advance(limits.renewalGatherMs)
    t.strictSame(await renewed, [true, true, false])
  }
  t.equal(calls.length, 5)
  t.strictSame(
    calls[0]?.map(({ key }) => key),
    ['a', 'b', 'gone'],
  )
  t.strictSame(keys(), ['a', 'b'])
  t.equal(await one.renewals.renew('thing', 'a'), true, 'the holder asks nobody')
  t.equal(calls.length, 5)
})

t.test('while nobody holds the role a renewal waits, and then is refused', async t => {
  const { clock, calls, server, add } = world(t)
  const one = server('one')
  await add('a')
  const late = one.renewals.renew('thing', 'a')
  await clock.advance(1_000)
  one.timekeeper.start()
  await clock.advance(limits.renewalRetryMs + limits.renewalGatherMs)
  t.equal(await late, true)
  await one.timekeeper.stop()
  const refused = t.rejects(one.renewals.renew('thing', 'a'), { code: 'unavailable' })
  await clock.advance(limits.renewalHoldMs)
  await refused
  t.equal(calls.length, 0)
})

t.test('the role moves in the middle: nothing is acknowledged that would not hold', async t => {
  const { clock, server, add, keys, cut } = world(t)
  const one = server('one')
  const two = server('two')
  const three = server('three')
  one.timekeeper.start()
  await settled()
  two.timekeeper.start()
  await add('a')
  await clock.advance(LIFE_MS - 100)
  // The holder is gone without a word; its lease runs out, and another takes over.
  cut(true)
  const renewed = three.renewals.renew('thing', 'a')
  await clock.advance(200)
  await one.timekeeper.stop()
  cut(false)
  for (let i = 0; i < 100 && !two.timekeeper.holding; i++) await clock.advance(100)
  t.equal(two.timekeeper.holding, true)
  await clock.advance(limits.renewalRetryMs * 2)
  const isThere = keys().includes('a')
  t.equal(await renewed, isThere, 'what was acknowledged is there')
  if (isThere) {
    await clock.advance(LIFE_MS - 500)
    t.strictSame(keys(), ['a'], 'its time began anew')
  }
})
