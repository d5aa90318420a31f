/**
 * A restore that is cut off at any step: the old content is untouched, or the new one is whole; and
 * what the attempt left behind does no harm to the next one.
 */
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import type { OrderedDisk } from '../../src/base/io/level.ts'
import { limits } from '../../src/base/limits.ts'
import { restoreSnapshot } from '../../src/store/snapshot.ts'
import { put, type RestoredRow, type Store } from '../../src/store/store.ts'
import { archiveOf, contentOf, inPieces } from '../conformance/snapshot.ts'
import { blobs } from '../conformance/store.ts'
import { freshFolder } from '../fake/folder.ts'
import { seeded } from '../fake/random.ts'
import { gate, levelDiskWith, type OnBatch, withBatch } from './disks.ts'
import { ForgetfulDisk } from './forgetful-disk.ts'
import { History, openLevel, stateOf, tryOpen, writeAtRandom } from './level.ts'

const ROW_SIZE_BYTES = 400_000
/** As many rows as fill three batches and a part of a fourth. */
const ROWS = Math.ceil((3.5 * limits.batchSizeBytes) / ROW_SIZE_BYTES)

const rowsOf = (count: number): RestoredRow[] =>
  Array.from({ length: count }, (_, i) => ({
    key: `${blobs.prefix}new/${String(i).padStart(4, '0')}`,
    body: Buffer.alloc(ROW_SIZE_BYTES, i),
    createIndex: 10 + i,
    modifyIndex: 20 + i,
  }))

const content = { rows: rowsOf(ROWS), index: 5_000, verify: () => {} }

const isNew = (store: Store): boolean =>
  store.view().count(blobs) === ROWS && store.view().get(blobs, 'new/0000') !== undefined

t.test('power lost at every step of a restore', async t => {
  const outcomes = { old: 0, new: 0 }
  for (let step = 0; ; step++) {
    const folder = freshFolder(t)
    const disk = new ForgetfulDisk()
    const { opened: died, open } = gate()
    const cut = { left: Number.POSITIVE_INFINITY, isAfter: step % 2 === 1, died: open }
    const openDisk = async (): Promise<OrderedDisk> =>
      withBatch(await disk.open(), withPower(disk, cut))
    const store = await openLevel(folder, { openDisk })
    await writeAtRandom(store, seeded(step), 10, async () => {})
    const before = await stateOf(store)
    cut.left = step >> 1
    const restored = store.restore(content).then(() => 'restored' as const)
    const ended = await Promise.race([restored, died])
    cut.left = Number.POSITIVE_INFINITY
    if (ended === 'restored') disk.losePower(() => false)
    const again = await openLevel(folder, { openDisk })
    if (isNew(again)) outcomes.new++
    else {
      outcomes.old++
      t.equal(await stateOf(again), before, `step ${step}: the old content`)
      t.equal(again.status().generation, 1)
      t.not(ended, 'restored', 'what was answered is kept')
    }
    await again.restore(content)
    t.ok(isNew(again))
    await again.close()
    const last = await openLevel(folder, { openDisk })
    t.ok(isNew(last), `step ${step}: and the next restore is whole`)
    await last.close()
    if (ended === 'restored') break
  }
  t.ok(outcomes.old >= 8, `${outcomes.old} times the old content`)
  t.ok(outcomes.new >= 1, `${outcomes.new} times the new one`)
})

interface Cut {
  /** How many batches pass before the power goes. */
  left: number
  /** Whether it goes before or after the batch was written. */
  isAfter: boolean
  /** Called when it has gone. */
  died(): void
}

const withPower =
  (disk: ForgetfulDisk, cut: Cut): OnBatch =>
  async (ops, next) => {
    if (cut.left-- > 0) return next(ops)
    if (cut.isAfter) await next(ops)
    disk.losePower(() => false)
    cut.died()
    return new Promise(() => {})
  }

t.test('a disk that fails at every step of a restore', async t => {
  for (let step = 0; step < 5; step++) {
    const folder = freshFolder(t)
    let left = Number.POSITIVE_INFINITY
    const failing = levelDiskWith(async (ops, next) => {
      if (left-- !== 0) return next(ops)
      throw new OperatingError(OperatingCode.disk, 'no space left on device', 'unknown')
    })
    const store = await openLevel(folder, { openDisk: failing })
    await writeAtRandom(store, seeded(step), 10, async () => {})
    const before = await stateOf(store)
    left = step
    await t.rejects(store.restore(content), { code: 'disk', outcome: 'unknown' })
    t.equal(await stateOf(store), before, 'reads go on, of the old content')
    const late = store.write(() => ({ txn: [put(blobs, 'a', Buffer.from('1'))], answer: '' }))
    await t.rejects(late, { code: 'disk', outcome: 'none' }, 'and nothing is written any more')
    await store.close()
    const again = await openLevel(folder)
    t.equal(await stateOf(again), before, 'after the restart too')
    await again.restore(content)
    await again.close()
    const last = await openLevel(folder)
    t.ok(isNew(last))
    await last.close()
  }
})

t.test('an archive that fails half-way leaves the old content, and no rows behind', async t => {
  const folder = freshFolder(t)
  const history = new History()
  const store = await openLevel(folder)
  await writeAtRandom(store, seeded(1), 30, s => history.note(s))
  const before = await stateOf(store)
  const source = await openLevel(freshFolder(t))
  await source.restore(content)
  const archive = await archiveOf(source)
  const cut = archive.subarray(0, archive.length - 10)
  for (const _ of [1, 2]) {
    const refused = await restoreSnapshot(store, inPieces(cut))
    t.match(refused, { status: 500, text: /^failed to decompress snapshot/ })
    t.equal(await stateOf(store), before)
  }
  const [first] = rowsOf(1)
  const broken = async function* (): AsyncGenerator<RestoredRow> {
    yield* rowsOf(ROWS)
    throw new Error('it broke off')
  }
  await t.rejects(store.restore({ rows: broken(), index: 1, verify: () => {} }), /it broke off/)
  t.equal(await stateOf(store), before)
  t.equal(store.status().fault, '')
  await store.restore({ rows: [first!], index: 1, verify: () => {} })
  t.equal(store.view().count(blobs), 1)
  await store.close()
  const again = await tryOpen(folder)
  t.ok('write' in again, 'the rows of the failed attempts are gone')
  if (!('write' in again)) return
  t.equal(again.view().count(blobs), 1)
  await restoreSnapshot(again, inPieces(archive))
  t.ok(isDeepStrictEqual(contentOf(again), contentOf(source)), 'equal content')
  await again.close()
  await source.close()
})

t.test('writes and other restores wait for one that is under way', async t => {
  const folder = freshFolder(t)
  const store = await openLevel(folder)
  await store.write(() => ({ txn: [put(blobs, 'old', Buffer.from('1'))], answer: undefined }))
  const order: string[] = []
  const slow = async function* (): AsyncGenerator<RestoredRow> {
    for (const row of rowsOf(3)) {
      await new Promise(resolve => setTimeout(resolve, 10))
      yield row
    }
  }
  const first = store.restore({ rows: slow(), index: 1, verify: () => order.push('first') })
  const second = store.restore({ rows: rowsOf(2), index: 1, verify: () => order.push('second') })
  const compacted = store.compact(store.view().revision).then(() => order.push('compacted'))
  const seen = store.write(view => {
    order.push(`written on ${view.prefix(blobs, '').length} rows`)
    return { txn: [put(blobs, 'late', Buffer.from('1'))], answer: undefined }
  })
  t.ok(store.view().get(blobs, 'old'), 'reads go on meanwhile')
  const [one, two] = await Promise.all([first, second])
  await Promise.all([compacted, seen])
  const seenOrder = order.filter(word => word !== 'compacted')
  t.same(seenOrder, ['first', 'second', 'written on 2 rows'])
  t.ok(two.index > one.index)
  await store.close()
  const again = await openLevel(folder)
  t.same(
    again
      .view()
      .prefix(blobs, '')
      .map(({ key }) => key),
    ['late', 'new/0000', 'new/0001'],
  )
  await again.close()
})
