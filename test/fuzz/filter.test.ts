/** Filters: any text is one or is refused, at once; what is one prints and reads the same. */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { limits } from '../../src/base/limits.ts'
import { Automaton } from '../../src/filter/automaton.ts'
import { FilterError } from '../../src/filter/expression.ts'
import { filterOf } from '../../src/filter/filter.ts'
import { programOf } from '../../src/filter/pattern.ts'
import { type Thing, thingFields } from '../filter/arbitraries.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, stockOf } from './mutate.ts'

const expressions = [
  'Name == "web" and Port != 80',
  'not (On == true or "a" in Tags)',
  'Meta["a b"] matches `^x.*y$` or Meta.a is empty',
  '"/Inner/Name" contains x and Parts.Size == 1',
  'Tags is not empty and "x" not in Name',
]
const tokens = ['(', ')', ' not ', ' and ', ' or ', '==', '!=', ' in ', ' is empty', ' matches ']
const stock = stockOf(expressions, [...tokens, '"', '`', '\\', '[', ']', '.', 'Name', '"/Name"'])
const thing: Thing = {
  name: 'web',
  port: 80,
  on: true,
  tags: ['a'],
  meta: { a: 'b', 'a b': 'xyy' },
  inner: { name: 'x' },
  parts: [{ name: 'p', size: 1 }],
}

t.test('any text as a filter', async t => {
  const target = {
    make: (draw: Parameters<typeof mutated>[0]) => mutated(draw, stock).toString(),
    run: hold,
    show: JSON.stringify,
  }
  t.ok((await untilBudget('filters', 300_000, casesOf(target))) > 0)
})

function hold(text: string): void {
  const filter = filterOf(text, thingFields)
  if (filter === undefined || filter instanceof Refusal) return
  // Printed it has its quotes, and may be longer than what is taken.
  if (filter.text.length > limits.filterChars) return
  const again = filterOf(filter.text, thingFields)
  if (again === undefined || again instanceof Refusal) throw new Error(`no more: ${filter.text}`)
  if (again.text !== filter.text) throw new Error(`${filter.text} became ${again.text}`)
  if (again.keeps(thing) !== filter.keeps(thing)) throw new Error('and says something else')
}

const patterns = [
  '^web-[0-9]{1,3}$',
  '(?i)(a|b)*\\b',
  '[^a-c[:alpha:]\\d]+?',
  '\\pL\\x{41}',
  'a{2,}$',
]
const parts = ['(', ')', '|', '*', '+', '?', '{2}', '[', ']', '^', '$', '\\', '(?:', '\\Q', '.']
const patternStock = stockOf(patterns, parts)
const texts = ['', 'web-12', 'aAbB\n', '😀é', 'a'.repeat(2_000)]

t.test('any text as a regular expression', async t => {
  const target = {
    make: (draw: Parameters<typeof mutated>[0]) => mutated(draw, patternStock).toString(),
    run: holdPattern,
    show: JSON.stringify,
  }
  t.ok((await untilBudget('patterns', 300_000, casesOf(target))) > 0)
})

function holdPattern(pattern: string): void {
  try {
    const automaton = new Automaton(programOf(pattern, { left: limits.filterPatternSteps }))
    for (const text of texts) {
      const first = automaton.matches(text)
      if (automaton.matches(text) !== first) throw new Error(`not ${first} the second time`)
    }
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
  }
}
