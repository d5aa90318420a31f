/** Tokens to principals. */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import { access, accessToAll, accessToAny, everybody } from '../../src/base/who.ts'
import { deletePolicy, updatePolicy } from '../../src/identity/policy.ts'
import { type Principal, resolve } from '../../src/identity/resolve.ts'
import { createRole, deleteRole } from '../../src/identity/role.ts'
import { deleteToken } from '../../src/identity/token.ts'
import { put } from '../../src/store/store.ts'
import { policies } from '../../src/store/tables/acl.ts'
import { anonymousKey, key, noGrants, openWorld, settings, type World } from './support.ts'

function principal({ store, clock }: World, secret: string, more = {}): Principal {
  const now = wallMs(clock.wall())
  const tokenKey = key.hashOf(secret)
  const found = resolve(store.view(), tokenKey, now, { ...settings, ...more }, anonymousKey)
  if (found instanceof Refusal) throw new Error(found.text)
  return found
}

t.test('by its policies, its roles, and what stands for its identities', async t => {
  const world = await openWorld(t)
  const role = {
    ...noGrants,
    name: 'r',
    description: '',
    serviceIdentities: [{ service: 'web', datacenters: [] }],
  }
  await world.run(view => createRole(view, everybody, 'r1', role))
  await world.token('a', 'key_prefix "a/" { policy = "write" }', {
    roles: [{ id: '', name: 'R' }],
    nodeIdentities: [
      { node: 'n1', datacenter: 'dc1' },
      { node: 'n2', datacenter: 'dc2' },
    ],
    templatedPolicies: [{ template: 'builtin/dns', name: '', datacenters: ['dc2'] }],
  })
  const a = principal(world, 'a')
  t.equal(a.accessor, 'a')
  t.strictSame([a.policyNames, a.roleNames], [['a'], ['r']])
  t.ok(a.may(access('write', 'key', 'a/b')))
  t.ok(a.may(access('write', 'service', 'web')))
  t.ok(a.may(access('write', 'node', 'n1')))
  t.notOk(a.may(access('write', 'node', 'n2')), 'of another datacenter')
  t.notOk(a.may(access('read', 'query', 'x')), 'of another datacenter')
  t.ok(a.may(accessToAny('write', 'service')))
  t.notOk(a.may(accessToAll('write', 'service')))
  t.ok(a.may(accessToAll('read', 'node')))
})

t.test('a policy for other datacenters gives nothing here', async t => {
  const world = await openWorld(t)
  await world.token('a', 'operator = "read"')
  t.ok(principal(world, 'a').may(access('read', 'operator')))
  const policy = { name: 'a', rules: 'operator = "read"', description: '', datacenters: ['dc2'] }
  await world.run(view => updatePolicy(view, everybody, 'a', policy))
  t.notOk(principal(world, 'a').may(access('read', 'operator')))
  t.ok(principal(world, 'a', { datacenter: 'dc2' }).may(access('read', 'operator')))
})

t.test('nobody, somebody whose time is over, and the anonymous', async t => {
  const world = await openWorld(t)
  const now = () => wallMs(world.clock.wall())
  const at = (secret: string) =>
    resolve(world.store.view(), key.hashOf(secret), now(), settings, anonymousKey)
  t.match(at('nosuch'), { status: 403, text: 'ACL not found' })
  await world.token('a', '', { ttlMs: 60_000 })
  const a = principal(world, 'a')
  await world.clock.advance(59_999)
  t.ok(a.holdsIn(world.store.view(), now()))
  await world.clock.advance(1)
  t.notOk(a.holdsIn(world.store.view(), now()))
  t.match(at('a'), { status: 403, text: 'ACL not found' })
  const anonymous = principal(world, 'anonymous')
  t.equal(anonymous.accessor, '00000000-0000-0000-0000-000000000002')
  t.notOk(anonymous.may(access('read', 'key', 'a')))
  t.ok(principal(world, 'anonymous', { defaultPolicy: 'allow' }).may(access('read', 'key', 'a')))
})

t.test('holds as long as every row that it stands on', async t => {
  const world = await openWorld(t)
  const role = { ...noGrants, name: 'r', description: '' }
  await world.run(view => createRole(view, everybody, 'r1', role))
  await world.token('a', 'operator = "read"', { roles: [{ id: 'r1', name: '' }] })
  await world.token('b', 'operator = "read"')
  const holds = (each: Principal): boolean =>
    each.holdsIn(world.store.view(), wallMs(world.clock.wall()))
  const a = principal(world, 'a')
  const b = principal(world, 'b')
  t.equal(a.rights, b.rights, 'answers are shared between those who may do the same')
  await world.run(view => deleteRole(view, everybody, 'r1'))
  t.notOk(holds(a), 'a role went')
  t.ok(holds(b), 'and nobody else minds')
  const again = principal(world, 'a')
  await world.run(view => deletePolicy(view, everybody, 'a'))
  t.notOk(holds(again), 'a policy went')
  t.notOk(principal(world, 'a').may(access('read', 'operator')))
  await world.run(view => deleteToken(view, everybody, 'b'))
  t.notOk(holds(b), 'the token went')
})

t.test('a policy whose text nobody understands any more gives nothing', async t => {
  const world = await openWorld(t)
  await world.token('a', 'operator = "read"')
  const row = { ...world.store.view().get(policies, 'a')!.row, rules: 'operator = {' }
  await world.run(() => ({ txn: [put(policies, 'a', row)], answer: true }))
  t.notOk(principal(world, 'a').may(access('read', 'operator')))
})
