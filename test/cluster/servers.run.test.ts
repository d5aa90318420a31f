/**
 * A server's place: taken at the start, kept against whoever takes it away, given up at the end.
 */
import t, { type Test } from 'tap'
import { type Revision, revision } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { type Levels, ownLevels } from '../../src/cluster/features.ts'
import { Seat } from '../../src/cluster/servers.run.ts'
import { knownServers, noteFailed, type ServerSelf } from '../../src/cluster/servers.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { del, put, type Store } from '../../src/store/store.ts'
import type { AnyTable } from '../../src/store/table.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { aliveServers, FEATURE_KEY, features, servers } from '../../src/store/tables/server.ts'
import { FakeClock } from '../fake/clock.ts'

function world(t: Test) {
  const clock = new FakeClock()
  const store = openMemoryStore({
    tables: withSystemTables(registryTables),
    clock,
    random: systemRandom,
  })
  // As far as a seat can tell, others can open it too.
  const supports = { ...store.supports, shared: true }
  /** Called after each write of a seat. */
  const written: (() => void)[] = []
  const restore = { origin: revision(0) }
  const shared: Store = new Proxy(store, {
    get(target, name) {
      if (name === 'supports') return supports
      if (name === 'write') {
        return async (decide: Parameters<Store['write']>[0]) => {
          const answer = await store.write(decide)
          for (const look of written) look()
          return answer
        }
      }
      if (name === 'view') return () => viewOf(store, restore.origin)
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  t.teardown(() => store.close())
  const seat = (name: string, levels: Levels = ownLevels, more: Partial<ServerSelf> = {}): Seat => {
    const self: ServerSelf = {
      ...{ nodeId: `id-${name}`, name, address: '10.0.0.1', version: '1.0.0', ...more },
      ...{ ports: { server: 8300, serfLan: 8301, serfWan: 8302 }, sinceMs: 1 },
      ...{ hasAcl: false, meta: {} },
    }
    const made = new Seat(
      { store: shared, clock, random: systemRandom, log: silentLog },
      { self, levels },
    )
    t.teardown(() => made.stop())
    return made
  }
  const told = (): string[] =>
    knownServers(store.view()).map(({ row, status }) => `${row.name} ${status}`)
  return { clock, store, seat, told, written, restore }
}

/** A store of one's own says nothing of restores in its views: nobody else needs to know. */
function viewOf(store: Store, origin: Revision): ReturnType<Store['view']> {
  return new Proxy(store.view(), {
    get(target, name) {
      if (name === 'origin') return origin
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

t.test('it is alive as long as it runs, and a while longer', async t => {
  const { clock, seat, told } = world(t)
  const one = seat('one')
  await one.start()
  t.strictSame(told(), ['one alive'])
  await clock.advance(10 * limits.serverLeaseTtlMs)
  t.strictSame(told(), ['one alive'])
  await one.stop()
  await clock.advance(limits.serverLeaseTtlMs / 2)
  t.strictSame(told(), ['one alive'], 'back by then it was never away')
  await clock.advance(limits.serverLeaseTtlMs)
  t.strictSame(told(), ['one failed'])
})

t.test('what others take away is put back', async t => {
  const { clock, store, seat, told } = world(t)
  const one = seat('one')
  await one.start()
  for (const table of [servers, aliveServers] as AnyTable[]) {
    await store.write(() => ({ txn: [del(table, 'id-one')], answer: true }))
    await clock.advance(1)
    t.strictSame(told(), ['one alive'], table.name)
  }
  const row = store.view().get(servers, 'id-one')!.row
  await store.write(() => ({
    txn: [put(servers, 'id-one', { ...row, state: 'failed' as const })],
    answer: true,
  }))
  await clock.advance(1)
  t.equal(store.view().get(servers, 'id-one')?.row.state, 'in')
})

t.test('after a restore nobody is dead for as long as a lease lasts', async t => {
  const { clock, store, seat, restore } = world(t)
  const one = seat('one')
  await one.start()
  t.ok(one.judgesInMs > 0, 'what was before it began it does not know')
  await clock.advance(limits.serverLeaseTtlMs)
  t.equal(one.judgesInMs, 0)
  await store.write(() => ({ txn: [del(aliveServers, 'id-one')], answer: true }))
  t.equal(one.judgesInMs, 0, 'what else takes a lease away is believed')
  restore.origin = store.view().revision
  t.equal(one.judgesInMs, limits.serverLeaseTtlMs)
  await clock.advance(limits.serverLeaseTtlMs - 1)
  t.equal(one.judgesInMs, 1)
  await clock.advance(1)
  t.equal(one.judgesInMs, 0)
})

t.test('one that drains or left is not put back', async t => {
  const { clock, seat, told } = world(t)
  const one = seat('one')
  await one.start()
  await one.drain()
  await clock.advance(100)
  t.strictSame(told(), ['one leaving'])
  await one.leave()
  await clock.advance(100)
  t.strictSame(told(), ['one left'])
  await one.stop()
  await clock.advance(100)
  t.strictSame(told(), ['one left'])
})

t.test(
  'who does not speak what is written does not start, nor who has a living one’s name',
  async t => {
    const { store, seat, told } = world(t)
    await seat('one').start()
    await store.write(() => ({ txn: [put(features, FEATURE_KEY, { level: 2 })], answer: true }))
    await t.rejects(seat('two').start(), { code: 'locked', message: /too old/ })
    await seat('two', { lowest: 1, highest: 2 }).start()
    t.strictSame(told(), ['one alive', 'two alive'])
  },
)

t.test('it is never there without its lease: nobody takes it for dead as it comes', async t => {
  const { seat, told, written } = world(t)
  const seen = new Set<string>()
  written.push(() => seen.add(told().join()))
  await seat('one').start()
  t.strictSame([...seen], ['one alive'], 'after each write')
})

t.test(
  'a machine that comes back as another node waits until the old one is noted as gone',
  async t => {
    const { clock, store, seat, told } = world(t)
    const before = seat('one')
    await before.start()
    const other = { nodeId: 'id-new', address: '10.0.0.2' }
    await t.rejects(seat('one', ownLevels, other).start(), { code: 'locked', message: /named one/ })
    await before.stop()
    let isBack = false
    const back = seat('one', ownLevels, { nodeId: 'id-new' })
      .start()
      .then(() => {
        isBack = true
      })
    await clock.advance(limits.serverLeaseTtlMs / 2)
    t.notOk(isBack, 'its name is still that of a server that lives')
    await clock.advance(limits.serverLeaseTtlMs)
    t.notOk(isBack, 'its lease ran out, and its node still has the name')
    await store.write((view, now) => noteFailed(view, 'id-one', now))
    await clock.advance(limits.roleRetryMs)
    await back
    t.strictSame(told().sort(), ['one alive', 'one failed'])
  },
)

t.test('it does not wait for ever for what does not go', async t => {
  const { clock, seat } = world(t)
  await seat('one').start()
  const refused = t.rejects(seat('one', ownLevels, { nodeId: 'id-new' }).start(), {
    code: 'locked',
    message: /named one/,
  })
  await clock.advance(4 * limits.serverLeaseTtlMs)
  await refused
})
