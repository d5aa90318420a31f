/**
 * Tokens over gRPC: logins of both halves, and what a token does with itself.
 */
import t from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { silentLog } from '../../../src/base/log.ts'
import { identityService } from '../../../src/grpc/secrets/identity.ts'
import { openSecrets } from '../../secrets/harness.ts'
import { Phone } from '../../secrets/mfa/phone.ts'
import { startGrpc } from '../harness.ts'
import { json, openSecretsGrpc } from './world.ts'

const CANARY = 'canary-of-identity-4711'

t.test('userpass, approle, any path', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.post('auth/userpass/users/ann', { password: CANARY, token_policies: ['mine'] })
  const login = (request: object, token = '') => call('Identity/Login', request, token)
  const ann = { userpass: { username: 'ann', password: CANARY } }
  const { code, answer } = await login(ann)
  t.equal(code, 'OK')
  t.match(answer.auth, {
    ...{ clientToken: /^hvs\./, policies: ['default', 'mine'], metadata: { username: 'ann' } },
    ...{ renewable: true, durationSeconds: 43_200, tokenType: 'service' },
  })
  t.equal((await login(ann, 'hvs.nobody')).code, 'OK', 'an old token is not looked at')
  const wrong = await login({ userpass: { username: 'ann', password: `${CANARY}x` } })
  const { body } = await secrets.post('auth/userpass/login/ann', { password: 'x' }, { token: '' })
  t.match(wrong, { code: 'INVALID_ARGUMENT', text: body.errors[0] })
  await secrets.post('auth/approle/role/web', { token_ttl: '60s' })
  const { role_id: roleId } = (await secrets.read('auth/approle/role/web/role-id')).body.data
  const { secret_id: secretId } = (await secrets.post('auth/approle/role/web/secret-id')).body.data
  const byRole = await login({ approle: { roleId, secretId } })
  t.match(byRole.answer.auth, { durationSeconds: 60, renewable: true })
  const path = { path: 'auth/approle/login', data: json({ role_id: roleId, secret_id: secretId }) }
  t.equal((await login({ path })).code, 'OK')
  const wrapped = await login({ ...ann, wrapTtlSeconds: 30 })
  t.match(wrapped.answer, { auth: null, wrap: { ttlSeconds: 30, wrappedAccessor: /./ } })
  for (const [request, text] of [
    [{}, /^method:/],
    [{ userpass: { username: '' } }, /^userpass\.username:/],
    [{ path: { path: 'secret/a' } }, /^path\.path:/],
  ] as const) {
    t.match(await login(request), { code: 'INVALID_ARGUMENT', text })
  }
  t.match(await login({ registry: { authMethod: 'jwt' } }), { code: 'UNIMPLEMENTED' })
  const told = JSON.stringify(await world.records()) + world.lines.join('\n') + wrong.text
  for (const secret of [CANARY, secretId, answer.auth.clientToken]) t.notOk(told.includes(secret))
})

t.test('a second factor is asked for, and shown in the metadata', async t => {
  const { call, secrets } = await openSecretsGrpc(t)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.post('auth/userpass/users/ann', { password: CANARY })
  const ann = { userpass: { username: 'ann', password: CANARY } }
  await call('Identity/Login', ann, '')
  const issuer = { issuer: 'x', method_name: 'phone' }
  const { method_id } = (await secrets.post('identity/mfa/method/totp', issuer)).body.data
  const entity_id = (await secrets.list('identity/entity/id')).body.data.keys[0]
  const generate = 'identity/mfa/method/totp/admin-generate'
  const { url } = (await secrets.post(generate, { method_id, entity_id })).body.data
  await secrets.post('identity/mfa/login-enforcement/all', {
    ...{ mfa_method_ids: [method_id], auth_method_types: ['userpass'] },
  })
  const path = { path: 'auth/userpass/login/ann', data: json({ password: CANARY }) }
  for (const [method, request] of [
    ['Identity/Login', ann],
    ['Identity/Login', { path }],
    ['Secrets/Write', path],
  ] as const) {
    const text = 'a second factor is asked for: show it in the metadata x-vault-mfa'
    t.match(await call(method, request, ''), { code: 'FAILED_PRECONDITION', text })
  }
  const shown = (passcode: string) =>
    call('Identity/Login', ann, '', { 'x-vault-mfa': `phone:${passcode}` })
  t.match(await shown('000000'), { code: 'PERMISSION_DENIED', text: /not supplied or incorrect/ })
  const { answer } = await shown(new Phone(url).at(systemClock.wall()))
  t.match(answer.auth, { clientToken: /^hvs/ })
})

t.test('a token and itself', async t => {
  const world = await openSecretsGrpc(t)
  const { call, secrets } = world
  const made = await secrets.post('auth/token/create', { ttl: '60s', meta: { team: 'red' } })
  const { client_token: token, accessor } = made.body.auth
  const looked = await call('Identity/LookupSelf', {}, token)
  t.match(looked.answer, {
    ...{ accessor, policies: ['root'], renewable: true, metadata: { team: 'red' } },
    ...{ path: 'auth/token/create', tokenType: 'service', ttlSeconds: Number },
    expireTime: /^20/,
  })
  const renewed = await call('Identity/RenewSelf', { incrementSeconds: 120 }, token)
  t.match(renewed.answer.auth, { durationSeconds: 120, accessor })
  t.equal((await call('Identity/RevokeSelf', {}, token)).code, 'OK')
  for (const method of ['LookupSelf', 'RenewSelf', 'RevokeSelf']) {
    t.match(await call(`Identity/${method}`, {}, token), { code: 'UNAUTHENTICATED' }, method)
    t.match(await call(`Identity/${method}`, {}, ''), { code: 'PERMISSION_DENIED' }, method)
  }
})

t.test('auth methods of Consul’s API, with and without the other half', async t => {
  const asked: unknown[] = []
  const token = { secret: 's-1', accessor: 'a-1', policies: ['p-1'], durationSeconds: 60 }
  const login: Parameters<typeof identityService>[0]['login'] = async (who, method, bearer) => {
    asked.push([who.accessor, method, bearer])
    return bearer === 'good' ? token : new Refusal(403, 'Permission denied')
  }
  const alone = identityService({ secrets: undefined, login })
  const { client } = await startGrpc(t, { methods: alone })
  const method = alone.find(({ path }) => path.endsWith('/Login'))!
  const registry = { authMethod: 'jwt', bearerToken: 'good', meta: { pod: 'a' } }
  const { answers } = await client.call(method, { registry })
  t.match(answers, [{ auth: { clientToken: 's-1', accessor: 'a-1', durationSeconds: 60 } }])
  t.match(asked, [['unknown', { authMethod: 'jwt', meta: { pod: 'a' } }, 'good']])
  const refused = await client.call(method, { registry: { ...registry, bearerToken: 'bad' } })
  t.match(refused, { code: 'PERMISSION_DENIED', text: 'Permission denied' })
  t.match(await client.call(method, { registry, wrapTtlSeconds: 5 }), { code: 'INVALID_ARGUMENT' })
  t.match(await client.call(method, { userpass: { username: 'a' } }), { code: 'UNIMPLEMENTED' })
  const { secrets } = await openSecrets(t)
  const ports = { secrets, clock: systemClock, random: systemRandom, log: silentLog }
  t.equal(identityService({ secrets: ports, login: undefined }).length, 4)
})
