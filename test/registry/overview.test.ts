/** The registry at a glance: what counts once, what the worst is, and what is left out. */
import t from 'tap'
import { everybody, type Who } from '../../src/base/who.ts'
import {
  catalogOverview,
  nodeInfo,
  nodeInfos,
  serviceSummaries,
  type Usage,
  usage,
} from '../../src/registry/overview.ts'
import { CheckStatus } from '../../src/store/tables/check.ts'
import { only, putCheck, putNode, putService, viewOf } from './rules.ts'

const { passing, warning, critical } = CheckStatus

const view = viewOf(
  putNode('n1'),
  putNode('n2'),
  putNode('n3'),
  putService('n1', 'w1', { name: 'web', tags: ['b', 'a'], meta: { 'external-source': 'nomad' } }),
  putService('n1', 'w2', { name: 'web', tags: ['a'], connectNative: true }),
  putService('n2', 'w3', { name: 'web' }),
  putService('n2', 'c', { name: 'consul' }),
  putCheck('n1', 'node', { name: 'alive', status: warning }),
  putCheck('n1', 'c1', { name: 'probe', serviceId: 'w1', serviceName: 'web', status: critical }),
  putCheck('n1', 'c2', { name: 'other', serviceId: 'w1', serviceName: 'web', status: warning }),
  putCheck('n2', 'c1', { name: 'probe', serviceId: 'w3', serviceName: 'web', status: passing }),
)

const summaries = (who: Who, keeps = () => true) =>
  [...serviceSummaries(who, keeps).read(view)].filter(one => one !== undefined)

t.test('a service is the sum of its instances; a check of a node counts once', async t => {
  const [consul, web, ...others] = summaries(everybody)
  t.strictSame(others, [])
  t.match(consul, { name: 'consul', instances: 1, tags: [], nodes: ['n2'] })
  t.strictSame(web, {
    name: 'web',
    kind: '',
    tags: ['a', 'b'],
    nodes: ['n1', 'n2'],
    externalSources: ['nomad'],
    instances: 3,
    checks: { passing: 1, warning: 2, critical: 1 },
    connectNative: true,
  })
})

t.test('summaries are of what the asker may see, and the filter keeps', async t => {
  t.strictSame(
    summaries(only('service:read web', 'node:read n2')).map(({ nodes }) => nodes),
    [['n2']],
  )
  t.strictSame(summaries(only('node:read')), [])
  t.strictSame(
    summaries(everybody, () => false),
    [],
  )
})

t.test('nodes with all that is on them', async t => {
  const [first, second, third] = [...nodeInfos(everybody).read(view)]
  t.strictSame(
    first?.services.map(({ row }) => row.id),
    ['w1', 'w2'],
  )
  t.strictSame(
    first?.checks.map(({ row }) => row.checkId),
    ['c1', 'c2', 'node'],
  )
  t.equal(second?.services.length, 2)
  t.strictSame([third?.services, third?.checks], [[], []])
  const limited = only('node:read n1')
  t.strictSame(
    [...nodeInfos(limited).read(view)].map(info => info?.checks.map(({ row }) => row.checkId)),
    [['node'], undefined, undefined],
  )
  t.equal(nodeInfo(everybody, 'N2').read(view)?.node.row.node, 'n2')
  t.equal(nodeInfo(limited, 'n2').read(view), undefined)
  t.equal(nodeInfo(everybody, 'none').read(view), undefined)
})

function finished<R>(work: Generator<unknown, R>): { readonly steps: number; readonly result: R } {
  for (let steps = 0; ; steps++) {
    const next = work.next()
    if (next.done === true) return { steps, result: next.value }
  }
}

t.test('the worst of the checks is what a node or an instance is', async t => {
  const { steps, result } = finished(catalogOverview(view))
  t.ok(steps >= 11, 'in small steps')
  t.strictSame(result.nodes, { passing: 2, warning: 1, critical: 0 })
  t.strictSame(Object.fromEntries(result.services), {
    consul: { passing: 1, warning: 0, critical: 0 },
    web: { passing: 2, warning: 0, critical: 1 },
  })
  t.strictSame([...result.checks.keys()], ['alive', 'other', 'probe'])
  t.strictSame(result.checks.get('probe'), { passing: 1, warning: 0, critical: 1 })
})

t.test('what is counted', async t => {
  const counted: Usage = finished(usage(view)).result
  const expected = { nodes: 3, services: 2, instances: 4, connectNative: 1, billable: 3 }
  t.strictSame(counted, expected)
})
