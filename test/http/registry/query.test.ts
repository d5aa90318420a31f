/**
 * The paths of prepared queries. On every engine.
 */
import t from 'tap'
import { everybody, type Who } from '../../../src/base/who.ts'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { NODE, startFace } from '../harness.ts'

const create = async (client: Client, body: object): Promise<string> => {
  const answered = await client.send('POST', '/v1/query', body)
  if (answered.status !== 200) throw new Error(answered.text)
  return answered.json.ID
}

/** Instances of `web` on three nodes; that on n3 is critical, that on n2 warns. */
async function register(client: Client): Promise<void> {
  for (const [n, Status] of [
    [1, 'passing'],
    [2, 'warning'],
    [3, 'critical'],
  ] as const) {
    await client.put('/v1/catalog/register', {
      Node: `n${n}`,
      Address: `10.0.0.${n}`,
      Service: { ID: `w${n}`, Service: 'web', Tags: [`v${n}`], Port: 80 },
      Check: { CheckID: `c${n}`, Name: 'c', Status, ServiceID: `w${n}` },
    })
  }
}

interface Executed {
  readonly Nodes: readonly { readonly Service: { readonly ID: string } }[]
}
const idsIn = ({ Nodes }: Executed): string[] => Nodes.map(({ Service }) => Service.ID).sort()

const FULL = {
  Name: 'full',
  Token: 'secret',
  Template: { Type: '', Regexp: '', RemoveEmptyTags: false },
  Service: {
    Service: 'web',
    Failover: { NearestN: 3, Datacenters: ['dc2'], Targets: null },
    OnlyPassing: true,
    IgnoreCheckIDs: ['c9'],
    Near: '_agent',
    Tags: ['v1', '!v2'],
    NodeMeta: { a: 'b' },
    ServiceMeta: { c: 'd' },
    Connect: false,
  },
  DNS: { TTL: '10s' },
}

onEveryEngine(t, async (t, newStore) => {
  t.test('create, read, change, delete', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    t.strictSame((await client.get('/v1/query')).json, [])
    const Session = (await client.put('/v1/session/create', { Checks: [] })).json.ID
    const ID = await create(client, { ...FULL, Session })
    const one = await client.get(`/v1/query/${ID}`)
    const [query] = one.json
    const { CreateIndex, ModifyIndex } = query
    t.strictSame(query, { ID, ...FULL, Session, CreateIndex, ModifyIndex })
    t.equal(one.index, ModifyIndex)
    t.strictSame((await client.get('/v1/query')).json, [query])
    const changed = await client.put(`/v1/query/${ID}`, { Name: 'n', Service: { Service: 'db' } })
    t.strictSame([changed.status, changed.text], [200, ''])
    const bare = {
      ...{ ID, Name: 'n', Session: '', Token: '', Template: FULL.Template, DNS: { TTL: '' } },
      Service: {
        Service: 'db',
        Failover: { NearestN: 0, Datacenters: null, Targets: null },
        ...{ OnlyPassing: false, IgnoreCheckIDs: null, Near: '', Tags: null },
        ...{ NodeMeta: null, ServiceMeta: null, Connect: false },
      },
    }
    const [after] = (await client.get(`/v1/query/${ID}`)).json
    t.strictSame(after, { ...bare, CreateIndex, ModifyIndex: after.ModifyIndex })
    t.ok(after.ModifyIndex > ModifyIndex)
    t.strictSame((await client.delete(`/v1/query/${ID}`)).text, '')
    const gone = await client.get(`/v1/query/${ID}`)
    t.strictSame([gone.status, gone.text], [404, 'Query not found'])
    t.ok(gone.index > after.ModifyIndex, 'and 404 carries the index')
    const again = await client.delete(`/v1/query/${ID}`)
    t.equal(again.text, `Cannot modify non-existent prepared query: '${ID}'`)
  })

  t.test('execute', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await register(client)
    const ID = await create(client, {
      Name: 'web',
      Service: { Service: 'web' },
      DNS: { TTL: '7s' },
    })
    for (const name of [ID, 'web', 'WEB']) {
      const { json, headers } = await client.get(`/v1/query/${name}/execute`)
      t.match(json, {
        ...{ Service: 'web', DNS: { TTL: '7s' }, Datacenter: 'dc1', Failovers: 0 },
        ...{ KnownLeader: true, LastContact: 0, ConsistencyLevel: 'leader' },
      })
      t.strictSame(idsIn(json), ['w1', 'w2'], name)
      t.match(headers, { 'x-consul-index': '1', 'x-consul-lastcontact': '0' })
    }
    const limited = await client.get('/v1/query/web/execute?limit=1&stale')
    t.equal(limited.json.Nodes.length, 1)
    t.equal(limited.json.ConsistencyLevel, 'stale')
    const near = await client.get('/v1/query/web/execute?near=n2')
    t.equal(near.json.Nodes[0].Service.ID, 'w2', 'the near node itself comes first')
    t.strictSame((await client.get('/v1/query/web/execute?connect')).json.Nodes, [])
    const cached = await client.get('/v1/query/web/execute?cached')
    t.equal(cached.headers['x-cache'], 'MISS', 'it is made for each who asks')
    const missing = await client.get('/v1/query/none/execute')
    t.strictSame([missing.status, missing.text], [404, 'Query not found'])
    const bad = await client.get('/v1/query/web/execute?limit=many')
    t.strictSame(
      [bad.status, bad.text],
      [500, 'Bad limit: strconv.Atoi: parsing "many": invalid syntax'],
    )
    t.equal((await client.get('/v1/query/web/execute?stale&consistent')).status, 400)
    await create(client, { Name: 'passing', Service: { Service: 'web', OnlyPassing: true } })
    t.strictSame(idsIn((await client.get('/v1/query/passing/execute')).json), ['w1'])
    await create(client, {
      Name: 'elsewhere',
      Service: { Service: 'none', Failover: { NearestN: 2, Datacenters: ['dc2', 'dc1'] } },
    })
    const elsewhere = (await client.get('/v1/query/elsewhere/execute')).json
    t.match(elsewhere, { Nodes: [], Failovers: 0, Datacenter: 'dc1' }, 'nobody is out there')
  })

  t.test('templates, and what they explain', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    await register(client)
    const ID = await create(client, {
      Name: 'geo-',
      Template: { Type: 'name_prefix_match', Regexp: '^geo-(.*)-v(\\d)$', RemoveEmptyTags: true },
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what templates are made of
      Service: { Service: '${match(1)}', Tags: ['v${match(2)}', '${agent.segment}'] },
    })
    const executed = await client.get('/v1/query/geo-web-v1/execute')
    t.match(executed.json, { Service: 'web' })
    t.strictSame(idsIn(executed.json), ['w1'])
    const explained = await client.get('/v1/query/geo-web-v2/explain')
    t.match(explained.json, { Query: { ID, Service: { Service: 'web', Tags: ['v2'] } } })
    t.match(explained.headers, { 'x-consul-index': '1' })
    t.equal((await client.get('/v1/query/other/explain')).status, 404)
    const byId = await client.get(`/v1/query/${ID}/execute`)
    t.match(byId.text, 'prepared query templates can only be resolved up by name, not by ID')
  })

  t.test('goes with its session, and wakes who waits', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    const Session = (await client.put('/v1/session/create', { Checks: [] })).json.ID
    const ID = await create(client, { Session, Service: { Service: 'web' } })
    const { index } = await client.get('/v1/query')
    const watched = [
      client.get(`/v1/query?index=${index}&wait=60s`),
      client.get(`/v1/query/${ID}?index=${index}&wait=60s`),
    ]
    await waiting(2)
    await client.put('/v1/kv/unrelated', 'x')
    await client.put(`/v1/session/destroy/${Session}`)
    const [list, one] = await Promise.all(watched)
    t.strictSame(list!.json, [])
    t.ok(list!.index > index)
    t.equal(one!.status, 404)
  })
})

t.test('what cannot be stored', async t => {
  const { client, store } = await startFace(t)
  const { revision } = store.status()
  const service = { Service: 'web' }
  const bad: [string, object | string, number, RegExp][] = [
    ['POST', '', 400, /^Request decode failed: EOF$/],
    ['POST', '{', 400, /^Request decode failed: /],
    ['POST', { Name: 1 }, 400, /^Request decode failed: json: cannot unmarshal number/],
    ['POST', { Nome: 'a' }, 400, /^Request decode failed: json: unknown field "Nome"$/],
    ['POST', {}, 500, /^Invalid prepared query: Must be bound to a session$/],
    ['POST', { Name: 'a' }, 500, /^Invalid prepared query: Must provide a Service name to query$/],
    ['POST', { ID: 'x', Name: 'a' }, 500, /^ID must be empty when creating/],
    [
      'POST',
      { Session: 'x', Service: service },
      500,
      /session lookup.*UUID must be 36 characters$/,
    ],
    ['POST', { Name: 'a', Service: { ...service, SamenessGroup: 'g' } }, 501, /SamenessGroup/],
    ['POST', { Name: 'a', Service: { ...service, Peer: 'p' } }, 501, /Peer/],
    ['POST', { Name: 'a', Service: { ...service, Namespace: 'n' } }, 400, /Enterprise/],
    ['PUT', '', 500, /UUID must be 36 characters$/],
  ]
  for (const [method, body, status, text] of bad) {
    const path = method === 'PUT' ? '/v1/query/nonsense' : '/v1/query'
    const answered = await client.send(method, path, body)
    t.equal(answered.status, status, JSON.stringify(body))
    t.match(answered.text, text, JSON.stringify(body))
  }
  t.equal(store.status().revision, revision, 'nothing was written')
  const lower = { name: 'a', service: { service: 'web', onlypassing: true }, dns: { ttl: '1s' } }
  t.match(await create(client, lower), /^[0-9a-f-]{36}$/, 'names in any case')
  const taken = await client.send('POST', '/v1/query', lower)
  t.match(taken.text, /aliases an existing query name$/)
  for (const method of ['GET', 'DELETE']) {
    const answered = await client.send(method, '/v1/query/nonsense')
    t.equal(answered.status, 500)
    t.match(answered.text, /UUID must be 36 characters$/)
  }
})

t.test('tokens are seen by those who may write them', async t => {
  let who: Who = everybody
  const { client } = await startFace(t, { authority: { authenticate: () => who } })
  const ID = await create(client, { ...FULL, Name: 'a' })
  t.equal((await client.get('/v1/query')).json[0].Token, 'secret')
  who = { ...everybody, rights: 'read', may: ({ capability }) => capability === 'read' }
  t.equal((await client.get('/v1/query')).json[0].Token, '<hidden>')
  t.equal((await client.get(`/v1/query/${ID}`)).json[0].Token, '<hidden>')
  t.equal((await client.get('/v1/query/a/explain')).json.Query.Token, '<hidden>')
  t.equal((await client.delete(`/v1/query/${ID}`)).status, 403)
})

t.test('near to who asks', async t => {
  const { client } = await startFace(t)
  await register(client)
  await create(client, { Name: 'web', Service: { Service: 'web', Near: '_ip' } })
  const first = async (query: string, from: string): Promise<string> => {
    const headers = { 'X-Forwarded-For': from }
    const { json } = await client.get(`/v1/query/web/execute${query}`, { headers })
    return json.Nodes[0].Service.ID
  }
  for (const [from, id] of [
    ['10.0.0.1', 'w1'],
    ['10.0.0.2, 10.0.0.1', 'w2'],
  ] as const) {
    for (let times = 0; times < 5; times++) t.equal(await first('', from), id)
  }
  t.equal(await first('?near=n1', '10.0.0.2'), 'w1', 'what is asked for goes before')
  await client.put('/v1/agent/service/register', { Name: 'web', ID: 'own' })
  t.equal(await first('?near=_agent', '10.0.0.2'), 'own', `on ${NODE}`)
})

t.test('OPTIONS', async t => {
  const { client } = await startFace(t)
  const execute = await client.raw('OPTIONS', '/v1/query/web/execute')
  t.strictSame([execute.status, execute.text], [200, '{}'])
  t.equal(execute.headers.allow, 'OPTIONS,GET')
  const one = await client.raw('OPTIONS', '/v1/query/web')
  t.strictSame([one.text, one.headers.allow], ['', 'OPTIONS,GET,PUT,DELETE'])
})
