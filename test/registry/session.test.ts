/**
 * The rules of sessions, as tables.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import type { Who } from '../../src/base/who.ts'
import {
  allSessions,
  createSession,
  destroySession,
  endSessions,
  lapseSession,
  renewable,
  type SessionRequest,
  sessionById,
  sessionsOnNode,
} from '../../src/registry/session.ts'
import { type Decide, put } from '../../src/store/store.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { lockDelays, sessions } from '../../src/store/tables/session.ts'
import { everybody, only, putCheck, putNode, putSession, table, viewOf } from './rules.ts'

const MIN_MS = 10_000

const creating =
  (more: Partial<SessionRequest> = {}, who: Who = everybody): Decide<unknown> =>
  view =>
    createSession(
      view,
      who,
      'new',
      {
        name: '',
        node: 'n',
        lockDelayMs: 0,
        behavior: '',
        ttl: '',
        nodeChecks: [],
        serviceChecks: [],
        ...more,
      },
      MIN_MS,
    )

const held = (key: string, session: string) =>
  put(kv, key, { value: Buffer.from('v'), flags: 7n, session, lockIndex: 3 })

const created = ['put sessions new', 'answer "new"']

t.test('create', async t => {
  const before = [putNode('n'), putCheck('n', 'c'), putCheck('n', 'bad', { status: 'critical' })]
  table(t, [
    { name: 'on a node', before, rule: creating(), gives: created },
    { name: 'in any case of its name', before, rule: creating({ node: 'N' }), gives: created },
    { name: 'with a check', before, rule: creating({ nodeChecks: ['c'] }), gives: created },
    { name: 'at the least TTL', before, rule: creating({ ttl: '10s' }), gives: created },
    { name: 'at the greatest', before, rule: creating({ ttl: '24h' }), gives: created },
    { name: 'without one', before, rule: creating({ ttl: '0s' }), gives: created },
    {
      name: 'below the least TTL',
      before,
      rule: creating({ ttl: '9s' }),
      gives: ["500 Invalid Session TTL '9000000000', must be between [10s=24h0m0s]"],
    },
    {
      name: 'above the greatest',
      before,
      rule: creating({ ttl: '24h1s' }),
      gives: ["500 Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"],
    },
    {
      name: 'with a TTL that is none',
      before,
      rule: creating({ ttl: '30' }),
      gives: [`500 Session TTL '30' invalid: time: invalid duration "30"`],
    },
    {
      name: 'with another behavior',
      before,
      rule: creating({ behavior: 'keep' }),
      gives: ["500 Invalid Behavior setting 'keep'"],
    },
    { name: 'nowhere', rule: creating(), gives: ['500 apply failed: Missing node registration'] },
    {
      name: 'on a check that is not there',
      before,
      rule: creating({ nodeChecks: ['c', 'x'] }),
      gives: ["500 apply failed: Missing check 'x' registration"],
    },
    {
      name: 'on a check that fails',
      before,
      rule: creating({ serviceChecks: [{ id: 'bad', namespace: '' }] }),
      gives: ["500 apply failed: Check 'bad' is in critical state"],
    },
    {
      name: 'without the right',
      before,
      rule: creating({}, only('session:write m')),
      gives: [`403 Permission denied: anonymous token lacks permission 'session:write' on "n"`],
    },
  ])
})

t.test('the end of a session', async t => {
  const before = [
    putSession('s', 'n', { lockDelayMs: 15_000 }),
    putSession('d', 'n', { behavior: 'delete' }),
    held('a', 's'),
    held('b', 's'),
    held('c', 'd'),
  ]
  const released = ['put kv a', 'put lock-delays a', 'put kv b', 'put lock-delays b']
  table(t, [
    {
      name: 'by its owner: locks are freed and delayed',
      before,
      rule: view => destroySession(view, everybody, 's'),
      gives: ['del sessions s', ...released, 'answer true'],
    },
    {
      name: 'by silence',
      before,
      rule: view => lapseSession(view, 's'),
      gives: ['del sessions s', ...released, 'answer true'],
    },
    {
      name: 'with behavior delete, without a delay',
      before,
      rule: view => destroySession(view, everybody, 'd'),
      gives: ['del sessions d', 'del kv c', 'answer true'],
    },
    {
      name: 'of one that is not there',
      before,
      rule: view => destroySession(view, only(), 'x'),
      gives: ['answer true'],
    },
    {
      name: 'by silence of one that is not there',
      rule: view => lapseSession(view, 'x'),
      gives: ['answer false'],
    },
    {
      name: 'by somebody else',
      before,
      rule: view => destroySession(view, only('session:write m'), 's'),
      gives: [`403 Permission denied: anonymous token lacks permission 'session:write' on "n"`],
    },
  ])
})

t.test('a freed lock keeps all but its holder; the delay is bounded', async t => {
  const view = viewOf(putSession('s', 'n', { lockDelayMs: 100_000 }), held('a', 's'))
  const ops = endSessions(view, [view.get(sessions, 's')!])
  t.match(ops.find(({ table }) => table === kv)?.row, {
    value: Buffer.from('v'),
    flags: 7n,
    session: '',
    lockIndex: 3,
  })
  const delay = ops.find(({ table }) => table === lockDelays)
  t.strictSame(delay?.row, { delayMs: limits.lockDelayMaxMs })
})

t.test('renew', async t => {
  const view = viewOf(putSession('s', 'n', { ttl: '10s', ttlMs: 10_000 }))
  t.match(renewable(view, everybody, 's'), { key: 's', row: { node: 'n' } })
  t.match(renewable(view, everybody, 'x'), { status: 404, text: "Session id 'x' not found" })
  t.match(renewable(view, only(), 's'), { status: 403 })
})

t.test('reads', async t => {
  const view = viewOf(putSession('s1', 'n'), putSession('s2', 'M'), putSession('s3', 'm'))
  const ids = (found: Iterable<{ row: { id: string } }>) => [...found].map(({ row }) => row.id)
  t.strictSame(ids(allSessions(everybody).read(view)), ['s1', 's2', 's3'])
  t.strictSame(ids(allSessions(only('session:read n')).read(view)), ['s1'])
  t.strictSame(ids(sessionsOnNode(everybody, 'm').read(view)), ['s2', 's3'])
  t.strictSame(ids(sessionById(everybody, 's2').read(view)), ['s2'])
  t.strictSame(ids(sessionById(only(), 's2').read(view)), [])
  t.strictSame(ids(sessionById(everybody, 'x').read(view)), [])
})
