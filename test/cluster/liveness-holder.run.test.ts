/**
 * The holder among servers and agents: what it writes, and what happens when the role moves.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { LivenessHolder } from '../../src/cluster/liveness-holder.run.ts'
import { markAgents, nodeOfAgent, standingOf } from '../../src/registry/agent-health.ts'
import { deregister, SERF_HEALTH, setNode } from '../../src/registry/catalog.ts'
import { distancesFrom } from '../../src/registry/coordinate.ts'
import { notHolder } from '../../src/store/role.ts'
import { del } from '../../src/store/store.ts'
import { agents } from '../../src/store/tables/agent.ts'
import { everybody, nodeRow } from '../registry/rules.ts'
import { SteppedClock } from '../scale/clock.ts'
import { SimulatedCluster } from '../scale/cluster.ts'

async function started(seed: string, agents: number, stepMs?: number) {
  const clock = new SteppedClock(stepMs)
  const cluster = new SimulatedCluster(clock, seed, { servers: 3, agents, services: 0 })
  await cluster.start(0)
  await clock.advance(10_000)
  return { clock, cluster }
}

t.test('what does not change costs the store nothing', async t => {
  const { clock, cluster } = await started('quiet', 60)
  t.equal(cluster.count('passing'), 60)
  t.equal([...cluster.store.view().entries(agents)].length, 60)
  const newest = () => cluster.store.view().newest(agents)
  const before = newest()
  await clock.advance(300_000)
  t.equal(newest(), before)
  await cluster.stop()
})

t.test('what operators remove of an agent that lives is there again', async t => {
  const { clock, cluster } = await started('removed', 10)
  const [one] = cluster.agents
  const gone = { node: one!.name, serviceId: '', checkId: SERF_HEALTH }
  await cluster.store.write(view => deregister(view, everybody, gone))
  t.equal(cluster.stateOf(one!), 'none')
  await clock.advance(1_000)
  t.equal(cluster.stateOf(one!), 'passing')
  await cluster.store.write(() => ({ txn: [del(agents, one!.id)], answer: true }))
  await clock.advance(1_000)
  t.ok(cluster.store.view().get(agents, one!.id))
  await cluster.stop()
})

t.test('a holder that lost the role marks nobody', async t => {
  const { clock, cluster } = await started('fenced', 10)
  let isFenced = true
  const holder = new LivenessHolder({
    ...{ store: cluster.store, clock, log: silentLog, metrics: new Metrics(clock) },
    random: seededRandom(Buffer.from('fenced')),
    rules: { standingOf, nodeOfAgent, markAgents, checkId: SERF_HEALTH },
  })
  const aborter = new AbortController()
  const serving = holder.duty(
    aborter.signal,
    decide => (view, now, random) => (isFenced ? notHolder : decide(view, now, random)),
  )
  const id = '00000003-0000-4000-8000-000000000001'
  await cluster.store.write(view => setNode(view, everybody, nodeRow('late', { id })))
  const whole = { isFirst: true, isLast: true }
  const page = { run: 'r', number: 1, silent: [], left: [], findings: [] }
  t.match(holder.report('s', { ...page, came: [] }), { isHolder: true, wantsWhole: true })
  t.match(holder.report('s', { ...page, came: [{ id, address: 'a:1' }], whole }), {
    wantsWhole: false,
  })
  await clock.advance(3_000)
  t.equal(standingOf(cluster.store.view(), id), 'none')
  isFenced = false
  await clock.advance(3_000)
  t.equal(standingOf(cluster.store.view(), id), 'passing', 'it is tried again')
  aborter.abort()
  await clock.advance(1_000)
  await serving
  t.match(holder.report('s', { ...page, came: [] }), { isHolder: false })
  await cluster.stop()
})

t.test('a report that comes too late, or twice, is passed over', async t => {
  const { clock, cluster } = await started('late', 3)
  const [agent] = cluster.agents
  const server = '00000001-0000-4000-8000-00000000000f'
  const { holder } = cluster.holder
  const page = { run: 'r', came: [], silent: [], left: [], findings: [] }
  const whole = { isFirst: true, isLast: true }
  holder.report(server, { ...page, number: 1, whole, came: [{ id: agent!.id, address: 'b:1' }] })
  await clock.advance(1_000)
  t.equal(cluster.store.view().get(agents, agent!.id)?.row.address, 'b:1', 'it moved')
  holder.report(server, { ...page, number: 3 })
  holder.report(server, { ...page, number: 2, left: [agent!.id] })
  await clock.advance(1_000)
  t.equal(cluster.stateOf(agent!), 'passing')
  holder.report(server, { ...page, number: 4, left: [agent!.id] })
  await clock.advance(1_000)
  t.equal(cluster.stateOf(agent!), 'none')
  await cluster.stop()
})

t.test('the role moves while agents come and go', async t => {
  const clock = new SteppedClock()
  const cluster = new SimulatedCluster(clock, 'role', { servers: 3, agents: 60, services: 0 })
  await cluster.start(0)
  await clock.advance(10_000)
  cluster.kill(cluster.agents[0]!, false)
  await clock.advance(1_000)
  await cluster.moveRole(cluster.servers[1]!)
  await clock.advance(1_000)
  t.equal(cluster.count('critical'), 0, 'deadlines start over')
  await clock.advance(limits.livenessSettleMs + 15_000)
  t.equal(cluster.count('critical'), 1)
  const { transactions } = cluster.counts
  await clock.advance(1_000)
  cluster.agents[1]!.heartbeat.stop(true)
  await clock.advance(100)
  cluster.agents[1]!.up = false
  await clock.advance(3_000)
  t.equal(cluster.stateOf(cluster.agents[1]!), 'none', 'who leaves is removed')
  t.ok(cluster.counts.transactions > transactions)
  await cluster.stop()
})

t.test('agents find out where they stand', async t => {
  const clock = new SteppedClock(0.5)
  const cluster = new SimulatedCluster(clock, 'places', { servers: 3, agents: 24, services: 0 })
  await cluster.start(0)
  await clock.advance(1_200_000)
  const view = cluster.store.view()
  let offMs = 0
  let pairs = 0
  for (const one of cluster.agents) {
    const distance = distancesFrom(view, { node: one.name })
    t.ok(distance !== undefined, `${one.name} has a coordinate`)
    for (const other of cluster.agents) {
      if (one === other || distance === undefined) continue
      offMs += Math.abs(distance(other.name) * 1000 - Math.abs(one.placeMs - other.placeMs))
      pairs++
    }
  }
  t.ok(offMs / pairs < 3, `distances of up to 40 ms are off by ${offMs / pairs} ms`)
  await cluster.stop()
})
