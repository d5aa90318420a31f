/** Codes are given, redeemed once, and what for; tokens of clients for themselves. */
import { createHash } from 'node:crypto'
import { createLocalJWKSet, jwtVerify } from 'jose'
import tap from 'tap'
import { limits } from '../../../../../src/base/limits.ts'
import { openSecrets, type TestSecrets } from '../../../harness.ts'
import {
  authorize,
  basic,
  CALLBACK,
  clientOf,
  openAged,
  person,
  redeem,
  userinfo,
} from './people.ts'

const OIDC = 'identity/oidc'
const ISSUER = 'http://127.0.0.1:8200/v1/identity/oidc/provider/default'

const keySet = async (secrets: TestSecrets, provider = 'default') =>
  createLocalJWKSet(
    (await secrets.read(`${OIDC}/provider/${provider}/.well-known/keys`, { token: '' })).body,
  )

/** Somebody, and a client that he may log in to. */
async function opened(t: Parameters<typeof openSecrets>[0], more = {}) {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann', { metadata: { team: 'web' } })
  const shop = await clientOf(secrets, 'shop', more)
  return { secrets, ann, shop }
}

tap.test('a code is given, and redeemed once', async t => {
  const { secrets, ann, shop } = await opened(t)
  const asked = { state: 's/1', nonce: 'n"1' }
  const given = await authorize(secrets, ann, shop, { data: asked })
  t.equal(given.status, 200)
  t.match(given.body, { state: 's/1', code: /^[0-9A-Za-z]{32}$/ })
  const got = await redeem(secrets, given.body.code, shop)
  t.equal(got.status, 200)
  t.strictSame(got.headers, { Pragma: 'no-cache' })
  t.match(got.body, { token_type: 'Bearer', expires_in: 86_400, access_token: /^hvb\./ })
  const { payload } = await jwtVerify(got.body.id_token, await keySet(secrets), {
    ...{ issuer: ISSUER, audience: shop.client_id, subject: ann.entityId },
  })
  const half = (text: string) =>
    createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url')
  t.match(payload, { nonce: 'n"1', namespace: 'root', at_hash: half(got.body.access_token) })
  t.equal(payload.c_hash, half(given.body.code))
  t.equal(payload.exp! - payload.iat!, 86_400)
  t.notOk('auth_time' in payload)
  const again = await redeem(secrets, given.body.code, shop)
  t.strictSame(
    [again.status, again.body],
    [
      400,
      {
        error: 'invalid_grant',
        error_description: 'authorization grant is invalid or expired',
      },
    ],
  )
  t.strictSame(
    secrets.rows().filter(row => row.includes('oidc-codes')),
    [],
  )
})

tap.test('of many who redeem a code at once, one is given tokens', async t => {
  const { secrets, ann, shop } = await opened(t)
  const { code } = (await authorize(secrets, ann, shop)).body
  const got = await Promise.all(Array.from({ length: 8 }, () => redeem(secrets, code, shop)))
  t.equal(got.filter(({ status }) => status === 200).length, 1)
  t.ok(got.every(({ status, body }) => status === 200 || body.error === 'invalid_grant'))
})

tap.test('a client shows itself by a header, escaped or not, or among the data', async t => {
  const { secrets, ann, shop } = await opened(t)
  const asked = async (authorization: string | undefined, data: object) => {
    const { code } = (await authorize(secrets, ann, shop)).body
    const body = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, ...data }
    const at = `${OIDC}/provider/default/token`
    return secrets.post(at, body, { token: '', ...(authorization && { authorization }) })
  }
  const escaped = (text: string) =>
    [...text].map(letter => `%${letter.charCodeAt(0).toString(16)}`).join('')
  const pair = `${escaped(shop.client_id)}:${escaped(shop.client_secret)}`
  t.equal((await asked(`basic ${Buffer.from(pair).toString('base64')}`, {})).status, 200)
  t.equal((await asked(undefined, { ...shop })).status, 200)
  const wrong = { ...shop, client_secret: `${shop.client_secret}x` }
  for (const refused of [
    await asked(basic(wrong), {}),
    await asked(undefined, wrong),
    await asked(undefined, { client_id: shop.client_id }),
    await asked(basic({ ...shop, client_id: 'none' }), {}),
    await asked(basic({ ...shop, client_secret: '' }), {}),
    // What the header says is what counts.
    await asked(basic(wrong), shop),
  ]) {
    t.strictSame(
      [refused.status, refused.body],
      [401, { error: 'invalid_client', error_description: 'client failed to authenticate' }],
    )
    t.strictSame(refused.headers, { Pragma: 'no-cache', 'WWW-Authenticate': 'Basic' })
  }
  t.match(await asked(undefined, {}), {
    status: 400,
    body: { error: 'invalid_request', error_description: 'client_id parameter is required' },
  })
  t.equal((await asked('Basic %%%', { ...shop })).status, 200, 'it is no header of any')
})

tap.test('RFC 7636: whoever redeems a code shows that he asked for it', async t => {
  const { secrets, ann, shop } = await opened(t)
  const app = await clientOf(secrets, 'app', { client_type: 'public' })
  const verifier = 'v'.repeat(64)
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  const s256 = { code_challenge: challenge, code_challenge_method: 'S256' }
  const tried = async (client: typeof shop, data: object, code_verifier?: string) => {
    const { code } = (await authorize(secrets, ann, client, { data: data as never })).body
    const more = { client_id: client.client_id, ...(code_verifier && { code_verifier }) }
    const { status, body } = await redeem(secrets, code, client, { data: more })
    return [status, body.error_description]
  }
  t.strictSame(await tried(app, s256, verifier), [200, undefined])
  t.strictSame(await tried(shop, s256, verifier), [200, undefined])
  t.strictSame(await tried(app, { code_challenge: verifier }, verifier), [200, undefined])
  const wrong = [400, 'invalid code_verifier for token exchange']
  t.strictSame(await tried(app, s256, `${verifier}x`), wrong)
  t.strictSame(await tried(app, s256, challenge), wrong, 'the hash is not what was hashed')
  const lacking = [400, 'expected code_verifier for token exchange']
  t.strictSame(await tried(app, s256), lacking)
  t.strictSame(await tried(shop, s256), lacking)
  const unexpected = [400, 'unexpected code_verifier for token exchange']
  t.strictSame(await tried(shop, {}, verifier), unexpected)
  for (const [data, description] of [
    [{}, 'PKCE is required for public clients'],
    [{ code_challenge: '' }, 'invalid code_challenge'],
    [{ code_challenge: 'v'.repeat(42) }, 'invalid code_challenge'],
    [{ code_challenge: 'v'.repeat(129) }, 'invalid code_challenge'],
    [{ code_challenge: ' '.repeat(64) }, 'invalid code_challenge'],
    [{ code_challenge: verifier, code_challenge_method: 'none' }, 'invalid code_challenge_method'],
  ] as const) {
    t.match(await authorize(secrets, ann, app, { data }), {
      status: 400,
      body: { error: 'invalid_request', error_description: description },
    })
  }
})

tap.test('why there is no code', async t => {
  const { secrets, ann, shop } = await opened(t)
  const nobody = await clientOf(secrets, 'nobody', { assignments: [] })
  const machine = await clientOf(secrets, 'machine', { authorization_code: false })
  await secrets.post(`${OIDC}/provider/few`, { allowed_client_ids: [nobody.client_id] })
  const cases = [
    [{ client_id: '' }, 'invalid_client_id', 'client_id parameter is required'],
    [{ client_id: 'x' }, 'invalid_client_id', 'client with client_id not found'],
    [{ client_id: 'a/b' }, 'invalid_client_id', 'client with client_id not found'],
    [{ client_id: machine.client_id }, 'invalid_grant', /not allowed to perform/],
    [{ redirect_uri: '' }, 'invalid_request', 'redirect_uri parameter is required'],
    [{ redirect_uri: `${CALLBACK}/` }, 'invalid_redirect_uri', /not allowed for the client/],
    [{ request: 'x' }, 'request_not_supported', 'request parameter is not supported'],
    [{ request_uri: 'x' }, 'request_uri_not_supported', /not supported/],
    [{ scope: '' }, 'invalid_request', 'scope parameter must contain the "openid" value'],
    [{ scope: 'profile' }, 'invalid_request', /must contain the "openid" value/],
    [{ response_type: '' }, 'invalid_request', 'response_type parameter is required'],
    [{ response_type: 'token' }, 'unsupported_response_type', /unsupported/],
    [{ client_id: nobody.client_id }, 'access_denied', /not authorized by client assignment/],
    [{ max_age: 0 }, 'invalid_request', 'max_age must be greater than zero'],
    [{ nonce: 'n'.repeat(limits.oidcEchoedChars + 1) }, 'invalid_request', /too long/],
  ] as const
  for (const [data, error, error_description] of cases) {
    const got = await authorize(secrets, ann, shop, { data: { state: 'back', ...data } })
    t.match(got, { status: 400, body: { error, error_description, state: 'back' } })
  }
  const elsewhere = async (provider: string) =>
    (await authorize(secrets, ann, shop, { provider })).body
  t.match(await elsewhere('none'), {
    error: 'invalid_request',
    error_description: 'provider not found',
  })
  t.match(await elsewhere('few'), { error: 'unauthorized_client' })
  const asRoot = await authorize(secrets, { token: 'root-of-tests' }, shop)
  t.match(asRoot.body, { error: 'access_denied', error_description: /must be associated/ })
  t.equal((await authorize(secrets, { token: '' }, shop)).status, 403)
  t.equal((await authorize(secrets, ann, shop, { data: { max_age: 'x' } })).status, 400)
  t.strictSame(
    secrets.rows().filter(row => row.includes('oidc-codes')),
    [],
  )
})

tap.test('why a code is not redeemed, and that it is spent', async t => {
  const { secrets, ann, shop } = await opened(t)
  const other = await clientOf(secrets, 'other')
  await secrets.post(`${OIDC}/provider/second`, { allowed_client_ids: '*' })
  const code = async () => (await authorize(secrets, ann, shop)).body.code as string
  const refused = async (
    shown: string,
    by: typeof shop,
    asked: Parameters<typeof redeem>[3],
    error: string,
    error_description: string | RegExp,
  ) => {
    const got = await redeem(secrets, shown, by, asked)
    t.match(got, { status: 400, body: { error, error_description } })
  }
  const invalid = 'authorization grant is invalid or expired'
  for (const [by, asked, error, text] of [
    [other, {}, 'invalid_grant', 'authorization code was not issued to the client'],
    [shop, { provider: 'second' }, 'invalid_grant', /not issued by the provider/],
    [shop, { data: { redirect_uri: '' } }, 'invalid_request', /parameter is required/],
    [shop, { data: { redirect_uri: `${CALLBACK}#` } }, 'invalid_grant', /does not match/],
  ] as const) {
    const shown = await code()
    await refused(shown, by, asked, error, text)
    await refused(shown, shop, {}, 'invalid_grant', invalid)
  }
  for (const [asked, error, text] of [
    [{ data: { code: '' } }, 'invalid_request', 'code parameter is required'],
    [{ data: { code: 'x' } }, 'invalid_grant', invalid],
    [{ data: { grant_type: '' } }, 'unsupported_grant_type', /unsupported/],
    [{ data: { grant_type: 'password' } }, 'unsupported_grant_type', /unsupported/],
    [{ data: { grant_type: 'client_credentials' } }, 'invalid_grant', /not authorized to use/],
    [{ provider: 'none' }, 'invalid_request', 'provider not found'],
  ] as const) {
    await refused('unused', shop, asked as never, error, text)
  }
  const disabled = await code()
  await secrets.post(`identity/entity/id/${ann.entityId}`, { disabled: true })
  await refused(disabled, shop, {}, 'invalid_request', /not authorized by client assignment/)
  await secrets.post(`identity/entity/id/${ann.entityId}`, { disabled: false })
  const gone = await code()
  await secrets.post(`${OIDC}/provider/default`, { allowed_client_ids: ['x'] })
  t.match(await redeem(secrets, gone, shop), {
    status: 401,
    body: { error_description: 'client is not authorized to use the provider' },
  })
  await secrets.post(`${OIDC}/provider/default`, { allowed_client_ids: '*' })
  await secrets.post(`${OIDC}/key/default`, { allowed_client_ids: 'x' })
  t.match(await redeem(secrets, gone, shop), {
    status: 401,
    body: { error_description: 'client is not authorized to use the key' },
  })
  await secrets.post(`${OIDC}/key/default`, { allowed_client_ids: '*' })
  t.equal((await redeem(secrets, gone, shop)).status, 200, 'nobody had shown it as its client')
})

tap.test('a code ends by itself, and nobody has too many', async t => {
  const { secrets, pass } = await openAged(t)
  const ann = await person(secrets, 'ann')
  const bob = await person(secrets, 'bob')
  const shop = await clientOf(secrets, 'shop')
  const { code } = (await authorize(secrets, ann, shop)).body
  await pass(limits.oidcCodeTtlMs - 60_000)
  const late = (await authorize(secrets, ann, shop)).body.code
  t.equal(await pass(60_000), 1)
  t.equal((await redeem(secrets, code, shop)).body.error, 'invalid_grant')
  t.equal((await redeem(secrets, late, shop)).status, 200)
  for (let i = 0; i < limits.oidcCodesOfEntity; i++) await authorize(secrets, ann, shop)
  const more = await authorize(secrets, ann, shop, { data: { state: 'x' } })
  t.match(more, { status: 400, body: { error: 'temporarily_unavailable', state: 'x' } })
  t.equal((await authorize(secrets, bob, shop)).status, 200)
  await pass(limits.oidcCodeTtlMs)
  t.equal((await authorize(secrets, ann, shop)).status, 200)
})

tap.test('how long ago somebody logged in', async t => {
  const { secrets, pass } = await openAged(t)
  const beganS = Math.floor(secrets.clock.wall() / 1_000)
  const ann = await person(secrets, 'ann')
  const shop = await clientOf(secrets, 'shop')
  const data = { max_age: 60 }
  const { code } = (await authorize(secrets, ann, shop, { data })).body
  const { id_token } = (await redeem(secrets, code, shop)).body
  const { payload } = await jwtVerify(id_token, await keySet(secrets))
  const authTimeS = payload.auth_time as number
  t.ok(beganS <= authTimeS && authTimeS <= payload.iat!)
  await pass(62_000)
  t.match((await authorize(secrets, ann, shop, { data })).body, { error: 'max_age_violation' })
  t.equal((await authorize(secrets, ann, shop)).status, 200)
})

tap.test('scopes say more, in the identity token and to who asks with the other one', async t => {
  const { secrets, ann, shop } = await opened(t)
  await secrets.post(`${OIDC}/scope/team`, {
    template: '{"team":{{identity.entity.metadata.team}}}',
  })
  await secrets.post(`${OIDC}/scope/name`, { template: '{"name":{{identity.entity.name}}}' })
  await secrets.post(`${OIDC}/scope/empty`, {})
  await secrets.post(`${OIDC}/scope/also`, { template: '{"name":1}' })
  const scopes_supported = ['team', 'name', 'empty', 'also']
  const set = await secrets.post(`${OIDC}/provider/default`, { scopes_supported })
  t.match(set.body.warnings, [
    /conflicting top-level claim: claim "name" in scopes "also", "name"|in scopes "name"/,
  ])
  const data = { scope: 'team openid unknown empty  name' }
  const { code } = (await authorize(secrets, ann, shop, { data })).body
  const got = (await redeem(secrets, code, shop)).body
  const { payload } = await jwtVerify(got.id_token, await keySet(secrets))
  t.match(payload, { team: 'web', name: 'ann' })
  const told = await userinfo(secrets, got.access_token)
  t.strictSame([told.status, told.body], [200, { team: 'web', name: 'ann', sub: ann.entityId }])
  await secrets.post(`identity/entity/id/${ann.entityId}`, { metadata: { team: 'ops' } })
  t.equal((await userinfo(secrets, got.access_token)).body.team, 'ops')
  const both = (await authorize(secrets, ann, shop, { data: { scope: 'openid name also' } })).body
  t.match(await redeem(secrets, both.code, shop), {
    status: 400,
    body: { error: 'invalid_request', error_description: /conflicting top-level claim/ },
  })
})

tap.test('a client has tokens for itself, where it may', async t => {
  const secrets = await openSecrets(t)
  await secrets.post(`${OIDC}/scope/kind`, { template: '{"kind":"machine"}' })
  await secrets.post(`${OIDC}/scope/name`, { template: '{"name":{{identity.entity.name}}}' })
  await secrets.post(`${OIDC}/provider/default`, { scopes_supported: ['kind', 'name'] })
  const job = await clientOf(secrets, 'job', { client_credentials: true, id_token_ttl: '5m' })
  const ask = (data: object) =>
    redeem(secrets, '', job, { data: { grant_type: 'client_credentials', ...data } as never })
  const got = await ask({ scope: 'openid kind name' })
  t.match(got, { status: 200, body: { token_type: 'Bearer', expires_in: 300 } })
  t.strictSame(Object.keys(got.body).sort(), ['access_token', 'expires_in', 'token_type'])
  const { payload } = await jwtVerify(got.body.access_token, await keySet(secrets), {
    ...{ issuer: ISSUER, audience: job.client_id, subject: job.client_id },
  })
  t.match(payload, { kind: 'machine', jti: String })
  t.notOk('name' in payload, 'there is nobody to have one')
  t.match((await ask({})).body, { error: 'invalid_request' })
  t.match((await ask({ scope: 'kind' })).body, { error: 'invalid_request' })
})
