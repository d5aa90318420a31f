/**
 * The rules of the key/value store, as tables; and locks against a naive model.
 */
import fc from 'fast-check'
import t from 'tap'
import { publicIndex, revision } from '../../src/base/brand.ts'
import { Refusal } from '../../src/base/errors.ts'
import { type Access, everybody, type Who } from '../../src/base/who.ts'
import { compile, parseRules, RulesProblem } from '../../src/identity/rules/mod.ts'
import {
  deleteKv,
  deleteKvTree,
  type KvPut,
  kvEntry,
  kvKeys,
  kvLock,
  kvTree,
  putKv,
  refuseKvPut,
  setKv,
} from '../../src/registry/kv.ts'
import { answerOf } from '../../src/store/local.ts'
import { type Decide, put } from '../../src/store/store.ts'
import { type KvRow, kv } from '../../src/store/tables/kv.ts'
import { lockDelays } from '../../src/store/tables/session.ts'
import { only, putSession, ruled, table, viewOf } from './rules.ts'

const entry = (key: string, more: Partial<KvRow> = {}) =>
  put(kv, key, { value: Buffer.from('v'), flags: 0n, session: '', lockIndex: 0, ...more })

const putting =
  (more: Partial<KvPut> = {}, who: Who = everybody): Decide<unknown> =>
  view =>
    putKv(view, who, {
      key: 'k',
      value: Buffer.from('v'),
      flags: 0n,
      cas: undefined,
      acquire: undefined,
      release: undefined,
      ...more,
    })

const yes = ['put kv k', 'answer true']
const no = ['answer false']
const deniedKey = [`403 Permission denied: anonymous token lacks permission 'key:write' on "k"`]

t.test('put', async t => {
  const s = putSession('s', 'n')
  const other = putSession('o', 'n')
  table(t, [
    { name: 'a new key', rule: putting(), gives: yes },
    { name: 'the same again', before: [entry('k')], rule: putting(), gives: ['answer true'] },
    { name: 'other flags', before: [entry('k')], rule: putting({ flags: 1n }), gives: yes },
    { name: 'cas 0 of a new key', rule: putting({ cas: 0 }), gives: yes },
    { name: 'cas 0 of an old one', before: [entry('k')], rule: putting({ cas: 0 }), gives: no },
    { name: 'cas of a new key', rule: putting({ cas: 1 }), gives: no },
    {
      name: 'cas at its index, with the same value',
      before: [entry('k')],
      rule: putting({ cas: 1 }),
      gives: ['answer true'],
    },
    { name: 'cas beside it', before: [entry('k')], rule: putting({ cas: 2 }), gives: no },
    {
      name: 'acquire without a session',
      rule: putting({ acquire: 's' }),
      gives: ['500 raft apply failed: invalid session "s"'],
    },
    { name: 'acquire', before: [s], rule: putting({ acquire: 's' }), gives: yes },
    {
      name: 'acquire what another holds',
      before: [s, other, entry('k', { session: 'o' })],
      rule: putting({ acquire: 's' }),
      gives: no,
    },
    {
      name: 'acquire what is delayed',
      before: [s, put(lockDelays, 'k', { delayMs: 1 })],
      rule: putting({ acquire: 's' }),
      gives: no,
    },
    {
      name: 'acquire again what is held, in a delay too',
      before: [s, entry('k', { session: 's', lockIndex: 1 }), put(lockDelays, 'k', { delayMs: 1 })],
      rule: putting({ acquire: 's' }),
      gives: ['answer true'],
    },
    {
      name: 'acquire for no session',
      rule: putting({ acquire: '' }),
      gives: ['500 raft apply failed: missing session'],
    },
    {
      name: 'release by no session, which holds nothing',
      before: [entry('k')],
      rule: putting({ release: '' }),
      gives: ['500 raft apply failed: missing session'],
    },
    {
      name: 'release what nobody holds',
      before: [entry('k')],
      rule: putting({ release: 's' }),
      gives: no,
    },
    { name: 'release what is not there', rule: putting({ release: 's' }), gives: no },
    {
      name: 'release',
      before: [s, entry('k', { session: 's' })],
      rule: putting({ release: 's' }),
      gives: yes,
    },
    { name: 'without the right', rule: putting({}, only('key:write other')), gives: deniedKey },
    { name: 'with the right', rule: putting({}, only('key:write k')), gives: yes },
  ])
})

t.test('delete', async t => {
  const deleting =
    (cas?: number, who: Who = everybody): Decide<unknown> =>
    view =>
      deleteKv(view, who, { key: 'k', cas })
  const gone = ['del kv k', 'answer true']
  table(t, [
    { name: 'what is there', before: [entry('k')], rule: deleting(), gives: gone },
    { name: 'what is not', rule: deleting(), gives: ['answer true'] },
    { name: 'what is not, at an index', rule: deleting(9), gives: ['answer true'] },
    { name: 'at 0', before: [entry('k')], rule: deleting(0), gives: no },
    { name: 'at another index', before: [entry('k')], rule: deleting(9), gives: no },
    { name: 'at its index', before: [entry('k')], rule: deleting(1), gives: gone },
    { name: 'what is held', before: [entry('k', { session: 's' })], rule: deleting(), gives: gone },
    {
      name: 'without the right',
      before: [entry('k')],
      rule: deleting(undefined, only()),
      gives: deniedKey,
    },
  ])
})

t.test('delete a tree, in parts', async t => {
  const before = [entry('a'), entry('p/1'), entry('p/2'), entry('p/3'), entry('q')]
  const deleting =
    (limit: number, who: Who = everybody): Decide<unknown> =>
    view =>
      deleteKvTree(view, who, { prefix: 'p/', limit })
  const all = ['del kv p/1', 'del kv p/2', 'del kv p/3']
  table(t, [
    { name: 'whole', before, rule: deleting(4), gives: [...all, 'answer {"more":false}'] },
    { name: 'perhaps whole', before, rule: deleting(3), gives: [...all, 'answer {"more":true}'] },
    {
      name: 'a part',
      before,
      rule: deleting(2),
      gives: [...all.slice(0, 2), 'answer {"more":true}'],
    },
    { name: 'nothing', rule: deleting(2), gives: ['answer {"more":false}'] },
    {
      name: 'without the right to all of it',
      before,
      rule: deleting(9, only('key:write')),
      gives: [`403 Permission denied: anonymous token lacks permission 'key:write' on "p/"`],
    },
  ])
})

t.test('reads', async t => {
  const view = viewOf(entry('a/1'), entry('a/b/2'), entry('a/b/3'), entry('c'))
  const some: Who = { ...only(), may: ({ name }: Access) => name !== 'a/b/2' }
  const keys = (who: Who, prefix: string, separator = '') => {
    const question = kvKeys(who, prefix, separator)
    return question instanceof Refusal ? question.text : [...question.read(view)]
  }
  const tree = (who: Who, prefix: string) => {
    const question = kvTree(who, prefix)
    return question instanceof Refusal ? question.text : question.read(view).map(({ key }) => key)
  }
  t.strictSame(keys(everybody, ''), ['a/1', 'a/b/2', 'a/b/3', 'c'])
  t.strictSame(keys(everybody, 'a/', '/'), ['a/1', 'a/b/'])
  t.strictSame(keys(everybody, '', '/'), ['a/', 'c'])
  t.strictSame(keys(some, 'a/'), ['a/1', 'a/b/3'])
  t.strictSame(tree(some, 'a/b/'), ['a/b/3'])
  const listing = only('asked for key:list', 'key:list a/', 'key:read')
  t.strictSame(tree(listing, 'a/'), ['a/1', 'a/b/2', 'a/b/3'])
  const lacking = "Permission denied: anonymous token lacks permission 'key:list' on"
  t.equal(tree(listing, 'c'), `${lacking} "c"`)
  t.equal(keys(listing, 'a/b/'), `${lacking} "a/b/"`)
  t.match(kvEntry(only(), 'a/1'), { status: 403 })
})

t.test('a level that is read by seeks hides what a deeper rule denies', async t => {
  const view = viewOf(entry('a/1'), entry('a/b/2'), entry('a/b/3'), entry('a/c/4'))
  const levels = (text: string): unknown => {
    const rules = parseRules(text)
    if (rules instanceof RulesProblem) return rules.text
    const sources = [{ policyId: 'p', policyName: 'p', rules }]
    const authorizer = compile(sources, { defaultPolicy: 'deny', keyListPolicy: false })
    const who: Who = { ...only(), may: wanted => authorizer.may(wanted) }
    const question = kvKeys(who, 'a/', '/')
    return question instanceof Refusal ? question.text : question.read(view)
  }
  const all = 'key_prefix "a/" { policy = "read" }'
  t.same(levels(all), ['a/1', 'a/b/', 'a/c/'])
  t.same(levels(`${all} key_prefix "a/b/" { policy = "deny" }`), ['a/1', 'a/c/'])
  t.same(levels(`${all} key "a/1" { policy = "deny" } key "a/b/2" { policy = "deny" }`), [
    'a/b/',
    'a/c/',
  ])
  t.same(levels('key_prefix "a/c/" { policy = "read" }'), ['a/c/'])
})

t.test('locks: one holder at a time, and the index counts acquisitions', async t => {
  const session = fc.constantFrom('s1', 's2')
  const step = fc.oneof(
    fc.record({ acquire: session }),
    fc.record({ release: session }),
    fc.record({ flags: fc.bigInt(0n, 3n) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), steps => {
      const ops = [putSession('s1', 'n'), putSession('s2', 'n')]
      let holder = ''
      let lockIndex = 0
      for (const one of steps as Partial<KvPut>[]) {
        const view = viewOf(...ops)
        const [, answer] = [...ruled(view, putting(one)), ''].toReversed()
        let expected = true
        if (one.acquire !== undefined) {
          expected = holder === '' || holder === one.acquire
          if (expected && holder === '') lockIndex++
          if (expected) holder = one.acquire
        } else if (one.release !== undefined) {
          expected = holder !== '' && holder === one.release
          if (expected) holder = ''
        } else lockIndex = 0
        t.equal(answer, `answer ${expected}`)
        const decision = putting(one)(view, 0 as never, undefined as never)
        if ('txn' in decision) ops.push(...decision.txn)
        const row = viewOf(...ops).get(kv, 'k')?.row
        t.equal(row?.session ?? '', holder)
        t.equal(row?.lockIndex ?? 0, lockIndex)
      }
    }),
    { numRuns: 60 },
  )
})

t.test('what is told of a put: its index and the fencing index of the holder', async t => {
  const request: KvPut = {
    ...{ key: 'k', value: undefined, flags: undefined },
    ...{ cas: undefined, acquire: 's', release: undefined },
  }
  const at = { revision: revision(9), index: publicIndex(9) }
  const told = (view: ReturnType<typeof viewOf>, more: Partial<KvPut> = {}): unknown => {
    const done = setKv(view, everybody, { ...request, ...more })
    return done instanceof Refusal ? done : answerOf(done.answer, at)
  }
  const session = putSession('s', 'n')
  t.strictSame(told(viewOf(session)), { isDone: true, modifyIndex: 9, lockIndex: 1 })
  const held = entry('k', { session: 's', lockIndex: 4 })
  t.strictSame(
    told(viewOf(session, held)),
    { isDone: true, modifyIndex: 2, lockIndex: 4 },
    'as it was',
  )
  t.strictSame(told(viewOf(session, entry('k', { session: 'o' }))), {
    isDone: false,
    modifyIndex: 0,
    lockIndex: 0,
  })
  t.match(told(viewOf()), { status: 500 })
  const taken = setKv(viewOf(session, entry('k', { flags: 7n })), everybody, request)
  t.match(taken, { txn: [{ row: { value: Buffer.from('v'), flags: 7n, session: 's' } }] })
})

t.test('what a lock waits for', async t => {
  const delayed = put(lockDelays, 'k', { delayMs: 1_000 })
  const session = putSession('s', 'n')
  t.equal(kvLock(viewOf(session), 'k', 's'), 'free')
  t.equal(kvLock(viewOf(session, entry('k')), 'k', 's'), 'free')
  t.equal(kvLock(viewOf(session, entry('k', { session: 's' })), 'k', 's'), 'free')
  t.equal(kvLock(viewOf(session, entry('k', { session: 'o' })), 'k', 's'), 'held')
  t.equal(kvLock(viewOf(session, entry('k'), delayed), 'k', 's'), 'delayed')
  t.equal(kvLock(viewOf(entry('k', { session: 'o' })), 'k', 's'), 'no session')
})

t.test('a value that is too large is refused by its size', async t => {
  const bounds = { kvValueSizeBytes: 3, takesAnyKey: false }
  const request: KvPut = {
    ...{ key: 'k', value: Buffer.from('four'), flags: 0n },
    ...{ cas: undefined, acquire: undefined, release: undefined },
  }
  t.match(refuseKvPut(request, bounds), {
    status: 413,
    text: 'Value for key "k" is too large (4 > 3 bytes)',
  })
  t.equal(refuseKvPut({ ...request, value: Buffer.from('yes') }, bounds), undefined)
})
