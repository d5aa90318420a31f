/** Coordinates on their way to the store: gathered, written together, bounded. */
import t, { type Test } from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { OperatingError } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { ORIGIN } from '../../src/base/vivaldi.ts'
import { PendingCoordinates } from '../../src/registry/coordinates.run.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { put } from '../../src/store/store.ts'
import { coordinates } from '../../src/store/tables/coordinate.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { FakeClock } from '../fake/clock.ts'
import { nodeRow } from './rules.ts'

const row = (node: string, height: number) => ({ node, coordinate: { ...ORIGIN, height } })

async function pending(t: Test) {
  const clock = new FakeClock()
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock, random: systemRandom })
  t.teardown(() => store.close())
  const names = Array.from({ length: limits.coordinateBatchRows + 1 }, (_, at) => `n${at}`)
  const txn = names.map(node => put(nodes, node, nodeRow(node)))
  await store.write(() => ({ txn, answer: true }))
  const waiting = new PendingCoordinates({ store, timeouts: new Timeouts(clock), log: silentLog })
  const pass = async (): Promise<void> => {
    for (let waited = 0; waited <= limits.coordinateDelayMs; waited += 20) {
      await clock.advance(20)
    }
  }
  const height = (node: string) => store.view().get(coordinates, node)?.row.coordinate.height
  return { store, waiting, pass, height, names }
}

t.test('the last one of a node is written, all together', async t => {
  const { store, waiting, pass, height } = await pending(t)
  const before = store.view().revision
  waiting.add(row('n1', 1))
  waiting.add(row('N1', 2))
  waiting.add(row('n2', 3))
  t.equal(height('n1'), undefined, 'not at once')
  await pass()
  t.strictSame([height('n1'), height('n2')], [2, 3])
  t.equal(store.view().revision, before + 1)
  waiting.add(row('n1', 4))
  await pass()
  t.equal(height('n1'), 4, 'and later ones too')
})

t.test('more than one transaction holds go in several', async t => {
  const { store, waiting, pass, names } = await pending(t)
  const before = store.view().revision
  for (const name of names) waiting.add(row(name, 1))
  await pass()
  t.equal(store.view().count(coordinates), names.length)
  t.equal(store.view().revision, before + 2)
})

t.test('too many nodes that wait are refused, the same ones are not', async t => {
  const { waiting } = await pending(t)
  for (let i = 0; i < limits.coordinatesPending; i++) waiting.add(row(`m${i}`, 1))
  t.throws(() => waiting.add(row('one more', 1)), OperatingError)
  waiting.add(row('m0', 2))
})

t.test('a failed write is told, and the next one is tried', async t => {
  const { store, waiting, pass, height } = await pending(t)
  const write = store.write.bind(store)
  store.write = () => Promise.reject(new Error('not now'))
  waiting.add(row('n1', 1))
  await pass()
  store.write = write
  t.equal(height('n1'), undefined)
  waiting.add(row('n1', 2))
  await pass()
  t.equal(height('n1'), 2)
})
