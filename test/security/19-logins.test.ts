/**
 * An auth method that is not there costs what a wrong proof costs: how long an answer takes tells
 * nobody which methods there are. (The class of CVE-2025-6011 and CVE-2020-35177. The text does say
 * that a method is not there, as Consul's does: names of methods are no secret, users are.)
 */
import t from 'tap'
import type { JwtConfig } from '../../src/identity/auth-method/jwt.ts'
import { loginByJwt } from '../../src/identity/auth-method/verify.run.ts'
import type { ProofTools } from '../../src/identity/room.run.ts'
import { proofsOfTests, ROOT } from '../http/acl.ts'
import type { Answered, Client } from '../http/client.ts'
import { startFace } from '../http/harness.ts'
import { base64url, otherRsa, p256, p384, rsa, tokenOf } from '../identity/auth-method/tokens.ts'

const root = { headers: { 'X-Consul-Token': ROOT } }
const noKeys = { keysOf: async () => 'no keys were to be asked for' }

/** A server with a method, and how far each proof got that was looked at. */
async function start(of: Parameters<typeof startFace>[0]) {
  const looked: string[] = []
  const proofs: ProofTools = {
    ...proofsOfTests(),
    async verify(config: JwtConfig, token) {
      const given = await loginByJwt(config, token, noKeys, Date.now())
      looked.push('text' in given ? given.text : 'proved')
      return given
    },
  }
  const face = await startFace(of, { acl: { proofs } })
  const { client } = face
  const Config = {
    JWTValidationPubKeys: [rsa.pem, p256.pem],
    ClaimMappings: { sub: 'job' },
  }
  await client.put('/v1/acl/auth-method', { Name: 'known', Type: 'jwt', Config }, root)
  const rule = { AuthMethod: 'known', BindType: 'service', BindName: '$' + '{value.job}' }
  await client.put('/v1/acl/binding-rule', rule, root)
  return { ...face, looked }
}

const login = (client: Client, AuthMethod: string, BearerToken: string): Promise<Answered> =>
  client.send('POST', '/v1/acl/login', { AuthMethod, BearerToken })

const now = Math.floor(Date.now() / 1_000)
const claims = { sub: 'web', iat: now, exp: now + 600 }

/** Proofs of no right signature, each wrong in its own way. */
const wrong: Readonly<Record<string, string>> = {
  'signed by another RSA key': tokenOf(claims, {}, 'RS256', otherRsa.privateKey),
  'signed by another EC key': tokenOf(claims, {}, 'ES384', p384.privateKey),
  'signed by a shared secret': tokenOf(claims, {}, 'HS256', 'secret'),
  'not signed': `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(claims))}.`,
  'no token': 'x.y.z',
  nothing: '',
}

t.test('the same work, whether the method is there or not', async t => {
  const { client, store, looked } = await start(t)
  const { revision } = store.status()
  for (const [name, token] of Object.entries(wrong)) {
    looked.length = 0
    const known = await login(client, 'known', token)
    const unknown = await login(client, 'unknown', token)
    t.strictSame([known.status, unknown.status], [403, 403], name)
    t.equal(looked.length, 2, `${name}: each is looked at once`)
    t.equal(looked[0], looked[1], `${name}: and gets as far`)
    t.equal(unknown.text, 'ACL not found: auth method "unknown" not found', name)
  }
  t.equal(store.status().revision, revision, 'nothing was written')
})

t.test('near miss: what proves something to a method that is there', async t => {
  const { client, looked } = await start(t)
  const token = tokenOf(claims)
  t.equal((await login(client, 'KNOWN', token)).status, 200)
  t.equal((await login(client, 'unknown', token)).status, 403)
  const unsigned = 'Permission denied: no known key successfully validated the token signature'
  t.strictSame(looked, ['proved', unsigned])
})

t.test('whoever proved who he is learns no more than that nothing is bound to him', async t => {
  const { client } = await start(t)
  const role = { AuthMethod: 'bare', BindType: 'role', BindName: 'nosuch' }
  const Config = { JWTValidationPubKeys: [rsa.pem] }
  for (const Name of ['bare', 'empty']) {
    await client.put('/v1/acl/auth-method', { Name, Type: 'jwt', Config }, root)
  }
  await client.put('/v1/acl/binding-rule', role, root)
  const [bare, empty] = [
    await login(client, 'bare', tokenOf(claims)),
    await login(client, 'empty', tokenOf(claims)),
  ]
  t.equal(bare.text, 'Permission denied')
  t.equal(bare.text, empty.text, 'no rule, or one for a role that is not there')
})
