/** What comparisons mean, against a reference that looks at plain data. */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { type Expression, FilterError, type Match } from '../../src/filter/expression.ts'
import { compile } from '../../src/filter/fields.ts'
import { parse } from '../../src/filter/parse.ts'
import { expressions, type Thing, thingFields, things } from './arbitraries.ts'

const budget = () => ({ left: limits.filterPatternSteps })
const test = (text: string) => compile(parse(text), thingFields, budget())

/** The item as a tree of plain data under the names of the selectors. */
function treeOf(thing: Thing): unknown {
  return {
    Name: thing.name,
    Port: thing.port,
    On: thing.on,
    Tags: thing.tags,
    Meta: new Map(Object.entries(thing.meta)),
    Inner: { Name: thing.inner.name },
    Parts: thing.parts.map(({ name, size }) => ({ Name: name, Size: size })),
  }
}

/** The same language once more, as slow and plain as it can be written. */
function holds(expression: Expression, thing: unknown): boolean {
  if (expression.kind === 'not') return !holds(expression.operand, thing)
  if (expression.kind !== 'match') {
    const said = expression.operands.map(one => holds(one, thing))
    return expression.kind === 'and' ? !said.includes(false) : said.includes(true)
  }
  return compared(expression, thing, expression.selector)
}

function compared(match: Match, given: unknown, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return atEnd(match, given)
  if (Array.isArray(given)) return given.some(one => compared(match, one, [name, ...rest]))
  if (!(given instanceof Map))
    return compared(match, (given as Record<string, unknown>)[name], rest)
  if (given.has(name)) return compared(match, given.get(name), rest)
  return ['not equal', 'not in', 'is empty', 'not matches'].includes(match.operator)
}

function atEnd({ operator, value }: Match, given: unknown): boolean {
  const isNot = operator.includes('not')
  const plain = operator.replace(' not', '').replace('not ', '')
  const list = given instanceof Map ? [...given.keys()] : given
  const found =
    plain === 'equal'
      ? String(given) === value
      : plain === 'in'
        ? (list as string | string[]).includes(value)
        : (list as string[]).length === 0
  return found !== isNot
}

t.test('a compiled expression says what the reference says', async t => {
  fc.assert(
    fc.property(expressions, things, (expression, thing) => {
      t.equal(compile(expression, thingFields, budget())(thing), holds(expression, treeOf(thing)))
    }),
    { numRuns: 500 },
  )
  t.pass()
})

const thing: Thing = {
  name: 'web-01',
  port: 8080,
  on: true,
  tags: ['a', 'B'],
  meta: { rack: 'r1', 'with-dash': 'x' },
  inner: { name: 'in' },
  parts: [
    { name: 'p1', size: 1 },
    { name: 'p2', size: 2 },
  ],
}

t.test('each operator on each type', async t => {
  const yes = [
    'Name == "web-01"',
    '"eb" in Name',
    'Name contains "-0"',
    'Name matches "^web-[0-9]+$"',
    'Name not matches "^[0-9]"',
    'Port == 8080',
    'Port == "0x1F90"',
    'Port == "017620"',
    'On == true',
    'On == 1',
    'On != F',
    '"a" in Tags',
    'Tags contains B',
    'Tags not contains b',
    'Tags is not empty',
    'rack in Meta',
    'Meta.rack == r1',
    'Meta["with-dash"] == x',
    '"/Meta/with-dash" == x',
    'Meta.rack matches "^r"',
    'Meta.none != r1',
    'Meta.none not matches r',
    'Meta is not empty',
    'Inner.Name == in',
    'Parts is not empty',
    'Parts.Name == p2',
    'Parts.Name != p2',
    'Parts.Size == 2',
  ]
  for (const text of yes) t.equal(test(text)(thing), true, text)
  const no = [
    'Name == "Web-01"',
    'Port != 8080',
    'On == false',
    'Meta.none == r1',
    'Meta.none matches ""',
    'Meta.constructor != ""  and "constructor" in Meta',
    'Parts.Name == p3',
    'Parts is empty',
    'not Parts.Name == p2',
  ]
  for (const text of no) t.equal(test(text)(thing), false, text)
})

t.test('selectors and operators that do not fit are refused by name', async t => {
  const wrong: readonly [string, string][] = [
    ['Nothing == 1', 'Selector "Nothing" is not valid'],
    ['name == 1', 'Selector "name" is not valid'],
    ['constructor == 1', 'Selector "constructor" is not valid'],
    ['Name.Part == 1', 'Selector "Name.Part" is not valid'],
    ['Inner.None == 1', 'Selector "Inner.None" is not valid'],
    ['Inner["a b"] == 1', 'Selector "Inner[\\"a b\\"]" is not valid'],
    ['Meta.a.b == 1', 'Selector "Meta.a.b" is not valid'],
    ['Tags.a == 1', 'Selector "Tags.a" is not valid'],
    ['Name is empty', 'Invalid match operator "Is Empty" for selector "Name"'],
    ['1 in Port', 'Invalid match operator "In" for selector "Port"'],
    ['On matches 1', 'Invalid match operator "Matches" for selector "On"'],
    ['Tags == 1', 'Invalid match operator "Equal" for selector "Tags"'],
    ['Meta != 1', 'Invalid match operator "Not Equal" for selector "Meta"'],
    ['Inner == 1', 'Invalid match operator "Equal" for selector "Inner"'],
    ['Parts not contains 1', 'Invalid match operator "Not In" for selector "Parts"'],
    ['Port == many', 'Failed to coerce value "many" for selector "Port": invalid syntax'],
    ['On == 2', 'Failed to coerce value "2" for selector "On": invalid syntax'],
  ]
  for (const [text, message] of wrong) t.throws(() => test(text), { message }, text)
  t.throws(() => test('Name matches "["'), FilterError)
})
