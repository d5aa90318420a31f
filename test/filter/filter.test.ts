/** The door: refusals as clients know them, and compiled filters that are kept. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { type Filter, filterOf } from '../../src/filter/filter.ts'
import { type Thing, thingFields } from './arbitraries.ts'

const thing: Thing = {
  name: 'web',
  port: 80,
  on: true,
  tags: [],
  meta: {},
  inner: { name: '' },
  parts: [],
}
const filter = (text: string) => filterOf(text, thingFields) as Filter<Thing>

t.test('a filter keeps what fits; no text keeps all', async t => {
  t.equal(filter('Name == web').keeps(thing), true)
  t.equal(filter('Name == db').keeps(thing), false)
  t.equal(filterOf('', thingFields), undefined)
  t.equal(filter('Name==`web`  and(Port == 80)').text, 'Name == "web" and Port == "80"')
})

t.test('what is wrong in any way is refused with 500', async t => {
  for (const text of [
    ' ',
    'Name =',
    'None == 1',
    'Name is empty',
    'Port == x',
    'Name matches "("',
  ]) {
    const refusal = filterOf(text, thingFields)
    t.ok(refusal instanceof Refusal, text)
    t.match(refusal, { status: 500, text: /^Failed to create boolean expression evaluator: / })
  }
})

t.test('a filter that takes too long on an item is refused then', async t => {
  const slow = filter('Name matches "[ab]*a[ab]{200}c"')
  const name = Array.from({ length: 500_000 }, (_, at) => ((at * at * 7919) % 5 < 2 ? 'a' : 'b'))
  let thrown: unknown
  try {
    slow.keeps({ ...thing, name: name.join('') })
  } catch (error) {
    thrown = error
  }
  t.match(thrown, { status: 500, text: /too long/ })
})

t.test('and one that takes too long on all texts of an item together', async t => {
  const parts = (count: number) =>
    Array.from({ length: count }, () => ({ name: 'a'.repeat(10_000), size: 0 }))
  const each = filter('Parts.Name matches "b"')
  t.equal(each.keeps({ ...thing, parts: parts(100) }), false)
  t.equal(each.keeps({ ...thing, parts: parts(100) }), false, 'each item has its own bound')
  let thrown: unknown
  try {
    each.keeps({ ...thing, parts: parts(limits.filterPatternWork / 10_000 + 1) })
  } catch (error) {
    thrown = error
  }
  t.match(thrown, { status: 500, text: /too long/ })
})

t.test('a bounded number of filters is kept compiled', async t => {
  const first = filter('Name == first')
  t.equal(filter('Name == first'), first, 'as long as not too many others come')
  for (let i = 0; i < limits.filterCacheEntries; i++) filter(`Name == other${i}`)
  t.not(filter('Name == first'), first)
})
