/**
 * Configuration entries over HTTP. On every engine.
 */
import t from 'tap'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

const web = { Kind: 'service-defaults', Name: 'web', Protocol: 'http' }
/** What every entry of this kind says besides. */
const defaults = { TransparentProxy: {}, MeshGateway: {}, Expose: {} }

/** The fields that the server adds, checked and taken off. */
function withoutMeta(entry: Record<string, unknown>): Record<string, unknown> {
  const { Hash, CreateIndex, ModifyIndex, ...rest } = entry
  if (!(Number(CreateIndex) >= 1 && Number(ModifyIndex) >= Number(CreateIndex))) {
    throw new Error('no indexes')
  }
  return rest
}

onEveryEngine(t, async (t, newStore) => {
  t.test('write, read, list, delete', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    t.equal((await client.put('/v1/config', web)).text, 'true')
    await client.put('/v1/config', { Kind: 'service-defaults', Name: 'api' })
    await client.put('/v1/config', { kind: 'proxy-defaults', config: { protocol: 'http' } })
    const read = await client.get('/v1/config/service-defaults/web')
    t.strictSame(withoutMeta(read.json), { ...web, ...defaults })
    t.equal(read.index, read.json.ModifyIndex)
    const names = async (path: string) =>
      (await client.get(path)).json.map((one: { Kind: string; Name: string }) => one.Name)
    t.strictSame(await names('/v1/config/service-defaults'), ['api', 'web'])
    t.strictSame(await names('/v1/config/'), ['global', 'api', 'web'])
    t.strictSame(await names('/v1/config/service-resolver'), [])
    t.strictSame(await names('/v1/config/service-defaults?filter=Name==web'), ['web'])
    t.strictSame(await names('/v1/config/?filter=Kind!=%22service-defaults%22'), ['global'])
    t.equal((await client.get('/v1/config/?filter=Nosuch==a')).status, 500)
    t.equal((await client.delete('/v1/config/service-defaults/web')).text, '{}')
    t.equal((await client.delete('/v1/config/service-defaults/web')).text, '{}')
    const gone = await client.get('/v1/config/service-defaults/web')
    t.strictSame(
      [gone.status, gone.text],
      [404, 'Config entry not found for "service-defaults" / "web"'],
    )
    t.ok(gone.index > read.index, 'a 404 has an index, of the deletion')
  })

  t.test('an equal entry changes nothing; names have no case', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/config', web)
    const before = await client.get('/v1/config/service-defaults/web')
    t.equal((await client.put('/v1/config', web)).text, 'true')
    t.equal((await client.put('/v1/config', { ...web, Protocol: 'HTTP' })).text, 'true')
    t.equal((await client.get('/v1/config/service-defaults/WEB')).text, before.text)
    await client.put('/v1/config', { ...web, Protocol: 'grpc' })
    const after = await client.get('/v1/config/service-defaults/web')
    t.ok(after.index > before.index)
    t.not(/"Hash":(\d+)/.exec(after.text)?.[1], /"Hash":(\d+)/.exec(before.text)?.[1])
  })

  t.test('check and set', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const put = async (cas: number) => (await client.put(`/v1/config?cas=${cas}`, web)).text
    const path = '/v1/config/service-defaults/web'
    const remove = async (cas: number) => (await client.delete(`${path}?cas=${cas}`)).text
    t.equal(await put(7), 'false')
    t.equal(await put(0), 'true')
    t.equal(await put(0), 'false')
    const { ModifyIndex } = (await client.get(path)).json
    t.equal(await put(ModifyIndex), 'true')
    t.equal(await remove(0), 'false')
    t.equal(await remove(ModifyIndex + 1), 'false')
    t.equal(await remove(ModifyIndex), 'true')
    t.equal(await remove(ModifyIndex), 'true', 'of a missing entry')
    t.equal((await client.put('/v1/config?cas=x', web)).status, 500)
  })

  t.test('who waits is woken by its own entry or kind alone', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    await client.put('/v1/config', web)
    const one = '/v1/config/service-defaults/web'
    const { index } = await client.get(one)
    const onOne = client.get(`${one}?index=${index}&wait=600s`)
    const kind = '/v1/config/service-defaults'
    const onKind = client.get(`${kind}?index=${index}&wait=600s`)
    const resolvers = await client.get('/v1/config/service-resolver')
    const onOther = client.get(`/v1/config/service-resolver?index=${resolvers.index}&wait=600s`)
    await waiting(3)
    await client.put('/v1/config', { Kind: 'service-defaults', Name: 'api' })
    t.equal((await onKind).json.length, 2)
    await waiting(2)
    await client.put('/v1/config', { ...web, Protocol: 'tcp' })
    t.match((await onOne).json, { Protocol: 'tcp' })
    await waiting(1)
    await client.put('/v1/config', { Kind: 'service-resolver', Name: 'web' })
    t.equal((await onOther).json.length, 1)
    const deleted = client.get(`${kind}?index=${(await client.get(kind)).index}&wait=600s`)
    await waiting(1)
    await client.delete('/v1/config/service-defaults/api')
    t.equal((await deleted).json.length, 1)
  })
})

t.test('trap 38: an entry comes back as it was written, with its defaults', async t => {
  const { client } = await startFace(t)
  const overrides = {
    Overrides: [
      {
        Name: 'db',
        Protocol: 'tcp',
        ConnectTimeoutMs: 100,
        Limits: { MaxConnections: 0 },
        PassiveHealthCheck: { Interval: 10_000_000_000, EnforcingConsecutive5xx: 0 },
        MeshGateway: { Mode: 'local' },
      },
    ],
    Defaults: { MeshGateway: {} },
  }
  const entries = [
    {
      Kind: 'service-defaults',
      Name: 'web',
      Protocol: 'http',
      TransparentProxy: { OutboundListenerPort: 15001 },
      MeshGateway: { Mode: 'remote' },
      Expose: { Checks: true, Paths: [{ Path: '/health', LocalPathPort: 80, ListenerPort: 1 }] },
      ExternalSNI: 'a.b',
      UpstreamConfig: overrides,
      Meta: { owner_name: 'x' },
    },
    {
      Kind: 'proxy-defaults',
      Name: 'global',
      Config: { local_connect_timeout_ms: 1000, nested: { a_b: [1, 'x', null] } },
      ...defaults,
      AccessLogs: {},
    },
    {
      Kind: 'service-resolver',
      Name: 'web',
      DefaultSubset: 'v1',
      Subsets: { v1: { Filter: 'Service.Meta.version == v1' }, v2: { OnlyPassing: true } },
      Failover: {
        '*': { Service: 'other', Datacenters: ['dc2'] },
        v2: { Targets: [{ Service: 'x' }] },
      },
      ConnectTimeout: '15s',
      LoadBalancer: {
        Policy: 'ring_hash',
        RingHashConfig: { MinimumRingSize: 3 },
        HashPolicies: [{ Field: 'cookie', FieldValue: 'a', CookieConfig: { TTL: 3_000_000_000 } }],
      },
    },
    {
      Kind: 'service-intentions',
      Name: 'web',
      Sources: [
        {
          Name: 'api',
          Permissions: [
            { Action: 'allow', HTTP: { PathPrefix: '/v1', Methods: ['GET'] } },
            { Action: 'deny', HTTP: { Header: [{ Name: 'x', Present: true }] } },
          ],
          Precedence: 9,
          Type: 'consul',
        },
        { Name: '*', Action: 'deny', Precedence: 8, Type: 'consul', Description: 'the rest' },
      ],
    },
  ]
  for (const service of ['other', 'x']) {
    await client.put('/v1/config', { Kind: 'service-defaults', Name: service, Protocol: 'http' })
  }
  for (const entry of entries) {
    const written = await client.put('/v1/config', entry)
    t.equal(written.text, 'true', `${entry.Kind}: ${written.text}`)
    const read = await client.get(`/v1/config/${entry.Kind}/${entry.Name}`)
    t.strictSame(withoutMeta(read.json), entry, entry.Kind)
    const hash = BigInt(/"Hash":(\d+)/.exec(read.text)?.[1] ?? 0)
    t.ok(hash > 2n ** 53n && hash < 2n ** 64n, 'its hash has 64 bits')
    t.equal((await client.put('/v1/config', read.text)).text, 'true', 'and can be sent back')
    t.equal((await client.get(`/v1/config/${entry.Kind}/${entry.Name}`)).index, read.index)
  }
})

t.test('names of fields in both forms, types taken loosely', async t => {
  const { client } = await startFace(t)
  const loose = {
    kind: 'service-defaults',
    name: 'web',
    protocol: 'GRPC',
    transparent_proxy: [{ dialed_directly: 'true' }],
    max_inbound_connections: '5',
    upstream_config: {
      overrides: {
        name: 'db',
        envoy_listener_json: '{}',
        passive_health_check: { interval: '10s', enforcing_consecutive_5xx: 7 },
      },
    },
    namespace: 'default',
  }
  t.equal((await client.put('/v1/config', loose)).text, 'true')
  t.match((await client.get('/v1/config/service-defaults/web')).json, {
    Protocol: 'grpc',
    TransparentProxy: { DialedDirectly: true },
    MaxInboundConnections: 5,
    UpstreamConfig: {
      Overrides: [
        {
          Name: 'db',
          EnvoyListenerJSON: '{}',
          PassiveHealthCheck: { Interval: 10e9, EnforcingConsecutive5xx: 7 },
        },
      ],
    },
  })
})

t.test('refusals', async t => {
  const { client } = await startFace(t)
  const kinds = 'Request decoding failed: invalid config entry kind: nosuch'
  const bodies: [unknown, number, string | RegExp][] = [
    ['', 400, 'Request decoding failed: EOF'],
    ['{', 400, /^Request decoding failed: /],
    ['[]', 400, /Payload does not contain a kind\/Kind key at the top level/],
    [{ Name: 'web' }, 400, /Payload does not contain a kind\/Kind key at the top level/],
    [{ Kind: 5 }, 400, /Kind value in payload is not a string/],
    [{ Kind: 'nosuch' }, 400, kinds],
    [{ Kind: 'service-defaults', Name: 'web', Foo: 1 }, 400, /invalid config key "Foo"/],
    [{ ...web, Expose: { foo: 1 }, bar: 2 }, 400, /2 errors occurred:\n.*invalid config key/],
    [{ ...web, Namespace: 'a' }, 400, /namespaces are a consul enterprise feature/],
    [{ ...web, Partition: 'a' }, 400, /invalid config key "Partition"/],
    [{ ...web, Protocol: {} }, 400, /'Protocol' expected type 'string'/],
    [{ ...web, MaxInboundConnections: 'x' }, 400, /'MaxInboundConnections' expected/],
    [{ ...web, Meta: 5 }, 400, /'Meta' expected a map/],
    [{ Kind: 'service-defaults' }, 500, 'Name is required'],
    [{ ...web, Meta: { a: 'x'.repeat(513) } }, 500, /exceeds maximum length 512/],
    [{ ...web, MeshGateway: { Mode: 'x' } }, 500, /Invalid Mesh Gateway Mode/],
    [{ Kind: 'proxy-defaults', Name: 'x' }, 500, 'invalid name ("x"), only "global" is supported'],
    [{ Kind: 'sameness-group', Name: 'x' }, 500, 'sameness-groups are an enterprise-only feature'],
    [
      { Kind: 'service-router', Name: 'x' },
      501,
      'not served yet: config entries of kind "service-router"',
    ],
  ]
  for (const [body, status, text] of bodies) {
    const answered = await client.put('/v1/config', body as object)
    t.equal(answered.status, status, JSON.stringify(body))
    t.match(answered.text, text)
  }
  t.equal((await client.get('/v1/config/')).text, '[]', 'nothing was written')
  const paths: [string, string, number, string][] = [
    ['GET', '/v1/config/nosuch', 500, 'invalid config entry kind: nosuch'],
    ['GET', '/v1/config/nosuch/x', 500, 'invalid config entry kind: nosuch'],
    ['GET', '/v1/config/mesh', 501, 'not served yet: config entries of kind "mesh"'],
    ['GET', '/v1/config/mesh/mesh', 501, 'not served yet: config entries of kind "mesh"'],
    ['DELETE', '/v1/config/mesh/mesh', 501, 'not served yet: config entries of kind "mesh"'],
    ['DELETE', '/v1/config/nosuch/x', 400, 'invalid config entry kind: nosuch'],
    ['DELETE', '/v1/config/web', 404, 'Must provide both a kind and name to delete'],
    [
      'DELETE',
      '/v1/config/proxy-defaults/x',
      500,
      'invalid name ("x"), only "global" is supported',
    ],
    [
      'GET',
      '/v1/config/service-defaults/',
      404,
      'Config entry not found for "service-defaults" / ""',
    ],
    [
      'GET',
      '/v1/config/proxy-defaults/global',
      404,
      'Config entry not found for "proxy-defaults" / "global"',
    ],
  ]
  for (const [method, path, status, text] of paths) {
    const answered = await client.send(method, path)
    t.strictSame([answered.status, answered.text], [status, text], `${method} ${path}`)
  }
  t.equal((await client.raw('GET', '/v1/config')).status, 405)
  t.equal((await client.get('/v1/config/sameness-group')).text, '[]', 'none can be')
  t.equal((await client.get('/v1/config/sameness-group/x')).status, 404)
})

t.test('what would break another entry is refused', async t => {
  const { client } = await startFace(t)
  const put = async (body: object) => (await client.put('/v1/config', body)).text
  const permitting = {
    Kind: 'service-intentions',
    Name: 'web',
    Sources: [{ Name: 'a', Permissions: [{ Action: 'allow', HTTP: { PathPrefix: '/' } }] }],
  }
  const incompatible =
    'service "web" has protocol "tcp", which is incompatible with L7 intentions permissions'
  t.equal(await put(permitting), incompatible)
  t.equal(await put(web), 'true')
  t.equal(await put(permitting), 'true')
  t.equal(await put({ ...web, Protocol: 'tcp' }), incompatible)
  const kept = await client.delete('/v1/config/service-defaults/web')
  t.strictSame([kept.status, kept.text], [500, incompatible])
  t.match(
    await put({ Kind: 'service-resolver', Name: 'web', Redirect: { Service: 'old' } }),
    'discovery chain "web" uses inconsistent protocols; service "old" has "tcp" which is not "http"',
  )
})

t.test('merge-central-config leaves alone what is no proxy', async t => {
  const { client } = await startFace(t)
  await client.put('/v1/agent/service/register', { Name: 'web', Port: 80, Meta: { a: 'b' } })
  await client.put('/v1/config', { Kind: 'proxy-defaults', Config: { protocol: 'http' } })
  await client.put('/v1/config', { ...web, MaxInboundConnections: 5 })
  const paths = [
    '/v1/catalog/service/web',
    '/v1/catalog/node-services/alpha',
    '/v1/health/service/web',
  ]
  for (const path of paths) {
    const plain = await client.get(path)
    t.equal((await client.get(`${path}?merge-central-config`)).text, plain.text, path)
    t.match(plain.text, /"web"/)
  }
})
