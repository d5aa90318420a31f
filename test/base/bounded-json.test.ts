/** Bodies within bounds: each bound at its edge, forms, and any JSON against JSON.parse. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  type JsonBounds,
  type ParsedBody,
  parseBody,
  parseBounded,
  secretsBounds,
} from '../../src/base/bounded-json.ts'
import { parseExact, stringifyExact } from '../../src/base/exact-json.ts'
import { limits } from '../../src/base/limits.ts'
import { propertyRuns } from '../run/budget.ts'

const FORM = 'application/x-www-form-urlencoded'

const parse = (text: string, bounds: Partial<JsonBounds> = {}): ParsedBody =>
  parseBounded(Buffer.from(text), { ...secretsBounds, ...bounds })

const whatOf = (parsed: ParsedBody): string => ('fault' in parsed ? parsed.fault.what : 'fine')

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

t.test('each bound holds at its edge, and its text says which it is', async t => {
  const edges: [keyof JsonBounds, number, string, string][] = [
    ['depth', 3, nested(3), nested(4)],
    ['depth', 2, '[{},{"a":[]}]'.replace('[]', '1'), '[{},{"a":[]}]'],
    ['entries', 3, '[1,{"a":2}]', '[1,{"a":2,"b":3}]'],
    ['entries', 2, '[[], [ ]]', '[[],[[]]]'],
    ['strings', 2, '{"a":"b"}', '{"a":"b","c":1}'],
    ['stringSizeBytes', 4, '["ab\\n"]', '["abc\\n"]'],
    ['stringSizeBytes', 4, '{"éé":1}', '{"ééa":1}'],
    ['numberChars', 5, '-1234', '-12345'],
    ['memorySizeBytes', 56 + 24 + 24 + 4, '["abcd"]', '["abcde"]'],
    ['memorySizeBytes', 56 + 24 + 24 + 4, '["é"]', '["éa"]'],
  ]
  for (const [what, bound, fits, breaks] of edges) {
    t.strictSame(parse(fits, { [what]: bound }), { value: JSON.parse(fits) }, fits)
    const parsed = parse(breaks, { [what]: bound })
    t.equal(whatOf(parsed), what, breaks)
    t.match('fault' in parsed && parsed.fault.text, new RegExp(`${bound}.*limits\\.md`))
  }
})

t.test('the bounds of the secrets half', async t => {
  t.equal(whatOf(parse(nested(limits.jsonDepth))), 'fine')
  t.equal(whatOf(parse(nested(limits.jsonDepth + 1))), 'depth')
  t.equal(whatOf(parse(nested(1_000_000))), 'depth', 'no stack is asked for it')
  t.equal(whatOf(parse(`[${'1,'.repeat(limits.secretsJsonEntries)}1]`)), 'entries')
  t.equal(
    whatOf(parse(`"${'x'.repeat(limits.secretsJsonStringSizeBytes + 1)}"`)),
    'stringSizeBytes',
  )
  const long = `"${'x'.repeat(limits.secretsJsonStringSizeBytes)}"`
  t.equal(whatOf(parse(`[${Array(30).fill(long).join()}]`)), 'fine')
  t.equal(whatOf(parse(`[${Array(33).fill(long).join()}]`)), 'memorySizeBytes')
  t.equal(whatOf(parse('9'.repeat(limits.secretsJsonNumberChars + 1))), 'numberChars')
})

t.test('numbers keep their digits, or are refused', async t => {
  const text = '[9007199254740993,-18446744073709551616,0.5,1e3,1E-7,-0]'
  assert.deepEqual(parse(text), {
    value: [9007199254740993n, -18446744073709551616n, 0.5, 1000, 1e-7, -0],
  })
  for (const number of ['1e400', '-1E+400', `${'9'.repeat(400)}.5`, '1e-400', '-0.001e-999']) {
    t.equal(whatOf(parse(`{"a":${number}}`)), 'range', number)
  }
  for (const number of ['0e999', '0.0e-999', '1e308', '5e-324']) {
    t.equal(whatOf(parse(number)), 'fine', number)
  }
  const long = '7'.repeat(400)
  t.equal(stringifyExact((parse(`{"a":${long}}`) as { value: unknown }).value), `{"a":${long}}`)
})

t.test('bigints are written as numbers', async t => {
  t.equal(
    stringifyExact({ a: [2n ** 64n, { b: -1n }], c: 'x', d: undefined }),
    '{"a":[18446744073709551616,{"b":-1}],"c":"x"}',
  )
  t.equal(stringifyExact({ a: 1 }), '{"a":1}')
  const circle: Record<string, unknown> = { a: 1n }
  circle.b = circle
  t.throws(() => stringifyExact(circle), TypeError)
})

t.test('what is no JSON is told so, without a word of it', async t => {
  for (const text of [
    '{"password":secret}',
    '{"a":"secret',
    '[1 2]',
    ']',
    '}{',
    '{"a"}',
    '--1',
    '1-1',
    '\ufeff{}',
    "{'a':1}",
  ]) {
    t.strictSame(parse(text), { fault: { what: 'syntax', text: 'invalid JSON' } }, text)
  }
})

t.test('no key reaches a prototype', async t => {
  for (const parsed of [
    parse('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}'),
    parseBody(FORM, Buffer.from('__proto__=a&constructor=b&toString=c')),
  ]) {
    const { value } = parsed as { value: Record<string, unknown> }
    t.equal(Object.getPrototypeOf(value), Object.prototype)
    t.ok(Object.hasOwn(value, '__proto__') && Object.hasOwn(value, 'constructor'))
    t.equal(({} as Record<string, unknown>).admin, undefined)
  }
})

t.test('a body is JSON unless it says that it is a form and looks like one', async t => {
  const json = '{"a":"b=c"}'
  for (const type of [undefined, 'application/json', FORM, 'text/plain', 'nonsense']) {
    t.strictSame(parseBody(type, Buffer.from(` \n${json}`)), { value: { a: 'b=c' } }, `${type}`)
    t.strictSame(parseBody(type, Buffer.alloc(0)), { value: undefined })
    t.strictSame(parseBody(type, Buffer.from(' \r\n\t')), { value: undefined })
  }
  t.strictSame(parseBody(FORM, Buffer.from('[1]')), { value: [1] })
  t.equal(whatOf(parseBody('application/json', Buffer.from('a=b'))), 'syntax')
  t.equal(whatOf(parseBody(`x-${FORM}`, Buffer.from('a=b'))), 'syntax')
  const forms: [string, Record<string, string>][] = [
    ['a=b', { a: 'b' }],
    ['a=b&a=c&d', { a: 'b,c', d: '' }],
    ['a+b=c+d%20e%2b&&=x&', { 'a b': 'c d e+', '': 'x' }],
    ['%C3%A9=%e2%82%ac&x=é', { é: '€', x: 'é' }],
    ['a=b=c', { a: 'b=c' }],
  ]
  for (const [text, value] of forms) {
    assert.deepEqual(parseBody(`${FORM}; charset=utf-8`, Buffer.from(text)), { value }, text)
  }
  for (const text of ['a=%', 'a=%4', 'a=%zz', '%=b', 'a=b;c=d']) {
    t.equal(whatOf(parseBody(FORM, Buffer.from(text))), 'syntax', text)
  }
  const tight = { ...secretsBounds, entries: 2, stringSizeBytes: 5 }
  t.equal(whatOf(parseBody(FORM, Buffer.from('a=1&b=2&c=3'), tight)), 'entries')
  t.equal(whatOf(parseBody(FORM, Buffer.from('a=1234'), tight)), 'stringSizeBytes')
})

/** The same counts, taken from the value that JSON.parse makes. */
function countsOf(value: unknown, depth = 1): { depth: number; entries: number; strings: number } {
  if (typeof value === 'string') return { depth: 0, entries: 0, strings: 1 }
  if (typeof value !== 'object' || value === null) return { depth: 0, entries: 0, strings: 0 }
  const parts = Object.entries(value)
  const counts = { depth, entries: parts.length, strings: Array.isArray(value) ? 0 : parts.length }
  for (const [, part] of parts) {
    const within = countsOf(part, depth + 1)
    counts.depth = Math.max(counts.depth, within.depth)
    counts.entries += within.entries
    counts.strings += within.strings
  }
  return counts
}

t.test('any JSON is parsed as by JSON.parse, and fits the bounds that it has exactly', async t => {
  const texts = fc.record({
    value: fc.jsonValue({ maxDepth: 5 }),
    indent: fc.constantFrom(undefined, 1, '\t'),
  })
  const property = fc.property(texts, ({ value, indent }) => {
    const text = JSON.stringify(value, null, indent)
    const counts = countsOf(value)
    assert.deepEqual(parse(text, counts), { value: parseExact(text) })
    for (const what of ['depth', 'entries', 'strings'] as const) {
      if (counts[what] > 0) {
        assert.equal(whatOf(parse(text, { ...counts, [what]: counts[what] - 1 })), what)
      }
    }
  })
  fc.assert(property, { numRuns: 5 * propertyRuns() })
  t.pass('it is')
})

t.test('strings of any length and letters have the size that they have', async t => {
  const unit = fc.constantFrom('a', 'b', ' ', '"', '\\', 'é', '\u{1f511}')
  const plain = fc.constantFrom('a', 'b', ' ', '[', '1', ',')
  const list = fc.oneof(
    fc.array(fc.string({ unit: plain, maxLength: 90 }), { minLength: 1, maxLength: 5 }),
    fc.array(fc.string({ unit, maxLength: 90 }), { minLength: 1, maxLength: 5 }),
  )
  const property = fc.property(list, values => {
    const text = JSON.stringify(values)
    const sizes = values.map(value => Buffer.byteLength(JSON.stringify(value)) - 2)
    const stringSizeBytes = Math.max(...sizes)
    const memorySizeBytes = values.reduce((sum, value, at) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what is beyond ASCII
      const isWide = /[\\"]|[^\x00-\x7f]/.test(value)
      return sum + 48 + sizes[at]! * (isWide ? 2 : 1)
    }, 56)
    const bounds = { stringSizeBytes, memorySizeBytes }
    assert.deepEqual(parse(text, bounds), { value: values })
    assert.equal(whatOf(parse(text, { memorySizeBytes: memorySizeBytes - 1 })), 'memorySizeBytes')
    if (stringSizeBytes === 0) return
    const tight = { stringSizeBytes: stringSizeBytes - 1 }
    assert.equal(whatOf(parse(text, tight)), 'stringSizeBytes')
  })
  fc.assert(property, { numRuns: 5 * propertyRuns() })
  t.equal(whatOf(parse(`["${'a'.repeat(100)}`)), 'syntax', 'one without an end')
  t.equal(whatOf(parse(`["${'a'.repeat(100)}\\`)), 'syntax')
})

t.test('any bytes are JSON, a bound or no JSON: as JSON.parse says', async t => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ',',
    ':',
    '1',
    '-',
    'e',
    '.',
    ' ',
    'a',
    '\n',
    '\u00e9',
    'true',
    'null',
    '"a"',
    '{"a":1}',
  )
  const property = fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
    const text = pieces.join('')
    const parsed = parse(text)
    let wanted: unknown
    try {
      wanted = { value: parseExact(text) }
    } catch {
      wanted = { fault: { what: 'syntax', text: 'invalid JSON' } }
    }
    if (whatOf(parsed) !== 'range') assert.deepEqual(parsed, wanted)
  })
  fc.assert(property, { numRuns: 20 * propertyRuns() })
  t.pass('they are')
})
