/** What programs and templates read of a state, and what changed between two. */
import fc from 'fast-check'
import t from 'tap'
import {
  changeLines,
  changesBetween,
  documentOf,
  summaryOf,
} from '../../../src/feed/sink/document.ts'
import { stateOf } from './health.ts'

t.test('only what may be used is in it', async t => {
  const state = stateOf({ web: [{ id: 'a' }, { id: 'b', status: 'critical' }] })
  const ids = (least: 'passing' | 'any') =>
    documentOf(state, least).Services.map(({ Instances }) => Instances.map(({ ID }) => ID))
  t.same([ids('passing'), ids('any')], [[['a']], [['a', 'b']]])
  t.equal(summaryOf(state, 'passing'), '"web" 1 of 2')
  t.equal(summaryOf(stateOf({ web: [{}] }, { k: { a: '' } }), 'passing'), '"web" 1; 1 keys')
})

t.test('what was added, changed and removed, from any state to any other', async t => {
  const ids = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 2 }))
  const document = (ports: Record<string, number>) =>
    documentOf(
      stateOf({ web: Object.entries(ports).map(([id, port]) => ({ id, port })) }),
      'passing',
    )
  fc.assert(
    fc.property(ids, ids, (was, is) => {
      const [found] = changesBetween(document(was), document(is)).Services
      const names = (list: readonly { ID: string }[] = []) => list.map(({ ID }) => ID).sort()
      const all = ['a', 'b', 'c']
      const has = (map: Record<string, number>, id: string) => Object.hasOwn(map, id)
      t.same(
        [names(found?.Added), names(found?.Changed), names(found?.Removed)],
        [
          all.filter(id => !has(was, id) && has(is, id)),
          all.filter(id => has(was, id) && has(is, id) && was[id] !== is[id]),
          all.filter(id => has(was, id) && !has(is, id)),
        ],
      )
    }),
  )
})

t.test('the same in lines, in which no name breaks out', async t => {
  const document = documentOf(stateOf({ 'w\nx': [{ id: 'a"\n' }] }, { k: { 'k\n': '' } }), 'any')
  const lines = changeLines(changesBetween(undefined, document))
  t.same(lines, ['+ "w\\nx" "a\\"\\n" on "n1" ("10.9.9.9:80")', '+ key "k\\n"'])
})
