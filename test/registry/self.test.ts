import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { consulVersion } from '../../src/base/version.ts'
import { everybody } from '../../src/base/who.ts'
import { register } from '../../src/registry/catalog.ts'
import { announceSelf, type Self } from '../../src/registry/self.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { checks } from '../../src/store/tables/check.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { services } from '../../src/store/tables/service.ts'

const ID = '11111111-2222-3333-4444-555555555555'
const OTHER = '99999999-2222-3333-4444-555555555555'

const self: Self = {
  node: 'N1',
  nodeId: ID,
  address: '127.0.0.1',
  taggedAddresses: {},
  meta: { rack: 'r1' },
  ports: { server: 8300, grpc: -1, grpcTls: -1 },
  isDraining: false,
}

function openStore(t: Test): Store {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  t.teardown(() => store.close())
  return store
}

const announce = (store: Store, given: Self = self, alone = true) =>
  store.write(view => announceSelf(view, given, alone))

t.test('a server’s node, service and health', async t => {
  const store = openStore(t)
  await announce(store)
  const view = store.view()
  t.same(view.get(nodes, 'n1')!.row, {
    node: 'N1',
    id: ID,
    address: '127.0.0.1',
    taggedAddresses: {
      lan: '127.0.0.1',
      lan_ipv4: '127.0.0.1',
      wan: '127.0.0.1',
      wan_ipv4: '127.0.0.1',
    },
    meta: { rack: 'r1', 'consul-network-segment': '', 'consul-version': consulVersion },
  })
  t.match(view.get(services, onNode('N1', 'consul'))!.row, {
    name: 'consul',
    port: 8300,
    tags: [],
    meta: {
      grpc_port: '-1',
      grpc_tls_port: '-1',
      non_voter: 'false',
      raft_version: '3',
      read_replica: 'false',
      serf_protocol_current: '2',
      serf_protocol_max: '5',
      serf_protocol_min: '1',
      version: consulVersion,
    },
  })
  t.match(view.get(checks, onNode('N1', 'serfHealth'))!.row, {
    name: 'Serf Health Status',
    output: 'Agent alive and reachable',
    status: 'passing',
    serviceId: '',
  })
  await announce(store)
  t.equal(store.view().revision, view.revision, 'again changes nothing')
})

t.test('IPv6 addresses have their own names', async t => {
  const store = openStore(t)
  await announce(store, { ...self, address: '::1' })
  const { taggedAddresses } = store.view().get(nodes, 'n1')!.row
  t.same(Object.keys(taggedAddresses), ['lan', 'lan_ipv6', 'wan', 'wan_ipv6'])
  const stated = { ...self, taggedAddresses: { wan: '203.0.113.1', rack: '10.0.0.9' } }
  await announce(store, stated)
  const { wan, lan, rack } = store.view().get(nodes, 'n1')!.row.taggedAddresses
  t.same([wan, lan, rack], ['203.0.113.1', '127.0.0.1', '10.0.0.9'], 'what is stated counts')
})

t.test('a name with another id: ours when we are alone, else its living holder’s', async t => {
  const store = openStore(t)
  await announce(store, { ...self, nodeId: OTHER })
  const refused = await announce(store, self, false)
  t.ok(isRefusal(refused) && refused.text.includes(`is reserved by node ${OTHER}`))
  t.equal(isRefusal(await announce(store)), false)
  t.equal(store.view().get(nodes, 'n1')!.row.id, ID)
})

t.test('what others made of our entries is put right', async t => {
  const store = openStore(t)
  await announce(store)
  const node = { ...store.view().get(nodes, 'n1')!.row, address: '10.0.0.9', meta: {} }
  const health = store.view().get(checks, onNode('N1', 'serfHealth'))!.row
  await store.write(view =>
    register(view, everybody, {
      node,
      skipNodeUpdate: false,
      service: undefined,
      checks: [{ ...health, status: 'critical' }],
    }),
  )
  await announce(store)
  t.equal(store.view().get(nodes, 'n1')!.row.address, '127.0.0.1')
  t.equal(store.view().get(checks, onNode('N1', 'serfHealth'))!.row.status, 'passing')
})
