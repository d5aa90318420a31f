/**
 * Heartbeats, probes and reports over real connections between agents.
 */
import t, { type Test } from 'tap'
import { foregroundClock, sleep, systemRandom } from '../../src/base/clock.ts'
import { openRpcServer, type RpcError } from '../../src/base/io/grpc.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import type { RpcService } from '../../src/base/rpc.ts'
import type { TlsMaterial } from '../../src/base/tls.ts'
import { ORIGIN } from '../../src/base/vivaldi.ts'
import { Heartbeat } from '../../src/cluster/liveness-agent.run.ts'
import { LivenessHolder } from '../../src/cluster/liveness-holder.run.ts'
import { Hearing, type NumberedReport } from '../../src/cluster/liveness-server.run.ts'
import { identityOf } from '../../src/cluster/names.ts'
import { Prober } from '../../src/cluster/probe.run.ts'
import { markAgents, nodeOfAgent, standingOf } from '../../src/registry/agent-health.ts'
import { SERF_HEALTH, setNode } from '../../src/registry/catalog.ts'
import { openAgentChannel, openServerChannel } from '../../src/rpc/channels.ts'
import {
  askPeer,
  beatStream,
  heartbeat as heartbeatMethod,
  liveService,
  probeService,
  sendReport,
} from '../../src/rpc/live.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { agents as agentRows } from '../../src/store/tables/agent.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { everybody, nodeRow } from '../registry/rules.ts'
import { type Authority, makeAuthority } from '../x509/pki.ts'
import {
  CLIENT_ID,
  CLUSTER,
  channelWorld,
  clientPair,
  materialOf,
  SERVER_ID,
  serverPair,
} from './trial.ts'

const clock = foregroundClock
const random = systemRandom
const log = silentLog

async function until(holds: () => boolean): Promise<void> {
  const endMs = clock.monotonic() + 20_000
  while (!holds()) {
    if (clock.monotonic() > endMs) throw new Error('it did not come true')
    await sleep(clock, 20)
  }
}

async function listening(t: Test, services: readonly RpcService[], material: TlsMaterial) {
  const server = openRpcServer(services, {
    material: () => material,
    identify: certificate => identityOf(certificate, CLUSTER),
    isRefused: () => false,
    ...{ clock, log },
  })
  t.teardown(() => server.close())
  const { port } = await server.listen('127.0.0.1', 0)
  return { address: `127.0.0.1:${port}`, close: () => server.close() }
}

function proberWith(t: Test, material: TlsMaterial): Prober {
  const channel = openAgentChannel(channelWorld(() => material))
  t.teardown(() => channel.close())
  return new Prober({
    ...{ clock, random },
    ask: (to, isSilent, timeoutMs) => askPeer(channel, to, isSilent, timeoutMs),
  })
}

async function startServer(t: Test, ca: Authority) {
  const store = openMemoryStore({ tables: withSystemTables(registryTables), clock, random })
  t.teardown(() => store.close())
  const material = materialOf(ca, serverPair(ca))
  const prober = proberWith(t, material)
  const holder = new LivenessHolder({
    ...{ store, clock, random, log, metrics: new Metrics(clock) },
    rules: { standingOf, nodeOfAgent, markAgents, checkId: SERF_HEALTH },
  })
  const placed: string[] = []
  const hearing = new Hearing({
    ...{ clock, random, log, prober, serverId: SERVER_ID },
    report: async report => holder.report(SERVER_ID, report),
    place: nodeId => placed.push(nodeId),
    agents: () => 1,
    servers: () => [],
  })
  const services = [liveService(hearing, holder), probeService(prober)]
  const { address } = await listening(t, services, material)
  const over = new AbortController()
  const serving = holder.duty(over.signal, decide => decide)
  hearing.start()
  t.teardown(async () => {
    over.abort()
    await Promise.all([serving, hearing.stop()])
  })
  return { store, hearing, holder, prober, address, placed }
}

async function startAgent(t: Test, ca: Authority, server: string, id: string) {
  const material = materialOf(ca, clientPair(ca, id))
  const prober = proberWith(t, material)
  const { address, close } = await listening(t, [probeService(prober)], material)
  const world = channelWorld(() => material)
  const channel = openServerChannel([{ nodeId: SERVER_ID, address: server }], world)
  t.teardown(() => channel.close())
  const heartbeat = new Heartbeat({
    ...{ clock, random, log, prober, address: () => address },
    open: (onPace, onEnd) => beatStream(channel, onPace, onEnd),
  })
  heartbeat.start()
  t.teardown(() => heartbeat.stop(false))
  return { heartbeat, prober, address, close, channel }
}

const idOf = (at: number): string => `cccccccc-0000-4000-8000-00000000000${at}`

t.test('agents that come, die and leave', { timeout: 90_000 }, async t => {
  const ca = makeAuthority(t.testdir())
  const server = await startServer(t, ca)
  const ids = [1, 2, 3, 4, 5].map(idOf)
  for (const [at, id] of ids.entries()) {
    await server.store.write(view => setNode(view, everybody, nodeRow(`n${at}`, { id })))
  }
  const agents = await Promise.all(ids.map(id => startAgent(t, ca, server.address, id)))
  const standing = () => ids.map(id => standingOf(server.store.view(), id))
  await until(() => standing().every(one => one === 'passing'))
  t.equal(server.hearing.size, 5)
  t.equal(server.store.view().get(agentRows, ids[0]!)?.row.address, agents[0]!.address)

  agents[1]!.heartbeat.stop(false)
  await agents[1]!.close()
  await until(() => standing()[1] === 'critical')
  t.strictSame(standing(), ['passing', 'critical', 'passing', 'passing', 'passing'])

  // One that beats no more, but is there: others reach it.
  agents[2]!.heartbeat.stop(false)
  agents[0]!.heartbeat.stop(true)
  await until(() => standing()[0] === 'absent')
  await until(() => server.holder.status?.nodes.vouched === 1)
  t.strictSame(standing(), ['absent', 'critical', 'passing', 'passing', 'passing'])
})

t.test('a probe answers to everybody of the cluster, and says who is there', async t => {
  const ca = makeAuthority(t.testdir())
  const server = await startServer(t, ca)
  const agent = await startAgent(t, ca, server.address, CLIENT_ID)
  const target = { id: CLIENT_ID, address: agent.address }
  t.equal(await server.prober.look(target), true)
  t.equal(await server.prober.look({ ...target, id: idOf(9) }), false, 'another one is there')
  t.equal(await agent.prober.look({ id: SERVER_ID, address: server.address }), true)
  await until(() => server.prober.coordinate.error < ORIGIN.error)
  await agent.close()
  t.equal(await server.prober.look(target), false)
})

t.test('only servers report, and nobody more than a report holds', async t => {
  const ca = makeAuthority(t.testdir())
  const server = await startServer(t, ca)
  const to = { nodeId: SERVER_ID, address: server.address }
  const asking = (material: TlsMaterial) => {
    const channel = openAgentChannel(channelWorld(() => material))
    t.teardown(() => channel.close())
    return (given: NumberedReport) => sendReport(channel, to, given)
  }
  const id = idOf(1)
  const given = { run: 'r', number: 1, came: [], silent: [id], left: [id], findings: [] }
  const asServer = asking(materialOf(ca, serverPair(ca, idOf(2))))
  t.match(await asServer(given), { isHolder: true, wantsWhole: true, orders: [], alarm: '' })
  const whole = { isFirst: true, isLast: true }
  const came = [{ id, address: 'a:1' }]
  const findings = [{ prober: id, target: id, isReachable: true }]
  t.match(await asServer({ ...given, came, findings, whole }), { wantsWhole: false })
  const asClient = asking(materialOf(ca, clientPair(ca)))
  await t.rejects(asClient(given), { code: 'PERMISSION_DENIED' })
  const many = Array.from({ length: limits.livenessReportNodes + 1 }, () => id)
  await t.rejects(asServer({ ...given, silent: many }), { code: 'INVALID_ARGUMENT' })
})

t.test('an agent that a server gave up is told so', async t => {
  const ca = makeAuthority(t.testdir())
  const server = await startServer(t, ca)
  const material = materialOf(ca, clientPair(ca))
  const world = channelWorld(() => material)
  const channel = openServerChannel([{ nodeId: SERVER_ID, address: server.address }], world)
  t.teardown(() => channel.close())
  const open = () => {
    const ended: RpcError[] = []
    const paces: object[] = []
    const stream = channel.open(heartbeatMethod, {
      onMessage: pace => paces.push(pace),
      onEnd: error => {
        if (error !== undefined) ended.push(error)
      },
    })
    stream.send({ address: 'a:1', echo: 7 })
    return { stream, ended, paces }
  }
  const first = open()
  await until(() => first.paces.length === 2)
  t.match(first.paces, [{ beatMs: limits.heartbeatMs }, { echo: 7, coordinate: { error: 1.5 } }])
  const second = open()
  await until(() => second.paces.length === 2)
  first.stream.send({})
  await until(() => first.ended.length === 1)
  t.match(first.ended, [{ code: 'ABORTED' }])
  second.stream.send({ coordinate: { ...ORIGIN, vec: [1] }, findings: [{ isReachable: true }] })
  await until(() => server.placed.length === 1)
  const many = Array.from({ length: limits.livenessReportNodes + 1 }, () => ({}))
  second.stream.send({ findings: many })
  await until(() => second.ended.length === 1)
})
