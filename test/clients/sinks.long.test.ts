/** The same as sinks.test.ts, for ten minutes of 50 changes each. */
import t from 'tap'
import { absent } from '../run/clients.ts'
import { until } from './process.ts'
import { FollowedWorld } from './sinks.ts'

const MINUTES = 10
const CHANGES_A_MINUTE = 50
const MINUTE_MS = 60_000

t.setTimeout(20 * MINUTE_MS)

t.test('no request fails for ten minutes', { skip: absent('haproxy', 'nginx') }, async t => {
  const seed = Number(process.env.GATEHOUSE_SEED ?? Date.now() % 1_000_000)
  t.comment(`GATEHOUSE_SEED=${seed}`)
  const world = await FollowedWorld.start(t, seed)
  for (let minute = 0; minute < MINUTES; minute += 1) {
    const endMs = performance.now() + MINUTE_MS
    for (let at = 0; at < CHANGES_A_MINUTE; at += 1) await world.change()
    await until('the minute is over', () => performance.now() > endMs, 2 * MINUTE_MS)
    if (minute % 2 === 0) await world.refuse()
    else await world.loseServer()
  }
  const { sent, lost } = await world.end()
  t.comment(`${sent} requests; ${JSON.stringify(world.done)}`)
  t.same(lost, [], `seed ${seed}`)
  t.ok(sent > 10_000, `${sent} requests`)
})
