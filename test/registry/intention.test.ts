/**
 * The rules of intentions: rights, and what they make of the entries that they are kept in.
 */
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import {
  allIntentions,
  checkIntention,
  createIntention,
  deleteIntention,
  exactIntention,
  intentionById,
  matchIntentions,
  type Pair,
  putIntention,
  type Said,
} from '../../src/registry/intention.ts'
import type { View } from '../../src/store/ask.ts'
import type { Decide, Op } from '../../src/store/store.ts'
import { everybody, only, ruled, viewOf } from './rules.ts'

const datacenter = 'dc1'
const pairOf = (source: string, destination: string): Pair => ({ source, peer: '', destination })
const saying = (action: string): Said => ({
  action,
  permissions: undefined,
  description: undefined,
  type: '',
  meta: {},
})

const putting =
  (source: string, destination: string, action: string, who = everybody): Decide<boolean> =>
  view => {
    const pair = pairOf(source, destination)
    return putIntention(view, who, { pair, said: saying(action), datacenter })
  }

function written(...rules: Decide<unknown>[]): Op[] {
  const ops: Op[] = []
  for (const rule of rules) {
    const given = rule(viewOf(...ops), wallMs(0), undefined as never)
    if (given instanceof Refusal) throw new Error(given.text)
    ops.push(...given.txn)
  }
  return ops
}

t.test('rights', async t => {
  const writer = only('intention:write db')
  t.strictSame(ruled(viewOf(), putting('web', 'db', 'allow', writer)), [
    'put config-entries service-intentions|db',
    'answer true',
  ])
  t.match(ruled(viewOf(), putting('db', 'web', 'allow', writer))[0], /^403 .*intention:write/)
  const view = viewOf(...written(putting('web', 'db', 'deny'), putting('a', 'b', 'deny'))) as View
  const seen = (...rights: string[]): string[] =>
    [...allIntentions(only(...rights)).read(view)].map(one => one.destination)
  t.strictSame(seen('intention:read web'), ['db'], 'one end is enough')
  t.strictSame(seen('intention:read b'), ['b'])
  t.strictSame(seen('service:read'), [])
  const reader = only('intention:read web')
  t.notOk(exactIntention(reader, pairOf('web', 'db')) instanceof Refusal)
  t.match(exactIntention(reader, pairOf('a', 'b')), { status: 403 })
  t.match(matchIntentions(reader, { by: 'source', names: ['web', 'a'] }), { status: 403 })
  const request = { source: 'web', destination: 'db', isAllowedByDefault: true }
  t.match(checkIntention(view, reader, request), { status: 403 }, 'this one is of the service')
  t.equal(checkIntention(view, only('service:read db'), request), false)
})

t.test('one that is known by an id is refused to who may see neither end', async t => {
  const id = '0f3c7a52-1111-4222-8333-444455556666'
  const given = { id, pair: pairOf('web', 'db'), said: saying('allow'), datacenter }
  const creating: Decide<string> = (view, now) => createIntention(view, now, everybody, given)
  const view = viewOf(...written(creating)) as View
  const seen = (of: string, ...rights: string[]): unknown => {
    const question = intentionById(only(...rights), of)
    return question instanceof Refusal ? question : question.read(view)
  }
  t.match(seen(id, 'intention:read web'), { destination: 'db' })
  t.match(seen(id, 'intention:read db'), { destination: 'db' })
  t.match(seen(id, 'intention:read a'), { status: 403, text: /'intention:read' on "db"$/ })
  t.equal(seen(id.replace('0', '1')), undefined)
})

t.test('what decides where nothing is said, and where it depends', async t => {
  const check = (view: ReturnType<typeof viewOf>, isAllowedByDefault: boolean) =>
    checkIntention(view, everybody, { source: 'a', destination: 'b', isAllowedByDefault })
  t.equal(check(viewOf(), true), true)
  t.equal(check(viewOf(), false), false)
  const view = viewOf(...written(putting('*', 'b', 'deny'), putting('a', '*', 'allow')))
  t.equal(check(view, true), false, 'the destination weighs more')
})

t.test('the last source takes its entry along', async t => {
  const ops = written(putting('web', 'db', 'deny'), putting('api', 'db', 'deny'))
  const deleting =
    (source: string): Decide<boolean> =>
    view =>
      deleteIntention(view, everybody, { pair: pairOf(source, 'db'), datacenter })
  t.match(ruled(viewOf(...ops), deleting('web'))[0], /^put /)
  const one = viewOf(...ops, ...written(putting('web', 'db', 'deny')).slice(-1))
  t.match(ruled(one, deleting('web'))[0], /^del /)
  t.strictSame(ruled(viewOf(...ops), deleting('nobody')), ['answer true'])
})

t.test('who writes a pair takes over what the older API made', async t => {
  const id = '11111111-2222-4333-8444-555555555555'
  const creating: Decide<string> = (view, now) =>
    createIntention(view, now, everybody, {
      id,
      pair: pairOf('a', 'b'),
      said: saying('deny'),
      datacenter,
    })
  const ops = written(creating, putting('c', 'b', 'deny'))
  const [first] = [...allIntentions(everybody).read(viewOf(...ops) as View)]
  t.equal(first?.source.LegacyID, undefined)
})
