/** Who sends a request, and how soon a right that ended is felt by whoever waits with it. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { access, everybody, type Who } from '../../src/base/who.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { updatePolicy } from '../../src/identity/policy.ts'
import type { Principal } from '../../src/identity/resolve.ts'
import { deleteToken, updateToken } from '../../src/identity/token.ts'
import { until } from '../http/harness.ts'
import { key, noToken, openWorld, settings, type World } from './support.ts'

const recoverer: Who = { accessor: 'agent-recovery', rights: 'recovery', may: () => true }

function authorityOn({ store, clock }: World, given: { default?: string } = {}): TokenAuthority {
  return new TokenAuthority({
    ...{ store, key, clock, settings },
    timeouts: new Timeouts(clock),
    defaultToken: () => given.default ?? '',
    recovery: () => ({ token: 'recovery', principal: recoverer }),
  })
}

const known = (authority: TokenAuthority, secret: string): Principal => {
  const who = authority.authenticate(secret)
  if (who instanceof Refusal) throw new Error(who.text)
  return who as Principal
}

t.test('tokens, the default one, the recovery one, and none', async t => {
  const world = await openWorld(t)
  await world.token('a', 'key "x" { policy = "read" }')
  const authority = authorityOn(world)
  t.equal(authority.defaultPolicy, 'deny')
  t.equal(known(authority, 'a').accessor, 'a')
  t.equal(known(authority, 'a'), known(authority, 'a'), 'worked out once')
  t.match(authority.authenticate('b'), { status: 403, text: 'ACL not found' })
  t.equal(authority.authenticate('recovery'), recoverer)
  t.equal(authority.authenticate('recovery2') instanceof Refusal, true)
  t.equal(known(authority, '').accessor, '00000000-0000-0000-0000-000000000002')
  t.equal(known(authorityOn(world, { default: 'a' }), '').accessor, 'a')
})

t.test('a connection is nobody: each request on it is of the token that it shows', async t => {
  const world = await openWorld(t)
  await world.token('a', 'key "x" { policy = "read" }')
  await world.token('b', '')
  const authority = authorityOn(world)
  const connection = {}
  const on = (token: string): Who | Refusal => authority.authenticate(token, connection)
  t.equal(on('a'), known(authority, 'a'))
  t.equal(on('a'), known(authority, 'a'))
  t.equal(on('b'), known(authority, 'b'))
  t.equal(on(''), known(authority, ''), 'nor is it whoever asked before')
  t.match(on('c'), { status: 403, text: 'ACL not found' })
  t.equal(on('recovery'), recoverer)
  t.equal(on('a'), known(authority, 'a'))
  await world.run(view => deleteToken(view, everybody, 'a'))
  t.match(on('a'), { status: 403, text: 'ACL not found' }, 'gone at the next request')
})

t.test('a change of rights is told once, a change without one not at all', async t => {
  const world = await openWorld(t)
  await world.token('a', 'key "x" { policy = "read" }')
  const authority = authorityOn(world)
  const told: string[] = []
  const a = known(authority, 'a')
  authority.watch(a, () => told.push('changed'))
  const unwatch = authority.watch(a, () => told.push('never'))
  const request = { ...noToken, description: 'new', policies: [{ id: 'a', name: '' }] }
  const more = { secretKey: undefined, authMethod: '' }
  await world.run(view => updateToken(view, everybody, 'a', { ...request, ...more }))
  await until(() => known(authority, 'a') !== a)
  t.strictSame(told, [], 'it may do what it could')
  unwatch()
  const policy = {
    name: 'a',
    rules: 'key "x" { policy = "write" }',
    description: '',
    datacenters: [],
  }
  await world.run(view => updatePolicy(view, everybody, 'a', policy))
  await until(() => told.length > 0)
  t.strictSame(told, ['changed'])
  await world.run(view => deleteToken(view, everybody, 'a'))
  t.strictSame(told, ['changed'], 'and not again')
  t.equal(world.store.scopes.waiting, 0, 'nothing is left waiting')
})

t.test('the end of a token is told, also by its time, also if it came before', async t => {
  const world = await openWorld(t)
  await world.token('a', '')
  await world.token('b', '', { ttlMs: 120_000 })
  await world.token('c', '')
  const authority = authorityOn(world)
  const told: string[] = []
  const watch = (name: string): (() => void) =>
    authority.watch(known(authority, name), () => told.push(name))
  watch('a')
  const late = known(authority, 'c')
  await world.run(view => deleteToken(view, everybody, 'a'))
  await until(() => told.includes('a'))
  watch('b')
  await world.run(view => deleteToken(view, everybody, 'c'))
  authority.watch(late, () => told.push('c'))
  await world.clock.advance(100)
  await until(() => told.includes('c'))
  t.strictSame(told, ['a', 'c'])
  await world.clock.advance(120_000)
  await until(() => told.includes('b'))
  authority.watch(everybody, () => t.fail('nobody in particular'))()
})

t.test('a lack is explained with the rule that decided', async t => {
  const world = await openWorld(t)
  await world.token('a', 'key_prefix "" { policy = "read" }')
  const authority = authorityOn(world)
  const who = known(authority, 'a')
  const lacking = [access('write', 'key', 'x')]
  const lack = {
    ...{ operation: 'PUT /v1/kv/{key}', name: 'x', outcome: 'refused' as const, count: 1 },
    unmet: { advisories: ['b', 'c'], overridden: ['d'], refusedBy: { name: 'e', level: 'any' } },
  }
  authority.note({ id: '1', who, lacking, ...lack })
  authority.note({ id: '2', who: everybody, lacking, ...lack })
  t.match(authority.explanations.explain('1'), {
    accessor: 'a',
    policies: ['a'],
    lacking: [{ verdict: { allowed: false, rule: { policyName: 'a', line: 1 } } }],
    conditions: [
      { name: 'e', level: 'any', outcome: 'refused' },
      { name: 'd', level: 'soft-mandatory', outcome: 'overridden' },
      { name: 'b', level: 'advisory', outcome: 'advised' },
      { name: 'c', level: 'advisory', outcome: 'advised' },
    ],
  })
  t.equal(authority.explanations.explain('2'), undefined, 'no token of ours')
  t.equal(authority.explanations.explain('3'), undefined)
})

t.test('what is turned away is explained by its reason, and pushes out nothing else', async t => {
  const world = await openWorld(t)
  await world.token('a', '')
  const authority = authorityOn(world)
  const lack = {
    ...{ operation: 'GET /v1/kv/x', name: '', outcome: 'refused' as const, count: 0, lacking: [] },
    unmet: { advisories: [], overridden: [], refusedBy: undefined },
  }
  authority.note({ id: 'refused', who: known(authority, 'a'), ...lack })
  const turnedAway = { status: 429, reason: 'too many', remote: '192.0.2.1' }
  for (let at = 0; at <= limits.explainedRequests; at++) {
    authority.note({ id: `flood ${at}`, who: everybody, ...lack, turnedAway })
  }
  const { explanations } = authority
  t.match(explanations.explain('refused'), { accessor: 'a' })
  t.match(explanations.explain('flood 1'), { turnedAway, accessor: '', policies: [], lacking: [] })
  t.equal(explanations.explain('flood 0'), undefined, 'the oldest went')
})

t.test('on a store that others write too, it is asked before a token is nobody’s', async t => {
  const world = await openWorld(t)
  let asked = 0
  const shared = new Proxy(world.store, {
    get(target, name) {
      if (name === 'supports') return { ...target.supports, shared: true }
      if (name === 'readIndex') {
        return async () => {
          asked++
          await world.token('late', 'key "x" { policy = "read" }')
        }
      }
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const authority = authorityOn({ ...world, store: shared })
  t.match(authority.authenticate('late'), { status: 403 })
  await authority.ready?.('late')
  t.equal(known(authority, 'late').accessor, 'late')
  t.strictSame(
    ['late', '', 'recovery'].map(token => authority.ready?.(token)),
    [undefined, undefined, undefined],
  )
  t.equal(asked, 1)
  t.equal(authorityOn(world).ready, undefined, 'nobody else writes there')
})
