/**
 * How a server fares follows its store, and since when is the moment of the last change.
 */
import t from 'tap'
import { healthOf } from '../../src/agent/server-health.ts'
import type { Store } from '../../src/store/store.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('well, then not, then well again', async t => {
  const clock = new FakeClock()
  let fault = ''
  const store = { status: () => ({ fault, generation: 2, revision: 7 }) } as Store
  const health = healthOf(store, clock)
  const startedAt = clock.wall()
  await clock.advance(5_000)
  t.match(health(), { isHealthy: true, since: startedAt, generation: 2, revision: 7 })
  fault = 'the disk is full'
  t.match(health(), { isHealthy: false, since: startedAt + 5_000 })
  await clock.advance(1_000)
  t.match(health(), { isHealthy: false, since: startedAt + 5_000 })
  fault = ''
  t.match(health(), { isHealthy: true, since: startedAt + 6_000 })
})
