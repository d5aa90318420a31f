/** How sinks see what the feed says: addresses, states and weights of instances, keys. */
import t from 'tap'
import { instancesOf, isUsable, kvItemsOf } from '../../../src/feed/sink/state.ts'
import { entryOf, type Given } from './health.ts'

const one = (given: Given) => instancesOf(new Map([['k', entryOf('web', given)]]))[0]!

t.test('an instance has its own address, else the one of its node', async t => {
  t.equal(one({ address: '10.0.0.1' }).address, '10.0.0.1')
  t.equal(one({}).address, '10.9.9.9')
})

t.test('the worst check counts, and maintenance above all', async t => {
  t.equal(one({}).status, 'passing')
  t.equal(one({ status: 'warning' }).status, 'warning')
  t.equal(one({ status: 'critical' }).status, 'critical')
  t.equal(one({ status: 'passing', maintenance: true }).status, 'maintenance')
})

t.test('the weight is that of its status', async t => {
  const weights = { Passing: 10, Warning: 3 }
  t.equal(one({ weights }).weight, 10)
  t.equal(one({ weights, status: 'warning' }).weight, 3)
})

t.test('which instances may be used', async t => {
  const warning = one({ status: 'warning' })
  const critical = one({ status: 'critical' })
  const down = one({ maintenance: true })
  t.same(
    (['passing', 'warning', 'any'] as const).map(least => [
      isUsable(warning, least),
      isUsable(critical, least),
      isUsable(down, least),
    ]),
    [
      [false, false, false],
      [true, false, false],
      [true, true, false],
    ],
  )
})

t.test('instances and keys stand in order, and what is neither is left out', async t => {
  const items = new Map<string, unknown>([
    ['a', entryOf('web', { node: 'n2', id: 'a' })],
    ['b', entryOf('web', { node: 'n1', id: 'z' })],
    ['c', entryOf('web', { node: 'n1', id: 'b' })],
    ['d', 'no entry'],
    ['e', { Node: {}, Service: null }],
  ])
  t.same(
    instancesOf(items).map(({ node, id }) => `${node} ${id}`),
    ['n1 b', 'n1 z', 'n2 a'],
  )
  const keys = new Map<string, unknown>([
    ['2', { Key: 'b', Value: null, Flags: 3, ModifyIndex: 9 }],
    ['1', { Key: 'a', Value: 'eA==' }],
    ['0', null],
  ])
  t.same(
    kvItemsOf(keys).map(({ key, value, flags, revision }) => [key, `${value}`, flags, revision]),
    [
      ['a', 'x', '0', 0],
      ['b', '', '3', 9],
    ],
  )
})
