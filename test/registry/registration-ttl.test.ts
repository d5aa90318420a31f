/**
 * The rules of registrations that end by time.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { everybody } from '../../src/base/who.ts'
import {
  beatCheck,
  dropLapsed,
  type Heartbeat,
  LAPSED,
  lapseCheck,
  registrationTtlMs,
  rewriteCheck,
} from '../../src/registry/registration-ttl.ts'
import { CheckStatus, checks } from '../../src/store/tables/check.ts'
import { onNode } from '../../src/store/tables/names.ts'
import {
  applyOps,
  checkRow,
  only,
  putCheck,
  putNode,
  putService,
  putSession,
  ruled,
  table,
  viewOf,
} from './rules.ts'

const key = onNode('n', 'c')
const definition = { ttlMs: 10_000 }

t.test('how long a registration lives', async t => {
  const ttlOf = (...more: Parameters<typeof checkRow>): number =>
    registrationTtlMs(checkRow(...more))
  t.equal(ttlOf('n', 'c', { definition }), 10_000)
  t.equal(ttlOf('n', 'c'), 0)
  t.equal(ttlOf('n', 'c', { definition: { ttlMs: -1 } }), 0)
  t.equal(ttlOf('n', 'c', { definition: { ttlMs: 1 } }), limits.registrationTtlMinMs)
  t.equal(ttlOf('n', 'c', { definition, agentOwned: true }), 0, 'the agent keeps that time')
})

t.test('what happens to those that nobody repeated', async t => {
  table(t, [
    {
      name: 'critical, and the sessions on it end',
      before: [putCheck('n', 'c', { definition }), putSession('s', 'n', { nodeChecks: ['c'] })],
      rule: view => lapseCheck(view, key),
      gives: ['put checks n|c', 'del sessions s', 'answer true'],
    },
    { name: 'one that is gone', rule: view => lapseCheck(view, key), gives: ['answer false'] },
    {
      name: 'the service goes',
      before: [
        putNode('n'),
        putService('n', 's'),
        putService('n', 'other'),
        putCheck('n', 'c', { serviceId: 's', definition }),
      ],
      rule: view => dropLapsed(view, key),
      gives: ['del services n|s', 'del checks n|c', 'answer true'],
    },
    {
      name: 'the node goes, with all on it',
      before: [putNode('n'), putService('n', 's'), putCheck('n', 'c', { definition })],
      rule: view => dropLapsed(view, key),
      gives: ['del nodes n', 'del services n|s', 'del checks n|c', 'answer true'],
    },
    {
      name: 'a node that an agent lives on stays',
      before: [
        putNode('n'),
        putCheck('n', 'serfHealth', { agentOwned: true }),
        putCheck('n', 'c', { definition }),
      ],
      rule: view => dropLapsed(view, key),
      gives: ['del checks n|c', 'answer true'],
    },
    { name: 'one that is gone', rule: view => dropLapsed(view, key), gives: ['answer false'] },
  ])
})

t.test('a renewal that is written', async t => {
  const view = viewOf(putCheck('n', 'c', { definition }))
  const known = view.get(checks, key)!
  t.strictSame(
    ruled(view, now => rewriteCheck(now, known)),
    ['put checks n|c', 'answer true'],
  )
  applyOps(view, [putCheck('n', 'c', { definition, status: 'critical', output: LAPSED })])
  t.strictSame(
    ruled(view, now => rewriteCheck(now, known)),
    ['put checks n|c', 'answer true'],
    'also of one that lapsed meanwhile',
  )
  applyOps(view, [putCheck('n', 'c', { definition, output: 'of others' })])
  t.strictSame(
    ruled(view, now => rewriteCheck(now, known)),
    ['answer false'],
    'but not over what others wrote',
  )
  t.strictSame(
    ruled(viewOf(), now => rewriteCheck(now, known)),
    ['answer false'],
  )
})

t.test(
  'a heartbeat says how a check is, and starts its time over where it says nothing new',
  async t => {
    const { passing, warning, critical } = CheckStatus
    const beat =
      (more: Partial<Heartbeat> = {}, who = everybody) =>
      (view: Parameters<typeof beatCheck>[0]) =>
        beatCheck(view, who, { node: 'n', checkId: 'c', status: undefined, output: '', ...more })
    const written = ['put checks n|c', 'answer true']
    const live = putCheck('n', 'c', { definition, status: passing })
    const nobody = only()
    const ofService = { definition, serviceId: 's', serviceName: 's' }
    table(t, [
      { name: 'as it is', before: [live], rule: beat(), gives: written },
      { name: 'another status', before: [live], rule: beat({ status: warning }), gives: written },
      {
        name: 'critical ends the sessions on it',
        before: [live, putSession('s', 'n', { nodeChecks: ['c'] })],
        rule: beat({ status: critical }),
        gives: ['put checks n|c', 'del sessions s', 'answer true'],
      },
      {
        name: 'none',
        rule: beat(),
        gives: ["404 Unknown check 'c' on node 'n'"],
      },
      { name: 'no node', rule: beat({ node: '' }), gives: ['400 Missing node name'] },
      { name: 'no check', rule: beat({ checkId: '' }), gives: ['400 Missing check ID'] },
      {
        name: 'one without a TTL',
        before: [putCheck('n', 'c')],
        rule: beat(),
        gives: ["400 Check 'c' has no TTL"],
      },
      {
        name: "an agent's",
        before: [putCheck('n', 'c', { definition, agentOwned: true })],
        rule: beat(),
        gives: ["400 Check 'c' is run by the agent of its node"],
      },
      {
        name: 'without the right on the node',
        before: [live],
        rule: beat({}, nobody),
        gives: [`403 Permission denied: anonymous token lacks permission 'node:write' on "n"`],
      },
      {
        name: 'without the right on the service',
        before: [putNode('n'), putService('n', 's'), putCheck('n', 'c', ofService)],
        rule: beat({}, nobody),
        gives: [`403 Permission denied: anonymous token lacks permission 'service:write' on "s"`],
      },
    ])
    const lapsed = viewOf(putCheck('n', 'c', { definition, status: critical, output: LAPSED }))
    const back = beatCheck(lapsed, everybody, {
      node: 'n',
      checkId: 'c',
      status: undefined,
      output: '',
    })
    t.match(back, { txn: [{ row: { status: passing, output: '' } }] })
  },
)
