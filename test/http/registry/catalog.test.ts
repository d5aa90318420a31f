/**
 * The paths of the catalog: what registrations leave, what lists show and in which order, and the
 * words of every refusal. On every engine.
 */
import t from 'tap'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

const UUID = '1a2b3c4d-0000-4000-8000-00000000000a'

onEveryEngine(t, async (t, newStore) => {
  t.test('a node, a service and checks, as they are read back', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const registered = await client.put('/v1/catalog/register', {
      ID: UUID.toUpperCase(),
      Node: 'db1',
      Address: '10.0.0.5',
      TaggedAddresses: { lan: '10.0.0.5', wan: '1.2.3.4' },
      NodeMeta: { zone: 'a' },
      Service: {
        ID: 'pg-1',
        Service: 'pg',
        Tags: ['primary', 'v1'],
        Address: '10.0.0.6',
        TaggedAddresses: { virtual: { Address: '240.0.0.1', Port: 5 } },
        Meta: { version: '17' },
        Port: 5432,
        Weights: { Passing: 10, Warning: 2 },
        EnableTagOverride: true,
        SocketPath: '/run/pg',
        Connect: { Native: true },
      },
      Check: {
        CheckID: 'c1',
        Name: 'up',
        Status: 'passing',
        ServiceID: 'pg-1',
        Output: 'fine',
        Type: 'http',
        Interval: '10s',
        Definition: {
          HTTP: 'http://x/',
          Header: { A: ['b'] },
          Interval: '10s',
          TLSSkipVerify: true,
          Timeout: '0s',
          TCP: '',
          DeregisterCriticalServiceAfter: '30m0s',
        },
      },
      Checks: [{ Name: 'disk' }],
    })
    t.equal(registered.text, 'true')

    const [node] = (await client.get('/v1/catalog/nodes?node-meta=zone:a')).json
    t.match(node, { ID: UUID, Node: 'db1', Address: '10.0.0.5', Datacenter: 'dc1' })
    t.strictSame(node.TaggedAddresses, { lan: '10.0.0.5', wan: '1.2.3.4' })
    t.strictSame(node.Meta, { zone: 'a' })

    const [instance] = (await client.get('/v1/catalog/service/pg')).json
    t.match(instance, {
      ID: UUID,
      Node: 'db1',
      NodeMeta: { zone: 'a' },
      ServiceKind: '',
      ServiceID: 'pg-1',
      ServiceName: 'pg',
      ServiceTags: ['primary', 'v1'],
      ServiceAddress: '10.0.0.6',
      ServiceTaggedAddresses: { virtual: { Address: '240.0.0.1', Port: 5 } },
      ServiceWeights: { Passing: 10, Warning: 2 },
      ServiceMeta: { version: '17' },
      ServicePort: 5432,
      ServiceSocketPath: '/run/pg',
      ServiceEnableTagOverride: true,
      ServiceConnect: { Native: true },
      ServiceProxy: { Mode: '', MeshGateway: {}, Expose: {} },
    })

    const onNode = (await client.get('/v1/catalog/node/DB1')).json
    t.match(onNode.Node, node)
    t.match(onNode.Services['pg-1'], { Service: 'pg', Port: 5432, EnableTagOverride: true })
    const listed = (await client.get('/v1/catalog/node-services/db1')).json
    t.strictSame(listed.Services, [onNode.Services['pg-1']])

    const [health] = (await client.get('/v1/health/service/pg')).json
    t.strictSame(health.Node, node)
    t.strictSame(health.Service, onNode.Services['pg-1'])
    t.strictSame(
      health.Checks.map((check: { CheckID: string }) => check.CheckID),
      ['disk', 'c1'],
    )
    const [disk, up] = health.Checks
    t.match(disk, { Name: 'disk', Status: 'critical', ServiceID: '', ServiceTags: [] })
    t.match(up, { Node: 'db1', ServiceName: 'pg', ServiceTags: ['primary', 'v1'], Type: 'http' })
    t.strictSame(up.Definition, {
      HTTP: 'http://x/',
      TLSSkipVerify: true,
      Header: { A: ['b'] },
      Interval: '10s',
      DeregisterCriticalServiceAfter: '30m0s',
    })
  })

  t.test('trap 08: Ports both ways', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const service = (Ports: object[], more: object = {}) =>
      client.put('/v1/catalog/register', {
        Node: 'n',
        Address: '10.0.0.1',
        Service: { Service: 'multi', Ports, ...more },
      })
    await service([
      { name: 'http', port: 80 },
      { name: 'admin', port: 81, default: true },
    ])
    const Ports = [
      { Name: 'http', Port: 80, Default: false },
      { Name: 'admin', Port: 81, Default: true },
    ]
    const [instance] = (await client.get('/v1/catalog/service/multi')).json
    t.equal(instance.ServicePort, 81, 'filled from the default entry')
    t.strictSame(instance.ServicePorts, Ports)
    const { Service } = (await client.get('/v1/health/service/multi')).json[0]
    t.equal(Service.Port, 81)
    t.strictSame(Service.Ports, Ports)
    await service([{ name: 'only', port: 90 }])
    t.equal((await client.get('/v1/catalog/service/multi')).json[0].ServicePort, 90)
    await service([], { Port: 91 })
    const [single] = (await client.get('/v1/catalog/service/multi')).json
    t.equal(single.ServicePort, 91)
    t.notOk('ServicePorts' in single)
    t.equal((await service([{ name: 'a', port: 1 }], { Port: 2 })).status, 500, 'one or the other')
  })

  t.test('trap 07: the same order in catalog and health', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    for (const [node, id] of [
      ['b', 'w2'],
      ['a', 'w9'],
      ['B2', 'w1'],
      ['b', 'w1'],
      ['a', 'w10'],
    ]) {
      const body = { Node: node, Address: '10.0.0.1', Service: { ID: id, Service: 'Web' } }
      await client.put('/v1/catalog/register', body)
    }
    const catalog = (await client.get('/v1/catalog/service/web')).json
    const health = (await client.get('/v1/health/service/WEB')).json
    const order = ['a w10', 'a w9', 'b w1', 'b w2', 'B2 w1']
    t.strictSame(
      catalog.map((one: Record<string, string>) => `${one.Node} ${one.ServiceID}`),
      order,
    )
    t.strictSame(
      health.map(
        (one: Record<string, Record<string, string>>) => `${one.Node!.Node} ${one.Service!.ID}`,
      ),
      order,
    )
  })

  t.test('trap 27: several tags are joined by and, without case; so is meta', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const register = (Node: string, Tags: string[], NodeMeta: object) =>
      client.put('/v1/catalog/register', {
        Node,
        Address: '10.0.0.1',
        NodeMeta,
        Service: { Service: 'web', Tags },
      })
    await register('a', ['v1', 'Blue'], { zone: '1', disk: 'ssd' })
    await register('b', ['v1'], { zone: '1' })
    const found = async (query: string): Promise<string> => {
      const catalog = (await client.get(`/v1/catalog/service/web?${query}`)).json
      const health = (await client.get(`/v1/health/service/web?${query}`)).json
      const names = catalog.map((one: { Node: string }) => one.Node).join('')
      t.equal(health.map((one: { Node: { Node: string } }) => one.Node.Node).join(''), names, query)
      return names
    }
    t.equal(await found(''), 'ab')
    t.equal(await found('tag=V1'), 'ab')
    t.equal(await found('tag=v1&tag=blue'), 'a')
    t.equal(await found('tag=blue&tag=green'), '')
    t.equal(await found('node-meta=zone:1'), 'ab')
    t.equal(await found('node-meta=zone:1&node-meta=disk:ssd'), 'a')
    t.equal(await found('node-meta=zone:2'), '')
    t.equal(await found('near=_agent&merge-central-config'), 'ab')
    t.strictSame((await client.get('/v1/catalog/services?node-meta=disk:ssd')).json, {
      web: ['Blue', 'v1'],
    })
    const all = { consul: [], web: ['Blue', 'v1'] }
    t.strictSame((await client.get('/v1/catalog/services')).json, all)
  })

  t.test('trap 03: null for an unknown node, [] elsewhere', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    t.equal((await client.get('/v1/catalog/node/none')).text, 'null')
    const none = (await client.get('/v1/catalog/node-services/none')).text
    t.equal(none, '{"Node":null,"Services":null}')
    const empty = [
      '/v1/catalog/service/none',
      '/v1/catalog/nodes?node-meta=no:where',
      '/v1/health/service/none',
      '/v1/health/checks/none',
      '/v1/health/node/none',
      '/v1/health/state/none',
      '/v1/session/list',
      '/v1/session/node/none',
      '/v1/session/info/none',
    ]
    for (const path of empty) t.equal((await client.get(path)).text, '[]', path)
    t.equal((await client.get('/v1/catalog/services?node-meta=no:where')).text, '{}')
  })

  t.test('deregister: a check, a service with its checks, a node with all on it', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const register = (id: string) =>
      client.put('/v1/catalog/register', {
        Node: 'n',
        Address: '10.0.0.1',
        Service: { ID: id, Service: 'web' },
        Check: { CheckID: `c-${id}`, Name: 'c', ServiceID: id },
      })
    const deregister = async (what: object) => {
      const answered = await client.put('/v1/catalog/deregister', { Node: 'n', ...what })
      t.equal(answered.text, 'true')
    }
    const state = async () => {
      const { Services = {} } = (await client.get('/v1/catalog/node/n')).json ?? {}
      const checks = (await client.get('/v1/health/node/n')).json
      const ids = checks.map((check: { CheckID: string }) => check.CheckID)
      return [Object.keys(Services).join(), ids.join()]
    }
    await register('a')
    await register('b')
    t.strictSame(await state(), ['a,b', 'c-a,c-b'])
    await deregister({ ServiceID: 'a', CheckID: 'c-b' })
    t.strictSame(await state(), ['a,b', 'c-a'], 'the check goes before the service')
    await deregister({ ServiceID: 'a' })
    t.strictSame(await state(), ['b', ''])
    await deregister({ ServiceID: 'nosuch' })
    await deregister({ CheckID: 'nosuch' })
    t.strictSame(await state(), ['b', ''])
    await deregister({})
    t.equal((await client.get('/v1/catalog/node/n')).text, 'null')
    await deregister({})
  })

  t.test('trap 04: an equal registration changes no index', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const body = {
      Node: 'n',
      Address: '10.0.0.1',
      Service: { Service: 'web', Tags: ['a'], Meta: { k: 'v' } },
      Check: { Name: 'c', Status: 'passing' },
    }
    await client.put('/v1/catalog/register', body)
    const paths = ['/v1/catalog/service/web', '/v1/health/service/web', '/v1/catalog/nodes']
    const before = await Promise.all(paths.map(path => client.get(path)))
    await client.put('/v1/catalog/register', body)
    for (const [i, path] of paths.entries()) {
      const after = await client.get(path)
      t.equal(after.index, before[i]!.index, path)
      t.equal(after.text, before[i]!.text)
    }
    await client.put('/v1/catalog/register', { ...body, Service: { Service: 'web', Tags: ['b'] } })
    const [instance] = (await client.get('/v1/catalog/service/web')).json
    t.ok(instance.ModifyIndex > before[0]!.json[0].ModifyIndex)
    t.equal(instance.CreateIndex, before[0]!.json[0].CreateIndex)
  })

  t.test('a node keeps its id under a new name, and a living holder its name', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const node = (Node: string, ID: string, more: object = {}) =>
      client.put('/v1/catalog/register', { Node, ID, Address: '10.0.0.1', ...more })
    await node('old', UUID, { Service: { Service: 'web' } })
    await node('new', UUID)
    t.equal((await client.get('/v1/catalog/node/old')).text, 'null')
    t.equal((await client.get('/v1/catalog/node/new')).json.Node.ID, UUID)
    const taken = await node(NODE, UUID)
    t.equal(taken.status, 500)
    t.match(taken.text, `Node name ${NODE} is reserved by node`)
    t.equal((await client.get('/v1/catalog/node/new')).status, 200, 'nothing was changed')
  })

  t.test('SkipNodeUpdate leaves the node alone', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/catalog/register', { Node: 'n', Address: '10.0.0.1' })
    await client.put('/v1/catalog/register', {
      Node: 'n',
      Address: '10.9.9.9',
      SkipNodeUpdate: true,
      Service: { Service: 'web' },
    })
    const { Node, Services } = (await client.get('/v1/catalog/node/n')).json
    t.equal(Node.Address, '10.0.0.1')
    t.ok(Services.web)
  })
})

t.test('refusals of a registration, by their words', async t => {
  const { client } = await startFace(t)
  const n = { Node: 'n', Address: '10.0.0.1' }
  const refused: [object | string, number, string | RegExp][] = [
    ['', 400, 'Request decode failed: EOF'],
    ['{', 400, /^Request decode failed: invalid character/],
    [{ ...n, Nope: 1 }, 400, 'Request decode failed: json: unknown field "Nope"'],
    [
      { ...n, Service: { Port: '80' } },
      400,
      /^Request decode failed: json: cannot unmarshal string/,
    ],
    [{ ...n, Check: { Nope: 1 } }, 400, 'Request decode failed: json: unknown field "Nope"'],
    [{}, 500, 'Must provide node'],
    [{ Node: 'n' }, 500, 'Must provide address if SkipNodeUpdate is not set'],
    [{ ...n, ID: 'abc' }, 500, 'Bad node ID: uuid string is wrong length'],
    [{ ...n, ID: 'x'.repeat(36) }, 500, /^Bad node ID: /],
    [
      { ...n, Service: { ID: 'a' } },
      500,
      'Must provide service name (Service.Service) when service ID is provided',
    ],
    [{ ...n, Service: { Service: 'a', Address: '0.0.0.0' } }, 500, 'Invalid service address'],
    [
      { ...n, Check: { CheckID: 'c', ServiceID: 'x' } },
      500,
      "Unknown service ID 'x' for check ID 'c'",
    ],
    [{ ...n, Check: { CheckID: 'c', Node: 'm' } }, 500, /^Node 'm' for check/],
    [{ ...n, Check: {} }, 500, 'Must provide a check ID or name'],
    [{ ...n, Check: { Name: 'c', Status: 'bad' } }, 400, "Invalid check status: 'bad'"],
    [{ ...n, Datacenter: 'other' }, 500, 'No path to datacenter'],
    [{ ...n, Namespace: 'other' }, 400, /Namespaces is a Consul Enterprise feature$/],
    [{ ...n, PeerName: 'p' }, 501, 'not served yet: PeerName'],
    [{ ...n, Locality: { Region: 'r' } }, 501, 'not served yet: Locality'],
    [
      { ...n, Service: { Service: 'p', Kind: 'connect-proxy' } },
      501,
      'not served yet: Kind connect-proxy',
    ],
    [
      { ...n, Service: { Service: 'p', Proxy: { DestinationServiceName: 'x' } } },
      501,
      'not served yet: Proxy',
    ],
    [
      { ...n, Service: { Service: 'p', Connect: { SidecarService: {} } } },
      501,
      'not served yet: Connect.SidecarService',
    ],
  ]
  for (const [body, status, text] of refused) {
    const answered = await client.put('/v1/catalog/register', body)
    t.equal(answered.status, status, JSON.stringify(body))
    t.match(answered.text, text)
  }
  t.equal((await client.get('/v1/catalog/node/n')).text, 'null', 'nothing is half done')
  const read = { Mode: '', MeshGateway: {}, Expose: {} }
  const again = { ...n, Service: { Service: 'a', Proxy: read, Connect: {}, Namespace: 'default' } }
  t.equal((await client.put('/v1/catalog/register', again)).text, 'true', 'what was read is taken')
})

t.test('refusals of a deregistration and of reads', async t => {
  const { client } = await startFace(t)
  const refused: [object | string, number, string][] = [
    ['', 400, 'Request decode failed: EOF'],
    [{ Nod: 'n' }, 400, 'Request decode failed: json: unknown field "Nod"'],
    [{}, 500, 'Must provide node'],
    [{ Node: 'n', Datacenter: 'x' }, 500, 'No path to datacenter'],
    [{ Node: 'n', PeerName: 'p' }, 501, 'not served yet: PeerName'],
  ]
  for (const [body, status, text] of refused) {
    const answered = await client.put('/v1/catalog/deregister', body)
    t.equal(answered.status, status, JSON.stringify(body))
    t.equal(answered.text, text)
  }
  const reads: Record<string, string> = {
    '/v1/catalog/service/': 'Missing service name',
    '/v1/catalog/node/': 'Missing node name',
    '/v1/catalog/node-services/': 'Missing node name',
    '/v1/catalog/service/a?merge-central-config=maybe': 'Invalid value for ?merge-central-config',
  }
  for (const [path, text] of Object.entries(reads)) {
    const answered = await client.get(path)
    t.equal(answered.status, 400, path)
    t.equal(answered.text, text)
  }
  for (const query of ['peer=a', 'sg=a']) {
    t.equal((await client.get(`/v1/catalog/service/a?${query}`)).status, 501, query)
  }
})

t.test('bodies as python-consul writes them', async t => {
  const { client } = await startFace(t)
  const body = {
    node: 'py',
    address: '10.0.0.1',
    service: { service: 'web', tags: ['a'], port: 80 },
    check: { name: 'c', status: 'passing', notes: 'n', serviceid: 'web', checkid: 'c1' },
  }
  t.equal((await client.put('/v1/catalog/register', body)).text, 'true')
  const [{ Service, Checks }] = (await client.get('/v1/health/service/web?passing=1')).json
  t.match(Service, { ID: 'web', Port: 80, Weights: { Passing: 1, Warning: 1 }, Meta: {} })
  t.match(Checks, [{ CheckID: 'c1', Notes: 'n' }])
})
