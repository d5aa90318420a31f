/** Secret ids of approle: drawn, looked up, used up and ended. */
import tap from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { mountsOf } from '../../../../src/secrets/mount/mount.ts'
import { FakeClock } from '../../../fake/clock.ts'
import type { TestSecrets } from '../../harness.ts'
import { AT, type Data, drawSecretId, logIn, makeRole, openApprole } from './harness.ts'

const ROLE = `${AT}/role/web`
type Refused = [data: Data, text: string | RegExp]

/** The area of the method's rows. */
async function areaOf(secrets: TestSecrets): Promise<string> {
  let area = ''
  await secrets.write(draft => {
    const mount = mountsOf(draft, { id: 'root' }, 'auth').find(({ type }) => type === 'approle')
    area = `mount.${mount!.uuid}`
  })
  return area
}

/** The keys of all secret ids that lie there. */
async function rowsOf(secrets: TestSecrets): Promise<string[]> {
  const area = await areaOf(secrets)
  let keys: string[] = []
  await secrets.write(draft => {
    keys = draft.area('root', area).keys('secret-ids/')
  })
  return keys
}

tap.test('a secret id is drawn, looked up and destroyed', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'web', { secret_id_ttl: '1h', secret_id_num_uses: 5 })
  const got = await secrets.post(`${ROLE}/secret-id`, { metadata: '{"team":"web"}', num_uses: 2 })
  t.match(got.body.data, { secret_id_ttl: 3600, secret_id_num_uses: 2 })
  const { secret_id, secret_id_accessor } = got.body.data
  t.match(secret_id, /^[0-9a-f-]{36}$/)
  t.match(secret_id_accessor, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  const byItself = await secrets.post(`${ROLE}/secret-id/lookup`, { secret_id })
  t.match(byItself.body.data, {
    ...{ secret_id_accessor, secret_id_ttl: 3600, secret_id_num_uses: 2, cidr_list: [] },
    ...{ metadata: { team: 'web' }, token_bound_cidrs: [] },
  })
  const byAccessor = await secrets.post(`${ROLE}/secret-id-accessor/lookup`, { secret_id_accessor })
  t.strictSame(byAccessor.body.data, byItself.body.data)
  t.strictSame((await secrets.list(`${ROLE}/secret-id`)).body.data.keys, [secret_id_accessor])
  t.equal((await secrets.post(`${ROLE}/secret-id/destroy`, { secret_id })).status, 204)
  t.equal((await secrets.post(`${ROLE}/secret-id/destroy`, { secret_id })).status, 204)
  t.equal((await secrets.post(`${ROLE}/secret-id/lookup`, { secret_id })).status, 204)
  t.equal((await secrets.list(`${ROLE}/secret-id`)).status, 404)
  for (const verb of ['lookup', 'destroy']) {
    const gone = await secrets.post(`${ROLE}/secret-id-accessor/${verb}`, { secret_id_accessor })
    t.match(gone, { status: 404, text: /^failed to find accessor entry for secret_id_accessor/ })
  }
})

tap.test('one is destroyed by its accessor, by the query of a DELETE too', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web')
  for (const operation of ['update', 'delete'] as const) {
    const { secret_id, secret_id_accessor } = await drawSecretId(secrets, 'web')
    t.equal((await logIn(secrets, roleId, secret_id)).status, 200)
    const data = { secret_id_accessor }
    const ended = await secrets.ask(operation, `${ROLE}/secret-id-accessor/destroy`, { data })
    t.equal(ended.status, 204)
    t.equal((await logIn(secrets, roleId, secret_id)).status, 400)
  }
  const { secret_id } = await drawSecretId(secrets, 'web')
  await secrets.ask('delete', `${ROLE}/secret-id/destroy`, { data: { secret_id } })
  t.equal((await logIn(secrets, roleId, secret_id)).status, 400)
})

tap.test('secret ids of one role open no other', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'web')
  const other = await makeRole(secrets, 'other')
  const { secret_id, secret_id_accessor } = await drawSecretId(secrets, 'web')
  t.equal((await logIn(secrets, other, secret_id)).status, 400)
  const at = `${AT}/role/other/secret-id-accessor/lookup`
  t.equal((await secrets.post(at, { secret_id_accessor })).status, 404)
  for (const odd of ['../x', `${secret_id_accessor}/x`, '']) {
    t.not((await secrets.post(at, { secret_id_accessor: odd })).status, 200)
  }
})

tap.test('metadata is taken in all forms that clients write', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'web')
  for (const metadata of ['{"a":"b","c":"d"}', 'a=b, c=d', { a: 'b', c: 'd' }]) {
    const { secret_id } = await drawSecretId(secrets, 'web', { metadata })
    const { data } = (await secrets.post(`${ROLE}/secret-id/lookup`, { secret_id })).body
    t.strictSame(data.metadata, { a: 'b', c: 'd' })
  }
  for (const metadata of ['{"a":1}', '{', 'a', '[]', ['a=b'], { a: { b: 'c' } }]) {
    const refused = await secrets.post(`${ROLE}/secret-id`, { metadata })
    t.match(refused, { status: 400, text: /^failed to parse metadata/ })
  }
})

tap.test('what is asked for stays within the role', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'web', {
    ...{ secret_id_num_uses: 2, secret_id_ttl: 60, secret_id_bound_cidrs: '10.0.0.0/8,fd00::/8' },
    token_bound_cidrs: ['10.1.0.0/16'],
  })
  for (const [data, text] of [
    [{ num_uses: 3 }, "num_uses cannot be higher than the role's secret_id_num_uses"],
    [{ num_uses: 0 }, "num_uses cannot be higher than the role's secret_id_num_uses"],
    [{ num_uses: -1 }, 'num_uses cannot be negative'],
    [{ ttl: 61 }, "ttl cannot be longer than the role's secret_id_ttl"],
    [{ ttl: 0 }, "ttl cannot be longer than the role's secret_id_ttl"],
    [{ cidr_list: '11.0.0.0/8' }, /failed to verify subset relationship/],
    [{ cidr_list: '10.0.0.0/7' }, /failed to verify subset relationship/],
    [{ cidr_list: 'x' }, /error parsing address/],
    [{ token_bound_cidrs: '10.2.0.0/16' }, /failed to verify subset relationship/],
  ] satisfies Refused[]) {
    t.match(await secrets.post(`${ROLE}/secret-id`, data), { status: 400, text })
  }
  const cidr_list = ['10.9.0.0/16', 'fd00::1', '10.1.1.1']
  const fit = await secrets.post(`${ROLE}/secret-id`, { cidr_list, token_bound_cidrs: '10.1.2.3' })
  t.equal(fit.status, 200)
  t.match(await secrets.post(`${AT}/role/none/secret-id`, {}), {
    status: 404,
    text: 'role "none" does not exist',
  })
  t.equal((await secrets.list(`${AT}/role/none/secret-id`)).status, 400)
  await makeRole(secrets, 'open', { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.1' })
  t.match(await secrets.post(`${AT}/role/open/secret-id`, {}), {
    status: 400,
    text: 'bind_secret_id is not set on the role',
  })
})

tap.test('somebody else may draw the secret id', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web')
  const custom = (secret_id: string) => secrets.post(`${ROLE}/custom-secret-id`, { secret_id })
  t.equal((await custom('my own')).body.data.secret_id, 'my own')
  t.equal((await logIn(secrets, roleId, ' my own ')).status, 200, 'spaces around it are not of it')
  t.match(await custom('my own'), { status: 400, text: /SecretID is already registered/ })
  t.match(await custom(''), { status: 400, text: 'missing secret_id' })
  t.equal((await custom('x'.repeat(limits.secretIdChars + 1))).status, 400)
})

tap.test(
  'one that is put away for a reader says its accessor, and opens once it is read',
  async t => {
    const secrets = await openApprole(t)
    const roleId = await makeRole(secrets, 'web')
    const { body } = await secrets.post(`${ROLE}/secret-id`, {}, { wrapTtlMs: 60_000 })
    const [accessor] = (await secrets.list(`${ROLE}/secret-id`)).body.data.keys
    t.equal(body.wrap_info.wrapped_accessor, accessor)
    const { token } = body.wrap_info
    const read = await secrets.post('sys/wrapping/unwrap', {}, { token })
    t.equal(read.body.data.secret_id_accessor, accessor)
    t.equal((await logIn(secrets, roleId, read.body.data.secret_id)).status, 200)
    t.not((await secrets.post('sys/wrapping/unwrap', {}, { token })).status, 200, 'once alone')
  },
)

tap.test('a secret id ends with its time, and tidying makes room', async t => {
  const clock = new FakeClock()
  const secrets = await openApprole(t, clock)
  const roleId = await makeRole(secrets, 'web', { secret_id_ttl: 60 })
  const { secret_id } = await drawSecretId(secrets, 'web')
  await clock.advance(59_000)
  t.equal((await logIn(secrets, roleId, secret_id)).status, 200)
  await clock.advance(1_000)
  t.equal((await logIn(secrets, roleId, secret_id)).status, 400)
  t.equal((await secrets.post(`${ROLE}/secret-id/lookup`, { secret_id })).status, 204)
  const again = await secrets.post(`${ROLE}/custom-secret-id`, { secret_id })
  t.equal(again.status, 200, 'its place is free')
})

tap.test('tidying ends what is over, and what has lost its role', async t => {
  const clock = new FakeClock()
  const secrets = await openApprole(t, clock)
  await makeRole(secrets, 'web')
  await drawSecretId(secrets, 'web', { ttl: 60 })
  const { secret_id_accessor } = await drawSecretId(secrets, 'web')
  const area = await areaOf(secrets)
  await secrets.write(draft => {
    for (let i = 0; i <= limits.secretIdsEndedAtOnce; i++) {
      draft.area('root', area).put(`secret-ids/nobody/${i}`, { expiresAtMs: 0 })
    }
  })
  await clock.advance(60_000)
  const tidied = await secrets.post(`${AT}/tidy/secret-id`)
  t.equal(tidied.status, 202)
  t.match(tidied.body.warnings[0], /^Tidy operation successfully started/)
  t.strictSame(
    (await rowsOf(secrets)).map(key => key.split('/')[1]),
    [secret_id_accessor],
  )
})

tap.test('those of a role that was deleted open nothing, however many there were', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web', { role_id: 'fixed' })
  const { secret_id } = await drawSecretId(secrets, 'web')
  for (let i = 0; i <= limits.secretIdsEndedAtOnce; i++) await drawSecretId(secrets, 'web')
  await secrets.remove(ROLE)
  await makeRole(secrets, 'web', { role_id: 'fixed' })
  t.equal((await logIn(secrets, roleId, secret_id)).status, 400)
  t.strictSame(await rowsOf(secrets), [], 'its rows are gone too')
})
