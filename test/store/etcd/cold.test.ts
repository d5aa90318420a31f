/** Cold rows in etcd: what servers see of each other's, and what no server is told of. */
import t from 'tap'
import { RpcError } from '../../../src/base/io/grpc.ts'
import { clearCold, coldClears } from '../../../src/store/cold.ts'
import { sweepCold } from '../../../src/store/cold-sweep.ts'
import { connectEtcd, type TxnRequest } from '../../../src/store/etcd/client.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { del, type Op, put } from '../../../src/store/store.ts'
import { blobs, colds } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from './member.ts'
import { openOn, openRaw, until, WatchCutter, wrapped } from './stores.ts'

const ops = (store: EtcdStore, ...txn: Op[]) => store.write(() => ({ txn, answer: null }))
const row = (size: number, tag = '') => ({ group: 'c', tags: [tag], size })
const keysOf = (store: EtcdStore, prefix = '') => store.cold.keys(colds, prefix, { limit: 1_000 })
const theirs = (key: string) => ({
  ...{ key: `${colds.prefix}${key}`, createIndex: 5, modifyIndex: 5 },
  body: colds.codec.encode(row(9)),
})

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('cold: read as newest where nothing is heard of others', async t => {
    const cutter = new WatchCutter()
    const one = await openOn(t, member, { prefix: 'newest', serverId: 'one' })
    const deaf = { prefix: 'newest', serverId: 'other', connect: cutter.connect }
    const other = await openOn(t, member, deaf)
    await ops(one, put(colds, 'm/1', row(1)), put(colds, 'm/2', row(1)), put(colds, 'n', row(1)))
    await other.readIndex()
    cutter.cut()
    await ops(one, put(colds, 'm/1', row(2)))
    t.match(await other.cold.get(colds, 'm/1'), { row: { size: 2 } })
    await ops(one, clearCold(colds, 'm/'))
    t.equal(other.view().count(coldClears), 0)
    t.equal(await other.cold.get(colds, 'm/1'), undefined, 'cleared, though not heard of')
    t.same(await keysOf(other), ['n'])
    await sweepCold(one, [colds])
    t.same(await keysOf(other), ['n'])
    cutter.mend()
  })

  t.test('cold: a restore that was not heard of is waited for', async t => {
    const cutter = new WatchCutter()
    const one = await openOn(t, member, { prefix: 'flip', serverId: 'one' })
    const deaf = { prefix: 'flip', serverId: 'other', connect: cutter.connect }
    const other = await openOn(t, member, deaf)
    await ops(one, put(colds, 'mine', row(1)))
    await other.readIndex()
    cutter.cut()
    await one.restore({ rows: [theirs('theirs')], index: 100, verify: () => {} })
    let isRead = false
    const read = other.cold.get(colds, 'theirs').finally(() => {
      isRead = true
    })
    await new Promise(resolve => setTimeout(resolve, 50))
    t.notOk(isRead, 'it does not answer from what is no store any more')
    cutter.mend()
    t.match(await read, { row: { size: 9 } })
    t.same(await keysOf(other), ['theirs'])
    const raw = await openRaw(t, member)
    const { kvs } = await raw.range({
      key: Buffer.from('flip/~cold/'),
      rangeEnd: Buffer.from('flip/~cold0'),
    })
    t.equal(kvs.length, 1, 'those of the old generation are gone')
  })

  t.test('cold: no server is told of them', async t => {
    const told: string[] = []
    const cutter = new WatchCutter()
    cutter.onResponse = ({ events }) => told.push(...events.map(({ kv }) => kv.key.toString()))
    const store = await openOn(t, member, {
      ...{ prefix: 'untold', serverId: 'one', connect: cutter.connect },
    })
    await ops(store, put(colds, 'a', row(1)), put(blobs, 'b', Buffer.from('1')))
    await ops(store, del(colds, 'a'))
    t.ok(told.some(key => key.endsWith('test/blob/b')))
    t.notOk(told.some(key => key.includes('cold/')))
    const fresh = await openOn(t, member, { prefix: 'untold', serverId: 'fresh' })
    t.equal(fresh.status().sum, store.status().sum)
    t.equal(fresh.status().rows, store.status().rows)
  })

  t.test('cold: a page of rows that are too large for one read is of one moment', async t => {
    const one = await openOn(t, member, { prefix: 'large', serverId: 'one' })
    const count = 130
    for (let i = 0; i < count; i++)
      await ops(one, put(colds, String(1_000 + i), row(1, 'x'.repeat(90_000))))
    let reads = 0
    const connect = async (endpoints: readonly string[]) => {
      const etcd = await connectEtcd(endpoints)
      return wrapped(etcd, {
        range: async request => {
          if (request.key.includes('cold') && reads++ === 0) {
            await ops(one, put(colds, '1999', row(2)), del(colds, '1120'))
          }
          return etcd.range(request)
        },
      })
    }
    const other = await openOn(t, member, { prefix: 'large', serverId: 'other', connect })
    const rows = await other.cold.scan(colds, '', { limit: 1_000 })
    t.equal(reads, 1, 'after the first one')
    t.equal(rows.length, count)
    t.same((await keysOf(other)).slice(-1), ['1999'])
  })

  for (const isApplied of [true, false]) {
    t.test(`cold: an answer is lost, ${isApplied ? 'applied' : 'not'}`, async t => {
      let late: TxnRequest | undefined
      let isLosing = false
      const connect = async (endpoints: readonly string[]) => {
        const etcd = await connectEtcd(endpoints)
        return wrapped(etcd, {
          txn: async request => {
            if (!isLosing) return etcd.txn(request)
            isLosing = false
            late = request
            if (isApplied) await etcd.txn(request)
            throw new RpcError('UNAVAILABLE', 'the connection was lost', true)
          },
        })
      }
      const prefix = `lost-${isApplied}`
      const store = await openOn(t, member, { prefix, serverId: 'one', connect })
      const losing = async (...txns: Op[][]) => {
        isLosing = true
        return await Promise.all(txns.map(txn => ops(store, ...txn)))
      }
      await losing(
        [put(colds, 'a', row(1))],
        [put(colds, 'b', row(1)), put(blobs, 'b', Buffer.from('1'))],
      )
      t.same(await keysOf(store), ['a', 'b'])
      // What is not there leaves no trace: it goes alone, and its lane tells.
      await losing([del(colds, 'absent')], [put(colds, 'a', row(2))])
      t.match(await store.cold.get(colds, 'a'), { row: { size: 2 } })
      await losing([del(colds, 'absent'), put(colds, 'c', row(1))], [del(colds, 'a')])
      t.same(await keysOf(store), ['b', 'c'])
      const raw = await openRaw(t, member)
      t.match(await raw.txn(late!), { succeeded: false }, 'it can come no more')
    })
  }

  t.test('cold: an archive is of one revision, whatever is written meanwhile', async t => {
    const store = await openOn(t, member, { prefix: 'archive', serverId: 'one' })
    await ops(store, ...Array.from({ length: 300 }, (_, i) => put(colds, `a${i}`, row(i))))
    const frozen = await store.freeze()
    await ops(store, del(colds, 'a7'), put(colds, 'new', row(1)))
    let count = 0
    for await (const page of frozen.cold(colds)) count += page.length
    t.equal(count, 300)
    t.match(await frozen.coldSize(colds), { rows: 300 })
    await store.compact(store.view().revision)
    await until(() => store.status().compacted >= store.view().revision)
    await t.rejects(frozen.coldSize(colds), { code: 'compacted' })
    await frozen.release()
  })
})
