/**
 * The sweep of cold rows that were cleared. That it takes all of a range away is part of the suite
 * of every engine (test/conformance/store.ts); here it goes on by itself, in portions.
 */
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { clearCold, coldClears } from '../../src/store/cold.ts'
import { coldSweep, sweepCold } from '../../src/store/cold-sweep.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { type Op, put, type Store } from '../../src/store/store.ts'
import { colds, testTables } from '../conformance/store.ts'

const tables = withSystemTables(testTables)
const openStore = (): Store => openMemoryStore({ tables, clock: systemClock, random: systemRandom })
const write = (store: Store, txn: readonly Op[]) => store.write(() => ({ txn, answer: undefined }))
const row = { group: 'c', tags: [], size: 1 }

async function filled(store: Store, count: number): Promise<void> {
  const ops = Array.from({ length: count }, (_, i) => put(colds, `m/${i}`, row))
  for (let at = 0; at < count; at += 4_000) await write(store, ops.slice(at, at + 4_000))
  await write(store, [put(colds, 'n/1', row)])
}

t.test('a range goes in portions, and its mark with the last one', async t => {
  const store = openStore()
  await filled(store, 2 * limits.coldPageRows + 500)
  await write(store, [clearCold(colds, 'm/')])
  const before = store.view().revision
  await sweepCold(store, tables)
  t.equal(store.view().revision - before, 4, 'three portions, and the mark')
  t.equal(store.view().count(coldClears), 0)
  t.same(await store.cold.keys(colds, '', { limit: 10 }), ['n/1'])
  await sweepCold(store, tables)
  t.equal(store.view().revision - before, 4, 'nothing is left to do')
  await store.close()
})

t.test('what is cleared while a sweep goes on is for the next one', async t => {
  const store = openStore()
  await filled(store, 10)
  await write(store, [clearCold(colds, 'm/')])
  const swept = sweepCold(store, tables)
  await write(store, [clearCold(colds, 'm/')])
  await swept
  t.equal(store.view().count(coldClears), 1)
  await sweepCold(store, tables)
  t.equal(store.view().count(coldClears), 0)
  await store.close()
})

t.test('as a duty it waits for what is cleared, and stops with its signal', async t => {
  const store = openStore()
  const stop = new AbortController()
  const ports = { store, tables, clock: systemClock, log: silentLog }
  const duty = coldSweep(ports)(stop.signal, decide => decide)
  await filled(store, 10)
  await write(store, [clearCold(colds, 'm/')])
  for (let tries = 0; store.view().count(coldClears) > 0 && tries < 1_000; tries++) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.equal(store.view().count(coldClears), 0)
  t.same(await store.cold.keys(colds, '', { limit: 10 }), ['n/1'])
  await store.close()
  await write(store, [clearCold(colds, 'n/')]).catch(() => {})
  stop.abort()
  await duty
})
