/**
 * The parser of HCL 1 and JSON: grammar by example, positions, bounds, and properties over
 * generated data and arbitrary text.
 */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation of HCL itself
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import {
  blocksOf,
  HclError,
  type HclObject,
  type HclValue,
  parse,
  parseWithEntries,
  parseWithPositions,
} from '../../src/hcl/hcl.ts'
import { propertyRuns } from '../run/budget.ts'

const hcl = (text: string): HclObject => parse(text, { format: 'hcl' })
const json = (text: string): HclObject => parse(text, { format: 'json' })

function refusal(text: string, format: 'hcl' | 'json'): string {
  try {
    parse(text, { format })
  } catch (error) {
    if (error instanceof HclError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('plain values, lists and objects', async t => {
  t.same(hcl('a = 1\nb = "x"\nc = true, d = false e = [1, "2", true, { f = 3 },]'), {
    a: 1,
    b: 'x',
    c: true,
    d: false,
    e: [1, '2', true, { f: 3 }],
  })
  t.same(hcl('"quoted key" = 1\nwith-dash.and_dot = 2\nüber = 3'), {
    'quoted key': 1,
    'with-dash.and_dot': 2,
    über: 3,
  })
  t.same(hcl(''), {})
  t.same(hcl('\ufeffa = []\r\nb = {}\r\n'), { a: [], b: {} })
})

t.test('numbers as Go reads them', async t => {
  t.same(hcl('a=0x1F b=0755 c=-12 d=1.5e3 e=-.5 f=0 g=1e-2'), {
    a: 31,
    b: 493,
    c: -12,
    d: 1500,
    e: -0.5,
    f: 0,
    g: 0.01,
  })
  for (const wrong of ['a = 10s', 'a = 08', 'a = 1e999', 'a = -', 'a = 0x']) {
    t.match(refusal(wrong, 'hcl'), /line 1, column \d/, wrong)
  }
})

t.test('blocks: labels nest, repetition makes a list, the last plain value stands', async t => {
  t.same(hcl('key "foo" { policy = "read" }'), { key: { foo: { policy: 'read' } } })
  t.same(hcl('key "foo" { a = 1 } key "bar" { a = 2 } key "foo" { a = 3 }'), {
    key: [{ foo: { a: 1 } }, { bar: { a: 2 } }, { foo: { a: 3 } }],
  })
  t.same(hcl('a "b" c { }'), { a: { b: { c: {} } } })
  t.same(hcl('a {} \n a = { x = 1 }'), { a: [{}, { x: 1 }] })
  t.same(hcl('a = 1 a = 2 b = [1] b = [2]'), { a: 2, b: [2] })
  t.same(hcl('a = [{ x = 1 }] a { x = 2 }'), { a: { x: 2 } })
  t.same(blocksOf(hcl('a {} a {}').a!), [{}, {}])
  t.same(blocksOf(hcl('a {}').a!), [{}])
  t.equal(blocksOf(hcl('a = [1]').a!), undefined)
  t.equal(blocksOf(hcl('a = "x"').a!), undefined)
})

t.test('strings: escapes, and ${…} as it stands', async t => {
  t.same(hcl(String.raw`a = "\a\b\f\n\r\t\v\\\"\101\x41\u00e9\U0001F600"`), {
    a: '\u0007\b\f\n\r\t\v\\"AAé😀',
  })
  t.same(hcl('a = "${ f("x", {}) } $5 $"'), { a: '${ f("x", {}) } $5 $' })
  t.match(refusal('a = "x\ny"', 'hcl'), 'line 1, column 7: string is not terminated')
  t.match(refusal('a = "\\q"', 'hcl'), 'line 1, column 6: unknown escape')
  t.match(refusal('a = "${"', 'hcl'), '"${" is not closed')
  t.match(refusal('a = "\\UFFFFFFFF"', 'hcl'), 'beyond the last character')
})

t.test('heredocs', async t => {
  t.same(hcl('a = <<EOF\none\n  "two" \\n ${x}\n\nEOF\nb = 1'), {
    a: 'one\n  "two" \\n ${x}\n\n',
    b: 1,
  })
  t.same(hcl('a = <<-EOF\n    one\n      two\n    EOF\n'), { a: 'one\n  two\n' })
  t.same(hcl('a = <<-EOF\n  one\ntwo\n  EOF\n'), { a: '  one\ntwo\n' }, 'not all lines indented')
  t.same(hcl('a = <<EOF\nEOF'), { a: '' }, 'empty, at the end of the text')
  t.same(hcl('a = [<<X\n1\nX\n, "2"]'), { a: ['1\n', '2'] })
  t.match(refusal('a = <<EOF\none\n', 'hcl'), 'line 1, column 5: heredoc is not terminated')
  t.match(refusal('a = <<\n', 'hcl'), 'expected a heredoc')
})

t.test('comments', async t => {
  t.same(hcl('# one\na = 1 // two { "\n/* three\n} */ b /**/ = 2 #'), { a: 1, b: 2 })
  t.match(refusal('a = 1 /* x', 'hcl'), 'comment is not terminated')
})

t.test('errors say where, and never quote the text', async t => {
  t.equal(refusal('a = 1\n  b c = 2', 'hcl'), 'line 2, column 7: expected "=", a label or "{"')
  t.equal(
    refusal('a {\n  b = 1\n', 'hcl'),
    'line 3, column 1: expected a key or "}", the text ends here',
  )
  t.equal(refusal('a = [1 2]', 'hcl'), 'line 1, column 8: expected "," or "]"')
  t.equal(refusal('}', 'hcl'), 'line 1, column 1: expected a key')
  t.equal(refusal('a = b', 'hcl'), 'line 1, column 5: expected a value')
  t.equal(refusal('token = "s3cret" !', 'hcl'), 'line 1, column 18: unexpected character')
  t.equal(refusal('{"a": 1,\n "b" 2}', 'json'), 'line 2, column 6: expected ":"')
  t.equal(refusal('{"a": s3cret}', 'json'), 'line 1, column 7: expected a value')
  t.equal(refusal('{"a": 1} x', 'json'), 'line 1, column 10: expected the end of the text')
  t.equal(refusal('[]', 'json'), 'line 1, column 1: expected an object')
})

t.test('JSON is strict', async t => {
  t.same(json(' {"a": [1, -2.5e1, "\\u00e9\\n", true, false, null, {}], "b": {"c": "d"}} '), {
    a: [1, -25, 'é\n', true, false, null, {}],
    b: { c: 'd' },
  })
  t.same(json('{"a": {"x": 1}, "a": {"y": 2}}'), { a: { y: 2 } })
  for (const wrong of [
    "{'a':1}",
    '{"a":1,}',
    '{"a":01}',
    '{"a":"\t"}',
    '{"a":+1}',
    '{a:1}',
    '{"a',
  ]) {
    t.match(refusal(wrong, 'json'), /line 1, column \d/, wrong)
  }
})

t.test('auto takes a leading brace for JSON', async t => {
  t.same(parse('\n {"a": 1}', { format: 'auto' }), { a: 1 })
  t.same(parse('a = 1', { format: 'auto' }), { a: 1 })
})

t.test('positions of keys', async t => {
  const { value, positions } = parseWithPositions('a = 1\nb "c" {\n  d = 2\n}\n', { format: 'hcl' })
  const of = (object: HclValue | undefined, key: string) =>
    positions.get(object as HclObject)?.get(key)
  t.same(of(value, 'a'), { line: 1, column: 1 })
  t.same(of(value, 'b'), { line: 2, column: 1 })
  const label = value.b as HclObject
  t.same(of(label, 'c'), { line: 2, column: 3 })
  t.same(of(label.c, 'd'), { line: 3, column: 3 })
})

t.test('entries: what an object says, in order, with what is repeated', async t => {
  const written = (text: string): string[] => {
    const { value, entriesOf } = parseWithEntries(text, { format: 'auto' })
    const lines = (object: HclObject, path: string): string[] =>
      entriesOf(object).flatMap(({ key, value, position }) => {
        const own = `${path}${key} ${position.line}:${position.column}`
        const objects = blocksOf(value) ?? []
        return [own, ...objects.flatMap(one => lines(one, `${path}${key}.`))]
      })
    return lines(value, '')
  }
  t.same(written('a = 1 b { }\na = 2\nb "c" { d = 3 d = 4 } b = [{ e = 5 }]'), [
    'a 1:1',
    'b 1:7',
    'a 2:1',
    'b 3:1',
    'b.c 3:3',
    'b.c.d 3:9',
    'b.c.d 3:15',
    'b 3:23',
    'b.e 3:30',
  ])
  t.same(written('{"a":{"b":1,"b":2},"a":3}'), ['a 1:2', 'a.b 1:7', 'a.b 1:13', 'a 1:20'])
  const { value, entriesOf } = parseWithEntries('a = 1 a = 2', { format: 'hcl' })
  t.same(value, { a: 2 })
  t.same(entriesOf({}), [])
})

t.test('bounds: at the bound and one past it', async t => {
  const deep = (levels: number) => `${'a {'.repeat(levels)}${'}'.repeat(levels)}`
  t.equal(refusal(deep(limits.hclDepth), 'hcl'), 'accepted')
  t.match(refusal(deep(limits.hclDepth + 1), 'hcl'), 'nested deeper than')
  t.match(refusal(`{"a":${'['.repeat(limits.hclDepth + 1)}`, 'json'), 'nested deeper than')
  t.equal(refusal('#'.repeat(limits.hclTextChars), 'hcl'), 'accepted')
  t.match(refusal('#'.repeat(limits.hclTextChars + 1), 'hcl'), 'longer than')
})

t.test('a key of the prototype is a plain key', async t => {
  for (const value of [hcl('__proto__ { x = 1 }'), json('{"__proto__": {"x": 1}}')]) {
    t.same(Object.keys(value), ['__proto__'])
    t.equal(Object.getPrototypeOf(value), Object.prototype)
  }
})

/** Writes data as HCL, with blocks where the data allows them. */
function print(object: HclObject): string {
  return Object.entries(object)
    .map(([key, value]) => {
      const blocks = Array.isArray(value) && value.length > 1 ? blocksOf(value) : undefined
      if (blocks !== undefined) {
        return blocks.map(block => `${quote(key)} {\n${print(block)}\n}`).join('\n')
      }
      return `${quote(key)} = ${printValue(value)}`
    })
    .join('\n')
}

function printValue(value: HclValue): string {
  if (typeof value === 'string') return quote(value)
  if (Array.isArray(value)) return `[${value.map(printValue).join(', ')}]`
  if (typeof value === 'object' && value !== null) return `{\n${print(value)}\n}`
  return String(value)
}

/** A `${` would begin text that is kept as it stands, so dollars are written as escapes. */
const quote = (text: string): string => JSON.stringify(text).replaceAll('$', '\\x24')

const data = fc.letrec<{ object: HclObject; value: HclValue }>(tie => ({
  object: fc.dictionary(fc.string({ minLength: 1, unit: 'grapheme' }), tie('value'), {
    maxKeys: 5,
    noNullPrototype: true,
  }),
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(value => (value === 0 ? 0 : value)),
    fc.integer(),
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
}))

t.test('property: data survives printing and parsing', async t => {
  fc.assert(
    fc.property(data.object, object => {
      // tap takes a key named `constructor` for the constructor: it finds equal objects different.
      assert.deepStrictEqual(hcl(print(object)), object)
      assert.deepStrictEqual(json(JSON.stringify(object)), object)
      assert.deepStrictEqual(json(JSON.stringify(object)), JSON.parse(JSON.stringify(object)))
    }),
    { numRuns: 3 * propertyRuns() },
  )
  t.pass()
})

t.test('property: any text is parsed or refused with a place', async () => {
  const token = fc.constantFrom(
    ...['a', '"b"', '=', '{', '}', '[', ']', ',', '1', '-', '0x', 'true', '\n', ' ', '<<E\n'],
    ...['<<-E\n', 'E\n', '"', '\\', '${', '/*', '*/', '//', '#', ':', 'null', '\u0000', '\ufeff'],
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(token, { maxLength: 40 }).map(tokens => tokens.join('')),
  )
  fc.assert(
    fc.property(
      text,
      fc.constantFrom('hcl' as const, 'json' as const, 'auto' as const),
      (text, format) => {
        try {
          return typeof parse(text, { format }) === 'object'
        } catch (error) {
          if (!(error instanceof HclError)) throw error
          return error.line >= 1 && error.column >= 1
        }
      },
    ),
    { numRuns: 30 * propertyRuns() },
  )
})

t.test('property: JSON is accepted exactly where JSON.parse accepts an object', async () => {
  const token = fc.constantFrom(
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '1',
      '-',
      '0',
      '.5',
      'e1',
      'true',
      'null',
      ' ',
      '"\\u00',
    ],
  )
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), tokens => {
      const text = `{"k":${tokens.join('')}}`
      let expected: unknown
      try {
        expected = JSON.parse(text)
        // A number that no double holds is refused here.
        if (!areFinite(expected)) expected = undefined
      } catch {}
      let actual: unknown
      try {
        actual = json(text)
      } catch {}
      return JSON.stringify(actual) === JSON.stringify(expected)
    }),
    { numRuns: 30 * propertyRuns() },
  )
})

/** Whether all numbers in a value are. */
const areFinite = (value: unknown): boolean =>
  typeof value === 'object' && value !== null
    ? Object.values(value).every(areFinite)
    : typeof value !== 'number' || Number.isFinite(value)
