/**
 * The engines that the HTTP tests run on: the same tests on each.
 *
 * Opens stores of the registry's tables, and opens them again as a restart would.
 */
import type { Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { openEtcdStore } from '../../src/store/etcd/engine.ts'
import { type LevelOptions, openLevelStore } from '../../src/store/level/engine.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'

/** What the stores of these tests hold. */
export const allTables = withSystemTables(registryTables)

const common = {
  tables: allTables,
  clock: systemClock,
  random: systemRandom,
}

/** Opens the store of one test; called again after it was closed, it finds what was written. */
export type OpenStore = () => Promise<Store>

/** An empty store in memory. */
export const openMemory: OpenStore = async () => openMemoryStore(common)

/**
 * Runs the same tests on every engine. `newStore` gives each test a store of its own; `durable`
 * says whether it outlives its closing.
 */
export function onEveryEngine(
  t: Test,
  body: (t: Test, newStore: (t: Test) => OpenStore, durable: boolean) => Promise<void>,
): void {
  t.test('memory', t => body(t, () => openMemory, false))
  t.test('level', t => body(t, openLevel, true))
  t.test('etcd', { skip: absent('etcd') }, async t => {
    const { endpoint } = await startEtcd(t)
    let stores = 0
    const open = (): OpenStore => {
      // A prefix of its own is a store of its own.
      const prefix = `test/${stores++}`
      return () => openEtcdStore({ ...common, endpoints: [endpoint], prefix, serverId: 'one' })
    }
    await body(t, open, true)
  })
}

const openLevel = (t: Test): OpenStore => openLevelOn(t)

/** A store on disk, or on what stands for one. */
export function openLevelOn(
  t: Test,
  faults: Pick<LevelOptions, 'openDisk' | 'writeJournal'> = {},
): OpenStore {
  const folder = t.testdir()
  return () => openLevelStore({ ...common, folder, ...faults })
}
