/** The level engine: the store's contract, and what a batch of it hands to the disk. */
import t from 'tap'
import { fromText } from '../../../src/base/bytes.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import type { DiskOp } from '../../../src/base/io/level.ts'
import { openLevelStore } from '../../../src/store/level/engine.ts'
import { rowKey } from '../../../src/store/level/layout.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { del, type Op, put } from '../../../src/store/store.ts'
import { blobs, storeConformance, testTables } from '../../conformance/store.ts'
import { levelDiskWith } from '../../faults/disks.ts'
import { openLevel, stateOf } from '../../faults/level.ts'

storeConformance(t, {
  runs: 100,
  make: test =>
    openLevelStore({
      folder: test.testdir(),
      tables: withSystemTables(testTables),
      clock: systemClock,
      random: systemRandom,
    }),
})

t.test('a batch that writes a row again and again puts its last alone', async t => {
  const folder = t.testdir()
  let ops: readonly DiskOp[] = []
  const openDisk = levelDiskWith((all, next) => {
    ops = all
    return next(all)
  })
  const store = await openLevel(folder, { openDisk })
  const write = (op: Op) => store.write(() => ({ txn: [op], answer: null }))
  const blob = (key: string, text: string) => put(blobs, fromText(key), Buffer.from(text))
  await write(blob('old', 'before'))
  const batch = [
    ...['a', 'b', 'c'].map(text => blob('hot', text)),
    ...['d', 'e'].map(text => blob('old', text)),
    ...[blob('gone', 'f'), del(blobs, 'gone')],
    ...[blob('back', 'g'), del(blobs, 'back'), blob('back', 'h')],
    blob('once', 'i'),
  ]
  await Promise.all(batch.map(write))
  const rows = ops.filter(({ key }) => key[0] === rowKey(0, fromText(''))[0])
  t.equal(rows.length, 5, 'one for each row')
  const state = await stateOf(store)
  await store.close()
  // Opening proves the rows against the sum that stands in the head.
  const again = await openLevel(folder)
  t.equal(await stateOf(again), state)
  await again.close()
})
