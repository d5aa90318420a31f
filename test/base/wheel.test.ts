/**
 * The timing wheel against a naive list of deadlines.
 */
import fc from 'fast-check'
import t from 'tap'
import { Wheel, type WheelEntry } from '../../src/base/wheel.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'

const YEAR_MS = 365 * 86_400_000

const tick = fc.constantFrom(1, 7, 10, 20, 100)
const start = fc.oneof(fc.nat(10_000), fc.double({ min: 0, max: 1e9, noNaN: true }))
const delay = fc.oneof(
  fc.nat(300),
  fc.nat(70_000),
  fc.nat(10_000_000),
  fc.double({ min: -1_000, max: 1e6, noNaN: true }),
  fc.constantFrom(0, -5, YEAR_MS, 50 * YEAR_MS, 2_000 * YEAR_MS, Infinity),
  // The edges of the levels, for the ticks above.
  fc.constantFrom(...[64, 4_096, 262_144].flatMap(n => [-1, 0, 1].map(d => (n + d) * 10))),
)
const pause = fc.oneof(
  fc.nat(30),
  fc.nat(2_000),
  fc.nat(60_000),
  fc.double({ min: 0, max: 5_000, noNaN: true }),
  fc.constantFrom(0, 640, 40_960, 86_400_000, YEAR_MS),
)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ add: delay }) },
  { weight: 1, arbitrary: fc.record({ cancel: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ wait: pause, most: fc.constantFrom(1, 2, 7, Infinity) }) },
)
const steps = fc.array(step, { maxLength: 60 })

type Step = typeof steps extends fc.Arbitrary<(infer S)[]> ? S : never

interface Model {
  readonly id: number
  readonly dueMs: number
  /** When it was added: an entry fires at the tick after at the earliest. */
  readonly addedTick: number
  readonly entry: WheelEntry
  state: 'waiting' | 'fired' | 'cancelled'
}

function runAgainstModel(tickMs: number, startMs: number, script: readonly Step[]): boolean {
  const wheel = new Wheel<number>(tickMs, startMs)
  const all: Model[] = []
  let now = startMs
  let tickNow = Math.floor(startMs / tickMs)
  const dueTick = (one: Model): number => Math.max(Math.ceil(one.dueMs / tickMs), one.addedTick + 1)
  for (const one of script) {
    if ('add' in one) {
      const dueMs = now + one.add
      const entry = wheel.add(dueMs, all.length)
      all.push({ id: all.length, dueMs, addedTick: tickNow, entry, state: 'waiting' })
    } else if ('cancel' in one) {
      const chosen = all[one.cancel % Math.max(1, all.length)]
      chosen?.entry.cancel()
      if (chosen?.state === 'waiting') chosen.state = 'cancelled'
    } else {
      now += one.wait
      tickNow = Math.floor(now / tickMs)
      const wanted = all.filter(m => m.state === 'waiting' && dueTick(m) <= tickNow)
      const fired = wheel.advance(now, one.most)
      while (wheel.isBehind) {
        const some = wheel.advance(now, one.most)
        if (some.length > one.most) return false
        fired.push(...some)
      }
      // Each once, none early, in the order of ticks.
      if (fired.some(id => all[id]!.dueMs > now)) return false
      const ticks = fired.map(id => dueTick(all[id]!))
      if (ticks.some((at, i) => i > 0 && at < ticks[i - 1]!)) return false
      const ids = fired.toSorted((a, b) => a - b)
      if (ids.length !== wanted.length || ids.some((id, i) => id !== wanted[i]!.id)) return false
      for (const one of wanted) one.state = 'fired'
    }
    if (wheel.size !== all.filter(({ state }) => state === 'waiting').length) return false
  }
  return true
}

t.test('fires what a list of deadlines would, in order, never early', async t => {
  fc.assert(fc.property(tick, start, steps, runAgainstModel), { numRuns: 5 * propertyRuns() })
  t.pass('equal')
})

t.test('many random wheels', async t => {
  const count = await untilBudget('wheels against a list of deadlines', 100_000, index => {
    const [sample] = fc.sample(fc.tuple(tick, start, steps), { seed: index, numRuns: 1 })
    if (sample !== undefined && runAgainstModel(...sample)) return
    throw new Error(`seed ${index}: ${JSON.stringify(sample)}`)
  })
  t.ok(count > 0)
})

t.test('time in which nothing is due costs nothing', async t => {
  const wheel = new Wheel<string>(1, 0)
  wheel.add(1_000 * YEAR_MS, 'far')
  // Ten years tick by tick would take minutes.
  t.same(wheel.advance(10 * YEAR_MS), [])
  wheel.add(10 * YEAR_MS + 5, 'near')
  t.same(wheel.advance(10 * YEAR_MS + 4), [])
  t.same(wheel.advance(10 * YEAR_MS + 5), ['near'])
  t.equal(wheel.size, 1)
  t.same(wheel.advance(1_001 * YEAR_MS), ['far'])
})

t.test('many entries of one moment are moved on piece by piece', t => {
  const wheel = new Wheel<number>(100, 0)
  const entries = Array.from({ length: 10_000 }, (_, at) => wheel.add(7_000, at))
  // They come down a level here, and none of them is due.
  t.same(wheel.advance(6_400, 1_000), [])
  let pieces = 1
  for (; wheel.isBehind; pieces++) {
    entries[pieces]!.cancel()
    wheel.add(6_500 + pieces, -pieces)
    t.same(wheel.advance(6_400, 1_000), [])
  }
  t.ok(pieces >= 10, `${pieces} pieces`)
  const first = wheel.advance(7_000, 3)
  t.equal(first.length, 3)
  const fired = new Set(first)
  while (wheel.isBehind) for (const value of wheel.advance(7_000, 3)) fired.add(value)
  // As many were added as cancelled.
  t.equal(fired.size, entries.length)
  t.equal(wheel.size, 0)
  t.end()
})

t.test('an entry that fired can be cancelled, and a wheel does not go back', async t => {
  const wheel = new Wheel<string>(10, 100)
  const entry = wheel.add(105, 'a')
  t.same(wheel.advance(50), [])
  t.same(wheel.advance(109), [])
  t.same(wheel.advance(110), ['a'])
  entry.cancel()
  t.equal(wheel.size, 0)
  t.throws(() => wheel.add(Number.NaN, 'b'), /a deadline is a number/)
})
