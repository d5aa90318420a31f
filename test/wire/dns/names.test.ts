/** Names: text and wire forms, their bounds, pointers. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import {
  labelsOf,
  lowerName,
  NameReader,
  nameFromLabels,
  nameFromText,
  nameToText,
  ROOT,
} from '../../../src/wire/dns/names.ts'
import { propertyRuns } from '../../run/budget.ts'
import { bytes, wireName } from './arbitraries.ts'

t.test('text to wire form and back', async t => {
  t.equal(nameFromText('.'), ROOT)
  t.equal(nameFromText('web.service.consul'), '\x03web\x07service\x06consul\0')
  t.equal(nameFromText('web.service.consul.'), '\x03web\x07service\x06consul\0')
  t.equal(nameFromText('a\\.b.c'), '\x03a.b\x01c\0')
  t.equal(nameFromText('a\\\\b'), '\x03a\\b\0')
  t.equal(nameFromText('\\000\\255x'), '\x03\0\xffx\0')
  t.equal(nameFromText('é'), '\x02\xc3\xa9\0', 'UTF-8')
  t.equal(nameToText('\x03a.b\x02\0 \0'), 'a\\.b.\\000\\032.')
  t.equal(nameToText(ROOT), '.')
  for (const bad of ['', '..', '.a', 'a..b', 'a\\', 'a\\25', 'a\\256', 'a\\2x0']) {
    t.equal(nameFromText(bad), undefined, JSON.stringify(bad))
  }
})

t.test('any name survives text', async () => {
  fc.assert(fc.property(wireName, name => nameFromText(nameToText(name)) === name))
  fc.assert(fc.property(wireName, name => nameFromLabels(labelsOf(name)) === name))
})

t.test('any text gives a name within the bounds, or none', async () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 400 }), text => {
      const name = nameFromText(text)
      return name === undefined || (name.length <= 255 && nameFromText(nameToText(name)) === name)
    }),
  )
})

t.test('RFC 1035 2.3.4: "labels 63 octets or less, names 255 octets or less"', async t => {
  t.equal(nameFromText('a'.repeat(63))?.length, 65)
  t.equal(nameFromText('a'.repeat(64)), undefined)
  const label = 'a'.repeat(63)
  t.equal(nameFromText([label, label, label, 'a'.repeat(61)].join('.'))?.length, 255)
  t.equal(nameFromText([label, label, label, 'a'.repeat(62)].join('.')), undefined)
  t.equal(nameFromText(`${'\\097'.repeat(63)}.b`)?.length, 67, 'counted without escapes')
})

t.test('RFC 4343: only ASCII letters have a case', async t => {
  t.equal(lowerName('\x05WeB[\xc0\0'), '\x05web[\xc0\0')
  const long = nameFromText(`${'Z'.repeat(63)}.${'@'.repeat(63)}`)!
  t.equal(lowerName(long), long.replaceAll('Z', 'z'), 'octets of length stay')
})

const header = '\0'.repeat(12)
const read = (after: string, offset: number) =>
  new NameReader(Buffer.from(header + after, 'latin1')).read(offset)

t.test('RFC 1035 4.1.4: names, labels and a pointer, or a pointer alone', async t => {
  const names = '\x01F\x03ISI\x04ARPA\0\x03FOO\xc0\x0c\xc0\x12'
  t.same(read(names, 12), {
    text: 'F.ISI.ARPA.',
    hops: 0,
    name: '\x01F\x03ISI\x04ARPA\0',
    endOffset: 24,
  })
  t.same(read(names, 24), {
    text: 'FOO.F.ISI.ARPA.',
    hops: 1,
    name: '\x03FOO\x01F\x03ISI\x04ARPA\0',
    endOffset: 30,
  })
  t.same(read(names, 30), { text: 'ARPA.', hops: 1, name: '\x04ARPA\0', endOffset: 32 })
})

t.test('what is no name', async t => {
  t.equal(read('', 12), undefined, 'nothing')
  t.equal(read('\x03ab', 12), undefined, 'cut off in a label')
  t.equal(read('\x02ab', 12), undefined, 'no end')
  t.equal(read('\xc0', 12), undefined, 'half a pointer')
  t.equal(read('\xc0\x0c', 12), undefined, 'a pointer to itself')
  t.equal(read('\x01a\xc0\x0c', 12), undefined, 'a pointer to its own name')
  t.equal(read('\xc0\x0e\0', 12), undefined, 'a pointer forwards')
  t.equal(read('\0\xc0\x02', 13), undefined, 'a pointer into the header')
  t.equal(read('\xc0\x0e\xc0\x0c', 14), undefined, 'two that point at each other')
  t.equal(read('\x40a\0', 12), undefined, 'an extended label (RFC 6891 5)')
  t.equal(read('\x80a\0', 12), undefined, 'a reserved label')
})

t.test('a name that grows above 255 by pointers is refused', async t => {
  // Each part is 32 bytes and points at the part before it.
  let message = `${header}\x1e${'a'.repeat(30)}\0`
  const offsets = [12]
  for (let i = 0; i < 12; i++) {
    const target = offsets.at(-1)!
    offsets.push(message.length)
    message += `\x1e${'a'.repeat(30)}\xc0${String.fromCharCode(target)}`
    if (message.length > 255) break
  }
  const last = `${message}\x06aaaaaa\xc0${String.fromCharCode(offsets.at(-1)!)}`
  const reader = new NameReader(Buffer.from(last, 'latin1'))
  t.equal(new NameReader(reader.message).read(message.length), undefined)
  const sizes = offsets.map(offset => reader.read(offset)?.name.length)
  t.same(sizes, [32, 63, 94, 125, 156, 187, 218, 249])
  t.equal(reader.read(message.length), undefined, 'nor when its parts were read before')
})

t.test(
  'pointers at pointers: as many as a name has labels, in whatever order they are read',
  async t => {
    const count = 140
    let after = '\0'
    for (let i = 0; i < count; i++) {
      const target = i === 0 ? 12 : 13 + 2 * (i - 1)
      after += String.fromCharCode(0xc0 | (target >> 8), target & 255)
    }
    const buffer = Buffer.from(header + after, 'latin1')
    const offsets = Array.from({ length: count }, (_, i) => 13 + 2 * i)
    const readAll = (order: number[]) => {
      const reader = new NameReader(buffer)
      return order.filter(offset => reader.read(offset) !== undefined).sort((a, b) => a - b)
    }
    t.same(readAll(offsets), offsets.slice(0, 127))
    t.same(readAll(offsets.toReversed()), offsets.slice(0, 127))
  },
)

t.test('what was read before makes no difference', async () => {
  const piece = fc.oneof(
    fc.constantFrom('\x01a', '\x02bc', '\0', `\x3f${'d'.repeat(63)}`),
    fc.integer({ min: 12, max: 90 }).map(at => `\xc0${String.fromCharCode(at)}`),
  )
  const message = fc.array(piece, { maxLength: 40 }).map(pieces => header + pieces.join(''))
  fc.assert(
    fc.property(message, fc.array(fc.nat(90), { maxLength: 20 }), (text, offsets) => {
      const reader = new NameReader(Buffer.from(text, 'latin1'))
      return offsets.every(offset => {
        const fresh = new NameReader(reader.message).read(offset)
        return isDeepStrictEqual(reader.read(offset), fresh)
      })
    }),
    { numRuns: 20 * propertyRuns() },
  )
})

t.test('arbitrary bytes give a name within the bounds, or none', async () => {
  const piece = fc.oneof(
    bytes(1, 20),
    fc.integer({ min: 0, max: 200 }).map(at => `\xc0${String.fromCharCode(at)}`),
    fc.constant('\x01a'),
  )
  const message = fc.array(piece, { maxLength: 60 }).map(pieces => pieces.join(''))
  fc.assert(
    fc.property(message, fc.nat(200), (text, offset) => {
      const buffer = Buffer.from(text, 'latin1')
      const name = new NameReader(buffer).read(offset)
      if (name === undefined) return true
      const end = name.endOffset > offset && name.endOffset <= buffer.length
      const canonical = nameFromText(name.text) === name.name
      return end && canonical && name.name.length <= 255 && nameToText(name.name) === name.text
    }),
    { numRuns: 20 * propertyRuns() },
  )
})
