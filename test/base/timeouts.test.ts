/**
 * Coarse time-outs: never early, one timer behind all of them, none when nothing waits.
 */
import fc from 'fast-check'
import t from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { type Timeout, Timeouts } from '../../src/base/timeouts.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { propertyRuns } from '../run/budget.ts'

const LATE_MS = 40

t.test('fires after its delay, a little late at most, and once', async t => {
  const one = fc.record({ delayMs: fc.nat(500), cancelled: fc.boolean() })
  const property = fc.asyncProperty(fc.array(one, { maxLength: 30 }), async ones => {
    const clock = new FakeClock()
    const timeouts = new Timeouts(clock)
    const startMs = clock.monotonic()
    const firedAt = ones.map(() => [] as number[])
    const set = ones.map(({ delayMs }, i) =>
      timeouts.after(delayMs, () => firedAt[i]!.push(clock.monotonic() - startMs)),
    )
    for (const [i, { cancelled }] of ones.entries()) if (cancelled) set[i]!.cancel()
    await clock.advance(600)
    return ones.every(({ delayMs, cancelled }, i) => {
      const times = firedAt[i]!
      if (cancelled) return times.length === 0
      return times.length === 1 && times[0]! >= delayMs && times[0]! <= delayMs + LATE_MS
    })
  })
  await fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test('does not tick while nothing waits', async t => {
  const clock = new FakeClock()
  const timeouts = new Timeouts(clock)
  t.equal(clock.timers, 0)
  let fired = 0
  const timeout = timeouts.after(50, () => fired++)
  for (let i = 0; i < 1_000; i++) timeouts.after(60, () => fired++)
  t.equal(clock.timers, 1, 'one timer behind all')
  timeout.cancel()
  timeout.cancel()
  t.equal(timeouts.waiting, 1_000)
  await clock.advance(100)
  t.equal(fired, 1_000)
  t.equal(clock.timers, 0)
  // After a long idle time deadlines still count from now.
  await clock.advance(86_400_000)
  timeouts.after(50, () => fired++)
  await clock.advance(49)
  t.equal(fired, 1_000)
  await clock.advance(LATE_MS)
  t.equal(fired, 1_001)
})

t.test('a time-out cancelled between its tick and its slice does not fire', async t => {
  const clock = new FakeClock()
  const timeouts = new Timeouts(clock)
  const fired: string[] = []
  const timeouts20: Timeout[] = []
  for (const name of ['a', 'b', 'c']) {
    timeouts20.push(
      timeouts.after(20, () => {
        fired.push(name)
        timeouts20[1]!.cancel()
      }),
    )
  }
  await clock.advance(100)
  t.same(fired, ['a', 'c'], 'the first, running before it, cancelled the second')
})

t.test('50,000 at once are set, fired and forgotten', async t => {
  const timeouts = new Timeouts(systemClock)
  let fired = 0
  for (let i = 0; i < 50_000; i++) timeouts.after(i % 50, () => fired++)
  const holdOpen = setInterval(() => {}, 1_000)
  for (let i = 0; i < 500 && fired < 50_000; i++) {
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  clearInterval(holdOpen)
  await settled()
  t.equal(fired, 50_000)
  t.equal(timeouts.waiting, 0)
})

t.test('does not hold the process open', async t => {
  // This file's own process ends although this one never fires.
  new Timeouts(systemClock).after(86_400_000, () => t.fail('fired'))
  t.pass('set')
})
