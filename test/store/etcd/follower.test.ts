/** The view and etcd: compaction, fragments, lost connections, other servers' restores. */
import t, { type Test } from 'tap'
import { revision } from '../../../src/base/brand.ts'
import { limits } from '../../../src/base/limits.ts'
import { useLoop } from '../../../src/base/slices.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { type Change, type Cursor, del, type Op, put } from '../../../src/store/store.ts'
import { blobs, things } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startEtcd } from './member.ts'
import { openOn, openRaw, until, WatchCutter } from './stores.ts'

const ops = (store: EtcdStore, ...txn: Op[]) => store.write(() => ({ txn, answer: null }))
const text = (value: string) => Buffer.from(value)

/** Two servers of one store; the watch of the second can be cut. */
async function openPair(t: Test, member: Member, prefix: string) {
  const cutter = new WatchCutter()
  const one = await openOn(t, member, { prefix, serverId: 'one' })
  const other = await openOn(t, member, { prefix, serverId: 'other', connect: cutter.connect })
  return { one, other, cutter }
}

const sameView = (one: EtcdStore, other: EtcdStore): Promise<void> =>
  until(() => one.view().revision === other.view().revision)

async function next(cursor: Cursor): Promise<Change | 'resync' | undefined> {
  return cursor.next(AbortSignal.timeout(5_000))
}

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('follower: a cut watch goes on where it was', async t => {
    const { one, other, cutter } = await openPair(t, member, 'cut')
    await ops(one, put(blobs, 'a', text('1')))
    await sameView(one, other)
    const cursor = other.feed(other.view().revision)
    cutter.cut()
    await ops(one, put(blobs, 'b', text('1')))
    await ops(one, del(blobs, 'a'))
    t.equal(other.view().get(blobs, 'b'), undefined)
    cutter.mend()
    await sameView(one, other)
    t.equal(other.status().sum, one.status().sum)
    t.match(await next(cursor), { events: [{ key: 'b' }] })
    t.match(await next(cursor), { events: [{ key: 'a', after: undefined }] })
  })

  t.test('follower: compacted while its watch was cut', async t => {
    const { one, other, cutter } = await openPair(t, member, 'compacted')
    const thing = { group: 'g', tags: [], size: 1 }
    await ops(one, put(blobs, 'kept', text('1')), put(blobs, 'gone', text('1')))
    await ops(one, put(blobs, 'changed', text('1')), put(things, 'a', thing))
    await sameView(one, other)
    const kept = other.view().get(blobs, 'kept')
    const cursor = other.feed(other.view().revision)
    const woken: string[] = []
    const wait = (key: string) => other.scopes.wait({ table: 'blobs', key }, () => woken.push(key))
    for (const key of ['kept', 'gone', 'changed', 'fresh']) wait(key)
    other.scopes.wait({ scope: 'group/g' }, () => woken.push('group/g'))
    cutter.cut()
    await ops(one, del(blobs, 'gone'), del(things, 'a'))
    await ops(one, put(blobs, 'changed', text('2')), put(blobs, 'passing', text('1')))
    await ops(one, put(blobs, 'fresh', text('1')), del(blobs, 'passing'))
    await one.compact(one.view().revision)
    cutter.mend()
    await until(() => other.view().revision >= one.view().revision)
    t.equal(other.status().sum, one.status().sum)
    t.equal(other.view().get(blobs, 'kept'), kept, 'a row that did not change stays the same')
    const change = await next(cursor)
    if (change === 'resync' || change === undefined) throw new Error('a change was expected')
    const keys = change.events.map(({ table, key, after }) => [
      table.name,
      key,
      after !== undefined,
    ])
    t.same(keys.sort(), [
      ['blobs', 'changed', true],
      ['blobs', 'fresh', true],
      ['blobs', 'gone', false],
      ['things', 'a', false],
    ])
    t.equal(change.revision, other.view().revision)
    await until(() => woken.length === 4)
    t.same(woken.sort(), ['changed', 'fresh', 'gone', 'group/g'])
    t.equal(other.view().newestTombstone(blobs, 'gone'), change.revision)
    t.equal(other.view().floor(blobs), change.revision, 'what came and went is not known')
    await ops(other, put(blobs, 'after', text('1')))
    await sameView(one, other)
    t.equal(other.status().sum, one.status().sum)
  })

  t.test('follower: very much changed while its watch was cut', async t => {
    const { one, other, cutter } = await openPair(t, member, 'much')
    const rows = limits.etcdCatchUpRows + 500
    const all = (value: string): Op[] =>
      Array.from({ length: rows }, (_, at) => put(things, `row/${at}`, thing(value)))
    const thing = (group: string) => ({ group, tags: [], size: 1 })
    await ops(one, ...all('before'))
    await sameView(one, other)
    const cursor = other.feed(other.view().revision)
    const woken: string[] = []
    for (const name of ['group/before', 'group/none']) {
      other.scopes.wait({ scope: name }, () => woken.push(name))
    }
    cutter.cut()
    await ops(one, ...all('between'))
    await ops(one, ...all('after'))
    await one.compact(one.view().revision)
    // A loop on which every slice is over when it is looked at, and what others see meanwhile.
    const seen = new Set<string>()
    let [nowMs, turns] = [0, 0]
    const restore = useLoop({
      now: () => (nowMs += limits.sliceMs),
      afterPoll: run =>
        void setImmediate(() => {
          turns++
          const view = other.view()
          seen.add(`${view.find(things, 'group', 'before').length} and ${view.rows} rows`)
          run()
        }),
    })
    t.teardown(restore)
    cutter.mend()
    await until(() => other.view().revision >= one.view().revision)
    restore()
    t.ok(turns > rows / 16, `the loop was given back ${turns} times`)
    const before = `${rows} and ${rows} rows`
    t.ok(seen.has(before), 'the old content was served meanwhile')
    for (const one of seen) t.ok([before, `0 and ${rows} rows`].includes(one), one)
    t.same(other.view().find(things, 'group', 'before'), [])
    t.equal(other.status().sum, one.status().sum)
    t.equal(await next(cursor), 'resync', 'one change of that size would hold the loop')
    await until(() => woken.length === 2)
    await ops(other, put(things, 'row/0', thing('later')))
    await sameView(one, other)
    t.equal(other.status().sum, one.status().sum)
  })

  t.test('follower: a revision that comes in fragments is shown as a whole', async t => {
    const { one, other, cutter } = await openPair(t, member, 'fragments')
    const write = (round: number) =>
      ops(
        one,
        ...Array.from({ length: 12 }, (_, i) =>
          put(blobs, `row/${i}`, Buffer.alloc(90_000 + round, round)),
        ),
      )
    await write(1)
    await sameView(one, other)
    let fragments = 0
    let torn = 0
    cutter.onResponse = ({ events, fragment }) => {
      if (fragment) fragments++
      const last = events.at(-1)?.kv.key.toString()
      if (fragment && last?.includes('/row/')) torn++
      const rows = other.view().prefix(blobs, 'row/')
      t.equal(new Set(rows.map(({ modRevision }) => modRevision)).size, 1)
      t.equal(rows.length, 12)
    }
    cutter.cut()
    for (let round = 2; round < 12; round++) await write(round)
    cutter.mend()
    await sameView(one, other)
    t.equal(other.status().sum, one.status().sum)
    t.ok(fragments > 0, 'etcd cut its answer')
    t.ok(torn > 0, 'in the middle of a revision')
  })

  t.test('follower: another server restores', async t => {
    const { one, other } = await openPair(t, member, 'restored')
    await ops(one, put(blobs, 'mine', text('1')))
    await sameView(one, other)
    const cursor = other.feed(other.view().revision)
    const before = other.indexOf(other.view().revision)
    const woken = new Promise(wake => other.scopes.wait({ scope: 'group/none' }, wake))
    const rows = Array.from({ length: 250 }, (_, i) => ({
      key: `test/blob/theirs/${i}`,
      body: text(String(i)),
      createIndex: 500,
      modifyIndex: 600,
    }))
    const writing = Array.from({ length: 20 }, (_, i) =>
      ops(other, put(blobs, `late/${i}`, text('1'))),
    )
    const restored = await one.restore({ rows, index: 10_000, verify: () => {} })
    t.equal(await woken, 'changed')
    t.ok(restored.index > 10_000)
    await Promise.all(writing)
    await other.readIndex()
    t.equal(other.status().generation, one.status().generation)
    t.equal(other.status().clusterId, one.status().clusterId)
    t.equal(other.view().get(blobs, 'mine'), undefined)
    t.equal(other.view().prefix(blobs, 'theirs/').length, 250)
    t.ok(other.indexOf(other.view().revision) > before)
    t.equal(await next(cursor), 'resync')
    t.ok(other.status().compacted >= restored.revision)
    t.throws(() => other.feed(revision(restored.revision - 1)), { code: 'compacted' })
    await ops(other, put(blobs, 'theirs/0', text('new')))
    await sameView(one, other)
    t.equal(other.status().sum, one.status().sum)
    t.match(one.view().get(blobs, 'theirs/0'), { createIndex: 500 })
  })

  t.test('follower: a write that does not know of a restore yet', async t => {
    const { one, other, cutter } = await openPair(t, member, 'unaware')
    await ops(one, put(blobs, 'mine', text('1')))
    await sameView(one, other)
    cutter.cut()
    await one.restore({ rows: [], index: 0, verify: () => {} })
    const writing = ops(other, put(blobs, 'late', text('1')))
    const unseen = one.readIndex()
    cutter.mend()
    await Promise.all([writing, unseen])
    await one.readIndex()
    t.ok(one.view().get(blobs, 'late'), 'it went to the new generation')
    t.equal(one.view().get(blobs, 'mine'), undefined)
  })

  t.test('follower: a server that comes later knows no history', async t => {
    const { one } = await openPair(t, member, 'later')
    await ops(one, put(blobs, 'a', text('1')), put(things, 'a', { group: 'g', tags: [], size: 1 }))
    await ops(one, del(blobs, 'a'))
    const late = await openOn(t, member, { prefix: 'later', serverId: 'late' })
    const at = late.view().revision
    t.ok(at >= one.view().revision)
    t.equal(late.view().floor(blobs), at)
    t.equal(late.scopes.newest('group/gone'), at)
    await until(() => late.scopes.known('group/g') !== undefined)
    t.equal(late.scopes.newest('group/g'), at)
    t.equal(late.status().compacted, at)
    t.throws(() => late.feed(one.view().get(things, 'a')!.modRevision), { code: 'compacted' })
  })

  t.test('follower: a row that nobody can read stops the writes, not the reads', async t => {
    const { one, other } = await openPair(t, member, 'unreadable')
    await ops(one, put(things, 'a', { group: 'g', tags: [], size: 1 }))
    const raw = await openRaw(t, member)
    const { kvs } = await raw.range({ key: text('unreadable/'), rangeEnd: text('unreadable0') })
    const row = kvs.find(({ key }) => key.toString().endsWith('/test/thing/a'))!
    await raw.txn({ success: [{ requestPut: { key: row.key, value: text('damaged') } }] })
    await until(() => one.status().fault !== '' && other.status().fault !== '')
    t.match(one.status().fault, /test\/thing\/ cannot be read/)
    t.ok(one.view().get(things, 'a'))
    await t.rejects(ops(one, put(blobs, 'k', text('1'))), { code: 'damaged', outcome: 'none' })
    const third = openOn(t, member, { prefix: 'unreadable', serverId: 'third' })
    await t.rejects(third, { code: 'damaged', message: /under unreadable .* another prefix/ })
  })

  t.test('follower: etcd is paused and comes back', async t => {
    const store = await openOn(t, member, { prefix: 'paused', serverId: 'one' })
    await ops(store, put(blobs, 'k', text('1')))
    member.pause()
    const writing = ops(store, put(blobs, 'k', text('2')))
    const reading = store.readIndex()
    t.equal(store.view().get(blobs, 'k')?.row.toString(), '1', 'the view goes on')
    member.resume()
    await Promise.all([writing, reading])
    t.match(store.view().get(blobs, 'k'), { version: 2 })
  })
})

t.test('follower: etcd lost what it had', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const store = await openOn(t, member, { prefix: 'wiped', serverId: 'one' })
  for (let i = 0; i < 5; i++) await ops(store, put(blobs, 'k', text(String(i))))
  await member.wipe()
  await member.start()
  await until(async () => {
    await store.readIndex().catch(() => {})
    return store.status().fault !== ''
  })
  t.match(store.status().fault, /etcd is at revision \d+ and was at \d+ before/)
  await t.rejects(ops(store, put(blobs, 'k', text('1'))), { code: 'damaged', outcome: 'none' })
})
