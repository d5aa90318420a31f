/**
 * An agent that is no server through its life: what is registered with it reaches the catalog, and
 * outlives restarts of either side and the absence of servers.
 */
import t, { type Test } from 'tap'
import { until } from '../../http/harness.ts'
import { EDGE, type Edge, type ServerWorld, startEdge, startServer } from './world.ts'

const web = { ID: 'web-1', Name: 'web', Port: 80, Check: { TTL: '60s', Status: 'passing' } }

/** What the servers' catalog has of the agent's node: ids of services with states of checks. */
async function catalogOf({ face }: ServerWorld): Promise<Record<string, string>> {
  const node = (await face.client.get(`/v1/catalog/node/${EDGE}`)).json
  if (node === null) return {}
  const checks = (await face.client.get(`/v1/health/node/${EDGE}`)).json
  const ids = [...Object.keys(node.Services), '']
  return Object.fromEntries(
    ids.map(id => [
      id,
      checks
        .filter(({ ServiceID }: { ServiceID: string }) => ServiceID === id)
        .map(({ CheckID, Status }: Record<string, string>) => `${CheckID} ${Status}`)
        .sort()
        .join(', '),
    ]),
  )
}

const becomes = async (t: Test, server: ServerWorld, expected: Record<string, string>) => {
  let last: Record<string, string> = {}
  await until(async () => {
    last = await catalogOf(server)
    return JSON.stringify(last) === JSON.stringify(expected)
  }).catch(() => t.strictSame(last, expected))
  t.strictSame(last, expected)
}

const ALIVE = { '': 'serfHealth passing' }

const register = async (t: Test, { client }: Edge, body: object): Promise<void> => {
  t.equal((await client.put('/v1/agent/service/register', body)).status, 200)
}

t.test('what is registered here stands in the catalog, and goes again', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  const { client } = edge
  await becomes(t, server, ALIVE)
  await register(t, edge, web)
  await becomes(t, server, { 'web-1': 'service:web-1 passing', ...ALIVE })
  const { json } = await client.get('/v1/health/service/web?passing')
  t.match(json, [{ Node: { Node: EDGE }, Service: { ID: 'web-1', Port: 80 } }])
  t.equal((await client.put('/v1/agent/check/fail/service:web-1?note=down')).status, 200)
  await becomes(t, server, { 'web-1': 'service:web-1 critical', ...ALIVE })
  t.equal((await client.get('/v1/health/service/web?passing')).json.length, 0)
  await client.put('/v1/agent/check/register', { Name: 'disk', TTL: '60s', Status: 'passing' })
  await client.put('/v1/agent/maintenance?enable=true')
  await becomes(t, server, {
    'web-1': 'service:web-1 critical',
    '': '_node_maintenance critical, disk passing, serfHealth passing',
  })
  await client.put('/v1/agent/maintenance?enable=false')
  await client.put('/v1/agent/check/deregister/disk')
  t.equal((await client.put('/v1/agent/service/deregister/web-1')).status, 200)
  await becomes(t, server, ALIVE)
  t.strictSame((await client.get('/v1/agent/services')).json, {})
})

t.test('it says of itself that it is no server', async t => {
  const server = await startServer(t)
  const { client } = await startEdge(t, [server])
  const { Config, Member, Stats, DebugConfig } = (await client.get('/v1/agent/self')).json
  t.match(Config, { Server: false, NodeName: EDGE, Datacenter: 'dc1' })
  t.equal(Member.Tags.role, 'node')
  t.match(Stats.consul, { server: 'false', known_servers: '1' })
  t.notOk('raft' in Stats)
  t.equal(DebugConfig.ServerMode, false)
  t.equal((await client.get('/v1/agent/version')).status, 200)
  const metrics = (await client.get('/v1/agent/metrics')).json
  const names = metrics.Gauges.map(({ Name }: { Name: string }) =>
    Name.replace(/^.*client/, 'client'),
  )
  for (const name of ['connected', 'servers', 'sync.pending', 'away_seconds']) {
    t.ok(names.includes(`client.${name}`), name)
  }
})

t.test('what others deregister goes here too; what they put there goes again', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  const { face } = server
  await register(t, edge, web)
  await register(t, edge, { Name: 'db' })
  await becomes(t, server, { db: '', 'web-1': 'service:web-1 passing', ...ALIVE })
  await face.client.put('/v1/catalog/deregister', { Node: EDGE, ServiceID: 'web-1' })
  await until(async () => !('web-1' in (await edge.client.get('/v1/agent/services')).json))
  await until(() => edge.lines.some(line => /deregistered through the catalog/.test(line)))
  await register(t, edge, web)
  await becomes(t, server, { db: '', 'web-1': 'service:web-1 passing', ...ALIVE })
  const foreign = { Node: EDGE, Address: '127.0.0.1', Service: { Service: 'foreign' } }
  await face.client.put('/v1/catalog/register', foreign)
  await becomes(t, server, { db: '', 'web-1': 'service:web-1 passing', ...ALIVE })
  await face.client.put('/v1/catalog/deregister', { Node: EDGE })
  await becomes(t, server, { db: '', 'web-1': 'service:web-1 passing', ...ALIVE })
})

t.test('tags that others may set are taken over', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  const service = { Name: 'web', Tags: ['mine'], EnableTagOverride: true }
  await register(t, edge, service)
  await becomes(t, server, { web: '', ...ALIVE })
  const theirs = {
    Node: EDGE,
    Address: '127.0.0.1',
    Service: { ...service, ID: 'web', Service: 'web', Tags: ['theirs'] },
  }
  const { Name: _, ...Service } = theirs.Service
  await server.face.client.put('/v1/catalog/register', { ...theirs, Service })
  const tagsOf = async () => (await edge.client.get('/v1/agent/service/web')).json.Tags
  await until(async () => (await tagsOf())[0] === 'theirs')
  t.strictSame(await tagsOf(), ['theirs'])
})

t.test('servers that are away: registrations are taken, and told once one is back', async t => {
  const server = await startServer(t)
  const dataDir = t.testdir({ edge: {} })
  const edge = await startEdge(t, [server], { dataDir: `${dataDir}/edge` })
  await becomes(t, server, ALIVE)
  await server.cut()
  await until(() => edge.lines.some(line => /no server is reached/.test(line)))
  await register(t, edge, web)
  await edge.client.put('/v1/agent/check/warn/service:web-1')
  t.match((await edge.client.get('/v1/agent/checks')).json, {
    'service:web-1': { Status: 'warning' },
  })
  t.equal((await edge.client.raw('GET', '/v1/health/service/web')).status, 500)
  const before = await server.face.client.get('/v1/health/service/web')
  t.strictSame(before.json, [])
  edge.channel.learn([{ nodeId: 'server-0', address: await server.serve() }])
  await becomes(t, server, { 'web-1': 'service:web-1 warning', ...ALIVE })
  t.equal((await edge.client.get('/v1/health/service/web')).json.length, 1)
})

t.test('a restart without servers: all is there, and told when they are', async t => {
  const server = await startServer(t)
  const dataDir = `${t.testdir({ edge: {} })}/edge`
  const edge = await startEdge(t, [server], { dataDir })
  await register(t, edge, web)
  await register(t, edge, { Name: 'old' })
  await becomes(t, server, { old: '', 'web-1': 'service:web-1 passing', ...ALIVE })
  edge.channel.learn([])
  await edge.client.put('/v1/agent/service/deregister/old')
  await edge.stop()
  t.ok('old' in (await catalogOf(server)), 'nobody was told')
  const again = await startEdge(t, [server], { dataDir })
  const { servers } = again.channel
  t.strictSame(Object.keys((await again.client.get('/v1/agent/services')).json), ['web-1'])
  await becomes(t, server, { 'web-1': 'service:web-1 passing', ...ALIVE })
  t.equal(servers.length, 1)
})

t.test('a stop leaves the node where it is; leaving removes it', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  await register(t, edge, web)
  await becomes(t, server, { 'web-1': 'service:web-1 passing', ...ALIVE })
  await edge.stop()
  t.ok('web-1' in (await catalogOf(server)))
  const again = await startEdge(t, [server])
  await becomes(t, server, ALIVE)
  await again.stop(true)
  t.strictSame(await catalogOf(server), {})
})

t.test('definitions of files', async t => {
  const server = await startServer(t)
  const hcl = 'service { name = "filed" id = "f-1" port = 1 }\nnode_meta { rack = "a7" }'
  const edge = await startEdge(t, [server], { hcl })
  await becomes(t, server, { 'f-1': '', ...ALIVE })
  const { Node } = (await edge.client.get(`/v1/catalog/node/${EDGE}`)).json
  t.match(Node, { Meta: { rack: 'a7' }, TaggedAddresses: { lan: '127.0.0.1' } })
})
