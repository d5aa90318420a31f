/**
 * Three servers and 300 light agents over real connections on this machine: the servers' side in
 * this process, on one store in memory, the agents in another one.
 *
 * docs/scale.md holds the figures that this prints: what a light agent costs, and what a beat costs
 * a server with TLS, HTTP/2 and the encoding of messages.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { ServerLiveness } from '../../src/agent/liveness.ts'
import { foregroundClock, sleep, systemRandom } from '../../src/base/clock.ts'
import { openRpcServer } from '../../src/base/io/grpc.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { identityOf } from '../../src/cluster/names.ts'
import { standingOf } from '../../src/registry/agent-health.ts'
import { setNode } from '../../src/registry/catalog.ts'
import { openAgentChannel } from '../../src/rpc/channels.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { roles } from '../../src/store/role.ts'
import { put, type Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { aliveServers, ServerState, servers as serverRows } from '../../src/store/tables/server.ts'
import { everybody, nodeRow } from '../registry/rules.ts'
import { CLUSTER, channelWorld, clientPair, materialOf, serverPair } from '../rpc/trial.ts'
import { type Authority, makeAuthority } from '../x509/pki.ts'
import type { Plan, Usage } from './agents-child.ts'

const AGENTS = 300
const TIMEOUT_MS = 290_000
const clock = foregroundClock
const random = systemRandom
const idOf = (kind: string, at: number): string =>
  `${kind}-0000-4000-8000-${String(at).padStart(12, '0')}`
const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

t.setTimeout(TIMEOUT_MS)

async function until(holds: () => boolean): Promise<number> {
  const startedMs = clock.monotonic()
  while (!holds()) {
    if (clock.monotonic() > startedMs + 90_000) throw new Error('it did not come true')
    await sleep(clock, 50)
  }
  return (clock.monotonic() - startedMs) / 1000
}

async function startServer(t: Test, ca: Authority, store: Store, at: number) {
  const nodeId = idOf('aaaaaaaa', at)
  const material = materialOf(ca, serverPair(ca, nodeId))
  const channel = openAgentChannel(channelWorld(() => material))
  const registry = () => ({ updateCoordinate: (): true => true })
  const log = silentLog as never
  const world = { clock, random, log, metrics: new Metrics(clock), environment: {} }
  const liveness = new ServerLiveness(nodeId, { store, channel, registry }, world)
  const server = openRpcServer(liveness.services, {
    material: () => material,
    identify: certificate => identityOf(certificate, CLUSTER),
    isRefused: () => false,
    ...{ clock, log: silentLog },
  })
  const { port } = await server.listen('127.0.0.1', 0)
  const row = {
    ...{ nodeId, name: `s${at}`, address: '127.0.0.1', version: '1', level: 1, hasAcl: false },
    ...{ ports: { server: port, serfLan: 0, serfWan: 0 }, meta: {}, sinceMs: 0, stateAtMs: 0 },
    state: ServerState.in,
  }
  await store.write(() => ({
    txn: [put(serverRows, nodeId, row), put(aliveServers, nodeId, { run: 'r' })],
    answer: true,
  }))
  liveness.start()
  t.teardown(async () => {
    await liveness.stop()
    channel.close()
    await server.close()
  })
  return { nodeId, liveness, address: `127.0.0.1:${port}` }
}

async function startServers(t: Test, ca: Authority) {
  const store = openMemoryStore({ tables: withSystemTables(registryTables), clock, random })
  const servers = [
    await startServer(t, ca, store, 1),
    await startServer(t, ca, store, 2),
    await startServer(t, ca, store, 3),
  ]
  const over = new AbortController()
  const duties = servers[0]!.liveness.duties.map(duty => duty(over.signal, decide => decide))
  t.teardown(async () => {
    over.abort()
    await Promise.all(duties)
    await store.close()
  })
  await store.write(() => ({
    txn: [put(roles, 'registry', { holder: servers[0]!.nodeId })],
    answer: true,
  }))
  return { store, servers }
}

async function startAgents(t: Test, plan: Plan): Promise<{ child: ChildProcess; before: Usage }> {
  const file = path.join(t.testdir({ plan: {} }), 'plan', 'plan.json')
  writeFileSync(file, JSON.stringify(plan), { mode: 0o600 })
  const child = fork(path.join(import.meta.dirname, 'agents-child.ts'), [file], {
    execArgv: ['--no-warnings'],
  })
  t.teardown(async () => {
    child.disconnect()
    await once(child, 'exit')
  })
  const [before] = (await once(child, 'message')) as [Usage]
  return { child, before }
}

async function usageOf(child: ChildProcess): Promise<Usage> {
  child.send({ usage: true })
  const [usage] = (await once(child, 'message')) as [Usage]
  return usage
}

const ownCpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** What both sides used in so many seconds. */
async function used(child: ChildProcess, seconds: number) {
  const before = await usageOf(child)
  const ownMs = ownCpuMs()
  const startedMs = clock.monotonic()
  await sleep(clock, seconds * 1000)
  const tookMs = clock.monotonic() - startedMs
  const after = await usageOf(child)
  return {
    seconds: tookMs / 1000,
    agents: (after.cpuMs - before.cpuMs) / tookMs,
    servers: (ownCpuMs() - ownMs) / tookMs,
    rssBytes: after.rssBytes,
  }
}

const planOf = (ca: Authority, servers: Plan['servers'], count: number): Plan => ({
  cluster: CLUSTER,
  ca: ca.cert,
  servers,
  agents: Array.from({ length: count }, (_, at) => clientPair(ca, idOf('cccccccc', at))),
})

t.test('three hundred light agents', { timeout: TIMEOUT_MS }, async t => {
  const ca = makeAuthority(t.testdir({ ca: {} }))
  const { store, servers } = await startServers(t, ca)
  for (let at = 0; at < AGENTS; at++) {
    const row = nodeRow(`n${at}`, { id: idOf('cccccccc', at) })
    await store.write(view => setNode(view, everybody, row))
  }
  const addresses = servers.map(({ nodeId, address }) => ({ nodeId, address }))
  const { child, before } = await startAgents(t, planOf(ca, addresses, AGENTS))
  const count = (standing: string): number => {
    let many = 0
    for (let at = 0; at < AGENTS; at++) {
      if (standingOf(store.view(), idOf('cccccccc', at)) === standing) many++
    }
    return many
  }
  await until(() => count('passing') === AGENTS)
  const steady = await used(child, 20)
  t.comment(
    `a light agent: ${round((steady.rssBytes - before.rssBytes) / AGENTS / 1024)} KiB and ` +
      `${round((steady.agents / AGENTS) * 100, 3)} % of a core; the servers' side of all: ` +
      `${round(steady.servers * 100)} % of a core`,
  )
  child.send({ kill: 3 })
  await once(child, 'message')
  const foundS = await until(() => count('critical') === 3)
  t.comment(`three that ended were critical after ${round(foundS)} s`)
  t.equal(count('passing'), AGENTS - 3)
})

t.test('what beats cost a server', { timeout: TIMEOUT_MS }, async t => {
  const ca = makeAuthority(t.testdir({ ca: {} }))
  const { servers } = await startServers(t, ca)
  const addresses = servers.map(({ nodeId, address }) => ({ nodeId, address }))
  const plan = { ...planOf(ca, addresses, AGENTS), beatMs: 200 }
  const { child } = await startAgents(t, plan)
  const heard = (): number => servers.reduce((sum, { liveness }) => sum + liveness.heard, 0)
  await until(() => heard() === AGENTS)
  const { servers: share } = await used(child, 10)
  const perSecond = AGENTS * (1000 / plan.beatMs)
  t.equal(heard(), AGENTS)
  t.comment(
    `about ${perSecond} beats/s over ${AGENTS} streams: ${round(share * 100)} % of a core, ` +
      `${round((share / perSecond) * 1e6)} µs a beat`,
  )
})
