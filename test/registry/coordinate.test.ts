/** The rules of coordinates: what is taken, how far things are, and what near means. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { type Coordinate, ORIGIN } from '../../src/base/vivaldi.ts'
import { everybody } from '../../src/base/who.ts'
import { deregister } from '../../src/registry/catalog.ts'
import {
  allCoordinates,
  distancesFrom,
  nodeCoordinate,
  putCoordinates,
  refuseCoordinate,
} from '../../src/registry/coordinate.ts'
import { type Decision, isRefusal, put } from '../../src/store/store.ts'
import { coordinates } from '../../src/store/tables/coordinate.ts'
import { applyOps, only, putNode, viewOf } from './rules.ts'

const at = (x: number, more: Partial<Coordinate> = {}): Coordinate => ({
  ...ORIGIN,
  vec: [x, 0, 0, 0, 0, 0, 0, 0],
  height: 0,
  ...more,
})
const putAt = (node: string, x: number) =>
  put(coordinates, node.toLowerCase(), { node, coordinate: at(x) })

t.test('what is no coordinate here is refused', async t => {
  const refused = (coordinate: Coordinate, who = everybody) =>
    refuseCoordinate(who, { node: 'n', coordinate })
  t.equal(refused(at(1)), undefined)
  t.match(refused({ ...at(1), vec: [1, 2] }), { status: 500, text: 'incompatible coordinate' })
  t.match(refused(at(Number.NaN)), { status: 500, text: 'invalid coordinate' })
  t.match(refused(at(1, { height: Number.POSITIVE_INFINITY })), { text: 'invalid coordinate' })
  t.equal(refused(at(1), only('node:write n')), undefined)
  t.match(refused(at(1), only('node:write m')), { status: 403 })
})

t.test('only nodes that exist have one, and an equal one changes nothing', async t => {
  const view = viewOf(putNode('N1'), putAt('N1', 1))
  const row = (node: string, x: number) => ({ node, coordinate: at(x) })
  t.strictSame(putCoordinates(view, [row('N1', 1), row('gone', 1)]).txn, [])
  const { txn } = putCoordinates(view, [row('n1', 2), row('gone', 1)])
  t.match(txn, [{ table: coordinates, key: 'n1', row: { coordinate: at(2) } }])
  t.equal(txn.length, 1)
})

t.test('the end of a node ends its coordinate', async t => {
  const view = viewOf(putNode('n1'), putAt('n1', 1), putNode('n2'), putAt('n2', 2))
  const ended = deregister(view, everybody, { node: 'N1', serviceId: '', checkId: '' })
  t.notOk(isRefusal(ended))
  applyOps(view, (ended as Decision<true>).txn)
  const left = [...allCoordinates(everybody).read(view)].map(cell => cell?.row.node)
  t.strictSame(left, ['n2'])
})

t.test('reads leave out what the asker may not see', async t => {
  const view = viewOf(putNode('n1'), putAt('n1', 1), putNode('n2'), putAt('n2', 2))
  const who = only('node:read n2')
  t.strictSame(
    [...allCoordinates(who).read(view)].map(cell => cell?.row.node),
    [undefined, 'n2'],
  )
  t.ok(nodeCoordinate(who, 'n1').read(view) instanceof Refusal)
  t.match(nodeCoordinate(who, 'N2').read(view), { row: { node: 'n2' } })
  t.equal(nodeCoordinate(everybody, 'n3').read(view), undefined)
})

t.test('near to a node, or to the one that has an address', async t => {
  const view = viewOf(
    putNode('n1', { address: '10.0.0.1' }),
    putAt('n1', 1),
    putNode('n2', { address: '10.0.0.2' }),
    putAt('n2', 4),
    putNode('n3', { address: '10.0.0.3' }),
  )
  const far = distancesFrom(view, { node: 'N1' })
  t.strictSame(['n1', 'N2', 'n3', 'none'].map(far!), [0, 3, Infinity, Infinity])
  t.equal(distancesFrom(view, { address: '10.0.0.2' })!('n1'), 3)
  t.equal(distancesFrom(view, { node: 'none' }), undefined)
  t.equal(distancesFrom(view, { node: 'n3' }), undefined, 'it has no coordinate')
  t.equal(distancesFrom(view, { address: '10.9.9.9' }), undefined)
})
