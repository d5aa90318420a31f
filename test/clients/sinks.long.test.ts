/** The same as sinks.test.ts, for ten minutes of 50 changes each. */
import t from 'tap'
import { absent } from '../run/clients.ts'
import { FollowedWorld, MINUTE_MS } from './sinks.ts'

const MINUTES = 10

t.setTimeout(20 * MINUTE_MS)

t.test('no request fails for ten minutes', { skip: absent('haproxy', 'nginx') }, async t => {
  const seed = Number(process.env.GATEHOUSE_SEED ?? Date.now() % 1_000_000)
  t.comment(`GATEHOUSE_SEED=${seed}`)
  const world = await FollowedWorld.start(t, seed)
  for (let minute = 0; minute < MINUTES; minute += 1) {
    await world.minute()
    if (minute % 2 === 0) await world.refuse()
    else await world.loseServer()
  }
  const { sent, lost } = await world.end()
  t.comment(`${sent} requests; ${JSON.stringify(world.done)}`)
  t.same(lost, [], `seed ${seed}`)
  t.ok(sent > 10_000, `${sent} requests`)
})
