/** What the registry is told of tokens of the secrets. */
import t from 'tap'
import type { WallMs } from '../../../src/base/brand.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { Draft } from '../../../src/secrets/storage.ts'
import { tokenAbroad } from '../../../src/secrets/token/abroad.ts'
import { openSecrets, ROOT_TOKEN, type TestSecrets } from '../harness.ts'

const abroad = ({ store, barrier, clock }: TestSecrets, secret: string) =>
  tokenAbroad(new Draft(store.view(), barrier!, clock.wall() as WallMs, systemRandom), secret)

t.test('who it is, by what operators wrote', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/auth/userpass', { type: 'userpass' })
  await secrets.post('auth/userpass/users/ann', { password: 'correct horse', policies: 'ops' })
  const data = { password: 'correct horse' }
  const login = await secrets.post('auth/userpass/login/ann', data, { token: '' })
  const { client_token: secret, accessor, entity_id } = login.body.auth
  const metadata = { team: 'web' }
  await secrets.post(`identity/entity/id/${entity_id}`, { name: 'ann', metadata, policies: 'more' })
  t.match(abroad(secrets, secret), {
    ...{ accessor, displayName: 'userpass-ann', namespace: '' },
    policies: ['default', 'more', 'ops'],
    entity: { id: entity_id, name: 'ann', metadata },
  })
  t.match(abroad(secrets, ROOT_TOKEN), { policies: ['root'], expiresAtMs: 0, entity: undefined })
  await secrets.post(`identity/entity/id/${entity_id}`, { disabled: true })
  t.match(abroad(secrets, secret), { status: 403, text: 'ACL not found' })
  t.equal(abroad(secrets, 'hvs.none'), undefined)
  t.equal(abroad(secrets, accessor), undefined, 'an accessor is no secret')
})

t.test('those that are of no use there', async t => {
  const secrets = await openSecrets(t)
  const made = async (more: object) =>
    (await secrets.post('auth/token/create', { ttl: '1h', ...more })).body.auth.client_token
  t.notOk(abroad(secrets, await made({})) instanceof Refusal)
  t.match(abroad(secrets, await made({ num_uses: 2 })), { status: 403, text: /is of no use here/ })
  const wrapped = await secrets.post('sys/wrapping/wrap', { a: 'b' }, { wrapTtlMs: 60_000 })
  t.match(abroad(secrets, wrapped.body.wrap_info.token), { status: 403 })
  const batch = await made({ type: 'batch', policies: ['default'] })
  const [one, other] = [abroad(secrets, batch), abroad(secrets, batch)]
  t.match(one, { accessor: /^batch-[0-9a-f]{16}$/, policies: ['default'] })
  t.strictSame(one, other)
})

t.test('of a namespace: until it is locked, or goes', async t => {
  const secrets = await openSecrets(t)
  await secrets.post('sys/namespaces/east')
  const made = await secrets.post('auth/token/create', { ttl: '1h' }, { namespace: 'east' })
  const secret = made.body.auth.client_token
  t.match(abroad(secrets, secret), { namespace: 'east/' })
  const lock = await secrets.post('sys/namespaces/api-lock/lock/east')
  t.match(abroad(secrets, secret), { status: 503, text: /locked by an administrator/ })
  const unlock_key = lock.body.data.unlock_key
  await secrets.post('sys/namespaces/api-lock/unlock/east', { unlock_key })
  t.match(abroad(secrets, secret), { namespace: 'east/' })
  await secrets.remove('sys/namespaces/east')
  const after = abroad(secrets, secret)
  t.ok(after === undefined || after instanceof Refusal)
})
