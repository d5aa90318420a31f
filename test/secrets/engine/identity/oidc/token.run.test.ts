/** Identity tokens: issued, verified by another library, and looked at here. */
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import tap from 'tap'
import { openSecrets, type TestSecrets } from '../../../harness.ts'
import { testPorts, testServer } from '../../../ports.ts'
import { openAged, person } from './people.ts'

const HOUR_MS = 3_600_000
const OIDC = 'identity/oidc'
const ISSUER = 'http://127.0.0.1:8200/v1/identity/oidc'

const keySet = async (secrets: TestSecrets, namespace = '') =>
  createLocalJWKSet((await secrets.read(`${OIDC}/.well-known/keys`, { token: '', namespace })).body)

const introspect = async (secrets: TestSecrets, token: string, client_id = '') =>
  (await secrets.post(`${OIDC}/introspect`, { token, client_id })).body

for (const algorithm of ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA']) {
  tap.test(`${algorithm}: a token says who its bearer is`, async t => {
    const secrets = await openSecrets(t)
    const ann = await person(secrets, 'ann')
    await secrets.post(`${OIDC}/key/web`, { algorithm, allowed_client_ids: '*' })
    await secrets.post(`${OIDC}/role/web`, { key: 'web', ttl: '1h', client_id: 'shop' })
    const got = await secrets.read(`${OIDC}/token/web`, { token: ann.token })
    t.match(got.body.data, { client_id: 'shop', ttl: 3_600 })
    const { token } = got.body.data
    const { payload, protectedHeader } = await jwtVerify(token, await keySet(secrets), {
      ...{ issuer: ISSUER, audience: 'shop', subject: ann.entityId, algorithms: [algorithm] },
    })
    t.strictSame(Object.keys(payload).sort(), ['aud', 'exp', 'iat', 'iss', 'namespace', 'sub'])
    t.equal(payload.namespace, 'root')
    t.equal(payload.exp! - payload.iat!, 3_600)
    t.strictSame(Object.keys(protectedHeader), ['alg', 'kid'])
    t.strictSame(await introspect(secrets, token), { active: true })
    t.strictSame(await introspect(secrets, token, 'shop'), { active: true })
    t.match(await introspect(secrets, token, 'other'), { active: false, error: /\(aud\)/ })
  })
}

tap.test('a template says more of somebody', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann', { metadata: { team: 'we"b' } })
  await secrets.post('identity/group', { name: 'ops', member_entity_ids: ann.entityId })
  const template = `{
    "name": {{identity.entity.name}}, "groups": {{ identity.entity.groups.names }},
    "alias": {{identity.entity.aliases.${ann.accessor}.metadata.role_name}},
    "deep": {"team": {{identity.entity.metadata.team}}, "all": {{identity.entity.metadata}}},
    "nbf": {{time.now}}, "big": 12345678901234567890, "__proto__": {"admin": true}
  }`
  const body = { key: 'default', ttl: '1h' }
  for (const said of [template, Buffer.from(template).toString('base64')]) {
    t.equal((await secrets.post(`${OIDC}/role/web`, { ...body, template: said })).status, 204)
    t.equal((await secrets.read(`${OIDC}/role/web`)).body.data.template, template)
    const { token } = (await secrets.read(`${OIDC}/token/web`, { token: ann.token })).body.data
    const { payload } = await jwtVerify(token, await keySet(secrets))
    t.match(payload, {
      ...{ name: 'ann', groups: ['ops'], alias: 'ann', sub: ann.entityId, nbf: payload.iat },
      deep: { team: 'we"b', all: { team: 'we"b' } },
    })
    t.match(Buffer.from(token.split('.')[1]!, 'base64url').toString(), /12345678901234567890/)
  }
})

tap.test('a role is made, read, changed, listed and deleted', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.list(`${OIDC}/role`)).status, 404)
  t.equal((await secrets.post(`${OIDC}/role/web`, { key: 'default' })).status, 204)
  const { data } = (await secrets.read(`${OIDC}/role/web`)).body
  t.match(data, { key: 'default', template: '', ttl: 86_400, client_id: /^[0-9A-Za-z]{26}$/ })
  await secrets.post(`${OIDC}/role/web`, { ttl: 60, template: '{"a":1}' })
  const changed = (await secrets.read(`${OIDC}/role/web`)).body.data
  t.strictSame(changed, { ...data, ttl: 60, template: '{"a":1}' })
  await secrets.post(`${OIDC}/role/web`, { template: '', client_id: 'own' })
  t.match((await secrets.read(`${OIDC}/role/web`)).body.data, { template: '', client_id: 'own' })
  t.strictSame((await secrets.list(`${OIDC}/role`)).body.data.keys, ['web'])
  t.equal((await secrets.remove(`${OIDC}/role/web`)).status, 204)
  t.equal((await secrets.remove(`${OIDC}/role/web`)).status, 204)
  t.equal((await secrets.read(`${OIDC}/role/web`)).status, 404)
})

tap.test('a role that cannot be is refused', async t => {
  const secrets = await openSecrets(t)
  await secrets.post(`${OIDC}/key/short`, { algorithm: 'EdDSA', verification_ttl: '1h' })
  const refused = [
    [{}, 'the key parameter is required'],
    [{ key: 'none' }, 'cannot find key "none"'],
    [{ key: 'a/b' }, 'cannot find key "a/b"'],
    [{ key: 'short', ttl: '2h' }, /cannot be longer than the verification_ttl/],
    [{ key: 'default', ttl: '25h' }, /cannot be longer than the verification_ttl/],
    [{ key: 'default', template: '{"sub":"root"}' }, /top level key "sub" not allowed/],
    [{ key: 'default', template: '{"a":}' }, /error parsing template JSON/],
    [{ key: 'default', template: '[]' }, /it is no object/],
    [{ key: 'default', template: '{"a":{{identity.entity.name}' }, /unbalanced/],
    [{ key: 'default', template: '{"a":{{identity.groups.names.x.id}}}' }, /groups template/],
    [{ key: 'default', client_id: 'c'.repeat(513) }, /client_id exceeds/],
    [{ key: 'default', ttl: 'never' }, /error converting input for field "ttl"/],
  ] as const
  for (const [data, text] of refused) {
    t.match(await secrets.post(`${OIDC}/role/web`, data as never), { status: 400, text })
  }
  t.equal((await secrets.read(`${OIDC}/role/web`)).status, 404)
  t.notOk(
    secrets.rows().some(row => row.endsWith('oidc-keys/default')),
    'no pairs were kept',
  )
  t.equal((await secrets.post(`${OIDC}/role/a b`, { key: 'short' })).status, 404)
})

tap.test('no token is issued to nobody, by no role, and for no client that may not', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  const ask = (role: string, token = ann.token) => secrets.read(`${OIDC}/token/${role}`, { token })
  t.match(await ask('none'), { status: 400, text: 'role "none" not found' })
  await secrets.post(`${OIDC}/key/few`, { algorithm: 'EdDSA', allowed_client_ids: 'x' })
  await secrets.post(`${OIDC}/role/web`, { key: 'few', client_id: 'y', ttl: '1h' })
  t.match(await ask('web'), { status: 400, text: /does not list the client ID of the role "web"/ })
  await secrets.post(`${OIDC}/key/few`, { allowed_client_ids: 'x,y' })
  t.equal((await ask('web')).status, 200)
  t.match(await ask('web', 'root-of-tests'), {
    status: 400,
    text: "no entity associated with the request's token",
  })
  t.equal((await ask('web', '')).status, 403)
  await secrets.post(`identity/entity/id/${ann.entityId}`, { disabled: true })
  t.equal((await ask('web')).status, 403)
})

tap.test('a token holds until it is over, its key is out, or its entity is gone', async t => {
  const { secrets, pass } = await openAged(t)
  const ann = await person(secrets, 'ann')
  await secrets.post(`${OIDC}/role/web`, { key: 'default', ttl: '1h' })
  const issue = async () =>
    (await secrets.read(`${OIDC}/token/web`, { token: ann.token })).body.data.token as string
  const token = await issue()
  t.strictSame(await introspect(secrets, token), { active: true })
  await secrets.post(`${OIDC}/key/default/rotate`)
  t.strictSame(await introspect(secrets, token), { active: true }, 'its key is told yet')
  t.not(decodeProtectedHeader(await issue()).kid, decodeProtectedHeader(token).kid)
  await pass(HOUR_MS + 2_000)
  t.match(await introspect(secrets, token), { active: false, error: /expired/ })
  const newer = await issue()
  await secrets.post(`${OIDC}/key/default/rotate`, { verification_ttl: 0 })
  t.match(await introspect(secrets, newer), { active: false, error: /signature/ })
  const newest = await issue()
  await secrets.post(`identity/entity/id/${ann.entityId}`, { disabled: true })
  t.strictSame(await introspect(secrets, newest), { active: false, error: 'entity is disabled' })
  await secrets.remove(`identity/entity/id/${ann.entityId}`)
  t.strictSame(await introspect(secrets, newest), { active: false, error: 'entity was not found' })
  for (const text of ['', 'a.b', 'a.b.c', 'hvs.abc']) {
    t.match(await introspect(secrets, text), { active: false, error: /error parsing token/ })
  }
})

tap.test('the issuer is configured, or the address of the server', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  await secrets.post(`${OIDC}/role/web`, { key: 'default' })
  const issuer = async () => {
    const { token } = (await secrets.read(`${OIDC}/token/web`, { token: ann.token })).body.data
    t.strictSame(await introspect(secrets, token), { active: true })
    return (await jwtVerify(token, await keySet(secrets))).payload.iss
  }
  t.strictSame((await secrets.read(`${OIDC}/config`)).body.data, { issuer: '' })
  t.equal(await issuer(), ISSUER)
  for (const bad of ['x', 'ftp://a', 'https://a/', 'https://a/b', 'https://u@a', 'https://a?b']) {
    t.match(await secrets.post(`${OIDC}/config`, { issuer: bad }), {
      status: 400,
      text: /must include only a scheme, host/,
    })
  }
  const before = (await secrets.read(`${OIDC}/token/web`, { token: ann.token })).body.data.token
  const set = await secrets.post(`${OIDC}/config`, { issuer: 'https://id.example.com:8200' })
  t.match(set.body.warnings, [/tokens must be validated against that address/])
  t.equal(await issuer(), 'https://id.example.com:8200/v1/identity/oidc')
  t.match(await introspect(secrets, before), { active: false, error: /\(iss\)/ })
  t.equal((await secrets.post(`${OIDC}/config`, {})).status, 204)
  const page = await secrets.read(`${OIDC}/.well-known/openid-configuration`, { token: '' })
  t.equal(page.headers['Cache-Control'], 'max-age=3600')
  t.strictSame(page.body, {
    issuer: 'https://id.example.com:8200/v1/identity/oidc',
    jwks_uri: 'https://id.example.com:8200/v1/identity/oidc/.well-known/keys',
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [
      ...['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
    ],
  })
  t.equal((await secrets.post(`${OIDC}/config`, { issuer: '' })).status, 204)
  t.equal(await issuer(), ISSUER)
})

tap.test('who sets no issuer is warned where servers have several addresses', async t => {
  let addresses = ['http://a:8200', 'http://b:8200', '']
  const servers = () => addresses.map(apiAddress => ({ ...testServer, apiAddress }))
  const secrets = await openSecrets(t, {
    ports: { cluster: { ...testPorts().cluster, servers } },
  })
  const warned = async (path: string, data: object) =>
    (await secrets.post(`${OIDC}/${path}`, data as never)).body?.warnings
  const own = [/No "issuer" is set.* each says its own/]
  const role = { key: 'default' }
  t.match(await warned('role/web', role), own)
  t.match(await warned('config', { issuer: '' }), own)
  t.match(await warned('provider/mine', {}), own)
  const issuer = 'https://id.example.com'
  t.match(await warned('config', { issuer }), [/tokens must be validated against that address/])
  t.equal(await warned('role/web', role), undefined)
  t.match(await warned('provider/mine', { issuer }), [/must be validated against that address/])
  // One server, or all behind one address.
  for (addresses of [[], ['http://a:8200', ''], ['http://a:8200', 'http://a:8200']]) {
    t.equal(await warned('config', { issuer: '' }), undefined)
    t.equal(await warned('role/web', role), undefined)
    t.equal(await warned('provider/mine', { issuer: '' }), undefined)
  }
})

tap.test('public keys may be kept for no longer than they hold', async t => {
  const secrets = await openSecrets(t)
  const kept = async () => {
    const { headers } = await secrets.read(`${OIDC}/.well-known/keys`, { token: '' })
    return /^max-age=(\d+)$/.exec(headers['Cache-Control'] ?? '')?.[1]
  }
  t.equal(await kept(), undefined, 'there are none')
  await secrets.post(`${OIDC}/role/web`, { key: 'default' })
  t.ok(Number(await kept()) >= 1_800 && Number(await kept()) <= 3_600)
  const short = { algorithm: 'EdDSA', rotation_period: '2m', verification_ttl: '1m' }
  await secrets.post(`${OIDC}/key/short`, short)
  await secrets.post(`${OIDC}/role/short`, { key: 'short', ttl: 10 })
  t.ok(Number(await kept()) >= 30 && Number(await kept()) <= 60)
})

tap.test('tokens are of a namespace', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/namespaces/team')
  const namespace = 'team'
  const ann = await person(secrets, 'ann')
  const bob = await person(secrets, 'bob', { namespace })
  await secrets.post(`${OIDC}/role/web`, { key: 'default' })
  await secrets.post(`${OIDC}/role/web`, { key: 'default' }, { namespace })
  const got = await secrets.read(`${OIDC}/token/web`, { token: bob.token, namespace })
  const { token } = got.body.data
  const { payload } = await jwtVerify(token, await keySet(secrets, namespace), {
    issuer: 'http://127.0.0.1:8200/v1/team/identity/oidc',
  })
  t.match(payload, { sub: bob.entityId, namespace: /^\w{6}$/ })
  t.match(await introspect(secrets, token), { active: false, error: /signature/ })
  await t.rejects(jwtVerify(token, await keySet(secrets)))
  // Who is of the root namespace has rights in there, and is nobody.
  await secrets.post('sys/policies/acl/oidc', {
    policy: 'path "team/identity/oidc/*" { capabilities = ["read"] }',
  })
  t.match(await secrets.read(`${OIDC}/token/web`, { token: ann.token, namespace }), {
    status: 400,
    text: /no entity/,
  })
})

tap.test('what a token says is bounded', async t => {
  const secrets = await openSecrets(t)
  const metadata = Object.fromEntries(
    Array.from({ length: 64 }, (_, i) => [`k${i}`, '"'.repeat(500)]),
  )
  const ann = await person(secrets, 'ann', { metadata })
  const template = '{"a":{{identity.entity.metadata}},"b":{{identity.entity.metadata}}}'
  await secrets.post(`${OIDC}/role/web`, { key: 'default', template })
  const got = await secrets.read(`${OIDC}/token/web`, { token: ann.token })
  t.match(got.body.warnings, [/it becomes too long/])
  const { payload } = await jwtVerify(got.body.data.token, await keySet(secrets))
  t.strictSame(Object.keys(payload).sort(), ['aud', 'exp', 'iat', 'iss', 'namespace', 'sub'])
})

tap.test('a token may be wrapped', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  await secrets.post(`${OIDC}/role/web`, { key: 'default' })
  const got = await secrets.read(`${OIDC}/token/web`, { token: ann.token, wrapTtlMs: 60_000 })
  const { token } = got.body.wrap_info
  const { data } = (await secrets.post('sys/wrapping/unwrap', {}, { token })).body
  t.ok(await jwtVerify(data.token, await keySet(secrets)))
})
