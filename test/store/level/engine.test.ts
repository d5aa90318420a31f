/** The level engine against the store's contract. */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { openLevelStore } from '../../../src/store/level/engine.ts'
import { withSystemTables } from '../../../src/store/local.ts'
import { storeConformance, testTables } from '../../conformance/store.ts'

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
