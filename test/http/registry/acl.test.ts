/** Tokens, policies and roles over HTTP, on every engine, under default deny. */
import t from 'tap'
import { NO_RATES } from '../../../src/http/admission.ts'
import { FakeClock } from '../../fake/clock.ts'
import { ROOT } from '../acl.ts'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { startFace, until } from '../harness.ts'

const as = (token: string) => ({ headers: { 'X-Consul-Token': token } })
const root = as(ROOT)
const MANAGEMENT = '00000000-0000-0000-0000-000000000001'
const ANONYMOUS = '00000000-0000-0000-0000-000000000002'

/** Creates a token with rules of its own; gives its secret and accessor. */
async function tokenWith(client: Client, name: string, rules: string, more: object = {}) {
  const policy = await client.put('/v1/acl/policy', { Name: name, Rules: rules }, root)
  const body = { Policies: [{ ID: policy.json.ID }], ...more }
  const token = await client.put('/v1/acl/token', body, root)
  return {
    secret: token.json.SecretID as string,
    accessor: token.json.AccessorID as string,
    policy,
  }
}

onEveryEngine(t, async (t, newStore) => {
  t.test('no token, a wrong one, one with too little, one with enough', async t => {
    const { client } = await startFace(t, { open: newStore(t), acl: {} })
    const { secret, accessor } = await tokenWith(
      client,
      'reader',
      'key_prefix "a/" { policy = "read" }',
    )
    await client.put('/v1/kv/a/b', 'x', root)
    const none = await client.get('/v1/kv/a/b')
    t.equal(none.status, 403)
    t.equal(none.text, 'Permission denied: anonymous token lacks permission \'key:read\' on "a/b"')
    const wrong = await client.get('/v1/kv/a/b', as('00000000-1111-2222-3333-444444444444'))
    t.strictSame([wrong.status, wrong.text], [403, 'ACL not found'])
    t.equal((await client.get('/v1/kv/a/b?raw', as(secret))).text, 'x')
    const denied = await client.put('/v1/kv/a/b', 'y', as(secret))
    t.equal(denied.status, 403)
    t.match(
      denied.text,
      `token with AccessorID '${accessor}' lacks permission 'key:write' on "a/b"`,
    )
    t.equal((await client.get('/v1/kv/a/b?raw', root)).text, 'x')
  })

  t.test('a token that is deleted is refused at once, also while it waits', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t), acl: {} })
    const { secret, accessor } = await tokenWith(client, 'w', 'key_prefix "" { policy = "write" }')
    const { index } = await client
      .put('/v1/kv/a', 'x', as(secret))
      .then(() => client.get('/v1/kv/a', as(secret)))
    const blocked = client.get(`/v1/kv/a?index=${index}&wait=60s`, as(secret))
    await waiting(1)
    t.equal((await client.delete(`/v1/acl/token/${accessor}`, root)).text, 'true')
    t.strictSame([(await blocked).status, (await blocked).text], [403, 'ACL not found'])
    t.equal((await client.put('/v1/kv/a', 'y', as(secret))).text, 'ACL not found')
    const again = await client.delete(`/v1/acl/token/${accessor}`, root)
    t.strictSame([again.status, again.text], [404, 'Cannot find token to delete'])
  })

  t.test('a policy that changes is felt at once by whoever waits', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t), acl: {} })
    const { secret, policy } = await tokenWith(client, 'p', 'key_prefix "" { policy = "read" }')
    for (const key of ['one', 'two']) await client.put(`/v1/kv/${key}`, 'x', root)
    const { index } = await client.get('/v1/kv/?keys', as(secret))
    const blocked = client.get(`/v1/kv/?keys&index=${index}&wait=60s`, as(secret))
    await waiting(1)
    const rules = 'key "one" { policy = "read" }'
    const body = { ...policy.json, Rules: rules }
    t.equal((await client.put(`/v1/acl/policy/${policy.json.ID}`, body, root)).status, 200)
    const { json, headers, index: later } = await blocked
    t.strictSame(json, ['one'])
    t.ok(later > index)
    t.equal(headers['x-consul-results-filtered-by-acls'], 'true')
  })

  t.test('bootstrap: a second time for nobody who does not know the reset index', async t => {
    const { client } = await startFace(t, { open: newStore(t), acl: {} })
    const again = await client.put('/v1/acl/bootstrap')
    t.equal(again.status, 403)
    t.match(again.text, /^Permission denied: ACL bootstrap no longer allowed \(reset index: \d+\)$/)
  })
})

t.test('tokens: made, read, changed, copied, deleted', async t => {
  const { client } = await startFace(t, { acl: {} })
  const made = await client.put(
    '/v1/acl/token',
    {
      AccessorID: '11111111-2222-4333-8444-555555555555',
      SecretID: '21111111-2222-4333-8444-555555555555',
      Description: 'd',
      Policies: [{ Name: 'global-management' }],
      ServiceIdentities: [{ ServiceName: 'web' }],
      NodeIdentities: [{ NodeName: 'n1', Datacenter: 'dc1' }],
      TemplatedPolicies: [{ TemplateName: 'builtin/service', TemplateVariables: { Name: 'api' } }],
      ExpirationTTL: '1h',
      Local: true,
    },
    root,
  )
  t.equal(made.status, 200)
  const path = '/v1/acl/token/11111111-2222-4333-8444-555555555555'
  const read = await client.get(path, root)
  t.strictSame(read.json, made.json)
  t.match(read.json, {
    AccessorID: '11111111-2222-4333-8444-555555555555',
    SecretID: '21111111-2222-4333-8444-555555555555',
    Policies: [{ ID: MANAGEMENT, Name: 'global-management' }],
    ServiceIdentities: [{ ServiceName: 'web' }],
    Local: true,
  })
  t.equal(read.json.ExpirationTTL, undefined, 'a text there is an error to clients in Go')
  t.equal(Date.parse(read.json.ExpirationTime) - Date.parse(read.json.CreateTime), 3_600_000)
  const secret = as('21111111-2222-4333-8444-555555555555')
  t.strictSame((await client.get('/v1/acl/token/self', secret)).json, read.json)
  const changed = await client.put(path, { ...read.json, Description: 'e', Policies: [] }, root)
  t.match(changed.json, { Description: 'e' })
  t.equal(changed.json.Policies, undefined)
  t.equal((await client.get('/v1/acl/tokens', secret)).status, 403, 'it may manage nothing now')
  const cases: [object, string][] = [
    [
      { SecretID: '31111111-2222-4333-8444-555555555555' },
      "Changing a token's SecretID is not permitted",
    ],
    [{ Local: false }, 'Cannot toggle local mode of 11111111-2222-4333-8444-555555555555'],
    [
      { ExpirationTTL: '2h' },
      'Cannot change expiration time of 11111111-2222-4333-8444-555555555555',
    ],
    [{ Policies: [{ Name: 'nosuch' }] }, 'No such ACL policy with name "nosuch"'],
  ]
  for (const [change, text] of cases) {
    const refused = await client.put(path, { ...changed.json, ...change }, root)
    t.strictSame([refused.status, refused.text], [500, text])
  }
  const mismatch = await client.put(path, { AccessorID: ANONYMOUS }, root)
  t.strictSame(
    [mismatch.status, mismatch.text],
    [400, 'Token Accessor ID in URL and payload do not match'],
  )
  const copy = await client.put(`${path}/clone`, { Description: 'copy' }, root)
  t.not(copy.json.AccessorID, read.json.AccessorID)
  t.not(copy.json.SecretID, read.json.SecretID)
  t.match(copy.json, { Description: 'copy', ServiceIdentities: [{ ServiceName: 'web' }] })
  t.equal((await client.get('/v1/acl/tokens', root)).json.length, 4)
  const self = await client.delete(path, secret)
  t.equal(self.status, 403)
  const own = await client.get('/v1/acl/token/self', root)
  const ended = await client.delete(`/v1/acl/token/${own.json.AccessorID}`, root)
  t.match(ended.text, "Deletion of the request's authorization token is not permitted")
  const none = await client.get('/v1/acl/token/31111111-2222-4333-8444-555555555555', root)
  t.equal(none.status, 404)
  t.match(none.text, /ACL not found/)
})

t.test('secrets are hidden from who may only read', async t => {
  const { client } = await startFace(t, { acl: {} })
  const { secret, accessor } = await tokenWith(client, 'acl-reader', 'acl = "read"')
  const { json } = await client.get('/v1/acl/tokens', as(secret))
  t.ok(json.length >= 3)
  t.ok(json.every((token: { SecretID: string }) => token.SecretID === '<hidden>'))
  t.equal((await client.get(`/v1/acl/token/${accessor}`, as(secret))).json.SecretID, '<hidden>')
  t.equal((await client.get('/v1/acl/token/self', as(secret))).json.SecretID, secret)
  const listed = await client.get('/v1/acl/tokens', root)
  t.equal(listed.headers['x-consul-results-filtered-by-acls'], undefined)
  t.ok(listed.json.some((token: { SecretID: string }) => token.SecretID === secret))
})

t.test('policies and roles: names, links, what every server has', async t => {
  const { client } = await startFace(t, { acl: {} })
  const bad: [object, number, string | RegExp][] = [
    [{ Name: '' }, 500, 'Invalid Policy: no Name is set'],
    [{ Name: 'a b' }, 500, /^Invalid Policy: invalid Name/],
    [
      { Name: 'global-management' },
      500,
      'Invalid Policy: A Policy with Name "global-management" already exists',
    ],
    [{ Name: 'x', ID: MANAGEMENT }, 400, 'Cannot specify the ID when creating a new policy'],
    [{ Name: 'x', Rules: 'key "a" { policy = "nosuch" }' }, 500, /policy/],
    [{ Name: 'x', Nosuch: 1 }, 400, 'Policy decoding failed: json: unknown field "Nosuch"'],
  ]
  for (const [body, status, text] of bad) {
    const refused = await client.put('/v1/acl/policy', body, root)
    t.equal(refused.status, status, JSON.stringify(body))
    if (typeof text === 'string') t.equal(refused.text, text)
    else t.match(refused.text, text)
  }
  const policy = await client.put('/v1/acl/policy', { Name: 'one', Rules: 'acl = "read"' }, root)
  t.strictSame((await client.get('/v1/acl/policy/name/ONE', root)).json, policy.json)
  const list = await client.get('/v1/acl/policies', root)
  t.strictSame(list.json.map((each: { Name: string }) => each.Name).sort(), [
    'builtin/global-read-only',
    'global-management',
    'one',
  ])
  const builtin = await client.delete(`/v1/acl/policy/${MANAGEMENT}`, root)
  t.match(builtin.text, /Delete operation not permitted on the builtin global-management policy/)
  const role = await client.put('/v1/acl/role', { Name: 'r', Policies: [{ Name: 'one' }] }, root)
  t.match(role.json, { Name: 'r', Policies: [{ ID: policy.json.ID, Name: 'one' }] })
  const token = await client.put('/v1/acl/token', { Roles: [{ Name: 'r' }] }, root)
  const secret = as(token.json.SecretID)
  t.equal((await client.get('/v1/acl/policies', secret)).status, 200, 'by its role')
  t.equal((await client.get(`/v1/acl/roles?policy=${policy.json.ID}`, root)).json.length, 1)
  t.equal((await client.get('/v1/acl/roles?policy=nosuch', root)).json.length, 0)
  t.equal((await client.delete(`/v1/acl/policy/${policy.json.ID}`, root)).text, 'true')
  t.equal((await client.get('/v1/acl/policies', secret)).status, 403, 'the link counts for nothing')
  t.equal((await client.get(`/v1/acl/role/${role.json.ID}`, root)).json.Policies, undefined)
  const gone = await client.get(`/v1/acl/policy/${policy.json.ID}`, root)
  t.strictSame([gone.status, gone.text], [404, 'Requested policy does not exist: ACL not found'])
})

t.test('identities and templates give what they stand for', async t => {
  const { client } = await startFace(t, { acl: {} })
  const body = { ServiceIdentities: [{ ServiceName: 'web' }] }
  const { json } = await client.put('/v1/acl/token', body, root)
  const web = as(json.SecretID)
  const service = (name: string) => ({ Name: name })
  t.equal((await client.put('/v1/agent/service/register', service('web'), web)).status, 200)
  t.equal((await client.put('/v1/agent/service/register', service('api'), web)).status, 403)
  t.equal((await client.get('/v1/catalog/service/web', web)).json.length, 1)
  const expanded = await client.get('/v1/acl/token/self?expanded', web)
  t.match(expanded.json.ExpandedPolicies, [
    { Name: /^synthetic-policy-/, Rules: /web-sidecar-proxy/ },
  ])
  const templates = await client.get('/v1/acl/templated-policies', root)
  t.ok(templates.json['builtin/service'])
  const preview = await client.send(
    'POST',
    '/v1/acl/templated-policy/preview/builtin/service',
    { Name: 'web' },
    root,
  )
  t.match(preview.json.Rules, /service "web"/)
  const bad = await client.put(
    '/v1/acl/token',
    { ServiceIdentities: [{ ServiceName: 'W"b' }] },
    root,
  )
  t.equal(bad.status, 500)
})

t.test('a token ends at its time', async t => {
  const { client } = await startFace(t, { acl: {} })
  const soon = await client.put('/v1/acl/token', { ExpirationTTL: '1s' }, root)
  t.equal(soon.text, 'ExpirationTime cannot be less than 1m0s in the future (was 1s)')
  t.equal((await client.put('/v1/acl/token', { ExpirationTTL: '48h' }, root)).status, 200)
  const both = { ExpirationTTL: '1h', ExpirationTime: '2099-01-01T00:00:00Z' }
  t.equal((await client.put('/v1/acl/token', both, root)).status, 500)
})

t.test('authorize, replication, explain', async t => {
  const { client } = await startFace(t, { acl: {} })
  const { secret, accessor } = await tokenWith(
    client,
    'k',
    '# nothing\nkey_prefix "a/" { policy = "read" }',
  )
  const asked = [
    { Resource: 'key', Access: 'read', Segment: 'a/b' },
    { Resource: 'operator', Access: 'write' },
  ]
  const allowed = await client.send('POST', '/v1/internal/acl/authorize', asked, as(secret))
  t.strictSame(
    allowed.json.map((each: { Allow: boolean }) => each.Allow),
    [true, false],
  )
  t.equal((await client.get('/v1/acl/replication')).json.Enabled, false)
  const denied = await client.put('/v1/kv/a/b', 'x', as(secret))
  const id = denied.headers['x-request-id']
  t.equal((await client.get(`/v1/acl/explain/${id}`, as(secret))).status, 403)
  const explained = await client.get(`/v1/acl/explain/${id}`, root)
  t.match(explained.json, {
    AccessorID: accessor,
    Policies: ['k'],
    Operation: 'PUT /v1/kv/{key}',
    Name: 'a/b',
    Outcome: 'refused',
    Lacking: [
      {
        Resource: 'key',
        Access: 'write',
        Segment: 'a/b',
        Reason: 'rule',
        Rule: 'key_prefix "a/" { policy = "read" }',
        Policy: 'k',
        Line: 2,
        SmallestRule: 'key "a/b" { policy = "write" }',
      },
    ],
  })
  await client.put('/v1/kv/b/c', 'x', root)
  await client.put('/v1/kv/a/c', 'x', root)
  const filtered = await client.get('/v1/kv/?keys', as(secret))
  t.strictSame(filtered.json, ['a/c'])
  const why = await client.get(`/v1/acl/explain/${filtered.headers['x-request-id']}`, root)
  t.match(why.json, { Outcome: 'filtered', Lacking: [{ Segment: 'b/c', Reason: 'default' }] })
  t.strictSame([explained.json.Conditions, why.json.Conditions], [[], []])
  t.equal((await client.get('/v1/acl/explain/nosuch', root)).status, 404)
})

t.test('what was turned away unread is explained by the id of its answer', async t => {
  const clock = new FakeClock()
  const rates = { ...NO_RATES, mode: 'enforcing', readPerSecond: 1, writePerSecond: 100 } as const
  const { client } = await startFace(t, { acl: {}, clock, rates })
  const ask = () => client.raw('GET', '/v1/kv/a?token=secret-1')
  let refused = await ask()
  for (let at = 0; at < 20 && refused.status !== 429; at++) refused = await ask()
  t.equal(refused.status, 429)
  clock.elapse(10_000)
  const why = await client.get(`/v1/acl/explain/${refused.headers['x-request-id']}`, root)
  t.match(why.json, {
    ...{ AccessorID: '', Operation: 'GET /v1/kv/a', Outcome: 'refused', Lacking: [] },
    TurnedAway: { Status: 429, Reason: /[Rr]ate limit/, SourceIP: '127.0.0.1' },
  })
  t.notMatch(why.text, /secret-1/)
})

t.test('conditions that did not hold are explained', async t => {
  const { client } = await startFace(t, { acl: {} })
  const rules = 'key_prefix "a/" { policy = "write" }\nkey_prefix "b/" { policy = "read" }'
  const { secret, accessor } = await tokenWith(client, 'k', rules)
  const condition = async (name: string, Level: string, range: object): Promise<void> => {
    const Operations = [{ Resource: 'key', ...range }]
    const body = { Level, Expression: 'false', Operations }
    t.equal((await client.put(`/v1/acl/condition/${name}`, body, root)).status, 200)
  }
  await condition('Advises', 'advisory', {})
  await condition('soft', 'soft-mandatory', { Prefix: 'a/s' })
  await condition('firm', 'hard-mandatory', { Prefix: 'a/h' })
  type Answered = Awaited<ReturnType<typeof client.put>>
  const explain = (asked: Answered) =>
    client.get(`/v1/acl/explain/${asked.headers['x-request-id']}`, root)
  const advised = { Name: 'Advises', Level: 'advisory', Outcome: 'advised' }
  const told = async (asked: Answered): Promise<unknown[]> => {
    const { json } = await explain(asked)
    return [asked.status, json.Outcome, json.Count, json.Lacking, json.Conditions]
  }
  const put = (key: string, by = as(secret)) => client.put(`/v1/kv/${key}`, 'x', by)
  const firm = await put('a/h')
  t.strictSame(await told(firm), [
    ...[403, 'refused', 0, []],
    [{ Name: 'firm', Level: 'hard-mandatory', Outcome: 'refused' }, advised],
  ])
  t.match((await explain(firm)).json, {
    AccessorID: accessor,
    Policies: ['k'],
    Operation: 'PUT /v1/kv/{key}',
    Name: 'a/h',
  })
  const overrides = (token: string) => ({
    headers: { ...as(token).headers, 'X-Policy-Override': 'true' },
  })
  t.strictSame(await told(await put('a/s', overrides(secret))), [
    ...[403, 'refused', 0, []],
    [{ Name: 'soft', Level: 'soft-mandatory', Outcome: 'refused' }, advised],
  ])
  const passed = await put('a/s', overrides(root.headers['X-Consul-Token']))
  t.strictSame(await told(passed), [
    ...[200, 'allowed', 0, []],
    [{ Name: 'soft', Level: 'soft-mandatory', Outcome: 'overridden' }, advised],
  ])
  t.strictSame(await told(await put('a/x')), [200, 'allowed', 0, [], [advised]])
  const set = (Key: string) => ({ KV: { Verb: 'set', Key, Value: 'eA==' } })
  const firmTxn = await client.put('/v1/txn', [set('a/x'), set('a/h')], as(secret))
  t.match(await told(firmTxn), [403, 'refused', 0, [], [{ Name: 'firm' }, advised]])
  const denied = await explain(await put('b/x'))
  t.match(denied.json, { Outcome: 'refused', Lacking: [{ Segment: 'b/x' }], Conditions: [] })
  const { secret: other } = await tokenWith(client, 'o', 'node "n" { policy = "write" }')
  const node = { Node: 'n', Address: '10.0.0.1' }
  const ungoverned = await client.put('/v1/catalog/register', node, as(other))
  t.same([ungoverned.status, (await explain(ungoverned)).status], [200, 404])
  t.equal((await explain(await client.get('/v1/kv/a/x', as(secret)))).status, 404)
})

t.test('where ACLs are off each path says so', async t => {
  const { client } = await startFace(t)
  for (const [method, path] of [
    ['PUT', '/v1/acl/bootstrap'],
    ['GET', '/v1/acl/tokens'],
    ['GET', '/v1/acl/policy/x'],
    ['PUT', '/v1/agent/token/default'],
    ['POST', '/v1/acl/logout'],
  ] as const) {
    const { status, text } = await client.raw(method, path)
    t.strictSame([status, text], [401, 'ACL support disabled'], path)
  }
})

t.test("the agent's default token stands for requests that show none", async t => {
  const { client } = await startFace(t, { acl: {} })
  const { secret } = await tokenWith(client, 'd', 'key_prefix "" { policy = "write" }')
  t.equal((await client.put('/v1/agent/token/default', { Token: secret })).status, 403)
  t.equal((await client.put('/v1/agent/token/nosuch', { Token: secret }, root)).status, 404)
  t.equal((await client.put('/v1/agent/token/acl_token', { Token: secret }, root)).status, 200)
  t.equal((await client.put('/v1/kv/a', 'x')).text, 'true')
  await until(async () => (await client.get('/v1/kv/a')).status === 200)
})

t.test('conditions govern what rights allow, also those of the first token', async t => {
  const { client } = await startFace(t, { acl: {} })
  const condition = (level: string, expression: string) =>
    client.put(
      '/v1/acl/condition/c',
      { Expression: expression, Level: level, Operations: [{ Resource: 'key', Prefix: 'a/' }] },
      root,
    )
  t.equal((await condition('hard-mandatory', 'request.name == "a/fine"')).status, 200)
  t.equal((await client.put('/v1/kv/a/fine', 'x', root)).text, 'true')
  t.equal((await client.put('/v1/kv/b', 'x', root)).text, 'true', 'it is about others')
  const refused = await client.put('/v1/kv/a/b', 'x', root)
  t.equal(refused.status, 403)
  t.equal(refused.text, 'Permission denied: condition "c" (hard-mandatory) does not hold')
  const ops = [{ KV: { Verb: 'set', Key: 'a/b', Value: '' } }]
  t.equal((await client.put('/v1/txn', ops, root)).status, 403, 'in a transaction too')
  await condition('soft-mandatory', 'false')
  t.equal((await client.put('/v1/kv/a/b', 'x', root)).status, 403)
  const headers = { ...root.headers, 'X-Policy-Override': 'true' }
  t.equal((await client.put('/v1/kv/a/b', 'x', { headers })).text, 'true')
  await condition('advisory', 'false')
  const advised = await client.put('/v1/kv/a/b', 'y', root)
  t.strictSame([advised.status, advised.headers['x-gatehouse-advisory']], [200, 'c'])
  await condition('hard-mandatory', 'false')
  t.equal((await client.delete('/v1/acl/condition/c', root)).status, 200, 'the way out')
  t.equal((await client.put('/v1/kv/a/b', 'z', root)).text, 'true')
})
