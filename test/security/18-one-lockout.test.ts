/**
 * Class 18: a lockout that another spelling of the same name goes past (CVE-2025-6004,
 * CVE-2025-6013 to 6015). All spellings have one count, on every path that names a user.
 */
import fc from 'fast-check'
import t from 'tap'
import { propertyRuns } from '../run/budget.ts'
import { AT, drawSecretId, logIn, makeRole } from '../secrets/engine/approle/harness.ts'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'

const USERS = 'auth/userpass'
const NAME = 'ann-kelvin'

async function open(test: Parameters<typeof openSecrets>[0]): Promise<TestSecrets> {
  const secrets = await openSecrets(test)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.post(`${USERS}/users/${NAME}`, { password: 'right' })
  return secrets
}

const tryIn = (secrets: TestSecrets, name: string, password: string) =>
  secrets.post(`${USERS}/login/${name}`, { password }, { token: '' })

t.test('attack: five failures in five spellings', async test => {
  const secrets = await open(test)
  for (const name of [NAME, 'ANN-KELVIN', 'Ann-Kelvin', 'aNN-kELVIN', 'ann-KELVIN']) {
    test.equal((await tryIn(secrets, name, 'wrong')).status, 400)
  }
  for (const name of [NAME, 'ANN-KELVIN', 'ann-Kelvin']) {
    test.match(await tryIn(secrets, name, 'right'), { status: 403, text: 'permission denied' })
  }
  const { total } = (await secrets.read('sys/locked-users')).body.data
  test.equal(total, 1, 'one name is locked out')
})

t.test('attack: spaces, slashes and signs that look alike name nobody else', async test => {
  const secrets = await open(test)
  const odd = [` ${NAME}`, `${NAME} `, `${NAME}/`, `./${NAME}`, 'ann-\u212aelvin', `${NAME}\u200b`]
  for (const name of odd) {
    const got = await tryIn(secrets, name, 'right')
    test.not(got.status, 200, JSON.stringify(name))
    test.equal(got.body.auth, undefined)
  }
})

t.test('attack: a failure is hidden by a login of somebody else', async test => {
  const secrets = await open(test)
  await secrets.post(`${USERS}/users/eve`, { password: 'hers' })
  for (let i = 0; i < 5; i++) {
    await tryIn(secrets, NAME, 'wrong')
    await tryIn(secrets, 'eve', 'hers')
  }
  test.equal((await tryIn(secrets, NAME, 'right')).status, 403)
  test.equal((await tryIn(secrets, 'eve', 'hers')).status, 200)
})

t.test('attack: all at once', async test => {
  const secrets = await open(test)
  const tries = Array.from({ length: 20 }, () => tryIn(secrets, NAME, 'wrong'))
  const statuses = (await Promise.all(tries)).map(({ status }) => status)
  test.equal(statuses.filter(status => status === 400).length, 5, 'five were looked at, no more')
})

t.test('attack: the id of a role in other spellings, and with blanks', async test => {
  const secrets = await open(test)
  const roleId = await makeRole(secrets, 'web', { role_id: 'My-Role' })
  const { secret_id } = await drawSecretId(secrets, 'web')
  for (let i = 0; i < 5; i++) await logIn(secrets, i % 2 === 0 ? roleId : ` ${roleId} `, 'wrong')
  test.equal((await logIn(secrets, roleId, secret_id)).status, 403)
  test.equal((await logIn(secrets, ` ${roleId}`, secret_id)).status, 403)
  test.equal((await logIn(secrets, 'MY-ROLE', secret_id)).status, 400, 'and that is no role')
  test.equal((await secrets.list(`${AT}/role`)).body.data.keys.length, 1)
})

t.test('near miss: another name, another mount, another count', async test => {
  const secrets = await open(test)
  await secrets.mount('userpass', 'second/', { kind: 'auth' })
  await secrets.post(`auth/second/users/${NAME}`, { password: 'right' })
  await secrets.post(`${USERS}/users/ann`, { password: 'right' })
  for (let i = 0; i < 5; i++) await tryIn(secrets, NAME, 'wrong')
  test.equal((await tryIn(secrets, 'ann', 'right')).status, 200)
  const there = await secrets.post(
    `auth/second/login/${NAME}`,
    { password: 'right' },
    { token: '' },
  )
  test.equal(there.status, 200)
})

t.test('generated: any five spellings', async test => {
  const secrets = await openSecrets(test)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  let users = 0
  const spelled = (name: string) =>
    fc
      .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
      .map(upper => [...name].map((one, i) => (upper[i] ? one.toUpperCase() : one)).join(''))
  await fc.assert(
    fc.asyncProperty(fc.array(spelled('name'), { minLength: 6, maxLength: 6 }), async spellings => {
      const user = `u${users++}-`
      await secrets.post(`${USERS}/users/${user}name`, { password: 'right' })
      for (const one of spellings.slice(0, 5)) await tryIn(secrets, user + one, 'wrong')
      const { status } = await tryIn(secrets, user + spellings[5], 'right')
      if (status !== 403) throw new Error(`${spellings} ended in ${status}`)
    }),
    { numRuns: propertyRuns() },
  )
})
