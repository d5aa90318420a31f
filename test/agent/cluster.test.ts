/**
 * How servers are told of: by their rows and leases, by what they said last, by their members.
 */
import t, { type Test } from 'tap'
import { Cluster, type ServerReport } from '../../src/agent/cluster.ts'
import { healthOf } from '../../src/agent/server-health.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { roles } from '../../src/store/role.ts'
import { put, type Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { aliveServers, type ServerRow, servers } from '../../src/store/tables/server.ts'
import { Writer } from '../../src/store/writer.ts'
import { FakeClock } from '../fake/clock.ts'

const rowOf = (name: string): ServerRow => ({
  ...{ nodeId: `id-${name}`, name, address: '10.0.0.1', version: '1.0.0', hasAcl: false, meta: {} },
  ...{ ports: { server: 8300, serfLan: 8301, serfWan: 8302 }, level: 1, sinceMs: 1_000 },
  ...{ state: 'in' as const, stateAtMs: 1_000 },
})

async function world(t: Test) {
  const clock = new FakeClock()
  const tables = withSystemTables(registryTables)
  const own = openMemoryStore({ tables, clock, random: systemRandom })
  t.teardown(() => own.close())
  const supports = { ...own.supports, shared: true }
  const store: Store = new Proxy(own, {
    get(target, name) {
      if (name === 'supports') return supports
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const reports = new Map<string, ServerReport>()
  const ill = new Set<string>()
  const doubt = { ms: 0 }
  const age = { ageMs: () => 10, isDegraded: false }
  const cluster = new Cluster({
    ...{ store, clock, age, writer: new Writer(store), timeouts: new Timeouts(clock) },
    judgesInMs: () => doubt.ms,
    own: () => rowOf('a'),
    health: healthOf(store, clock),
    reportOf: nodeId => reports.get(nodeId),
    isManaged: true,
    hasVote: nodeId => nodeId !== 'id-d',
    isMemberWell: nodeId => !ill.has(nodeId),
    removeMember: async () => {},
  })
  await store.write(() => ({
    txn: ['a', 'b', 'c', 'd'].flatMap(name => [
      put(servers, `id-${name}`, rowOf(name)),
      ...(name === 'c' ? [] : [put(aliveServers, `id-${name}`, { run: 'r' })]),
    ]),
    answer: true,
  }))
  const well = (): string =>
    cluster
      .servers()
      .filter(({ isHealthy }) => isHealthy)
      .map(({ name }) => name)
      .join('')
  return { cluster, store, reports, ill, age, well, doubt }
}

const said = (given: Partial<ServerReport>): ServerReport => ({
  ...{ revision: 1, viewAgeMs: 10, saidMsAgo: 500, trouble: '' },
  ...given,
})

t.test('a server is well as long as all that is known of it says so', async t => {
  const { cluster, reports, ill, age, well } = await world(t)
  t.equal(well(), 'abd')
  t.equal(cluster.failureTolerance(), 0, 'two of three voters live')
  reports.set('id-b', said({ viewAgeMs: 100, saidMsAgo: 900, revision: 7 }))
  const b = cluster.servers().find(({ name }) => name === 'b')
  t.match(b, { lastContactMs: 1_000, lastIndex: 7, isHealthy: true, status: 'alive' })
  reports.set('id-b', said({ viewAgeMs: limits.viewDegradedMs + 2_000 }))
  t.equal(well(), 'ad', 'its view is old')
  reports.set('id-b', said({ trouble: 'it cannot write' }))
  t.equal(well(), 'ad', 'it says that it is not')
  reports.set('id-b', said({}))
  ill.add('id-a')
  t.equal(well(), 'bd', 'its member is not')
  ill.clear()
  age.isDegraded = true
  t.equal(well(), 'bd', 'this one hears nothing')
  t.equal(cluster.servers().find(({ name }) => name === 'd')?.isVoter, false)
})

t.test('while leases tell nothing, only who is noted as dead is', async t => {
  const { cluster, store, doubt } = await world(t)
  const told = (): string =>
    cluster
      .known()
      .map(({ row, status }) => row.name + status)
      .join(' ')
  t.equal(told(), 'aalive balive cfailed dalive')
  doubt.ms = 1
  t.equal(told(), 'aalive balive calive dalive')
  const c = cluster.servers().find(({ name }) => name === 'c')!
  t.match(await cluster.removePeer(everybody, c), { status: 500, text: /is alive/ })
  const states = { a: 'draining', b: 'left', c: 'failed' } as const
  await store.write(() => ({
    txn: Object.entries(states).map(([name, state]) =>
      put(servers, `id-${name}`, { ...rowOf(name), state }),
    ),
    answer: true,
  }))
  t.equal(told(), 'aleaving bleft cfailed dalive')
})

t.test('the leader is who holds the role, as far as this server can tell', async t => {
  const { cluster, store, age } = await world(t)
  t.equal(cluster.leader(), undefined)
  t.match(await cluster.transfer(everybody, ''), { status: 500, text: 'No cluster leader' })
  await store.write(() => ({ txn: [put(roles, 'registry', { holder: 'id-b' })], answer: true }))
  t.equal(cluster.leader()?.name, 'b')
  t.match(await cluster.transfer(everybody, 'id-b'), { status: 500, text: /to itself/ })
  t.match(await cluster.transfer(everybody, 'id-c'), { status: 500, text: 'cannot find peer' })
  age.isDegraded = true
  t.equal(cluster.leader(), undefined)
})
