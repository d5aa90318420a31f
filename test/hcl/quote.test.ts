/**
 * What is quoted is read as the same text, whatever it holds.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parse } from '../../src/hcl/hcl.ts'
import { quoteHcl } from '../../src/hcl/quote.ts'
import { propertyRuns } from '../run/budget.ts'

const read = (text: string): unknown => parse(`a = ${quoteHcl(text)}`, { format: 'hcl' }).a

t.test('any text', async () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^["\\\\${}\n]*$/))
  fc.assert(
    fc.property(text, one => assert.equal(read(one), one)),
    { numRuns: propertyRuns() },
  )
})

t.test('nothing is interpolated, and no string is ended', async t => {
  for (const text of [`$${'{a}'}`, `$${'{'}`, '"', '\\', '\\"', 'a" { }', '\n'])
    t.equal(read(text), text)
})
