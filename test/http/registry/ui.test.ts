/**
 * What the web interface reads, and what operators count. On every engine.
 */
import t from 'tap'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

async function fill(client: Client): Promise<void> {
  for (const at of [1, 2]) {
    await client.put('/v1/catalog/register', {
      Node: `n${at}`,
      Address: `10.0.0.${at}`,
      Service: { ID: `w${at}`, Service: 'web', Tags: [`t${at}`] },
      Checks: [
        { CheckID: 'n', Name: 'alive', Status: 'passing' },
        { CheckID: 'c', Name: 'probe', Status: 'critical', ServiceID: `w${at}` },
      ],
    })
  }
}

onEveryEngine(t, async (t, newStore) => {
  t.test('nodes and services as the interface lists them', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await fill(client)
    const nodes = (await client.get('/v1/internal/ui/nodes')).json
    t.strictSame(
      nodes.map((one: { Node: string }) => one.Node),
      [NODE, 'n1', 'n2'],
    )
    t.match(nodes[1], {
      Address: '10.0.0.1',
      Services: [{ ID: 'w1' }],
      Checks: [{ CheckID: 'c' }, { CheckID: 'n' }],
    })
    const one = await client.get('/v1/internal/ui/node/n1')
    t.strictSame(one.json, nodes[1])
    t.equal((await client.get('/v1/internal/ui/node/none')).status, 404)
    const services = (await client.get('/v1/internal/ui/services')).json
    t.strictSame(services[1], {
      Name: 'web',
      Datacenter: 'dc1',
      Tags: ['t1', 't2'],
      Nodes: ['n1', 'n2'],
      ExternalSources: null,
      InstanceCount: 2,
      ChecksPassing: 2,
      ChecksWarning: 0,
      ChecksCritical: 2,
      GatewayConfig: {},
      TransparentProxy: false,
      ConnectNative: false,
      ConnectedWithProxy: false,
      ConnectedWithGateway: false,
    })
    t.equal(services[0].Name, 'consul')
    const overview = (await client.get('/v1/internal/ui/catalog-overview')).json
    t.strictSame(overview.Nodes, [{ Total: 3, Passing: 3, Warning: 0, Critical: 0 }])
    t.strictSame(overview.Services, [
      { Name: 'consul', Total: 1, Passing: 1, Warning: 0, Critical: 0 },
      { Name: 'web', Total: 2, Passing: 0, Warning: 0, Critical: 2 },
    ])
    t.equal(overview.Checks.length, 3)
    const { Usage, Index } = (await client.get('/v1/operator/usage')).json
    t.match(Usage.dc1, {
      Services: 2,
      ServiceInstances: 3,
      BillableServiceInstances: 2,
      Nodes: 3,
      ConnectServiceInstances: { 'connect-native': 0, 'mesh-gateway': 0 },
    })
    t.ok(Index > 0)
  })
})

t.test('they can be filtered', async t => {
  const { client } = await startFace(t)
  await fill(client)
  const get = async (path: string, filter: string) =>
    (await client.get(`/v1/internal/ui/${path}?filter=${encodeURIComponent(filter)}`)).json
  const nodes = await get('nodes', 'Services.Tags contains t2 and Checks.Status == critical')
  t.strictSame(
    nodes.map((one: { Node: string }) => one.Node),
    ['n2'],
  )
  const services = await get('services', 'Node.Node == n1')
  t.match(services, [{ Name: 'web', InstanceCount: 1, ChecksCritical: 1 }])
  t.equal(services.length, 1)
})

t.test('they wake for every change of the catalog', async t => {
  const { client, waiting } = await startFace(t)
  await fill(client)
  for (const path of ['nodes', 'services', 'node/n1']) {
    const { index } = await client.get(`/v1/internal/ui/${path}`)
    const asked = client.get(`/v1/internal/ui/${path}?index=${index}&wait=60s`)
    await waiting(1)
    const check = { CheckID: 'n', Name: 'alive', Status: 'passing', Output: path }
    await client.put('/v1/catalog/register', { Node: 'n1', Address: '10.0.0.1', Check: check })
    t.ok((await asked).index > index, path)
  }
})

t.test('what there is none of is empty, and what would need the mesh is not served', async t => {
  const { client } = await startFace(t)
  const empty = ['exported-services?peer=x', 'gateway-services-nodes/gw', 'gateway-intentions/gw']
  for (const path of empty) t.equal((await client.get(`/v1/internal/ui/${path}`)).text, '[]', path)
  for (const path of ['gateway-services-nodes/', 'gateway-intentions/']) {
    const { status, text } = await client.get(`/v1/internal/ui/${path}`)
    t.strictSame([status, text], [400, 'Missing gateway name'])
  }
  const topology = await client.get('/v1/internal/ui/service-topology/web?kind=')
  t.equal(topology.status, 501)
})
