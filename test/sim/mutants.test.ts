/** Each planted bug is found within 500 seeds. */
import t from 'tap'
import { isLong } from '../run/budget.ts'
import { mutants } from './mutants.ts'
import { simulate } from './simulate.ts'

const MOST_SEEDS = 500

/** The seeds that found those which the first few do not. */
const likely = new Map([
  ['guards are not compared', 4],
  ['the head row is not compared', 80],
  ['the row of the role is not compared', 15],
  ['guards are not put', 1],
  ['what was sent is taken for unsent', 138],
  ['a watch goes on too late', 2],
  ['what was compacted is passed over', 5],
  ['lock delays end at once', 1],
  ['restore keeps old CAS', 8],
  ['index offset forgotten', 20],
  ['a restore that was cut off is done', 1],
  ['checkpoint trusted though ahead', 16],
  ['checkpoint trusted though of another history', 80],
  ['skip the fence', 12],
])

t.setTimeout(600_000)

/** These must be found whatever else is: test/machines finds three of them on real processes. */
const wanted = [
  'serve stale as default',
  'skip the fence',
  'drop an event',
  'answer before durable',
]

t.test('planted bugs', async t => {
  const names = mutants.map(({ name }) => name)
  for (const name of wanted) t.ok(names.includes(name), name)
  t.ok(mutants.length >= 20, `${mutants.length} are planted`)
  for (const { name, seams } of mutants) {
    // What is known to find it is tried first where the time is short.
    const first = isLong ? 0 : (likely.get(name) ?? 0)
    let found: string | undefined
    for (let tried = 0; tried < MOST_SEEDS && found === undefined; tried++) {
      const seed = (first + tried) % MOST_SEEDS
      const { problem } = await simulate(seed, { seams: seams() })
      if (problem !== '') found = `seed ${seed}: ${problem.split('\n', 1)[0]}`
    }
    t.not(found, undefined, `${name}: ${found}`)
  }
})
