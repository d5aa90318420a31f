/** Wrapping tokens as JWT: who made them can be told, and they open what they stand for, once. */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import t, { type Test } from 'tap'
import { absent } from '../../run/clients.ts'
import { type Got, openSecrets, type TestSecrets } from '../harness.ts'
import { openTwoServers } from '../stores.ts'

const JWT = { wrapTtlMs: 60_000, headers: { 'x-vault-wrap-format': 'jwt' } }
const INVALID = { status: 400, text: 'wrapping token is not valid or does not exist' }

async function open(t: Test): Promise<TestSecrets> {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'kv/')
  await secrets.post('kv/a', { password: 'x' })
  return secrets
}

const tokenOf = ({ body }: Got): string => body.wrap_info.token
const partsOf = (jwt: string) => jwt.split('.') as [string, string, string]
const jsonOf = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())

const base64urlOf = (digits: string): string =>
  Buffer.from(BigInt(digits).toString(16).padStart(132, '0'), 'hex').toString('base64url')

t.test('it is signed by the key that is shown to everybody', async t => {
  const secrets = await open(t)
  const shown = await secrets.read('sys/wrapping/pubkey', { token: '' })
  t.match(shown.body.data, { jwt_x: /^\d+$/, jwt_y: /^\d+$/, jwt_curve: 'p521' })
  const { jwt_x: x, jwt_y: y } = shown.body.data
  const jwk = { kty: 'EC', crv: 'P-521', x: base64urlOf(x), y: base64urlOf(y) }
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const wrapped = await secrets.read('kv/a', JWT)
  const [header, claims, signature] = partsOf(tokenOf(wrapped))
  t.strictSame(jsonOf(header), { alg: 'ES512', typ: 'JWT' })
  const said = jsonOf(claims)
  t.match(said, { type: 'wrapping', jti: /^hvs\.\w{24}$/, accessor: '', addr: '' })
  t.equal(said.exp - said.iat, 60)
  t.equal(said.iat - said.nbf, 5)
  const bytes = Buffer.from(signature, 'base64url')
  const isRight = (text: string) =>
    verify('sha512', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }, bytes)
  t.ok(isRight(`${header}.${claims}`))
  t.notOk(isRight(`${header}.${claims}x`))
  t.match(wrapped.body.warnings, [/says no address/])
  t.strictSame((await secrets.read('sys/wrapping/pubkey')).body.data, shown.body.data)
})

t.test('it is unwrapped, looked at and wrapped anew as the token itself is', async t => {
  const secrets = await open(t)
  const jwt = async () => tokenOf(await secrets.read('kv/a', JWT))
  const own = await jwt()
  t.match((await secrets.post('sys/wrapping/lookup', {}, { token: own })).body.data, {
    creation_path: 'kv/a',
  })
  const read = await secrets.post('sys/wrapping/unwrap', {}, { token: own })
  t.equal(read.body.data.password, 'x')
  t.match(await secrets.post('sys/wrapping/unwrap', {}, { token: own }), INVALID, 'once')
  const given = await jwt()
  const again = await secrets.post('sys/wrapping/rewrap', { token: given })
  t.match(again.body.wrap_info, { token: /^hvs\./, creation_path: 'kv/a' })
  t.match(await secrets.post('sys/wrapping/unwrap', { token: given }), INVALID)
  t.equal(
    (await secrets.post('sys/wrapping/unwrap', { token: tokenOf(again) })).body.data.password,
    'x',
  )
  const login = await secrets.post('auth/token/create', {}, JWT)
  const { accessor, jti } = jsonOf(partsOf(tokenOf(login))[1])
  t.equal(accessor, login.body.wrap_info.wrapped_accessor)
  t.equal((await secrets.post('sys/wrapping/unwrap', {}, { token: jti })).status, 200)
})

t.test('what was changed, or signed by anybody else, is no token', async t => {
  const secrets = await open(t)
  const jwt = tokenOf(await secrets.read('kv/a', JWT))
  const [header, claims, signature] = partsOf(jwt)
  const as = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp521r1' })
  const text = `${header}.${claims}`
  const foreign = sign('sha512', Buffer.from(text), {
    ...{ key: privateKey, dsaEncoding: 'ieee-p1363' as const },
  }).toString('base64url')
  const changed = Buffer.from(signature, 'base64url')
  changed[40]! ^= 1
  const wrong = [
    `${text}.${foreign}`,
    `${text}.${changed.toString('base64url')}`,
    `${text}.`,
    `${as({ alg: 'none', typ: 'JWT' })}.${claims}.${signature}`,
    `${as({ alg: 'HS256' })}.${claims}.${signature}`,
    `${header}.${as({ ...jsonOf(claims), exp: 9e9 })}.${signature}`,
    `eyJ.eyJ.${signature}`,
    `${text}.${signature}`.padEnd(5_000, 'A'),
  ]
  for (const token of wrong) {
    t.match(await secrets.post('sys/wrapping/unwrap', { token }), INVALID, token.slice(0, 40))
    t.match(await secrets.post('sys/wrapping/lookup', { token }), INVALID)
  }
  t.equal((await secrets.post('sys/wrapping/unwrap', { token: jwt })).status, 200)
})

t.test('what somebody sent to be wrapped is given no signature', async t => {
  const secrets = await open(t)
  const wrapped = await secrets.post('sys/wrapping/wrap', { a: 1 }, JWT)
  t.match(tokenOf(wrapped), /^hvs\./)
  t.equal((await secrets.read('kv/a', { headers: JWT.headers })).body.data.password, 'x')
})

t.test('all servers sign with one key', { skip: absent('etcd') }, async t => {
  const servers = await openTwoServers(t)
  await servers[0].mount('kv', 'kv/')
  await servers[0].post('kv/a', { v: 1 })
  const [one, other] = await Promise.all(servers.map(each => each.read('sys/wrapping/pubkey')))
  t.strictSame(one!.body.data, other!.body.data)
  const token = tokenOf(await servers[1].read('kv/a', JWT))
  t.equal((await servers[0].post('sys/wrapping/unwrap', {}, { token })).body.data.v, 1)
})
