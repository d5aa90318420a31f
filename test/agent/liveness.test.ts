/**
 * Two servers on one store and agents around them, joined as agents join their parts, over real
 * connections.
 */
import t, { type Test } from 'tap'
import { ClientLiveness, ServerLiveness } from '../../src/agent/liveness.ts'
import { foregroundClock, sleep, systemRandom } from '../../src/base/clock.ts'
import { openRpcServer } from '../../src/base/io/grpc.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import type { RpcService } from '../../src/base/rpc.ts'
import type { TlsMaterial } from '../../src/base/tls.ts'
import { ORIGIN } from '../../src/base/vivaldi.ts'
import { identityOf } from '../../src/cluster/names.ts'
import { standingOf } from '../../src/registry/agent-health.ts'
import { setNode } from '../../src/registry/catalog.ts'
import { openAgentChannel, openServerChannel } from '../../src/rpc/channels.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { roles } from '../../src/store/role.ts'
import { put, type Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { aliveServers, ServerState, servers as serverRows } from '../../src/store/tables/server.ts'
import { everybody, nodeRow } from '../registry/rules.ts'
import { CLUSTER, channelWorld, clientPair, materialOf, serverPair } from '../rpc/trial.ts'
import { type Authority, makeAuthority } from '../x509/pki.ts'

const clock = foregroundClock
const random = systemRandom
const log = { ...silentLog, setLevel() {}, follow: () => () => {} } as never
const serverId = (at: number): string => `aaaaaaaa-0000-4000-8000-00000000000${at}`
const clientId = (at: number): string => `cccccccc-0000-4000-8000-00000000000${at}`
const world = () => ({ clock, random, log, metrics: new Metrics(clock), environment: {} })

async function until(holds: () => boolean): Promise<void> {
  const endMs = clock.monotonic() + 40_000
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
    ...{ clock, log: silentLog },
  })
  t.teardown(() => server.close())
  const { port } = await server.listen('127.0.0.1', 0)
  return { port, close: () => server.close() }
}

async function startServer(t: Test, ca: Authority, store: Store, at: number) {
  const nodeId = serverId(at)
  const material = materialOf(ca, serverPair(ca, nodeId))
  const channel = openAgentChannel(channelWorld(() => material))
  t.teardown(() => channel.close())
  const placed = new Set<string>()
  const registry = () => ({
    updateCoordinate(_who: unknown, { node }: { node: string }): true {
      placed.add(node)
      return true
    },
  })
  const liveness = new ServerLiveness(nodeId, { store, channel, registry }, world())
  const { port } = await listening(t, liveness.services, material)
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
  t.teardown(() => liveness.stop())
  return { nodeId, liveness, address: `127.0.0.1:${port}`, placed }
}

async function startAgent(
  t: Test,
  ca: Authority,
  server: { nodeId: string; address: string },
  at: number,
) {
  const material = materialOf(ca, clientPair(ca, clientId(at)))
  const wire = channelWorld(() => material)
  const agents = openAgentChannel(wire)
  const servers = openServerChannel([server], wire)
  t.teardown(() => {
    agents.close()
    servers.close()
  })
  let port = 0
  const ground = { agents, servers, address: () => `127.0.0.1:${port}` }
  const liveness = new ClientLiveness(ground, { clock, random, log })
  const bound = await listening(t, [liveness.service], material)
  port = bound.port
  liveness.start()
  t.teardown(() => liveness.stop(false))
  return { liveness, close: bound.close }
}

t.test('agents of two servers, one of which keeps the time', { timeout: 90_000 }, async t => {
  const ca = makeAuthority(t.testdir())
  const store = openMemoryStore({ tables: withSystemTables(registryTables), clock, random })
  t.teardown(() => store.close())
  const first = await startServer(t, ca, store, 1)
  const second = await startServer(t, ca, store, 2)
  const over = new AbortController()
  const duties = first.liveness.duties.map(duty => duty(over.signal, decide => decide))
  t.teardown(async () => {
    over.abort()
    await Promise.all(duties)
  })
  await store.write(() => ({
    txn: [put(roles, 'registry', { holder: first.nodeId })],
    answer: true,
  }))
  for (const at of [1, 2, 3, 4]) {
    const row = nodeRow(`n${at}`, { id: clientId(at) })
    await store.write(view => setNode(view, everybody, row))
  }
  const agents = await Promise.all(
    [1, 2, 3, 4].map(at => startAgent(t, ca, at % 2 === 0 ? first : second, at)),
  )
  const standing = () => [1, 2, 3, 4].map(at => standingOf(store.view(), clientId(at)))
  await until(() => standing().every(one => one === 'passing'))
  agents[0]!.liveness.stop(false)
  await agents[0]!.close()
  agents[3]!.liveness.stop(true)
  await until(() => standing()[3] === 'absent')
  await until(() => standing()[0] === 'critical')
  t.strictSame(standing(), ['critical', 'passing', 'passing', 'absent'])
  await until(() => agents[1]!.liveness.coordinate.error < ORIGIN.error)
  await until(() => second.placed.size > 0)
  t.equal(second.liveness.alarm, '')
})

t.test('a server that speaks with nobody finds nothing out', async t => {
  const store = openMemoryStore({ tables: withSystemTables(registryTables), clock, random })
  t.teardown(() => store.close())
  const registry = () => ({ updateCoordinate: (): true => true })
  const ground = { store, channel: undefined, registry }
  const liveness = new ServerLiveness(serverId(1), ground, world())
  liveness.start()
  t.strictSame([liveness.duties, liveness.services, liveness.alarm], [[], [], ''])
  await liveness.stop()
})
