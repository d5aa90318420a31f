/**
 * npm's `openid-client`, unchanged: a relying party that people log in to by way of our provider.
 * Identity tokens are verified by another process, which knows an address and nothing else.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import * as oidc from 'openid-client'
import t from 'tap'
import { until } from './process.ts'
import { startSecrets } from './secrets.ts'

const { address } = await startSecrets(t)

/** Plain JSON: fields are looked at one by one. */
// biome-ignore lint/suspicious/noExplicitAny: answers are checked by comparing
type Json = any

async function ask(method: string, path: string, body?: object, token = root): Promise<Json> {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: token === '' ? {} : { 'X-Vault-Token': token },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (response.status >= 300) throw new Error(`${path}: ${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

let root = ''
const made = await ask('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 }, '')
root = made.root_token
await ask('PUT', 'sys/unseal', { key: made.keys[0] }, '')
await until('it answers', () =>
  ask('GET', 'auth/token/lookup-self').then(
    () => true,
    () => false,
  ),
)

const OIDC = 'identity/oidc'
const CALLBACK = 'http://127.0.0.1/callback'
const options = { execute: [oidc.allowInsecureRequests] }

await ask('POST', 'sys/auth/userpass', { type: 'userpass' })
await ask('POST', 'sys/policies/acl/web', {
  policy: `path "${OIDC}/token/web" { capabilities = ["read"] }`,
})
await ask('POST', 'auth/userpass/users/ann', { password: 'pw', token_policies: 'web' })
const login = await ask('POST', 'auth/userpass/login/ann', { password: 'pw' }, '')
const { client_token: ann, entity_id: annId } = login.auth

// Where several servers answer, tokens are from the one address that all are reached by.
await ask('POST', `${OIDC}/config`, { issuer: address })
await ask('POST', `${OIDC}/scope/name`, { template: '{"name":{{identity.entity.name}}}' })
await ask('POST', `${OIDC}/provider/people`, {
  ...{ issuer: address, allowed_client_ids: '*', scopes_supported: 'name' },
})
const issuer = new URL(`${address}/v1/${OIDC}/provider/people`)

async function clientOf(name: string, more: object = {}): Promise<Json> {
  const data = { redirect_uris: CALLBACK, assignments: 'allow_all', ...more }
  await ask('POST', `${OIDC}/client/${name}`, data)
  return (await ask('GET', `${OIDC}/client/${name}`)).data
}

/** What the page in somebody's browser does: asks with his token, and goes on to the client. */
async function browse(url: URL, token = ann): Promise<URL> {
  const at = url.pathname.replace('/ui/vault/', '')
  const given = await ask('POST', at, Object.fromEntries(url.searchParams), token)
  const back = new URL(url.searchParams.get('redirect_uri')!)
  back.search = new URLSearchParams(given).toString()
  return back
}

/** A whole login; gives what the relying party then knows. */
async function logIn(config: oidc.Configuration, more: Record<string, string> = {}) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [oidc.randomState(), oidc.randomNonce()]
  const url = oidc.buildAuthorizationUrl(config, {
    ...{ redirect_uri: `http://127.0.0.1:4321/callback`, scope: 'openid name' },
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    ...{ code_challenge_method: 'S256', state: expectedState, nonce: expectedNonce, ...more },
  })
  const back = await browse(url)
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
  return { back, checks, tokens: await oidc.authorizationCodeGrant(config, back, checks) }
}

t.test('discovery', async t => {
  const config = await oidc.discovery(issuer, 'any', undefined, undefined, options)
  const metadata = config.serverMetadata()
  t.equal(metadata.issuer, issuer.href)
  t.ok(metadata.supportsPKCE())
  t.strictSame(metadata.scopes_supported, ['name', 'openid'])
  const nowhere = new URL(`${address}/v1/${OIDC}/provider/none`)
  await t.rejects(oidc.discovery(nowhere, 'any', undefined, undefined, options))
})

for (const [way, makeAuth] of [
  ['client_secret_basic', oidc.ClientSecretBasic],
  ['client_secret_post', oidc.ClientSecretPost],
] as const) {
  t.test(`a confidential client, by ${way}`, async t => {
    const { client_id, client_secret } = await clientOf('shop')
    const auth = makeAuth(client_secret)
    const config = await oidc.discovery(issuer, client_id, undefined, auth, options)
    const { back, checks, tokens } = await logIn(config)
    t.match(tokens.claims(), { sub: annId, name: /^entity_/, aud: client_id })
    const told = await oidc.fetchUserInfo(config, tokens.access_token, annId)
    t.equal(told.sub, annId)
    t.match(told.name, /^entity_/)
    const again = await oidc.authorizationCodeGrant(config, back, checks).catch(error => error)
    t.match(again, { error: 'invalid_grant', status: 400 })
    const other = { ...checks, pkceCodeVerifier: oidc.randomPKCECodeVerifier() }
    const second = await logInUpTo(config)
    const wrong = await oidc
      .authorizationCodeGrant(config, second.back, {
        ...second.checks,
        pkceCodeVerifier: other.pkceCodeVerifier,
      })
      .catch(error => error)
    t.match(wrong, { error: 'invalid_grant', error_description: /code_verifier/ })
  })
}

/** A login whose code is not redeemed yet. */
async function logInUpTo(config: oidc.Configuration) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const url = oidc.buildAuthorizationUrl(config, {
    ...{ redirect_uri: CALLBACK, scope: 'openid', state: expectedState },
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  return { back: await browse(url), checks: { pkceCodeVerifier, expectedState } }
}

t.test('a public client, with keys of another kind', async t => {
  await ask('POST', `${OIDC}/key/ec`, { algorithm: 'ES256', allowed_client_ids: '*' })
  const { client_id } = await clientOf('app', { client_type: 'public', key: 'ec' })
  const metadata = { id_token_signed_response_alg: 'ES256' }
  const config = await oidc.discovery(issuer, client_id, metadata, oidc.None(), options)
  const { tokens } = await logIn(config, { max_age: '3600' })
  t.match(tokens.claims(), { sub: annId, auth_time: Number })
  t.equal((await oidc.fetchUserInfo(config, tokens.access_token, annId)).sub, annId)
  const wrong = await oidc.fetchUserInfo(config, 'hvb.none', annId).catch(error => error)
  t.match(wrong, { code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE', status: 401 })
})

t.test('a client for itself', async t => {
  const { client_id, client_secret } = await clientOf('job', { client_credentials: true })
  const config = await oidc.discovery(issuer, client_id, client_secret, undefined, options)
  const { access_token, expires_in } = await oidc.clientCredentialsGrant(config, {
    scope: 'openid',
  })
  t.equal(expires_in, 86_400)
  const claims = await verifiedElsewhere(access_token, issuer.href, client_id)
  t.match(claims, { sub: client_id, jti: String })
  const bad = await oidc.discovery(issuer, client_id, `${client_secret}x`, undefined, options)
  const refused = await oidc.clientCredentialsGrant(bad, { scope: 'openid' }).catch(error => error)
  t.match(refused, { status: 401 })
})

const VERIFIER = `
  import { createRemoteJWKSet, jwtVerify } from 'jose'
  const [token, issuer, audience] = process.argv.slice(1)
  const page = await (await fetch(issuer + '/.well-known/openid-configuration')).json()
  const keys = createRemoteJWKSet(new URL(page.jwks_uri))
  const { payload } = await jwtVerify(token, keys, { issuer: page.issuer, audience })
  console.log(JSON.stringify(payload))
`

/** What another process reads in a token; rejects where it does not believe it. */
async function verifiedElsewhere(token: string, from: string, audience: string): Promise<Json> {
  const words = ['--input-type=module', '-e', VERIFIER, token, from, audience]
  const { stdout } = await promisify(execFile)(process.execPath, words)
  return JSON.parse(stdout)
}

t.test('an identity token, verified by another process', async t => {
  const template = '{"groups":{{identity.entity.groups.names}}}'
  await ask('POST', `${OIDC}/role/web`, { key: 'default', template, client_id: 'db', ttl: '5m' })
  const issue = async () => (await ask('GET', `${OIDC}/token/web`, undefined, ann)).data.token
  const from = `${address}/v1/${OIDC}`
  const token = await issue()
  t.match(await verifiedElsewhere(token, from, 'db'), { sub: annId, groups: [] })
  t.match(await ask('POST', `${OIDC}/introspect`, { token }), { active: true })
  await ask('POST', `${OIDC}/key/default/rotate`)
  t.match(await verifiedElsewhere(await issue(), from, 'db'), { sub: annId })
  t.match(await verifiedElsewhere(token, from, 'db'), { sub: annId }, 'it holds yet')
  await t.rejects(verifiedElsewhere(token, from, 'other'))
  await t.rejects(verifiedElsewhere(token, issuer.href, 'db'), 'of another issuer')
})
