/** The memory engine against the store's contract. */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { openMemoryStore } from '../../../src/store/memory/engine.ts'
import { storeConformance, testTables } from '../../conformance/store.ts'

storeConformance(t, {
  runs: 100,
  make: async () =>
    openMemoryStore({
      tables: withSystemTables(testTables),
      clock: systemClock,
      random: systemRandom,
    }),
})
