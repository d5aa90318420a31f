/**
 * The layout of HCL: it changes nothing that is said, and nothing when it is there already.
 */
import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { laidOut } from '../../../src/cli/secrets/hcl-layout.ts'
import { parse } from '../../../src/hcl/hcl.ts'

t.test('what stands in texts, comments and heredocs stays', async t => {
  const cases: [string, string][] = [
    ['a="x{y"', 'a = "x{y"\n'],
    ['a = "q\\"{"\nbb=1', 'a  = "q\\"{"\nbb = 1\n'],
    ['a {  b=1 }', 'a { b = 1 }\n'],
    [
      'a{\nb=<<EOF\n  kept {\nEOF\nc=[\n1,2,\n3]\n}',
      'a {\n  b = <<EOF\n  kept {\nEOF\n  c = [\n    1, 2,\n    3]\n}\n',
    ],
    ['/* a\n   b */\nc = 1 // {', '/* a\n   b */\nc = 1 // {\n'],
    ['\n\n\na = 1\n\n\n\nb = 2\n\n', 'a = 1\n\nb = 2\n'],
    ['', '\n'],
  ]
  for (const [before, after] of cases) {
    t.equal(laidOut(before), after)
    t.equal(laidOut(after), after)
  }
})

const space = fc.constantFrom('', ' ', '   ', '\t')
const word = fc.stringMatching(/^[a-z_]{1,12}$/)
const text = fc.constantFrom('"a"', '"secret/data/*"', '"x = {"', '"#"', '"\\"]"', `"$${'{a}'}"`)
const line = fc
  .tuple(word, text, space, space, fc.constantFrom('', '# note {', '// note'))
  .map(([key, value, a, b, note]) => `${a}${key}${b}=${a}${value}${b}${note}`)
const list = fc
  .tuple(word, fc.array(text), space)
  .map(([key, items, a]) => `${key}=[${a}${items.join(`${a},`)}]`)
const block = fc
  .tuple(word, text, fc.array(fc.oneof(line, list, fc.constant(''))), space)
  .map(([key, label, lines, a]) => `${a}${key}${a} ${label}${a}{\n${lines.join('\n')}\n${a}}`)

t.test('whatever is laid out says the same, and is laid out', async () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(line, list, block)), parts => {
      const before = parts.join('\n')
      const after = laidOut(before)
      deepEqual(parse(after, { format: 'hcl' }), parse(before, { format: 'hcl' }))
      equal(laidOut(after), after)
    }),
  )
})
