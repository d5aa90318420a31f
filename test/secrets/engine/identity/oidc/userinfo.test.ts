/** What an access token is good for, and until when. */
import tap from 'tap'
import { openSecrets, ROOT_TOKEN } from '../../../harness.ts'
import { authorize, clientOf, openAged, person, redeem, userinfo } from './people.ts'

const OIDC = 'identity/oidc'
const AT = `${OIDC}/provider/default/userinfo`

tap.test('it tells who somebody is, and nothing else is opened by it', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  const shop = await clientOf(secrets, 'shop')
  const { code } = (await authorize(secrets, ann, shop)).body
  const { access_token: token } = (await redeem(secrets, code, shop)).body
  const told = await userinfo(secrets, token)
  t.strictSame([told.status, told.body], [200, { sub: ann.entityId }])
  const posted = await secrets.post(AT, {}, { token, authorization: `Bearer ${token}` })
  t.strictSame([posted.status, posted.body], [200, { sub: ann.entityId }])
  for (const [operation, path] of [
    ['read', 'auth/token/lookup-self'],
    ['update', 'auth/token/renew-self'],
    ['update', 'auth/token/create'],
    ['update', 'sys/capabilities-self'],
    ['update', 'cubbyhole/a'],
    ['read', `identity/entity/id/${ann.entityId}`],
    ['update', `${OIDC}/provider/default/authorize`],
    ['read', `${OIDC}/token/web`],
    ['update', 'sys/wrapping/wrap'],
  ] as const) {
    t.equal((await secrets.ask(operation, path, { token, data: { a: 'b' } })).status, 403, path)
  }
})

tap.test('what is no access token of the provider', async t => {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  const shop = await clientOf(secrets, 'shop')
  await secrets.post(`${OIDC}/provider/second`, { allowed_client_ids: '*' })
  await secrets.post('sys/namespaces/team')
  const { code } = (await authorize(secrets, ann, shop)).body
  const { access_token: token } = (await redeem(secrets, code, shop)).body
  const bearer = (text: string) => ({ token: text, authorization: `Bearer ${text}` })
  const read = (asked: object, path = AT) => secrets.read(path, asked)
  const cases = [
    [await read({ token: '' }), 'permission denied'],
    [await read({ token }), 'access token must be sent as a Bearer token'],
    [await read({ token: '', authorization: `Basic ${token}` }), 'permission denied'],
    [await read(bearer('hvb.none')), 'permission denied'],
    [await read(bearer(`${token}x`)), 'permission denied'],
    [await read(bearer(ROOT_TOKEN)), 'access token is malformed or invalid'],
    [await read(bearer(ann.token)), 'access token is malformed or invalid'],
    [await userinfo(secrets, token, { provider: 'second' }), 'permission denied'],
    [await userinfo(secrets, token, { provider: 'none' }), 'permission denied'],
    [await userinfo(secrets, token, { namespace: 'team' }), 'permission denied'],
  ] as const
  for (const [got, error_description] of cases) {
    t.strictSame([got.status, got.body], [401, { error: 'invalid_token', error_description }])
    t.strictSame(got.headers, {
      'WWW-Authenticate': `Bearer error="invalid_token",error_description="${error_description}"`,
    })
  }
  const own = { allowed_client_ids: '*' }
  await secrets.post(`${OIDC}/provider/gone`, own)
  const other = (await authorize(secrets, ann, shop, { provider: 'gone' })).body.code
  const given = (await redeem(secrets, other, shop, { provider: 'gone' })).body.access_token
  t.equal((await userinfo(secrets, given, { provider: 'gone' })).status, 200)
  await secrets.remove(`${OIDC}/provider/gone`)
  const none = await userinfo(secrets, given, { provider: 'gone' })
  t.match(none, { status: 400, body: { error: 'invalid_request' } })
  t.match(none.headers['WWW-Authenticate'], /^Bearer error="invalid_request"/)
  const made = await secrets.post('auth/token/create', {
    ...{ type: 'batch', ttl: '1h', policies: ['default'] },
  })
  t.match(await read(bearer(made.body.auth.client_token)), {
    status: 401,
    body: { error_description: 'access token is malformed or invalid' },
  })
})

tap.test('it ends, and with it what it stands on', async t => {
  const { secrets, pass } = await openAged(t)
  const ann = await person(secrets, 'ann')
  const make = { access_token_ttl: '1h', assignments: ['allow_all'] }
  const shop = await clientOf(secrets, 'shop', make)
  const fresh = async () => {
    const { code } = (await authorize(secrets, ann, shop)).body
    return (await redeem(secrets, code, shop)).body.access_token as string
  }
  const denied = async (token: string, error_description: RegExp) =>
    t.match(await userinfo(secrets, token), {
      status: 403,
      body: { error: 'access_denied', error_description },
    })
  const old = await fresh()
  await pass(3_601_000)
  t.match(await userinfo(secrets, old), { status: 401, body: { error: 'invalid_token' } })
  const token = await fresh()
  t.equal((await userinfo(secrets, token)).status, 200)
  await secrets.post(`${OIDC}/client/shop`, { assignments: [] })
  await denied(token, /client assignment/)
  await secrets.post(`${OIDC}/client/shop`, { assignments: ['allow_all'] })
  await secrets.post(`${OIDC}/provider/default`, { allowed_client_ids: ['x'] })
  await denied(token, /to use the provider/)
  await secrets.post(`${OIDC}/provider/default`, { allowed_client_ids: '*' })
  await secrets.post(`identity/entity/id/${ann.entityId}`, { disabled: true })
  await denied(token, /client assignment/)
  await secrets.remove(`identity/entity/id/${ann.entityId}`)
  await denied(token, /not found/)
  await secrets.remove(`${OIDC}/client/shop`)
  await denied(token, /client not found/)
})
