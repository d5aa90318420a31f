/** The words in which a right is refused. */
import t from 'tap'
import { denied, refuse } from '../../src/base/denied.ts'
import { access, everybody } from '../../src/base/who.ts'
import { only } from '../registry/rules.ts'

t.test('who lacks what on which object', async t => {
  const named = { ...only(), accessor: 'acc' }
  t.match(denied(named, access('write', 'service', 'web')), {
    status: 403,
    text: /^Permission denied: token with AccessorID 'acc' lacks .*'service:write' on "web"$/,
  })
  t.match(denied(only(), access('read', 'acl')), {
    text: "Permission denied: anonymous token lacks permission 'acl:read'",
  })
})

t.test('the first right that is lacking', async t => {
  const wanted = [access('read', 'node', 'a'), access('read', 'service', 'b')]
  t.equal(refuse(everybody, wanted), undefined)
  t.equal(refuse(only(), []), undefined)
  t.match(refuse(only('node:read'), wanted), { text: /'service:read' on "b"$/ })
})
