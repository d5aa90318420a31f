/** The gate: a right that ended while a write was under way gives nothing. */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import { access, Caller, everybody, ownCall } from '../../src/base/who.ts'
import { tokenFacts, tokenGate } from '../../src/identity/gate.ts'
import { updatePolicy } from '../../src/identity/policy.ts'
import { type Principal, resolve } from '../../src/identity/resolve.ts'
import { deleteToken } from '../../src/identity/token.ts'
import { anonymousKey, key, openWorld, settings } from './support.ts'

t.test('the same, renewed, or refused, in the view that decides', async t => {
  const world = await openWorld(t)
  await world.token('a', 'key "x" { policy = "write" }')
  const gate = tokenGate(settings, anonymousKey)
  const now = wallMs(world.clock.wall())
  const view = () => world.store.view()
  const a = resolve(view(), key.hashOf('a'), now, settings, anonymousKey) as Principal
  const caller = new Caller(a, ownCall(a, 'PUT /v1/kv/{key}').request)
  t.equal(gate.admit(view(), caller, now), caller)
  t.equal(gate.judge(view(), caller, now), undefined)
  t.equal(gate.admit(view(), everybody, now), everybody)
  const policy = {
    name: 'a',
    rules: 'key "x" { policy = "read" }',
    description: '',
    datacenters: [],
  }
  await world.run(view => updatePolicy(view, everybody, 'a', policy))
  const renewed = gate.admit(view(), caller, now) as Caller
  t.notOk(renewed.may(access('write', 'key', 'x')))
  t.equal(renewed.request, caller.request)
  t.equal(caller.lacked.count, 1, 'what it lacks is noted of the request')
  t.equal((gate.admit(view(), a, now) as Principal).accessor, 'a')
  await world.run(view => deleteToken(view, everybody, 'a'))
  t.match(gate.admit(view(), caller, now), new Refusal(403, 'ACL not found'))
  const facts = { accessor: 'a', policies: ['a'], roles: [], authMethod: '', metadata: {} }
  t.strictSame(tokenFacts(caller), facts)
  t.match(tokenFacts(everybody), { accessor: 'anonymous', policies: [] })
})
