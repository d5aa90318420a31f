/**
 * Asking: at once or after a wait, with which index, and linearizable where others write too.
 */
import t, { type Test } from 'tap'
import { type Revision, revision } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import {
  type Asked,
  Asker,
  type AskOptions,
  Consistency,
  Departure,
  type Question,
} from '../../src/store/ask.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { put, type Store } from '../../src/store/store.ts'
import { blobs, testTables } from '../conformance/store.ts'
import { FakeClock, settled } from '../fake/clock.ts'

const question: Question<string | undefined> = {
  key: 'k',
  target: { table: blobs.name, key: 'k' },
  newest: view => view.get(blobs, 'k')?.modRevision ?? view.newest(blobs),
  read: view => view.get(blobs, 'k')?.row.toString(),
}

function ask(asker: Asker, options: AskOptions, departure = new Departure()): Promise<Asked> {
  return new Promise((resolve, reject) => {
    asker.ask(question, options, departure, { answer: resolve, fail: reject })
  })
}

const asking = (index: number, waitMs = 1_000, consistency: Consistency = 'default') => ({
  ...{ consistency, index, waitMs },
})

interface World {
  readonly clock: FakeClock
  readonly store: Store
  readonly asker: Asker
  /** Writes a row; `k` is the one that is asked about. */
  write(key: string, text: string): Promise<void>
}

function open(t: Test): World {
  const clock = new FakeClock()
  const tables = withSystemTables(testTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  t.teardown(() => store.close())
  const write = async (key: string, text: string): Promise<void> => {
    await store.write(() => ({ txn: [put(blobs, key, Buffer.from(text))], answer: undefined }))
  }
  return { clock, store, asker: new Asker(store, new Timeouts(clock)), write }
}

t.test('at once: without an index, and where the answer is newer than it', async t => {
  const { asker, write } = open(t)
  await write('k', 'a')
  await write('other', 'b')
  t.match(asker.now(question, asking(0)), { newest: 1, index: 1 })
  await write('k', 'c')
  const asked = asker.now(question, asking(1))
  t.match(asked, { newest: 3, index: 3 })
  t.equal(question.read(asked!.view), 'c')
})

t.test('a wait ends with the change that it waits for, and with no other', async t => {
  const { asker, store, write } = open(t)
  await write('k', 'a')
  t.equal(asker.now(question, asking(1)), undefined)
  let asked: Asked | undefined
  const done = ask(asker, asking(1)).then(given => {
    asked = given
  })
  await write('other', 'b')
  await settled()
  t.equal(asked, undefined)
  t.equal(store.scopes.waiting, 1)
  await write('k', 'c')
  await done
  t.equal(asked?.index, 3)
  t.equal(store.scopes.waiting, 0)
})

t.test('a wait ends with its time, and the answer is the same', async t => {
  const { asker, clock, store, write } = open(t)
  await write('k', 'a')
  const asked = ask(asker, asking(1, 500))
  await clock.advance(600)
  t.match(await asked, { newest: 1, index: 1 })
  t.equal(store.scopes.waiting, 0)
  t.equal(clock.timers, 0)
})

t.test('who leaves is not kept, before the wait or in it', async t => {
  const { asker, store, write } = open(t)
  await write('k', 'a')
  const departure = new Departure()
  const asked = ask(asker, asking(1), departure)
  await settled()
  t.equal(store.scopes.waiting, 1)
  departure.leave()
  await asked
  t.equal(store.scopes.waiting, 0)
  await ask(asker, asking(1), departure)
  t.equal(store.scopes.waiting, 0)
})

t.test('an index does not go back under a client, unless it is of the future', async t => {
  const { asker, clock, write } = open(t)
  await write('k', 'a')
  await write('other', 'b')
  const indexAfter = async (index: number): Promise<number> => {
    const asked = ask(asker, asking(index, 100))
    await clock.advance(200)
    return (await asked).index
  }
  t.equal(await indexAfter(1), 1)
  t.equal(await indexAfter(2), 2, 'it is older than what the client knows')
  t.equal(await indexAfter(99), 1, 'nobody can know that')
})

t.test('one waiter too many is told so', async t => {
  const { store, clock, write } = open(t)
  await write('k', 'a')
  const full = { ...sharing(store, false), scopes: { waiting: limits.waiters } } as unknown as Store
  const asker = new Asker(full, new Timeouts(clock))
  await t.rejects(ask(asker, asking(1)), { code: 'limit' })
  t.ok(await ask(asker, asking(0)), 'who need not wait is answered')
})

/** The store as if others wrote to it too; counts how often its view was to be confirmed. */
function sharing(store: Store, shared = true) {
  const seen = { confirmed: 0 }
  return {
    seen,
    supports: { ...store.supports, shared },
    scopes: store.scopes,
    view: () => store.view(),
    indexOf: (at: number) => store.indexOf(revision(at)),
    revisionOf: (index: number) => store.revisionOf(index),
    readIndex: async () => {
      seen.confirmed++
      return store.readIndex()
    },
  }
}

t.test('where others write too the view is confirmed first, unless it may be stale', async t => {
  const { store, clock, write } = open(t)
  await write('k', 'a')
  const shared = sharing(store)
  const asker = new Asker(shared as unknown as Store, new Timeouts(clock))
  t.notOk(asker.isAlone)
  t.equal(asker.now(question, asking(0)), undefined)
  t.ok(asker.now(question, asking(0, 0, Consistency.stale)))
  await ask(asker, asking(0, 0, Consistency.stale))
  t.equal(shared.seen.confirmed, 0)
  await ask(asker, asking(0))
  await ask(asker, asking(0, 0, Consistency.consistent))
  await asker.confirm()
  t.equal(shared.seen.confirmed, 3)
})

t.test('who shares a read of the point is answered after it, and none before', async t => {
  const { store, clock, write } = open(t)
  await write('k', 'a')
  const shared = sharing(store)
  const point = Promise.withResolvers<Revision>()
  let given = point.promise
  const sharedRead = { ...shared, readIndex: () => given }
  const asker = new Asker(sharedRead as unknown as Store, new Timeouts(clock))
  const told: unknown[] = []
  const settle = (name: string) => ({
    answer: ({ view }: Asked) => told.push(`${name} ${question.read(view)}`),
    fail: (error: unknown) => told.push(`${name} ${(error as Error).message}`),
  })
  const confirm = (name: string): void => asker.confirmed(question, settle(name))
  confirm('one')
  asker.ask(question, asking(0), new Departure(), settle('two'))
  confirm('three')
  await write('k', 'b')
  t.strictSame(told, [])
  point.resolve(store.view().revision)
  await settled()
  t.strictSame(told, ['one b', 'two b', 'three b'])
  confirm('late')
  await settled()
  t.equal(told.pop(), 'late b', 'a read that is over forgets nobody')
  given = Promise.reject(new Error('no answer'))
  confirm('four')
  confirm('five')
  await settled()
  t.strictSame(told.slice(3), ['four no answer', 'five no answer'])
})

t.test('who comes while others are seen to shares one read, sent after he came', async t => {
  const { store, clock, write } = open(t)
  await write('k', 'a')
  const points: PromiseWithResolvers<Revision>[] = []
  const readIndex = (): Promise<Revision> => {
    points.push(Promise.withResolvers<Revision>())
    return points.at(-1)!.promise
  }
  const shared = { ...sharing(store), readIndex }
  const asker = new Asker(shared as unknown as Store, new Timeouts(clock))
  const told: string[] = []
  const confirm = (name: string, onAnswer = (): void => {}): void =>
    asker.confirmed(question, {
      answer: () => {
        told.push(name)
        onAnswer()
      },
      fail: error => told.push(`${name} ${(error as Error).message}`),
    })
  confirm('one', () => confirm('four'))
  confirm('two')
  confirm('three')
  t.equal(points.length, 1, 'one is on its way')
  points[0]!.resolve(store.view().revision)
  await settled()
  t.strictSame(told, ['one'])
  t.equal(points.length, 2, 'the next is for two and three, and not for who came after it was sent')
  points[1]!.reject(new Error('no answer'))
  await settled()
  t.strictSame(told, ['one', 'two no answer', 'three no answer'])
  t.equal(points.length, 3)
  points[2]!.resolve(store.view().revision)
  await settled()
  t.strictSame(told.slice(3), ['four'])
  confirm('five')
  t.equal(points.length, 4, 'nobody is waited for then')
})

t.test('a stale view may be as old as is said, and no older', async t => {
  const { store, clock, write } = open(t)
  await write('k', 'a')
  const shared = sharing(store)
  let ageMs = 400
  const age = { ageMs: () => ageMs, isDegraded: false }
  const asker = new Asker(shared as unknown as Store, new Timeouts(clock), age)
  const bounded = { ...asking(0, 0, Consistency.stale), maxAgeMs: 500 }
  t.ok(asker.now(question, bounded))
  await ask(asker, bounded)
  t.equal(shared.seen.confirmed, 0)
  ageMs = 501
  t.equal(asker.now(question, bounded), undefined)
  await ask(asker, bounded)
  t.equal(shared.seen.confirmed, 1)
  t.ok(asker.now(question, asking(0, 0, Consistency.stale)), 'any age unless it is said')
  const unknown = new Asker(shared as unknown as Store, new Timeouts(clock))
  t.equal(unknown.now(question, bounded), undefined, 'what is not known is too old')
})

t.test('alone, nothing needs to be confirmed', async t => {
  const { store, clock } = open(t)
  const own = sharing(store, false)
  const asker = new Asker(own as unknown as Store, new Timeouts(clock))
  t.ok(asker.isAlone)
  await asker.confirm()
  t.ok(asker.now(question, asking(0, 0, Consistency.consistent)))
  let asked: Asked | undefined
  const answer = (given: Asked): void => {
    asked = given
  }
  asker.confirmed(question, { answer, fail: t.error })
  t.ok(asked, 'at once')
  t.equal(own.seen.confirmed, 0)
})
