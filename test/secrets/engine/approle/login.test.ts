/** Logins of approle, and how their tokens live on. */
import tap from 'tap'
import { renew } from '../../../../src/secrets/engine/approle/login.ts'
import { type MountRow, mountsOf } from '../../../../src/secrets/mount/mount.ts'
import type { TokenRow } from '../../../../src/secrets/token/token.ts'
import { AT, drawSecretId, logIn, makeRole, openApprole } from './harness.ts'

const ROLE = `${AT}/role/web`

tap.test('a login gives a token with the role and its metadata', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web', { token_policies: 'web', token_ttl: '10m' })
  const { secret_id } = await drawSecretId(secrets, 'web', { metadata: '{"team":"a"}' })
  const got = await logIn(secrets, roleId, secret_id)
  t.equal(got.status, 200)
  t.match(got.body, {
    data: null,
    auth: {
      ...{ policies: ['default', 'web'], token_policies: ['default', 'web'], orphan: true },
      ...{ metadata: { role_name: 'web', team: 'a' }, lease_duration: 600, renewable: true },
      ...{ token_type: 'service', num_uses: 0 },
    },
  })
  const { entity_id } = got.body.auth
  const entity = (await secrets.read(`identity/entity/id/${entity_id}`)).body.data
  t.match(entity.aliases, [{ name: roleId, metadata: { role_name: 'web', team: 'a' } }])
  const again = await logIn(secrets, roleId, secret_id)
  t.equal(again.body.auth.entity_id, entity_id)
  t.not(again.body.auth.client_token, got.body.auth.client_token)
})

tap.test('uses are counted, and the last one ends it', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web', { secret_id_num_uses: 2 })
  const { secret_id } = await drawSecretId(secrets, 'web')
  t.equal((await logIn(secrets, roleId, secret_id)).status, 200)
  const { data } = (await secrets.post(`${ROLE}/secret-id/lookup`, { secret_id })).body
  t.equal(data.secret_id_num_uses, 1)
  const both = await Promise.all([
    logIn(secrets, roleId, secret_id),
    logIn(secrets, roleId, secret_id),
  ])
  t.strictSame(both.map(({ status }) => status).sort(), [200, 400], 'of two at once one wins')
  t.equal((await secrets.list(`${ROLE}/secret-id`)).status, 404)
})

tap.test('addresses bind logins and tokens', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web', {
    ...{ secret_id_bound_cidrs: ['10.0.0.0/8'], secret_id_num_uses: 5 },
  })
  const narrow = await drawSecretId(secrets, 'web', { cidr_list: '10.1.0.0/16' })
  for (const [remote, status] of [
    ['10.1.2.3', 200],
    ['::ffff:10.1.2.3', 200],
    ['10.2.2.3', 400],
    ['11.1.2.3', 400],
  ] as const) {
    t.equal((await logIn(secrets, roleId, narrow.secret_id, { remote })).status, status, remote)
  }
  const { secret_id } = narrow
  const { data } = (await secrets.post(`${ROLE}/secret-id/lookup`, { secret_id })).body
  t.equal(data.secret_id_num_uses, 3, 'who comes from elsewhere uses nothing up')
  await secrets.post(ROLE, { secret_id_bound_cidrs: '10.2.0.0/16' })
  const outside = await logIn(secrets, roleId, secret_id, { remote: '10.1.2.3' })
  t.match(outside, { status: 400, text: /subset relationship/ }, 'the role was narrowed since')
})

tap.test('without a secret id where the role asks for none', async t => {
  const secrets = await openApprole(t)
  const role = { bind_secret_id: false, secret_id_bound_cidrs: '127.0.0.0/8' }
  const roleId = await makeRole(secrets, 'web', role)
  t.equal((await logIn(secrets, roleId)).status, 200)
  t.equal((await logIn(secrets, roleId, '', { remote: '10.0.0.1' })).status, 400)
})

tap.test('what is wrong is told in the same words', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web')
  const wrongRole = await logIn(secrets, 'nobody', 'x')
  t.match(wrongRole, { status: 400, body: { errors: ['invalid role or secret ID'] } })
  const wrongId = await logIn(secrets, roleId, 'x')
  t.equal(wrongId.text, wrongRole.text)
  t.equal(wrongId.status, wrongRole.status)
  t.match(await logIn(secrets, '', 'x'), { status: 400, text: 'missing role_id' })
  t.match(await logIn(secrets, roleId), { status: 400, text: 'missing secret_id' })
})

tap.test('a token is renewed as its role says by now, while that is there', async t => {
  const secrets = await openApprole(t)
  await makeRole(secrets, 'web', { token_ttl: 60 })
  let mount: MountRow | undefined
  let uuid = ''
  await secrets.write(draft => {
    mount = mountsOf(draft, { id: 'root' }, 'auth').find(({ type }) => type === 'approle')
    uuid = draft.area('root', `mount.${mount!.uuid}`).get<{ uuid: string }>('roles/web')!.uuid
  })
  const token = { internal: { role_name: 'web', role: uuid } } as unknown as TokenRow
  const renewed = async () => {
    let outcome: unknown
    await secrets.write(draft => {
      outcome = renew(draft, mount!, token)
    })
    return outcome
  }
  t.match(await renewed(), { ttlMs: 60_000 })
  await secrets.post(ROLE, { token_ttl: 90 })
  t.match(await renewed(), { ttlMs: 90_000 })
  await secrets.remove(ROLE)
  t.match(await renewed(), { status: 400, text: 'role "web" does not exist during renewal' })
  await makeRole(secrets, 'web')
  t.match(await renewed(), { status: 400 }, 'another role of that name is not it')
})
