/**
 * Byte strings: every text and every buffer there and back, and prefixes that end where they must.
 */
import fc from 'fast-check'
import t from 'tap'
import { afterPrefix, fromBuffer, fromText, owned, toBuffer, toText } from '../../src/base/bytes.ts'
import { propertyRuns } from '../run/budget.ts'

const runs = { numRuns: 5 * propertyRuns() }
const byte = fc.integer({ min: 0, max: 255 }).map(n => String.fromCharCode(n))
const bytes = fc.string({ unit: fc.oneof(byte, fc.constantFrom('\u00ff', '\u0000')) })

t.test('text and buffers', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const same = text.isWellFormed() ? text : text.toWellFormed()
      return toText(fromText(text)) === same && toBuffer(fromText(text)).toString() === same
    }),
    runs,
  )
  fc.assert(
    fc.property(fc.uint8Array(), array => toBuffer(fromBuffer(array)).equals(array)),
    runs,
  )
  t.equal(fromText('ascii'), 'ascii')
  t.equal(fromText('ü'), '\u00c3\u00bc')
  t.equal(toText('\u00ff'), '\ufffd')
  const part = new Uint8Array([1, 2, 3]).subarray(1)
  t.equal(fromBuffer(part), '\u0002\u0003', 'a part of a larger buffer')
})

t.test('what lies behind all that begin with a prefix', async t => {
  fc.assert(
    fc.property(bytes, bytes, bytes, (prefix, rest, other) => {
      const end = afterPrefix(prefix)
      if (end === undefined) return /^\u00ff*$/.test(prefix)
      const isInside = other >= prefix && other < end
      return prefix + rest < end && isInside === other.startsWith(prefix)
    }),
    runs,
  )
  t.equal(afterPrefix(''), undefined)
  t.equal(afterPrefix('a/'), 'a0')
  t.equal(afterPrefix('a\u00ff'), 'b')
})

t.test('what is kept keeps no slab of the pool', async t => {
  const slab = Buffer.from('a small one')
  t.ok(slab.buffer.byteLength > slab.length, 'it is cut out of a slab')
  const kept = owned(slab)
  t.equal(kept.toString(), 'a small one')
  t.equal(kept.buffer.byteLength, kept.length)
  t.equal(owned(kept), kept, 'what has its own memory is not copied')
})
