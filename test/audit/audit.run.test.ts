/**
 * The audit room: which requests are recorded, what an answer waits for, and how the journal stays
 * within its bounds without anything going silently.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Audit, type AuditPorts, type AuditSettings } from '../../src/audit/audit.run.ts'
import { LineProof } from '../../src/audit/line.ts'
import { OperatingError, Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import type { Journal } from '../../src/store/journal.ts'
import { put, type Store } from '../../src/store/store.ts'
import { Writer } from '../../src/store/writer.ts'
import { until } from '../clients/process.ts'
import { blobs } from '../conformance/store.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { freshFolder } from '../fake/folder.ts'
import { plain } from '../fake/record.ts'
import { caller, memoryStore, portsOn, settings } from './support.ts'

const textsOf = async (store: Store): Promise<string[]> =>
  (await store.journal.read(1, 1_000)).map(({ text }) => text.toString('utf8'))

const auditOn = (
  store: Store,
  given: Partial<AuditSettings> = {},
  ports: Partial<AuditPorts> = {},
): Audit => new Audit({ ...settings, ...given }, portsOn(store, ports))

const fileSink = (folder: string, name = 'one') => ({
  name,
  type: 'file',
  values: { type: 'file', path: join(folder, `${name}.log`) },
})

t.test('which answers are recorded, where no write of the store tells of them', async t => {
  const OK = 200
  const cases: [string, Partial<AuditSettings>, Parameters<typeof caller>[0], number, boolean][] = [
    ['a write', {}, {}, OK, true],
    ['a write that was refused', {}, {}, 400, true],
    ['a write that failed', {}, {}, 500, true],
    ['a read', {}, { operation: 'GET /v1/kv/{key}' }, OK, false],
    ['a read that found nothing', {}, { operation: 'GET /v1/kv/{key}' }, 404, false],
    ['a read that was denied', {}, { operation: 'GET /v1/kv/{key}' }, 403, true],
    ['a read without a token that is known', {}, { operation: 'GET /v1/kv/{key}' }, 401, true],
    ['a read, when all are', { reads: true }, { operation: 'GET /v1/kv/{key}' }, OK, true],
    ['a renewal', {}, { isRenewal: true }, OK, false],
    ['a renewal that was denied', {}, { isRenewal: true }, 403, true],
    ['what a transaction has recorded', {}, { recorded: true }, OK, false],
    ['anything, when audit is off', { enabled: false, reads: true }, {}, 403, false],
  ]
  for (const [what, given, facts, status, isRecorded] of cases) {
    const store = memoryStore()
    const audit = auditOn(store, given)
    const waiting = audit.answered(caller(facts), { status })
    t.equal(waiting !== undefined, isRecorded, what)
    await waiting
    t.equal(store.journal.head().sequence, isRecorded ? 1 : 0, what)
    await store.close()
  }
})

t.test('a write for somebody carries its record, and is not recorded twice', async t => {
  const store = memoryStore()
  const audit = auditOn(store)
  const writer = new Writer(store, undefined, audit.recordOf)
  const who = caller()
  await writer.write(who, () => ({ txn: [put(blobs, 'k', Buffer.from('1'))], answer: 1 }))
  t.equal(audit.answered(who, { status: 200 }), undefined)
  const refused = caller({ id: 'r-2' })
  await writer.write(refused, () => new Refusal(403, 'Permission denied'))
  t.equal(audit.answered(refused, { status: 403 }), undefined)
  const renewal = caller({ isRenewal: true })
  await writer.write(renewal, () => ({ txn: [], answer: 1 }))
  t.match(await textsOf(store), [
    /"request":"r-1".*"outcome":"written".*"wrote":\["test\/blob\/k"\]/,
    /"request":"r-2".*"outcome":"refused","status":403,"refusal":"Permission denied"/,
  ])
  await store.close()
})

t.test('a journal that takes nothing: 503 instead of an answer', async t => {
  const store = memoryStore()
  const journal: Journal = {
    ...store.journal,
    append: () => Promise.reject(new OperatingError('disk', 'no space left on device')),
  }
  const audit = auditOn(store, {}, { journal })
  await t.rejects(Promise.resolve(audit.answered(caller(), { status: 403 })), {
    code: 'unaudited',
    outcome: 'none',
    message: 'its audit record cannot be kept: no space left on device',
  })
  await t.rejects(Promise.resolve(audit.answered(caller(), { status: 200 })), {
    code: 'unaudited',
    outcome: 'done',
    message: /^what was asked is done, but its audit record cannot be kept/,
  })
  await store.close()
})

t.test('files get what is recorded, over restarts without gap or repeat', async t => {
  const store = memoryStore()
  const folder = freshFolder(t)
  const ports = { folders: [folder], dataDir: folder }
  const proof = new LineProof()
  let proven = 0
  for (let life = 0; life < 3; life++) {
    const audit = auditOn(store, { sinks: [fileSink(folder)] }, ports)
    await audit.start()
    for (let i = 0; i < 50; i++) await audit.answered(caller(), { status: 200 })
    await until('it has all', () => audit.sinks[0]!.lag === 0)
    await audit.stop()
    const lines = readFileSync(join(folder, 'one.log'), 'utf8').split('\n').slice(0, -1)
    for (const line of lines.slice(proven)) proof.take(line, `life ${life}`)
    proven = lines.length
    t.equal(
      JSON.parse(readFileSync(join(folder, 'audit-devices.json'), 'utf8')).one,
      50 * (life + 1),
    )
  }
  t.match(proof.result(), { count: 150, last: 150, faults: [], repeated: 0, isAnchored: true })
  await store.close()
})

t.test('require: the answer waits for so many devices, and says when they do not come', async t => {
  const store = memoryStore()
  const folder = freshFolder(t)
  const clock = new FakeClock()
  const sinks = [fileSink(folder, 'a'), fileSink(join(folder, 'missing'), 'b')]
  const ports = { folders: [folder], clock }
  const one = auditOn(store, { sinks, require: 1 }, ports)
  await one.start()
  const who = caller()
  await one.answered(who, { status: 200 })
  t.ok(readFileSync(join(folder, 'a.log'), 'utf8').includes('"seq":1'), 'the device has it')
  const recorded = one.answered(who, { status: 200 })
  t.equal(recorded, undefined, 'what it has is not waited for')
  await stopped(one, clock)
  const two = auditOn(store, { sinks, require: 2 }, ports)
  await two.start()
  const waiting = two.answered(caller(), { status: 200 })
  let isOver = false
  const over = waiting!.then(
    () => 'answered',
    (error: OperatingError) => {
      isOver = true
      return `${error.code} ${error.outcome}: ${error.message}`
    },
  )
  await clock.advance(limits.auditRequireTimeoutMs - 1)
  t.notOk(isOver)
  await clock.advance(1)
  t.equal(
    await over,
    'unaudited done: what was asked is done, but fewer than 2 audit devices have taken its record in time',
  )
  await stopped(two, clock)
  await store.close()
})

async function stopped(audit: Audit, clock: FakeClock): Promise<void> {
  const stopping = audit.stop()
  await clock.advance(60_000)
  await stopping
}

async function fill(store: Store, count: number): Promise<void> {
  const body = Buffer.from(JSON.stringify({ x: 'x'.repeat(500) }))
  await Promise.all(Array.from({ length: count }, () => store.journal.append(body)))
}

const trimsOf = async (store: Store): Promise<Record<string, unknown>[]> =>
  (await textsOf(store)).filter(text => text.includes('"event"')).map(text => JSON.parse(text))

t.test('by size: the oldest go, with a record of it', async t => {
  const store = memoryStore()
  const audit = auditOn(store, { maxSizeBytes: 200_000 })
  await fill(store, 1_000)
  await audit.prune()
  const floor = store.journal.floor().sequence
  t.ok(floor > 0 && store.journal.sizeBytes() <= 200_000 + limits.journalSegmentSizeBytes)
  t.match(await trimsOf(store), [
    { event: 'journal trimmed', first: 1, last: floor, unshipped: 0, lacking: '' },
  ])
  const { sequence } = store.journal.head()
  await audit.prune()
  t.equal(store.journal.head().sequence, sequence, 'nothing more to trim, nothing more to say')
  t.match(await audit.verify(), { fault: '', count: sequence - floor })
  await store.close()
})

t.test('by age, as time goes by', async t => {
  const store = memoryStore()
  const clock = new FakeClock()
  clock.setWall(Date.now() - clock.wall())
  const audit = auditOn(store, { retentionMs: 3_600_000 }, { clock })
  await audit.start()
  await fill(store, 500)
  await clock.advance(limits.auditPruneIntervalMs)
  t.equal(store.journal.floor().sequence, 0, 'nothing is old yet')
  clock.setWall(3_700_000)
  await clock.advance(limits.auditPruneIntervalMs)
  t.equal(store.journal.floor().sequence, 500)
  await stopped(audit, clock)
  t.equal(clock.timers, 0)
  await store.close()
})

/** A room with a device that takes nothing, and what it told of. */
async function lagging(given: Partial<AuditSettings>) {
  const store = memoryStore()
  const clock = new FakeClock()
  const metrics = new Metrics(clock)
  const log: string[] = []
  const noted = { ...silentLog, error: (message: string) => void log.push(message) }
  const sinks = [fileSink('/nowhere', 'dead')]
  const audit = auditOn(
    store,
    { maxSizeBytes: 100_000, ...given, sinks },
    { clock, log: noted, metrics },
  )
  await audit.start()
  await fill(store, 1_000)
  await audit.prune()
  const dropped = metrics.counter('audit.dropped', '').total.sum
  return { store, audit, clock, log, dropped }
}

t.test('what a device lacks stays beyond the size, up to the second bound', async t => {
  const { store, audit, clock, log, dropped } = await lagging({ unshippedSizeBytes: 10_000_000 })
  t.equal(store.journal.floor().sequence, 0)
  t.ok(store.journal.sizeBytes() > 500_000)
  t.same([log, dropped], [[], 0])
  await stopped(audit, clock)
  await store.close()
})

t.test('beyond that it goes, and nobody can say that they were not told', async t => {
  const { store, audit, clock, log, dropped } = await lagging({ unshippedSizeBytes: 100_000 })
  const floor = store.journal.floor().sequence
  t.ok(floor > 100)
  t.same(log, ['the audit journal was trimmed before every device had it'])
  t.equal(dropped, floor)
  t.match(await trimsOf(store), [{ first: 1, last: floor, unshipped: floor, lacking: 'dead' }])
  await stopped(audit, clock)
  await store.close()
})

t.test('unless the operator wants no second bound', async t => {
  const { store, audit, clock, dropped } = await lagging({ unshippedSizeBytes: -1 })
  t.equal(store.journal.floor().sequence, 0)
  t.equal(dropped, 0)
  await stopped(audit, clock)
  await store.close()
})

t.test('a search goes back from the newest, page by page', async t => {
  const store = memoryStore()
  const audit = auditOn(store)
  for (let i = 1; i <= 1_200; i++) {
    const name = i % 100 === 0 ? 'wanted' : 'other'
    void audit.answered(caller({ id: `r-${i}`, name }), { status: 200 })
  }
  await settled()
  const wanted = { ...NOTHING, path: '/v1/kv/wanted' }
  const all = Number.MAX_SAFE_INTEGER
  const first = await audit.search(wanted, all, 5)
  t.same(
    first.records.map(({ sequence }) => sequence),
    [1_200, 1_100, 1_000, 900, 800],
  )
  t.equal(first.before, 800)
  const second = await audit.search(wanted, first.before!, 100)
  t.same(
    second.records.map(({ sequence }) => sequence),
    [700, 600, 500, 400, 300, 200, 100],
  )
  t.equal(second.before, undefined)
  t.same((await audit.search({ ...NOTHING, request: 'r-7' }, all, 10)).records.length, 1)
  t.same(await audit.search({ ...NOTHING, request: 'none' }, all, 10), {
    records: [],
    before: undefined,
  })
  await store.close()
})

const NOTHING = {
  request: undefined,
  accessor: undefined,
  path: undefined,
  operation: undefined,
  outcome: undefined,
  fromMs: undefined,
  toMs: undefined,
}

t.test('a walk proves what is there, and names the first fault', async t => {
  const store = memoryStore()
  const audit = auditOn(store)
  await fill(store, 1_100)
  t.match(await audit.verify(), { count: 1_100, fault: '' })
  const read: Journal['read'] = async (from, limit) => {
    const records = await store.journal.read(from, limit)
    return records.filter(({ sequence }) => sequence !== 700)
  }
  const holed = auditOn(store, {}, { journal: { ...store.journal, read } })
  t.match(await holed.verify(), { fault: 'record 700 is missing' })
  const changed = auditOn(
    store,
    {},
    {
      journal: {
        ...store.journal,
        read: async (from, limit) =>
          (await store.journal.read(from, limit)).map(record =>
            record.sequence === 900 ? { ...plain(record), text: Buffer.from('{"v":1}') } : record,
          ),
      },
    },
  )
  t.match(await changed.verify(), { fault: 'record 900 does not fit its chain' })
  await store.close()
})
