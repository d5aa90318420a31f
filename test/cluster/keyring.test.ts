/** The keys of gossip: refused, with a reason for who may ask and without one for who may not. */
import t from 'tap'
import { everybody } from '../../src/base/who.ts'
import { askKeyring } from '../../src/cluster/keyring.ts'
import { only } from '../registry/rules.ts'

const self = { nodeName: 'n1', datacenter: 'dc1' }

t.test('who may is told that there are none, who may not that he may not', async t => {
  const told = askKeyring(everybody, 'read', self)
  t.equal(told.status, 500)
  t.match(told.text, /n1\.dc1: Keyring is empty \(encryption not enabled\)/)
  t.equal(askKeyring(only(), 'read', self).status, 403)
  t.equal(askKeyring(only('keyring:read'), 'write', self).status, 403)
  t.equal(askKeyring(only('keyring:read'), 'read', self).status, 500)
})
