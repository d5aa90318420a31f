/** A start from what this server knew last: only what changed is read, and nothing is trusted. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { openLevelDisk } from '../../../src/base/io/level.ts'
import { connectEtcd, type Etcd, type RangeRequest } from '../../../src/store/etcd/client.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { del, put } from '../../../src/store/store.ts'
import { tempFolder } from '../../clients/process.ts'
import { blobs, things } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startEtcd } from './member.ts'
import { openOn, openRaw, wrapped } from './stores.ts'

const thing = (size: number) => ({ group: `g${size % 3}`, tags: [], size })
const write = (store: EtcdStore, key: string, size: number) =>
  store.write(() => ({ txn: [put(things, key, thing(size))], answer: null }))

/** Rows that were read from etcd with their values, since the counter was set to 0. */
async function openCounting(t: Test, member: Member, prefix: string, checkpointFolder: string) {
  const counter = { values: 0, keys: 0 }
  const connect = async (endpoints: readonly string[]): Promise<Etcd> => {
    const etcd = await connectEtcd(endpoints)
    const count = ({ keysOnly }: RangeRequest, kvs: readonly unknown[]): void => {
      counter[keysOnly === true ? 'keys' : 'values'] += kvs.length
    }
    return wrapped(etcd, {
      range: async request => {
        const answer = await etcd.range(request)
        count(request, answer.kvs)
        return answer
      },
      txn: async request => {
        const answer = await etcd.txn(request)
        for (const { responseRange } of answer.responses) {
          if (responseRange) count({ key: Buffer.alloc(0) }, responseRange.kvs)
        }
        return answer
      },
    })
  }
  const options = { prefix, serverId: 'one', checkpointFolder, connect }
  return { store: await openOn(t, member, options), counter }
}

/** What is warned of, but for the version of etcd. */
const discardsOf = ({ warnings }: EtcdStore): readonly string[] =>
  warnings.filter(text => !text.startsWith('etcd '))

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  let stores = 0
  /** A store of 300 rows that was closed, and its folder. */
  const fill = async (t: Test) => {
    const prefix = `checkpoint/${stores++}`
    const folder = path.join(tempFolder(t), 'checkpoint')
    const { store } = await openCounting(t, member, prefix, folder)
    await Promise.all(Array.from({ length: 300 }, (_, i) => write(store, `t${i}`, i)))
    await store.close()
    return { prefix, folder }
  }
  const isLike = async (t: Test, store: EtcdStore, prefix: string) => {
    const fresh = await openOn(t, member, { prefix, serverId: 'fresh' })
    await fresh.readIndex()
    await store.readIndex()
    t.equal(store.status().sum, fresh.status().sum)
    t.equal(store.status().rows, fresh.status().rows)
  }

  t.test('checkpoint: only what changed is read', async t => {
    const { prefix, folder } = await fill(t)
    const other = await openOn(t, member, { prefix, serverId: 'other' })
    await write(other, 't7', 1_000)
    await write(other, 'new', 1_001)
    await other.write(() => ({ txn: [del(things, 't8')], answer: null }))
    const { store, counter } = await openCounting(t, member, prefix, folder)
    t.ok(counter.values + counter.keys < 10, `${counter.values} rows, ${counter.keys} keys`)
    t.same(discardsOf(store), [])
    t.equal(store.view().get(things, 't7')?.row.size, 1_000)
    t.equal(store.view().get(things, 't8'), undefined)
    t.equal(store.view().find(things, 'group', 'g0').length, 100)
    await isLike(t, store, prefix)
    await write(store, 'late', 1)
    await store.close()
    const again = await openCounting(t, member, prefix, folder)
    t.ok(again.counter.values + again.counter.keys < 10)
    t.equal(again.store.view().get(things, 'late')?.row.size, 1)
    await isLike(t, again.store, prefix)
  })

  t.test('checkpoint: what etcd has compacted meanwhile is found by its keys', async t => {
    const { prefix, folder } = await fill(t)
    const other = await openOn(t, member, { prefix, serverId: 'other' })
    await write(other, 't7', 1_000)
    await write(other, 'new', 1_001)
    const gone = await other.write(() => ({ txn: [del(things, 't8')], answer: null }))
    await other.compact(other.view().revision)
    const { store, counter } = await openCounting(t, member, prefix, folder)
    t.ok(counter.values < 20 && counter.keys === 300, `${counter.values} and ${counter.keys}`)
    t.equal(store.view().get(things, 't7')?.row.size, 1_000)
    t.equal(store.view().get(things, 't8'), undefined)
    t.ok(store.view().floor(things) >= ('revision' in gone ? gone.revision : 0), 'indexes go on')
    await isLike(t, store, prefix)
  })

  t.test('checkpoint: where much has changed pages are read whole', async t => {
    const { prefix, folder } = await fill(t)
    const other = await openOn(t, member, { prefix, serverId: 'other' })
    await Promise.all(Array.from({ length: 200 }, (_, i) => write(other, `t${i}`, i + 1)))
    await other.compact(other.view().revision)
    const { store, counter } = await openCounting(t, member, prefix, folder)
    t.ok(counter.values >= 300)
    await isLike(t, store, prefix)
  })

  t.test('checkpoint: an index that was seen is never gone back behind', async t => {
    const { prefix, folder } = await fill(t)
    const { store: before } = await openCounting(t, member, prefix, folder)
    await before.write(() => ({ txn: [put(blobs, 'a/1', Buffer.from('1'))], answer: null }))
    await before.write(() => ({ txn: [del(blobs, 'a/1')], answer: null }))
    const seen = Math.max(
      before.view().newestTombstone(blobs, 'a/'),
      before.view().newest(blobs),
      before.scopes.newest('thing t1'),
    )
    await before.close()
    const { store } = await openCounting(t, member, prefix, folder)
    t.ok(store.view().floor(blobs) >= seen)
    t.ok(store.scopes.newest('thing t1') >= seen)
  })

  for (const [what, harm] of [
    [
      'a restore has made another store',
      async (store: EtcdStore) => {
        await store.restore({ rows: [], index: 0, verify: () => {} })
      },
    ],
  ] as const) {
    t.test(`checkpoint: discarded, as ${what}`, async t => {
      const { prefix, folder } = await fill(t)
      const other = await openOn(t, member, { prefix, serverId: 'other' })
      await harm(other)
      const { store } = await openCounting(t, member, prefix, folder)
      t.match(store.warnings.at(-1), /local checkpoint was discarded: the store is another one/)
      await isLike(t, store, prefix)
      await store.close()
      const again = await openCounting(t, member, prefix, folder)
      t.same(discardsOf(again.store), [], 'there is a good one again')
    })
  }

  t.test('checkpoint: of another prefix', async t => {
    const { folder } = await fill(t)
    const { store } = await openCounting(t, member, `checkpoint/${stores++}`, folder)
    t.match(store.warnings.at(-1), /discarded: it is of another store/)
    t.equal(store.view().count(things), 0)
  })

  t.test('checkpoint: damage of any byte is found, or changes nothing', async t => {
    const { prefix, folder } = await fill(t)
    const disk = await openLevelDisk(folder)
    const entries: [Buffer, Buffer][] = []
    for await (const page of disk.scan(Buffer.from([0]), Buffer.from([255]))) entries.push(...page)
    await disk.close()
    t.equal(entries.length, 301)
    for (const at of [0, 1, 57, 299, 300]) {
      const [key, value] = entries[at]!
      for (const change of [
        () => Buffer.from(value.map((byte, i) => (i === value.length - 3 ? byte ^ 1 : byte))),
        () => undefined,
        () => Buffer.alloc(value.length),
        () => entries[at === 0 ? 1 : 0]![1],
      ]) {
        const harmed = await openLevelDisk(folder)
        await harmed.batch([{ key, value: change() }], { sync: true })
        await harmed.close()
        const { store } = await openCounting(t, member, prefix, folder)
        const isGone = at === 0 && change() === undefined
        if (!isGone) t.match(store.warnings.at(-1), /local checkpoint was discarded/)
        await isLike(t, store, prefix)
        await store.close()
        const mended = await openCounting(t, member, prefix, folder)
        t.same(discardsOf(mended.store), [])
        await mended.store.close()
      }
    }
  })

  t.test('checkpoint: files of LevelDB that are damaged or gone', async t => {
    const { prefix, folder } = await fill(t)
    for (const harm of [
      (name: string) => rmSync(name),
      (name: string) => writeFileSync(name, readFileSync(name).subarray(0, 20)),
    ]) {
      for (const kind of [/^CURRENT$/, /^MANIFEST/, /\.(log|ldb)$/]) {
        for (const name of readdirSync(folder)) if (kind.test(name)) harm(path.join(folder, name))
        const { store } = await openCounting(t, member, prefix, folder)
        await isLike(t, store, prefix)
        await store.close()
      }
    }
  })

  t.test('checkpoint: a folder that another process holds is left alone', async t => {
    const { prefix, folder } = await fill(t)
    const { store: first } = await openCounting(t, member, prefix, folder)
    const { store } = await openCounting(t, member, prefix, folder)
    await isLike(t, store, prefix)
    await first.close()
    const { counter } = await openCounting(t, member, prefix, folder)
    t.ok(counter.values < 10)
  })
})

t.test('checkpoint: etcd lost what it had', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)
  const folder = path.join(tempFolder(t), 'checkpoint')
  const open = () => openCounting(t, member, 'lost', folder)
  const { store } = await open()
  for (let i = 0; i < 20; i++) await write(store, `t${i}`, i)
  await store.close()
  const raw = await openRaw(t, member)
  const key = Buffer.from('lost/system/generation')
  const [generation] = (await raw.range({ key })).kvs
  await member.wipe()
  await member.start()
  // As from a copy of etcd's of an earlier time: the same store, and fewer writes.
  const copy = await openRaw(t, member)
  await copy.txn({ success: [{ requestPut: { key, value: generation!.value } }] })
  const { store: ahead } = await open()
  t.match(ahead.warnings.at(-1), /discarded: it is ahead of etcd/)
  t.equal(ahead.view().count(things), 0)
  for (let i = 0; i < 5; i++) await write(ahead, `t${i}`, i)
  await ahead.close()

  // The same again, and more writes than the checkpoint knows.
  await member.wipe()
  await member.start()
  const later = await openRaw(t, member)
  await later.txn({ success: [{ requestPut: { key, value: generation!.value } }] })
  for (let i = 0; i < 60; i++) {
    await later.txn({ success: [{ requestPut: { key: Buffer.from(`x${i}`), value: key } }] })
  }
  const { store: other } = await open()
  t.match(other.warnings.at(-1), /discarded: etcd has another history/)
  t.equal(other.view().count(things), 0)
})
