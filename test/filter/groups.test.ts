/**
 * The groups of a match, against JavaScript's own engine where both mean the same.
 */
import t from 'tap'
import { groupsOf } from '../../src/filter/groups.ts'
import { programOf } from '../../src/filter/pattern.ts'
import { type Draw, seeded } from '../fake/random.ts'

const groups = (pattern: string, text: string) =>
  groupsOf(programOf(pattern, { left: 256 }, 'groups'), text)

t.test('which part a group found', async t => {
  const cases: [string, string, string[] | undefined][] = [
    [
      '^geo-db-(.*?)-([^-]+?)$',
      'geo-db-customer-primary',
      ['geo-db-customer-primary', 'customer', 'primary'],
    ],
    ['^geo-db-(.*?)-([^-]+?)$', 'geo-db-customer', undefined],
    ['b+', 'aabbb', ['bbb']],
    ['b+?', 'aabbb', ['b']],
    ['(a|ab)(c|bcd)', 'abcd', ['abcd', 'a', 'bcd']],
    ['(?U)a(b*)', 'abb', ['a', '']],
    ['(?U)a(b*?)', 'abb', ['abb', 'bb']],
    ['(?P<name>x)(?:y)(z)?', 'xy', ['xy', 'x', '']],
    ['((a)(b))c', 'abc', ['abc', 'ab', 'a', 'b']],
    ['', 'abc', ['']],
    ['(é.)', 'caféx', ['éx', 'éx']],
    ['(.)$', 'x😀', ['😀', '😀']],
    [String.raw`\b(\w+)\z`, 'one two', ['two', 'two']],
    ['(a{2,3})(a*)', 'aaaaa', ['aaaaa', 'aaa', 'aa']],
    ['(a{2,3}?)(a*)', 'aaaaa', ['aaaaa', 'aa', 'aaa']],
  ]
  for (const [pattern, text, wanted] of cases) {
    t.strictSame(groups(pattern, text), wanted, `${pattern} on ${text}`)
  }
})

/** Patterns whose groups stand outside of any repetition, where Go and JavaScript agree. */
function patternOf(draw: Draw, depth = 0): string {
  const atom = (): string => draw.pick(['a', 'b', 'c', '.', '[ab]', '[^a]'])
  const some = (): string => `${atom()}${draw.pick(['', '', '*', '+', '?', '*?', '+?', '{1,2}'])}`
  const part = (): string => {
    if (depth > 1 || draw.chance(50)) return some()
    const inside = patternOf(draw, depth + 1)
    return draw.chance(60) ? `(${inside})` : `(?:${inside})`
  }
  const sequence = (): string => Array.from({ length: 1 + draw.below(3) }, part).join('')
  return Array.from({ length: draw.chance(30) ? 2 : 1 }, sequence).join('|')
}

t.test('finds what a backtracking matcher finds', async t => {
  let found = 0
  for (let seed = 0; seed < 3_000; seed++) {
    const draw = seeded(seed)
    const pattern = `${draw.chance(20) ? '^' : ''}${patternOf(draw)}${draw.chance(20) ? '$' : ''}`
    const text = Array.from({ length: draw.below(8) }, () => draw.pick(['a', 'b', 'c'])).join('')
    const wanted = new RegExp(pattern).exec(text)
    const given = groups(pattern, text)
    if (wanted !== null) found++
    const is = JSON.stringify(given)
    const should = wanted === null ? undefined : JSON.stringify([...wanted].map(one => one ?? ''))
    if (is === should) continue
    t.equal(is, should, `seed ${seed}: ${pattern} on "${text}"`)
    return
  }
  t.ok(found > 1_000, `${found} of them matched`)
})

t.test('takes no time that grows with the pattern and the text together', async t => {
  t.equal(groups('^(a+)+$', `${'a'.repeat(2_000)}b`), undefined)
  const text = 'a'.repeat(20_000)
  t.throws(() => groups('(a|a|a|a|a|a|a|a)*(a?){60}b', text), { name: 'FilterError' })
})
