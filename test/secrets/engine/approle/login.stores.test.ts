/** Logins on stores that outlive a server, and on one that two servers share. */
import tap from 'tap'
import { systemClock, systemRandom } from '../../../../src/base/clock.ts'
import { openEtcdStore } from '../../../../src/store/etcd/engine.ts'
import { openLevelStore } from '../../../../src/store/level/engine.ts'
import { absent } from '../../../run/clients.ts'
import { startEtcd } from '../../../store/etcd/member.ts'
import { openSecrets, TestSecrets, tables } from '../../harness.ts'
import { AT, drawSecretId, logIn, makeRole } from './harness.ts'

const common = { tables, clock: systemClock, random: systemRandom }
const USERS = 'auth/userpass'

/** Another server with the same keyring. */
function serverBeside(first: TestSecrets, store: TestSecrets['store']): TestSecrets {
  const second = new TestSecrets(store, {})
  second.barrier = first.barrier
  return second
}

tap.test('level: what was counted holds after a restart', async t => {
  const folder = t.testdir()
  const first = await openSecrets(t, { open: () => openLevelStore({ ...common, folder }) })
  await first.mount('approle', 'approle/', { kind: 'auth' })
  await first.mount('userpass', 'userpass/', { kind: 'auth' })
  const roleId = await makeRole(first, 'web', { secret_id_num_uses: 2 })
  const { secret_id } = await drawSecretId(first, 'web')
  t.equal((await logIn(first, roleId, secret_id)).status, 200)
  await first.post(`${USERS}/users/ann`, { password: 'right' })
  for (let i = 0; i < 5; i++) await first.post(`${USERS}/login/ann`, { password: 'wrong' })
  const entities = (await first.list('identity/entity/id')).body.data.keys
  await first.store.close()
  const store = await openLevelStore({ ...common, folder })
  t.teardown(() => store.close())
  const second = serverBeside(first, store)
  t.equal((await logIn(second, roleId, secret_id)).status, 200)
  t.equal((await logIn(second, roleId, secret_id)).status, 400, 'two uses in all')
  t.strictSame((await second.list('identity/entity/id')).body.data.keys, entities)
  const locked = await second.post(`${USERS}/login/ann`, { password: 'right' }, { token: '' })
  t.equal(locked.status, 403)
})

tap.test('etcd: two servers count together', { skip: absent('etcd') }, async t => {
  const { endpoint } = await startEtcd(t)
  const open = (serverId: string) =>
    openEtcdStore({ ...common, endpoints: [endpoint], prefix: 'logins', serverId })
  const first = await openSecrets(t, { open: () => open('one') })
  const store = await open('two')
  t.teardown(() => store.close())
  const second = serverBeside(first, store)
  await first.mount('approle', 'approle/', { kind: 'auth' })
  await first.mount('userpass', 'userpass/', { kind: 'auth' })
  const roleId = await makeRole(first, 'web', { secret_id_num_uses: 3 })
  const { secret_id } = await drawSecretId(first, 'web')
  const logins = await Promise.all(
    [first, second, first, second, first, second].map(one => logIn(one, roleId, secret_id)),
  )
  const got = logins.filter(({ status }) => status === 200)
  t.equal(got.length, 3, 'as many as it has uses')
  const entities = new Set(got.map(({ body }) => body.auth.entity_id))
  t.equal(entities.size, 1, 'of one entity, though both servers made it at once')
  t.equal((await second.list('identity/entity/id')).body.data.keys.length, 1)
  t.equal((await second.list(`${AT}/role/web/secret-id`)).status, 404)
  await second.post(`${USERS}/users/ann`, { password: 'right' })
  for (const one of [first, second, first, second, first]) {
    const wrong = await one.post(`${USERS}/login/Ann`, { password: 'wrong' }, { token: '' })
    t.equal(wrong.status, 400)
  }
  const locked = await second.post(`${USERS}/login/ann`, { password: 'right' }, { token: '' })
  t.equal(locked.status, 403)
  const ann = await first.post('identity/entity', { name: 'ann' })
  const both = await Promise.all(
    [first, second].map((one, i) =>
      one.post('identity/group', { name: `g${i}`, member_entity_ids: [ann.body.data.id] }),
    ),
  )
  t.strictSame(
    both.map(({ status }) => status),
    [200, 200],
  )
  const { data } = (await first.read('identity/entity/name/ann')).body
  t.equal(data.direct_group_ids.length, 2, 'neither membership was lost')
})
