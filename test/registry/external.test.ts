/**
 * The rules of checks that servers run for nodes without an agent.
 */
import t from 'tap'
import { isExternal, reapExternal, updateExternalCheck } from '../../src/registry/external.ts'
import { onNode } from '../../src/store/tables/names.ts'
import type { Reader } from '../../src/store/view.ts'
import { nodeRow, putCheck, putNode, putService, putSession, table } from './rules.ts'

t.test('which nodes are external', async t => {
  t.equal(isExternal(nodeRow('n', { meta: { 'external-node': 'true' } })), true)
  t.equal(isExternal(nodeRow('n', { meta: { 'external-probe': 'true' } })), false)
  t.equal(isExternal(nodeRow('n', { meta: { 'external-node': '' } })), false)
})

t.test('what a result changes', async t => {
  const before = [
    putNode('n'),
    putCheck('n', 'c', { status: 'passing', output: 'fine' }),
    putSession('s', 'n', { nodeChecks: ['c'] }),
  ]
  const key = onNode('n', 'c')
  table(t, [
    {
      name: 'what it said before is no write',
      before,
      rule: view => updateExternalCheck(view, key, { status: 'passing', output: 'fine' }),
      gives: ['answer true'],
    },
    {
      name: 'another output',
      before,
      rule: view => updateExternalCheck(view, key, { status: 'passing', output: 'good' }),
      gives: ['put checks n|c', 'answer true'],
    },
    {
      name: 'critical ends the sessions on it',
      before,
      rule: view => updateExternalCheck(view, key, { status: 'critical', output: 'bad' }),
      gives: ['put checks n|c', 'del sessions s', 'answer true'],
    },
    {
      name: 'one that is gone stays gone',
      rule: view => updateExternalCheck(view, key, { status: 'critical', output: 'bad' }),
      gives: ['answer false'],
    },
  ])
})

t.test('which services go with checks that stay critical', async t => {
  const before = [
    putNode('n'),
    putService('n', 's'),
    putCheck('n', 'a', { serviceId: 's', status: 'critical' }),
    putCheck('n', 'b', { serviceId: 's', status: 'passing' }),
    putCheck('n', 'node', { status: 'critical' }),
  ]
  const reaping = (id: string) => (view: Reader) => reapExternal(view, onNode('n', id))
  const gone = ['del services n|s', 'del checks n|a', 'del checks n|b']
  table(t, [
    {
      name: 'the service, with all its checks',
      before,
      rule: reaping('a'),
      gives: [...gone, 'answer {"node":"n","serviceId":"s"}'],
    },
    { name: 'not for one that recovered', before, rule: reaping('b'), gives: ['answer undefined'] },
    { name: 'not for the node’s', before, rule: reaping('node'), gives: ['answer undefined'] },
    { name: 'not for one that is gone', before, rule: reaping('x'), gives: ['answer undefined'] },
  ])
})
