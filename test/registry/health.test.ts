/**
 * The reads of health: which checks decide about an instance, and who sees what.
 */
import t from 'tap'
import type { Who } from '../../src/base/who.ts'
import {
  checksInState,
  instanceChecks,
  nodeChecks,
  serviceChecks,
  serviceHealth,
} from '../../src/registry/health.ts'
import { everybody, only, putCheck, putNode, putService, viewOf } from './rules.ts'

const view = viewOf(
  putNode('a', { meta: { zone: '1' } }),
  putNode('b'),
  putService('a', 'w1', { name: 'web' }),
  putService('a', 'd1', { name: 'db' }),
  putService('b', 'w2', { name: 'web' }),
  putCheck('a', 'node-a'),
  putCheck('a', 'c-w1', { serviceId: 'w1', serviceName: 'web', status: 'warning' }),
  putCheck('a', 'c-d1', { serviceId: 'd1', serviceName: 'db', status: 'critical' }),
  putCheck('b', 'c-w2', { serviceId: 'w2', serviceName: 'web' }),
)

const ids = (found: Iterable<{ row: { checkId: string } }>) =>
  [...found].map(({ row }) => row.checkId).join()

t.test('an instance: the checks of its node, then its own', async t => {
  t.equal(ids(instanceChecks(view, { node: 'a', id: 'w1' })), 'node-a,c-w1')
  t.equal(ids(instanceChecks(view, { node: 'B', id: 'w2' })), 'c-w2')
  t.equal(ids(instanceChecks(view, { node: 'c', id: 'x' })), '')
})

t.test('an instance on a node with more checks than are read at once', async t => {
  const more = Array.from({ length: 40 }, (_, i) =>
    putCheck('d', `more-${i}`, { serviceId: `s${i % 20}`, serviceName: 'web' }),
  )
  for (const count of [10, 32, 33, 40]) {
    const own = more.slice(0, count - 2)
    const crowded = viewOf(putNode('d'), ...own, putCheck('d', 'node-d'), putCheck('d', 'alive'))
    const own3 = count > 25 ? 'more-23,more-3' : 'more-3'
    t.equal(ids(instanceChecks(crowded, { node: 'D', id: 's3' })), `alive,node-d,${own3}`)
  }
})

t.test('passing is every check that decides', async t => {
  const found = (name: string, passing: boolean, who: Who = everybody) => {
    const filter = { tags: [], meta: [], passing }
    return [...serviceHealth(who, name, filter).read(view)].map(one => one.service.row.id).join()
  }
  t.equal(found('web', false), 'w1,w2')
  t.equal(found('WEB', true), 'w2', 'a warning is not passing')
  t.equal(found('db', true), '')
  t.equal(found('web', false, only('service:read', 'node:read a')), 'w1')
  t.equal(found('web', false, only('node:read')), '')
})

t.test('lists of checks', async t => {
  const service = only('service:read web', 'node:read a')
  t.equal(ids(nodeChecks(everybody, 'A').read(view)), 'c-d1,c-w1,node-a')
  t.equal(ids(nodeChecks(service, 'a').read(view)), 'c-w1,node-a')
  t.equal(ids(nodeChecks(only('service:read'), 'a').read(view)), '', 'nothing without its node')
  t.equal(ids(serviceChecks(everybody, 'web', []).read(view)), 'c-w1,c-w2')
  t.equal(ids(serviceChecks(everybody, 'web', [['zone', '1']]).read(view)), 'c-w1')
  t.equal(ids(serviceChecks(only('node:read'), 'web', []).read(view)), '')
  t.equal(ids(checksInState(everybody, 'any', []).read(view)), 'c-d1,c-w1,node-a,c-w2')
  t.equal(ids(checksInState(everybody, 'passing', []).read(view)), 'node-a,c-w2')
  t.equal(ids(checksInState(everybody, 'critical', [['zone', '2']]).read(view)), '')
  t.equal(ids(checksInState(everybody, 'nosuch', []).read(view)), '')
})

t.test('each read gives its list anew', async t => {
  const { read } = checksInState(everybody, 'any', [])
  t.equal(ids(read(view)), ids(read(view)))
})
