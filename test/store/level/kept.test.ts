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

/** Whether what `countAbove` gives is enough, and one less would not be. */
function isLeast(kept: KeptRecords, list: readonly Listed[], sizeBytes: number): boolean {
  const left = (count: number): number =>
    list.slice(count).reduce((sum, one) => sum + one.sizeBytes, 0)
  const count = kept.countAbove(sizeBytes)
  return left(count) <= sizeBytes && (count === 0 || left(count - 1) > sizeBytes)
}
