/**
 * Class 23, for logins: what was shown to get in is told to nobody: no answer, right or refused,
 * holds a password, a secret id or its hash, and no key or clear part of a row does (CVE-2024-8365,
 * CVE-2025-4166).
 */
import t from 'tap'
import { toText } from '../../src/base/bytes.ts'
import { secretData } from '../../src/store/tables/secret.ts'
import { AT, logIn, makeRole } from '../secrets/engine/approle/harness.ts'
import { type Asked, openSecrets, type TestSecrets } from '../secrets/harness.ts'
import { Canaries } from './canaries.ts'

type Data = NonNullable<Asked['data']>
const USERS = 'auth/userpass'

/** The clear parts of all rows. */
function clearOf({ store }: TestSecrets): string {
  const cells = store.view().prefix(secretData, '' as never)
  return cells.map(({ key, row }) => `${toText(key)} ${row.headerText}`).join('\n')
}

t.test('attack: secrets in every field of every request', async test => {
  const canaries = new Canaries()
  const secrets = await openSecrets(test)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  const told: string[] = []
  const ask = async (path: string, data: Data, operation: 'update' | 'delete' = 'update') => {
    told.push((await secrets.ask(operation, path, { data })).text)
  }
  const first = canaries.word('password')
  await ask(`${USERS}/users/ann`, { password: first })
  await ask(`${USERS}/users/ann`, { password: canaries.word('with a bad field'), token_ttl: 'x' })
  await ask(`${USERS}/users/ann`, { password: canaries.word('twice'), password_hash: 'x' })
  await ask(`${USERS}/users/ann`, { password_hash: canaries.word('hash') })
  await ask(`${USERS}/users/ann/password`, { password: canaries.word('changed') })
  await ask(`${USERS}/users/none/password`, { password: canaries.word('of nobody') })
  await ask(`${USERS}/login/ann`, { password: canaries.word('wrong') })
  await ask(`${USERS}/login/none`, { password: canaries.word('of no user') })
  await ask(`${USERS}/login/-`, { password: canaries.word('of no name') })
  await ask(`${USERS}/login/ann`, { password: [canaries.word('in a list')] })
  await ask(`${USERS}/login/ann`, { password: { a: canaries.word('in an object') } })
  const roleId = await makeRole(secrets, 'web')
  const custom = canaries.word('custom')
  await secrets.post(`${AT}/role/web/custom-secret-id`, { secret_id: custom })
  await ask(`${AT}/role/web/custom-secret-id`, { secret_id: custom })
  await ask(`${AT}/role/none/custom-secret-id`, { secret_id: canaries.word('of no role') })
  await ask(`${AT}/role/web/custom-secret-id`, { secret_id: canaries.word('x'), num_uses: -1 })
  for (const operation of ['lookup', 'destroy']) {
    await ask(`${AT}/role/web/secret-id/${operation}`, { secret_id: canaries.word(operation) })
  }
  await ask(`${AT}/role/web/secret-id/lookup`, { secret_id: custom })
  await ask(`${AT}/role/web/secret-id/destroy`, { secret_id: canaries.word('query') }, 'delete')
  told.push((await logIn(secrets, roleId, canaries.word('wrong id'))).text)
  const got = await logIn(secrets, roleId, custom)
  test.equal(got.status, 200)
  canaries.plant('token', got.body.auth.client_token)
  for (const path of [`${USERS}/users/ann`, `${AT}/role/web`]) {
    told.push((await secrets.read(path)).text)
  }
  for (const path of [`${USERS}/users`, `${AT}/role/web/secret-id`, 'identity/entity/id']) {
    told.push((await secrets.list(path)).text)
  }
  told.push(clearOf(secrets))
  test.ok(canaries.count > 15)
  test.strictSame(canaries.foundIn(told.join('\n')), [])
})
