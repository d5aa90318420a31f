/** Entities and their aliases over their paths. */
import tap from 'tap'
import { limits } from '../../../../src/base/limits.ts'
import { type MountRow, mountsOf } from '../../../../src/secrets/mount/mount.ts'
import { removalEnd } from '../../../../src/secrets/mount/removal.ts'
import { type Asked, openSecrets, type TestSecrets } from '../../harness.ts'

/** What is asked for, and what it is refused with. */
type Refused = [data: NonNullable<Asked['data']>, text: string | RegExp]

async function mounted(secrets: TestSecrets, path: string): Promise<MountRow> {
  await secrets.mount('kv', path, { kind: 'auth' })
  let found: MountRow | undefined
  await secrets.write(draft => {
    found = mountsOf(draft, { id: 'root' }, 'auth').find(mount => mount.path === path)
  })
  return found!
}

async function entityId(secrets: TestSecrets, name: string, more = {}): Promise<string> {
  const got = await secrets.post('identity/entity', { name, ...more })
  if (got.status !== 200) throw new Error(got.text)
  return got.body.data.id as string
}

tap.test('an entity is made, read, changed and deleted by id and by name', async t => {
  const secrets = await openSecrets(t)
  const made = await secrets.post('identity/entity', {
    name: 'Ann',
    metadata: { team: 'web' },
    policies: ['Web', 'web', 'ops'],
  })
  t.match(made.body.data, { name: 'Ann', aliases: null })
  const { id } = made.body.data
  for (const path of [`id/${id}`, 'name/Ann', 'name/aNN']) {
    const got = await secrets.read(`identity/entity/${path}`)
    t.match(got.body.data, {
      ...{ id, name: 'Ann', policies: ['ops', 'web'], metadata: { team: 'web' }, aliases: [] },
      ...{ disabled: false, namespace_id: 'root', last_seen_time: null, group_ids: [] },
    })
  }
  t.equal((await secrets.post('identity/entity/name/ANN', { disabled: true })).status, 204)
  t.equal((await secrets.post(`identity/entity/id/${id}`, { name: 'Anna' })).status, 204)
  t.match((await secrets.read('identity/entity/name/anna')).body.data, { id, disabled: true })
  t.equal((await secrets.read('identity/entity/name/ann')).status, 404, 'the old name is free')
  t.strictSame((await secrets.list('identity/entity/id')).body.data, {
    key_info: { [id]: { name: 'Anna', aliases: [] } },
    keys: [id],
  })
  t.strictSame((await secrets.list('identity/entity/name')).body.data.keys, ['Anna'])
  t.equal((await secrets.remove('identity/entity/name/Anna')).status, 204)
  t.equal((await secrets.list('identity/entity/name')).status, 404)
  t.equal((await secrets.remove(`identity/entity/id/${id}`)).status, 204, 'it is gone already')
})

tap.test('a name is one entity, and bad input changes nothing', async t => {
  const secrets = await openSecrets(t)
  const ann = await entityId(secrets, 'ann')
  await entityId(secrets, 'team/bob')
  t.equal((await secrets.post('identity/entity', { name: 'ANN' })).status, 204, 'it is a change')
  t.match(await secrets.post(`identity/entity/id/${ann}`, { name: 'Team/Bob' }), {
    status: 400,
    text: 'entity name is already in use',
  })
  t.match(await secrets.post('identity/entity/id/none', { name: 'x' }), {
    status: 400,
    text: 'entity not found from id',
  })
  for (const data of [
    { name: 'n'.repeat(limits.entityNameChars + 1) },
    { name: 'a\nb' },
    { name: 'x', metadata: { k: 'v'.repeat(limits.metaValueChars + 1) } },
    { name: 'x', metadata: { '': 'v' } },
    {
      name: 'x',
      metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ''])),
    },
    { name: 'x', policies: ['ROOT '] },
  ]) {
    t.equal((await secrets.post('identity/entity', data)).status, 400)
  }
  t.strictSame((await secrets.list('identity/entity/name')).body.data.keys, ['ann', 'team/bob'])
  const made = await secrets.post('identity/entity', {})
  t.match(made.body.data.name, /^entity_[0-9a-f]{8}$/)
})

tap.test('several entities are deleted at once', async t => {
  const secrets = await openSecrets(t)
  const ids = [await entityId(secrets, 'a'), await entityId(secrets, 'b')]
  await entityId(secrets, 'c')
  const gone = await secrets.post('identity/entity/batch-delete', { entity_ids: [...ids, 'none'] })
  t.equal(gone.status, 204)
  t.strictSame((await secrets.list('identity/entity/name')).body.data.keys, ['c'])
  t.equal((await secrets.post('identity/entity/batch-delete', {})).status, 400)
  const many = Array.from({ length: limits.entitiesEndedAtOnce + 1 }, (_, i) => `${i}`)
  const refused = await secrets.post('identity/entity/batch-delete', { entity_ids: many })
  t.match(refused, { status: 400, text: /at most/ })
})

for (const under of ['entity-alias', 'alias', 'persona']) {
  tap.test(`${under}: an entity has one alias of a mount, and a mount one of a name`, async t => {
    const secrets = await openSecrets(t)
    const { accessor } = await mounted(secrets, 'people/')
    const ann = await entityId(secrets, 'ann')
    const alias = { name: 'Ann', mount_accessor: accessor, canonical_id: ann }
    const made = await secrets.post(`identity/${under}`, alias)
    t.equal(made.body.data.canonical_id, ann)
    const { id } = made.body.data
    t.match((await secrets.read(`identity/${under}/id/${id}`)).body.data, {
      ...{ id, canonical_id: ann, name: 'Ann', mount_accessor: accessor },
      ...{ mount_path: 'auth/people/', mount_type: 'kv', custom_metadata: {}, local: false },
    })
    t.equal((await secrets.post(`identity/${under}`, alias)).status, 204, 'nothing changes')
    const second = { name: 'other', mount_accessor: accessor, canonical_id: ann }
    t.match(await secrets.post(`identity/${under}`, second), {
      status: 400,
      text: 'Alias already exists for requested entity and mount accessor',
    })
    const bob = await secrets.post(`identity/${under}`, { name: 'bob', mount_accessor: accessor })
    t.not(bob.body.data.canonical_id, ann, 'an entity of its own')
    const taken = { id: bob.body.data.id, name: 'ANN' }
    t.match(await secrets.post(`identity/${under}`, taken), { status: 400, text: /already exists/ })
    t.match(await secrets.post(`identity/${under}/id/${bob.body.data.id}`, { canonical_id: ann }), {
      status: 400,
      text: /already has an alias for this mount/,
    })
    t.equal((await secrets.list(`identity/${under}/id`)).body.data.keys.length, 2)
    t.equal((await secrets.remove(`identity/${under}/id/${id}`)).status, 204)
    t.strictSame((await secrets.read(`identity/entity/id/${ann}`)).body.data.aliases, [])
  })
}

tap.test('an alias is renamed, moved, and given metadata', async t => {
  const secrets = await openSecrets(t)
  const first = await mounted(secrets, 'first/')
  const second = await mounted(secrets, 'second/')
  const ann = await entityId(secrets, 'ann')
  const bob = await entityId(secrets, 'bob')
  const made = await secrets.post('identity/entity-alias', {
    ...{ name: 'a', mount_accessor: first.accessor, canonical_id: ann },
    custom_metadata: { team: 'web' },
  })
  const at = `identity/entity-alias/id/${made.body.data.id}`
  const change = { name: 'b', mount_accessor: second.accessor, canonical_id: bob }
  t.strictSame((await secrets.post(at, change)).body.data.canonical_id, bob)
  t.match((await secrets.read(at)).body.data, {
    ...{ name: 'b', canonical_id: bob, mount_path: 'auth/second/' },
    custom_metadata: { team: 'web' },
  })
  t.strictSame((await secrets.read(`identity/entity/id/${ann}`)).body.data.aliases, [])
  t.equal((await secrets.read(`identity/entity/id/${bob}`)).body.data.aliases.length, 1)
  t.strictSame((await secrets.list('identity/entity/id')).body.data.key_info[bob].aliases, [
    {
      ...{ id: made.body.data.id, name: 'b', mount_accessor: second.accessor },
      ...{ mount_path: 'auth/second/', mount_type: 'kv' },
    },
  ])
  const again = { name: 'a', mount_accessor: first.accessor, canonical_id: bob }
  t.equal((await secrets.post('identity/entity-alias', again)).status, 200, 'the place is free')
  for (const [data, text] of [
    [{ name: 'x' }, /must be provided/],
    [{ name: 'x', mount_accessor: 'none' }, 'invalid mount accessor "none"'],
    [{ id: 'none', name: 'x' }, 'invalid alias ID provided'],
    [{ name: 'x', mount_accessor: first.accessor, canonical_id: 'no' }, 'invalid canonical ID'],
    [
      {
        ...{ name: 'x', mount_accessor: first.accessor },
        custom_metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'])),
      },
      /more than 64/,
    ],
  ] satisfies Refused[]) {
    t.match(await secrets.post('identity/entity-alias', data), { status: 400, text })
  }
})

tap.test('entities are merged: aliases and ids go over, policies do not', async t => {
  const secrets = await openSecrets(t)
  const first = await mounted(secrets, 'first/')
  const second = await mounted(secrets, 'second/')
  const ann = await entityId(secrets, 'ann', { policies: ['own'] })
  const bob = await entityId(secrets, 'bob', { policies: ['others'] })
  const aliasOf = async (name: string, { accessor }: MountRow, entity: string) =>
    (
      await secrets.post('identity/entity-alias', {
        ...{ name, mount_accessor: accessor, canonical_id: entity },
      })
    ).body.data.id as string
  const kept = await aliasOf('ann', first, ann)
  await aliasOf('bob', first, bob)
  await aliasOf('bob', second, bob)
  const group = { name: 'team', member_entity_ids: [bob], policies: ['team'] }
  await secrets.post('identity/group', group)
  const wish = { from_entity_ids: [bob], to_entity_id: ann }
  const clash = await secrets.post('identity/entity/merge', wish)
  t.equal(clash.status, 400)
  t.match(clash.body.errors[0], /aliases with the same mount accessor/)
  t.match(clash.body.data.data, [
    { entity: 'ann', entity_id: ann, alias: 'ann', mount: 'kv', mount_path: 'auth/first/' },
    { entity: 'bob', entity_id: bob, alias: 'bob' },
  ])
  t.equal((await secrets.read(`identity/entity/id/${bob}`)).body.data.id, bob, 'nothing happened')
  const decided = { ...wish, conflicting_alias_ids_to_keep: [kept] }
  t.equal((await secrets.post('identity/entity/merge', decided)).status, 204)
  const { data } = (await secrets.read(`identity/entity/id/${bob}`)).body
  t.match(data, { id: ann, policies: ['own'], merged_entity_ids: [bob] }, 'the old id leads there')
  t.strictSame(
    data.aliases.map((alias: { name: string }) => alias.name),
    ['ann', 'bob'],
  )
  t.strictSame(data.aliases[1].merged_from_canonical_ids, [bob])
  t.equal(data.direct_group_ids.length, 1)
  t.equal((await secrets.list('identity/entity-alias/id')).body.data.keys.length, 2)
  t.strictSame((await secrets.list('identity/entity/name')).body.data.keys, ['ann'])
  for (const [bad, text] of [
    [{ from_entity_ids: ['x'] }, 'missing entity id to merge to'],
    [{ to_entity_id: ann }, 'missing entity ids to merge from'],
    [{ from_entity_ids: ['x'], to_entity_id: 'y' }, 'entity id to merge to is invalid'],
    [{ from_entity_ids: [bob], to_entity_id: ann }, 'entity id to merge from is invalid'],
    [{ from_entity_ids: [ann], to_entity_id: ann }, /should not be present/],
  ] satisfies Refused[]) {
    t.match(await secrets.post('identity/entity/merge', bad), { status: 400, text })
  }
  t.equal((await secrets.remove(`identity/entity/id/${ann}`)).status, 204)
  t.equal((await secrets.read(`identity/entity/id/${bob}`)).status, 404)
})

tap.test('what goes with a mount is its aliases, not the entities', async t => {
  const secrets = await openSecrets(t)
  const { accessor } = await mounted(secrets, 'people/')
  const other = await mounted(secrets, 'other/')
  for (let i = 0; i <= limits.forgottenAliases; i++) {
    await secrets.post('identity/entity-alias', { name: `n${i}`, mount_accessor: accessor })
  }
  const stays = { name: 'stays', mount_accessor: other.accessor }
  const { id } = (await secrets.post('identity/entity-alias', stays)).body.data
  await secrets.post('identity/group-alias', { name: 'g', mount_accessor: accessor })
  t.equal((await secrets.remove('sys/auth/people')).status, 204)
  await secrets.write(draft => {
    const rows = draft.area('root', 'removals')
    const [path] = rows.keys()
    removalEnd([]).end(draft, { namespaceId: 'root', area: 'removals', path: path! })
  })
  t.strictSame((await secrets.list('identity/entity-alias/id')).body.data.keys, [id])
  t.equal((await secrets.list('identity/group-alias/id')).status, 404)
  const { keys } = (await secrets.list('identity/entity/id')).body.data
  t.equal(keys.length, limits.forgottenAliases + 2)
  await secrets.write(draft => t.strictSame(draft.area('root', 'removals').keys(), []))
})

tap.test('entities are looked up by one thing that is known of them', async t => {
  const secrets = await openSecrets(t)
  const { accessor } = await mounted(secrets, 'people/')
  const id = await entityId(secrets, 'ann')
  const alias = await secrets.post('identity/entity-alias', {
    ...{ name: 'a', mount_accessor: accessor, canonical_id: id },
  })
  const lookUp = (data: Record<string, string>) => secrets.post('identity/lookup/entity', data)
  for (const data of [
    { id },
    { name: 'ANN' },
    { alias_id: alias.body.data.id as string },
    { alias_name: 'A', alias_mount_accessor: accessor },
  ]) {
    t.equal((await lookUp(data)).body.data.id, id)
  }
  t.equal((await lookUp({ name: 'nobody' })).status, 204)
  t.equal((await lookUp({ alias_id: 'none' })).status, 204)
  t.match(await lookUp({}), { status: 400, text: 'query parameter not supplied' })
  t.match(await lookUp({ id, name: 'ann' }), { status: 400, text: /conflict/ })
  t.match(await lookUp({ alias_name: 'a' }), { status: 400, text: /needs to be set/ })
})
