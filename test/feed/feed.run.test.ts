/** Who is told what when: snapshots, deltas, resumes, resyncs, slow readers, rights. */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { useLoop } from '../../src/base/slices.ts'
import { openAuthority, type Who } from '../../src/base/who.ts'
import { del, put } from '../../src/store/store.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { settled } from '../fake/clock.ts'
import { eventually, fresh, openWorld, type TestReader } from './support.ts'

const node = (name: string) =>
  put(nodes, name, { node: name, id: '', address: '10.0.0.1', taggedAddresses: {}, meta: {} })
const keyOf = (on: string, id: string): string => `${on}\0\0${id}`
const service = (on: string, id: string, port: number, name = 'web') =>
  put(services, keyOf(on, id), {
    ...{ node: on, id, name, kind: '', tags: [], address: '', taggedAddresses: {}, port },
    ...{ meta: {}, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  } satisfies ServiceRow)

const web = { topic: 'health', subject: 'web' }

t.test('a snapshot, then what changes, and nothing of others', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1))
  const reader = world.read(web)
  t.ok(await eventually(() => reader.isWhole))
  t.strictSame([...reader.state.keys()], ['a/w1'])
  await world.write(service('a', 'db', 5, 'db'))
  await world.write(service('a', 'w2', 2))
  t.ok(await eventually(() => reader.frames.length === 2))
  const at = await world.write(del(services, keyOf('a', 'w1')))
  t.ok(await eventually(() => reader.frames.length === 3))
  t.strictSame(reader.frames[2]!.deletes, ['a/w1'])
  t.equal(reader.frames[2]!.revision, world.store.indexOf(world.store.view().revision))
  t.ok(at > 0)
  t.strictSame(reader.state, fresh(world.store, web))
  t.strictSame(reader.faults, [])
})

t.test('a token goes on where it was', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1), service('a', 'w2', 1))
  const first = world.read(web)
  t.ok(await eventually(() => first.isWhole))
  first.close()
  await world.write(service('a', 'w2', 2))
  await world.write(del(services, keyOf('a', 'w1')))
  const second = world.read({ ...web, resume: first.resume }).goOnFrom(first)
  t.ok(await eventually(() => second.frames.length > 0))
  t.equal(second.frames[0]!.event, 'delta')
  t.strictSame(second.frames[0]!.deletes, ['a/w1'])
  t.strictSame(second.state, fresh(world.store, web))
  const third = world.read({ ...web, resume: second.resume }).goOnFrom(second)
  t.ok(await eventually(() => third.frames.length > 0))
  t.equal(third.frames[0]!.event, 'heartbeat', 'that nothing was missed is told, too')
  t.strictSame([...second.faults, ...third.faults], [])
})

t.test('a slow reader is told once what became of it', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1))
  const reader = world.read({ ...web, room: 1 })
  t.ok(await eventually(() => reader.frames.length === 1))
  for (let port = 2; port < 50; port++) await world.write(service('a', 'w1', port))
  await settled()
  t.equal(reader.frames.length, 1)
  reader.take()
  t.ok(await eventually(() => reader.frames.length === 2))
  t.strictSame(reader.state, fresh(world.store, web))
  t.strictSame(reader.faults, [])
})

t.test('strict: who lacks the right on the whole is refused, also later', async t => {
  let mayRead = false
  let changed = (): void => {}
  const who: Who = {
    accessor: 'narrow',
    get rights() {
      return mayRead ? 'wide' : 'narrow'
    },
    may: ({ resource }) => resource === 'node' || mayRead,
  }
  const authority = {
    ...openAuthority,
    authenticate: () => who,
    watch(_who: Who, told: () => void) {
      changed = told
      return () => {}
    },
  }
  const world = openWorld(t, { authority })
  await world.write(node('a'), service('a', 'w1', 1))
  const asked = { ...web, who, token: 'narrow', isStrict: true }
  t.throws(() => world.read(asked), /403.*lacks permission 'service:read' on "web"/)
  const loose = world.read({ ...asked, isStrict: false })
  t.ok(await eventually(() => loose.isWhole))
  t.equal(loose.state.size, 0)
  mayRead = true
  const reader = world.read(asked)
  t.ok(await eventually(() => reader.isWhole))
  t.equal(reader.state.size, 1)
  mayRead = false
  changed()
  t.ok(await eventually(() => reader.ended !== undefined))
  t.match(reader.ended, { status: 403, text: /service:read/ })
})

t.test('ten thousand slow readers hold one frame together', async t => {
  const READERS = 10_000
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1))
  const readers = Array.from({ length: READERS }, () => world.read({ ...web, room: 1 }))
  const all = (count: number) => readers.every(({ frames }) => frames.length === count)
  t.ok(await eventually(() => all(1)))
  const { pendingSizeBytes: first, slow } = world.feeds.stats
  t.equal(slow, READERS)
  t.ok(first > 0 && first < 2_000, `${first} bytes for all of them`)
  for (let port = 2; port < 100; port++) await world.write(service('a', 'w1', port))
  await settled()
  t.ok(all(1), 'nobody is told anything more')
  t.equal(world.feeds.stats.pendingSizeBytes, first)
  t.equal(world.feeds.stats.entries, 98, 'what they miss is kept once')
  for (const reader of readers) reader.take(1)
  t.ok(await eventually(() => all(2)))
  const { stats } = world.feeds
  t.strictSame([stats.slow, stats.groups, stats.sources], [READERS, 1, 1])
  t.ok(stats.pendingSizeBytes < 2_000)
  const wanted = fresh(world.store, web)
  t.ok(readers.every(({ state }) => state.get('a/w1') === wanted.get('a/w1')))
  for (const reader of readers) reader.close()
  t.strictSame(world.feeds.stats, {
    ...{ readers: 0, sources: 0, groups: 0, entries: 0, slow: 0, pendingSizeBytes: 0 },
  })
})

t.test('too much that waits ends the slowest', async t => {
  const MAX_SIZE_BYTES = 100_000
  const world = openWorld(t, { pendingSizeBytes: MAX_SIZE_BYTES })
  const big = (key: string) =>
    put<KvRow>(kv, key, { value: Buffer.alloc(1_000), flags: 0n, session: '', lockIndex: 0 })
  const readers: TestReader[] = []
  // Each waits for something of its own.
  for (let i = 0; i < 60; i++) {
    await world.write(big(`k${i}/`))
    readers.push(world.read({ topic: 'kv', subject: `k${i}/`, room: 1 }))
    await eventually(() => readers.at(-1)!.frames.length === 1)
    t.ok(world.feeds.stats.pendingSizeBytes <= MAX_SIZE_BYTES)
  }
  const ended = readers.filter(one => one.ended !== undefined)
  t.ok(ended.length > 0 && ended.length < 60)
  t.equal(readers[0]!.ended?.status, 429, 'those who waited longest')
  t.equal(readers.at(-1)!.ended, undefined)
})

t.test('long state comes in parts, and what happens meanwhile behind it', async t => {
  const world = openWorld(t)
  await world.write(node('a'))
  const COUNT = 700
  for (let at = 0; at < COUNT; at += 100) {
    const some = Array.from({ length: 100 }, (_, i) => service('a', `w${at + i}`, 1))
    await world.write(...some)
  }
  const reader = world.read({ ...web, room: 1 })
  t.ok(await eventually(() => reader.frames.length === 1))
  t.equal(reader.isWhole, false)
  await world.write(service('a', 'w0', 2), del(services, keyOf('a', 'w699')))
  for (let part = 2; !reader.isWhole; part++) {
    reader.take(1)
    t.ok(await eventually(() => reader.frames.length === part))
  }
  t.ok(reader.frames.length > 2)
  t.equal(reader.state.size, COUNT, 'the state of when it began')
  reader.take()
  t.ok(await eventually(() => reader.frames.at(-1)?.event === 'delta'))
  t.strictSame(reader.state, fresh(world.store, web))
  t.strictSame(reader.faults, [])
})

t.test('a heartbeat comes where nothing else does, unless the server knows nothing', async t => {
  const age = { isDegraded: false }
  const world = openWorld(t, { age })
  await world.write(node('a'))
  const reader = world.read({ ...web, heartbeatMs: 2_000 })
  await world.clock.advance(1_000)
  t.equal(reader.frames.length, 1)
  await world.clock.advance(1_500)
  t.equal(reader.frames.at(-1)?.event, 'heartbeat')
  await world.write(service('a', 'db', 1, 'db'))
  await world.clock.advance(2_000)
  const { revision } = reader.frames.at(-1)!
  t.equal(revision, world.store.indexOf(world.store.view().revision), 'with the current revision')
  age.isDegraded = true
  const { length } = reader.frames
  await world.clock.advance(10_000)
  t.equal(reader.frames.length, length)
})

t.test('who takes nothing for minutes is ended', async t => {
  const world = openWorld(t)
  await world.write(node('a'))
  const reader = world.read({ ...web, room: 1 })
  t.ok(await eventually(() => reader.frames.length === 1))
  await world.clock.advance(limits.feedStalledMs + 1_000)
  t.equal(reader.ended?.status, 429)
  t.equal(world.feeds.stats.readers, 0)
})

t.test('what is asked wrongly, and tokens of others', async t => {
  const world = openWorld(t)
  await world.write(node('a'), service('a', 'w1', 1))
  const first = world.read(web)
  t.ok(await eventually(() => first.isWhole))
  const { resume } = first
  t.throws(() => world.read({ topic: 'x' }), /404/)
  t.throws(() => world.read({ topic: 'health', subject: '' }), /400/)
  t.throws(() => world.read({ ...web, resume: 'x' }), /400/)
  t.throws(() => world.read({ topic: 'health', subject: 'db', resume }), /400.*another feed/)
  const filtered = world.read({ ...web, filter: 'Service.Port == 2', resume })
  t.ok(await eventually(() => filtered.frames.length === 2))
  t.match(filtered.frames[0], { event: 'resync', reason: 'filter' })
  t.strictSame(filtered.frames[1]?.upserts, [])
  world.feeds.close()
  t.equal(first.ended?.status, 503)
  t.throws(() => world.read(web), /503/)
})

t.test('what was missed is told once, where the loop is given back all the time', async t => {
  const MISSED = 600
  const world = openWorld(t)
  await world.write(node('a'))
  const reader = world.read({ ...web, room: 1 })
  t.ok(await eventually(() => reader.frames.length === 1))
  for (let id = 0; id < MISSED; id++) await world.write(service('a', `w${id}`, 80))
  // Every look at the clock finds the slice over.
  let ms = 0
  const back = useLoop({
    now: () => {
      ms += 1_000
      return ms
    },
    afterPoll: run => void setImmediate(run),
  })
  t.teardown(back)
  const before = reader.frames.length
  for (let takes = 0; takes < 50 && reader.state.size < MISSED; takes++) {
    const seen = reader.frames.length
    reader.take(1)
    t.ok(await eventually(() => reader.frames.length > seen))
  }
  t.strictSame(reader.state, fresh(world.store, web))
  t.ok(reader.frames.length - before > 1, 'it was more than one part')
  t.strictSame(reader.faults, [])
})
