/**
 * The servers' uplink is cut to 40 % of 300 agents for 60 s: nothing that is well leaves DNS, and
 * who dies meanwhile is found.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import type { Responder } from '../../src/dns/responder.ts'
import { askDirectly, respond } from '../dns/support.ts'
import { SteppedClock } from './clock.ts'
import { type SimulatedAgent, SimulatedCluster } from './cluster.ts'

const AGENTS = 300

/** Agents whose service is not in DNS. */
function missing(responder: Responder, cluster: SimulatedCluster): SimulatedAgent[] {
  return cluster.agents.filter((_, at) => {
    const answer = askDirectly(responder, `app-${at}-0.service.consul A`)
    return answer.rcode !== 0 || answer.answers.length !== 1
  })
}

t.test('an uplink that is cut for a minute', async t => {
  const clock = new SteppedClock()
  const cluster = new SimulatedCluster(clock, 'uplink', { servers: 3, agents: AGENTS, services: 1 })
  await cluster.start(1)
  await clock.advance(10_000)
  const responder = respond(cluster)
  t.equal(cluster.count('passing'), AGENTS)
  t.strictSame(missing(responder, cluster), [])

  const cut = cluster.agents.slice(0, (AGENTS * 2) / 5)
  const connected = cluster.agents.at(-1)!
  const severed = cut.at(-1)!
  for (const agent of cut) agent.uplink = false
  const found = new Map<SimulatedAgent, number>()
  let healthyMissing = 0
  for (let second = 0; second < 60; second++) {
    if (second === 15) {
      cluster.kill(connected, true)
      cluster.kill(severed, true)
    }
    await clock.advance(1_000)
    for (const agent of missing(responder, cluster)) {
      if (agent.up) healthyMissing++
      else if (!found.has(agent)) found.set(agent, second - 14)
    }
  }
  t.equal(healthyMissing, 0, 'no healthy service was missing in any second')
  t.match(cluster.servers[1]!.hearing.alarm, /of 300 nodes fell silent within 10 s/)
  t.ok(found.has(connected), `a connected node that died was gone after ${found.get(connected)} s`)
  t.ok(found.has(severed), `one of those cut off after ${found.get(severed)} s`)
  t.equal(cluster.count('critical'), 2)

  for (const agent of cut) agent.uplink = true
  await clock.advance(limits.echoMs + 10_000)
  t.equal(cluster.count('passing'), AGENTS - 2)
  t.equal(cluster.servers[1]!.hearing.alarm, '')
  t.equal(
    cluster.servers.reduce((sum, { hearing }) => sum + hearing.size, 0),
    AGENTS - 2,
  )
  await cluster.stop()
})
