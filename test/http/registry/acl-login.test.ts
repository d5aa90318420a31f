/**
 * Auth methods, binding rules and logins over HTTP, on every engine, under default deny, with
 * tokens of an issuer of the test's own.
 */
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { silentLog } from '../../../src/base/log.ts'
import { testCertificate, testKey } from '../../checks/certificate.ts'
import { Issuer } from '../../identity/auth-method/issuer.ts'
import { otherRsa, resolverOf, rsa, tokenOf } from '../../identity/auth-method/tokens.ts'
import { proofsOfTests, ROOT } from '../acl.ts'
import type { Answered, Client } from '../client.ts'
import { allTables, onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

const as = (token: string) => ({ headers: { 'X-Consul-Token': token } })
const root = as(ROOT)

/** What a method says of tokens, wherever its keys are. */
const CLAIMS = {
  BoundAudiences: ['gatehouse'],
  ClaimMappings: { sub: 'job', team: 'team' },
  ListClaimMappings: { groups: 'groups' },
}
const HERE = { ...CLAIMS, JWTValidationPubKeys: [rsa.pem] }

/** A bearer's token that holds now. */
function bearer(claims: object = {}, key = rsa.privateKey, header: object = {}): string {
  const now = Math.floor(Date.now() / 1_000)
  const said = { sub: 'web', aud: 'gatehouse', iat: now, exp: now + 600, ...claims }
  return tokenOf(said, header as Record<string, unknown>, 'RS256', key)
}

async function method(client: Client, more: object = {}, config: object = HERE): Promise<void> {
  const body = { Name: 'nomad', Type: 'jwt', Config: config, ...more }
  const put = await client.put('/v1/acl/auth-method', body, root)
  if (put.status !== 200) throw new Error(put.text)
}

async function rule(client: Client, more: object = {}): Promise<Answered> {
  const body = { AuthMethod: 'nomad', BindType: 'service', BindName: `\${value.job}`, ...more }
  return client.put('/v1/acl/binding-rule', body, root)
}

const login = (client: Client, BearerToken: string, more: object = {}): Promise<Answered> =>
  client.send('POST', '/v1/acl/login', { AuthMethod: 'nomad', BearerToken, ...more })

const told = ({ status, text }: Answered): string => `${status} ${text}`

onEveryEngine(t, async (t, newStore) => {
  t.test('from a proof to a token, what it may, and its end', async t => {
    const { client } = await startFace(t, { open: newStore(t), acl: {} })
    await method(client, { MaxTokenTTL: '1h' })
    await rule(client)
    await rule(client, { Selector: '"ops" in list.groups', BindType: 'role', BindName: 'ops' })
    await rule(client, { BindType: 'policy', BindName: 'reads', Selector: 'value.team == "a"' })
    await rule(client, {
      BindType: 'node',
      BindName: 'n-$' + '{value.job}',
      Selector: 'value.team == "a"',
    })
    const reads = { Name: 'reads', Rules: 'key_prefix "" { policy = "read" }' }
    const policy = await client.put('/v1/acl/policy', reads, root)
    const given = await login(client, bearer({ groups: ['ops'], team: 'a' }), {
      Meta: { pod: 'x', a: '<1>' },
    })
    t.equal(given.status, 200)
    const { json } = given
    t.match(json, {
      AuthMethod: 'nomad',
      Description: 'token created via login: {"a":"\\u003c1\\u003e","pod":"x"}',
      Local: true,
      Policies: [{ ID: policy.json.ID, Name: 'reads' }],
      ServiceIdentities: [{ ServiceName: 'web' }],
      NodeIdentities: [{ NodeName: 'n-web', Datacenter: 'dc1' }],
    })
    t.equal(json.Roles, undefined, 'a role that does not exist is left out')
    t.equal(Date.parse(json.ExpirationTime) - Date.parse(json.CreateTime), 3_600_000)
    const own = as(json.SecretID)
    t.equal((await client.get('/v1/acl/token/self', own)).json.AccessorID, json.AccessorID)
    t.equal((await client.put('/v1/agent/service/register', { Name: 'web' }, own)).status, 200)
    t.equal((await client.put('/v1/agent/service/register', { Name: 'api' }, own)).status, 403)
    const listed = await client.get('/v1/acl/tokens?authmethod=NOMAD', root)
    t.strictSame(
      listed.json.map((one: { AccessorID: string }) => one.AccessorID),
      [json.AccessorID],
    )
    const copy = await client.put(`/v1/acl/token/${json.AccessorID}/clone`, {}, root)
    t.equal(told(copy), '500 Cannot clone a token created from an auth method')
    const out = (sent = {}) => client.send('POST', '/v1/acl/logout', undefined, sent)
    t.equal((await out(own)).status, 200)
    t.equal((await client.get('/v1/acl/token/self', own)).text, 'ACL not found')
    t.equal(told(await out()), '401 Supplied token does not exist')
    t.equal(told(await out(own)), '403 ACL not found')
    const wrong = "403 Permission denied: token wasn't created via login"
    t.equal(told(await out(root)), wrong)
  })

  t.test('who proves nothing, or whom nothing is given, gets nothing', async t => {
    const { client, store } = await startFace(t, { open: newStore(t), acl: {} })
    const unknown = '403 ACL not found: auth method "nomad" not found'
    t.equal(told(await login(client, bearer())), unknown)
    await method(client)
    t.equal(told(await login(client, bearer())), '403 Permission denied', 'no rule')
    await rule(client, { BindType: 'role', BindName: 'ops' })
    t.equal(told(await login(client, bearer())), '403 Permission denied', 'no such role')
    await rule(client)
    const { revision } = store.status()
    const unsigned =
      '403 Permission denied: no known key successfully validated the token signature'
    t.equal(told(await login(client, bearer({}, otherRsa.privateKey))), unsigned)
    const late = await login(client, bearer({ exp: 1_000, iat: 900 }))
    t.match(told(late), /^403 Permission denied: error validating claims: .*expired/)
    t.match(told(await login(client, '')), /^403 Permission denied: /)
    const forged = await login(client, bearer({ sub: 'a" { policy = "write" } service "b' }))
    t.match(told(forged), /^403 Permission denied: invalid bind name/)
    const elsewhere = await client.send('POST', '/v1/acl/login?ns=team', { AuthMethod: 'nomad' })
    t.equal(elsewhere.status, 400)
    const large = await login(client, 'x'.repeat(70_000))
    t.equal(large.status, 413)
    t.equal(store.status().revision, revision, 'nothing was written')
    const shown = await client.send(
      'POST',
      '/v1/acl/login',
      { AuthMethod: 'NoMad', BearerToken: bearer() },
      as('00000000-1111-2222-3333-444444444444'),
    )
    t.equal(shown.json.AuthMethod, 'nomad', 'names have no case, other tokens are not looked at')
  })

  t.test('a method that is deleted takes all along, also who waits', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t), acl: {} })
    await method(client, { TokenLocality: 'global' })
    await method(client, { Name: 'other' })
    await rule(client)
    const kept = await rule(client, { AuthMethod: 'other' })
    await rule(client, { BindType: 'policy', BindName: 'global-management' })
    const first = (await login(client, bearer())).json
    t.equal(first.Local, false)
    const second = (await login(client, bearer())).json
    const other = (await login(client, bearer(), { AuthMethod: 'other' })).json
    await client.put('/v1/kv/a', 'x', root)
    const { index } = await client.get('/v1/kv/a', as(first.SecretID))
    const blocked = client.get(`/v1/kv/a?index=${index}&wait=60s`, as(first.SecretID))
    await waiting(1)
    const ended = await client.delete('/v1/acl/auth-method/Nomad', as(second.SecretID))
    t.equal(told(ended), '200 true')
    t.equal(told(await blocked), '403 ACL not found')
    for (const { SecretID } of [first, second]) {
      t.equal(told(await client.get('/v1/acl/token/self', as(SecretID))), '403 ACL not found')
    }
    t.equal((await client.get('/v1/acl/token/self', as(other.SecretID))).status, 200)
    const rules = (await client.get('/v1/acl/binding-rules', root)).json
    t.strictSame(
      rules.map((one: { ID: string }) => one.ID),
      [kept.json.ID],
    )
    t.equal(
      told(await client.delete('/v1/acl/auth-method/nomad', root)),
      '404 Cannot find auth method to delete',
    )
  })

  t.test('conditions on logins know what the token would be', async t => {
    const { client } = await startFace(t, { open: newStore(t), acl: {} })
    await method(client)
    await rule(client)
    const condition = (Level: string, Expression: string) =>
      client.put(
        '/v1/acl/condition/c',
        { Level, Expression, Operations: [{ Resource: 'login', Name: 'NOMAD' }] },
        root,
      )
    const knows =
      'token.metadata.team == "pay" && "ops" in token.metadata.groups && ' +
      'token.auth_method == "nomad" && token.policies == [] && !has(request.body.BearerToken)'
    t.equal((await condition('hard-mandatory', knows)).status, 200)
    const refused = '403 Permission denied: condition "c" (hard-mandatory) does not hold'
    const denied = await login(client, bearer())
    t.equal(told(denied), refused)
    const explain = (answered: typeof denied) =>
      client.get(`/v1/acl/explain/${answered.headers['x-request-id']}`, root)
    const why = await explain(denied)
    t.match(why.json, {
      AccessorID: '00000000-0000-0000-0000-000000000002',
      Operation: 'POST /v1/acl/login',
      Outcome: 'refused',
      Lacking: [],
      Conditions: [{ Name: 'c', Level: 'hard-mandatory', Outcome: 'refused' }],
    })
    t.notMatch(why.text, 'eyJ', 'without the proof')
    const { json } = await login(client, bearer({ team: 'pay', groups: ['ops'] }))
    t.ok(json.SecretID)
    await condition('advisory', 'false')
    const advised = await login(client, bearer())
    t.strictSame([advised.status, advised.headers['x-gatehouse-advisory']], [200, 'c'])
    t.match((await explain(advised)).json, {
      Outcome: 'allowed',
      Conditions: [{ Name: 'c', Level: 'advisory', Outcome: 'advised' }],
    })
    const ofKeys = {
      Level: 'hard-mandatory',
      Expression: 'token.metadata.team == "pay"',
      Operations: [{ Resource: 'service' }],
    }
    await client.delete('/v1/acl/condition/c', root)
    await client.put('/v1/acl/condition/k', ofKeys, root)
    const web = { Name: 'web' }
    const register = (secret: string) => client.put('/v1/agent/service/register', web, as(secret))
    t.equal((await register(json.SecretID)).status, 200, 'what the login said is kept')
    t.equal((await register(advised.json.SecretID)).status, 403)
  })
})

t.test('auth methods: written, read, changed', async t => {
  const { client } = await startFace(t, { acl: {} })
  const body = {
    Name: 'Nomad',
    Type: 'jwt',
    DisplayName: 'jobs',
    Description: 'd',
    MaxTokenTTL: '5m0s',
    TokenLocality: 'local',
    Config: HERE,
  }
  const { json } = await client.put('/v1/acl/auth-method', body, root)
  const { CreateIndex, ModifyIndex, ...said } = json
  t.strictSame(said, body)
  t.equal(ModifyIndex, CreateIndex)
  const path = '/v1/acl/auth-method/nomad'
  t.strictSame((await client.get(path, root)).json, json)
  const { Config: _config, ...stub } = json
  t.strictSame((await client.get('/v1/acl/auth-methods', root)).json, [stub])
  const { Config } = body
  const changed = await client.put(path, { Config, Description: 'e' }, root)
  t.match(changed.json, { Name: 'nomad', Type: 'jwt', Description: 'e', CreateIndex })
  t.equal(changed.json.MaxTokenTTL, undefined)
  t.equal((await client.get('/v1/acl/auth-methods', root)).json.length, 1)
  const cases: [object, string][] = [
    [{ Name: '' }, '500 Invalid Auth Method: no Name is set'],
    [
      { Name: 'a b' },
      "500 Invalid Auth Method: invalid Name. Only alphanumeric characters, '-' and '_' are allowed",
    ],
    [{ Name: 'k', Type: 'kubernetes' }, '501 not served yet: auth methods of type "kubernetes"'],
    [{ Name: 'k', Type: 'oidc' }, '501 not served yet: auth methods of type "oidc"'],
    [
      { Name: 'k', Type: '' },
      '500 Invalid Auth Method: Type should be one of: [aws-iam jwt kubernetes]',
    ],
    [{ MaxTokenTTL: '30s' }, '500 MaxTokenTTL 30s cannot be less than 1m0s'],
    [{ MaxTokenTTL: '25h' }, '500 MaxTokenTTL 25h0m0s cannot be more than 24h0m0s'],
    [
      { TokenLocality: 'here' },
      "500 Invalid Auth Method: TokenLocality should be one of 'local' or 'global'",
    ],
    [{ TokenNameFormat: 'x' }, '501 not served yet: TokenNameFormat of auth methods'],
    [
      { NamespaceRules: [{ Selector: '', BindNamespace: 'x' }] },
      '400 AuthMethod decoding failed: Invalid ACLAuthMethod.NamespaceRules: ' +
        'Namespaces is a Consul Enterprise feature',
    ],
    [{ Nosuch: 1 }, '400 AuthMethod decoding failed: json: unknown field "Nosuch"'],
  ]
  for (const [change, text] of cases) {
    t.equal(told(await client.put('/v1/acl/auth-method', { ...body, ...change }, root)), text)
  }
  t.equal(
    told(await client.put(path, { ...body, Name: 'other' }, root)),
    '400 AuthMethod Name in URL and payload do not match',
  )
  const none = await client.get('/v1/acl/auth-method/other', root)
  t.equal(told(none), '404 Requested auth method does not exist: ACL not found')
  t.equal(told(await client.get('/v1/acl/auth-method/', root)), '400 Missing auth method name')
  t.equal((await client.get(path)).status, 403)
  t.equal((await client.put('/v1/acl/auth-method', body)).status, 403)
})

t.test('binding rules: written, read, changed', async t => {
  const { client } = await startFace(t, { acl: {} })
  const nowhere = await rule(client)
  t.equal(told(nowhere), '500 cannot find auth method with name "nomad"')
  await method(client)
  await method(client, { Name: 'other' })
  const body = {
    Description: 'd',
    AuthMethod: 'nomad',
    Selector: 'value.job == "web"',
    BindType: 'templated-policy',
    BindName: 'builtin/service',
    BindVars: { Name: '$' + '{value.job}' },
  }
  const { json } = await client.put('/v1/acl/binding-rule', body, root)
  const { ID, CreateIndex, ModifyIndex, ...said } = json
  t.strictSame(said, body)
  t.equal(CreateIndex, ModifyIndex)
  const path = `/v1/acl/binding-rule/${ID}`
  t.strictSame(
    (
      await client.get(
        path.toUpperCase().replace('/V1/ACL/BINDING-RULE', '/v1/acl/binding-rule'),
        root,
      )
    ).json,
    json,
  )
  const changed = await client.put(
    path,
    { ...json, AuthMethod: '', BindType: 'service', BindName: 'x', BindVars: null },
    root,
  )
  t.match(changed.json, { ID, AuthMethod: 'nomad', BindName: 'x', CreateIndex })
  t.equal(changed.json.BindVars, undefined)
  const cases: [object, string][] = [
    [{ AuthMethod: '' }, '500 Invalid Binding Rule: no AuthMethod is set'],
    [{ BindType: '' }, '500 Invalid Binding Rule: no BindType is set'],
    [{ BindName: '' }, '500 Invalid Binding Rule: no BindName is set'],
    [{ BindType: 'nosuch', BindVars: null }, '500 Invalid Binding Rule: unknown BindType "nosuch"'],
    [{ ID }, '400 BindingRule ID in URL and payload do not match'],
    [
      { Description: 'x'.repeat(5_000) },
      '500 Invalid Binding Rule: the Description, Selector, BindName or BindVars is too long',
    ],
  ]
  for (const [change, text] of cases) {
    t.equal(told(await client.put('/v1/acl/binding-rule', { ...body, ...change }, root)), text)
  }
  t.match(
    told(await client.put('/v1/acl/binding-rule', { ...body, Selector: 'nosuch == 1' }, root)),
    /^500 invalid Binding Rule: Selector is invalid: /,
  )
  t.equal(
    told(await client.put(path, { ...body, AuthMethod: 'other' }, root)),
    '500 the AuthMethod field of an Binding Rule is immutable',
  )
  t.equal((await client.get('/v1/acl/binding-rules?authmethod=Nomad', root)).json.length, 1)
  t.strictSame((await client.get('/v1/acl/binding-rules?authmethod=other', root)).json, [])
  t.equal((await client.get('/v1/acl/binding-rules')).status, 403)
  t.equal(told(await client.delete(path, root)), '200 true')
  t.equal(told(await client.delete(path, root)), '404 Cannot find binding rule to delete')
  t.equal(
    told(await client.put(path, body, root)),
    `500 cannot find binding rule ${JSON.stringify(ID)}`,
  )
})

t.test('keys of issuers: a set over HTTP and HTTPS, a discovery', async t => {
  const keys = [{ ...rsa, kid: 'one' }]
  const answers = {
    '/keys': () => ({ keys }),
    '/.well-known/openid-configuration': () => ({
      json: { issuer: plain.url, jwks_uri: `${plain.url}/keys` },
    }),
  }
  const plain: Issuer = await Issuer.start(t, answers)
  const secure = await Issuer.start(t, answers, { key: testKey, cert: testCertificate })
  const secureUrl = `https://web.example:${secure.port}/keys`
  const resolver = resolverOf({ 'web.example': () => ['127.0.0.1'] })
  const { client } = await startFace(t, { acl: { proofs: proofsOfTests({ resolver }) } })
  const configs: [string, object][] = [
    ['set', { JWKSURL: `${plain.url}/keys` }],
    ['secure', { JWKSURL: secureUrl, JWKSCACert: testCertificate }],
    ['discovery', { OIDCDiscoveryURL: plain.url }],
  ]
  for (const [Name, config] of configs) {
    await method(client, { Name }, { ...CLAIMS, ...config })
    await rule(client, { AuthMethod: Name })
    const iss = Name === 'discovery' ? { iss: plain.url } : {}
    const given = await login(client, bearer(iss, rsa.privateKey, { kid: 'one' }), {
      AuthMethod: Name,
    })
    t.equal(given.json.AuthMethod, Name)
    const forged = bearer(iss, otherRsa.privateKey, { kid: 'one' })
    t.equal((await login(client, forged, { AuthMethod: Name })).status, 403)
  }
  const bad = { Name: 'bad', Type: 'jwt', Config: { JWKSURL: `${plain.url}/none` } }
  t.equal(
    told(await client.put('/v1/acl/auth-method', bad, root)),
    '500 Invalid Auth Method: error checking JWKSURL: the issuer answered 404',
  )
  const asked = plain.paths.length
  t.equal((await client.put('/v1/acl/auth-method', bad)).status, 403)
  t.equal(plain.paths.length, asked, 'nobody makes us ask without the right to write')
})

t.test('the outbound guard stands before issuers', async t => {
  const { client } = await startFace(t, {
    acl: { proofs: proofsOfTests({ mayReach: () => false }) },
  })
  const body = { Name: 'm', Type: 'jwt', Config: { JWKSURL: 'http://169.254.169.254/keys' } }
  t.equal(
    told(await client.put('/v1/acl/auth-method', body, root)),
    '500 Invalid Auth Method: error checking JWKSURL: ' +
      'logins may not reach 169.254.169.254 (login_targets.allow)',
  )
})

t.test('a proof leaves no trace: in no row, record, log line or metric', async t => {
  const lines: string[] = []
  const take = (...said: unknown[]): void => void lines.push(JSON.stringify(said))
  const log = { ...silentLog, trace: take, debug: take, info: take, warn: take, error: take }
  const face = await startFace(t, { acl: {}, audit: {}, log, prometheusRetentionMs: 60_000 })
  const { client, store } = face
  await method(client)
  await rule(client)
  const right = bearer()
  const wrong = bearer({ sub: 'canary' }, otherRsa.privateKey)
  const given = await login(client, right)
  const answers = [
    await login(client, wrong),
    await login(client, wrong, { AuthMethod: 'nosuch' }),
    await client.send('POST', '/v1/acl/login', `{"BearerToken":"${wrong}",}`),
    await client.send('POST', '/v1/acl/login', { AuthMethod: 'nomad', BearerToken: [wrong] }),
    await client.send('POST', '/v1/acl/login', { AuthMethod: 'nomad', [wrong]: '' }),
    await client.get('/v1/agent/metrics?format=prometheus', root),
  ]
  t.strictSame(
    answers.map(({ status }) => status),
    [403, 403, 400, 400, 400, 200],
  )
  const records = await store.journal.read(1, 1_000)
  const recorded = records.map(({ text }) => text.toString('utf8'))
  t.match(
    recorded.filter(text => text.includes('/v1/acl/login')).map(text => JSON.parse(text).status),
    [200, 403, 403, 400, 400, 400],
  )
  const rows = allTables.flatMap(table => [...store.view().entries(table)])
  const kept = [...lines, ...recorded, ...rows.map(cell => JSON.stringify(cell.row))]
  // The last answer but one names the unknown field that it was sent, and no more than its start.
  const seen = [...kept, ...answers.filter((_, at) => at !== 4).map(({ text }) => text)].join('\n')
  t.ok(kept.some(text => text.includes('token created via login')))
  for (const token of [right, wrong]) {
    for (const part of token.split('.').slice(1)) t.notOk(seen.includes(part.slice(0, 40)))
  }
  t.notOk(kept.join('\n').includes(given.json.SecretID), 'nor does the secret that it gave')
})

t.test('where ACLs are off each path says so', async t => {
  const { client } = await startFace(t)
  for (const [verb, path] of [
    ['POST', '/v1/acl/login'],
    ['GET', '/v1/acl/auth-methods'],
    ['PUT', '/v1/acl/auth-method'],
    ['GET', '/v1/acl/auth-method/x'],
    ['PUT', '/v1/acl/auth-method/x'],
    ['DELETE', '/v1/acl/auth-method/x'],
    ['GET', '/v1/acl/binding-rules'],
    ['PUT', '/v1/acl/binding-rule'],
    ['GET', '/v1/acl/binding-rule/x'],
    ['PUT', '/v1/acl/binding-rule/x'],
    ['DELETE', '/v1/acl/binding-rule/x'],
  ] as const) {
    const { status, text } = await client.raw(verb, path)
    t.strictSame([status, text], [401, 'ACL support disabled'], path)
  }
})

t.test('a server whose clock is wrong gives no token to who logs in', async t => {
  let isWrong = true
  const refuseIssuing = () =>
    isWrong ? new Refusal(503, "this server's clock is wrong") : undefined
  const { client } = await startFace(t, { acl: { refuseIssuing } })
  await method(client)
  await rule(client)
  t.equal(told(await login(client, bearer())), "503 this server's clock is wrong")
  isWrong = false
  t.equal((await login(client, bearer())).status, 200)
})
