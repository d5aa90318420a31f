/** What the recovery token of an agent may do. */
import t from 'tap'
import { access } from '../../src/base/who.ts'
import { recoveryPrincipal } from '../../src/identity/recovery.ts'

t.test('it sees to its own agent, and to no policy', async t => {
  const who = recoveryPrincipal('one')
  t.ok(who.may(access('write', 'agent', 'one')))
  t.notOk(who.may(access('write', 'agent', 'two')))
  t.ok(who.may(access('write', 'node', 'two')), "another node's record can be taken away")
  t.notOk(who.may(access('read', 'acl')))
  t.notOk(who.may(access('read', 'service', 'web')))
})
