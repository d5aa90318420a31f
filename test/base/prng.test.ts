/**
 * Seeded randomness: the same for the same seed, and in the forms that are promised.
 */
import fc from 'fast-check'
import t from 'tap'
import { systemRandom } from '../../src/base/clock.ts'
import { quickRandom, seededRandom, seedFrom } from '../../src/base/prng.ts'
import { propertyRuns } from '../run/budget.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

t.test('the same seed gives the same values, another seed others', async t => {
  const ask = fc.constantFrom('uuid', 'fraction', 'bytes')
  const property = fc.property(fc.uint8Array(), fc.array(ask), (seed, asks) => {
    const values = (of: Uint8Array): string => {
      const random = seededRandom(Buffer.from(of))
      return asks
        .map(what =>
          what === 'bytes' ? random.bytes(40).toString('hex') : random[what as 'uuid'](),
        )
        .join()
    }
    const other = Buffer.concat([seed, Buffer.from([1])])
    const [first, again] = [values(seed), values(seed)]
    return first === again && (asks.length === 0 || first !== values(other))
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test('values have their form', async t => {
  for (const random of [systemRandom, seededRandom(seedFrom(systemRandom))]) {
    const ids = Array.from({ length: 200 }, () => random.uuid())
    t.ok(ids.every(id => UUID.test(id)))
    t.equal(new Set(ids).size, 200)
    const fractions = Array.from({ length: 200 }, () => random.fraction())
    t.ok(fractions.every(one => one >= 0 && one < 1))
    t.ok(Math.abs(fractions.reduce((sum, one) => sum + one, 0) / 200 - 0.5) < 0.2)
    for (const size of [0, 1, 31, 32, 33, 100]) t.equal(random.bytes(size).length, size)
  }
  t.not(seedFrom(systemRandom).toString('hex'), seedFrom(systemRandom).toString('hex'))
  t.equal(seedFrom(systemRandom).length, 32, 'keys of 256 bits are drawn of it')
})

t.test('quick fractions: the same for the same seed, spread evenly, and not in step', async t => {
  const draws = (seed: number, count: number): number[] => {
    const { fraction } = quickRandom(Buffer.alloc(16, seed))
    return Array.from({ length: count }, fraction)
  }
  t.same(draws(1, 100), draws(1, 100))
  t.notSame(draws(1, 100), draws(2, 100))
  // Also of a seed that is nothing but zeros.
  for (const seed of [0, 1, 255]) {
    const tenths = Array.from({ length: 100 }, () => 0)
    let last = 0
    for (const value of draws(seed, 100_000)) {
      if (value < 0 || value >= 1) throw new Error(`${value} is no fraction`)
      tenths[Math.floor(last * 10) * 10 + Math.floor(value * 10)]!++
      last = value
    }
    const least = Math.min(...tenths)
    t.ok(least > 850 && Math.max(...tenths) < 1_150, `${least} at least`)
  }
})
