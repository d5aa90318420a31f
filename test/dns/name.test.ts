/** Taking names apart: zones, kinds, places. */
import fc from 'fast-check'
import t from 'tap'
import { Place, placeOf, readName, zoneOf } from '../../src/dns/name.ts'
import { propertyRuns } from '../run/budget.ts'

const consul = zoneOf('consul')
const nested = zoneOf('dc.consul')
const zones = [consul, nested, zoneOf('a.example')]

t.test('the kind is the rightmost label that can be one', async t => {
  const table: readonly [name: string, kind: string, before: string, after: string][] = [
    ['web.service.consul', 'service', 'web', ''],
    ['node.service.consul', 'service', 'node', ''],
    ['service.node.consul', 'node', 'service', ''],
    ['v1.web.service.dc1.consul', 'service', 'v1.web', 'dc1'],
    ['web.service.dc1.dc.a.example', 'service', 'web', 'dc1.dc'],
    ['_web._tcp.consul', 'srv', '_web._tcp', ''],
    ['_web._tcp.service.consul', 'service', '_web._tcp', ''],
    ['_web._tcp.dc1.consul', 'srv', '_web._tcp', 'dc1'],
    ['service.consul', 'service', '', ''],
    ['consul', '', '', ''],
    ['any.thing.consul', '', 'any.thing', ''],
  ]
  for (const [name, kind, before, after] of table) {
    const read = readName(name.split('.'), zones)
    t.equal(read?.kind, kind, name)
    t.equal(read?.before.join('.'), before, name)
    t.equal(read?.after.join('.'), after, name)
  }
})

t.test('the longest zone wins, whatever the order; what lies in none is not ours', async t => {
  for (const order of [zones, zones.toReversed()]) {
    t.equal(readName(['x', 'dc', 'consul'], order)?.zone, nested)
  }
  for (const name of ['example', 'b.example', 'notconsul', 'consul.com', 'a.notconsul']) {
    t.equal(readName(name.split('.'), zones), undefined, name)
  }
  t.equal(readName([], zones), undefined, 'the root')
})

t.test('places', async t => {
  const table: Record<string, Place> = {
    '': Place.here,
    dc1: Place.here,
    'dc1.dc': Place.here,
    dc2: Place.nowhere,
    'dc2.dc': Place.nowhere,
    'dc1.dc1': Place.nowhere,
    'dc1.ns': Place.nowhere,
    'dc1.dc.dc': Place.nowhere,
    'other.peer': Place.later,
    'group.sg': Place.later,
    'other.peer.dc1.dc': Place.later,
  }
  for (const [labels, place] of Object.entries(table)) {
    t.equal(placeOf(labels === '' ? [] : labels.split('.'), 'dc1'), place, labels)
  }
})

t.test('property: a name is its parts again', async () => {
  const label = fc.oneof(
    fc.constantFrom('service', 'node', 'consul', 'dc', '_a', 'addr'),
    fc.string({ minLength: 1, maxLength: 5 }),
  )
  fc.assert(
    fc.property(fc.array(label, { maxLength: 8 }), labels => {
      const read = readName([...labels, ...consul.labels], [consul])
      if (read === undefined) return false
      const kind = read.kind === '' || read.kind === 'srv' ? [] : [read.kind]
      return [...read.before, ...kind, ...read.after].join('.') === labels.join('.')
    }),
    { numRuns: propertyRuns() },
  )
})
