/**
 * What one server does about the others: who is taken for dead, and when nobody may be; servers
 * that are none of this cluster, as an archive of another one brings them along.
 */
import t from 'tap'
import { serverDuty, strangeServers } from '../../src/agent/server-duty.ts'
import { silentLog } from '../../src/base/log.ts'
import { Recorder } from '../../src/store/recorder.ts'
import { put, type Store } from '../../src/store/store.ts'
import { agents } from '../../src/store/tables/agent.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { type ServerRow, ServerState, servers } from '../../src/store/tables/server.ts'
import { FakeClock } from '../fake/clock.ts'
import { NODE, startFace, until } from '../http/harness.ts'

const row: ServerRow = {
  ...{ nodeId: 'id', name: NODE, address: '127.0.0.1', version: '', level: 1, hasAcl: false },
  ports: { server: 8300, serfLan: 8301, serfWan: 8302 },
  ...{ meta: {}, sinceMs: 0, state: ServerState.in, stateAtMs: 0 },
}

/** A store as servers share one: its rules may ask only what others' writes are held against. */
function sharedOver(store: Store): Store {
  const supports = { ...store.supports, shared: true }
  const write: Store['write'] = decide =>
    store.write((view, ...more) => decide(new Recorder(view), ...more))
  return new Proxy(store, {
    get(target, name) {
      if (name === 'supports') return supports
      if (name === 'write') return write
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

t.test('nobody is taken for dead while leases tell nothing', async t => {
  const { store } = await startFace(t)
  const clock = new FakeClock()
  const shared = sharedOver(store)
  await store.write(() => ({ txn: [put(servers, row.nodeId, row)], answer: true }))
  let judgesInMs = 10_000
  const stopping = new AbortController()
  const running = serverDuty({
    ...{ store: shared, clock, log: silentLog, reconnectTimeoutMs: 60_000 },
    judgesInMs: () => judgesInMs,
    removeMember: async () => {},
  })(stopping.signal, decide => decide)
  const state = (): string | undefined => store.view().get(servers, row.nodeId)?.row.state
  await clock.advance(60_000)
  t.equal(state(), 'in')
  judgesInMs = 0
  await clock.advance(10_000)
  await until(() => state() === 'failed')
  stopping.abort()
  await running
})

t.test('who says to be a server and is none', async t => {
  const { client, store } = await startFace(t)
  const register = (Node: string, body: object) =>
    client.put('/v1/catalog/register', { Node, Address: '10.0.0.9', ...body })
  const serf = { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing' }
  const consul = { ID: 'consul', Service: 'consul' }
  t.same(strangeServers(store.view()), [NODE], 'it is on no list yet')
  await store.write(() => ({ txn: [put(servers, row.nodeId, row)], answer: true }))
  t.same(strangeServers(store.view()), [])
  await register('old', { Service: consul, Check: serf })
  await register('external', { Service: consul })
  await register('other', { Check: serf })
  const ID = '11111111-2222-4333-8444-555555555555'
  await register('agent', { ID, Service: consul, Check: serf })
  await store.write(() => ({
    txn: [put(agents, ID, { address: '10.0.0.9:8300', failedAtMs: 0 })],
    answer: true,
  }))
  t.same(strangeServers(store.view()), ['old'])
  const stopping = new AbortController()
  const running = serverDuty({
    ...{ store: sharedOver(store), clock: new FakeClock(), log: silentLog },
    ...{ reconnectTimeoutMs: 60_000, judgesInMs: () => 10_000, removeMember: async () => {} },
  })(stopping.signal, decide => decide)
  await until(() => store.view().get(nodes, 'old') === undefined)
  t.same(strangeServers(store.view()), [])
  t.ok(store.view().get(nodes, 'external'), 'and nobody else went')
  stopping.abort()
  await running
})
