/** Tokens by logins: renewed in time, and got anew when they cannot be. */
import t from 'tap'
import { kvApi } from '../../src/client/api.ts'
import { GatehouseError } from '../../src/client/errors.ts'
import { type Login, LoginToken } from '../../src/client/token.ts'
import { FakeServers } from './link-fake.ts'

const userpass: Login = { method: 'userpass', username: 'ada', password: 'pw' }

interface Auth {
  readonly clientToken?: string
  readonly durationSeconds?: number
  readonly renewable?: boolean
}

const authOf = ({ clientToken = 'tok', durationSeconds = 60, renewable = true }: Auth) => ({
  auth: { clientToken, accessor: '', policies: [], durationSeconds, renewable },
})

function logIn(login: Login = userpass) {
  const fake = new FakeServers()
  const { clock, random } = fake
  const source: LoginToken = new LoginToken(login, {
    clock,
    random,
    servers: tokens => fake.to(['a:1'], tokens),
    namespace: '',
  })
  return { fake, source, servers: fake.to(['a:1'], source) }
}

const count = (fake: FakeServers, method: string): number =>
  fake.methods.filter(one => one === `Identity/${method}`).length

t.test('logs in when the first token is needed, once for all who wait', async t => {
  const { fake, servers } = logIn()
  fake.handle = ({ method }) => (method === 'Identity/Login' ? authOf({}) : { entry: null })
  t.equal(fake.seen.length, 0)
  await Promise.all([1, 2, 3].map(() => servers.call(kvApi.get, { key: 'a' })))
  t.equal(count(fake, 'Login'), 1)
  t.match(fake.seen[0], {
    token: '',
    request: { userpass: { username: 'ada', password: 'pw', mount: '' } },
  })
  t.same(
    fake.seen.slice(1).map(({ token }) => token),
    ['tok', 'tok', 'tok'],
  )
})

t.test('renews at about two thirds of its life, with the token itself', async t => {
  const { fake, source } = logIn()
  fake.handle = () => authOf({})
  await source.current()
  await fake.clock.advance(35_000)
  t.equal(count(fake, 'RenewSelf'), 0)
  await fake.clock.advance(10_000)
  t.equal(count(fake, 'RenewSelf'), 1)
  t.equal(fake.seen[1]?.token, 'tok')
  await fake.clock.advance(600_000)
  t.ok(count(fake, 'RenewSelf') > 10)
  t.equal(count(fake, 'Login'), 1)
})

t.test('logs in anew where a token cannot be renewed, or little is won by it', async t => {
  for (const renewed of [{ renewable: false }, { durationSeconds: 5 }]) {
    const { fake, source } = logIn()
    let logins = 0
    fake.handle = ({ method }) =>
      authOf(
        method === 'Identity/Login'
          ? { clientToken: `tok-${++logins}`, ...(renewed.durationSeconds ? {} : renewed) }
          : renewed,
      )
    t.equal(await source.current(), 'tok-1')
    await fake.clock.advance(45_000)
    t.equal(await source.current(), 'tok-2')
  }
})

t.test(
  'keeps its token while no server can be reached, and gets another after its end',
  async t => {
    const { fake, source } = logIn()
    fake.handle = () => authOf({})
    await source.current()
    fake.down.add('a:1')
    await fake.clock.advance(55_000)
    t.equal(await source.current(), 'tok')
    await fake.clock.advance(60_000)
    fake.down.clear()
    fake.handle = () => authOf({ clientToken: 'other' })
    const token = source.current()
    await fake.clock.advance(10_000)
    t.equal(await token, 'other')
  },
)

t.test('a refused token means a login, and a failing login is told to who asks', async t => {
  const { fake, servers, source } = logIn()
  let logins = 0
  fake.handle = ({ method, token }) => {
    if (method === 'Identity/Login') return authOf({ clientToken: `tok-${++logins}` })
    if (token === 'tok-1') throw new GatehouseError('UNAUTHENTICATED', 'revoked')
    return { entry: null }
  }
  await servers.call(kvApi.get, { key: 'a' })
  t.equal(logins, 2)
  t.equal(await source.renew('tok-1'), true, 'there is another one already')
  t.equal(logins, 2)
  fake.handle = () => {
    throw new GatehouseError('PERMISSION_DENIED', 'wrong password')
  }
  t.equal(await source.renew('tok-2'), false)
  await t.rejects(servers.call(kvApi.get, { key: 'a' }), { code: 'PERMISSION_DENIED' })
})

t.test('asks for what changes at each login, and says each method in its own words', async t => {
  let secretId = 0
  const logins: [Login, object][] = [
    [
      { method: 'approle', roleId: 'r', secretId: () => `s${++secretId}` },
      { approle: { mount: '', roleId: 'r', secretId: 's1' } },
    ],
    [
      { method: 'jwt', role: 'app', jwt: async () => 'x.y.z', mount: 'oidc' },
      { path: { path: 'auth/oidc/login', data: Buffer.from('{"role":"app","jwt":"x.y.z"}') } },
    ],
    [
      { method: 'registry', authMethod: 'k8s', bearerToken: 'b' },
      { registry: { authMethod: 'k8s', bearerToken: 'b', meta: {} } },
    ],
  ]
  for (const [login, request] of logins) {
    const { fake, source } = logIn(login)
    fake.handle = () => authOf({ durationSeconds: 0 })
    await source.current()
    t.match(fake.seen[0]?.request, request)
    await fake.clock.advance(1e9)
    t.equal(fake.seen.length, 1, 'a token without an end is not renewed')
  }
})

t.test('is ended with the client', async t => {
  const { fake, source } = logIn()
  fake.handle = () => authOf({})
  await source.current()
  await source.end()
  t.match(fake.seen.at(-1), { method: 'Identity/RevokeSelf', token: 'tok' })
  t.equal(fake.clock.timers, 0)
  const calls = fake.seen.length
  await source.end()
  t.equal(fake.seen.length, calls)
})
