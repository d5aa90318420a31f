/**
 * Class 7: a templated policy takes the first alias that it finds, or what another login said of
 * the same alias (CVE-2021-43998, CVE-2022-40186). An entity has one alias of a mount; a policy
 * names the mount; and what a login says of its alias holds for its own token alone.
 */
import fc from 'fast-check'
import t from 'tap'
import { propertyRuns } from '../run/budget.ts'
import { drawSecretId, logIn, makeRole } from '../secrets/engine/approle/harness.ts'
import { openSecrets, type TestSecrets } from '../secrets/harness.ts'

const AT_OTHER = 'auth/other'

async function accessorOf(secrets: TestSecrets, path: string): Promise<string> {
  return (await secrets.read('sys/auth')).body.data[path].accessor as string
}

/** Two methods, a kv mount, and a policy that opens the team that the login at the first says. */
async function open(test: Parameters<typeof openSecrets>[0], key: string) {
  const secrets = await openSecrets(test)
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  await secrets.mount('approle', 'other/', { kind: 'auth' })
  await secrets.mount('kv', 'plain/')
  const accessor = await accessorOf(secrets, 'approle/')
  const path = `plain/{{identity.entity.aliases.${accessor}.${key}}}/x`
  const policy = `path "${path}" { capabilities = ["read"] }`
  await secrets.post('sys/policies/acl/team', { policy })
  for (const team of ['a', 'b', 'c']) await secrets.post(`plain/${team}/x`, { team })
  const roleId = await makeRole(secrets, 'web', { token_policies: 'team' })
  return { secrets, roleId, accessor }
}

const teamsOf = async (secrets: TestSecrets, token: string): Promise<string[]> => {
  const teams = ['a', 'b', 'c']
  const got = await Promise.all(teams.map(team => secrets.read(`plain/${team}/x`, { token })))
  return teams.filter((_, i) => got[i]!.status === 200)
}

t.test('attack: another login with the same alias says something else', async t => {
  const { secrets, roleId } = await open(t, 'metadata.team')
  const tokens: string[] = []
  for (const team of ['a', 'b', 'a']) {
    const { secret_id } = await drawSecretId(secrets, 'web', { metadata: JSON.stringify({ team }) })
    const { auth } = (await logIn(secrets, roleId, secret_id)).body
    tokens.push(auth.client_token)
  }
  const bare = await drawSecretId(secrets, 'web')
  tokens.push((await logIn(secrets, roleId, bare.secret_id)).body.auth.client_token)
  const opened = await Promise.all(tokens.map(token => teamsOf(secrets, token)))
  t.strictSame(opened, [['a'], ['b'], ['a'], []], 'each opens what its own login said')
})

t.test('attack: the same words at another mount', async t => {
  const { secrets } = await open(t, 'metadata.team')
  await secrets.post(`${AT_OTHER}/role/web`, { token_policies: 'team' })
  const { role_id } = (await secrets.read(`${AT_OTHER}/role/web/role-id`)).body.data
  const drawn = await secrets.post(`${AT_OTHER}/role/web/secret-id`, { metadata: '{"team":"a"}' })
  const { secret_id } = drawn.body.data
  const got = await secrets.post(`${AT_OTHER}/login`, { role_id, secret_id }, { token: '' })
  t.equal(got.status, 200)
  t.strictSame(await teamsOf(secrets, got.body.auth.client_token), [])
})

t.test('attack: a second alias of the mount, by every way to one', async t => {
  const { secrets, roleId, accessor } = await open(t, 'name')
  const { secret_id } = await drawSecretId(secrets, 'web')
  const { entity_id } = (await logIn(secrets, roleId, secret_id)).body.auth
  const mine = { mount_accessor: accessor, canonical_id: entity_id }
  const second = await secrets.post('identity/entity-alias', { name: 'a', ...mine })
  t.match(second, { status: 400, text: /already exists/ })
  const apart = await secrets.post('identity/entity-alias', { name: 'a', mount_accessor: accessor })
  const { id, canonical_id } = apart.body.data
  t.match(await secrets.post(`identity/entity-alias/id/${id}`, { canonical_id: entity_id }), {
    status: 400,
    text: /already has an alias/,
  })
  const otherAccessor = await accessorOf(secrets, 'other/')
  const elsewhere = { name: 'a', mount_accessor: otherAccessor, canonical_id: entity_id }
  const moving = await secrets.post('identity/entity-alias', elsewhere)
  const moved = { mount_accessor: accessor, name: 'z' }
  const at = `identity/entity-alias/id/${moving.body.data.id}`
  t.match(await secrets.post(at, moved), { status: 400, text: /already has an alias/ })
  const merge = { from_entity_ids: [canonical_id], to_entity_id: entity_id }
  t.match(await secrets.post('identity/entity/merge', merge), { status: 400 })
  const { aliases } = (await secrets.read(`identity/entity/id/${entity_id}`)).body.data
  const names = aliases.filter((one: { mount_accessor: string }) => one.mount_accessor === accessor)
  t.equal(names.length, 1)
})

t.test('near miss: what somebody wrote of the alias holds for all its tokens', async t => {
  const { secrets, roleId, accessor } = await open(t, 'custom_metadata.team')
  const { secret_id } = await drawSecretId(secrets, 'web')
  const { client_token, entity_id } = (await logIn(secrets, roleId, secret_id)).body.auth
  t.strictSame(await teamsOf(secrets, client_token), [])
  const alias = { name: roleId, mount_accessor: accessor, canonical_id: entity_id }
  await secrets.post('identity/entity-alias', { ...alias, custom_metadata: { team: 'c' } })
  t.strictSame(await teamsOf(secrets, client_token), ['c'])
})

t.test('generated: any order of logins, each opens its own team', async test => {
  const { secrets, roleId } = await open(test, 'metadata.team')
  const ids = new Map<string, string>()
  for (const team of ['a', 'b', 'c']) {
    const drawn = await drawSecretId(secrets, 'web', { metadata: JSON.stringify({ team }) })
    ids.set(team, drawn.secret_id)
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 }),
      async teams => {
        const tokens: string[] = []
        for (const team of teams) {
          const got = await logIn(secrets, roleId, ids.get(team)!)
          tokens.push(got.body.auth.client_token)
        }
        for (const [i, token] of tokens.entries()) {
          const opened = await teamsOf(secrets, token)
          if (opened.join() !== teams[i]) throw new Error(`${teams[i]} opened ${opened}`)
        }
      },
    ),
    { numRuns: propertyRuns() },
  )
})
