/** Users of userpass: made, changed, and logging in. */
import tap, { type Test } from 'tap'
import { systemRandom } from '../../../../src/base/clock.ts'
import { Passwords } from '../../../../src/base/io/passwords.ts'
import { limits } from '../../../../src/base/limits.ts'
import { NOBODYS_HASH } from '../../../../src/base/password-hash.ts'
import { renew } from '../../../../src/secrets/engine/userpass/users.ts'
import { lockoutFrom } from '../../../../src/secrets/lockout/lockout.ts'
import { mountsOf } from '../../../../src/secrets/mount/mount.ts'
import type { TokenRow } from '../../../../src/secrets/token/token.ts'
import { FakeClock } from '../../../fake/clock.ts'
import { type Asked, openSecrets, type SecretsOptions, type TestSecrets } from '../../harness.ts'
import { CountingHasher } from '../../ports.ts'

type Data = NonNullable<Asked['data']>
const AT = 'auth/userpass'

async function openUserpass(t: Test, options: SecretsOptions = {}) {
  const passwords = new CountingHasher()
  const ports = { logins: { lockout: lockoutFrom({}), passwords } }
  const secrets = await openSecrets(t, { ports, ...options })
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  return { secrets, passwords }
}

const logIn = (secrets: TestSecrets, user: string, password: string, asked: Asked = {}) =>
  secrets.post(`${AT}/login/${user}`, { password }, { token: '', ...asked })

tap.test('a user is made, read, changed, listed and deleted', async t => {
  const { secrets } = await openUserpass(t)
  const user = { password: 'right', token_policies: 'Web', token_ttl: '5m' }
  t.equal((await secrets.post(`${AT}/users/Ann`, user)).status, 204)
  const { data } = (await secrets.read(`${AT}/users/aNN`)).body
  t.match(data, { token_policies: ['web'], token_ttl: 300, token_type: 'default' })
  t.notMatch(JSON.stringify(data), /right|hash/, 'nothing of the password')
  await secrets.post(`${AT}/users/ann`, { token_ttl: 60 })
  t.match((await secrets.read(`${AT}/users/ann`)).body.data, {
    ...{ token_policies: ['web'], token_ttl: 60 },
  })
  t.equal((await logIn(secrets, 'ann', 'right')).status, 200, 'the password stayed')
  await secrets.post(`${AT}/users/b.ob@example.com`, { password: 'x' })
  t.strictSame((await secrets.list(`${AT}/users`)).body.data.keys, ['ann', 'b.ob@example.com'])
  t.equal((await secrets.remove(`${AT}/users/ANN`)).status, 204)
  t.equal((await secrets.remove(`${AT}/users/ann`)).status, 204)
  t.equal((await secrets.read(`${AT}/users/ann`)).status, 404)
  t.equal((await logIn(secrets, 'ann', 'right')).status, 400)
})

tap.test('a login gives a token and an entity', async t => {
  const { secrets } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'right', token_policies: 'web' })
  const got = await logIn(secrets, 'ANN', 'right')
  t.match(got.body, {
    data: null,
    auth: { policies: ['default', 'web'], metadata: { username: 'ann' }, orphan: true },
  })
  const { entity_id } = got.body.auth
  t.match((await secrets.read(`identity/entity/id/${entity_id}`)).body.data.aliases, [
    { name: 'ann', mount_path: 'auth/userpass/', mount_type: 'userpass' },
  ])
  await secrets.post(`identity/entity/id/${entity_id}`, { policies: 'more' })
  const again = await logIn(secrets, 'ann', 'right')
  t.match(again.body.auth, {
    entity_id,
    identity_policies: ['more'],
    policies: ['default', 'more', 'web'],
  })
  await secrets.post(`identity/entity/id/${entity_id}`, { disabled: true })
  t.match(await logIn(secrets, 'ann', 'right'), { status: 403, text: 'permission denied' })
})

tap.test('password and policies have paths of their own', async t => {
  const { secrets } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'first' })
  t.equal((await secrets.post(`${AT}/users/ann/password`, { password: 'second' })).status, 204)
  t.equal((await logIn(secrets, 'ann', 'first')).status, 400)
  t.equal((await logIn(secrets, 'ann', 'second')).status, 200)
  t.equal((await secrets.post(`${AT}/users/ann/policies`, { policies: 'b,a' })).status, 204)
  t.match((await secrets.read(`${AT}/users/ann`)).body.data, {
    ...{ token_policies: ['a', 'b'], policies: ['a', 'b'] },
  })
  await secrets.post(`${AT}/users/ann/policies`, { token_policies: 'c' })
  const { data } = (await secrets.read(`${AT}/users/ann`)).body
  t.strictSame([data.token_policies, data.policies], [['c'], undefined])
  for (const path of ['password', 'policies']) {
    const none = await secrets.post(`${AT}/users/none/${path}`, { password: 'x', policies: 'x' })
    t.match(none, { status: 400, text: 'username does not exist' })
  }
})

/** Of `gatehouse`, by crypt(3) of libxcrypt. */
const BROUGHT = '$2b$10$vKvJCLyP3BW50JIhIqeq5uQA.it5eWN0rOI1UQ9ozVGHy0MsGsb9K'

tap.test('users are brought over by their bcrypt hashes', async t => {
  const real = new Passwords(systemRandom)
  t.teardown(() => real.close())
  const { secrets } = await openUserpass(t, {
    ports: { logins: { lockout: lockoutFrom({}), passwords: real } },
  })
  t.equal((await secrets.post(`${AT}/users/ann`, { password_hash: BROUGHT })).status, 204)
  t.equal((await logIn(secrets, 'ann', 'gatehouse')).status, 200)
  t.equal((await logIn(secrets, 'ann', 'Gatehouse')).status, 400)
  t.equal((await logIn(secrets, 'ann', BROUGHT)).status, 400)
  await secrets.post(`${AT}/users/ben`, { password: 'own' })
  const coded = Buffer.from(BROUGHT).toString('base64')
  const changed = await secrets.post(`${AT}/users/ben/password`, { password_hash: coded })
  t.equal(changed.status, 204)
  t.equal((await logIn(secrets, 'ben', 'own')).status, 400)
  t.equal((await logIn(secrets, 'ben', 'gatehouse')).status, 200)
  await secrets.post(`${AT}/users/ann/password`, { password: 'own' })
  t.equal((await logIn(secrets, 'ann', 'gatehouse')).status, 400)
  t.equal((await logIn(secrets, 'ann', 'own')).status, 200)
})

tap.test('bad users are refused', async t => {
  const { secrets } = await openUserpass(t)
  for (const [path, data, status, text] of [
    ['users/ann', {}, 400, 'missing password'],
    ['users/ann', { password: 'x', password_hash: 'y' }, 400, /^only one of password/],
    ['users/ann', { password_hash: '$2b$10$x' }, 400, /^invalid password_hash: it is no hash/],
    ['users/ann', { password_hash: 'x' }, 400, /^invalid password_hash/],
    ['users/ann', { password_hash: BROUGHT.replace('$10$', '$13$') }, 400, /above 12/],
    ['users/ann', { password_hash: BROUGHT.replace('$10$', '$03$') }, 400, /below 4/],
    ['users/ann', { password: 'x'.repeat(limits.passwordChars + 1) }, 400, /longer than/],
    ['users/ann', { password: 'x', token_ttl: 2, token_max_ttl: 1 }, 400, /greater/],
    ['users/-ann', { password: 'x' }, 404, /unsupported path/],
    ['users/a b', { password: 'x' }, 404, /unsupported path/],
    ['login/ann', {}, 400, 'missing password'],
    ['login/-ann', { password: 'x' }, 404, /unsupported path/],
  ] satisfies [string, Data, number, string | RegExp][]) {
    t.match(await secrets.post(`${AT}/${path}`, data), { status, text }, path)
  }
  t.equal((await secrets.list(`${AT}/users`)).status, 404)
  await secrets.post(`${AT}/users/ann`, { password: 'x' })
  const unsaid = await secrets.post(`${AT}/users/ann/password`, {})
  t.match(unsaid, { status: 400, text: /^must provide either/ })
})

tap.test('addresses bind logins', async t => {
  const { secrets } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'x', token_bound_cidrs: '10.0.0.0/8' })
  t.equal((await logIn(secrets, 'ann', 'x', { remote: '10.1.1.1' })).status, 200)
  t.equal((await logIn(secrets, 'ann', 'x', { remote: '11.1.1.1' })).status, 403)
})

tap.test('five failures lock a name out, and sys tells and ends it', async t => {
  const clock = new FakeClock()
  const { secrets } = await openUserpass(t, { clock })
  await secrets.post(`${AT}/users/ann`, { password: 'right' })
  for (let i = 0; i < 5; i++) {
    t.match(await logIn(secrets, 'ann', 'wrong'), { status: 400, text: /invalid username/ })
  }
  t.match(await logIn(secrets, 'ann', 'right'), { status: 403, text: 'permission denied' })
  const { data } = (await secrets.read('sys/locked-users')).body
  const [{ mount_accessor }] = data.by_namespace[0].mount_accessors
  t.strictSame(data, {
    by_namespace: [
      {
        ...{ namespace_id: 'root', namespace_path: '', counts: 1 },
        mount_accessors: [{ mount_accessor, counts: 1, alias_identifiers: ['ann'] }],
      },
    ],
    total: 1,
  })
  const elsewhere = { data: { mount_accessor: 'other' } }
  t.equal((await secrets.read('sys/locked-users', elsewhere)).body.data.total, 0)
  t.equal((await secrets.post(`sys/locked-users/${mount_accessor}/unlock/Ann`)).status, 204)
  t.equal((await secrets.post(`sys/locked-users/${mount_accessor}/unlock/Ann`)).status, 204)
  t.equal((await logIn(secrets, 'ann', 'right')).status, 200)
  for (let i = 0; i < 5; i++) await logIn(secrets, 'ann', 'wrong')
  await clock.advance(900_000)
  t.equal((await logIn(secrets, 'ann', 'right')).status, 200, 'after a quarter of an hour')
})

tap.test('a login in between begins the count anew', async t => {
  const { secrets } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'right' })
  for (let i = 0; i < 8; i++) {
    t.equal((await logIn(secrets, 'ann', 'wrong')).status, 400)
    if (i % 4 === 3) t.equal((await logIn(secrets, 'ann', 'right')).status, 200)
  }
})

tap.test('the mount says when it locks out', async t => {
  const { secrets } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'right' })
  const tuned = { user_lockout_config: { lockout_threshold: '2', lockout_duration: '1h' } }
  t.equal((await secrets.post('sys/auth/userpass/tune', tuned)).status, 204)
  for (let i = 0; i < 2; i++) await logIn(secrets, 'ann', 'wrong')
  t.equal((await logIn(secrets, 'ann', 'right')).status, 403)
})

tap.test('a password that changes while it is looked at is not right', async t => {
  const { secrets, passwords } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'first' })
  const verify = passwords.verify.bind(passwords)
  passwords.verify = async (password, hash) => {
    passwords.verify = verify
    await secrets.post(`${AT}/users/ann/password`, { password: 'second' })
    return verify(password, hash)
  }
  t.equal((await logIn(secrets, 'ann', 'first')).status, 400)
})

tap.test('one hash is looked at whatever is wrong', async t => {
  const { secrets, passwords } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'right' })
  passwords.asked.length = 0
  await logIn(secrets, 'nobody', 'wrong')
  await logIn(secrets, 'ann', 'wrong')
  t.strictSame(passwords.asked, ["verify nobody's", 'verify'])
  t.match(NOBODYS_HASH, /^\$argon2id\$/)
})

tap.test('a token is renewed while its user is there, with the policies he had', async t => {
  const { secrets } = await openUserpass(t)
  await secrets.post(`${AT}/users/ann`, { password: 'x', token_policies: 'a', token_ttl: 60 })
  const internal = { username: 'ann' }
  const token = { internal, policies: ['a', 'default'] } as unknown as TokenRow
  const renewed = async () => {
    let outcome: unknown
    await secrets.write(draft => {
      const mount = mountsOf(draft, { id: 'root' }, 'auth').find(({ type }) => type === 'userpass')
      outcome = renew(draft, mount!, token)
    })
    return outcome
  }
  t.match(await renewed(), { ttlMs: 60_000 })
  await secrets.post(`${AT}/users/ann`, { token_policies: 'a,b' })
  t.match(await renewed(), { status: 400, text: 'policies have changed, not renewing' })
  await secrets.remove(`${AT}/users/ann`)
  t.match(await renewed(), { status: 400, text: /does not exist/ })
})
