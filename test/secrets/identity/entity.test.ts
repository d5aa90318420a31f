/** Who a login is, and what an entity's policies come to. */
import tap from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { identityOf, identityPolicies } from '../../../src/secrets/identity/context.ts'
import {
  deleteEntity,
  emptyEntity,
  entityById,
  entityByName,
  entityFor,
  type LoginAlias,
  markSeen,
} from '../../../src/secrets/identity/entity.ts'
import {
  aliasRows,
  entityRows,
  type GroupRow,
  groupAliasRows,
  groupRows,
  memberRows,
  placeOf,
} from '../../../src/secrets/identity/rows.ts'
import { checkedPolicies } from '../../../src/secrets/identity/text.ts'
import { newMount } from '../../../src/secrets/mount/mount.ts'
import type { Draft } from '../../../src/secrets/storage.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type TestSecrets } from '../harness.ts'

const group = (id: string, more: Partial<GroupRow> = {}): GroupRow => ({
  ...{ id, name: id, type: 'internal', metadata: {}, policies: [], parents: [], alias: '' },
  ...{ namespaceId: 'root', namespace: '', modifyIndex: 1, createdAtMs: 0, updatedAtMs: 0 },
  ...more,
})

async function within<T>(secrets: TestSecrets, work: (draft: Draft) => T): Promise<T> {
  let result: T | undefined
  await secrets.write(draft => {
    result = work(draft)
  })
  return result as T
}

const mountOf = (draft: Draft) =>
  newMount(draft.random, { kind: 'auth', path: 'a/', type: 'approle', namespaceId: 'root' })

tap.test('a login finds its entity again, in any spelling, and writes nothing', async t => {
  const secrets = await openSecrets(t)
  const mount = await within(secrets, mountOf)
  const login = (alias: LoginAlias) =>
    within(secrets, draft => {
      const found = entityFor(draft, mount, alias)
      if (found instanceof Refusal) throw new Error(found.text)
      return { id: found.entityId, isEmpty: draft.isEmpty }
    })
  const first = await login({ name: 'Ann', metadata: { team: 'a' } })
  t.equal(first.isEmpty, false)
  const second = await login({ name: 'aNN', metadata: { team: 'a' } })
  t.strictSame(second, { id: first.id, isEmpty: true })
  const third = await login({ name: 'ann', metadata: { team: 'b' } })
  t.strictSame(third, { id: first.id, isEmpty: false }, 'what the login says is kept')
  t.not((await login({ name: 'bob' })).id, first.id)
})

tap.test('a disabled entity logs in no more', async t => {
  const secrets = await openSecrets(t)
  const mount = await within(secrets, mountOf)
  const found = await within(secrets, draft => entityFor(draft, mount, { name: 'ann' }))
  const { entityId } = found as { entityId: string }
  await within(secrets, draft => {
    const rows = entityRows(draft, 'root')
    rows.put(entityId, { ...rows.get<object>(entityId), disabled: true, policies: ['p'] })
  })
  const again = await within(secrets, draft => entityFor(draft, mount, { name: 'ann' }))
  t.match(again, { status: 403, text: 'permission denied' })
  t.strictSame(await within(secrets, draft => identityPolicies(draft, 'root', entityId)), [])
})

tap.test(
  'policies come from all groups above, and the same object while nothing changed',
  async t => {
    const secrets = await openSecrets(t)
    await within(secrets, draft => {
      const groups = groupRows(draft, 'root')
      groups.put('g1', group('g1', { policies: ['p1', 'root'], parents: ['g2', 'gone'] }))
      groups.put('g2', group('g2', { policies: ['p2'], parents: ['g3'] }))
      groups.put('g3', group('g3', { policies: ['p3'], parents: ['g1'] }))
      const entity = { ...emptyEntity(draft, 'Ann'), id: 'e', policies: ['own'] }
      entityRows(draft, 'root').put('e', { ...entity, groups: [{ id: 'g1', via: '' }] })
    })
    const look = () => within(secrets, draft => identityOf(draft, 'root', 'e')!)
    const identity = await look()
    t.strictSame(identity.policies, ['own', 'p1', 'p2', 'p3'], 'and root is never among them')
    t.strictSame(identity.facts.groups.map(({ id }) => id).sort(), ['g1', 'g2', 'g3'])
    t.equal(await look(), identity)
    await within(secrets, draft => groupRows(draft, 'root').put('g3', group('g3')))
    t.strictSame((await look()).policies, ['own', 'p1', 'p2'])
  },
)

tap.test('groups of a login replace those of the last one at that mount alone', async t => {
  const secrets = await openSecrets(t)
  const mount = await within(secrets, mountOf)
  await within(secrets, draft => {
    for (const id of ['g1', 'g2']) {
      const place = placeOf(draft, mount.accessor, `team-${id}`)
      groupAliasRows(draft, 'root').put(place, { groupId: id })
      groupRows(draft, 'root').put(id, group(id, { type: 'external', policies: [id] }))
    }
    groupRows(draft, 'root').put('own', group('own', { policies: ['own'] }))
  })
  const login = (groups?: readonly string[]) =>
    within(secrets, draft => {
      const { entityId } = entityFor(draft, mount, {
        name: 'ann',
        ...(groups === undefined ? {} : { groups }),
      }) as { entityId: string }
      return { policies: identityPolicies(draft, 'root', entityId), isEmpty: draft.isEmpty }
    })
  t.strictSame((await login(['Team-g1', 'unknown'])).policies, ['g1'])
  await within(secrets, draft => {
    const rows = entityRows(draft, 'root')
    const [id] = rows.keys()
    const entity = rows.get<{ groups: object[] }>(id!)!
    rows.put(id!, { ...entity, groups: [...entity.groups, { id: 'own', via: '' }] })
  })
  t.strictSame(await login(), { policies: ['g1', 'own'], isEmpty: true }, 'it says nothing')
  t.strictSame((await login(['team-g2'])).policies, ['g2', 'own'])
  const members = await within(secrets, draft => memberRows(draft, 'root').keys())
  t.equal(members.length, 1)
  t.match(members[0], /^g2\/entity\//)
  t.strictSame((await login([])).policies, ['own'])
})

tap.test('what is deleted leaves nothing', async t => {
  const secrets = await openSecrets(t)
  const mount = await within(secrets, mountOf)
  const found = await within(secrets, draft => entityFor(draft, mount, { name: 'ann' }))
  const { entityId } = found as { entityId: string }
  await within(secrets, draft => {
    const entity = entityById(draft, 'root', entityId)!
    t.equal(entityByName(draft, 'root', entity.name.toUpperCase())?.id, entityId)
    deleteEntity(draft, 'root', entity)
    t.equal(identityOf(draft, 'root', entityId), undefined)
  })
  await within(secrets, draft => {
    for (const area of ['entities', 'entity-names', 'aliases', 'alias-ids']) {
      t.strictSame(draft.area('root', area).keys(), [], area)
    }
    t.equal(aliasRows(draft, 'root').has(placeOf(draft, mount.accessor, 'ann')), false)
  })
})

tap.test('policies of identities are never root', t => {
  for (const name of ['root', ' Root', 'ROOT\n', 'ｒｏｏｔ', 'ro\u200bot', 'root\t']) {
    const refused = checkedPolicies(['a', name])
    t.match(refused, { text: 'policies cannot contain root' }, JSON.stringify(name))
  }
  t.strictSame(checkedPolicies(['B', 'a', ' b ', '']), ['a', 'b'])
  t.strictSame(checkedPolicies(['rooted']), ['rooted'])
  t.end()
})

tap.test('an entity is seen as it logs in and as its tokens are renewed, once a day', async t => {
  const clock = new FakeClock()
  const secrets = await openSecrets(t, { clock })
  const mount = await within(secrets, mountOf)
  const found = await within(secrets, draft => entityFor(draft, mount, { name: 'ann' }))
  const { entityId } = found as { entityId: string }
  const seen = () => within(secrets, draft => entityById(draft, 'root', entityId)!.lastSeenMs)
  const first = await seen()
  t.equal(first, clock.wall())
  const mark = () =>
    within(secrets, draft => {
      markSeen(draft, 'root', entityId)
      return draft.isEmpty
    })
  await clock.advance(86_399_999)
  t.equal(await mark(), true)
  await clock.advance(1)
  t.equal(await mark(), false)
  t.equal(await seen(), first + 86_400_000)
  await within(secrets, draft => markSeen(draft, 'root', 'nobody'))
})
