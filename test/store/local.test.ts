/**
 * The serial committer on a disk that answers when the test says so: order, batches, and what is
 * told to whom when something goes wrong.
 */
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { JournalBook } from '../../src/store/journal.ts'
import {
  type Batch,
  LocalStore,
  type Persistence,
  withSystemTables,
} from '../../src/store/local.ts'
import { type Change, del, type Op, put } from '../../src/store/store.ts'
import { defineTable, rawCodec } from '../../src/store/table.ts'
import { Version } from '../../src/store/view.ts'
import { blobs, testTables, things } from '../conformance/store.ts'
import { settled } from '../fake/clock.ts'
import { noCold } from '../fake/cold.ts'

/** A table whose own functions throw for some keys. */
const traps = defineTable<Buffer>({
  name: 'traps',
  prefix: 'test/trap/',
  codec: rawCodec,
  indexes: {
    trap: {
      guarded: false,
      values: (_row, key) => {
        if (key === 'bad') throw new Error('the table is wrong')
        return []
      },
    },
  },
})

const tables = withSystemTables([...testTables, traps])

/** A store whose batches wait to be let through. */
function held(): { store: LocalStore; batches: Batch[]; let(error?: Error): Promise<void> } {
  const batches: Batch[] = []
  const waiting: { resolve(): void; reject(error: Error): void }[] = []
  const persistence: Persistence = {
    engine: 'held',
    supports: { durable: false, shared: false, transactionOps: limits.transactionOps },
    compacted: revision(0),
    persist: batch =>
      new Promise((resolve, reject) => {
        batches.push(batch)
        waiting.push({ resolve, reject })
      }),
    cold: noCold,
    records: async () => [],
    history: async () => undefined,
    compact: async () => {},
    restore: () => Promise.reject(new Error('not here')),
    close: async () => {},
  }
  const loaded = {
    version: new Version(tables),
    journal: new JournalBook(),
    clusterId: 'c',
    generation: 1,
    indexOffset: 0,
    compacted: revision(0),
    touched: new Map(),
  }
  const store = new LocalStore(persistence, loaded, {
    tables,
    clock: systemClock,
    random: systemRandom,
  })
  const letThrough = async (error?: Error): Promise<void> => {
    await settled()
    const next = waiting.shift()!
    if (error === undefined) next.resolve()
    else next.reject(error)
    await settled()
  }
  return { store, batches, let: letThrough }
}

const bytes = (text: string): Buffer => Buffer.from(text)
const putOp = (key: string): Op => put(blobs, key, bytes(key))

/** Runs a write and notes what it came to, and when. */
function write(store: LocalStore, log: string[], key: string, txn: Op[] = [putOp(key)]): void {
  store
    .write(() => ({ txn, answer: undefined }))
    .then(
      written =>
        log.push(written instanceof Refusal ? `${key}: no` : `${key}: ${written.revision}`),
      error =>
        log.push(`${key}: ${error instanceof OperatingError ? error.outcome : error.message}`),
    )
}

t.test('writes that come while the disk is busy form the next batch', async t => {
  const { store, batches, let: letThrough } = held()
  const log: string[] = []
  write(store, log, 'a')
  await settled()
  for (const key of ['b', 'c', 'd']) write(store, log, key)
  t.same(log, [])
  t.equal(store.view().get(blobs, 'a'), undefined, 'nobody sees what is not durable')
  t.equal(store.view().revision, 0)
  await letThrough()
  t.same(log, ['a: 1'])
  t.ok(store.view().get(blobs, 'a'))
  t.equal(store.view().get(blobs, 'b'), undefined)
  await letThrough()
  t.same(log, ['a: 1', 'b: 2', 'c: 3', 'd: 4'])
  t.same(
    batches.map(({ changes }) => changes.length),
    [1, 3],
  )
  t.equal(batches[1]!.revision, 4)
  t.equal(batches[1]!.rows, 4)
  await store.close()
})

t.test('a refusal or a no-op is answered once what it stood on is durable', async t => {
  const { store, batches, let: letThrough } = held()
  const log: string[] = []
  write(store, log, 'none', [])
  await settled()
  t.same(log, ['none: 0'], 'at once on a durable state')
  write(store, log, 'a')
  await settled()
  write(store, log, 'no-op', [del(blobs, 'absent')])
  store
    .write(view => new Refusal(409, String(view.get(blobs, 'a')?.row)))
    .then(
      refusal => log.push((refusal as Refusal).text),
      () => {},
    )
  await settled()
  t.same(log, ['none: 0'])
  await letThrough()
  t.same(log, ['none: 0', 'a: 1', 'no-op: 1', 'a'])
  t.equal(batches.length, 1, 'and costs no batch')
  await store.close()
})

t.test('records ride with their writes, and wait for their own batch without any', async t => {
  const { store, batches, let: letThrough } = held()
  const log: string[] = []
  const noted = (name: string, decide: Parameters<typeof store.write>[0]): void => {
    store
      .write(decide, outcome => bytes(JSON.stringify({ name, kind: outcome.kind })))
      .then(
        () => log.push(name),
        error => log.push(`${name}: ${error.outcome}`),
      )
  }
  noted('refused', () => new Refusal(403, 'no'))
  await settled()
  t.same(log, [], 'no answer before its record, although the state is durable')
  noted('put', () => ({ txn: [putOp('a')], answer: null }))
  noted('no-op', () => ({ txn: [], answer: null }))
  store.journal.append(bytes('{"name":"appended"}')).then(
    () => log.push('appended'),
    () => {},
  )
  write(store, log, 'unrecorded', [])
  await letThrough()
  t.same(log, ['refused'])
  t.equal(store.journal.head().sequence, 1)
  await letThrough()
  t.same(log, ['refused', 'put', 'no-op', 'appended', 'unrecorded: 1'])
  t.same(
    batches.map(({ changes, records }) => [changes.length, records.map(one => one.sequence)]),
    [
      [0, [1]],
      [1, [2, 3, 4]],
    ],
    'one sync for all that gathered',
  )
  t.equal(store.journal.head().sequence, 4)
  await store.close()
})

t.test('records fill a batch as rows do, and wait in order beyond it', async t => {
  const { store, batches, let: letThrough } = held()
  const count = 2 * limits.batchRows + 5
  const order: number[] = []
  for (let i = 0; i < count; i++) {
    store.journal.append(bytes(`{"i":${i}}`)).then(
      () => order.push(i),
      () => {},
    )
  }
  for (let i = 0; i < 3; i++) await letThrough()
  t.same(
    order,
    Array.from({ length: count }, (_, i) => i),
  )
  t.same(
    batches.map(({ records }) => records.length),
    [limits.batchRows, limits.batchRows, 5],
  )
  await store.close()
})

t.test('a batch with records that fails: none of them is there, nor any later one', async t => {
  const { store, let: letThrough } = held()
  const log: string[] = []
  const append = (name: string): void => {
    store.journal.append(bytes(`{"name":"${name}"}`)).then(
      () => log.push(name),
      error => log.push(`${name}: ${error.outcome}`),
    )
  }
  append('a')
  await settled()
  append('b')
  await letThrough(new Error('EIO'))
  append('c')
  await settled()
  t.same(log, ['a: unknown', 'b: none', 'c: none'])
  t.equal(store.journal.head().sequence, 0)
  t.match(store.journal.fault(), /EIO/)
  await store.close()
})

t.test('a batch that fails: unknown for those in it, none for those after it', async t => {
  const { store, let: letThrough } = held()
  const log: string[] = []
  write(store, log, 'a')
  await settled()
  write(store, log, 'b')
  for (let i = 0; i < limits.batchRows; i++) write(store, [], `full${i}`)
  write(store, log, 'waiting')
  await letThrough(new Error('EIO'))
  t.same(log, ['a: unknown', 'b: none', 'waiting: none'])
  write(store, log, 'later')
  await settled()
  t.equal(log.at(-1), 'later: none')
  t.match(store.status(), { fault: /the store stopped: EIO; reads go on/, revision: 0 })
  await store.close()
})

t.test('a batch holds no more than its limit, and order is kept beyond it', async t => {
  const { store, batches, let: letThrough } = held()
  const log: string[] = []
  write(store, log, 'first')
  await settled()
  const count = 2 * limits.batchRows + 5
  for (let i = 0; i < count; i++) write(store, log, `k${i}`)
  for (let i = 0; i < 4; i++) await letThrough()
  t.equal(log.length, count + 1)
  t.same(
    log,
    ['first', ...Array.from({ length: count }, (_, i) => `k${i}`)].map(
      (key, i) => `${key}: ${i + 1}`,
    ),
  )
  t.ok(batches.every(({ writes }) => writes.length <= limits.batchRows))
  await store.close()
})

t.test('an answer that throws, or a rule that does, fails its own write alone', async t => {
  const { store, let: letThrough } = held()
  const log: string[] = []
  const throwing = (key: string, rule: Parameters<typeof store.write>[0]): void => {
    store.write(rule).then(
      () => log.push(`${key}: done`),
      error => log.push(`${key}: ${error.message}`),
    )
  }
  throwing('rule', () => {
    throw new Error('the rule is wrong')
  })
  throwing('answer', () => ({
    txn: [putOp('kept')],
    answer: () => {
      throw new Error('the answer is wrong')
    },
  }))
  write(store, log, 'a')
  await letThrough()
  t.same(log, ['rule: the rule is wrong', 'answer: the answer is wrong', 'a: 2'])
  t.ok(store.view().get(blobs, 'kept'), 'its transaction was whole')
  await store.close()
})

t.test('a table whose functions throw half-way stops the store', async t => {
  const { store, let: letThrough } = held()
  const log: string[] = []
  write(store, log, 'a')
  await settled()
  write(store, log, 'b')
  write(store, log, 'bad', [putOp('half'), put(traps, 'bad', bytes('x'))])
  await settled()
  t.same(
    log,
    ['bad: unknown', 'b: none'].toSorted().toReversed().toSorted(),
    'what was gathered is not',
  )
  await letThrough()
  t.same(log.at(-1), 'a: 1', 'what was on its way is')
  t.equal(store.view().get(blobs, 'half'), undefined)
  t.match(store.status().fault, /the table is wrong/)
  await store.close()
})

t.test('bounds: rows, keys, operations, writes that wait', async t => {
  const { store, let: letThrough } = held()
  const log: string[] = []
  const code = (txn: Op[]): Promise<string> =>
    store
      .write(() => ({ txn, answer: undefined }))
      .then(
        () => 'done',
        (error: OperatingError) => error.code,
      )
  const largest = limits.rowSizeBytes - blobs.prefix.length - 'k'.length - 1
  t.equal(await code([put(blobs, 'k', Buffer.alloc(largest + 1))]), 'limit')
  t.equal(await code([put(blobs, 'k'.repeat(limits.keySizeBytes), bytes(''))]), 'limit')
  const many = Array.from({ length: limits.transactionOps + 1 }, (_, i) => putOp(`k${i}`))
  t.equal(await code(many), 'limit')
  const fits = [
    code([put(blobs, 'k', Buffer.alloc(largest))]),
    code([put(blobs, 'k'.repeat(limits.keySizeBytes - blobs.prefix.length), bytes(''))]),
    code(many.slice(1)),
  ]
  await settled()
  for (let i = 0; i < 3; i++) await letThrough().catch(() => {})
  t.same(await Promise.all(fits), ['done', 'done', 'done'])
  write(store, log, 'first')
  await settled()
  const count = limits.pendingWrites
  const no = new Refusal(409, 'no')
  const waiting = Array.from({ length: count }, () => store.write(() => no))
  t.equal(await code([putOp('one too many')]), 'busy')
  await letThrough()
  t.ok((await Promise.all(waiting)).every(given => given === no))
  await store.close()
})

t.test('the feed tells what was before and after, and never what is not durable', async t => {
  const { store, let: letThrough } = held()
  const cursor = store.feed(revision(0))
  const signal = new AbortController().signal
  const log: string[] = []
  write(store, log, 'a', [put(things, 'a', { group: 'g', tags: [], size: 1 })])
  await settled()
  write(store, log, 'b', [put(things, 'a', { group: 'h', tags: [], size: 2 })])
  const first = cursor.next(signal)
  t.equal(await Promise.race([first, settled().then(() => 'nothing yet')]), 'nothing yet')
  await letThrough()
  const one = (await first) as Change
  t.match(one.events[0], { before: undefined, after: { row: { size: 1 }, version: 1 } })
  t.equal(one.revision, store.view().revision)
  await letThrough()
  const two = (await cursor.next(signal)) as Change
  t.match(two.events[0], { before: { row: { size: 1 } }, after: { row: { size: 2 }, version: 2 } })
  t.equal(store.scopes.newest('group/g'), 2, 'the scope that was left')
  t.equal(store.scopes.newest('group/h'), 2)
  await store.close()
})
