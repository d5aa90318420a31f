/** The words in which a right is refused. */
import t from 'tap'
import { denied, mayOne, refuse } from '../../src/base/denied.ts'
import { access, Caller, everybody, ownCall, type Who } from '../../src/base/who.ts'
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
  t.match(denied(only(), access('write', 'key_prefix', 'a/')), { text: /'key:write' on "a\/"$/ })
})

t.test('the first right that is lacking', async t => {
  const wanted = [access('read', 'node', 'a'), access('read', 'service', 'b')]
  t.equal(refuse(everybody, wanted), undefined)
  t.equal(refuse(only(), []), undefined)
  t.match(refuse(only('node:read'), wanted), { text: /'service:read' on "b"$/ })
})

t.test('where one of several rights is enough, the first alone is noted as lacking', async t => {
  const wanted = [access('write', 'service', 'web'), access('write', 'node', 'a')] as const
  const asked = (who: Who): { may: boolean; lacking: string[] } => {
    const caller = new Caller(who, ownCall(who, 'PUT /x').request)
    const may = mayOne(caller, ...wanted)
    return { may, lacking: caller.lacked.rights.map(({ resource }) => resource) }
  }
  t.strictSame(asked(only('node:write a')), { may: true, lacking: [] })
  t.strictSame(asked(only('service:write web')), { may: true, lacking: [] })
  t.strictSame(asked(only()), { may: false, lacking: ['service'] })
})
