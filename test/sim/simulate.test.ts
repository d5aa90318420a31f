/** Whole clusters under a seed: nothing that must hold is broken, and a seed can be run again. */
import t from 'tap'
import { reached, untilBudget } from '../run/budget.ts'
import { kept } from './seeds.ts'
import { type Outcome, simulate } from './simulate.ts'

t.setTimeout(3_600_000)

const tally = { answered: 0, unknown: 0, lapses: 0 }

function note({ answered, unknown, lapses }: Outcome): void {
  tally.answered += answered
  tally.unknown += unknown
  tally.lapses += lapses
}

t.test('the same seed gives the same run, to the byte', async t => {
  const [first, second, other] = [
    await simulate(11, { traced: true }),
    await simulate(11, { traced: true }),
    await simulate(12, { traced: true }),
  ]
  t.equal(second.trace.join('\n'), first.trace.join('\n'))
  t.equal(second.fingerprint, first.fingerprint)
  t.not(other.fingerprint, first.fingerprint)
  t.ok(first.trace.length > 500, `${first.trace.length} lines`)
})

t.test('seeds that failed once', async t => {
  for (const { seed, showed } of kept) {
    const { problem } = await simulate(seed)
    t.equal(problem, '', `seed ${seed}: ${showed}`)
  }
})

t.test('one seed after the other', async t => {
  const failed: string[] = []
  await untilBudget(
    'simulated clusters of 80 seconds',
    2_000,
    async seed => {
      const outcome = await simulate(1_000 + seed)
      note(outcome)
      if (outcome.problem !== '')
        failed.push(`npm run sim -- --seed ${outcome.seed}: ${outcome.problem}`)
    },
    5,
  )
  t.same(failed, [])
  reached('operations answered in simulated clusters', tally.answered)
  reached('sessions lapsed in simulated clusters', tally.lapses)
  const share = tally.unknown / (tally.answered + tally.unknown)
  t.ok(share < 0.05, `${(100 * share).toFixed(2)} % of all operations are unknown`)
})
