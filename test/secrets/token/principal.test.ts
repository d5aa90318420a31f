/** Who asks: what a token is worth at each request. */
import tap, { type Test } from 'tap'
import type { Engine } from '../../../src/secrets/declare.ts'
import { enginesOn } from '../../../src/secrets/engine/mod.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../harness.ts'
import { testPorts } from '../ports.ts'
import { METHOD, trustingMethod } from './method.ts'

async function open(t: Test) {
  const clock = new FakeClock()
  const engines = enginesOn(testPorts()) as Engine[]
  engines.push(trustingMethod)
  const secrets = await openSecrets(t, { clock, engines })
  await secrets.mount(METHOD, 'trusting/', { kind: 'auth' })
  await secrets.mount('kv', 'kv/')
  await secrets.post('kv/a', { v: 1 })
  await secrets.post('sys/policies/acl/app', { policy: 'path "kv/*" { capabilities = ["read"] }' })
  return { secrets, clock }
}

async function login(secrets: TestSecrets, role: object = {}) {
  await secrets.post('auth/trusting/role/ann', { token_ttl: '1h', ...role })
  return (await secrets.post('auth/trusting/login/ann', {}, { token: '' })).body.auth
}

const look = (secrets: TestSecrets, token: string, remote = '127.0.0.1') =>
  secrets.read('auth/token/lookup-self', { token, remote })

tap.test('a token of an entity that was disabled, or deleted, is refused', async t => {
  const { secrets } = await open(t)
  for (const type of ['service', 'batch']) {
    const { client_token: token, entity_id: id } = await login(secrets, { token_type: type })
    t.equal((await look(secrets, token)).status, 200, type)
    await secrets.post(`identity/entity/id/${id}`, { disabled: true })
    t.match(await look(secrets, token), { status: 403, text: /permission denied/ }, type)
    t.equal((await secrets.post('auth/trusting/login/ann', {}, { token: '' })).status, 403)
    await secrets.post(`identity/entity/id/${id}`, { disabled: false })
    t.equal((await look(secrets, token)).status, 200, type)
    await secrets.remove(`identity/entity/id/${id}`)
    t.equal((await look(secrets, token)).status, 403, type)
  }
})

tap.test('policies of the entity hold at once, and are told apart', async t => {
  const { secrets } = await open(t)
  const { client_token: token, entity_id: id } = await login(secrets)
  const read = async () => (await secrets.read('kv/a', { token })).status
  t.equal(await read(), 403)
  await secrets.post(`identity/entity/id/${id}`, { policies: ['app'] })
  t.equal(await read(), 200)
  const { data } = (await look(secrets, token)).body
  t.match(data, { policies: ['default'], identity_policies: ['app'] })
  const again = await secrets.post('auth/token/renew-self', {}, { token })
  t.match(again.body.auth, {
    policies: ['app', 'default'],
    token_policies: ['default'],
    identity_policies: ['app'],
  })
  const child = await login(secrets)
  t.strictSame(child.policies, ['app', 'default'])
})

tap.test('addresses bind a token with an end, and its children', async t => {
  const { secrets } = await open(t)
  const maker = 'path "auth/token/create" { capabilities = ["update"] }'
  await secrets.post('sys/policies/acl/maker', { policy: maker })
  await secrets.post('auth/token/roles/bound', { token_bound_cidrs: '10.0.0.0/8' })
  const made = await secrets.post('auth/token/create/bound', { policies: ['maker', 'default'] })
  const token = made.body.auth.client_token
  t.equal((await look(secrets, token, '10.1.1.1')).status, 200)
  t.equal((await look(secrets, token, '::ffff:10.1.1.1')).status, 200)
  t.match(await look(secrets, token, '192.0.2.1'), {
    status: 403,
    text: '1 error occurred:\n\t* permission denied\n\n',
  })
  t.equal((await look(secrets, token, 'no address')).status, 403)
  const child = await secrets.post('auth/token/create', {}, { token, remote: '10.1.1.1' })
  t.equal((await look(secrets, child.body.auth.client_token, '192.0.2.1')).status, 403)
  const endless = await secrets.post('auth/token/create/bound', {})
  t.match(endless.body.auth, { policies: ['root'], lease_duration: 0 })
  t.equal((await look(secrets, endless.body.auth.client_token, '192.0.2.1')).status, 200)
})

tap.test('what is refused is said in few words', async t => {
  const { secrets, clock } = await open(t)
  const { client_token: token } = await login(secrets, { token_ttl: '1m' })
  const invalid = '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n'
  const cases: [string, string][] = [
    ['', '1 error occurred:\n\t* permission denied\n\n'],
    ['x', invalid],
    ['hvs.unknown', invalid],
    ['hvb.AAAA', invalid],
    ['hvb.', invalid],
    [`${ROOT_TOKEN}.east12`, invalid],
    [ROOT_TOKEN.toUpperCase(), invalid],
    [` ${ROOT_TOKEN}`, invalid],
  ]
  for (const [shown, text] of cases)
    t.match(await look(secrets, shown), { status: 403, text }, shown)
  await clock.advance(59_999)
  t.equal((await look(secrets, token)).status, 200)
  await clock.advance(1)
  t.match(await look(secrets, token), { status: 403, text: invalid })
})
