/**
 * Durability: after close and reopen, or kill and reopen, everything is as it was: rows, sums,
 * tombstones, the feed from before, and every index that a client has seen.
 */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { type LocalStore, withSystemTables } from '../../src/store/local.ts'
import { del, put, type Store } from '../../src/store/store.ts'
import { defineTable, jsonCodec, type Table } from '../../src/store/table.ts'
import { blobs, testTables } from '../conformance/store.ts'
import { freshFolder } from '../fake/folder.ts'
import { seeded } from '../fake/random.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'
import {
  changesAfter,
  History,
  indexesOf,
  openLevel,
  stateOf,
  tryOpen,
  writeAtRandom,
} from './level.ts'

/** What must not change over a restart, and what must not go back. */
interface Before {
  readonly state: string
  readonly status: ReturnType<Store['status']>
  readonly indexes: Record<string, number>
}

const beforeOf = async (store: Store): Promise<Before> => ({
  state: await stateOf(store),
  status: store.status(),
  indexes: indexesOf(store),
})

function differences(before: Before, after: Before, isExact: boolean): string[] {
  const found: string[] = []
  if (after.state !== before.state) found.push('other rows')
  for (const field of ['clusterId', 'generation', 'revision', 'sum', 'rows'] as const) {
    if (after.status[field] !== before.status[field]) found.push(field)
  }
  for (const [name, was] of Object.entries(before.indexes)) {
    const is = after.indexes[name]!
    if (is < was || is > before.status.revision) found.push(`${name} was ${was}, is ${is}`)
    if (isExact && is !== was)
      found.push(`${name} was ${was}, is ${is} though nothing is forgotten`)
  }
  return found
}

t.test('any life goes on where it ended', async t => {
  const count = await untilBudget('lives of a store', 500, async seed => {
    const draw = seeded(seed)
    let folder = freshFolder(t)
    const history = new History()
    let store = await openLevel(folder)
    let isForgotten = false
    for (let life = 0; life < 4; life++) {
      await writeAtRandom(store, draw, draw.below(25), s => history.note(s))
      if (draw.chance(30)) {
        await store.compact(revision(draw.below(store.view().revision + 1)))
        isForgotten = true
      }
      const before = await beforeOf(store)
      const from = history.newest
      let killed: LocalStore | undefined
      if (draw.chance(50)) {
        // As a kill leaves it: the copy was never closed, nor did it hear of the end.
        const copy = join(freshFolder(t), 'copy')
        cpSync(folder, copy, { recursive: true })
        folder = copy
        killed = store
      } else await store.close()
      store = await openLevel(folder)
      const found = differences(before, await beforeOf(store), !isForgotten)
      if (found.length > 0) throw new Error(`seed ${seed}, life ${life}: ${found.join('; ')}`)
      await history.check(store)
      await killed?.close()
      // Readers resume from before the restart.
      const { revision: at } = await putOne(store)
      const changes = await changesAfter(store, from)
      if (changes.at(-1)?.revision !== at) throw new Error(`seed ${seed}: the feed does not go on`)
      await history.note(store)
    }
    await store.close()
  })
  t.ok(count > 0)
})

async function putOne(store: Store): Promise<{ revision: number }> {
  const written = await store.write(() => ({
    txn: [put(blobs, 'one', Buffer.from('1'))],
    answer: undefined,
  }))
  if (!('answer' in written)) throw new Error(written.text)
  return written
}

t.test('the way out of a refusal is taken once, and holds', async t => {
  for (const [how, spoil] of [
    ['the witness is gone', (folder: string) => rmSync(join(folder, 'witness'))],
    [
      'the store is of an earlier day',
      (folder: string, earlier: string) => {
        rmSync(join(folder, 'store'), { recursive: true })
        cpSync(join(earlier, 'store'), join(folder, 'store'), { recursive: true })
      },
    ],
  ] as const) {
    const [folder, earlier] = [freshFolder(t), join(freshFolder(t), 'earlier')]
    const history = new History()
    let store = await openLevel(folder)
    await writeAtRandom(store, seeded(1), 10, s => history.note(s))
    await store.close()
    cpSync(folder, earlier, { recursive: true })
    store = await openLevel(folder)
    await writeAtRandom(store, seeded(2), 10, s => history.note(s))
    await store.close()
    spoil(folder, earlier)
    const refused = await tryOpen(folder)
    if ('write' in refused) throw new Error(`${how}: opened`)
    const to = Number(/-store-accept-revision=(\d+)/.exec(refused.message)?.[1])
    for (const wrong of [to - 1, to + 1]) {
      t.match(await tryOpen(folder, { acceptRevision: wrong }), { code: 'damaged' }, how)
    }
    store = await openLevel(folder, { acceptRevision: to })
    t.equal(store.view().revision, to)
    await history.check(store)
    await store.close()
    // Nothing was written: what was accepted must not depend on that.
    store = await openLevel(folder)
    t.equal(store.view().revision, to, how)
    await putOne(store)
    await store.close()
    store = await openLevel(folder)
    t.equal(store.view().revision, to + 1)
    await store.close()
  }
})

t.test('tombstones are there after a restart, and the floor where they were forgotten', async t => {
  const folder = freshFolder(t)
  let store = await openLevel(folder)
  await store.write(() => ({ txn: [put(blobs, 'd/1', Buffer.from('1'))], answer: undefined }))
  const gone = await store.write(() => ({ txn: [del(blobs, 'd/1')], answer: undefined }))
  const at = 'answer' in gone ? gone.revision : 0
  await store.close()
  store = await openLevel(folder)
  t.equal(store.view().newestTombstone(blobs, 'd/'), at)
  t.equal(store.view().newest(blobs), at)
  await putOne(store)
  await store.compact(store.view().revision)
  await store.close()
  store = await openLevel(folder)
  t.ok(store.view().floor(blobs) >= at)
  t.equal(store.status().compacted, store.view().revision)
  t.throws(() => store.feed(revision(at)), { code: 'compacted' })
  await store.close()
})

/** A scope that depends on other rows: it was touched when its group had its first member. */
interface Member {
  readonly group: string
}
const members: Table<Member> = defineTable<Member>({
  name: 'members',
  prefix: 'test/member/',
  codec: jsonCodec(),
  indexes: { group: { guarded: true, values: row => [row.group] } },
  scopes: (row, _key, reader) => {
    const left = reader.find(members, 'group', row.group).length
    return [`members/${row.group}`, ...(left < 2 ? [`first/${row.group}`] : [])]
  },
})

t.test('no scope goes back over a restart, also one that hangs on other rows', async t => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    group: fc.constantFrom('g', 'h', undefined),
  })
  const names = ['g', 'h'].flatMap(group => [`members/${group}`, `first/${group}`])
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 8 }),
    async txns => {
      const options = { tables: withSystemTables([...testTables, members]) }
      const folder = freshFolder(t)
      let store = await openLevel(folder, options)
      await Promise.all(
        txns.map(txn =>
          store.write(() => ({
            txn: txn.map(({ key, group }) =>
              group === undefined ? del(members, key) : put(members, key, { group }),
            ),
            answer: undefined,
          })),
        ),
      )
      const before = names.map(name => store.scopes.newest(name))
      await store.close()
      store = await openLevel(folder, options)
      const after = names.map(name => store.scopes.newest(name))
      await store.close()
      return JSON.stringify(before) === JSON.stringify(after)
    },
  )
  await fc.assert(property, { numRuns: propertyRuns() / 2 })
  t.pass('equal')
})

t.test('the log is kept small, and what it forgets is told', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  const row = Buffer.alloc(500_000, 'x')
  // The log is cut once it has twice the size that it keeps.
  const enough = Math.ceil((2.2 * limits.logKeptSizeBytes) / row.length)
  for (let i = 0; i < enough; i++) {
    await store.write(() => ({ txn: [put(blobs, `k${i % 3}`, row)], answer: undefined }))
  }
  const { compacted, revision: newest } = store.status()
  t.ok(compacted > 0 && compacted < newest)
  t.throws(() => store.feed(revision(compacted - 1)), { code: 'compacted' })
  t.equal((await changesAfter(store, compacted)).length, newest - compacted)
  const before = await beforeOf(store)
  await store.close()
  const again = await openLevel(folder)
  t.same(differences(before, await beforeOf(again), false), [])
  t.equal((await changesAfter(again, compacted)).length, newest - compacted)
  await again.close()
})

t.test('compaction and writes at once', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  const writing = writeAtRandom(store, seeded(5), 200, async () => {})
  for (let i = 0; i < 50; i++) {
    await store.compact(revision(Math.max(0, store.view().revision - (i % 5))))
    await new Promise(resolve => setImmediate(resolve))
  }
  await writing
  const before = await beforeOf(store)
  await store.close()
  const again = await openLevel(folder)
  t.same(differences(before, await beforeOf(again), false), [], 'the head was never put back')
  t.ok(again.status().compacted > 0)
  await again.close()
})
