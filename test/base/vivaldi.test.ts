/**
 * Coordinates: distances, and whether measured times put nodes where they belong.
 */
import fc from 'fast-check'
import t from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import {
  type Coordinate,
  DIMENSIONS,
  distanceS,
  isCoordinate,
  MovingCoordinate,
  ORIGIN,
} from '../../src/base/vivaldi.ts'
import { propertyRuns } from '../run/budget.ts'

const at = (x: number, more: Partial<Coordinate> = {}): Coordinate => ({
  ...ORIGIN,
  vec: [x, 0, 0, 0, 0, 0, 0, 0],
  height: 0,
  ...more,
})
const mover = (seed: string, peersMax = 64) =>
  new MovingCoordinate(seededRandom(Buffer.from(seed)), peersMax)

t.test('distances are those of Vivaldi as Serf has it', async t => {
  t.equal(distanceS(at(0), at(3)), 3)
  t.equal(distanceS(at(1, { height: 0.5 }), at(0, { height: 0.25 })), 1.75)
  t.equal(distanceS(at(1, { adjustment: 0.5 }), at(0, { adjustment: -0.25 })), 1.25)
  t.equal(distanceS(at(1, { adjustment: -2 }), at(0)), 1, 'an adjustment never goes below nothing')
  const diagonal = { ...ORIGIN, vec: [3, 4, 0, 0, 0, 0, 0, 0], height: 0 }
  t.equal(distanceS(at(0), diagonal), 5)
  t.equal(distanceS(undefined, at(0)), Number.POSITIVE_INFINITY)
  t.equal(distanceS(at(0), { ...at(0), vec: [1] }), Number.POSITIVE_INFINITY)
})

t.test('nodes on a line find their places', async t => {
  const places = [0, 0.01, 0.02, 0.05, 0.08, 0.1]
  const nodes = places.map((placeS, at) => ({ placeS, moving: mover(`line ${at}`) }))
  const random = seededRandom(Buffer.from('line'))
  const any = () => nodes[Math.floor(random.fraction() * nodes.length)]!
  for (let round = 0; round < 4_000; round++) {
    const [one, other] = [any(), any()]
    if (one === other) continue
    const rttS = Math.abs(one.placeS - other.placeS) + 0.0002
    one.moving.measured(String(other.placeS), other.moving.now, rttS)
  }
  for (const one of nodes) {
    for (const other of nodes) {
      if (one === other) continue
      const trueS = Math.abs(one.placeS - other.placeS)
      const offS = Math.abs(distanceS(one.moving.now, other.moving.now) - trueS)
      t.ok(offS < 0.005, `${one.placeS} to ${other.placeS} is off by ${offS} s`)
    }
    t.ok(one.moving.now.error < 0.3, `${one.placeS} is sure of itself: ${one.moving.now.error}`)
  }
})

t.test('one slow answer of three counts for nothing', async t => {
  const steady = mover('x')
  const disturbed = mover('x')
  for (const [at, rttS] of [0.01, 0.01, 0.01, 0.01, 0.01].entries()) {
    steady.measured('p', ORIGIN, rttS)
    disturbed.measured('p', ORIGIN, at === 3 ? 5 : rttS)
  }
  t.strictSame(disturbed.now, steady.now)
})

t.test('what cannot be is passed over', async t => {
  const moving = mover('x')
  const refused: readonly [Coordinate, number][] = [
    [ORIGIN, Number.NaN],
    [ORIGIN, -1],
    [ORIGIN, 11],
    [{ ...ORIGIN, vec: [1] }, 0.01],
    [{ ...ORIGIN, height: Number.POSITIVE_INFINITY }, 0.01],
  ]
  for (const [other, rttS] of refused) t.equal(moving.measured('p', other, rttS), false)
  t.equal(moving.now, ORIGIN)
  t.ok(moving.measured('p', ORIGIN, 10))
})

t.test('the peers that were measured longest ago are forgotten', async t => {
  const bounded = mover('x', 2)
  for (const peer of ['a', 'a', 'b', 'c']) bounded.measured(peer, ORIGIN, 0.01)
  const fresh = mover('x')
  for (const peer of ['a', 'a', 'b', 'c']) fresh.measured(peer, ORIGIN, 0.01)
  // The middle of three times of `a`, unless those before were forgotten.
  for (const moving of [bounded, fresh]) moving.measured('a', ORIGIN, 0.5)
  t.not(bounded.now.adjustment, fresh.now.adjustment)
})

t.test('whatever is measured, a coordinate stays one', async () => {
  const wild = fc.double({ min: -1e300, max: 1e300, noNaN: true })
  const other = fc.record({
    vec: fc.array(wild, { minLength: DIMENSIONS, maxLength: DIMENSIONS }),
    error: wild,
    adjustment: wild,
    height: wild,
  })
  const measurement = fc.tuple(other, fc.double({ min: 0, max: 10, noNaN: true }))
  fc.assert(
    fc.property(fc.array(measurement, { maxLength: 40 }), measurements => {
      const moving = mover('wild')
      for (const [place, rttS] of measurements) {
        moving.measured('p', place, rttS)
        if (!isCoordinate(moving.now)) return false
        if (moving.now.height < 1e-5 || moving.now.error > 1.5) return false
      }
      return true
    }),
    { numRuns: propertyRuns() },
  )
})
