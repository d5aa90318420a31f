/**
 * The audit journal of servers that share etcd: each has its own, on its own disk. What was settled
 * is answered once its record is there; where none can be kept, nothing that needs one is begun.
 */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import type { JournalEntry } from '../../../src/store/journal.ts'
import { writeAt } from '../../../src/store/level/journal-files.ts'
import { put, type Store } from '../../../src/store/store.ts'
import { blobs } from '../../conformance/store.ts'
import { freshFolder } from '../../fake/folder.ts'
import { openLevel } from '../../faults/level.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from './member.ts'
import { openOn } from './stores.ts'

const entry =
  (name: string): JournalEntry =>
  ({ kind }) =>
    Buffer.from(JSON.stringify({ name, kind }))

const write = (store: Store, key: string): Promise<unknown> =>
  store.write(() => ({ txn: [put(blobs, key, Buffer.from(key))], answer: null }), entry(key))

const namesOf = async (store: Store): Promise<string[]> =>
  (await store.journal.read(1, 100)).map(({ text }) => {
    const { name, kind } = JSON.parse(text.toString('utf8'))
    return `${name} ${kind}`
  })

t.test('etcd', { skip: absent('etcd') }, async t => {
  const member = await startEtcd(t)

  t.test('each server has its own records, and they outlive it', async t => {
    const folder = freshFolder(t)
    const own = await openLevel(folder)
    const one = await openOn(t, member, { prefix: 'own', serverId: 'one', own })
    const other = await openOn(t, member, { prefix: 'own', serverId: 'other' })
    await write(one, 'a')
    await write(other, 'b')
    await one.write(() => new Refusal(403, 'no'), entry('c'))
    t.same(await namesOf(one), ['a written', 'c refused'])
    t.same(await namesOf(other), ['b written'])
    await one.close()
    const again = await openLevel(folder)
    t.same(await namesOf(again), ['a written', 'c refused'])
    await again.close()
  })

  t.test('a journal that fails: what was applied says so, and nothing more is begun', async t => {
    let isFailing = false
    const own = await openLevel(freshFolder(t), {
      async writeJournal(fd, bytes, at) {
        if (isFailing) throw new Error('no space left on device')
        await writeAt(fd, bytes, at)
      },
    })
    const store = await openOn(t, member, { prefix: 'failing', serverId: 'one', own })
    await write(store, 'a')
    isFailing = true
    await t.rejects(write(store, 'b'), {
      code: 'unaudited',
      outcome: 'done',
      message: /the write was applied, but its audit record was not kept: .*no space left/,
    })
    t.ok(store.view().get(blobs, 'b'), 'as it says')
    const before = store.view().revision
    await t.rejects(write(store, 'c'), {
      code: 'unaudited',
      outcome: 'none',
      message: /nothing that is audited can be done: .*no space left on device/,
    })
    t.equal(store.view().get(blobs, 'c'), undefined)
    t.equal(store.view().revision, before)
    t.match(store.journal.fault(), /no space left on device/)
    // What needs no record goes on, and so do reads.
    await store.write(() => ({ txn: [put(blobs, 'd', Buffer.from('d'))], answer: null }))
    t.ok((await store.readIndex()) > before)
    t.ok(store.view().get(blobs, 'd'))
  })
})
