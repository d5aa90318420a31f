/** Who asks: the principal of a server whose ACLs are off. */
import t from 'tap'
import {
  type Access,
  ANONYMOUS_ACCESSOR,
  access,
  accessToAll,
  accessToAny,
  Caller,
  everybody,
  isAnonymous,
  isUnbounded,
  Lacked,
  openAuthority,
  ownCall,
  principalOf,
  type Who,
} from '../../src/base/who.ts'

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

t.test('a caller asks its principal, and notes what was lacking', async t => {
  const may = ({ capability }: Access): boolean => capability === 'read'
  const principal: Who = { accessor: 'a1', rights: 'r1', may }
  const granted: Access[] = []
  const { request } = ownCall(principal, 'GET /x')
  const caller = new Caller(principal, request, new Lacked(), granted)
  t.strictSame([caller.accessor, caller.rights, principalOf(caller)], ['a1', 'r1', principal])
  t.equal(principalOf(principal), principal)
  t.ok(caller.may(accessToAny('read', 'service')))
  for (let i = 0; i < 20; i++) t.notOk(caller.may(accessToAll('write', 'node')))
  const taken = caller.lacked.take()
  t.equal(taken.count, 20)
  t.strictSame(taken.rights.length, 8, 'only the first are kept')
  t.strictSame(taken.rights[0], { ...access('write', 'node'), extent: 'all' })
  t.strictSame(caller.lacked.take(), { rights: [], count: 0 }, 'and it begins again')
  t.strictSame(granted, [], 'reads are not noted')
  const writer = new Caller(everybody, request, caller.lacked, granted)
  writer.may(access('write', 'key', 'a'))
  t.strictSame(granted, [access('write', 'key', 'a')])
})

t.test('who may everything need not be asked, unless somebody notes it', async t => {
  const { request } = ownCall(everybody, 'GET /x')
  t.ok(isUnbounded(everybody))
  t.ok(isUnbounded(new Caller(everybody, request)))
  t.notOk(isUnbounded(new Caller(everybody, request, new Lacked(), [])))
  t.notOk(isUnbounded({ ...everybody }))
})

t.test('no token is the anonymous one, with ACLs on or off', async t => {
  t.ok(isAnonymous(everybody))
  t.ok(isAnonymous({ ...everybody, accessor: ANONYMOUS_ACCESSOR }))
  t.notOk(isAnonymous({ ...everybody, accessor: 'a1' }))
  t.equal(openAuthority.authenticate('anything'), everybody)
  openAuthority.watch(everybody, () => t.fail('nothing changes'))()
})
