/** Who asks: the principal of a server whose ACLs are off. */
import t from 'tap'
import { access, everybody } from '../../src/base/who.ts'

t.test('a right may be without a name', async t => {
  t.strictSame(access('read', 'agent'), { capability: 'read', resource: 'agent', name: '' })
  t.equal(access('write', 'key', 'a/b').name, 'a/b')
})

t.test('everybody may everything', async t => {
  for (const capability of ['read', 'list', 'write'] as const) {
    for (const resource of ['acl', 'key_prefix', 'operator'] as const) {
      t.ok(everybody.may(access(capability, resource, 'any')))
    }
  }
  t.equal(everybody.accessor, 'anonymous')
})
