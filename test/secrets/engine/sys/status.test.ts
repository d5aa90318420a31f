/** `sys/health`, `sys/leader` and what else tells how things are. */
import tap from 'tap'
import { vaultVersion } from '../../../../src/base/version.ts'
import type { Rendered } from '../../../../src/secrets/envelope.ts'
import { openSecrets, ROOT_TOKEN } from '../../harness.ts'
import { testPorts, testServer } from '../../ports.ts'

const serverOf = (isInitialized: boolean, isSealed: boolean) => ({
  ...testPorts().server,
  isInitialized: () => isInitialized,
  isSealed: () => isSealed,
})

tap.test('health says by its status whether a server serves', async t => {
  const states = [
    [true, false, 200, 'activecode'],
    [true, true, 503, 'sealedcode'],
    [false, true, 501, 'uninitcode'],
  ] as const
  for (const [isInitialized, isSealed, status, name] of states) {
    const secrets = await openSecrets(t, { ports: { server: serverOf(isInitialized, isSealed) } })
    if (isSealed) secrets.barrier = undefined
    const got = await secrets.read('sys/health', { token: '' })
    t.equal(got.status, status)
    t.match(got.body, {
      initialized: isInitialized,
      sealed: isSealed,
      standby: isSealed,
      performance_standby: false,
      replication_performance_mode: 'disabled',
      replication_dr_mode: 'disabled',
      server_time_utc: 1_700_000_000,
      version: vaultVersion,
      enterprise: false,
    })
    t.equal(got.body.cluster_name, isSealed ? undefined : 'test')
    const asked = { token: '', data: { [name]: '299', standbyok: '' } }
    t.equal((await secrets.read('sys/health', asked)).status, 299)
  }
})

tap.test('a status that is none is refused', async t => {
  const secrets = await openSecrets(t)
  for (const data of [{ activecode: 'x' }, { standbycode: '99' }, { standbyok: 'maybe' }]) {
    const got = await secrets.read('sys/health', { token: '', data })
    t.match(got, { status: 400, body: { errors: [] } })
  }
})

tap.test('health reads nothing of the store', async t => {
  const secrets = await openSecrets(t)
  await secrets.store.close()
  t.equal((await secrets.read('sys/health', { token: '' })).status, 200)
})

tap.test('who leads is told, also while sealed', async t => {
  const secrets = await openSecrets(t)
  secrets.barrier = undefined
  t.match((await secrets.read('sys/leader', { token: '' })).body, {
    ha_enabled: true,
    is_self: true,
    active_time: '2023-11-14T22:13:20.000Z',
    leader_address: testServer.apiAddress,
    leader_cluster_address: 'https://127.0.0.1:8300',
    performance_standby: false,
    raft_applied_index: 7,
  })
  const other = await openSecrets(t, {
    ports: { cluster: { ...testPorts().cluster, servers: () => [] } },
  })
  const { body } = await other.read('sys/leader', { token: '' })
  t.match(body, { is_self: false, leader_address: '' })
  const alone = { ...testPorts().cluster, servers: () => [{ ...testServer, clusterAddress: '' }] }
  const one = await openSecrets(t, { ports: { cluster: alone } })
  t.equal((await one.read('sys/leader', { token: '' })).body.leader_cluster_address, '')
})

tap.test('servers are listed, and one may hand over', async t => {
  const other = { ...testServer, nodeId: 'b', name: 'two', isSelf: false, isLeader: false }
  let handedOver = 0
  const cluster = {
    ...testPorts().cluster,
    servers: () => [testServer, { ...other, lastContactMs: 1_000 }],
    async stepDown() {
      handedOver++
      return true as const
    },
  }
  const secrets = await openSecrets(t, { ports: { cluster } })
  const { body } = await secrets.read('sys/ha-status')
  t.match(body.nodes, [
    { hostname: 'one', active_node: true, last_echo: null },
    { hostname: 'two', active_node: false, last_echo: '2023-11-14T22:13:19.000Z' },
  ])
  t.equal((await secrets.post('sys/step-down')).status, 204)
  t.equal((await secrets.post('sys/step-down', {}, { token: 'nobody' })).status, 403)
  t.equal(handedOver, 1)
  const raft = (await secrets.read('sys/storage/raft/configuration')).body.data.config
  t.match(raft.servers, [{ node_id: testServer.nodeId, leader: true }, { node_id: 'b' }])
  const state = (await secrets.read('sys/storage/raft/autopilot/state')).body.data
  t.match(state, { healthy: true, leader: testServer.nodeId, voters: [testServer.nodeId, 'b'] })
  t.equal(state.servers.b.last_contact, '1s')
  t.match((await secrets.read('sys/storage/raft/autopilot/configuration')).body.data, {
    dead_server_last_contact_threshold: '24h0m0s',
  })
})

tap.test('versions are listed with when they were first seen', async t => {
  const secrets = await openSecrets(t)
  const first = (await secrets.list('sys/version-history')).body.data
  t.strictSame(first.keys, [vaultVersion])
  t.equal(first.key_info[vaultVersion].previous_version, null)
  t.strictSame((await secrets.list('sys/version-history')).body.data, first)
})

tap.test('what there is none of is said so', async t => {
  const secrets = await openSecrets(t)
  t.match((await secrets.read('sys/replication/status', { token: '' })).body.data, {
    mode: 'disabled',
  })
  t.match((await secrets.read('sys/experiments')).body.data, { available: [], enabled: [] })
  t.match((await secrets.read('sys/activation-flags')).body.data, { activated: [] })
})

tap.test('an archive of both halves is taken where it is asked for', async t => {
  const secrets = await openSecrets(t)
  const request = {
    operation: 'read',
    path: 'sys/storage/raft/snapshot',
    namespace: '',
    data: {},
    token: ROOT_TOKEN,
    facts: { id: 'x', remote: '', wrapTtlMs: undefined, headers: {}, isList: false },
  } as const
  const { parts, type, status } = (await secrets.secrets.handle(request)) as Rendered
  t.match({ type, status }, { type: 'application/gzip', status: 200 })
  const pieces: string[] = []
  for await (const piece of parts!(new AbortController().signal)) pieces.push(String(piece))
  t.same(pieces, ['an archive'])
  t.match(await secrets.read('sys/storage/raft/snapshot', { token: '' }), { status: 403 })
})

tap.test('what is not served says so, and what was taken away', async t => {
  const secrets = await openSecrets(t)
  t.match(await secrets.post('sys/storage/raft/snapshot-auto/config/x', { interval: 1 }), {
    status: 501,
    text: /^not served yet: /,
  })
  t.match(await secrets.post('sys/storage/raft/snapshot', {}), {
    status: 501,
    text: /`gatehouse snapshot restore` takes an archive/,
  })
  t.match(await secrets.read('sys/internal/counters/activity/monthly'), { status: 404 })
  t.match(await secrets.read('sys/license/status'), { status: 404 })
})

tap.test('what is for the root namespace is for it alone', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/namespaces/shop')
  const unavailable = { status: 400, text: 'operation unavailable in namespaces' }
  for (const path of [
    'sys/health',
    'sys/host-info',
    'sys/metrics',
    'sys/config/cors',
    'sys/audit',
  ]) {
    t.match(await secrets.read(path, { namespace: 'shop' }), unavailable, path)
    t.match(await secrets.read(`shop/${path}`, { token: '' }), unavailable, path)
  }
})
