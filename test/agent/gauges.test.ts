/**
 * The gauges: what the store holds, who waits, and what collections tell.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { addGauges } from '../../src/agent/gauges.ts'
import { systemClock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { Gauge, Metrics } from '../../src/base/metrics.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { everybody } from '../../src/base/who.ts'
import type { ClientFacts, ServerFacts } from '../../src/cluster/port.ts'
import { kvEntry } from '../../src/registry/kv.ts'
import { Asker, Consistency, Departure, type Question } from '../../src/store/ask.ts'
import { put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { fold } from '../../src/store/tables/names.ts'
import { type NodeRow, nodes } from '../../src/store/tables/node.ts'
import { openMemory } from '../http/engines.ts'
import { until } from '../http/harness.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

t.test('the store, the waiting, and what lives', async t => {
  const store = await openMemory()
  t.teardown(() => store.close())
  const metrics = new Metrics(systemClock)
  const timeouts = new Timeouts(systemClock)
  const asker = new Asker(store, timeouts)
  const server = { nodeId: 'n', status: 'alive', isHealthy: true, isLeader: true } as ServerFacts
  const clients = [undefined, ...[true, true, false].map(isAlive => ({ isAlive }) as ClientFacts)]
  const ports = {
    ...{ metrics, store, asker, timeouts, timers: () => 3, datacenter: 'dc1', nodeId: 'n' },
    cluster: {
      ...{ servers: () => [server], leader: () => server, failureTolerance: () => 2 },
      clients: () => clients,
    },
  }
  const stop = addGauges(ports)
  t.teardown(stop)
  const read = (name: string): number => {
    const found = metrics.all().find(one => one.name === name)
    if (!(found instanceof Gauge)) throw new Error(`no gauge ${name}`)
    return found.read()
  }
  t.equal(read('state.kv_entries'), 0)
  const row = { flags: 0n, value: Buffer.from('x'), session: '', lockIndex: 0 }
  await store.write(() => ({ txn: [put(kv, 'a' as never, row)], answer: undefined }))
  t.equal(read('state.kv_entries'), 1)
  t.equal(read('raft.applied_index'), 1)
  t.equal(read('raft.last_index'), 1)
  t.equal(read('autopilot.healthy'), 1)
  t.equal(read('autopilot.failure_tolerance'), 2)
  t.equal(read('members.servers'), 1)
  t.equal(read('members.clients'), 2)
  clients.push({ isAlive: true } as ClientFacts)
  t.equal(read('members.clients'), 2, 'nothing has changed in the store')
  const node = { id: '', address: '', taggedAddresses: {}, meta: {} } as NodeRow
  const named = Array.from({ length: limits.gaugeNodes + 1 }, (_, at) => `n${at}`)
  const txn = named.map(name => put(nodes, fold(name), { ...node, node: name }))
  await store.write(() => ({ txn, answer: undefined }))
  await until(() => read('members.clients') === 3)
  t.equal(read('server.is_leader'), 1)
  t.equal(read('server.view_age'), 0)
  t.equal(read('runtime.timers'), 3)
  for (const name of ['num_goroutines', 'alloc_bytes', 'sys_bytes']) {
    t.ok(read(`runtime.${name}`) > 0, name)
  }

  collect()
  await until(() => read('runtime.live_bytes') > 0)
  const departures: Departure[] = []
  const waiters = 2_000
  const question = kvEntry(everybody, 'a' as never) as Question<unknown>
  for (let i = 0; i < waiters; i++) {
    const departure = new Departure()
    departures.push(departure)
    const options = { consistency: Consistency.default, index: 1_000, waitMs: 60_000 }
    asker.ask(question, options, departure, {
      answer: () => {},
      fail: error => t.fail(String(error)),
    })
  }
  t.equal(read('rpc.queries_blocking'), waiters)
  t.equal(read('runtime.timeouts'), waiters)
  const runs = read('runtime.total_gc_runs')
  collect()
  await until(() => read('runtime.total_gc_runs') > runs)
  const bytes = read('rpc.bytes_per_blocking_query')
  t.ok(bytes > 100 && bytes < 15_000, `${bytes} bytes each`)
  for (const departure of departures) departure.leave()
  t.equal(read('rpc.queries_blocking'), 0)
  t.ok(read('runtime.total_gc_pause_ns') > 0)
})
