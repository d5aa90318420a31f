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

tap.test('roles, entities and tokens are of their namespace', async t => {
  const secrets = await openApprole(t)
  const inside = { namespace: 'team' }
  t.equal((await secrets.post('sys/namespaces/team')).status, 200)
  const mounted = await secrets.post('sys/auth/approle', { type: 'approle' }, inside)
  t.equal(mounted.status, 204)
  const outer = await makeRole(secrets, 'web', { role_id: 'same' })
  await secrets.post(ROLE, { role_id: 'same', token_policies: 'inner' }, inside)
  const drawn = await secrets.post(`${ROLE}/secret-id`, {}, inside)
  const { secret_id } = drawn.body.data
  t.equal((await logIn(secrets, outer, secret_id)).status, 400, 'not of the outer one')
  const got = await logIn(secrets, 'same', secret_id, inside)
  t.equal(got.status, 200)
  const { client_token, entity_id } = got.body.auth
  t.match(client_token, /\.\w{6}$/, 'the token says which namespace it is of')
  const at = `identity/entity/id/${entity_id}`
  t.equal((await secrets.read(at)).status, 404)
  const entity = (await secrets.read(at, inside)).body.data
  t.match(entity, { id: entity_id, aliases: [{ name: 'same' }] })
  t.equal((await secrets.read('identity/entity/name/same', { token: client_token })).status, 403)
  const self = await secrets.read('auth/token/lookup-self', { ...inside, token: client_token })
  t.match(self.body.data, { entity_id, meta: { role_name: 'web' } })
  await secrets.post(at, { disabled: true }, inside)
  t.equal(
    (await secrets.read('auth/token/lookup-self', { ...inside, token: client_token })).status,
    403,
  )
})

tap.test('a token is refused once its entity is gone, and follows it into a merge', async t => {
  const secrets = await openApprole(t)
  const roleId = await makeRole(secrets, 'web')
  const { secret_id } = await drawSecretId(secrets, 'web')
  const login = async () => (await logIn(secrets, roleId, secret_id)).body.auth
  const look = async (token: string) =>
    (await secrets.read('auth/token/lookup-self', { token })).status
  const first = await login()
  const target = await secrets.post('identity/entity', { name: 'target' })
  const merge = { from_entity_ids: [first.entity_id], to_entity_id: target.body.data.id }
  t.equal((await secrets.post('identity/entity/merge', merge)).status, 204)
  t.equal(await look(first.client_token), 200, 'it is that of the other entity now')
  const second = await login()
  t.equal(second.entity_id, target.body.data.id)
  await secrets.remove('identity/entity/name/target')
  for (const { client_token } of [first, second]) t.equal(await look(client_token), 403)
  const third = await login()
  t.not(third.entity_id, second.entity_id, 'the next login makes another')
  t.equal(await look(third.client_token), 200)
})
