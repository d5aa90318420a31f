/**
 * Class 19: whether a user is there can be told from how a login is refused, or from how long that
 * takes (CVE-2025-6011, CVE-2023-3462, CVE-2020-35177). A name that nobody has, a wrong password
 * and a name that is locked out cost one hash and are told in the same bytes; names that nobody has
 * are locked out like others. Work is counted, not timed.
 */
import t from 'tap'
import { isPasswordNow, NOBODYS_HASH } from '../../src/base/password-hash.ts'
import { lockoutFrom } from '../../src/secrets/lockout/lockout.ts'
import { drawSecretId, logIn, makeRole } from '../secrets/engine/approle/harness.ts'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'
import { CountingHasher } from '../secrets/ports.ts'

const AT = 'auth/userpass'

async function open(test: Parameters<typeof openSecrets>[0]) {
  const passwords = new CountingHasher()
  const ports = { logins: { lockout: lockoutFrom({}), passwords } }
  const secrets = await openSecrets(test, { ports })
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.post(`${AT}/users/ann`, { password: 'right' })
  await secrets.post(`${AT}/users/gone`, { password: 'right' })
  await secrets.remove(`${AT}/users/gone`)
  passwords.asked.length = 0
  return { secrets, passwords }
}

/** What a login comes to: its status, its bytes, the hashes that it cost, and what it wrote. */
async function costOf(
  { secrets, passwords }: { secrets: TestSecrets; passwords: CountingHasher },
  name: string,
  password = 'wrong',
) {
  const before = secrets.store.status().revision
  const hashes = passwords.asked.length
  const { status, text } = await secrets.post(`${AT}/login/${name}`, { password }, { token: '' })
  const writes = secrets.store.status().revision - before
  return { status, text, writes, hashes: passwords.asked.length - hashes }
}

t.test('attack: seven tries each at a user, at nobody, at one who was deleted', async test => {
  const world = await open(test)
  const runs: unknown[][] = []
  for (const name of ['ann', 'nobody', 'gone', 'x', 'n'.repeat(200)]) {
    const run: unknown[] = []
    for (let i = 0; i < 7; i++) run.push(await costOf(world, name))
    runs.push(run)
  }
  const [ann, ...others] = runs
  for (const other of others) test.strictSame(other, ann)
  test.match(ann![0], {
    ...{ status: 400, text: '{"errors":["invalid username or password"]}', hashes: 1, writes: 1 },
  })
  test.match(ann![6], { status: 403, text: 'permission denied', hashes: 1, writes: 0 })
})

t.test('attack: the right password of one who is locked out', async test => {
  const world = await open(test)
  for (let i = 0; i < 5; i++) await costOf(world, 'ann')
  test.strictSame(await costOf(world, 'ann', 'right'), await costOf(world, 'ann', 'wrong'))
})

t.test('the hash of nobody costs what others cost, and is nobody’s', async test => {
  const cost = /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/
  test.match(NOBODYS_HASH, cost)
  for (const password of ['', 'right', NOBODYS_HASH]) {
    test.equal(isPasswordNow(password, NOBODYS_HASH), false)
  }
})

t.test('near miss: what is no name of a user is told so, of whomever', async test => {
  const { secrets } = await open(test)
  const first = await secrets.post(`${AT}/login/-ann`, { password: 'right' }, { token: '' })
  const second = await secrets.post(`${AT}/login/-nobody`, { password: 'right' }, { token: '' })
  test.strictSame([second.status, second.text], [first.status, first.text])
})

t.test('attack: a role that is not there, and a secret id that is not right', async test => {
  const { secrets } = await open(test)
  const roleId = await makeRole(secrets, 'web')
  const { secret_id } = await drawSecretId(secrets, 'web', { ttl: 60 })
  const deleted = await drawSecretId(secrets, 'web')
  await secrets.post('auth/approle/role/web/secret-id/destroy', { secret_id: deleted.secret_id })
  const answers = new Set<string>()
  for (const [role, id] of [
    [roleId, 'wrong'],
    ['nobody', secret_id],
    [roleId.toUpperCase(), secret_id],
    [roleId, deleted.secret_id],
    [roleId, deleted.secret_id_accessor],
  ] as const) {
    const { status, text } = await logIn(secrets, role, id)
    answers.add(`${status} ${text}`)
  }
  test.strictSame([...answers], ['400 {"errors":["invalid role or secret ID"]}'])
})
