/** JSON with all digits of its whole numbers, against JSON.parse. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseExact } from '../../src/base/exact-json.ts'
import { propertyRuns } from '../run/budget.ts'

t.test('whole numbers beyond 2^53 are bigints, all else is as JSON.parse says', async t => {
  const digits = ['9007199254740993', '-9007199254740993', '18446744073709551615', '1'.repeat(400)]
  for (const text of digits) {
    t.equal(parseExact(text), BigInt(text))
    t.strictSame(parseExact(` [ ${text},{"a": ${text} , "b":[${text}]}]`), [
      BigInt(text),
      { a: BigInt(text), b: [BigInt(text)] },
    ])
  }
  const plain = [
    '0',
    '-0',
    '9007199254740991',
    '1e400',
    '0.12345678901234567',
    '12345678901234567e1',
  ]
  for (const text of plain) assert.deepEqual(parseExact(text), JSON.parse(text))
  const strings = ['"9007199254740993"', '{"9007199254740993":1}', '"a\\"9007199254740993\\\\"']
  for (const text of strings) assert.deepEqual(parseExact(text), JSON.parse(text))
})

t.test('no string is taken for a number, whatever it begins with', async t => {
  const text = '["#0#1", "\\u00230#1", "x#1#", 9007199254740993, {"#2#9": "#2#9"}]'
  assert.deepEqual(parseExact(text), [
    '#0#1',
    '#0#1',
    'x#1#',
    9007199254740993n,
    { '#2#9': '#2#9' },
  ])
  const proto = parseExact('{"__proto__":9007199254740993,"a":{"__proto__":[9007199254740993]}}')
  t.equal(Object.getPrototypeOf(proto), Object.prototype)
  t.equal(Object.getOwnPropertyDescriptor(proto, '__proto__')?.value, 9007199254740993n)
})

t.test('what is no JSON is refused', async t => {
  const bad = ['', '01234567890123456789', '{9007199254740993:1}', '1-9007199254740993']
  for (const text of [...bad, '[9007199254740993 5]', '"9007199254740993', '9007199254740993.']) {
    t.throws(() => parseExact(text), SyntaxError, text)
  }
})

t.test('any JSON is what JSON.parse says, but for its long numbers', async t => {
  const number = fc.oneof(
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.double({ noNaN: true }),
  )
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      number,
      fc.string({ unit: fc.constantFrom('#', '0', '1', '"', '\\', '\u00e9', '9007199254740993') }),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom('a', '__proto__', '#0#'), tie('value'), {
        noNullPrototype: true,
      }),
    ),
  }))
  const property = fc.property(value, one => {
    const text = textOf(one)
    assert.deepEqual(numbers(parseExact(text)), JSON.parse(text))
    assert.equal(textOf(parseExact(text)), text)
  })
  fc.assert(property, { numRuns: 5 * propertyRuns() })
  t.pass('it is')
})

/** JSON with bigints as whole numbers. */
function textOf(value: unknown): string {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value)
  return `{${entries.map(([key, one]) => `${JSON.stringify(key)}:${textOf(one)}`).join()}}`
}

/** The same with numbers for bigints. */
function numbers(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(numbers)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, numbers(one)]))
}
