/**
 * The paths of the agent's own services and checks. On every engine.
 */
import t from 'tap'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

const register = (client: Client, body: object | string, query = '') =>
  client.put(`/v1/agent/service/register${query}`, body)

const statusOf = async (client: Client, id: string): Promise<unknown> =>
  (await client.get('/v1/agent/checks')).json[id]?.Status

onEveryEngine(t, async (t, newStore) => {
  t.test('a service as the agent and as the catalog show it', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const answered = await register(client, {
      Name: 'web',
      ID: 'web-1',
      Tags: ['a'],
      Address: '10.0.0.7',
      Port: 80,
      Meta: { k: 'v' },
      Weights: { Passing: 5, Warning: 1 },
      Check: { TTL: '10s', Notes: 'n' },
    })
    t.strictSame([answered.status, answered.text], [200, ''])
    const own = (await client.get('/v1/agent/services')).json
    t.strictSame(Object.keys(own), ['web-1'], "the server's own service is not of its agent")
    const addresses = { Address: '10.0.0.7', Port: 80 }
    const said = {
      ID: 'web-1',
      Service: 'web',
      Tags: ['a'],
      Meta: { k: 'v' },
      Port: 80,
      Address: '10.0.0.7',
      TaggedAddresses: { lan_ipv4: addresses, wan_ipv4: addresses },
      Weights: { Passing: 5, Warning: 1 },
      EnableTagOverride: false,
      Datacenter: 'dc1',
    }
    t.strictSame(own['web-1'], said)
    const one = await client.get('/v1/agent/service/web-1')
    t.match(one.json, { ...said, ContentHash: /^[0-9a-f]{16}$/ })
    t.equal(one.headers['x-consul-contenthash'], one.json.ContentHash)
    const checks = (await client.get('/v1/agent/checks')).json
    t.match(checks, {
      'service:web-1': {
        Node: NODE,
        Name: "Service 'web' check",
        Status: 'critical',
        Notes: 'n',
        ServiceName: 'web',
        ServiceTags: ['a'],
        Type: 'ttl',
        Interval: '',
        Definition: {},
        CreateIndex: 0,
        ModifyIndex: 0,
      },
    })
    const [{ Service, Checks }] = (await client.get('/v1/health/service/web')).json
    t.match(Service, { ID: 'web-1', Port: 80, Meta: { k: 'v' } })
    t.match(Checks, [{ CheckID: 'serfHealth' }, { CheckID: 'service:web-1' }])
  })

  t.test('several checks, their ids, and their status over registrations', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const ttl = { TTL: '1m' }
    await register(client, { Name: 'web', Checks: [ttl, { ...ttl, CheckID: 'mine' }, ttl] })
    const ids = async () => Object.keys((await client.get('/v1/agent/checks')).json).toSorted()
    t.strictSame(await ids(), ['mine', 'service:web:1', 'service:web:3'])
    await client.put('/v1/agent/check/pass/mine')
    await register(client, { Name: 'web', Checks: [{ ...ttl, CheckID: 'mine' }] })
    t.equal(await statusOf(client, 'mine'), 'passing', 'kept')
    t.equal((await ids()).length, 3, 'others stay')
    const given = { ...ttl, CheckID: 'mine', Status: 'warning' }
    await register(client, { Name: 'web', Checks: [given] }, '?replace-existing-checks')
    t.strictSame(await ids(), ['mine'])
    t.equal(await statusOf(client, 'mine'), 'warning', 'the definition says so')
    await register(client, { Name: 'web', Check: ttl }, '?replace-existing-checks=false')
    t.equal((await ids()).length, 2)
    await register(client, { Name: 'web', Check: {} }, '?replace-existing-checks=true')
    t.strictSame(await ids(), [], 'an empty check is none')
  })

  t.test('a check: register, pass, warn, fail, update, deregister', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const check = await client.put('/v1/agent/check/register', { Name: 'mem', TTL: '1m' })
    t.strictSame([check.status, check.text], [200, ''])
    t.equal(await statusOf(client, 'mem'), 'critical')
    for (const [verb, status] of [
      ['pass', 'passing'],
      ['warn', 'warning'],
      ['fail', 'critical'],
    ]) {
      const answered = await client.put(`/v1/agent/check/${verb}/mem?note=because%20${verb}`)
      t.strictSame([answered.status, answered.text], [200, ''])
      const shown = (await client.get('/v1/agent/checks')).json.mem
      t.match(shown, { Status: status, Output: `because ${verb}` })
      const [listed] = (await client.get(`/v1/health/state/${status}`)).json.filter(
        (one: { CheckID: string }) => one.CheckID === 'mem',
      )
      t.match(listed, { Status: status, Interval: '0s', Type: 'ttl' })
    }
    const body = { Status: 'passing', Output: 'all well' }
    t.equal((await client.put('/v1/agent/check/update/mem', body)).text, '')
    t.match((await client.get('/v1/agent/checks')).json.mem, { Output: 'all well' })
    t.equal((await client.put('/v1/agent/check/deregister/mem')).text, '')
    t.strictSame((await client.get('/v1/agent/checks')).json, {})
    t.strictSame((await client.get(`/v1/health/state/passing`)).json.length, 1)
  })

  t.test('deregistering a service takes its checks along', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await register(client, { Name: 'web', Check: { TTL: '1m' } })
    await client.put('/v1/agent/check/register', { Name: 'c', ServiceID: 'web', TTL: '1m' })
    t.equal(Object.keys((await client.get('/v1/agent/checks')).json).length, 2)
    t.equal((await client.put('/v1/agent/service/deregister/web')).text, '')
    t.strictSame((await client.get('/v1/agent/services')).json, {})
    t.strictSame((await client.get('/v1/agent/checks')).json, {})
    t.strictSame((await client.get('/v1/catalog/service/web')).json, [])
    const unknown = await client.put('/v1/agent/service/deregister/web')
    t.equal(unknown.status, 404)
    const text =
      'Unknown service ID "web". Ensure that the service ID is passed, not the service name.'
    t.equal(unknown.text, text)
  })

  t.test('what the catalog takes away is gone here too', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await register(client, { Name: 'web', Check: { TTL: '1m' } })
    await client.put('/v1/catalog/deregister', { Node: NODE, ServiceID: 'web' })
    t.strictSame((await client.get('/v1/agent/services')).json, {})
    t.strictSame((await client.get('/v1/agent/checks')).json, {})
  })

  t.test('maintenance of a service and of the node', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await register(client, { Name: 'web' })
    const passing = async () => (await client.get('/v1/health/service/web?passing')).json.length
    const put = (path: string) => client.put(`/v1/agent/${path}`)
    t.equal(await passing(), 1)
    t.equal((await put('service/maintenance/web?enable=true&reason=why')).text, '')
    t.equal(await passing(), 0)
    t.match((await client.get('/v1/agent/checks')).json['_service_maintenance:web'], {
      Name: 'Service Maintenance Mode',
      Status: 'critical',
      Notes: 'why',
      Type: 'maintenance',
      ServiceID: 'web',
    })
    await put('service/maintenance/web?enable=false')
    t.equal(await passing(), 1)
    t.equal((await put('maintenance?enable=1')).text, '')
    t.equal(await passing(), 0)
    t.match((await client.get('/v1/agent/checks')).json._node_maintenance, {
      Name: 'Node Maintenance Mode',
      Status: 'critical',
      ServiceID: '',
    })
    await put('maintenance?enable=false')
    t.equal(await passing(), 1)
    const refused: Record<string, [number, string]> = {
      'service/maintenance/?enable=true': [400, 'Missing service ID'],
      'service/maintenance/web': [400, 'Missing value for enable'],
      'service/maintenance/web?enable=maybe': [400, 'Invalid value for enable: "maybe"'],
      maintenance: [400, 'Missing value for enable'],
      'service/maintenance/none?enable=true': [404, 'Unknown service ID "none"'],
    }
    for (const [path, [status, text]] of Object.entries(refused)) {
      const answered = await put(path)
      t.equal(answered.status, status, path)
      t.match(answered.text, text)
    }
  })

  t.test('agent/service/:id blocks by hash', async t => {
    const face = await startFace(t, { open: newStore(t) })
    const { client } = face
    await register(client, { Name: 'web', Port: 1 })
    const path = '/v1/agent/service/web'
    const { ContentHash } = (await client.get(path)).json
    const other = await client.get(`${path}?hash=other&wait=600s`)
    t.equal(other.json.ContentHash, ContentHash, 'another hash is answered at once')

    const slept = await client.get(`${path}?hash=${ContentHash}&wait=50ms`)
    t.equal(slept.json.ContentHash, ContentHash, 'and after the wait as it is')

    const blocked = client.get(`${path}?hash=${ContentHash}&wait=600s`)
    await face.waiting(1)
    await register(client, { Name: 'web', Port: 1 })
    await register(client, { Name: 'db' })
    await face.waiting(1)
    await register(client, { Name: 'web', Port: 2 })
    const { json, headers } = await blocked
    t.equal(json.Port, 2)
    t.not(json.ContentHash, ContentHash)
    t.equal(headers['x-consul-contenthash'], json.ContentHash)
    for (const twice of [1, 2]) {
      const now = await client.get(`${path}?hash=${ContentHash}&wait=600s`)
      t.equal(now.json.Port, 2, `an old hash does not wait, time ${twice}`)
    }

    const gone = client.get(`${path}?hash=${json.ContentHash}&wait=600s`)
    await face.waiting(1)
    await client.put('/v1/agent/service/deregister/web')
    t.equal((await gone).status, 404)
    const unknown = await client.get(path)
    t.strictSame([unknown.status, unknown.text], [404, 'unknown service ID: web'])
    t.equal((await client.get('/v1/agent/service/')).text, 'Missing service ID')
  })
})

t.test('refusals of checks', async t => {
  const { client } = await startFace(t)
  await client.put('/v1/agent/check/register', {
    Name: 'http',
    HTTP: 'http://127.0.0.1:9/',
    Interval: '1h',
  })
  const unknown = 'Unknown check ID "none". Ensure that the check ID is passed, not the check name.'
  const refused: Record<string, [number, string]> = {
    'check/pass/none': [404, unknown],
    'check/warn/none': [404, unknown],
    'check/fail/none': [404, unknown],
    'check/deregister/none': [404, unknown],
    'check/pass/serfHealth': [404, 'Unknown check ID "serfHealth"'],
    'check/pass/http': [500, 'CheckID "http" does not have associated TTL'],
  }
  for (const [path, [status, text]] of Object.entries(refused)) {
    const answered = await client.put(`/v1/agent/${path}`)
    t.equal(answered.status, status, path)
    t.match(answered.text, text)
  }
  const updates: [object | string, number, string][] = [
    [{ Status: 'bad' }, 400, "Invalid check status: 'bad'"],
    [{}, 400, "Invalid check status: ''"],
    [{ State: 'x' }, 400, 'Request decode failed: json: unknown field "State"'],
    ['', 400, 'Request decode failed: EOF'],
    [{ Status: 'passing' }, 404, unknown],
  ]
  for (const [body, status, text] of updates) {
    const answered = await client.put('/v1/agent/check/update/none', body)
    t.strictSame([answered.status, answered.text], [status, text], JSON.stringify(body))
  }
  const orphan = { Name: 'c', TTL: '1m', ServiceID: 'none' }
  const answered = await client.put('/v1/agent/check/register', orphan)
  t.strictSame([answered.status, answered.text], [404, 'ServiceID "none" does not exist'])
})
