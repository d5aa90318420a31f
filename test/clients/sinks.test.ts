/**
 * HAProxy, by its runtime API out of a server's configuration, and NGINX, by reloads out of
 * `gatehouse sync`, follow a registry in which something changes all the time, under load.
 */
import t from 'tap'
import { absent } from '../run/clients.ts'
import { FollowedWorld, MINUTE_MS } from './sinks.ts'

t.setTimeout(3 * MINUTE_MS)

t.test('no request fails for a minute', { skip: absent('haproxy', 'nginx') }, async t => {
  const seed = Number(process.env.GATEHOUSE_SEED ?? Date.now() % 1_000_000)
  t.comment(`GATEHOUSE_SEED=${seed}`)
  const world = await FollowedWorld.start(t, seed)
  await world.minute()
  await world.refuse()
  await world.loseServer()
  const { sent, lost } = await world.end()
  t.comment(`${sent} requests; ${JSON.stringify(world.done)}`)
  t.same(lost, [], `seed ${seed}`)
  t.ok(sent > 1_000, `${sent} requests`)
})
