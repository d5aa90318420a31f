/**
 * The real clock: its timers, and the two kinds of time.
 */
import t from 'tap'
import { sleep, systemClock, systemRandom } from '../../src/base/clock.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('timers fire once, after their delay, and not once cleared', async t => {
  const holdOpen = setInterval(() => {}, 1_000)
  const startMs = systemClock.monotonic()
  let fired = 0
  const timer = systemClock.after(5, () => fired++)
  systemClock.after(5, () => t.fail('cleared')).clear()
  await sleep(systemClock, 20)
  t.equal(fired, 1)
  timer.clear()
  timer.clear()
  t.ok(systemClock.monotonic() - startMs >= 19)
  t.ok(Math.abs(systemClock.wall() - Date.now()) < 1_000)
  clearInterval(holdOpen)
})

t.test('a delay beyond what the system takes is long, not short', async t => {
  const timer = systemClock.after(2 ** 40, () => t.fail('fired at once'))
  const negative = new Promise<void>(resolve => systemClock.after(-5, resolve))
  const holdOpen = setInterval(() => {}, 1_000)
  await negative
  timer.clear()
  clearInterval(holdOpen)
})

t.test('the clock of tests fires timers in order, at their times', async t => {
  const clock = new FakeClock()
  const startMs = clock.monotonic()
  const seen: string[] = []
  const note = (name: string) => () => {
    seen.push(`${name} ${clock.monotonic() - startMs}`)
    if (name === 'a') clock.after(5, note('chained'))
  }
  clock.after(30, note('b'))
  clock.after(10, note('a'))
  clock.after(20, note('cleared')).clear()
  await clock.advance(20)
  t.same(seen, ['a 10', 'chained 15'])
  await clock.pause(40)
  t.same(seen.at(-1), 'b 60')
  const wallMs = clock.wall()
  clock.setWall(-1_000)
  t.equal(clock.wall(), wallMs - 1_000)
  t.equal(clock.monotonic() - startMs, 60)
  t.equal(clock.timers, 0)
})

t.test('random bytes are given out once, however few are asked for', async t => {
  const seen = new Set<string>()
  const sizes = [1, 3, 12, 16, 32, 64, 65, 200]
  for (let round = 0; round < 2_000; round++) {
    for (const size of sizes) {
      const bytes = systemRandom.bytes(size)
      if (bytes.length !== size) t.fail(`${bytes.length} of ${size}`)
      if (size < 12) continue
      const text = bytes.toString('hex')
      if (seen.has(text)) t.fail('twice')
      if (/^0+$/.test(text)) t.fail('zeros')
      seen.add(text)
    }
  }
  t.equal(seen.size, 2_000 * 6)
})
