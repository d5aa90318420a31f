/** What ends is renewed after its share of the life, and tried again often enough for the rest. */
import t from 'tap'
import { renewalMs, retryInMs, usualPace } from '../../src/base/renewal.ts'

const drawn = (fraction: number) => ({ fraction: () => fraction })

t.test('after two thirds, 5 % earlier or later by chance', async t => {
  const life = { fromMs: 1_000, untilMs: 301_000 }
  t.equal(renewalMs(life, usualPace, drawn(0.5)), 201_000)
  t.equal(Math.round(renewalMs(life, usualPace, drawn(0))), 186_000)
  t.equal(Math.round(renewalMs(life, usualPace, drawn(1))), 216_000)
  t.equal(renewalMs(life, { renewAt: 0.5, jitter: 0 }, drawn(0)), 151_000)
})

t.test('never at once, where the clocks disagree', async t => {
  t.equal(renewalMs({ fromMs: 5_000, untilMs: 1_000 }, usualPace, drawn(0.5)), 6_000)
})

t.test('later each time, up to a minute, never later than a tenth of what is left', async t => {
  const plain = (failures: number, leftMs: number) => retryInMs(failures, leftMs, drawn(0.5))
  t.same(
    [0, 1, 2, 3, 20].map(failures => plain(failures, 0)),
    [1_000, 2_000, 4_000, 8_000, 60_000],
  )
  t.equal(plain(20, 100_000), 10_000)
  t.equal(plain(20, 10), 1_000)
  t.equal(retryInMs(0, 0, drawn(0)), 750)
})
