/**
 * Logins, and where their token is kept.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { enveloped } from '../../fake/secrets-server.ts'
import { onServer } from './support.ts'

const auth = {
  client_token: 'hvs.new',
  accessor: 'acc',
  policies: ['default'],
  token_policies: ['default'],
  metadata: { username: 'ada' },
  lease_duration: 3600,
  renewable: true,
}
const free = { environment: { VAULT_TOKEN: '' } }

t.test('by a password, which is asked for unseen', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', enveloped(null, { auth }))
  server.on('PUT auth/people/login/ada', enveloped(null, { auth }))
  const { code, out, error } = await ask('login -method=userpass username=ada', {
    ...free,
    typed: ['s3cret'],
  })
  t.equal(code, 0)
  t.match(out, /^Success! You are now authenticated\.[\s\S]*\ntoken_duration +1h\n/)
  t.equal(error, '')
  t.match(server.asks[0], { body: { password: 's3cret' } })
  t.equal(server.asks[0]?.headers['x-vault-token'], undefined, 'nobody asks with an old token')
  const file = join(home, '.vault-token')
  t.equal(readFileSync(file, 'utf8'), 'hvs.new')
  t.equal(statSync(file).mode & 0o777, 0o600)
  await ask('login -method=userpass -path=people username=ada password=-', {
    ...free,
    stdin: 's3cret\n',
  })
  t.match(server.asks.at(-1), { url: '/v1/auth/people/login/ada', body: { password: 's3cret' } })
})

t.test('a file that others could read is narrowed', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', enveloped(null, { auth }))
  const file = join(home, '.vault-token')
  writeFileSync(file, 'hvs.old', { mode: 0o644 })
  await ask('login -method=userpass username=ada password=x', free)
  t.equal(statSync(file).mode & 0o777, 0o600)
})

t.test('by a role', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT auth/approle/login', enveloped(null, { auth }))
  const line = 'login -method=approle role_id=r secret_id=-'
  t.match(await ask(line, { ...free, stdin: 'secret\n' }), { code: 0 })
  t.match(server.asks.at(-1), { body: { role_id: 'r', secret_id: 'secret' } })
  t.match(await ask('login -method=approle', free), { code: 1, error: "'role_id' must be" })
})

t.test('by a token, which the server is asked about', async t => {
  const { ask, server, home } = await onServer(t)
  const data = { id: 'hvs.x', accessor: 'a', policies: ['b', 'a'], ttl: 0, meta: { k: 'v' } }
  server.on('GET auth/token/lookup-self', enveloped({ ...data, identity_policies: ['c'] }))
  const file = join(home, '.vault-token')
  const kept = () => readFileSync(file, 'utf8')
  const { out } = await ask('login hvs.x', free)
  t.match(out, /token_policies +\["b" "a"\]\nidentity_policies +\["c"\]\npolicies +\["a" "b" "c"\]/)
  t.match(out, /token_meta_k +v$/)
  t.equal(kept(), 'hvs.x')
  t.equal(server.asks[0]?.headers['x-vault-token'], 'hvs.x')
  await ask('login -', { ...free, stdin: 'hvs.y\n' })
  t.equal(kept(), 'hvs.y')
  await ask('login', { ...free, typed: ['hvs.z'] })
  t.equal(kept(), 'hvs.z')
  server.taken()
  await ask('login token=hvs.w lookup=false', free)
  t.equal(kept(), 'hvs.w')
  t.same(server.taken(), [])
  t.match(await ask('login', free), { code: 1, error: 'stdin is no terminal; pass -' })
  t.match(await ask('login -non-interactive', free), { code: 1, error: 'Refusing to ask' })
})

t.test('a refused login keeps nothing', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', { errors: ['invalid username or password'] }, 400)
  const { code, out, error } = await ask('login -method=userpass username=ada password=x', free)
  t.match({ code, out }, { code: 2, out: '' })
  t.match(error, /^Error authenticating: Error making API request\.[\s\S]*\* invalid username/)
  t.notOk(existsSync(join(home, '.vault-token')))
})

t.test('where the token goes', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', enveloped(null, { auth }))
  const login = (flags: string, options: object = free) =>
    ask(`login ${flags} -method=userpass username=ada password=x`, options)
  t.same(await login('-token-only'), { code: 0, out: 'hvs.new', error: '' })
  t.match(await login('-no-store'), { code: 0, out: 'hvs.new', error: 'was not stored' })
  t.match(await login('-no-store -field=token'), { code: 0, out: 'hvs.new' })
  t.notOk(existsSync(join(home, '.vault-token')))
  t.same(await login('-no-print'), { code: 0, out: '', error: '' })
  t.ok(existsSync(join(home, '.vault-token')))
  t.match(JSON.parse((await login('-format=json')).out), { auth: { client_token: 'hvs.new' } })
  t.match(await login('', {}), { error: 'WARNING! The VAULT_TOKEN environment variable is set!' })
  const homeless = await login('', { environment: { VAULT_TOKEN: '', HOME: '' } })
  t.match(homeless, { code: 2, out: 'hvs.new', error: 'Error storing token: HOME is not set' })
})

t.test('a wrapped token is unwrapped to be kept', async t => {
  const { ask, server, home } = await onServer(t)
  const wrap_info = {
    token: 'hvs.wrap',
    accessor: 'w',
    ttl: 60,
    creation_time: '2026-01-02T03:04:05Z',
    creation_path: 'auth/userpass/login/ada',
    wrapped_accessor: 'acc',
  }
  server.on('PUT auth/userpass/login/ada', enveloped(null, { wrap_info }))
  server.on('PUT sys/wrapping/unwrap', enveloped(null, { auth }))
  const line = 'login -wrap-ttl=1m -method=userpass username=ada password=x'
  t.match(await ask(line, free), { code: 0, out: /^Success!/ })
  t.equal(readFileSync(join(home, '.vault-token'), 'utf8'), 'hvs.new')
  const unwrap = server.asks.at(-1)?.headers
  t.equal(unwrap?.['x-vault-token'], 'hvs.wrap')
  t.equal(unwrap?.['x-vault-wrap-ttl'], undefined)
  const only = await ask(line.replace('login', 'login -token-only'), free)
  t.equal(only.out, 'hvs.wrap')
})

/** What a login is answered with that asks for second factors: any of each. */
function asking(...demands: readonly (readonly object[])[]) {
  const constraints = demands.map((any, i) => [`e${i}`, { any }])
  const mfa_requirement = {
    mfa_request_id: 'req',
    mfa_constraints: Object.fromEntries(constraints),
  }
  return enveloped(null, { auth: { ...auth, client_token: '', mfa_requirement } })
}
const totp = { type: 'totp', id: 'm1', uses_passcode: true, name: 'phone' }
const push = { type: 'duo', id: 'm2', uses_passcode: false }
const LOGIN = 'login -method=userpass username=ada password=x'

t.test('a passcode is asked for unseen, and the token kept', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', asking([totp]))
  server.on('PUT sys/mfa/validate', enveloped(null, { auth }))
  const { code, out, error } = await ask(LOGIN, { ...free, typed: ['123456'] })
  t.equal(code, 0)
  t.match(out, /^Success! You are now authenticated/)
  t.notMatch(out + error, '123456')
  t.match(server.asks.at(-1)?.body, { mfa_request_id: 'req', mfa_payload: { m1: ['123456'] } })
  t.equal(readFileSync(join(home, '.vault-token'), 'utf8'), 'hvs.new')
  const written = await ask('write auth/userpass/login/ada password=x', { typed: ['654321'] })
  t.match(written.out, /^token +hvs\.new\n/m)
  t.match(server.asks.at(-1)?.body, { mfa_payload: { m1: ['654321'] } })
})

t.test('a push is waited for', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', asking([push]))
  server.on('PUT sys/mfa/validate', enveloped(null, { auth }))
  const { code, error } = await ask(LOGIN, free)
  t.equal(code, 0)
  t.match(error, 'Waiting for duo: look at your phone.')
  t.match(server.asks.at(-1)?.body, { mfa_payload: { m2: [] } })
})

t.test('a wrong second factor ends with what the server says', async t => {
  const { ask, server, home } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', asking([totp]))
  server.on('PUT sys/mfa/validate', { errors: ['not right'] }, 403)
  const { code, error } = await ask(LOGIN, { ...free, typed: ['1'] })
  t.equal(code, 2)
  t.match(error, /Error validating the second factor: [\s\S]*not right/)
  t.notOk(existsSync(join(home, '.vault-token')))
})

t.test('where nobody can be asked it is told what to do, and nothing is kept', async t => {
  for (const [demands, flags] of [
    [[[totp]], ''],
    [[[totp]], '-non-interactive '],
    [[[push]], '-non-interactive '],
    [[[totp, push]], ''],
    [[[totp], [push]], ''],
  ] as const) {
    const { ask, server, home } = await onServer(t)
    server.on('PUT auth/userpass/login/ada', asking(...demands))
    const { code, out, error } = await ask(LOGIN.replace('login ', `login ${flags}`), free)
    t.equal(code, 0)
    t.match(out, /^mfa_request_id +req\nmfa_constraint_e0_/m)
    t.match(error, /A second factor is needed[\s\S]*\n\{"mfa_request_id":"req","mfa_payload":\{/)
    const json = await ask(`${LOGIN.replace('login ', `login -format=json ${flags}`)}`, free)
    t.match(JSON.parse(json.out).auth.mfa_requirement, { mfa_request_id: 'req' })
    t.strictSame([...new Set(server.taken())], ['PUT auth/userpass/login/ada'])
    t.notOk(existsSync(join(home, '.vault-token')))
  }
})

t.test('-mfa shows a second factor with the login', async t => {
  const { ask, server } = await onServer(t)
  server.on('PUT auth/userpass/login/ada', enveloped(null, { auth }))
  await ask(LOGIN.replace('login ', 'login -mfa=phone:123456 -mfa=duo '), free)
  t.equal(server.asks[0]?.headers['x-vault-mfa'], 'phone:123456, duo')
})

t.test('help of methods', async t => {
  const { ask, server } = await onServer(t)
  t.match(await ask('auth help userpass'), { code: 0, out: 'username=NAME' })
  server.on('GET sys/auth', enveloped({ 'people/': { type: 'userpass' }, 'k8s/': { type: 'k' } }))
  t.match(await ask('auth help people'), { code: 0, out: 'username=NAME' })
  t.match(await ask('auth help k8s'), { code: 2, error: 'path-help auth/k8s/login' })
  t.match(await ask('auth help none'), { code: 1, error: 'No auth method available' })
})
