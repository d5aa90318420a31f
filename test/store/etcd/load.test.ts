/** Reading the whole store while others write to it and etcd forgets. */
import t, { type Test } from 'tap'
import { connectEtcd, type Etcd } from '../../../src/store/etcd/client.ts'
import type { EtcdStore } from '../../../src/store/etcd/engine.ts'
import { put } from '../../../src/store/store.ts'
import { blobs } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { type Member, startEtcd } from './member.ts'
import { openOn, openRaw, until, wrapped } from './stores.ts'

const ROWS = 1_000

/** Rows on several pages; the first and the last are always written together. */
async function openFilled(t: Test, member: Member, prefix: string): Promise<EtcdStore> {
  const store = await openOn(t, member, { prefix, serverId: 'writer' })
  const keys = Array.from({ length: ROWS }, (_, i) => `k${String(i).padStart(4, '0')}`)
  await store.write(() => ({
    txn: keys.map(key => put(blobs, key, Buffer.from('1'))),
    answer: null,
  }))
  return store
}

const writeBoth = (store: EtcdStore, value: string) =>
  store.write(() => ({
    txn: ['k0000', `k0${ROWS - 1}`].map(key => put(blobs, key, Buffer.from(value))),
    answer: null,
  }))

/** A connection that does something after each page of a load. */
const meddling =
  (meddle: (page: number) => Promise<unknown>) =>
  async (endpoints: readonly string[]): Promise<Etcd> => {
    const etcd = await connectEtcd(endpoints)
    let pages = 0
    return wrapped(etcd, {
      range: async request => {
        const page = await etcd.range(request)
        if (request.revision !== undefined) await meddle(++pages)
        return page
      },
    })
  }

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('load: all pages are of one revision', async t => {
    const writer = await openFilled(t, member, 'pages')
    let pages = 0
    const reader = await openOn(t, member, {
      prefix: 'pages',
      serverId: 'reader',
      connect: meddling(page => {
        pages = page
        return writeBoth(writer, String(page))
      }),
    })
    const view = reader.view()
    t.ok(pages > 1)
    t.equal(view.rows, ROWS)
    t.equal(view.get(blobs, 'k0000')?.modRevision, view.get(blobs, `k0${ROWS - 1}`)?.modRevision)
    await until(() => reader.view().revision === writer.view().revision)
    t.equal(reader.status().sum, writer.status().sum)
  })

  t.test('load: starts again when its revision is compacted meanwhile', async t => {
    const writer = await openFilled(t, member, 'again')
    const raw = await openRaw(t, member)
    let pages = 0
    const reader = await openOn(t, member, {
      prefix: 'again',
      serverId: 'reader',
      connect: meddling(async page => {
        pages = page
        if (page > 3) return
        await writeBoth(writer, String(page))
        await raw.compact(writer.view().revision)
      }),
    })
    t.ok(pages > 3)
    await until(() => reader.view().revision === writer.view().revision)
    t.equal(reader.status().sum, writer.status().sum)
  })
})
