/**
 * What is known of the log's records, against a list of them that is looked through.
 */
import fc from 'fast-check'
import t from 'tap'
import { revision } from '../../../src/base/brand.ts'
import { KeptRecords } from '../../../src/store/level/kept.ts'
import { propertyRuns } from '../../run/budget.ts'

interface Listed {
  readonly first: number
  readonly last: number
  readonly sizeBytes: number
}

/** A record is added, or as many of the oldest go as there are in this part of all. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ revisions: fc.integer({ min: 1, max: 5 }), size: fc.nat() }),
  },
  { weight: 1, arbitrary: fc.record({ dropped: fc.double({ min: 0, max: 1, noNaN: true }) }) },
)

t.test('tells of each record what a list of them tells', async t => {
  const property = fc.property(fc.nat(), fc.array(step, { maxLength: 60 }), (floor, steps) => {
    const kept = new KeptRecords(revision(floor))
    const list: Listed[] = []
    let newest = floor
    let gone = floor
    for (const one of steps) {
      if ('dropped' in one) {
        const count = Math.round(one.dropped * list.length)
        gone = list.splice(0, count).at(-1)?.last ?? gone
        t.equal(kept.drop(count), gone)
      } else {
        const first = newest + 1
        newest += one.revisions
        list.push({ first, last: newest, sizeBytes: one.size })
        kept.add(revision(newest), one.size)
      }
    }
    const total = list.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const same =
      kept.count === list.length &&
      kept.sizeBytes === total &&
      list.every(({ first }, i) => kept.firstOf(i) === first) &&
      kept.firstOf(list.length) === newest + 1
    const places = Array.from({ length: newest - gone + 3 }, (_, i) => gone - 1 + i)
    const isFound = places.every(
      at => kept.countUpTo(at) === list.filter(({ last }) => last <= at).length,
    )
    return same && isFound && [0, 0.3, 1].every(part => isLeast(kept, list, total * part))
  })
  fc.assert(property, { numRuns: propertyRuns() })
})

t.test('many records', async t => {
  const kept = new KeptRecords(revision(7))
  const MANY = 20_000
  for (let i = 1; i <= MANY; i++) kept.add(revision(7 + 2 * i), i % 300)
  t.equal(kept.count, MANY)
  t.equal(kept.drop(9_001), 7 + 2 * 9_001)
  t.equal(kept.count, MANY - 9_001)
  t.equal(kept.firstOf(0), 8 + 2 * 9_001)
  t.equal(kept.firstOf(5_000), 8 + 2 * 14_001)
  t.equal(kept.countUpTo(7 + 2 * 14_001), 5_000)
  const sizeBytes = kept.sizeBytes
  for (let i = 1; i <= MANY; i++) kept.add(revision(7 + 2 * (MANY + i)), 1)
  t.equal(kept.sizeBytes, sizeBytes + MANY)
  t.equal(kept.countAbove(MANY), MANY - 9_001)
  t.equal(kept.drop(kept.count), 7 + 4 * MANY)
  t.equal(kept.sizeBytes, 0)
})

/** Whether what `countAbove` gives is enough, and one less would not be. */
function isLeast(kept: KeptRecords, list: readonly Listed[], sizeBytes: number): boolean {
  const left = (count: number): number =>
    list.slice(count).reduce((sum, one) => sum + one.sizeBytes, 0)
  const count = kept.countAbove(sizeBytes)
  return left(count) <= sizeBytes && (count === 0 || left(count - 1) > sizeBytes)
}
