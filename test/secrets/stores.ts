/**
 * The stores that tests of the secrets run on.
 */
import type { Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { openEtcdStore } from '../../src/store/etcd/engine.ts'
import { openLevelStore } from '../../src/store/level/engine.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import type { Store } from '../../src/store/store.ts'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'
import { openSecrets, TestSecrets, tables } from './harness.ts'

const common = { tables, clock: systemClock, random: systemRandom }

/** Runs the same tests on every engine; `newStore` gives each an empty store of its own. */
export function onEveryStore(
  t: Test,
  body: (t: Test, newStore: (t: Test) => Promise<Store>) => Promise<void>,
): void {
  t.test('memory', t => body(t, async () => openMemoryStore({ ...common, onCommit: () => {} })))
  t.test('level', t => body(t, t => openLevelStore({ ...common, folder: t.testdir() })))
  t.test('etcd', { skip: absent('etcd') }, async t => {
    const { endpoint } = await startEtcd(t)
    let stores = 0
    await body(t, () => {
      const prefix = `test/${stores++}`
      return openEtcdStore({ ...common, endpoints: [endpoint], prefix, serverId: 'one' })
    })
  })
}

/** Secrets on two servers of one etcd, unsealed alike. */
export async function openTwoServers(t: Test): Promise<readonly [TestSecrets, TestSecrets]> {
  const { endpoint } = await startEtcd(t)
  const open = (serverId: string): Promise<Store> =>
    openEtcdStore({ ...common, endpoints: [endpoint], prefix: 'test', serverId })
  const first = await openSecrets(t, { open: () => open('one') })
  const store = await open('two')
  t.teardown(() => store.close())
  const second = new TestSecrets(store, {})
  second.barrier = first.barrier
  return [first, second]
}
