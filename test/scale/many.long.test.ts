/**
 * 10,000 simulated agents with 100,000 services on three servers, in one process: what it costs to
 * hear them, what it costs the store, and what becomes of those that die while many are cut off.
 *
 * docs/scale.md holds the figures that this prints. What is simulated and what is not stands in
 * cluster.ts.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { services } from '../../src/store/tables/service.ts'
import { SteppedClock } from './clock.ts'
import { SimulatedCluster } from './cluster.ts'

const AGENTS = 10_000
const SERVICES = 10
/** It computes all the time; a busy machine gives it a fraction of a core. */
const TIMEOUT_MS = 290_000

const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

t.setTimeout(TIMEOUT_MS)

t.test('ten thousand agents', { timeout: TIMEOUT_MS }, async t => {
  const clock = new SteppedClock()
  const size = { servers: 3, agents: AGENTS, services: SERVICES }
  const cluster = new SimulatedCluster(clock, 'many', size)
  let startedMs = performance.now()
  await cluster.start(SERVICES)
  t.comment(`registered in ${round((performance.now() - startedMs) / 1000)} s`)
  await clock.advance(20_000)
  t.equal(cluster.count('passing'), AGENTS)
  t.equal(cluster.store.view().count(services), AGENTS * SERVICES)
  t.equal(
    cluster.servers.reduce((sum, { hearing }) => sum + hearing.size, 0),
    AGENTS,
  )

  const before = { ...cluster.counts }
  const took = { ...cluster.tookMs }
  clock.longestStepMs = 0
  startedMs = performance.now()
  const SECONDS = 30
  await clock.advance(SECONDS * 1000)
  const since = (name: keyof typeof before): number => cluster.counts[name] - before[name]
  const beatsMs = cluster.tookMs.beats - took.beats
  const reportsMs = cluster.tookMs.reports - took.reports
  t.comment(
    `half a minute of cluster time took ${round((performance.now() - startedMs) / 1000)} s: ` +
      `${round(since('beats') / SECONDS)} beats/s, ${round((beatsMs * 1000) / since('beats'), 2)} µs each; ` +
      `${since('reports')} reports, ${round((reportsMs * 1000) / since('reports'))} µs each; ` +
      `${round(since('probes') / SECONDS)} probes/s; ${round(since('transactions') / SECONDS)} transactions/s`,
  )
  t.ok(since('beats') / SECONDS < 3 * limits.heartbeatsPerSecond * 1.4, 'servers set the pace')
  t.equal(cluster.count('passing'), AGENTS)

  const cut = cluster.agents.slice(0, AGENTS * 0.4)
  for (const agent of cut) agent.uplink = false
  await clock.advance(20_000)
  const [severed, connected] = [cut[7]!, cluster.agents.at(-1)!]
  for (const agent of [severed, connected]) cluster.kill(agent, true)
  const foundAfter = new Map<object, number>()
  for (let second = 1; second <= 60 && foundAfter.size < 2; second++) {
    await clock.advance(1_000)
    for (const agent of [severed, connected]) {
      const isNew = !foundAfter.has(agent) && cluster.stateOf(agent) === 'critical'
      if (isNew) foundAfter.set(agent, second)
    }
  }
  await clock.advance(20_000)
  t.equal(cluster.count('critical'), 2, 'of those who are well nobody is marked')
  t.ok(foundAfter.has(connected))
  t.ok(foundAfter.has(severed))
  t.comment(
    `found after: connected ${foundAfter.get(connected)} s, cut off ${foundAfter.get(severed)} s`,
  )
  for (const agent of cut) agent.uplink = true
  await clock.advance(40_000)
  t.equal(cluster.count('passing'), AGENTS - 2)
  t.equal(cluster.servers[0]!.hearing.alarm, '')
  t.comment(`heap ${round(process.memoryUsage().heapUsed / 2 ** 20)} MiB, agents included`)
  await cluster.stop()
})
