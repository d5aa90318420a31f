/**
 * The events that an agent knows: what reaches it, in what bounds, and for how long.
 */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { everybody } from '../../src/base/who.ts'
import { Events } from '../../src/registry/event.run.ts'
import { eventIndex } from '../../src/registry/event.ts'
import type { View } from '../../src/store/ask.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal } from '../../src/store/store.ts'
import type { EventRow } from '../../src/store/tables/event.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { Writer } from '../../src/store/writer.ts'
import { until } from '../http/harness.ts'

const ANY = { name: '', node: '', service: '', tag: '' }

function openStore(t: Test): LocalStore {
  const store = openMemoryStore({
    ...{ tables: withSystemTables(registryTables), clock: systemClock, random: systemRandom },
  })
  t.teardown(() => store.close())
  return store
}

function agentOn(t: Test, store: LocalStore, node: string): Events {
  const events = new Events({ store, writer: new Writer(store), log: silentLog, node })
  events.start()
  t.teardown(() => events.stop())
  return events
}

const known = (events: Events, store: LocalStore, more = {}): readonly EventRow[] =>
  events.list(everybody, { ...ANY, ...more }).read(store.view() as View)

async function fire(events: Events, name: string, nodeFilter = ''): Promise<EventRow> {
  const fired = await events.fire(everybody, {
    ...{ name, payload: '', nodeFilter, serviceFilter: '', tagFilter: '' },
  })
  if (isRefusal(fired)) throw new Error(fired.text)
  return fired
}

t.test('reaches every agent of a store that it is meant for', async t => {
  const store = openStore(t)
  const [one, two] = [agentOn(t, store, 'one'), agentOn(t, store, 'two')]
  const all = await fire(one, 'all')
  t.strictSame(known(one, store), [all], 'known to the one who fired it when it is answered')
  await fire(two, 'first', '^one$')
  await until(() => known(one, store).length === 2)
  t.strictSame(
    known(two, store).map(({ name }) => name),
    ['all'],
  )
})

t.test('remembers the last 256, in their order', async t => {
  const store = openStore(t)
  const events = agentOn(t, store, 'one')
  await fire(events, 'rare')
  for (let i = 0; i < 256; i++) await fire(events, `e${i % 2}`)
  const names = known(events, store).map(({ name }) => name)
  t.equal(names.length, 256)
  t.strictSame([names[0], names[1], names.at(-1)], ['e0', 'e1', 'e1'])
  t.strictSame(known(events, store, { name: 'rare' }), [])
  const times = known(events, store).map(({ ltime }) => ltime)
  t.strictSame(
    times,
    times.toSorted((a, b) => a - b),
  )
})

t.test('a new agent knows nothing of old events', async t => {
  const store = openStore(t)
  const before = agentOn(t, store, 'one')
  const old = await fire(before, 'deploy')
  await before.stop()
  const after = agentOn(t, store, 'one')
  t.strictSame(known(after, store), [])
  const fresh = await fire(after, 'deploy')
  t.strictSame(known(after, store), [fresh])
  t.equal(fresh.ltime, old.ltime + 1, 'but they are counted on')
})

t.test('tells the scopes of what it takes in, and of what it forgets', async t => {
  const store = openStore(t)
  const events = agentOn(t, store, 'one')
  const newest = (name: string): number =>
    events.list(everybody, { ...ANY, name }).newest(store.view() as View, store.scopes)
  await fire(events, 'a')
  const first = newest('a')
  t.ok(first > 0)
  await fire(events, 'b')
  t.equal(newest('a'), first)
  t.ok(newest('') > first)
  for (let i = 0; i < 255; i++) await fire(events, 'b')
  t.ok(newest('a') > first, 'it is gone')
  t.equal(eventIndex(known(events, store, { name: 'a' })), '1')
})

t.test('goes on after a restore, and ends when it is stopped', async t => {
  const store = openStore(t)
  const events = agentOn(t, store, 'one')
  await fire(events, 'before')
  await store.restore({ rows: [], index: 1_000, verify: () => {} })
  await fire(events, 'after')
  t.strictSame(
    known(events, store).map(({ name }) => name),
    ['before', 'after'],
  )
  await events.stop()
  await fire(events, 'late')
  t.equal(known(events, store).length, 2, 'and a late call does not wait for ever')
})
