/** Base64, strictly. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  decode,
  decodeUrl,
  illegalBase64,
} from '../../../../../src/secrets/engine/transit/key/base64.ts'
import { propertyRuns } from '../../../../run/budget.ts'

t.test('bytes come back, however long they are', t => {
  const property = fc.property(fc.uint8Array({ maxLength: 400 }), bytes => {
    const text = Buffer.from(bytes).toString('base64')
    assert.deepEqual(decode(text), Buffer.from(bytes))
    const broken = `${text.slice(0, 5)}\r\n${text.slice(5)}\n`
    assert.deepEqual(decode(broken), Buffer.from(bytes), 'line ends are passed over')
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.end()
})

t.test('what a definition refuses is refused, and nothing else', t => {
  const unit = fc.constantFrom(
    'A',
    'z',
    '9',
    '+',
    '/',
    '=',
    '-',
    '_',
    ' ',
    '\n',
    '\t',
    'é',
    '\u0155',
  )
  const property = fc.property(fc.string({ unit, maxLength: 12 }), text => {
    const bare = text.replaceAll(/[\r\n]/g, '')
    const isBase64 = bare.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(bare)
    assert.equal(decode(text) !== undefined, isBase64, JSON.stringify(text))
    if (isBase64) assert.deepEqual(decode(text), Buffer.from(bare, 'base64'))
  })
  fc.assert(property, { numRuns: 50 * propertyRuns() })
  t.end()
})

t.test('what is refused is told as Go tells it', t => {
  t.equal(illegalBase64('ab!d'), 'illegal base64 data at input byte 2')
  t.equal(illegalBase64('abcde'), 'illegal base64 data at input byte 4')
  t.equal(illegalBase64('YQ==YQ=='), 'illegal base64 data at input byte 4')
  t.equal(illegalBase64('YQ=a'), 'illegal base64 data at input byte 0')
  t.equal(illegalBase64('YQ'), 'illegal base64 data at input byte 0')
  t.equal(illegalBase64('-'), 'illegal base64 data at input byte 0')
  t.end()
})

t.test('base64 for URLs has no padding', t => {
  t.strictSame(decodeUrl('_-8'), Buffer.from([0xff, 0xef]))
  for (const text of ['_-8=', 'a', '+A', 'ab c']) t.equal(decodeUrl(text), undefined, text)
  t.end()
})
