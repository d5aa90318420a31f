/** A rate with a burst, at times of the test's own. */
import fc from 'fast-check'
import t from 'tap'
import { Rate } from '../../src/base/rate.ts'
import { propertyRuns } from '../run/budget.ts'

const taken = (rate: Rate, nowMs: number, tries = 100): number =>
  Array.from({ length: tries }, () => rate.take(nowMs)).filter(Boolean).length

t.test('a burst at once, then as many as the time brings', async t => {
  const rate = new Rate(10, 20)
  t.equal(taken(rate, 5_000), 20)
  t.equal(taken(rate, 5_000), 0)
  t.equal(taken(rate, 5_099), 0, 'a tenth of a second is not over')
  t.equal(taken(rate, 5_250), 2)
  t.equal(taken(rate, 5_300), 1, 'what is left of a token is kept')
  t.equal(taken(rate, 60_000), 20, 'no more than the burst is saved up')
})

t.test('no limit, and nothing at all', async t => {
  t.equal(taken(new Rate(-1, 0), 0), 100)
  t.equal(taken(new Rate(0, 0), 1e9), 0)
})

t.test('property: over any time no more than burst and rate', async () => {
  const steps = fc.array(fc.tuple(fc.nat(2_000), fc.nat(30)), { maxLength: 30 })
  fc.assert(
    fc.property(fc.nat(100), fc.nat(50), steps, (perSecond, burst, all) => {
      const rate = new Rate(perSecond, burst)
      let [nowMs, total] = [0, 0]
      for (const [passedMs, tries] of all) {
        nowMs += passedMs
        total += taken(rate, nowMs, tries)
      }
      return total <= burst + (perSecond * nowMs) / 1000 + 1e-6
    }),
    { numRuns: propertyRuns() },
  )
})
