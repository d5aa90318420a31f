/**
 * Faults of the disk under the level engine: the store stops rather than go on from a state that
 * nobody knows, what it says of each write is true, and reads go on.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { OperatingCode, OperatingError, Refusal } from '../../src/base/errors.ts'
import { type OrderedDisk, openLevelDisk } from '../../src/base/io/level.ts'
import { limits } from '../../src/base/limits.ts'
import { put, type Store } from '../../src/store/store.ts'
import { blobs, colds } from '../conformance/store.ts'
import { freshFolder } from '../fake/folder.ts'
import { seeded } from '../fake/random.ts'
import { cannotMount, gate, levelDiskWith, mountSmallDisk, withBatch } from './disks.ts'
import { changesAfter, History, openLevel, stateOf, tryOpen, writeAtRandom } from './level.ts'

const write = async (store: Store, key: string, sizeBytes = 1): Promise<number> => {
  const row = Buffer.alloc(sizeBytes, key)
  const written = await store.write(() => ({ txn: [put(blobs, key, row)], answer: undefined }))
  if (written instanceof Refusal) throw new Error(written.text)
  return written.revision
}

/** What a write came to, if it failed. */
const outcomeOf = async (writing: Promise<unknown>): Promise<string> => {
  try {
    await writing
    return 'done'
  } catch (error) {
    return error instanceof OperatingError ? `${error.code} ${error.outcome}` : String(error)
  }
}

for (const isApplied of [false, true]) {
  const how = isApplied ? 'after all was written' : 'and nothing was written'
  t.test(`a sync that fails once, ${how}`, async t => {
    const folder = freshFolder(t)
    const history = new History()
    let failAt = Number.POSITIVE_INFINITY
    let batches = 0
    const openDisk = levelDiskWith(async (ops, next) => {
      if (batches++ !== failAt) return next(ops)
      if (isApplied) await next(ops)
      throw new OperatingError(OperatingCode.disk, 'input/output error', 'unknown')
    })
    const store = await openLevel(folder, { openDisk })
    await writeAtRandom(store, seeded(7), 30, s => history.note(s))
    const before = await stateOf(store)
    failAt = batches
    const inFlight = [write(store, 'a'), write(store, 'b')].map(outcomeOf)
    await new Promise(resolve => setImmediate(resolve))
    const gathered = outcomeOf(write(store, 'c'))
    t.same(await Promise.all(inFlight), ['disk unknown', 'disk unknown'])
    t.equal(await gathered, 'disk none')
    // The sync would work now, but nothing is retried on a disk that failed once.
    t.equal(await outcomeOf(write(store, 'd')), 'disk none')
    t.equal(await outcomeOf(store.grant(1_000)), 'disk none')
    t.equal(await outcomeOf(store.compact(store.view().revision)), 'disk none')
    t.equal(await outcomeOf(store.restore({ rows: [], index: 1, verify: () => {} })), 'disk none')
    t.match(store.status().fault, /the store stopped: input\/output error; reads go on, restart/)
    t.equal(await stateOf(store), before, 'reads go on')
    t.ok((await changesAfter(store, store.status().compacted)).length > 0, 'the feed too')
    await store.close()
    const again = await openLevel(folder)
    if (again.view().revision === history.newest)
      t.equal(await stateOf(again), before, 'the old state')
    else {
      t.equal(isApplied, true)
      t.equal(again.view().get(blobs, 'a')?.row.toString(), 'a')
      t.equal(again.view().get(blobs, 'b')?.row.toString(), 'b')
      t.equal(again.view().get(blobs, 'c'), undefined, 'none means none')
    }
    t.ok((await write(again, 'e')) > history.newest)
    await again.close()
  })
}

t.test(
  'a full disk: writes stop with the reason, reads go on, more room heals',
  {
    skip: cannotMount,
  },
  async t => {
    const small = mountSmallDisk(t, 1_500)
    const folder = join(small.folder, 'data')
    const store = await openLevel(folder)
    let answered = 0
    let failure: OperatingError | undefined
    for (let i = 0; failure === undefined && i < 10_000; i++) {
      try {
        await write(store, `k${i}`, 5_000)
        answered = i
      } catch (error) {
        failure = error as OperatingError
      }
    }
    t.match(failure, { code: 'disk', outcome: 'unknown', message: /no space left on device/i })
    t.equal(await outcomeOf(write(store, 'more')), 'disk none')
    t.ok(store.view().get(blobs, `k${answered}`))
    await store.close()
    const still = await tryOpen(folder)
    if ('write' in still) await still.close()
    else t.match(still.message, /no space left|is full/i, 'a refusal names the disk, not damage')
    small.remount('size=8000k')
    const again = await openLevel(folder)
    for (let i = 0; i <= answered; i++) {
      if (again.view().get(blobs, `k${i}`)?.row.length !== 5_000) t.fail(`k${i} is lost`)
    }
    t.ok(await write(again, 'more'))
    await again.close()
  },
)

t.test('a full disk, by cold rows', { skip: cannotMount }, async t => {
  const small = mountSmallDisk(t, 1_500)
  const folder = join(small.folder, 'data')
  const store = await openLevel(folder)
  const putCold = (on: Store, key: string) =>
    on.write(() => ({
      txn: [put(colds, key, { group: 'x'.repeat(5_000), tags: [], size: 1 })],
      answer: undefined,
    }))
  let answered = -1
  let failure = 'done'
  for (; failure === 'done' && answered < 10_000; answered++) {
    failure = await outcomeOf(putCold(store, `k${answered + 1}`))
  }
  answered--
  t.equal(failure, 'disk unknown')
  t.ok(answered > 20)
  t.ok(await store.cold.get(colds, `k${answered}`), 'reads go on')
  await store.close()
  const still = await tryOpen(folder)
  if ('write' in still) await still.close()
  else t.match(still.message, /no space left|is full/i, 'a refusal names the disk, not damage')
  small.remount('size=8000k')
  const again = await openLevel(folder)
  for (let i = 0; i <= answered; i++) {
    if ((await again.cold.get(colds, `k${i}`)) === undefined) t.fail(`k${i} is lost`)
  }
  await again.cold.prove()
  await putCold(again, 'more')
  await again.close()
})

t.test('a full disk, by records of the journal', { skip: cannotMount }, async t => {
  const small = mountSmallDisk(t, 2_000)
  const folder = join(small.folder, 'data')
  const store = await openLevel(folder)
  const record = JSON.stringify({ note: 'x'.repeat(5_000) })
  let answered = 0
  let failure = 'done'
  for (; failure === 'done' && answered < 10_000; answered++) {
    failure = await outcomeOf(store.journal.append(record))
  }
  answered--
  t.equal(failure, 'disk unknown')
  t.match(store.journal.fault(), /cannot write .*journal: .*no space left on device/i)
  t.equal(await outcomeOf(store.journal.append(record)), 'disk none')
  t.equal((await store.journal.read(1, answered)).length, answered, 'reads go on')
  await store.close()
  small.remount('size=8000k')
  const again = await openLevel(folder)
  t.ok(again.journal.head().sequence >= answered, 'nothing is lost')
  await again.journal.append(record)
  t.equal((await again.journal.read(1, answered + 1)).length, answered + 1)
  await again.close()
})

t.test('a read-only folder is refused with its name', async t => {
  const isRoot = cannotMount === false
  const small = isRoot ? mountSmallDisk(t, 2_000) : { folder: freshFolder(t), remount: () => {} }
  const folder = join(small.folder, 'data')
  const store = await openLevel(folder)
  await write(store, 'a')
  await store.close()
  small.remount('ro')
  if (!isRoot) for (const path of [join(folder, 'store'), folder]) chmodSync(path, 0o500)
  const refused = await tryOpen(folder)
  t.match(refused, { code: 'disk', message: new RegExp(`${folder}.*(read-only|permission)`, 'i') })
  const beside = await tryOpen(join(small.folder, 'other'))
  if (isRoot) t.match(beside, { code: 'disk', message: /cannot make .*read-only/i })
  small.remount('rw')
  if (!isRoot) for (const path of [folder, join(folder, 'store')]) chmodSync(path, 0o700)
  const again = await openLevel(folder)
  t.ok(again.view().get(blobs, 'a'))
  await again.close()
  if ('close' in beside) await beside.close()
})

t.test('a second process is refused and names the first', async t => {
  const folder = freshFolder(t)
  const script = fileURLToPath(new URL('./writer.ts', import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', script, folder, '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.stdout.resume()
  const refused = await tryOpen(folder)
  t.match(refused, { code: 'locked', outcome: 'none' })
  t.match(refused, { message: new RegExp(`in use by process ${child.pid}; stop that process or`) })
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
  const store = await openLevel(folder)
  const again = await tryOpen(folder)
  t.match(again, { code: 'locked', message: new RegExp(`in use by process ${process.pid};`) })
  t.ok(await write(store, 'a'), 'the first is none the worse for it')
  await store.close()
})

t.test('a disk that stalls: writes wait in order, reads go on', async t => {
  let stalled: ReturnType<typeof gate> | undefined
  const openDisk = levelDiskWith(async (ops, next) => {
    await stalled?.opened
    await next(ops)
  })
  const store = await openLevel(freshFolder(t), { openDisk })
  const before = await write(store, 'before')
  stalled = gate()
  // More than two batches hold, so that some are not even decided.
  const count = 2 * limits.batchRows + 100
  let answered = 0
  const writes = Array.from({ length: count }, async (_, i) => {
    const revision = await write(store, `k${i}`)
    answered++
    return revision
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(answered, 0)
  t.equal(store.view().revision, before)
  t.ok(store.view().get(blobs, 'before'))
  t.equal(await store.readIndex(), before)
  stalled.open()
  const revisions = await Promise.all(writes)
  t.same(
    revisions,
    Array.from({ length: count }, (_, i) => before + 1 + i),
    'in order, each its own revision',
  )
  await store.close()
})

t.test('a disk that stalls and then fails answers everybody', async t => {
  const stalled = gate()
  let isFailing = false
  const openDisk = levelDiskWith(async (ops, next) => {
    if (!isFailing) return next(ops)
    await stalled.opened
    throw new OperatingError(OperatingCode.disk, 'input/output error', 'unknown')
  })
  const store = await openLevel(freshFolder(t), { openDisk })
  isFailing = true
  const first = outcomeOf(write(store, 'first'))
  await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
  const rest = Array.from({ length: limits.batchRows + 50 }, (_, i) =>
    outcomeOf(write(store, `k${i}`)),
  )
  const compacting = outcomeOf(store.compact(store.view().revision))
  const closing = store.close()
  t.equal(await outcomeOf(write(store, 'late')), 'closed none')
  stalled.open()
  t.equal(await first, 'disk unknown')
  t.same([...new Set(await Promise.all(rest))], ['disk none'])
  t.equal(await compacting, 'disk none')
  await closing
})

t.test('close settles what is under way, then refuses', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  const count = limits.batchRows + 500
  const writes = Array.from({ length: count }, (_, i) => outcomeOf(write(store, `k${i}`)))
  const closing = store.close()
  t.equal(store.close(), closing, 'safe to call twice')
  t.same([...new Set(await Promise.all(writes))], ['done'])
  await closing
  t.equal(await outcomeOf(write(store, 'late')), 'closed none')
  t.equal(await outcomeOf(store.compact(store.view().revision)), 'closed none')
  const again = await openLevel(folder)
  t.equal(again.view().count(blobs), count)
  await again.close()
})

t.test('a torn batch: any part of one, as no disk should leave it, is refused', async t => {
  for (let part = 1; part <= 6; part++) {
    const folder = freshFolder(t)
    const history = new History()
    let tearAt = Number.POSITIVE_INFINITY
    let batches = 0
    let size = 0
    const openDisk = levelDiskWith(async (ops, next) => {
      if (batches++ !== tearAt) return next(ops)
      size = ops.length
      await next(ops.filter((_, i) => (i + part) % 3 !== 0))
      throw new OperatingError(OperatingCode.disk, 'input/output error', 'unknown')
    })
    const store = await openLevel(folder, { openDisk })
    await writeAtRandom(store, seeded(part), 10, s => history.note(s))
    tearAt = batches
    await Promise.all(['a', 'b', 'c', 'd'].map(key => outcomeOf(write(store, key))))
    await store.close()
    const opened = await tryOpen(folder)
    t.match(opened, { code: 'damaged' }, `${size} operations without every third, from ${part}`)
    if ('close' in opened) await opened.close()
  }
})

t.test('a disk that cannot be read', async t => {
  const folder = freshFolder(t)
  const history = new History()
  const store = await openLevel(folder)
  await writeAtRandom(store, seeded(3), 50, s => history.note(s))
  await store.close()
  const broken = (): never => {
    throw new OperatingError(OperatingCode.disk, 'input/output error', 'unknown')
  }
  for (const what of ['get', 'scan', 'clear'] as const) {
    const openDisk = async (at: string) => ({
      ...withBatch(await openLevelDisk(at), (ops, next) => next(ops)),
      [what]: broken,
    })
    t.match(await tryOpen(folder, { openDisk }), { code: 'disk' }, what)
  }
  // History that cannot be read, or has lost a record, fails its reader alone.
  let fault: 'none' | 'broken' | 'lossy' = 'none'
  const openDisk = async (at: string): Promise<OrderedDisk> => {
    const disk = await openLevelDisk(at)
    const lossy = async function* (from: Buffer, to: Buffer) {
      for await (const page of disk.scan(from, to)) yield page.filter((_, i) => i !== 3)
    }
    const scan: OrderedDisk['scan'] = (from, to) => {
      if (fault === 'broken') broken()
      return fault === 'lossy' ? lossy(from, to) : disk.scan(from, to)
    }
    return { ...disk, scan }
  }
  const read = await openLevel(folder, { openDisk })
  const from = read.status().compacted
  fault = 'broken'
  await t.rejects(changesAfter(read, from), { code: 'disk' })
  fault = 'lossy'
  await t.rejects(changesAfter(read, from), { code: 'damaged', message: /a log record is lost/ })
  fault = 'none'
  t.equal((await changesAfter(read, from)).length, read.view().revision - from)
  await history.check(read)
  t.ok(await write(read, 'goes on'))
  await read.close()
})

t.test('a witness or a pid file that cannot be written', async t => {
  for (const name of ['witness', 'holder.pid']) {
    const folder = freshFolder(t)
    mkdirSync(join(folder, name))
    const refused = await tryOpen(folder)
    t.match(refused, { code: 'disk' }, name)
    t.match(refused, { message: new RegExp(folder) })
    // Nothing was left open: the same process can open it once that is put right.
    rmdirSync(join(folder, name))
    const store = await openLevel(folder)
    await write(store, 'a')
    await store.close()
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o600)
    t.equal(statSync(join(folder, 'store')).mode & 0o777, 0o700)
  }
})
