/**
 * The paths of health: what counts as passing, whose checks decide, and the states.
 */
import t from 'tap'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

const register = (client: Client, body: object) =>
  client.put('/v1/catalog/register', { Address: '10.0.0.1', ...body })

const ids = async (client: Client, path: string): Promise<string> => {
  const found: { CheckID: string }[] = (await client.get(path)).json
  return found.map(check => check.CheckID).join()
}

onEveryEngine(t, async (t, newStore) => {
  t.test("passing: own checks and the node's, not those of other services", async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const passing = async (query = 'passing'): Promise<string> => {
      const { json } = await client.get(`/v1/health/service/web?${query}`)
      return json.map((one: { Service: { ID: string } }) => one.Service.ID).join()
    }
    const check = (CheckID: string, Status: string, ServiceID = '') =>
      register(client, { Node: 'n', Check: { CheckID, Name: CheckID, Status, ServiceID } })
    await register(client, { Node: 'n', Service: { ID: 'w1', Service: 'web' } })
    await register(client, { Node: 'n', Service: { ID: 'w2', Service: 'web' } })
    await register(client, { Node: 'n', Service: { ID: 'db', Service: 'db' } })
    t.equal(await passing(), 'w1,w2', 'without checks all is well')
    await check('c-db', 'critical', 'db')
    t.equal(await passing(), 'w1,w2')
    await check('c-w1', 'warning', 'w1')
    t.equal(await passing(), 'w2', 'a warning is not passing')
    t.equal(await passing('passing=false'), 'w1,w2')
    t.equal(await passing(''), 'w1,w2')
    await check('c-w1', 'passing', 'w1')
    await check('c-node', 'critical')
    t.equal(await passing(), '')
    const { json } = await client.get('/v1/health/service/web')
    t.strictSame(
      json.map((one: { Checks: { CheckID: string }[] }) => one.Checks.map(c => c.CheckID).join()),
      ['c-node,c-w1', 'c-node'],
    )
    t.equal((await client.get('/v1/health/service/web?passing=maybe')).status, 400)
  })

  t.test('lists of checks: by node, service and state', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await register(client, {
      Node: 'n1',
      NodeMeta: { zone: 'a' },
      Service: { Service: 'Web' },
      Checks: [
        { CheckID: 'n1-node', Name: 'x', Status: 'passing' },
        { CheckID: 'n1-web', Name: 'x', Status: 'warning', ServiceID: 'Web' },
      ],
    })
    await register(client, {
      Node: 'n2',
      Service: { Service: 'web' },
      Check: { CheckID: 'n2-web', Name: 'x', ServiceID: 'web' },
    })
    t.equal(await ids(client, '/v1/health/node/N1'), 'n1-node,n1-web')
    t.equal(await ids(client, '/v1/health/checks/web'), 'n1-web,n2-web')
    t.equal(await ids(client, '/v1/health/checks/WEB?node-meta=zone:a'), 'n1-web')
    t.equal(await ids(client, '/v1/health/state/any'), 'serfHealth,n1-node,n1-web,n2-web')
    t.equal(await ids(client, '/v1/health/state/passing'), 'serfHealth,n1-node')
    t.equal(await ids(client, '/v1/health/state/warning'), 'n1-web')
    t.equal(await ids(client, '/v1/health/state/critical'), 'n2-web')
    t.equal(await ids(client, '/v1/health/state/unknown'), '')
    t.equal(await ids(client, '/v1/health/state/any?node-meta=zone:a'), 'n1-node,n1-web')
  })

  t.test('checks follow their service to another name', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const body = { Node: 'n', Service: { ID: 's', Service: 'old' } }
    await register(client, { ...body, Check: { CheckID: 'c', Name: 'c', ServiceID: 's' } })
    await register(client, { Node: 'n', Service: { ID: 's', Service: 'new', Tags: ['t'] } })
    t.equal(await ids(client, '/v1/health/checks/old'), '')
    const [check] = (await client.get('/v1/health/checks/new')).json
    t.match(check, { CheckID: 'c', ServiceName: 'new', ServiceTags: ['t'] })
  })
})

t.test("the agent's own node and service", async t => {
  const { client } = await startFace(t)
  const [{ Node, Service, Checks }] = (await client.get('/v1/health/service/consul?passing')).json
  t.match(Node, { Node: NODE, Address: '127.0.0.1', Datacenter: 'dc1' })
  t.match(Service, { ID: 'consul', Port: 8300, Tags: [] })
  t.match(Checks, [{ CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing' }])
})

t.test('an open part is missing', async t => {
  const { client } = await startFace(t)
  const missing: Record<string, string> = {
    '/v1/health/service/': 'Missing service name',
    '/v1/health/node/': 'Missing node name',
    '/v1/health/checks/': 'Missing service name',
    '/v1/health/state/': 'Missing check state',
  }
  for (const [path, text] of Object.entries(missing)) {
    const answered = await client.get(path)
    t.equal(answered.status, 400, path)
    t.equal(answered.text, text)
  }
})

t.test('long lists are whole', async t => {
  const { client } = await startFace(t)
  const COUNT = 3_000
  for (let from = 0; from < COUNT; from += 500) {
    const batch = Array.from({ length: 500 }, (_, i) =>
      register(client, {
        Node: `n${String(from + i).padStart(5, '0')}`,
        Service: { Service: 'wide' },
        Check: { Name: 'c', ServiceID: 'wide', Status: 'passing' },
      }),
    )
    await Promise.all(batch)
  }
  const { json } = await client.get('/v1/health/service/wide')
  t.equal(json.length, COUNT)
  t.equal(json.at(-1).Node.Node, `n${String(COUNT - 1).padStart(5, '0')}`)
  t.equal((await client.get('/v1/catalog/service/wide')).json.length, COUNT)
  t.equal((await client.get('/v1/health/state/passing')).json.length, COUNT + 1)
  t.equal((await client.get('/v1/catalog/nodes')).json.length, COUNT + 1)
})
