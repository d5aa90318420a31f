/**
 * Comparing clocks, as numbers.
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { apartOf, leadOf, verdictOf } from '../../src/cluster/clocks.ts'
import { propertyRuns } from '../run/budget.ts'

t.test('an exchange tells a lead, unless it took too long', async t => {
  t.equal(leadOf({ sentMs: 100, receivedMs: 120, theirWallMs: 5_110 }), 5_000)
  t.equal(leadOf({ sentMs: 100, receivedMs: 100, theirWallMs: 0 }), -100)
  t.equal(leadOf({ sentMs: 0, receivedMs: limits.clockWarnMs + 1, theirWallMs: 0 }), undefined)
  t.equal(leadOf({ sentMs: 10, receivedMs: 9, theirWallMs: 0 }), undefined)
})

t.test('the one that is wrong is told from those that are right', async t => {
  t.equal(apartOf(0, []), 0, 'alone it is right')
  t.equal(apartOf(0, [0, 12_000]), 0)
  t.equal(apartOf(12_000, [0, 0]), 12_000)
  t.equal(apartOf(-12_000, [0, 0]), -12_000)
  t.equal(apartOf(0, [12_000]), -12_000, 'of two nobody knows which')
  t.equal(apartOf(12_000, [0]), 12_000)
  t.equal(apartOf(0, [0, 12_000, 12_000]), -12_000, 'two against two')
  t.equal(apartOf(0, [0, 0, 12_000]), 0)
  t.equal(apartOf(3, [0, 5, 900, 901]), -2)
})

t.test('a second is told, ten seconds are too much', async t => {
  t.strictSame([0, 999, 1_000, -1_000, 9_999, 10_000, -10_000].map(verdictOf), [
    'fine',
    'fine',
    'apart',
    'apart',
    'apart',
    'wrong',
    'wrong',
  ])
})

t.test('as long as most clocks agree none of them is wrong, and all others are', t => {
  const clocks = fc.integer({ min: 1, max: 5 }).chain(good =>
    fc.record({
      right: fc.array(fc.integer({ min: -400, max: 400 }), { minLength: good, maxLength: good }),
      wrong: fc.array(fc.integer({ min: 10_400, max: 1e9 }), { maxLength: good - 1 }),
      signs: fc.infiniteStream(fc.boolean()),
    }),
  )
  fc.assert(
    fc.property(clocks, ({ right, wrong, signs }) => {
      const off = wrong.map(each => (signs.next().value === true ? each : -each))
      const all = [...right, ...off]
      return all.every((own, at) => {
        const others = all.filter((_, i) => i !== at)
        const isWrong = verdictOf(apartOf(own, others)) === 'wrong'
        return isWrong === at >= right.length
      })
    }),
    { numRuns: propertyRuns() },
  )
  t.end()
})
