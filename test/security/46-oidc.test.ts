/**
 * Class 46: whoever logs in by way of the OIDC provider is somebody else, or a client is told what
 * it was not to know (RFC 9700: codes that are used twice, stolen, or meant for another client;
 * PKCE that is left out on the way; redirects that nearly fit; CVE-2015-9235: a token that says
 * itself that it needs no signature; CVE-2016-10555: a public key taken for a secret).
 *
 * Each attack stands beside what is right and differs in one thing.
 */
import { createHash, createHmac, createPublicKey } from 'node:crypto'
import t, { type Test } from 'tap'
import {
  authorize,
  CALLBACK,
  clientOf,
  person,
  redeem,
  userinfo,
} from '../secrets/engine/identity/oidc/people.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../secrets/harness.ts'

const OIDC = 'identity/oidc'
const VERIFIER = 'a-verifier-that-is-long-enough-to-be-one-0123456789'
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')
const S256 = { code_challenge: CHALLENGE, code_challenge_method: 'S256' }

async function opened(t: Test) {
  const secrets = await openSecrets(t)
  const ann = await person(secrets, 'ann')
  const eve = await person(secrets, 'eve')
  const shop = await clientOf(secrets, 'shop')
  const app = await clientOf(secrets, 'app', { client_type: 'public' })
  return { secrets, ann, eve, shop, app }
}

t.test('a code is used twice, and both at once', async t => {
  const { secrets, ann, shop } = await opened(t)
  const code = (await authorize(secrets, ann, shop)).body.code
  const both = await Promise.all([redeem(secrets, code, shop), redeem(secrets, code, shop)])
  t.strictSame(both.map(({ status }) => status).sort(), [200, 400])
  t.equal((await redeem(secrets, code, shop)).body.error, 'invalid_grant')
})

t.test('a code is shown by another client, which has its own secret', async t => {
  const { secrets, ann, shop, app } = await opened(t)
  const evil = await clientOf(secrets, 'evil')
  const code = (await authorize(secrets, ann, shop)).body.code
  t.equal((await redeem(secrets, code, evil)).body.error, 'invalid_grant')
  t.equal((await redeem(secrets, code, shop)).body.error, 'invalid_grant', 'it was seen: it is off')
  // By a public one, which shows nothing but the other's id.
  const next = (await authorize(secrets, ann, shop)).body.code
  const asked = { client_id: shop.client_id, client_secret: '' }
  t.equal((await redeem(secrets, next, { ...app, ...asked })).body.error, 'invalid_client')
  t.equal((await redeem(secrets, next, shop)).status, 200, 'nobody was the client: it holds')
})

t.test('PKCE is left out on the way, or turned into what anybody has', async t => {
  const { secrets, ann, shop, app } = await opened(t)
  for (const client of [app, shop]) {
    const code = async (data: object) =>
      (await authorize(secrets, ann, client, { data: data as never })).body.code as string
    const shown = async (data: object, by: object) =>
      (await redeem(secrets, await code(data), client, { data: by as never })).status
    t.equal(await shown(S256, { code_verifier: VERIFIER }), 200)
    t.equal(await shown(S256, {}), 400, 'no verifier')
    t.equal(await shown(S256, { code_verifier: '' }), 400)
    t.equal(await shown(S256, { code_verifier: CHALLENGE }), 400, 'the challenge itself')
    const plain = { code_verifier: CHALLENGE, code_challenge_method: 'plain' }
    t.equal(await shown(S256, plain), 400, 'the method is not said by who redeems')
    t.equal(await shown(S256, { code_verifier: `${VERIFIER} ` }), 400)
  }
  // The attacker asks without it, in the name of the victim's client.
  const code = (await authorize(secrets, ann, shop)).body.code
  const by = { data: { code_verifier: VERIFIER } }
  t.equal((await redeem(secrets, code, shop, by)).status, 400, 'the client notices')
  t.equal((await authorize(secrets, ann, app)).status, 400)
})

t.test('the answer is sent elsewhere', async t => {
  const { secrets, ann, shop } = await opened(t)
  for (const redirect_uri of [
    ...[`${CALLBACK}/`, `${CALLBACK}?a=b`, `${CALLBACK}#`, `${CALLBACK}%00`, ` ${CALLBACK}`],
    ...['https://shop.example.com', 'https://shop.example.com.evil.example/callback'],
    ...['https://shop.example.com@evil.example/callback', 'http://shop.example.com/callback'],
    ...['https://SHOP.example.com/callback', 'https://shop.example.com:443/callback'],
    ...['https://shop.example.com/callback/../evil', '//shop.example.com/callback', 'javascript:1'],
    ...['http://localhost/callback', 'http://127.0.0.1:1/callback'],
  ]) {
    const got = await authorize(secrets, ann, shop, { data: { redirect_uri } })
    t.match(got, { status: 400, body: { error: 'invalid_redirect_uri' } }, redirect_uri)
  }
  const near = { redirect_uris: [CALLBACK, `${CALLBACK}/`] }
  await clientOf(secrets, 'shop', near)
  const code = (await authorize(secrets, ann, shop)).body.code
  const other = await redeem(secrets, code, shop, { data: { redirect_uri: `${CALLBACK}/` } })
  t.equal(other.body.error, 'invalid_grant', 'a registered one, but not that of the code')
})

t.test('what one provider or namespace gave is shown to another', async t => {
  const { secrets, ann, shop } = await opened(t)
  const namespace = 'team'
  await secrets.post('sys/namespaces/team')
  await secrets.post(`${OIDC}/provider/second`, { allowed_client_ids: '*' })
  const code = async () => (await authorize(secrets, ann, shop)).body.code as string
  t.equal((await redeem(secrets, await code(), shop, { provider: 'second' })).status, 400)
  t.equal((await redeem(secrets, await code(), shop, { namespace })).status, 401)
  const there = await clientOf(secrets, 'shop', {}, namespace)
  t.equal((await redeem(secrets, await code(), there, { namespace })).status, 400)
  // Who is of the root namespace is nobody in another, whatever he may do there.
  const asked = { namespace, data: {} }
  const policy = 'path "team/identity/*" { capabilities = ["read", "update"] }'
  await secrets.post('sys/policies/acl/oidc', { policy: `${policy}\n${RULES}` })
  t.match((await authorize(secrets, ann, there, asked)).body, { error: 'access_denied' })
  const { access_token } = (await redeem(secrets, await code(), shop)).body
  t.equal((await userinfo(secrets, access_token)).status, 200)
  t.equal((await userinfo(secrets, access_token, { provider: 'second' })).status, 401)
  t.equal((await userinfo(secrets, access_token, { namespace })).status, 401)
  t.equal((await userinfo(secrets, `${access_token}.team`, { namespace })).status, 401)
})
const RULES = 'path "identity/oidc/*" { capabilities = ["read", "update"] }'

t.test('an access token opens nothing, and nothing else is one', async t => {
  const { secrets, ann, shop } = await opened(t)
  const code = (await authorize(secrets, ann, shop)).body.code
  const { access_token: token, id_token } = (await redeem(secrets, code, shop)).body
  for (const path of ['auth/token/lookup-self', `identity/entity/id/${ann.entityId}`]) {
    t.equal((await secrets.read(path, { token })).status, 403, path)
  }
  t.equal((await authorize(secrets, { token }, shop)).status, 403)
  for (const wrong of [id_token, ROOT_TOKEN, ann.token, code, '', 'hvb.AAAA']) {
    t.equal((await userinfo(secrets, wrong)).status, 401)
  }
  t.equal((await secrets.read('sys/mounts', { token: id_token })).status, 403)
})

t.test('a token says itself how it is to be believed', async t => {
  const { secrets, ann } = await opened(t)
  await secrets.post(`${OIDC}/key/rsa`, { algorithm: 'RS256', allowed_client_ids: '*' })
  await secrets.post(`${OIDC}/role/web`, { key: 'rsa' })
  const { token } = (await secrets.read(`${OIDC}/token/web`, { token: ann.token })).body.data
  const isActive = async (text: string) =>
    (await secrets.post(`${OIDC}/introspect`, { token: text })).body.active as boolean
  t.equal(await isActive(token), true)
  const [head = '', body = '', signature = ''] = token.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString())
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { keys } = (await secrets.read(`${OIDC}/.well-known/keys`, { token: '' })).body
  const pem = createPublicKey({ key: keys[0], format: 'jwk' }).export({
    format: 'pem',
    type: 'spki',
  })
  const asSecret = part({ ...header, alg: 'HS256' })
  const mac = createHmac('sha256', pem).update(`${asSecret}.${body}`).digest('base64url')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
  for (const [what, text] of [
    ['alg none', `${part({ ...header, alg: 'none' })}.${body}.`],
    ['alg none, with a signature', `${part({ ...header, alg: 'none' })}.${body}.${signature}`],
    ['alg NONE', `${part({ ...header, alg: 'NONE' })}.${body}.${signature}`],
    ['the public key as a secret', `${asSecret}.${body}.${mac}`],
    [
      'a key of its own',
      `${part({ ...header, jwk: keys[1], kid: undefined })}.${body}.${signature}`,
    ],
    ['another key', `${part({ ...header, kid: keys[1].kid })}.${body}.${signature}`],
    ['another algorithm', `${part({ ...header, alg: 'RS512' })}.${body}.${signature}`],
    ['other claims', `${head}.${part({ ...claims, sub: 'root' })}.${signature}`],
    ['no signature', `${head}.${body}.`],
    ['a part of it', `${head}.${body}.${signature.slice(0, -8)}`],
    ['more parts', `${token}.${signature}`],
    ['a space', `${head}. ${body}.${signature}`],
  ] as const) {
    t.equal(await isActive(text), false, what)
  }
})

t.test('what somebody is called says more than it should', async t => {
  const { secrets, ann } = await opened(t)
  const name = '","admin":true,"x":"{{identity.entity.id}}'
  await secrets.post(`identity/entity/id/${ann.entityId}`, { metadata: { name } })
  const template = '{"name":{{identity.entity.metadata.name}}}'
  await secrets.post(`${OIDC}/role/web`, { key: 'default', template })
  const got = await secrets.read(`${OIDC}/token/web`, { token: ann.token })
  const claims = JSON.parse(Buffer.from(got.body.data.token.split('.')[1], 'base64url').toString())
  t.equal(claims.name, name)
  t.notOk('admin' in claims)
})

t.test('somebody logs in to what is not for him, or was taken from him meanwhile', async t => {
  const { secrets, ann, eve } = await opened(t)
  await secrets.post(`${OIDC}/assignment/few`, { entity_ids: ann.entityId })
  const few = await clientOf(secrets, 'few', { assignments: ['few'] })
  t.equal((await authorize(secrets, ann, few)).status, 200)
  t.match((await authorize(secrets, eve, few)).body, { error: 'access_denied' })
  const { code } = (await authorize(secrets, ann, few)).body
  await secrets.post(`${OIDC}/assignment/few`, { entity_ids: eve.entityId })
  t.equal((await redeem(secrets, code, few)).status, 400)
})

t.test('secrets and codes are in no row, and in no list', async t => {
  const { secrets, ann, shop } = await opened(t)
  const { code } = (await authorize(secrets, ann, shop)).body
  const list = await secrets.list(`${OIDC}/client`)
  t.notMatch(list.text, shop.client_secret)
  t.notOk(secrets.rows().some(row => row.includes(code)))
  t.notOk(secrets.rows().some(row => row.includes(shop.client_secret)))
})

t.test('while sealed, nobody is told anything', async t => {
  const { secrets, ann, shop } = await opened(t)
  const { code } = (await authorize(secrets, ann, shop)).body
  await sealedFor(secrets, async () => {
    for (const path of ['.well-known/keys', 'provider/default/.well-known/openid-configuration']) {
      const got = await secrets.read(`${OIDC}/${path}`, { token: '' })
      t.match(got, { status: 503, text: 'Vault is sealed' }, path)
    }
    t.equal((await redeem(secrets, code, shop)).status, 503)
  })
  t.equal((await redeem(secrets, code, shop)).status, 200)
})

async function sealedFor(secrets: TestSecrets, work: () => Promise<void>): Promise<void> {
  const { barrier } = secrets
  secrets.barrier = undefined
  await work()
  secrets.barrier = barrier
}
