/** The paths of enforcements, and which logins each means. */
import t, { type Test } from 'tap'
import { type MfaWorld, openWorld } from '../../../mfa/world.ts'

const AT = 'identity/mfa/login-enforcement'
const NOBODY = '00000000-0000-0000-0000-000000000000'

t.test('an enforcement is made, read, changed, listed and deleted', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  const method = await world.addTotp('phone')
  const accessor = await world.accessorOf()
  const write = { mfa_method_ids: [method], auth_method_accessors: [accessor] }
  t.equal((await secrets.post(`${AT}/e`, write)).status, 204)
  const { id, ...rest } = (await secrets.read(`${AT}/e`)).body.data
  t.match(id, /^[0-9a-f-]{36}$/)
  const shown = {
    ...{ auth_method_accessors: [accessor], auth_method_types: [], identity_entity_ids: [] },
    ...{ identity_group_ids: [], mfa_method_ids: [method], name: 'e', namespace_id: 'root' },
    namespace_path: '',
  }
  t.same(rest, shown)
  const listed = (await secrets.list(AT)).body.data
  t.same(listed, { keys: ['e'], key_info: { e: { id, ...shown } } })
  const more = { mfa_method_ids: [method], auth_method_types: ['userpass'] }
  t.equal((await secrets.post(`${AT}/e`, more)).status, 204)
  t.same((await secrets.read(`${AT}/e`)).body.data, {
    ...{ id, ...shown, auth_method_types: ['userpass'] },
  })
  t.equal((await secrets.remove(`${AT}/e`)).status, 204)
  t.equal((await secrets.read(`${AT}/e`)).status, 404)
  t.equal((await secrets.list(AT)).status, 404)
})

t.test('what is wrong with an enforcement is said, and nothing is written', async t => {
  const world = await openWorld(t)
  const { secrets } = world
  await secrets.post('sys/namespaces/team')
  const inner = await world.addTotp('inner', {}, { namespace: 'team' })
  const mfa_method_ids = [await world.addTotp('phone')]
  const types = { auth_method_types: ['userpass'] }
  const table: readonly (readonly [object, string])[] = [
    [types, 'missing method ids'],
    [{ ...types, mfa_method_ids: [] }, 'missing method ids'],
    [{ ...types, mfa_method_ids: [NOBODY] }, "one of the provided method ids doesn't exist"],
    [
      { ...types, mfa_method_ids: [inner] },
      "one of the provided method ids is in an incompatible namespace and can't be used",
    ],
    [{ mfa_method_ids }, 'One of auth_method_accessors, auth_method_types, identity_group_ids'],
    [{ mfa_method_ids, auth_method_types: [] }, 'One of auth_method_accessors'],
    [
      { mfa_method_ids, auth_method_accessors: ['auth_userpass_0'] },
      'one of the auth method accessors provided is invalid',
    ],
    [
      { mfa_method_ids, auth_method_types: ['ldap'] },
      'one of the auth method types provided is invalid',
    ],
    [
      { mfa_method_ids, identity_group_ids: [NOBODY] },
      "one of the provided group ids doesn't exist",
    ],
    [{ mfa_method_ids, identity_group_ids: [''] }, "one of the provided group ids doesn't exist"],
    [
      { mfa_method_ids, identity_entity_ids: [NOBODY] },
      "one of the provided entity ids doesn't exist",
    ],
    [
      { mfa_method_ids, identity_entity_ids: Array(1_025).fill(NOBODY) },
      'a login enforcement names at most 1024 of a kind',
    ],
    [{ mfa_method_ids: { a: 1 }, ...types }, 'Field validation failed'],
  ]
  for (const [data, words] of table) {
    const { status, body } = await secrets.post(`${AT}/e`, data as never)
    t.equal(status, 400, words)
    t.match(body.errors[0], words)
  }
  t.equal((await secrets.post(`${AT}/a b`, { mfa_method_ids, ...types })).status, 404)
  t.equal((await secrets.list(AT)).status, 404)
})

const isAsked = async (world: MfaWorld, name: string, asked = {}): Promise<boolean> =>
  (await world.login(name, asked)).body.auth.mfa_requirement !== null

async function asking(t: Test): Promise<{ world: MfaWorld; method: string }> {
  const world = await openWorld(t)
  await world.addUser('bob')
  return { world, method: await world.addTotp('phone') }
}

t.test('logins are meant by their mount, its type, who it is and his groups', async t => {
  const { world, method } = await asking(t)
  const { secrets } = world
  const entity = await world.entityOf('ann')
  const make = async (data: object) =>
    (await world.data(secrets.post('identity/group', data as never))).id as unknown as string
  const group = await make({ name: 'inner', member_entity_ids: [entity] })
  const outer = await make({ name: 'outer', member_group_ids: [group] })
  const strangers = await make({ name: 'strangers' })
  const accessor = await world.accessorOf()
  await secrets.mount('userpass', 'second/', { kind: 'auth' })
  const second = await world.accessorOf('second')
  const table: readonly (readonly [object, boolean, boolean])[] = [
    [{ auth_method_types: ['userpass'] }, true, true],
    [{ auth_method_types: ['token'] }, false, false],
    [{ auth_method_accessors: [accessor] }, true, true],
    [{ auth_method_accessors: [second] }, false, false],
    [{ identity_entity_ids: [entity] }, true, false],
    [{ identity_group_ids: [group] }, true, false],
    [{ identity_group_ids: [outer] }, true, false],
    [{ identity_group_ids: [strangers] }, false, false],
    [{ identity_group_ids: [strangers], identity_entity_ids: [entity] }, true, false],
  ]
  for (const [targets, ann, bob] of table) {
    await world.enforce('e', [method], targets)
    const found = [await isAsked(world, 'ann'), await isAsked(world, 'bob')]
    t.strictSame(found, [ann, bob], JSON.stringify(targets))
    await secrets.remove(`${AT}/e`)
  }
  t.notOk(await isAsked(world, 'ann'), 'once it is gone nobody is asked')
})

t.test('logins of a namespace meet its own enforcements and those of outer ones', async t => {
  const { world, method } = await asking(t)
  const { secrets } = world
  for (const name of ['team', 'other']) {
    await secrets.post(`sys/namespaces/${name}`)
    const namespace = { namespace: name }
    await secrets.post('sys/auth/userpass', { type: 'userpass' }, namespace)
    await world.addUser('ann', namespace)
  }
  const asked = async () => [
    await isAsked(world, 'ann'),
    await isAsked(world, 'ann', { namespace: 'team' }),
    await isAsked(world, 'ann', { namespace: 'other' }),
  ]
  t.strictSame(await asked(), [false, false, false])
  const types = { auth_method_types: ['userpass'] }
  await world.enforce('e', [method], types, { namespace: 'team' })
  t.strictSame(await asked(), [false, true, false], 'its own alone')
  await secrets.remove(`${AT}/e`, { namespace: 'team' })
  await world.enforce('e', [method], types)
  t.strictSame(await asked(), [true, true, true], 'and all that are in it')
  await world.enforce('e', [method], types, { namespace: 'team' })
  const { body } = await world.login('ann', { namespace: 'team' })
  const names = Object.keys(body.auth.mfa_requirement.mfa_constraints)
  t.strictSame(names, ['e', 'team/e'], 'two of one name are told apart')
  await secrets.remove(`${AT}/e`)
  const entity = await world.entityOf('ann', { namespace: 'team' })
  await secrets.remove(`${AT}/e`, { namespace: 'team' })
  await world.enforce('e', [method], { identity_entity_ids: [entity] })
  t.strictSame(await asked(), [false, true, false], 'by somebody who is in an inner one')
})

t.test(
  'who is named, or has a secret, is not pruned away: another would come in his place',
  async t => {
    const { world, method } = await asking(t)
    const { secrets } = world
    for (const name of ['eve', 'may']) await world.addUser(name)
    const entities = new Map<string, string>()
    for (const name of ['ann', 'bob', 'eve', 'may']) entities.set(name, await world.entityOf(name))
    const named = { identity_entity_ids: [entities.get('ann')!] }
    await world.enforce('e', [method], named)
    await world.phoneOf('bob', method)
    await world.clock.advance(40 * 86_400_000)
    const pruned = await secrets.post('identity/entity/prune', { unseen_for: '33d' })
    const gone = [entities.get('eve'), entities.get('may')]
    t.same(pruned.body.data.entity_ids.toSorted(), gone.sort())
    t.ok(await isAsked(world, 'ann'))
  },
)
