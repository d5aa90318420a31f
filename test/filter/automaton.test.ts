/** Regular expressions: Go's syntax, held against JavaScript's engine where both say the same. */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { Automaton } from '../../src/filter/automaton.ts'
import { FilterError } from '../../src/filter/expression.ts'
import { programOf } from '../../src/filter/pattern.ts'

const of = (pattern: string) =>
  new Automaton(programOf(pattern, { left: limits.filterPatternSteps }))
const matches = (pattern: string, text: string) => of(pattern).matches(text)

t.test('what patterns say', async t => {
  const yes: readonly [string, string][] = [
    ['', 'x'],
    ['b', 'abc'],
    ['^abc$', 'abc'],
    ['a.c', 'a😀c'],
    ['^a{2,3}$', 'aaa'],
    ['^a{2,}$', 'aaaaa'],
    ['^a{2}?$', 'aa'],
    ['^(?:ab|cd)+$', 'abcdab'],
    ['^(?P<name>a):b(:c)$', 'a:b:c'],
    ['^(?i:WEB)-x$', 'web-x'],
    ['(?i)straße', 'STRAßE'],
    ['(?is)a.b', 'A\nB'],
    ['(?m)^b$', 'a\nb\nc'],
    ['(?:)*x', 'x'],
    ['a|b|', 'c'],
    ['^[^a-c]$', 'd'],
    ['^[]x]+$', ']x]'],
    ['^[a\\]\\-]+$', 'a]-'],
    ['^[\\d_]+$', '1_2'],
    ['^[[:alpha:][:digit:]]+$', 'a1'],
    ['^[[:^space:]]+$', 'ab'],
    ['^\\x41\\x{1F600}\\101$', 'A😀A'],
    ['^\\pL\\p{Greek}\\P{L}$', 'aα1'],
    ['^\\p{^L}$', '1'],
    ['^\\Qa.b\\E+$', 'a.bb'],
    ['\\bweb\\b', 'a web b'],
    ['\\Beb', 'web'],
    ['\\Aab\\z', 'ab'],
    ['a{,2}', 'a{,2}'],
    ['a{x', 'a{x'],
    ['^\\.\\*\\/$', '.*/'],
  ]
  for (const [pattern, text] of yes) t.equal(matches(pattern, text), true, `${pattern} on ${text}`)
  const no: readonly [string, string][] = [
    ['^abc$', 'abc\n'],
    ['a.c', 'a\nc'],
    ['^b$', 'a\nb'],
    ['\\d', '٣'],
    ['^a{2,3}$', 'aaaa'],
    ['\\Qa.b\\E', 'axb'],
    ['(?i:a)b', 'AB'],
    ['(?i)a(?-i)b', 'AB'],
    ['(?i)[^a]', 'A'],
    ['\\bweb\\b', 'webs'],
  ]
  for (const [pattern, text] of no) t.equal(matches(pattern, text), false, `${pattern} on ${text}`)
})

t.test('what Go has not is refused, and so is what is too much', async t => {
  const wrong = [
    '(',
    ')',
    'a)',
    '[',
    '[a',
    '[b-a]',
    '*',
    'a**',
    'a{2}{3}',
    '(?=a)',
    '(?<!a)',
    '(?x)',
  ]
  wrong.push('\\1', '\\c', '\\', '\\p{None}', '[[:none:]]', 'a{1001}', 'a{3,2}', '\\x{110000}')
  wrong.push('a{200}{200}', '(a{200}){200}', '((){900}){900}', '('.repeat(100) + ')'.repeat(100))
  for (const pattern of wrong) t.throws(() => of(pattern), FilterError, pattern)
})

/** Patterns of which both engines say the same. */
const patterns = fc.letrec<{ pattern: string }>(tie => ({
  pattern: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\d', '\\w', '\\b', '^', '$', ''),
    fc.tuple(tie('pattern'), tie('pattern')).map(([one, other]) => one + other),
    fc.tuple(tie('pattern'), tie('pattern')).map(([one, other]) => `(?:${one}|${other})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{2,}', '*?'))
      .map(([part, times]) => `(?:${part})${times}`),
  ),
})).pattern

t.test('any pattern on any text, beside JavaScript', async t => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', '1', '-'), maxLength: 12 })
  fc.assert(
    fc.property(patterns, fc.array(texts, { minLength: 1 }), (pattern, given) => {
      let automaton: Automaton
      try {
        automaton = of(pattern)
      } catch {
        return
      }
      const reference = new RegExp(pattern, 'u')
      // One after the other: what was kept of the first must not change what is said of the next.
      for (const text of given) t.equal(automaton.matches(text), reference.test(text), pattern)
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test('no pattern makes a long text take long', async t => {
  // Each of them holds a backtracking engine for longer than anybody would wait.
  const long = 'a'.repeat(100_000)
  for (const pattern of ['(a*)*b', '(a|a)*b', '(a|aa)+$b', '^(([a-z])+.)+[A-Z]$', '(.*a){10}b']) {
    t.equal(matches(pattern, long), false, pattern)
  }
  // Every text of 64 letters is a state of its own here: nothing worth keeping.
  const many = of('[ab]*a[ab]{60}c')
  const mixed = Array.from({ length: 4_096 }, (_, at) => ((at * at * 7919) % 5 < 2 ? 'a' : 'b'))
  t.equal(many.matches(mixed.join('')), false)
  t.equal(many.matches(`${mixed.join('')}a${'b'.repeat(60)}c`), true)
})

t.test('and what would take too long is refused', async t => {
  const many = of('[ab]*a[ab]{200}c')
  const mixed = Array.from({ length: 500_000 }, (_, at) => ((at * at * 7919) % 5 < 2 ? 'a' : 'b'))
  t.throws(() => many.matches(mixed.join('')), FilterError)
})
