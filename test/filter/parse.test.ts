/** The grammar of filters: what is read, what is printed reads the same, and the bounds. */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { type Expression, FilterError, print } from '../../src/filter/expression.ts'
import { parse } from '../../src/filter/parse.ts'
import { expressions } from './arbitraries.ts'

const match = (selector: string, operator: string, value = '') => ({
  kind: 'match',
  selector: selector.split('.'),
  operator,
  value,
})

const readings: readonly [string, object][] = [
  ['a == 1', match('a', 'equal', '1')],
  ['a==b', match('a', 'equal', 'b')],
  ['  a != -1.5 ', match('a', 'not equal', '-1.5')],
  ['a.b.c == "x y"', match('a.b.c', 'equal', 'x y')],
  ['a["b c"].d == `x"y`', match('a.b c.d', 'equal', 'x"y')],
  ['a[ "b" ][`c`] == x', match('a.b.c', 'equal', 'x')],
  ['a.0.b == x', match('a.0.b', 'equal', 'x')],
  ['"/a/b-c/d.e" == x', { ...match('', 'equal', 'x'), selector: ['a', 'b-c', 'd.e'] }],
  ['"/a/b~1c~0" is empty', { ...match('', 'is empty'), selector: ['a', 'b/c~'] }],
  ['"/a" in b', match('b', 'in', '/a')],
  ['"x" in a.b', match('a.b', 'in', 'x')],
  ['x in a', match('a', 'in', 'x')],
  ['x.y["z"] in a', match('a', 'in', 'x.y.z')],
  ['"x" not in a', match('a', 'not in', 'x')],
  ['a contains "x"', match('a', 'in', 'x')],
  ['a not contains x', match('a', 'not in', 'x')],
  ['a is empty', match('a', 'is empty')],
  ['a is not empty', match('a', 'is not empty')],
  ['a matches "^x\\\\.y$"', match('a', 'matches', '^x\\.y$')],
  ['a not matches `^\\d+$`', match('a', 'not matches', '^\\d+$')],
  ['a == "\\t\\x41\\u00e9\\101\\"\\\\"', match('a', 'equal', '\tAéA"\\')],
  ['a == ""', match('a', 'equal')],
  ['a == true', match('a', 'equal', 'true')],
]

t.test('what the grammar says', async t => {
  for (const [text, expected] of readings) t.same(parse(text), expected, text)
})

t.test('not binds closer than and, and that closer than or', async t => {
  const [a, b, c] = ['a', 'b', 'c'].map(name => match(name, 'equal', '1'))
  const read = (text: string) => parse(text.replaceAll(/\b[abc]\b/g, '$& == 1'))
  const and = (...operands: unknown[]) => ({ kind: 'and', operands })
  const or = (...operands: unknown[]) => ({ kind: 'or', operands })
  const not = (operand: unknown) => ({ kind: 'not', operand })
  t.same(read('a or b and c'), or(a, and(b, c)))
  t.same(read('a and b or c'), or(and(a, b), c))
  t.same(read('(a or b) and c'), and(or(a, b), c))
  t.same(read('not a and b'), and(not(a), b))
  t.same(read('not (a and b)'), not(and(a, b)))
  t.same(read('not(a)or(b)'), or(not(a), b))
  t.same(read('not not a'), a)
  t.same(read('((a))'), a)
  t.same(read('a or b or c'), or(a, b, c))
  t.same(read('a or (b or c)'), or(a, or(b, c)))
})

t.test('what is not an expression', async t => {
  const wrong = [
    ' ',
    'a',
    'a ==',
    'a == 1 b',
    'a == 1 and',
    'or a == 1',
    '(a == 1',
    'a == 1)',
    'a = 1',
    'a is',
    'a is not',
    'a is 1',
    '"x" == 1',
    '1 == a',
    '`/a` == 1',
    'x in "y"',
    'x in 1',
    'a == "x',
    'a == `x',
    'a == "\\q"',
    'a == "\\ud800"',
    'a == "x\ny"',
    'a == 1x',
    'a == 10.0.0.1',
    'a[b] == 1',
    'a["b" == 1',
    'a. == 1',
    'é == 1',
    'a == é',
  ]
  for (const text of wrong) t.throws(() => parse(text), FilterError, text)
  t.throws(() => parse('a == 1 b'), { message: /^1:8 \(7\): no match found, expected: / })
})

t.test('its bounds are held', async t => {
  const deep = (levels: number) => `${'('.repeat(levels)}a == 1${')'.repeat(levels)}`
  t.ok(parse(deep(limits.filterDepth)))
  t.throws(() => parse(deep(limits.filterDepth + 1)), FilterError)
  t.throws(() => parse(`${'not ('.repeat(5_000)}`.slice(0, limits.filterChars)), FilterError)
  const many = (count: number) => Array.from({ length: count }, () => 'a == 1').join(' or ')
  t.ok(parse(many(limits.filterMatches)))
  t.throws(() => parse(many(limits.filterMatches + 1)), FilterError)
  t.throws(() => parse(`a == "${'x'.repeat(limits.filterChars)}"`), FilterError)
})

t.test('what is printed reads the same again', async t => {
  fc.assert(
    fc.property(expressions, expression => {
      const read: Expression = parse(print(expression))
      t.equal(JSON.stringify(read), JSON.stringify(expression))
    }),
  )
  t.pass()
})
