/** Equality of plain data. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { same } from '../../src/base/equal.ts'
import { propertyRuns } from '../run/budget.ts'

const bytes = fc.uint8Array({ maxLength: 3 }).map(array => Buffer.from(array))
const leaf = fc.oneof(fc.constantFrom('', 'a', 0, 1, true, false, null, 1n, 2n), bytes)
const { value } = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), tie('value'), { noNullPrototype: true }),
  ),
}))

t.test('as Node compares it', async t => {
  const property = fc.property(value, value, (a, b) => same(a, b) === isDeepStrictEqual(a, b))
  fc.assert(property, { numRuns: 10 * propertyRuns() })
  t.pass('in every case')
})

t.test('what is copied is the same, in any order of keys', async t => {
  fc.assert(fc.property(value, a => same(a, structuredCopy(a))))
  t.ok(same({ a: 1, b: [{ c: '' }] }, { b: [{ c: '' }], a: 1 }))
  const different: [unknown, unknown][] = [
    [[], {}],
    [{}, []],
    [null, {}],
    [Buffer.from('a'), ['a']],
    [{ a: 1 }, { a: 1, b: 1 }],
    [[1], [1, 1]],
    ['1', 1],
  ]
  for (const [a, b] of different) t.notOk(same(a, b), JSON.stringify([a, b]))
})

/** structuredClone makes other arrays of buffers. */
function structuredCopy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Buffer.isBuffer(value)) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(structuredCopy)
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, structuredCopy(one)]))
}
