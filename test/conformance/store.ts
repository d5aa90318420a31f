/**
 * The store's contract as tests: every engine runs exactly this suite.
 *
 * Owns the two tables it writes to and a naive model to compare with. A new engine adds a few
 * lines of glue (see test/store/memory/engine.test.ts).
 */
import fc from 'fast-check'
import type { Test } from 'tap'
import { type Revision, revision, wallMs } from '../../src/base/brand.ts'
import { systemClock } from '../../src/base/clock.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { clearCold, coldClears, type Frozen } from '../../src/store/cold.ts'
import { sweepCold } from '../../src/store/cold-sweep.ts'
import {
  chainFault,
  chainOver,
  JOURNAL_START,
  type JournalEntry,
  type JournalMark,
} from '../../src/store/journal.ts'
import { type Change, del, type Op, put, type Store } from '../../src/store/store.ts'
import { type AnyTable, defineTable, indexKey, jsonCodec, rawCodec } from '../../src/store/table.ts'

export interface Thing {
  readonly group: string
  readonly tags: readonly string[]
  readonly size: number
}

/** A table with guarded indexes and scopes. */
export const things = defineTable<Thing>({
  name: 'things',
  prefix: 'test/thing/',
  codec: jsonCodec(),
  indexes: {
    group: { guarded: true, values: row => [row.group] },
    tag: { guarded: false, values: row => row.tags },
  },
  scopes: row => [`group/${row.group}`],
})

/** A table of raw bytes with tombstones and a guarded primary range. */
export const blobs = defineTable<Buffer>({
  name: 'blobs',
  prefix: 'test/blob/',
  codec: rawCodec,
  guard: key => key.split('/', 1)[0]!,
  tombstones: true,
})

/** A table that no view holds. */
export const colds = defineTable<Thing>({
  name: 'colds',
  prefix: 'test/cold/',
  codec: jsonCodec(),
  isCold: true,
})

export const testTables = [things, blobs, colds]

export interface StoreCase {
  /** Opens a store that is empty; it is closed by the suite. */
  make(t: Test): Promise<Store>
  /** Property runs, since a real etcd is slower than memory. */
  readonly runs: number
}

const bytes = (text: string): Buffer => Buffer.from(text)

async function putThing(store: Store, key: string, row: Thing): Promise<Revision> {
  const written = await store.write(() => ({ txn: [put(things, key, row)], answer: null }))
  if (written instanceof Refusal) throw new Error(written.text)
  return written.revision
}

async function putBlob(store: Store, key: string, text: string): Promise<Revision> {
  const written = await store.write(() => ({ txn: [put(blobs, key, bytes(text))], answer: null }))
  if (written instanceof Refusal) throw new Error(written.text)
  return written.revision
}

async function delBlob(store: Store, key: string): Promise<Revision> {
  const written = await store.write(() => ({ txn: [del(blobs, key)], answer: null }))
  if (written instanceof Refusal) throw new Error(written.text)
  return written.revision
}

const thing = (group: string, size = 0, tags: string[] = []): Thing => ({ group, tags, size })

/** Runs the suite. */
export function storeConformance(t: Test, storeCase: StoreCase): void {
  const withStore = (name: string, body: (t: Test, store: Store) => Promise<void>): void => {
    t.test(name, async t => {
      const store = await storeCase.make(t)
      t.teardown(() => store.close())
      await body(t, store)
    })
  }
  writing(withStore)
  reading(withStore)
  waiting(withStore)
  following(withStore)
  leasing(withStore)
  restoring(withStore)
  journaling(withStore)
  keepingCold(withStore)
  withStore('model: any sequence of writes of cold rows equals a plain map', (t, store) =>
    coldModelTest(t, store, storeCase.runs),
  )
  withStore('model: any sequence of writes equals a plain map', (t, store) =>
    modelTest(t, store, storeCase.runs),
  )
}

type WithStore = (name: string, body: (t: Test, store: Store) => Promise<void>) => void

function writing(withStore: WithStore): void {
  withStore('write: a key carries createRevision, modRevision and version', async (t, store) => {
    const first = await putBlob(store, 'a', '1')
    const second = await putBlob(store, 'a', '2')
    const cell = store.view().get(blobs, 'a')!
    t.equal(cell.createRevision, first)
    t.equal(cell.modRevision, second)
    t.equal(cell.version, 2)
    t.equal(cell.row.toString(), '2')
    t.ok(second > first)
    await delBlob(store, 'a')
    t.equal(store.view().get(blobs, 'a'), undefined)
    const again = await putBlob(store, 'a', '3')
    t.match(store.view().get(blobs, 'a'), { createRevision: again, version: 1 })
  })

  withStore('write: a transaction is whole and has one revision', async (t, store) => {
    const written = await store.write(() => ({
      txn: [
        put(blobs, 'x/1', bytes('1')),
        put(things, 'x', thing('g')),
        put(blobs, 'x/2', bytes('2')),
      ],
      answer: at => at.revision,
    }))
    t.not(written instanceof Refusal, true)
    if (written instanceof Refusal) return
    t.equal(written.answer, written.revision)
    for (const key of ['x/1', 'x/2']) {
      t.equal(store.view().get(blobs, key)?.modRevision, written.revision)
    }
    t.equal(store.view().get(things, 'x')?.modRevision, written.revision)
    t.ok(store.view().revision >= written.revision)
  })

  withStore('write: the last operation on a key wins inside a transaction', async (t, store) => {
    await store.write(() => ({
      txn: [put(blobs, 'k', bytes('1')), del(blobs, 'k'), put(blobs, 'k', bytes('2'))],
      answer: null,
    }))
    t.match(store.view().get(blobs, 'k'), { version: 1 })
    t.equal(store.view().get(blobs, 'k')?.row.toString(), '2')
  })

  withStore('write: a refusal and a throw change nothing', async (t, store) => {
    const before = await putBlob(store, 'k', '1')
    const refused = await store.write(() => new Refusal(400, 'no'))
    t.same(refused, new Refusal(400, 'no'))
    await t.rejects(
      store.write(() => {
        throw new Error('rule is wrong')
      }),
      /rule is wrong/,
    )
    t.equal(store.view().get(blobs, 'k')?.modRevision, before)
  })

  withStore('write: too large a row is refused, nothing is half done', async (t, store) => {
    const large = store.write(() => ({
      txn: [put(blobs, 'small', bytes('1')), put(blobs, 'big', Buffer.alloc(1_100_000))],
      answer: null,
    }))
    await t.rejects(large, OperatingError)
    await t.rejects(putBlob(store, 'k'.repeat(9000), '1'), OperatingError)
    t.equal(store.view().get(blobs, 'small'), undefined)
    t.ok(await putBlob(store, 'small', '1'))
  })

  withStore('write: a decide that reads and writes is never lost', async (t, store) => {
    await putThing(store, 'counter', thing('c', 0))
    const increments = Array.from({ length: 20 }, () =>
      store.write(view => {
        const size = view.get(things, 'counter')!.row.size + 1
        return { txn: [put(things, 'counter', thing('c', size))], answer: size }
      }),
    )
    const answers = await Promise.all(increments)
    t.equal(store.view().get(things, 'counter')?.row.size, 20)
    const seen = answers.map(answer => (answer instanceof Refusal ? -1 : answer.answer))
    t.same(
      seen.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
  })

  withStore('write: a range that a decide read is guarded', async (t, store) => {
    // Each adds itself only while fewer than three are there: never more than three may get in.
    const entries = Array.from({ length: 8 }, (_, i) =>
      store.write(view => {
        const present = view.find(things, 'group', 'room').length
        if (present >= 3) return new Refusal(409, 'full')
        return { txn: [put(things, `t${i}`, thing('room'))], answer: null }
      }),
    )
    const results = await Promise.all(entries)
    t.equal(results.filter(result => result instanceof Refusal).length, 5)
    t.equal(store.view().find(things, 'group', 'room').length, 3)
  })

  withStore('write: a prefix that a decide read is guarded', async (t, store) => {
    const entries = Array.from({ length: 6 }, (_, i) =>
      store.write(view => {
        if (view.prefix(blobs, 'p/').length >= 2) return new Refusal(409, 'full')
        return { txn: [put(blobs, `p/${i}`, bytes('1'))], answer: null }
      }),
    )
    await Promise.all(entries)
    t.equal(store.view().prefix(blobs, 'p/').length, 2)
  })

  withStore('write: a level that a decide read is guarded', async (t, store) => {
    await putBlob(store, 'p/0/x', '1')
    const entries = Array.from({ length: 6 }, (_, i) =>
      store.write(view => {
        if (view.level(blobs, 'p/', '/').length >= 3) return new Refusal(409, 'full')
        return { txn: [put(blobs, `p/${i}/y`, bytes('1'))], answer: null }
      }),
    )
    const results = await Promise.all(entries)
    t.equal(store.view().level(blobs, 'p/', '/').length, 3)
    t.equal(results.filter(result => result instanceof Refusal).length, 3)
  })

  withStore('write: a range that nothing guards is not read in a decide', async (t, store) => {
    const written = store.write(view => ({ txn: [], answer: view.find(things, 'tag', 'x') }))
    await t.rejects(written, { name: 'AssertionError' })
    const prefixed = store.write(view => ({ txn: [], answer: view.prefix(things, '') }))
    await t.rejects(prefixed, { name: 'AssertionError' })
    t.ok(await putBlob(store, 'k', '1'), 'it goes on')
  })
}

function reading(withStore: WithStore): void {
  withStore('read: prefix, find and distinct give key order', async (t, store) => {
    await putThing(store, 'b', thing('g1', 1, ['x', 'y']))
    await putThing(store, 'a', thing('g1', 2, ['x']))
    await putThing(store, 'c', thing('g2', 3, []))
    const view = store.view()
    t.same(
      view.prefix(things, '').map(cell => cell.key),
      ['a', 'b', 'c'],
    )
    t.same(
      view.prefix(things, '', 2).map(cell => cell.key),
      ['a', 'b'],
    )
    t.same(
      view.find(things, 'group', 'g1').map(cell => cell.key),
      ['a', 'b'],
    )
    t.same(
      view.find(things, 'tag', 'y').map(cell => cell.key),
      ['b'],
    )
    t.same(view.distinct(things, 'group'), ['g1', 'g2'])
    t.same(view.distinct(things, 'tag', 'y'), ['y'])
    t.equal(view.count(things), 3)
    await putThing(store, 'b', thing('g2', 1, ['z']))
    t.same(
      store
        .view()
        .find(things, 'group', 'g1')
        .map(cell => cell.key),
      ['a'],
    )
    t.same(store.view().distinct(things, 'tag'), ['x', 'z'])
  })

  withStore('read: a level is names and folders, each once, in key order', async (t, store) => {
    for (const key of ['l/a', 'l/a-', 'l/a/1', 'l/a/2/3', 'l/b/1', 'l/c', 'm']) {
      await putBlob(store, key, '1')
    }
    const view = store.view()
    t.same(view.level(blobs, 'l/', '/'), ['a', 'a-', 'a/', 'b/', 'c'])
    t.same(view.level(blobs, 'l/', '/', { after: 'a-', limit: 2 }), ['a/', 'b/'])
    t.same(view.level(blobs, 'l/', '/', { after: 'a/' }), ['b/', 'c'])
    t.same(view.level(blobs, 'l/a', '/'), ['', '-', '/'])
    t.same(view.level(blobs, '', '/'), ['l/', 'm'])
    t.same(view.level(blobs, 'n/', '/'), [])
    await store.write(() => ({ txn: [del(blobs, 'l/b/1')], answer: true }))
    t.same(store.view().level(blobs, 'l/', '/'), ['a', 'a-', 'a/', 'c'])
  })

  withStore('read: values and keys may hold any bytes', async (t, store) => {
    const odd = ['', '\u0000', 'a\u0000', 'a\u0000b', '\u00ff', 'a/\u00fe\u0000\u0000']
    for (const [i, group] of odd.entries()) await putThing(store, `k${i}`, thing(group))
    for (const [i, group] of odd.entries()) {
      t.same(
        store
          .view()
          .find(things, 'group', group)
          .map(cell => cell.key),
        [`k${i}`],
      )
    }
    t.same(store.view().distinct(things, 'group').toSorted(), odd.toSorted())
    for (const key of odd) await putBlob(store, `odd/${key}`, key)
    t.same(
      store
        .view()
        .prefix(blobs, 'odd/')
        .map(cell => cell.key.slice(4)),
      odd.toSorted((a, b) => (a < b ? -1 : 1)),
    )
    t.ok(indexKey('a', 'b') < indexKey('a\u0000', 'a'))
  })

  withStore('read: a view holds still', async (t, store) => {
    await putBlob(store, 'k', '1')
    const old = store.view()
    const at = old.revision
    await putBlob(store, 'k', '2')
    await putBlob(store, 'l', '1')
    t.equal(old.get(blobs, 'k')?.row.toString(), '1')
    t.equal(old.get(blobs, 'l'), undefined)
    t.equal(old.revision, at)
  })

  withStore('read: readIndex is at or above every acknowledged write', async (t, store) => {
    const at = await putBlob(store, 'k', '1')
    t.ok((await store.readIndex()) >= at)
    t.ok(store.view().revision >= at)
  })

  withStore('read: deletions are remembered', async (t, store) => {
    await putBlob(store, 'd/1', '1')
    const gone = await delBlob(store, 'd/1')
    t.equal(store.view().newestTombstone(blobs, 'd/'), gone)
    t.equal(store.view().newestTombstone(blobs, 'e/'), 0)
    t.ok(store.view().newest(blobs) >= gone)
    await putBlob(store, 'd/1', '2')
    t.equal(store.view().newestTombstone(blobs, 'd/'), 0)
  })

  withStore('read: sum and number of rows follow the content alone', async (t, store) => {
    const empty = store.view().sum
    await putBlob(store, 'a', '1')
    const one = store.view().sum
    await putBlob(store, 'a', '2')
    t.not(store.view().sum, one)
    await putBlob(store, 'a', '1')
    t.equal(store.view().sum, one)
    await delBlob(store, 'a')
    t.equal(store.view().sum, empty)
  })
}

async function putCold(store: Store, ...rows: [key: string, size: number][]): Promise<Revision> {
  const txn = rows.map(([key, size]) => put(colds, key, thing('c', size)))
  const written = await store.write(() => ({ txn, answer: null }))
  if (written instanceof Refusal) throw new Error(written.text)
  return written.revision
}

async function writeAll(store: Store, ...txn: Op[]): Promise<Revision> {
  const written = await store.write(() => ({ txn, answer: null }))
  if (written instanceof Refusal) throw new Error(written.text)
  return written.revision
}

/** The keys of all cold rows, in pages of a size. */
async function coldKeys(store: Store, prefix = '', limit = 3): Promise<string[]> {
  const keys: string[] = []
  for (let after: string | undefined; ; after = keys.at(-1)) {
    const page = { limit, ...(after !== undefined && { after }) }
    const rows = await store.cold.scan(colds, prefix, page)
    const alone = await store.cold.keys(colds, prefix, page)
    if (String(alone) !== String(rows.map(({ key }) => key))) throw new Error('keys differ')
    keys.push(...alone)
    if (rows.length < limit) return keys
  }
}

function keepingCold(withStore: WithStore): void {
  withStore('cold: what was answered is read, row by row', async (t, store) => {
    t.equal(await store.cold.get(colds, 'a'), undefined)
    const first = await putCold(store, ['a', 1])
    t.same(await store.cold.get(colds, 'a'), { key: 'a', row: thing('c', 1), modRevision: first })
    const second = await putCold(store, ['a', 2], ['b', 3])
    t.ok(second > first)
    t.match(await store.cold.get(colds, 'a'), { row: { size: 2 }, modRevision: second })
    t.match(await store.cold.get(colds, 'b'), { row: { size: 3 }, modRevision: second })
    t.equal(await store.cold.get(colds, 'ab'), undefined)
    const gone = await writeAll(store, del(colds, 'a'), del(colds, 'absent'))
    t.ok(gone > second, 'a deletion is a revision, whether or not there was anything')
    t.equal(await store.cold.get(colds, 'a'), undefined)
    t.match(await store.cold.get(colds, 'b'), { row: { size: 3 } })
  })

  withStore('cold: one transaction with hot rows, whole or not at all', async (t, store) => {
    const at = await writeAll(store, put(blobs, 'k', bytes('1')), put(colds, 'k', thing('c', 1)))
    t.equal(store.view().get(blobs, 'k')?.modRevision, at)
    t.equal((await store.cold.get(colds, 'k'))?.modRevision, at)
    await t.rejects(
      writeAll(store, put(colds, 'k', thing('c', 2)), put(blobs, 'k', Buffer.alloc(1_100_000))),
      OperatingError,
    )
    await t.rejects(
      writeAll(store, put(blobs, 'k', bytes('2')), put(colds, 'x'.repeat(9_000), thing('c'))),
      OperatingError,
    )
    t.match(await store.cold.get(colds, 'k'), { row: { size: 1 } })
    t.equal(store.view().get(blobs, 'k')?.row.toString(), '1')
    await writeAll(store, put(colds, 'l', thing('c', 1)), del(colds, 'l'), del(colds, 'k'))
    t.same(await coldKeys(store), [], 'the last operation on a key wins')
  })

  withStore(
    'cold: no view has them, no event tells of them, no sum counts them',
    async (t, store) => {
      await putBlob(store, 'k', '1')
      const { sum, rows } = store.status()
      const cursor = store.feed(store.view().revision)
      const at = await putCold(store, ['a', 1], ['b', 2])
      t.match(store.status(), { sum, rows, revision: at })
      t.equal(store.view().revision, at, 'but the view moves on')
      t.throws(() => store.view().get(colds, 'a'), { name: 'AssertionError' })
      t.same([...store.view().entries(colds)], [])
      await t.rejects(
        store.write(view => ({ txn: [], answer: view.get(colds, 'a') })),
        { name: 'AssertionError' },
      )
      const last = await putBlob(store, 'k', '2')
      const controller = new AbortController()
      for (let told = 0; told < last; ) {
        const change = await cursor.next(controller.signal)
        if (change === 'resync' || change === undefined) throw new Error(String(change))
        t.ok(change.events.every(({ table }) => table !== colds))
        told = change.revision
      }
    },
  )

  withStore('cold: ranges are read in pages, in the order of keys', async (t, store) => {
    const keys = [
      '',
      'a',
      'a/',
      'a/1',
      'a/10',
      'a/2',
      'a\u00ff',
      'b/1',
      'b/\u0000',
      'b/\u0000\u0000',
    ]
    await putCold(store, ...keys.map((key, i): [string, number] => [key, i]))
    const sorted = keys.toSorted((a, b) => (a < b ? -1 : 1))
    for (const limit of [1, 2, 3, 7, 1_000]) t.same(await coldKeys(store, '', limit), sorted)
    t.same(await coldKeys(store, 'a/'), ['a/', 'a/1', 'a/10', 'a/2'])
    t.same(await coldKeys(store, 'c'), [])
    const behind = async (after: string) =>
      (await store.cold.scan(colds, 'a/', { after, limit: 10 })).map(({ key }) => key)
    t.same(await behind('a/1'), ['a/10', 'a/2'])
    t.same(await behind('a/15'), ['a/2'], 'a key that is not there')
    t.same(await behind(''), ['a/', 'a/1', 'a/10', 'a/2'], 'one before the range')
    t.same(await behind('b'), [], 'one behind it')
    await t.rejects(store.cold.scan(colds, '', { limit: 0 }), { name: 'AssertionError' })
    await t.rejects(store.cold.get(blobs, 'k'), { name: 'AssertionError' })
  })

  withStore('cold: a range is cleared at once, and swept', async (t, store) => {
    const keys = Array.from({ length: 40 }, (_, i) => `m1/${String(i).padStart(2, '0')}`)
    await putCold(store, ['m0/a', 1], ...keys.map((key): [string, number] => [key, 2]), ['m2/a', 3])
    await writeAll(store, clearCold(colds, 'm1/'), put(blobs, 'k', bytes('1')))
    t.equal(await store.cold.get(colds, 'm1/05'), undefined)
    t.same(await coldKeys(store), ['m0/a', 'm2/a'])
    t.same(await coldKeys(store, 'm1/'), [])
    await t.rejects(putCold(store, ['m1/late', 1]), { name: 'AssertionError' })
    t.ok(await writeAll(store, del(colds, 'm1/05')), 'what is cleared may be deleted')
    const frozen = await store.freeze()
    t.same(await keysOf(frozen, colds), ['m0/a', 'm2/a'])
    await frozen.release()
    await sweepCold(store, [colds])
    t.equal(store.view().count(coldClears), 0)
    t.equal(await store.cold.prove(), 2)
    t.same(await coldKeys(store), ['m0/a', 'm2/a'])
    await putCold(store, ['m1/05', 9])
    t.same(await coldKeys(store), ['m0/a', 'm1/05', 'm2/a'], 'what was swept does not come back')
  })

  withStore('cold: a frozen store is what it was', async (t, store) => {
    const rows = Array.from({ length: 30 }, (_, i): [string, number] => [`k${i}`, i])
    await putCold(store, ...rows)
    await putBlob(store, 'k', '1')
    const frozen = await store.freeze()
    t.equal(frozen.index, store.indexOf(store.view().revision))
    await writeAll(
      store,
      del(colds, 'k3'),
      put(colds, 'new', thing('c')),
      put(blobs, 'l', bytes('')),
    )
    t.same(await keysOf(frozen, colds), rows.map(([key]) => key).sort())
    t.same([...frozen.view.entries(blobs)].length, 1)
    await frozen.release()
    t.equal((await coldKeys(store)).length, 30)
  })

  withStore('cold: a restore brings its own', async (t, store) => {
    await putCold(store, ['mine', 1], ['both', 1])
    const row = (key: string, size: number) => ({
      key: `test/cold/${key}`,
      body: bytes(JSON.stringify(thing('c', size))),
      createIndex: 500,
      modifyIndex: 500,
    })
    const content = { rows: [row('both', 7), row('theirs', 8)], index: 1_000, verify: () => {} }
    await t.rejects(
      store.restore({
        ...content,
        verify: () => {
          throw new Error('the archive is damaged')
        },
      }),
      /archive is damaged/,
    )
    t.same(await coldKeys(store), ['both', 'mine'])
    const restored = await store.restore(content)
    t.same(await coldKeys(store), ['both', 'theirs'])
    t.equal(await store.cold.prove(), 2)
    t.match(await store.cold.get(colds, 'both'), { row: { size: 7 } })
    t.ok((await store.cold.get(colds, 'both'))!.modRevision <= restored.revision)
    await putCold(store, ['both', 9])
    t.match(await store.cold.get(colds, 'both'), { row: { size: 9 } })
  })
}

async function keysOf(frozen: Frozen, table: AnyTable): Promise<string[]> {
  const keys: string[] = []
  for await (const page of frozen.cold(table)) keys.push(...page.map(({ key }) => key))
  return keys
}

async function coldModelTest(t: Test, store: Store, runs: number): Promise<void> {
  const model = new Map<string, number>()
  const key = fc.constantFrom('a', 'a/1', 'a/2', 'b', 'b/1')
  const step = fc.oneof(
    fc.record({ key, size: fc.nat(9) }),
    fc.record({ key, gone: fc.constant(true) }),
  )
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 6 }),
    async txns => {
      await Promise.all(
        txns.map(txn =>
          writeAll(
            store,
            ...txn.map(one =>
              'gone' in one ? del(colds, one.key) : put(colds, one.key, thing('c', one.size)),
            ),
          ),
        ),
      )
      for (const one of txns.flat()) {
        if ('gone' in one) model.delete(one.key)
        else model.set(one.key, one.size)
      }
      for (const prefix of ['', 'a/', 'b']) {
        const rows = await store.cold.scan(colds, prefix, { limit: 10 })
        const found = rows.map(({ key, row }) => [key, row.size])
        const wanted = [...model]
          .filter(([k]) => k.startsWith(prefix))
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
        if (!t.same(found, wanted)) return false
      }
      return true
    },
  )
  await fc.assert(property, { numRuns: runs })
}

/** A record as a room makes it, and what the journal made of it. */
const entry =
  (name: string): JournalEntry =>
  outcome =>
    bytes(JSON.stringify({ name, ...outcome }))

const recordsOf = async (store: Store): Promise<Record<string, unknown>[]> => {
  const records = await store.journal.read(1, 1_000)
  return records.map(({ text }) => JSON.parse(text.toString('utf8')))
}

function journaling(withStore: WithStore): void {
  withStore('journal: what came of a write is recorded before its answer', async (t, store) => {
    const put1 = await store.write(
      () => ({ txn: [put(blobs, 'k', bytes('1'))], answer: null }),
      entry('put'),
    )
    if (put1 instanceof Refusal) throw new Error(put1.text)
    t.equal(store.journal.head().sequence, 1, 'it is there when the answer is')
    await store.write(() => ({ txn: [], answer: null }), entry('no-op'))
    await store.write(() => ({ txn: [del(blobs, 'absent')], answer: null }), entry('absent'))
    await store.write(() => new Refusal(403, 'no'), entry('refused'))
    await store.write(() => ({ txn: [put(blobs, 'l', bytes('1'))], answer: null }))
    await store.journal.append(bytes('{"name":"by itself"}'))
    t.match(await recordsOf(store), [
      { v: 1, seq: 1, name: 'put', kind: 'written', revision: put1.revision },
      { v: 1, seq: 2, name: 'no-op', kind: 'unchanged' },
      { v: 1, seq: 3, name: 'absent', kind: 'unchanged' },
      { v: 1, seq: 4, name: 'refused', kind: 'refused', status: 403, text: 'no' },
      { v: 1, seq: 5, name: 'by itself' },
    ])
    t.equal(store.journal.fault(), '')
    t.same(store.journal.head().sequence, 5)
    t.same(store.journal.floor().sequence, 0)
  })

  withStore(
    'journal: a rule, or a record, that throws leaves neither row nor record',
    async (t, store) => {
      const thrown = (): never => {
        throw new Error('it is wrong')
      }
      await t.rejects(store.write(thrown, entry('never')), /it is wrong/)
      if (!store.supports.shared) {
        const written = store.write(
          () => ({ txn: [put(blobs, 'k', bytes('1'))], answer: 1 }),
          thrown,
        )
        await t.rejects(written, /it is wrong/)
        t.equal(store.view().get(blobs, 'k'), undefined)
      }
      t.equal(store.journal.head().sequence, 0)
      t.ok(await putBlob(store, 'k', '1'), 'it goes on')
    },
  )

  withStore('journal: numbers without gaps, each chained to the one before', async (t, store) => {
    let told = 0
    const stop = store.journal.onAppend(() => void told++)
    await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        i % 3 === 0
          ? store.journal.append(bytes(`{"name":"a${i}"}`))
          : store.write(
              () => ({ txn: [put(blobs, `k${i % 5}`, bytes(`${i}`))], answer: null }),
              entry(`w${i}`),
            ),
      ),
    )
    t.ok(told > 0)
    stop()
    const records = await store.journal.read(1, 1_000)
    t.equal(records.length, 200)
    let mark: JournalMark = JOURNAL_START
    for (const record of records) {
      t.equal(chainFault(mark, record), undefined)
      t.ok(chainOver(mark.chain, record.text).equals(record.chain))
      mark = record
    }
    t.same(store.journal.head(), { sequence: 200, chain: mark.chain })
    t.same(
      (await store.journal.read(150, 10)).map(({ sequence }) => sequence),
      Array.from({ length: 10 }, (_, i) => 150 + i),
    )
    t.same(await store.journal.read(201, 10), [])
    t.ok(store.journal.sizeBytes() > 200 * 20)
  })

  withStore('journal: what was trimmed is gone, what stays is chained', async (t, store) => {
    const { journal } = store
    const count = 3 * limits.journalSegmentRecords + 10
    await Promise.all(Array.from({ length: count }, (_, i) => journal.append(bytes(`{"i":${i}}`))))
    const before = await journal.read(1, count)
    t.equal(journal.excess(journal.sizeBytes(), wallMs(0)), 0, 'all of it fits')
    const below = journal.excess(journal.sizeBytes() / 2, wallMs(0))
    t.ok(below > 1 && below < count)
    const trimmed = ({ sequence }: JournalMark): Buffer => bytes(`{"trimmed":${sequence}}`)
    await journal.trim(below, trimmed)
    const floor = journal.floor()
    t.equal(floor.sequence, below - 1)
    const after = await journal.read(1, count)
    t.same(
      after.map(({ sequence }) => sequence),
      [...before.map(({ sequence }) => sequence).slice(floor.sequence), count + 1],
    )
    t.match(after.at(-1)?.text.toString(), `"trimmed":${floor.sequence}}`, 'it is recorded')
    t.equal(chainFault(floor, after[0]!), undefined)
    await journal.trim(5, trimmed)
    t.equal(journal.floor().sequence, floor.sequence, 'it never goes back')
    t.equal(journal.excess(0, wallMs(0)), count + 2)
    t.ok(journal.excess(journal.sizeBytes(), wallMs(systemClock.wall() + 60_000)) > below, 'by age')
    await journal.append(bytes('{"name":"later"}'))
    t.equal(journal.head().sequence, count + 2)
  })

  withStore('journal: a restore leaves it as it is', async (t, store) => {
    await store.write(() => ({ txn: [put(blobs, 'k', bytes('1'))], answer: null }), entry('put'))
    const before = await recordsOf(store)
    await store.restore({ rows: [], index: 9, verify: () => {} })
    t.same(await recordsOf(store), before)
    await store.journal.append(bytes('{"name":"later"}'))
    t.match(await recordsOf(store), [{ seq: 1 }, { seq: 2, name: 'later' }])
  })
}

function waiting(withStore: WithStore): void {
  const once = (
    store: Store,
    target: Parameters<Store['scopes']['wait']>[0],
  ): { woken: boolean } => {
    const state = { woken: false }
    store.scopes.wait(target, () => {
      state.woken = true
    })
    return state
  }
  const settled = (): Promise<void> =>
    new Promise(resolve => setImmediate(() => setImmediate(resolve)))

  withStore('wait: only what changed is woken', async (t, store) => {
    await putThing(store, 'a', thing('g1'))
    const g1 = once(store, { scope: 'group/g1' })
    const g2 = once(store, { scope: 'group/g2' })
    const key = once(store, { table: 'blobs', key: 'k/1' })
    const prefix = once(store, { table: 'blobs', prefix: 'k/' })
    const other = once(store, { table: 'blobs', prefix: 'l/' })
    await putThing(store, 'b', thing('g2'))
    await settled()
    t.same(
      [g1, g2, key, prefix, other].map(state => state.woken),
      [false, true, false, false, false],
    )
    await putBlob(store, 'k/2', '1')
    await settled()
    t.same(
      [g1, key, prefix, other].map(state => state.woken),
      [false, false, true, false],
    )
    await putBlob(store, 'k/1', '1')
    await settled()
    t.equal(key.woken, true)
    t.equal(store.scopes.waiting, 2)
  })

  withStore('wait: a row that moves wakes its old scope and its new one', async (t, store) => {
    await putThing(store, 'a', thing('old'))
    const old = once(store, { scope: 'group/old' })
    const fresh = once(store, { scope: 'group/new' })
    const moved = await putThing(store, 'a', thing('new'))
    await settled()
    t.same([old.woken, fresh.woken], [true, true])
    t.equal(store.scopes.newest('group/old'), moved)
    t.equal(store.scopes.newest('group/new'), moved)
  })

  withStore('wait: a cancelled waiter is forgotten', async (t, store) => {
    const waiter = store.scopes.wait({ scope: 'group/none' }, () => t.fail('woken'))
    waiter.cancel()
    waiter.cancel()
    t.equal(store.scopes.waiting, 0)
    t.equal(store.scopes.known('group/none'), undefined)
    await putThing(store, 'a', thing('none'))
    await settled()
    t.ok(store.scopes.known('group/none'))
  })
}

function following(withStore: WithStore): void {
  withStore('feed: every change once, in order, from any revision', async (t, store) => {
    const start = store.view().revision
    const cursor = store.feed(start)
    const wanted: Revision[] = []
    for (let i = 0; i < 10; i++) wanted.push(await putBlob(store, `k${i}`, String(i)))
    wanted.push(await delBlob(store, 'k3'))
    const abort = new AbortController()
    const changes = await take(cursor, wanted.length, abort.signal)
    t.same(
      changes.map(change => change.revision),
      wanted,
    )
    t.equal(changes.at(-1)?.events[0]?.after, undefined)
    t.equal(changes.at(-1)?.events[0]?.key, 'k3')
    const later = await take(store.feed(wanted[4]!), 6, abort.signal)
    t.same(
      later.map(change => change.revision),
      wanted.slice(5),
    )
    const waiting = store.feed(store.view().revision).next(abort.signal)
    abort.abort()
    t.equal(await waiting, undefined)
  })

  withStore('feed: a compacted revision is refused', async (t, store) => {
    const first = await putBlob(store, 'k', '1')
    const second = await putBlob(store, 'k', '2')
    await putBlob(store, 'k', '3')
    await store.compact(second)
    t.throws(() => store.feed(revision(first - 1)), { code: 'compacted' })
    const [change] = await take(store.feed(second), 1, new AbortController().signal)
    t.ok(change!.revision > second)
    t.ok(store.status().compacted >= second)
  })
}

async function take(
  cursor: ReturnType<Store['feed']>,
  count: number,
  signal: AbortSignal,
): Promise<Change[]> {
  const changes: Change[] = []
  while (changes.length < count) {
    const change = await cursor.next(signal)
    if (change === 'resync' || change === undefined) throw new Error(String(change))
    if (change.events.some(event => event.table === blobs || event.table === things)) {
      changes.push(change)
    }
  }
  return changes
}

function leasing(withStore: WithStore): void {
  withStore('lease: rows go with it, at once when revoked', async (t, store) => {
    const lease = await store.grant(60_000)
    await store.write(() => ({ txn: [put(blobs, 'leased', bytes('1'), lease.id)], answer: null }))
    t.equal(store.view().get(blobs, 'leased')?.lease, lease.id)
    t.equal(await store.keepAlive(lease.id), true)
    await store.revoke(lease.id)
    await until(() => store.view().get(blobs, 'leased') === undefined)
    t.equal(await store.keepAlive(lease.id), false)
    const late = store.write(() => ({
      txn: [put(blobs, 'late', bytes('1'), lease.id)],
      answer: null,
    }))
    await t.rejects(late, OperatingError)
  })

  withStore('lease: rows go when nobody keeps it alive', async (t, store) => {
    const lease = await store.grant(1_000)
    await store.write(() => ({ txn: [put(blobs, 'leased', bytes('1'), lease.id)], answer: null }))
    await until(() => store.view().get(blobs, 'leased') === undefined)
    t.equal(await store.keepAlive(lease.id), false)
  })
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000; i++) {
    if (condition()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error('the condition did not come true')
}

function restoring(withStore: WithStore): void {
  const row = (key: string, text: string, index: number) => ({
    key: `test/blob/${key}`,
    body: bytes(text),
    createIndex: index,
    modifyIndex: index + 1,
  })

  withStore('restore: replaces everything, indexes never go back', async (t, store) => {
    await putBlob(store, 'mine', '1')
    const before = store.indexOf(store.view().revision)
    const woken = new Promise(resolve =>
      store.scopes.wait({ table: 'blobs', key: 'theirs' }, resolve),
    )
    const rows = [row('theirs', 'x', 500), row('theirs2', 'y', 700)]
    const restored = await store.restore({ rows, index: 1000, verify: () => {} })
    t.ok(restored.index > 1000)
    t.ok(restored.index > before)
    t.equal(store.view().get(blobs, 'mine'), undefined)
    t.match(store.view().get(blobs, 'theirs'), { createIndex: 500, modifyIndex: 501 })
    t.equal(await woken, 'changed')
    const again = await store.write(() => ({
      txn: [put(blobs, 'theirs', bytes('z'))],
      answer: at => at.index,
    }))
    if (again instanceof Refusal) throw new Error(again.text)
    t.ok(again.answer > restored.index)
    t.match(store.view().get(blobs, 'theirs'), { createIndex: 500, modifyIndex: again.answer })
  })

  withStore('restore: a damaged archive changes nothing', async (t, store) => {
    await putBlob(store, 'mine', '1')
    const { sum, generation } = store.status()
    const restore = store.restore({
      rows: [row('theirs', 'x', 5)],
      index: 10,
      verify: () => {
        throw new Error('the archive is damaged')
      },
    })
    await t.rejects(restore, /archive is damaged/)
    t.match(store.status(), { sum, generation })
    t.ok(store.view().get(blobs, 'mine'))
    t.ok(await putBlob(store, 'mine', '2'))
  })
}

async function modelTest(t: Test, store: Store, runs: number): Promise<void> {
  const model = new Map<string, Thing>()
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const step = fc.oneof(
    fc.record({ key, group: fc.constantFrom('g', 'h'), size: fc.nat(9) }),
    fc.record({ key, gone: fc.constant(true) }),
  )
  const property = fc.asyncProperty(
    fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 6 }),
    async txns => {
      await Promise.all(
        txns.map(txn =>
          store.write(() => ({
            txn: txn.map(one =>
              'gone' in one
                ? del(things, one.key)
                : put(things, one.key, thing(one.group, one.size)),
            ),
            answer: null,
          })),
        ),
      )
      for (const one of txns.flat()) {
        if ('gone' in one) model.delete(one.key)
        else model.set(one.key, thing(one.group, one.size))
      }
      const rows = store
        .view()
        .prefix(things, '')
        .map(cell => [cell.key, cell.row])
      if (
        !t.same(
          rows,
          [...model].toSorted(([a], [b]) => (a < b ? -1 : 1)),
        )
      )
        return false
      for (const group of ['g', 'h']) {
        const found = store
          .view()
          .find(things, 'group', group)
          .map(cell => cell.key)
        const wanted = [...model]
          .filter(([, row]) => row.group === group)
          .map(([k]) => k)
          .toSorted()
        if (!t.same(found, wanted)) return false
      }
      return true
    },
  )
  await fc.assert(property, { numRuns: runs })
}
