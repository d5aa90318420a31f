/**
 * Both halves of one server: an identity token of the secrets is a login to the registry, as one of
 * any issuer is.
 */
import t from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import { askSecrets } from '../clients/secrets.ts'

const MANAGEMENT = 'e95b599e-166e-7d80-08ad-aee76e7ddf19'
const tokens = `tokens { initial_management = "${MANAGEMENT}" }`
const acl = `acl { enabled = true, default_policy = "deny", ${tokens} }`

t.test('a service logs in with an identity token', async t => {
  const daemon = await startDaemon(t, { engine: 'memory', words: ['-dev', `-hcl=${acl}`] })
  const root = /root token +(\S+)/.exec(daemon.stdout())![1]!
  const secrets = async (method: string, path: string, body?: object, token = root) => {
    const got = await askSecrets(daemon, method, path, { token, ...(body && { body }) })
    if (got.status >= 300) throw new Error(`${path}: ${JSON.stringify(got.body)}`)
    return got.body
  }
  const registry = (method: string, path: string, body: object, token = MANAGEMENT) =>
    daemon.ask(method, `/v1/${path}?token=${token}`, body)
  await secrets('POST', 'sys/auth/userpass', { type: 'userpass' })
  const policy = 'path "identity/oidc/token/*" { capabilities = ["read"] }'
  await secrets('POST', 'sys/policies/acl/web', { policy })
  await secrets('POST', 'auth/userpass/users/web', { password: 'pw', token_policies: 'web' })
  const login = await secrets('POST', 'auth/userpass/login/web', { password: 'pw' }, '')
  const template = '{"service":"web"}'
  const roles = { registry: 'registry', other: 'other' }
  for (const [role, client_id] of Object.entries(roles)) {
    await secrets('POST', `identity/oidc/role/${role}`, { key: 'default', template, client_id })
  }
  const tokenFor = async (role: string): Promise<string> =>
    (await secrets('GET', `identity/oidc/token/${role}`, undefined, login.auth.client_token)).data
      .token
  const issuerAt = `http://127.0.0.1:${daemon.secretsPort}`
  await secrets('POST', 'identity/oidc/config', { issuer: issuerAt })
  const at = `${issuerAt}/v1/identity/oidc`
  const { issuer } = await secrets('GET', 'identity/oidc/.well-known/openid-configuration')
  t.equal(issuer, at)
  const common = { BoundAudiences: ['registry'], ClaimMappings: { service: 'service' } }
  for (const [name, place] of Object.entries({
    discovery: { OIDCDiscoveryURL: at },
    keys: { JWKSURL: `${at}/.well-known/keys`, BoundIssuer: at },
  })) {
    const Config = { ...common, ...place }
    const method = { Name: name, Type: 'jwt', MaxTokenTTL: '1h', Config }
    t.equal((await registry('PUT', 'acl/auth-method', method)).status, 200, name)
    const rule = { AuthMethod: name, BindType: 'service', BindName: `\${value.service}` }
    t.equal((await registry('PUT', 'acl/binding-rule', rule)).status, 200)
    const logIn = (BearerToken: string) =>
      daemon.ask('POST', '/v1/acl/login', { AuthMethod: name, BearerToken })
    const got = await logIn(await tokenFor('registry'))
    t.equal(got.status, 200)
    t.match(JSON.parse(got.text), { ServiceIdentities: [{ ServiceName: 'web' }] })
    const { SecretID } = JSON.parse(got.text)
    const own = await registry('PUT', 'agent/service/register', { Name: 'web' }, SecretID)
    t.equal(own.status, 200, own.text)
    const other = await registry('PUT', 'agent/service/register', { Name: 'db' }, SecretID)
    t.equal(other.status, 403)
    t.equal((await logIn(await tokenFor('other'))).status, 403, 'for somebody else')
    const [head, body] = (await tokenFor('registry')).split('.')
    t.equal((await logIn(`${head}.${body}.AAAA`)).status, 403, 'signed by nobody')
  }
})
