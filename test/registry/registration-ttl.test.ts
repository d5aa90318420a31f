/**
 * The rules of registrations that end by time.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import {
  dropLapsed,
  LAPSED,
  lapseCheck,
  registrationTtlMs,
  rewriteCheck,
} from '../../src/registry/registration-ttl.ts'
import { checks } from '../../src/store/tables/check.ts'
import { onNode } from '../../src/store/tables/names.ts'
import {
  applyOps,
  checkRow,
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
