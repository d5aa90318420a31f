/** Restoring into etcd: whole or not at all, whatever fails on the way. */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { RpcError } from '../../../src/base/io/grpc.ts'
import { connectEtcd, type Etcd, type TxnRequest } from '../../../src/store/etcd/client.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { del, put, type RestoredRow } from '../../../src/store/store.ts'
import { blobs, testTables, things } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startEtcd } from './member.ts'
import { openOn, openRaw, until, wrapped } from './stores.ts'

const rowsOf = (count: number, sizeBytes = 10): RestoredRow[] =>
  Array.from({ length: count }, (_, i) => ({
    key: `test/blob/r/${i}`,
    body: Buffer.alloc(sizeBytes, i),
    createIndex: i + 1,
    modifyIndex: i + 2,
  }))

const content = (rows: RestoredRow[]) => ({ rows, index: 5_000, verify: () => {} })

const write = (store: EtcdStore, key: string) =>
  store.write(() => ({ txn: [put(blobs, key, Buffer.from('1'))], answer: null }))

/** The numbers of all generations of which etcd holds anything. */
async function generationsIn(etcd: Etcd, prefix: string): Promise<string[]> {
  const { kvs } = await etcd.range({
    key: Buffer.from(`${prefix}/`),
    rangeEnd: Buffer.from(`${prefix}0`),
    keysOnly: true,
  })
  const numbers = kvs.map(
    ({ key }) =>
      key
        .toString()
        .slice(prefix.length + 1)
        .split('/')[0]!,
  )
  return [...new Set(numbers)].filter(name => name !== 'system')
}

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('restore: equals the same archive in another engine', async t => {
    const store = await openOn(t, member, { prefix: 'equal', serverId: 'one' })
    const raw = await openRaw(t, member)
    await write(store, 'old')
    const rows = [
      ...rowsOf(250),
      ...rowsOf(4, 900_000).map(row => ({ ...row, key: `${row.key}L` })),
    ]
    await store.restore(content(rows))
    const options = {
      tables: withSystemTables(testTables),
      clock: systemClock,
      random: systemRandom,
    }
    const memory = openMemoryStore(options)
    await memory.restore(content(rows))
    t.equal(store.status().sum, memory.status().sum)
    t.equal(store.status().rows, 254)
    t.match(store.view().get(blobs, 'r/7'), { createIndex: 8, modifyIndex: 9, version: 1 })
    t.same(await generationsIn(raw, 'equal'), [String(store.status().generation)])
    await memory.close()
  })

  t.test('restore: an archive that proves damaged leaves nothing behind', async t => {
    const store = await openOn(t, member, { prefix: 'damaged', serverId: 'one' })
    const raw = await openRaw(t, member)
    await write(store, 'old')
    const before = store.status()
    const verify = () => {
      throw new Error('the archive is damaged')
    }
    await t.rejects(store.restore({ ...content(rowsOf(150)), verify }), /archive is damaged/)
    const unknown = [...rowsOf(150), { ...rowsOf(1)[0]!, key: 'no/table' }]
    await t.rejects(store.restore(content(unknown)), { code: 'damaged' })
    await until(async () => (await generationsIn(raw, 'damaged')).length === 1)
    t.match(store.status(), { sum: before.sum, generation: before.generation })
    await write(store, 'more')
    t.ok(store.view().get(blobs, 'old'))
  })

  t.test('restore: what it takes over may not change meanwhile', async t => {
    const store = await openOn(t, member, { prefix: 'staying', serverId: 'one' })
    const other = await openOn(t, member, { prefix: 'staying', serverId: 'two' })
    const thing = { group: 'g', tags: [], size: 1 }
    await store.write(() => ({ txn: [put(things, 'gone', thing)], answer: null }))
    await write(store, 'old')
    const before = store.status()
    const restore = (meanwhile: () => Promise<unknown>) => {
      const at = store.view().revision
      async function* rows() {
        yield* rowsOf(20)
        await meanwhile()
      }
      const staying = { tables: [blobs, things], at: () => at }
      return store.restore({ rows: rows(), index: 1, verify: () => {}, staying })
    }
    await t.rejects(
      restore(() => write(other, 'old')),
      { code: 'busy' },
      'a row changed',
    )
    const remove = () => other.write(() => ({ txn: [del(things, 'gone')], answer: null }))
    await t.rejects(restore(remove), { code: 'busy' }, 'a row went')
    t.equal(store.status().generation, before.generation)
    await store.readIndex()
    await restore(async () => {})
    t.not(store.status().generation, before.generation)
  })

  t.test('restore: replies are lost on the way', async t => {
    const store = await openLossy(t, member, 'lossy')
    await write(store, 'old')
    await store.restore(content(rowsOf(950)))
    t.equal(store.status().rows, 950)
    const versions = store
      .view()
      .prefix(blobs, 'r/')
      .map(({ version }) => version)
    t.same(new Set(versions), new Set([1]), 'no batch was written twice')
    await write(store, 'new')
    t.equal(store.status().rows, 951)
  })

  t.test('restore: of two at a time one wins', async t => {
    const one = await openOn(t, member, { prefix: 'two', serverId: 'one' })
    const other = await openOn(t, member, { prefix: 'two', serverId: 'other' })
    const raw = await openRaw(t, member)
    const results = await Promise.allSettled([
      one.restore(content(rowsOf(500))),
      other.restore(content(rowsOf(700))),
    ])
    const won = results.findIndex(({ status }) => status === 'fulfilled')
    t.match(results[1 - won], { status: 'rejected', reason: { code: 'busy', outcome: 'none' } })
    await Promise.all([one.readIndex(), other.readIndex()])
    t.equal(one.status().rows, won === 0 ? 500 : 700)
    t.equal(other.status().sum, one.status().sum)
    await until(async () => (await generationsIn(raw, 'two')).length === 1)
  })
})

/** A store every fifth of whose transactions loses its reply, and every seventh its request. */
function openLossy(t: Test, member: Member, prefix: string): Promise<EtcdStore> {
  let count = 0
  const connect = async (endpoints: readonly string[]): Promise<Etcd> => {
    const etcd = await connectEtcd(endpoints)
    const txn = async (request: TxnRequest) => {
      count++
      if (count % 7 === 0) throw new RpcError('UNAVAILABLE', 'the request was lost', true)
      const response = await etcd.txn(request)
      if (count % 5 === 0) throw new RpcError('UNAVAILABLE', 'the reply was lost', true)
      return response
    }
    return wrapped(etcd, { txn })
  }
  return openOn(t, member, { prefix, serverId: 'one', connect })
}
