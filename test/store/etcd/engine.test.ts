/** The etcd engine against the store's contract. */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { openEtcdStore } from '../../../src/store/etcd/engine.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { storeConformance, testTables } from '../../conformance/store.ts'
import { absent } from '../../run/clients.ts'
import { startEtcd } from './member.ts'

t.test('etcd', { skip: absent('etcd') }, async t => {
  const { endpoint } = await startEtcd(t)
  let stores = 0
  storeConformance(t, {
    runs: 30,
    make: () =>
      openEtcdStore({
        endpoints: [endpoint],
        // A prefix of its own is a store of its own.
        prefix: `test/${stores++}`,
        serverId: 'one',
        tables: withSystemTables(testTables),
        clock: systemClock,
        random: systemRandom,
      }),
  })
})
