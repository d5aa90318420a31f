/**
 * Filters on every list that applies them: which selectors each has, what is refused, and that they
 * come after the rights of the asker. On every engine.
 */
import t from 'tap'
import { type Access, everybody, type Who } from '../../../src/base/who.ts'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

async function fill(client: Client): Promise<void> {
  const web = (id: string, more: object) => ({ ID: id, Service: 'web', ...more })
  const node = (name: string, zone: string, Service: object, Checks: object[] = []) =>
    client.put('/v1/catalog/register', {
      Node: name,
      Address: `10.0.0.${zone}`,
      NodeMeta: { zone, 'os.name': 'linux' },
      TaggedAddresses: { lan: `10.1.0.${zone}` },
      Service,
      Checks,
    })
  const ports = [
    { Name: 'http', Port: 80, Default: true },
    { Name: 'admin', Port: 8080 },
  ]
  const tagged = { lan: { Address: '10.9.9.9', Port: 99 } }
  const first = { Ports: ports, Tags: ['a', 'b'], Meta: { version: '1' }, TaggedAddresses: tagged }
  const down = { CheckID: 'c', Name: 'probe', Status: 'critical', ServiceID: 'w1', Output: 'no' }
  await node('n1', '1', web('w1', first), [down])
  const second = { Port: 81, Weights: { Passing: 5, Warning: 1 }, EnableTagOverride: true }
  await node('n2', '2', web('w2', second))
  await node('n2', '2', { ID: 'd1', Service: 'db', Connect: { Native: true } })
}

/** What is found, by endpoint and expression: names in order. */
const found: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '/v1/catalog/nodes': {
    'Meta.zone == 2': 'n2',
    'Meta["os.name"] == linux': 'n1,n2',
    'Address matches `^10[.]` and Node != n2': 'n1',
    'TaggedAddresses.lan == "10.1.0.1"': 'n1',
    'Datacenter == dc1 and "n1" in Node': 'n1',
    'ID == ""': 'n1,n2',
  },
  '/v1/catalog/service/web': {
    'ServiceTags contains a': 'w1',
    'ServiceMeta.version == 1 or ServicePort == 81': 'w1,w2',
    'ServicePort == 80': 'w1',
    'ServicePorts.Name == admin': 'w1',
    'ServicePorts.Port == 8080 and ServicePorts is not empty': 'w1',
    'ServicePorts is empty': 'w2',
    'NodeMeta.zone == 2 and ServiceName == web': 'w2',
    'ServiceWeights.Passing == 5': 'w2',
    'ServiceEnableTagOverride == true': 'w2',
    'ServiceTaggedAddresses.lan.Port == 99': 'w1',
    'ServiceConnect.Native == true': '',
    'ServiceKind != ""': '',
    'ServiceProxy.DestinationServiceName == web': '',
    'ServiceProxy.Upstreams is empty and Node == n1': 'w1',
  },
  '/v1/health/service/web': {
    'Checks.Status == critical': 'w1',
    'Checks is empty': 'w2',
    'Checks.Output contains n and Checks.ServiceTags contains b': 'w1',
    'Service.Ports.Default == true': 'w1',
    'Service.Tags is empty and Node.Meta.zone == 2': 'w2',
    'not Node.Node matches "1$"': 'w2',
  },
  '/v1/health/node/n1': { 'CheckID == c': 'c', 'ServiceID == ""': '' },
  '/v1/health/checks/web': { 'Name contains pro': 'c', 'Status == passing': '' },
  '/v1/health/state/any': { 'ServiceName == web': 'c', 'Status == passing': 'serfHealth' },
  '/v1/catalog/node/n2': { 'Service == db': 'd1', 'Connect.Native == false': 'w2' },
  '/v1/catalog/node-services/n2': { 'ID == w2': 'w2', 'Port == 81 or ID == d1': 'd1,w2' },
  '/v1/catalog/services': { 'ServiceTags contains a': 'web', 'NodeMeta.zone == 2': 'db,web' },
}

interface Item {
  readonly Node?: string | { readonly Node: string } | null
  readonly Service?: { readonly ID: string }
  readonly ServiceID?: string
  readonly CheckID?: string
  readonly ID?: string
}

function namesIn(body: unknown): string {
  const nested = (body as { Services?: object } | null)?.Services
  const items = nested ?? body
  if (!Array.isArray(items)) return Object.keys(items as object).join()
  const name = (one: Item) =>
    one.CheckID ?? one.Service?.ID ?? one.ServiceID ?? (nested ? one.ID : one.Node)
  return items.map(name).join()
}

onEveryEngine(t, async (t, newStore) => {
  t.test('every list has its selectors', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await fill(client)
    for (const [path, expressions] of Object.entries(found)) {
      for (const [expression, names] of Object.entries(expressions)) {
        const { status, json, text } = await client.get(
          `${path}?filter=${encodeURIComponent(expression)}`,
        )
        t.equal(status, 200, text)
        t.equal(namesIn(json), names, `${path} ${expression}`)
      }
    }
  })
})

const own: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '/v1/agent/services': {
    'Service == web': 'w1',
    'Ports.Name == admin and Meta is empty': 'w1',
    'Port == 80': 'w1',
    '"x" in Tags': 'd1',
  },
  '/v1/agent/checks': { 'Type == ttl and ServiceName == web': 'service:w1', 'Name == x': '' },
}

t.test('the lists of the agent', async t => {
  const { client } = await startFace(t)
  const Ports = [
    { Name: 'admin', Port: 81 },
    { Name: 'http', Port: 80, Default: true },
  ]
  const web = { ID: 'w1', Name: 'web', Ports, Check: { TTL: '1m' } }
  await client.put('/v1/agent/service/register', web)
  await client.put('/v1/agent/service/register', { ID: 'd1', Name: 'db', Tags: ['x'] })
  for (const [path, expressions] of Object.entries(own)) {
    for (const [expression, names] of Object.entries(expressions)) {
      const url = `${path}?filter=${encodeURIComponent(expression)}`
      t.equal(Object.keys((await client.get(url)).json).join(), names, url)
    }
  }
  const members = async (expression: string) =>
    (await client.get(`/v1/agent/members?filter=${encodeURIComponent(expression)}`)).json.length
  t.equal(await members(`Name == ${NODE} and Tags.role == consul and Status == 1`), 1)
  t.equal(await members('Tags.role != consul'), 0)
})

t.test('what is no filter of a list is refused with 500, before anything is read', async t => {
  const { client } = await startFace(t)
  const paths = [...Object.keys(found), ...Object.keys(own), '/v1/agent/members']
  for (const path of paths) {
    for (const wrong of ['x ==', 'Nothing == 1', '(', 'Meta.a matches `(`']) {
      const { status, text } = await client.get(`${path}?filter=${encodeURIComponent(wrong)}`)
      t.equal(status, 500, `${path} ${wrong}`)
      t.match(text, /^Failed to create boolean expression evaluator: /)
    }
  }
  const ignored = await client.get('/v1/session/list?filter=x+==')
  t.equal(ignored.status, 200, 'a list that has none ignores it')
})

t.test('filters come after the rights of the asker', async t => {
  const seen: string[] = []
  let who: Who = everybody
  const limited: Who = {
    accessor: 'a',
    rights: 'web alone',
    may({ resource, name }: Access) {
      seen.push(`${resource} ${name}`)
      return resource === 'node' || name === 'web'
    },
  }
  const { client } = await startFace(t, { authority: { authenticate: () => who } })
  await fill(client)
  await client.put('/v1/agent/service/register', { Name: 'web' })
  await client.put('/v1/agent/service/register', { Name: 'db' })
  who = limited
  const all = encodeURIComponent('ID != "" or ServiceID != "" or Node != ""')
  t.equal((await client.get(`/v1/catalog/nodes?filter=${all}`)).status, 500)
  const names = async (path: string, expression: string) =>
    namesIn((await client.get(`${path}?filter=${encodeURIComponent(expression)}`)).json)
  t.equal(await names('/v1/agent/services', 'Service != none'), 'web')
  t.equal(await names('/v1/catalog/node/n2', 'Service != none'), 'w2')
  t.equal(await names('/v1/catalog/services', 'ServiceName != none'), 'web')
  t.equal(await names('/v1/catalog/service/db', 'ServiceName != none'), '')
  t.ok(seen.includes('service db'))
})

t.test('answers are shared by those who ask the same, and only by them', async t => {
  const { client } = await startFace(t)
  await fill(client)
  const names = async (query: string) =>
    namesIn((await client.get(`/v1/catalog/service/web?${query}`)).json)
  for (let i = 0; i < 2; i++) {
    t.equal(await names('filter=ServiceID==w1'), 'w1')
    t.equal(await names('filter=ServiceID==w2'), 'w2')
    t.equal(await names('filter=ServiceID+%3D%3D+%22w2%22'), 'w2')
    t.equal(await names(''), 'w1,w2')
  }
})

t.test('a filtered list blocks as the whole one does', async t => {
  const { client, waiting } = await startFace(t)
  await fill(client)
  const url = '/v1/health/service/web?filter=Service.ID==w3'
  const { index, json } = await client.get(url)
  t.strictSame(json, [])
  const asked = client.get(`${url}&index=${index}&wait=60s`)
  await waiting(1)
  const service = { ID: 'w3', Service: 'web' }
  await client.put('/v1/catalog/register', { Node: 'n3', Address: '10.0.0.3', Service: service })
  const woken = await asked
  t.equal(namesIn(woken.json), 'w3')
  t.ok(woken.index > index)
})
