/** Providers, scopes, assignments and clients: made, read, changed, listed, deleted, refused. */
import tap from 'tap'
import { limits } from '../../../../../src/base/limits.ts'
import { openSecrets } from '../../../harness.ts'
import { authorize, CALLBACK, clientOf, person } from './people.ts'

const OIDC = 'identity/oidc'
const ISSUER = 'http://127.0.0.1:8200/v1/identity/oidc/provider'

tap.test('a provider', async t => {
  const secrets = await openSecrets(t)
  const byDefault = { allowed_client_ids: ['*'], scopes_supported: [] }
  t.strictSame((await secrets.list(`${OIDC}/provider`)).body.data, {
    key_info: { default: { issuer: `${ISSUER}/default`, ...byDefault } },
    keys: ['default'],
  })
  await secrets.post(`${OIDC}/scope/team`, { template: '{"team":1}' })
  const data = { allowed_client_ids: 'a,b,a', scopes_supported: 'team', issuer: 'https://id.x' }
  const made = await secrets.post(`${OIDC}/provider/mine`, data)
  t.match(made.body.warnings, [/If "issuer" is set explicitly/])
  t.strictSame((await secrets.read(`${OIDC}/provider/mine`)).body.data, {
    issuer: 'https://id.x/v1/identity/oidc/provider/mine',
    ...{ allowed_client_ids: ['a', 'b'], scopes_supported: ['team'] },
  })
  t.equal((await secrets.post(`${OIDC}/provider/mine`, { issuer: '' })).status, 204)
  t.match((await secrets.read(`${OIDC}/provider/mine`)).body.data, { issuer: `${ISSUER}/mine` })
  const filtered = { data: { allowed_client_id: 'b' } }
  t.strictSame((await secrets.list(`${OIDC}/provider`, filtered)).body.data.keys, [
    'default',
    'mine',
  ])
  const other = { data: { allowed_client_id: 'c' } }
  t.strictSame((await secrets.list(`${OIDC}/provider`, other)).body.data.keys, ['default'])
  t.match(await secrets.remove(`${OIDC}/scope/team`), {
    status: 400,
    text: /^unable to delete scope "team" because .* referenced by these providers: mine$/,
  })
  t.equal((await secrets.remove(`${OIDC}/provider/mine`)).status, 204)
  t.equal((await secrets.read(`${OIDC}/provider/mine`)).status, 404)
  t.equal((await secrets.remove(`${OIDC}/scope/team`)).status, 204)
  t.match(await secrets.remove(`${OIDC}/provider/default`), { status: 400, text: /not allowed/ })
  for (const [body, text] of [
    [{ issuer: 'https://a/b' }, /must include only/],
    [{ scopes_supported: 'none' }, 'scope "none" does not exist'],
    [{ scopes_supported: 'openid' }, 'scope "openid" does not exist'],
    [
      {
        allowed_client_ids: Array(limits.oidcListItems + 1)
          .fill(0)
          .map((_, i) => `${i}`),
      },
      /more than/,
    ],
  ] as const) {
    t.match(await secrets.post(`${OIDC}/provider/mine`, body as never), { status: 400, text })
  }
  t.equal((await secrets.post(`${OIDC}/provider/a b`)).status, 404)
  for (let i = 0; i < limits.oidcProviders; i++) await secrets.post(`${OIDC}/provider/p${i}`)
  t.match(await secrets.post(`${OIDC}/provider/more`), { status: 400, text: /at most/ })
})

tap.test('what anybody is told of a provider', async t => {
  const secrets = await openSecrets(t)
  const anybody = { token: '' }
  const page = await secrets.read(
    `${OIDC}/provider/default/.well-known/openid-configuration`,
    anybody,
  )
  t.equal(page.headers['Cache-Control'], 'max-age=3600')
  const issuer = `${ISSUER}/default`
  t.match(page.body, {
    ...{ issuer, jwks_uri: `${issuer}/.well-known/keys`, token_endpoint: `${issuer}/token` },
    userinfo_endpoint: `${issuer}/userinfo`,
    authorization_endpoint:
      'http://127.0.0.1:8200/ui/vault/identity/oidc/provider/default/authorize',
    response_types_supported: ['code'],
    scopes_supported: ['openid'],
    code_challenge_methods_supported: ['S256', 'plain'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic', 'client_secret_post'],
  })
  const keys = async (provider: string) =>
    (await secrets.read(`${OIDC}/provider/${provider}/.well-known/keys`, anybody)).body.keys
  t.strictSame(await keys('default'), [])
  await secrets.post(`${OIDC}/key/own`, { algorithm: 'ES256' })
  const shop = await clientOf(secrets, 'shop', { key: 'own' })
  await clientOf(secrets, 'other')
  await secrets.post(`${OIDC}/provider/mine`, { allowed_client_ids: ['none', shop.client_id] })
  t.equal((await keys('default')).length, 4)
  t.strictSame(
    (await keys('mine')).map(({ alg }: { alg: string }) => alg),
    ['ES256', 'ES256'],
  )
  await secrets.post(`${OIDC}/role/r`, { key: 'own' })
  t.strictSame(
    (await secrets.read(`${OIDC}/.well-known/keys`, anybody)).body.keys,
    await keys('mine'),
  )
  for (const part of ['keys', 'openid-configuration']) {
    const got = await secrets.read(`${OIDC}/provider/none/.well-known/${part}`, anybody)
    t.strictSame([got.status, got.body], [404, { errors: [] }])
  }
})

tap.test('a scope', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.list(`${OIDC}/scope`)).status, 404)
  const template = Buffer.from('{"a":{{identity.entity.name}}}').toString('base64')
  t.equal((await secrets.post(`${OIDC}/scope/team`, { template })).status, 204)
  await secrets.post(`${OIDC}/scope/team`, { description: 'the team' })
  t.strictSame((await secrets.read(`${OIDC}/scope/team`)).body.data, {
    ...{ template: '{"a":{{identity.entity.name}}}', description: 'the team' },
  })
  t.strictSame((await secrets.list(`${OIDC}/scope`)).body.data.keys, ['team'])
  t.match(await secrets.post(`${OIDC}/scope/openid`), {
    status: 400,
    text: 'the "openid" scope name is reserved',
  })
  for (const bad of ['{', '{"iss":1}', '{"a":{{nothing}}}']) {
    t.equal((await secrets.post(`${OIDC}/scope/bad`, { template: bad })).status, 400, bad)
  }
  t.equal((await secrets.read(`${OIDC}/scope/bad`)).status, 404)
  t.equal((await secrets.remove(`${OIDC}/scope/team`)).status, 204)
  t.equal((await secrets.remove(`${OIDC}/scope/team`)).status, 204)
  t.equal((await secrets.post(`${OIDC}/scope/a b`)).status, 404)
})

tap.test('an assignment says who may log in', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  const bob = await person(secrets, 'bob')
  const eve = await person(secrets, 'eve')
  const inner = await secrets.post('identity/group', {
    name: 'in',
    member_entity_ids: [bob.entityId],
  })
  const outer = await secrets.post('identity/group', {
    ...{ name: 'out', member_group_ids: [inner.body.data.id] },
  })
  t.strictSame((await secrets.list(`${OIDC}/assignment`)).body.data.keys, ['allow_all'])
  t.strictSame((await secrets.read(`${OIDC}/assignment/allow_all`)).body.data, {
    ...{ entity_ids: ['*'], group_ids: ['*'] },
  })
  const ids = {
    entity_ids: [ann.entityId.toUpperCase(), ann.entityId],
    group_ids: outer.body.data.id,
  }
  t.equal((await secrets.post(`${OIDC}/assignment/few`, ids)).status, 204)
  t.strictSame((await secrets.read(`${OIDC}/assignment/few`)).body.data, {
    ...{ entity_ids: [ann.entityId], group_ids: [outer.body.data.id] },
  })
  const shop = await clientOf(secrets, 'shop', { assignments: ['few'] })
  const may = async (who: typeof ann) => (await authorize(secrets, who, shop)).status === 200
  t.strictSame([await may(ann), await may(bob), await may(eve)], [true, true, false])
  await secrets.post(`${OIDC}/assignment/few`, { group_ids: [] })
  t.strictSame([await may(ann), await may(bob), await may(eve)], [true, false, false])
  t.match(await secrets.remove(`${OIDC}/assignment/few`), {
    status: 400,
    text: /^unable to delete assignment "few" because .* referenced by these clients: shop$/,
  })
  await secrets.post(`${OIDC}/client/shop`, { assignments: [] })
  t.equal((await secrets.remove(`${OIDC}/assignment/few`)).status, 204)
  t.equal((await secrets.read(`${OIDC}/assignment/few`)).status, 404)
  // Everybody is meant by that name alone.
  await secrets.post(`${OIDC}/assignment/star`, { entity_ids: '*', group_ids: '*' })
  await secrets.post(`${OIDC}/client/shop`, { assignments: ['star'] })
  t.equal(await may(ann), false)
  for (const [verb, path] of [
    ['update', 'allow_all'],
    ['delete', 'allow_all'],
  ] as const) {
    t.match(await secrets.ask(verb, `${OIDC}/assignment/${path}`), {
      status: 400,
      text: /of assignment "allow_all" not allowed/,
    })
  }
  const many = { entity_ids: Array.from({ length: limits.oidcListItems + 1 }, (_, i) => `${i}`) }
  t.match(await secrets.post(`${OIDC}/assignment/many`, many), { status: 400, text: /more than/ })
  t.equal((await secrets.post(`${OIDC}/assignment/a b`)).status, 404)
})

tap.test('a client', async t => {
  const secrets = await openSecrets(t)
  t.equal((await secrets.list(`${OIDC}/client`)).status, 404)
  const shop = await clientOf(secrets, 'shop')
  t.strictSame(shop, {
    client_secret: shop.client_secret,
    ...{ redirect_uris: [CALLBACK], assignments: ['allow_all'], key: 'default' },
    ...{ id_token_ttl: 86_400, access_token_ttl: 86_400, client_type: 'confidential' },
    ...{ client_id: shop.client_id, client_credentials: false, authorization_code: true },
  } as never)
  t.match(shop.client_id, /^[0-9A-Za-z]{32}$/)
  t.match(shop.client_secret, /^hvo_secret_[0-9A-Za-z]{64}$/)
  const changed = await clientOf(secrets, 'shop', { id_token_ttl: '1h', key: 'default' })
  t.match(changed, { client_id: shop.client_id, client_secret: shop.client_secret })
  const { client_secret: _, ...shown } = changed
  t.strictSame((await secrets.list(`${OIDC}/client`)).body.data, {
    ...{ key_info: { shop: shown }, keys: ['shop'] },
  })
  const app = await secrets.post(`${OIDC}/client/app`, { client_type: 'public' })
  t.equal(app.status, 204)
  const { data } = (await secrets.read(`${OIDC}/client/app`)).body
  t.match(data, { client_type: 'public', redirect_uris: [], assignments: [] })
  t.notOk('client_secret' in data)
  t.match(await secrets.post(`${OIDC}/key/short`, { verification_ttl: '1h' }), { status: 204 })
  for (const [path, body, text] of [
    ['shop', { key: 'short' }, 'key modification is not allowed'],
    ['shop', { client_type: 'public' }, 'client_type modification is not allowed'],
    ['new', { client_type: 'secret' }, 'invalid client_type "secret"'],
    ['new', { assignments: 'none' }, 'assignment "none" does not exist'],
    ['new', { key: 'none' }, 'key "none" does not exist'],
    ['new', { key: 'short', id_token_ttl: '2h' }, /cannot be greater than the verification_ttl/],
    ['new', { client_type: 'public', client_credentials: true }, /of type confidential/],
    ['app', { client_credentials: true }, /of type confidential/],
    ['new', { redirect_uris: [`https://a/${'x'.repeat(limits.oidcUriChars)}`] }, /exceeds/],
    ['new', { redirect_uris: Array.from({ length: 1_001 }, (_, i) => `${i}`) }, /more than/],
    ['new', { authorization_code: 'perhaps' }, /error converting input/],
  ] as const) {
    const got = await secrets.post(`${OIDC}/client/${path}`, body as never)
    t.match(got, { status: 400, text }, JSON.stringify(body).slice(0, 60))
  }
  t.equal((await secrets.read(`${OIDC}/client/new`)).status, 404)
  t.match(await secrets.remove(`${OIDC}/key/default`), { status: 400 })
  await clientOf(secrets, 'other', { key: 'short', id_token_ttl: '1h' })
  t.match(await secrets.remove(`${OIDC}/key/short`), {
    status: 400,
    text: 'unable to delete key "short" because it is currently referenced by these clients: other',
  })
  t.match(await secrets.post(`${OIDC}/key/short`, { verification_ttl: '30m' }), {
    status: 400,
    text: /clients with an id_token_ttl greater than 1800 seconds/,
  })
  for (const name of ['shop', 'app', 'other', 'other']) {
    t.equal((await secrets.remove(`${OIDC}/client/${name}`)).status, 204)
  }
  t.equal((await secrets.remove(`${OIDC}/key/short`)).status, 204)
  const rows = secrets.rows().filter(row => /oidc-(client|key-users)/.test(row))
  t.strictSame(rows, [])
  t.equal((await secrets.post(`${OIDC}/client/a b`)).status, 404)
})
