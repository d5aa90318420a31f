/** Tokens of the secrets in the registry: what binding rules give them, and how long. */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { access, Caller, everybody, type Who } from '../../src/base/who.ts'
import { putAuthMethod } from '../../src/identity/auth-method.ts'
import { TokenAuthority } from '../../src/identity/authority.run.ts'
import { createBindingRule, deleteBindingRule } from '../../src/identity/binding-rule.ts'
import { tokenGate } from '../../src/identity/gate.ts'
import type { OtherToken, OtherTokens } from '../../src/identity/other-token.ts'
import { createPolicy, updatePolicy } from '../../src/identity/policy.ts'
import { type AclSettings, Principal } from '../../src/identity/resolve.ts'
import { resolveOther } from '../../src/identity/resolve-other.ts'
import { put } from '../../src/store/store.ts'
import { secretData } from '../../src/store/tables/secret.ts'
import { until } from '../http/harness.ts'
import { GONE, OtherHalf, type Said, SEALED } from './other-half.ts'
import { anonymousKey, key, openWorld, settings, type World } from './support.ts'

const method = (name: string, config: Record<string, unknown> = {}) => ({
  ...{ name, type: 'secrets', displayName: '', description: '', maxTokenTtlMs: 0 },
  ...{ tokenLocality: '', config },
})

const rule = (selector: string, bindType: string, bindName: string, authMethod = 'people') => ({
  ...{ description: '', authMethod, selector, bindType, bindName, bindVars: { name: '' } },
})

async function open(t: Parameters<typeof openWorld>[0], config = {}) {
  const world = await openWorld(t)
  await world.run(view => putAuthMethod(view, everybody, method('people', config)))
  const policy = (name: string, rules: string) => ({
    name,
    rules,
    description: '',
    datacenters: [],
  })
  await world.run(view =>
    createPolicy(view, everybody, 'p1', policy('ops', 'key_prefix "" { policy = "write" }')),
  )
  return { world, policy, half: new OtherHalf() }
}

const bind = (world: World, id: string, given: ReturnType<typeof rule>) =>
  world.run(view => createBindingRule(view, everybody, id, given))

function authorityOn(
  { store, clock }: World,
  half: OtherTokens,
  given: Partial<AclSettings> = {},
): TokenAuthority {
  return new TokenAuthority({
    ...{ store, key, clock, settings: { ...settings, ...given } },
    timeouts: new Timeouts(clock),
    defaultToken: () => '',
    recovery: () => undefined,
    others: () => half,
  })
}

const known = (authority: TokenAuthority, secret: string): Principal => {
  const who = authority.authenticate(secret)
  if (who instanceof Refusal) throw new Error(who.text)
  return who as Principal
}

/** What stands for something that is known of a token. */
const variable = (name: string): string => `$\{value.${name}}`

const mayWrite = (who: Who, name = 'a') => who.may(access('write', 'key', name))

t.test('nothing without a rule that it meets, in its own namespace', async t => {
  const { world, half } = await open(t)
  half.said.set('ann', { policies: ['ops'] })
  half.said.set('bob', { policies: ['dev'] })
  half.said.set('eve', { policies: ['ops'], namespace: 'east/' })
  half.said.set('root', { policies: ['root'] })
  const authority = authorityOn(world, half)
  t.notOk(mayWrite(known(authority, 'ann')), 'no rule is there')
  await bind(world, 'r1', rule('"ops" in list.policies', 'policy', 'ops'))
  t.ok(mayWrite(known(authority, 'ann')), 'at once')
  t.notOk(mayWrite(known(authority, 'bob')))
  t.notOk(mayWrite(known(authority, 'eve')), 'a policy of the same name, of another namespace')
  t.notOk(mayWrite(known(authority, 'root')), 'root is a name like all others')
  t.match(authority.authenticate('nobody'), GONE)
  t.equal(known(authority, 'ann').accessor, 'accessor of ann')
  t.strictSame(known(authority, 'ann').policyNames, ['ops'])
  t.equal(known(authority, 'ann'), known(authority, 'ann'), 'worked out once')
  t.notOk(known(authority, 'bob').may(access('read', 'acl')))
  const open2 = authorityOn(world, half, { defaultPolicy: 'allow' })
  t.ok(mayWrite(known(open2, 'bob')), 'what the default leaves to everybody')
  t.notOk(known(open2, 'bob').may(access('read', 'acl')))
})

t.test('names are made of what operators wrote of the entity', async t => {
  const config = { Namespace: '/east/', EntityMetadata: { team: 'team' } }
  const { world, half } = await open(t, config)
  await bind(world, 'r1', rule('value.team != ""', 'service', variable('team')))
  const node = `${variable('entity_name')}-1`
  await bind(world, 'r2', rule('value.entity_name == "ann"', 'node', node))
  const of = (name: string, metadata: Record<string, string>): Said => ({
    namespace: 'east/',
    entity: { id: `id of ${name}`, name, metadata },
  })
  half.said.set('ann', of('ann', { team: 'web', constructor: 'x' }))
  half.said.set('bob', of('bob', {}))
  half.said.set('eve', of('eve', { team: 'a" { policy = "write" } service_prefix "' }))
  const authority = authorityOn(world, half)
  const ann = known(authority, 'ann')
  t.ok(ann.may(access('write', 'service', 'web')))
  t.ok(ann.may(access('write', 'node', 'ann-1')))
  t.notOk(ann.may(access('write', 'service', 'db')))
  for (const name of ['bob', 'eve']) {
    t.notOk(known(authority, name).may(access('write', 'service', 'web')), name)
    t.notOk(known(authority, name).may(access('read', 'service', 'db')), name)
  }
})

t.test('what is wrong with a method is said when it is written', async t => {
  const { world } = await open(t)
  const tries: [object, RegExp][] = [
    [{ Namespace: 3 }, /'Namespace' is not a string/],
    [{ EntityMetadata: { a: 3 } }, /'EntityMetadata' is not a map/],
    [{ EntityMetadata: { a: 'x', b: 'x' } }, /multiple mappings for key "x"/],
    [{ EntityMetadata: { a: 'entity_id' } }, /multiple mappings/],
    [{ Policies: ['x'] }, /invalid keys: Policies/],
  ]
  for (const [config, text] of tries) {
    const write = world.run(view => putAuthMethod(view, everybody, method('m', { ...config })))
    await t.rejects(write, text)
  }
  const ttl = { ...method('m'), maxTokenTtlMs: 120_000 }
  await t.rejects(
    world.run(view => putAuthMethod(view, everybody, ttl)),
    /gives no tokens/,
  )
  const unknown = bind(world, 'r', rule('value.team == "x"', 'policy', variable('team')))
  await t.rejects(unknown, /unknown variable accessed: value.team/)
})

t.test('who waits is told when rules, the token or the seal change', async t => {
  const { world, policy, half } = await open(t)
  await bind(world, 'r1', rule('"ops" in list.policies', 'policy', 'ops'))
  half.said.set('ann', { policies: ['ops'] })
  const authority = authorityOn(world, half)
  let told = 0
  const watch = () => authority.watch(known(authority, 'ann'), () => told++)
  const touchSecrets = () =>
    world.store.write(() => ({
      txn: [put(secretData, 'root/x/a', { header: {}, headerText: '', sealed: Buffer.of(told) })],
      answer: true,
    }))
  watch()
  const rules = 'key_prefix "" { policy = "read" }'
  await world.run(view => updatePolicy(view, everybody, 'p1', policy('ops', rules)))
  await until(() => told === 1)
  watch()
  await touchSecrets()
  await world.clock.advance(limits.otherTokensLookMs + 1_000)
  t.equal(told, 1, 'something else of the secrets changed')
  half.said.set('ann', { policies: [] })
  await touchSecrets()
  await world.clock.advance(limits.otherTokensLookMs + 1_000)
  await until(() => told === 2)
  watch()
  half.said.delete('ann')
  await touchSecrets()
  await world.clock.advance(limits.otherTokensLookMs + 1_000)
  await until(() => told === 3)
  half.said.set('ann', { policies: ['ops'] })
  watch()
  half.seal()
  await until(() => told === 4)
  t.match(authority.authenticate('ann'), SEALED)
  t.equal(world.store.scopes.waiting, 0, 'nothing is left waiting')
})

t.test('a right that ended while a write was under way gives nothing', async t => {
  const { world, half } = await open(t)
  await bind(world, 'r1', rule('"ops" in list.policies', 'policy', 'ops'))
  half.said.set('ann', { policies: ['ops'] })
  const now = () => wallMs(world.clock.wall())
  const token = half.find(undefined, 'ann') as OtherToken
  const ann = resolveOther(world.store.view(), token, settings)
  const gate = tokenGate(settings, anonymousKey)
  const who = new Caller(ann, { operation: 'PUT /v1/kv/{key}' } as never)
  const admitted = () => gate.admit(world.store.view(), who, now())
  t.equal(admitted(), who, 'nothing changed')
  half.said.set('ann', { policies: ['dev'] })
  t.notOk(mayWrite(admitted() as Who))
  half.said.set('ann', { policies: ['ops'] })
  await world.run(view => deleteBindingRule(view, everybody, 'r1'))
  t.notOk(mayWrite(admitted() as Who), 'the rule went')
  half.said.delete('ann')
  t.match(admitted(), GONE)
  half.isSealed = true
  t.match(admitted(), SEALED)
})

t.test('the registry’s own tokens stand first, and work while the secrets are sealed', async t => {
  const { world, half } = await open(t)
  await world.token('own', 'key "x" { policy = "read" }')
  half.said.set('own', { policies: ['ops'] })
  const authority = authorityOn(world, half)
  t.equal(known(authority, 'own').accessor, 'own')
  half.isSealed = true
  t.equal(known(authority, 'own').accessor, 'own')
  t.ok(authority.authenticate('') instanceof Principal, 'who shows none is asked nothing')
  t.match(authority.byView('ann'), SEALED)
})
