/** Groups, who is in them, and their aliases. */
import tap from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { identityPolicies } from '../../../../src/secrets/identity/context.ts'
import { entityFor } from '../../../../src/secrets/identity/entity.ts'
import { type MountRow, mountsOf } from '../../../../src/secrets/mount/mount.ts'
import { type Asked, openSecrets, type TestSecrets } from '../../harness.ts'
import { drawSecretId, logIn, makeRole } from '../approle/harness.ts'

/** What is asked for, and what it is refused with. */
type Refused = [data: NonNullable<Asked['data']>, text: string | RegExp]
type RefusedAt = [path: string, ...refused: Refused]

/** A login of approle in the root namespace. */
async function logInAt(secrets: TestSecrets) {
  const roleId = await makeRole(secrets, 'web')
  const { secret_id } = await drawSecretId(secrets, 'web')
  return (await logIn(secrets, roleId, secret_id)).body
}

const make = async (secrets: TestSecrets, kind: string, data: object): Promise<string> => {
  const got = await secrets.post(`identity/${kind}`, data as Record<string, string>)
  if (got.status !== 200) throw new Error(got.text)
  return got.body.data.id as string
}

async function policiesOf(secrets: TestSecrets, entityId: string): Promise<readonly string[]> {
  let found: readonly string[] = []
  await secrets.write(draft => {
    found = identityPolicies(draft, 'root', entityId)
  })
  return found
}

tap.test('a group is made, read, changed and deleted', async t => {
  const secrets = await openSecrets(t)
  const ann = await make(secrets, 'entity', { name: 'ann' })
  const bob = await make(secrets, 'entity', { name: 'bob' })
  const id = await make(secrets, 'group', {
    ...{ name: 'Web', policies: ['web'], metadata: { floor: '2' }, member_entity_ids: [ann] },
  })
  for (const path of [`id/${id}`, 'name/web']) {
    t.match((await secrets.read(`identity/group/${path}`)).body.data, {
      ...{ id, name: 'Web', type: 'internal', policies: ['web'], metadata: { floor: '2' } },
      ...{ member_entity_ids: [ann], member_group_ids: [], parent_group_ids: null, alias: {} },
      ...{ modify_index: 1, namespace_id: 'root' },
    })
  }
  t.strictSame(await policiesOf(secrets, ann), ['web'])
  const swap = await secrets.post(`identity/group/id/${id}`, { member_entity_ids: [bob] })
  t.equal(swap.status, 204)
  t.strictSame(await policiesOf(secrets, ann), [])
  t.strictSame(await policiesOf(secrets, bob), ['web'])
  t.match((await secrets.read(`identity/entity/id/${bob}`)).body.data, {
    ...{ direct_group_ids: [id], group_ids: [id], inherited_group_ids: [] },
  })
  await secrets.post('identity/group/name/WEB', { policies: ['ops'] })
  t.strictSame(await policiesOf(secrets, bob), ['ops'], 'others stay as they are')
  t.strictSame((await secrets.list('identity/group/id')).body.data, {
    key_info: { [id]: { name: 'Web', num_member_entities: 1, num_parent_groups: 0 } },
    keys: [id],
  })
  t.strictSame((await secrets.list('identity/group/name')).body.data.keys, ['Web'])
  t.equal((await secrets.remove('identity/group/name/web')).status, 204)
  t.strictSame(await policiesOf(secrets, bob), [])
  t.strictSame((await secrets.read(`identity/entity/id/${bob}`)).body.data.group_ids, [])
  t.equal((await secrets.read(`identity/group/id/${id}`)).status, 404)
})

tap.test('an entity that goes leaves its groups', async t => {
  const secrets = await openSecrets(t)
  const ann = await make(secrets, 'entity', { name: 'ann' })
  const id = await make(secrets, 'group', { name: 'g', member_entity_ids: [ann] })
  await secrets.remove(`identity/entity/id/${ann}`)
  const { data } = (await secrets.read(`identity/group/id/${id}`)).body
  t.strictSame(data.member_entity_ids, [])
})

tap.test('policies come from groups of groups; a circle is refused', async t => {
  const secrets = await openSecrets(t)
  const ann = await make(secrets, 'entity', { name: 'ann' })
  const inner = await make(secrets, 'group', { name: 'inner', member_entity_ids: [ann] })
  const middle = await make(secrets, 'group', { name: 'middle', member_group_ids: [inner] })
  const outer = { name: 'outer', policies: ['outer'], member_group_ids: [middle] }
  const top = await make(secrets, 'group', outer)
  t.strictSame(await policiesOf(secrets, ann), ['outer'])
  t.match((await secrets.read(`identity/entity/id/${ann}`)).body.data, {
    ...{ direct_group_ids: [inner], inherited_group_ids: [middle, top].sort() },
  })
  for (const [group, member] of [
    [inner, top],
    [inner, middle],
    [inner, inner],
  ] as const) {
    const refused = await secrets.post(`identity/group/id/${group}`, { member_group_ids: [member] })
    t.match(refused, { status: 400, text: /^cyclic relationship/ })
  }
  await secrets.post(`identity/group/id/${top}`, { member_group_ids: [] })
  t.strictSame(await policiesOf(secrets, ann), [])
  const turned = await secrets.post(`identity/group/id/${inner}`, { member_group_ids: [top] })
  t.equal(turned.status, 204, 'now it is none')
  t.strictSame((await secrets.read(`identity/group/id/${top}`)).body.data.parent_group_ids, [inner])
  await secrets.remove(`identity/group/id/${inner}`)
  t.equal((await secrets.read(`identity/group/id/${top}`)).body.data.parent_group_ids, null)
})

tap.test('bad groups are refused, and nothing of them is kept', async t => {
  const secrets = await openSecrets(t)
  const id = await make(secrets, 'group', { name: 'g' })
  const external = await make(secrets, 'group', { name: 'e', type: 'external' })
  const many = Array.from({ length: limits.groupMembersAtOnce + 1 }, (_, i) => `${i}`)
  for (const [path, data, text] of [
    ['group', { id: 'none' }, 'invalid group ID'],
    [`group/id/${external}`, { name: 'G' }, 'group name is already in use'],
    ['group', { name: 'x', type: 'odd' }, 'invalid group type "odd"'],
    ['group', { name: 'x', policies: 'a,Root' }, 'policies cannot contain root'],
    ['group', { name: 'x', member_entity_ids: ['no'] }, 'invalid entity ID "no"'],
    ['group', { name: 'x', member_group_ids: ['no'] }, 'invalid group ID "no"'],
    ['group', { name: 'x', member_entity_ids: many }, /^at most/],
    [`group/id/${id}`, { type: 'external' }, 'group type cannot be changed'],
    [`group/id/${external}`, { member_entity_ids: [] }, /can't be set manually/],
    [`group/id/${external}`, { member_group_ids: [id] }, /can't be set for external/],
  ] satisfies RefusedAt[]) {
    t.match(await secrets.post(`identity/${path}`, data), { status: 400, text })
  }
  t.strictSame((await secrets.list('identity/group/name')).body.data.keys, ['e', 'g'])
})

tap.test('logins say who is in an external group', async t => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'corp/', { kind: 'auth' })
  let mount: MountRow | undefined
  await secrets.write(draft => {
    mount = mountsOf(draft, { id: 'root' }, 'auth').find(({ path }) => path === 'corp/')
  })
  const { accessor } = mount!
  const group = await make(secrets, 'group', { name: 'e', type: 'external', policies: ['e'] })
  const alias = { name: 'Staff', mount_accessor: accessor, canonical_id: group }
  const id = await make(secrets, 'group-alias', alias)
  t.match((await secrets.read(`identity/group-alias/id/${id}`)).body.data, {
    ...{ id, canonical_id: group, name: 'Staff', mount_path: 'auth/corp/', mount_type: 'kv' },
  })
  t.match((await secrets.read(`identity/group/id/${group}`)).body.data.alias, { id, name: 'Staff' })
  const login = async (groups: readonly string[]): Promise<string> => {
    let entityId = ''
    await secrets.write(draft => {
      entityId = (entityFor(draft, mount!, { name: 'ann', groups }) as { entityId: string })
        .entityId
    })
    return entityId
  }
  const ann = await login(['staff'])
  t.strictSame(await policiesOf(secrets, ann), ['e'])
  t.strictSame((await secrets.read('identity/group/name/e')).body.data.member_entity_ids, [ann])
  await secrets.post(`identity/group-alias/id/${id}`, { name: 'Crew' })
  t.strictSame(await policiesOf(secrets, ann), ['e'], 'until the next login')
  await login(['staff'])
  t.strictSame(await policiesOf(secrets, ann), [])
  await login(['crew'])
  t.strictSame(await policiesOf(secrets, ann), ['e'])
  t.match((await secrets.list('identity/group-alias/id')).body.data, {
    keys: [id],
    key_info: { [id]: { canonical_id: group, name: 'Crew', mount_accessor: accessor } },
  })
  for (const data of [
    { id: group },
    { name: 'E' },
    { alias_id: id },
    { alias_name: 'crew', alias_mount_accessor: accessor },
  ]) {
    t.equal((await secrets.post('identity/lookup/group', data)).body.data.id, group)
  }
  t.equal((await secrets.post('identity/lookup/group', { name: 'none' })).status, 204)
  await secrets.remove(`identity/group-alias/id/${id}`)
  t.strictSame(await policiesOf(secrets, ann), [], 'without an alias nobody is in it')
})

tap.test('bad aliases of groups are refused', async t => {
  const secrets = await openSecrets(t)
  await secrets.mount('kv', 'corp/', { kind: 'auth' })
  const { data } = (await secrets.read('sys/auth')).body
  const accessor = data['corp/'].accessor as string
  const internal = await make(secrets, 'group', { name: 'i' })
  const made = await secrets.post('identity/group-alias', { name: 'a', mount_accessor: accessor })
  t.equal(made.status, 200, 'with a group of its own')
  const other = await make(secrets, 'group', { name: 'o', type: 'external' })
  const second = { name: 'b', mount_accessor: accessor, canonical_id: other }
  const id = await make(secrets, 'group-alias', second)
  for (const [wish, text] of [
    [{ mount_accessor: accessor }, 'missing alias name'],
    [{ name: 'x' }, 'missing mount_accessor'],
    [{ name: 'x', mount_accessor: 'no' }, 'invalid mount accessor "no"'],
    [{ id: 'no', name: 'x' }, 'invalid group alias ID'],
    [{ name: 'x', mount_accessor: accessor, canonical_id: 'no' }, /invalid group ID given/],
    [{ name: 'x', mount_accessor: accessor, canonical_id: internal }, /on an internal group/],
    [{ id, name: 'A' }, /already in use/],
  ] satisfies Refused[]) {
    t.match(await secrets.post('identity/group-alias', wish), { status: 400, text })
  }
})

tap.test(
  'a group takes entities of the namespaces that it is in, and holds in its own',
  async t => {
    const secrets = await openSecrets(t)
    for (const path of ['team', 'other']) await secrets.post(`sys/namespaces/${path}`)
    const nested = await secrets.post('sys/namespaces/web', {}, { namespace: 'team' })
    t.equal(nested.status, 200)
    const web = { namespace: 'team/web' }
    await secrets.mount('approle', 'approle/', { kind: 'auth' })
    await secrets.mount('kv', 'plain/')
    await secrets.post('sys/mounts/plain', { type: 'kv' }, web)
    await secrets.post('sys/mounts/plain', { type: 'kv' }, { namespace: 'other' })
    for (const namespace of ['', 'team/web', 'other']) {
      await secrets.post('plain/x', { v: 1 }, { namespace })
    }
    const reads = { policy: 'path "plain/*" { capabilities = ["read"] }' }
    await secrets.post('sys/policies/acl/reader', reads, web)
    const { auth } = await logInAt(secrets)
    const token = auth.client_token as string
    const ann = auth.entity_id as string
    const made = await secrets.post(
      'identity/group',
      {
        ...{ name: 'g', policies: ['reader'], member_entity_ids: [ann] },
      },
      web,
    )
    t.equal(made.status, 200)
    const statusIn = async (namespace: string) =>
      (await secrets.read('plain/x', { namespace, token })).status
    t.strictSame(
      await Promise.all(['team/web', '', 'other'].map(statusIn)),
      [200, 403, 403],
      'it holds in its own namespace alone',
    )
    const { data } = (await secrets.read(`identity/entity/id/${ann}`)).body
    t.strictSame(data.direct_group_ids, [made.body.data.id])
    t.strictSame((await secrets.read('identity/group/name/g', web)).body.data.member_entity_ids, [
      ann,
    ])
    const self = await secrets.read('auth/token/lookup-self', { token })
    t.equal(self.body.data.identity_policies, undefined)
    t.strictSame(Object.values(self.body.data.external_namespace_policies), [['reader']])
    const refused = await secrets.post(
      'identity/group',
      {
        ...{ name: 'h', member_entity_ids: [ann] },
      },
      { namespace: 'other' },
    )
    t.equal(refused.status, 200, 'of any that is above')
    const inner = await secrets.post('identity/entity', { name: 'inner' }, web)
    for (const namespace of ['', 'team', 'other']) {
      const wish = { name: 'x', member_entity_ids: [inner.body.data.id] }
      const got = await secrets.post('identity/group', wish, { namespace })
      t.match(got, { status: 400, text: /^invalid entity ID/ }, `not one from below: ${namespace}`)
    }
    await secrets.post('identity/group/name/g', { member_entity_ids: [] }, web)
    t.equal(await statusIn('team/web'), 403)
    await secrets.post('identity/group/name/g', { member_entity_ids: [ann] }, web)
    t.equal(await statusIn('team/web'), 200)
    const target = await make(secrets, 'entity', { name: 'target' })
    const merge = { from_entity_ids: [ann], to_entity_id: target }
    t.equal((await secrets.post('identity/entity/merge', merge)).status, 204)
    t.equal(await statusIn('team/web'), 200, 'the one that it became part of is in there')
    const members = async () =>
      (await secrets.read('identity/group/name/g', web)).body.data.member_entity_ids
    t.strictSame(await members(), [target])
    await secrets.remove(`identity/entity/id/${target}`)
    t.strictSame(await members(), [])
  },
)
