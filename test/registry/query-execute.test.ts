/**
 * Executing prepared queries: which query a name means, which instances it gives, in which order.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import {
  nearOf,
  orderInstances,
  queryInstances,
  resolveQuery,
} from '../../src/registry/query-execute.ts'
import type { View } from '../../src/store/ask.ts'
import { type Op, put } from '../../src/store/store.ts'
import { coordinates } from '../../src/store/tables/coordinate.ts'
import type { QueryRow, QueryService } from '../../src/store/tables/query.ts'
import { seeded } from '../fake/random.ts'
import {
  everybody,
  only,
  putCheck,
  putNode,
  putQuery,
  putService,
  queryRow,
  viewOf,
} from './rules.ts'

const ID = '11111111-1111-4111-8111-111111111111'
const OTHER = '22222222-2222-4222-8222-222222222222'
const template = { type: 'name_prefix_match', regexp: '', removeEmptyTags: false }

t.test('which query a name means', async t => {
  const view = viewOf(
    putQuery(ID, { name: 'web' }),
    putQuery('a', { name: 'we', template }),
    putQuery(OTHER, { name: '', template }),
    putQuery('b', { name: 'web-prod', template }),
  ) as unknown as View
  const found = (name: string): string | undefined => {
    const query = resolveQuery(view, name)
    return query instanceof Refusal ? query.text : query?.id
  }
  t.equal(found(ID), ID)
  t.equal(found(ID.toUpperCase()), ID)
  t.equal(found('WEB'), ID, 'its own name')
  t.equal(found('web-'), 'a', 'the longest beginning')
  t.equal(found('web-prod-1'), 'b')
  t.equal(found('web-prod'), 'b')
  t.equal(found('x'), OTHER, 'the template of all names')
  t.equal(found(OTHER), 'prepared query templates can only be resolved up by name, not by ID')
  t.equal(found('x'.repeat(60_000)), OTHER)
  t.equal(resolveQuery(viewOf() as unknown as View, 'web'), undefined)
  const few = viewOf(putQuery(ID, { name: 'web' })) as unknown as View
  t.equal(resolveQuery(few, 'webs'), undefined)
})

const catalog: readonly Op[] = [
  putNode('n1', { meta: { rack: 'a' } }),
  putNode('n2', { address: '10.0.0.2', meta: { rack: 'b' } }),
  putNode('n3', { address: '10.0.0.3' }),
  putService('n1', 'w1', { name: 'web', tags: ['Primary', 'v1'], meta: { env: 'prod' } }),
  putService('n2', 'w2', { name: 'web', tags: ['v2'], connectNative: true }),
  putService('n3', 'w3', { name: 'web', tags: ['v1'] }),
  putCheck('n2', 'c2', { serviceId: 'w2', serviceName: 'web', status: 'warning' }),
  putCheck('n3', 'c3', { serviceId: 'w3', serviceName: 'web', status: 'critical' }),
]
const view = viewOf(...catalog) as unknown as View

const query = (more: Partial<QueryService>): QueryRow => {
  const row = queryRow(ID)
  return { ...row, service: { ...row.service, service: 'web', ...more } }
}
const given = (more: Partial<QueryService>, who = everybody, isConnect = false): string[] =>
  [...queryInstances(view, who, query(more), isConnect)].map(({ service }) => service.row.id)

t.test('which instances it gives', async t => {
  t.strictSame(given({}), ['w1', 'w2'], 'none that is critical')
  t.strictSame(given({ service: 'WEB' }), ['w1', 'w2'])
  t.strictSame(given({ service: 'none' }), [])
  t.strictSame(given({ onlyPassing: true }), ['w1'])
  t.strictSame(given({ ignoreCheckIds: ['c3'] }), ['w1', 'w2', 'w3'])
  t.strictSame(given({ onlyPassing: true, ignoreCheckIds: ['c2'] }), ['w1', 'w2'])
  t.strictSame(given({ tags: ['PRIMARY'] }), ['w1'])
  t.strictSame(given({ tags: ['v1', 'primary'] }), ['w1'])
  t.strictSame(given({ tags: ['!primary'] }), ['w2'])
  t.strictSame(given({ tags: ['v1', '!Primary'] }), [])
  t.strictSame(given({ nodeMeta: { rack: 'b' } }), ['w2'])
  t.strictSame(given({ serviceMeta: { env: 'prod' } }), ['w1'])
  t.strictSame(given({ connect: true }), ['w2'])
  t.strictSame(given({}, everybody, true), ['w2'])
  t.strictSame(given({}, only('service:read', 'node:read n1')), ['w1'])
  t.strictSame(given({}, only()), [])
})

t.test('what it is to be near to', async t => {
  const source = { agentNode: 'me', ip: '10.0.0.9' }
  t.equal(nearOf('', query({}), source), undefined)
  t.strictSame(nearOf('', query({ near: 'n1' }), source), { node: 'n1' })
  t.strictSame(nearOf('n2', query({ near: 'n1' }), source), { node: 'n2' })
  t.strictSame(nearOf('', query({ near: '_agent' }), source), { node: 'me' })
  t.strictSame(nearOf('_ip', query({}), source), { address: '10.0.0.9' })
})

t.test('in which order', async t => {
  const at = (node: string, x: number): Op =>
    put(coordinates, node, {
      ...{ node, segment: '' },
      coordinate: { vec: [x, 0, 0, 0, 0, 0, 0, 0], error: 1, adjustment: 0, height: 0 },
    })
  const many: Op[] = [1, 2, 3, 4, 5].flatMap(n => [
    putNode(`m${n}`, { address: `10.1.0.${n}` }),
    putService(`m${n}`, 's', { name: 'many' }),
  ])
  const known = viewOf(...many, at('m1', 0), at('m2', 5), at('m3', 1)) as unknown as View
  const instances = [...queryInstances(known, everybody, query({ service: 'many' }))]
  const order = (near: Parameters<typeof orderInstances>[2], seed = 1): string[] => {
    const draw = seeded(seed)
    const fraction = (): number => draw.below(2 ** 30) / 2 ** 30
    return orderInstances(known, instances, near, fraction).map(({ node }) => node.row.node)
  }
  t.strictSame(order({ node: 'm1' }).slice(0, 3), ['m1', 'm3', 'm2'])
  t.strictSame(order({ address: '10.1.0.1' }).slice(0, 3), ['m1', 'm3', 'm2'])
  t.equal(order({ node: 'M5' })[0], 'm5', 'itself first, even if nothing is known of it')
  const firsts = Array.from({ length: 200 }, (_, seed) => order(undefined, seed)[0])
  t.equal(new Set(firsts).size, 5, 'anyone comes first where nobody is to be near')
  t.equal(new Set(Array.from({ length: 200 }, (_, seed) => order({ node: 'x' }, seed)[0])).size, 5)
  t.strictSame(order(undefined).toSorted(), ['m1', 'm2', 'm3', 'm4', 'm5'])
  const last = Array.from({ length: 50 }, (_, seed) => order({ node: 'm1' }, seed).at(-1))
  t.strictSame([...new Set(last)].sort(), ['m4', 'm5'], 'those that nothing is known of are last')
})
