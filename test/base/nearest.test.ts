/** Which name was meant. */
import fc from 'fast-check'
import t from 'tap'
import { nearest } from '../../src/base/nearest.ts'
import { propertyRuns } from '../run/budget.ts'

const names = ['node_name', 'node_meta', 'data_dir', 'dns_config.node_ttl', 'ports.http']

t.test('one letter changed, left out, added, or two swapped', async t => {
  const meant: Record<string, string> = {
    node_nam: 'node_name',
    node_nmae: 'node_name',
    'node-name': 'node_name',
    NodeName: 'node_name',
    node_metaa: 'node_meta',
    dara_dir: 'data_dir',
    'port.http': 'ports.http',
  }
  for (const [name, known] of Object.entries(meant)) t.equal(nearest(name, names), known, name)
})

t.test('what is like none of them', async t => {
  for (const name of ['', 'x', 'constructor', 'zzzz_zzzz', 'n'.repeat(10_000)]) {
    t.equal(nearest(name, names), undefined, name.slice(0, 20))
  }
  t.equal(nearest('a', []), undefined)
})

t.test('property: a name is nearest to itself', async () => {
  const name = fc.string({ minLength: 1, maxLength: 40 }).filter(each => /[^-_]/.test(each))
  fc.assert(
    fc.property(name, fc.array(name), (own, others) => {
      const plain = (each: string) => each.toLowerCase().replaceAll(/[-_]/g, '')
      return plain(nearest(own, [...others, own]) ?? '') === plain(own)
    }),
    { numRuns: propertyRuns() },
  )
})
