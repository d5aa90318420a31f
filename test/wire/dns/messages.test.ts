/** Whole messages: round trips, strictness, arbitrary bytes. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { encodeMessage, Malformed, type Message, parseMessage } from '../../../src/wire/dns/mod.ts'
import { propertyRuns } from '../../run/budget.ts'
import { encoded, message, parsed, queryFor } from './arbitraries.ts'

const reasonOf = (bytes: Buffer): string | undefined => {
  const value = parseMessage(bytes)
  return value instanceof Malformed ? value.reason : undefined
}

t.test('any message survives, uncompressed to the letter', async () => {
  fc.assert(
    fc.property(message, value => isDeepStrictEqual(parsed(encoded(value, false)), value)),
    { numRuns: 5 * propertyRuns() },
  )
})

t.test('any message survives compression, apart from the case of letters in names', async t => {
  const folded = (value: Message) => JSON.stringify(value).toLowerCase()
  fc.assert(
    fc.property(message, value => {
      const bytes = encoded(value)
      const shorter = bytes.length <= encoded(value, false).length
      return shorter && folded(parsed(bytes)) === folded(parsed(encoded(value, false)))
    }),
    { numRuns: 5 * propertyRuns() },
  )
  const question = encoded(queryFor('Web.Service.Consul.', 'A'))
  t.match(
    parsed(question),
    { questions: [{ name: 'Web.Service.Consul.' }] },
    'kept in the question',
  )
})

t.test('cut off at any byte, or with one more, a message is refused', async () => {
  fc.assert(
    fc.property(message, value => {
      const bytes = encoded(value)
      for (let size = 0; size < bytes.length; size++) {
        if (reasonOf(bytes.subarray(0, size)) === undefined) return false
      }
      return reasonOf(Buffer.concat([bytes, Buffer.alloc(1)])) === 'bytes are left over'
    }),
    { numRuns: propertyRuns() / 5 },
  )
})

t.test(
  'arbitrary and mutilated bytes give a message or a reason, which can be written',
  async () => {
    const noise = fc.uint8Array({ maxLength: 600 }).map(array => Buffer.from(array))
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
    const mutilated = fc.tuple(message, flips).map(([value, changes]) => {
      const bytes = encoded(value)
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      return bytes
    })
    fc.assert(
      fc.property(fc.oneof(noise, mutilated), bytes => {
        const value = parseMessage(bytes)
        if (value instanceof Malformed) return true
        const again = encodeMessage(value, false)
        // Names that were shared can make it longer than a message; nothing else may be lost.
        if (again instanceof Malformed) return again.reason === 'the message is too long'
        return isDeepStrictEqual(parsed(again), value)
      }),
      { numRuns: 20 * propertyRuns() },
    )
  },
)

t.test('the greediest message costs no more than its records', async t => {
  // A name of 255 bytes, then as many records as fit, each owned by a pointer to it.
  const label = `\x3f${'a'.repeat(63)}`
  const name = `${label.repeat(3)}\x3d${'\0'.repeat(61)}\0`
  const record = '\xc0\x0c\0\x02\0\x01\0\0\0\0\0\x02\xc0\x0c'
  const count = Math.floor((65_535 - 12 - 259) / record.length)
  const head = Buffer.from([0, 1, 0x80, 0, 0, 1, count >> 8, count & 255, 0, 0, 0, 0])
  const bytes = Buffer.from(`${name}\0\x02\0\x01${record.repeat(count)}`, 'latin1')
  const value = parsed(Buffer.concat([head, bytes]))
  t.equal(value.answers.length, count)
  t.equal(value.answers.at(-1)?.name, value.questions[0]?.name)
})

t.test('sections that promise more than there is', async t => {
  const bytes = encoded(queryFor('a.', 'A'))
  bytes.writeUInt16BE(65_535, 6)
  t.equal(reasonOf(bytes), 'an owner name is not well formed')
  t.equal(reasonOf(Buffer.alloc(11)), 'the header is cut off')
  t.equal(reasonOf(Buffer.alloc(65_536)), 'the message is too long')
})

const optBytes = '\0\0\x29\x04\xd0\0\0\0\0\0\0'
const withRecords = (counts: number[], records: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, 1, 0, 0, 0, 0, ...counts.flatMap(count => [0, count])]),
    Buffer.from(records, 'latin1'),
  ])

t.test('RFC 6891 6.1.1: one OPT at most, among the additionals, owned by the root', async t => {
  t.match(parsed(withRecords([0, 0, 1], optBytes)), { edns: { udpSizeBytes: 1232, options: [] } })
  t.equal(reasonOf(withRecords([1, 0, 0], optBytes)), 'OPT is out of place')
  t.equal(reasonOf(withRecords([0, 1, 0], optBytes)), 'OPT is out of place')
  t.equal(reasonOf(withRecords([0, 0, 2], optBytes.repeat(2))), 'there is more than one OPT record')
  const owned = `\x01a${optBytes}`
  t.equal(reasonOf(withRecords([0, 0, 1], owned)), 'OPT has an owner other than the root')
  const half = `${optBytes.slice(0, -1)}\x03\0\x0a\0`
  t.equal(reasonOf(withRecords([0, 0, 1], half)), 'an EDNS option is cut off')
  const long = `${optBytes.slice(0, -1)}\x04\0\x0a\0\x01`
  t.equal(reasonOf(withRecords([0, 0, 1], long)), 'an EDNS option is cut off')
})

t.test('RFC 6891 6.1.3: the upper eight bits of the response code stand in OPT', async t => {
  const edns = { udpSizeBytes: 1232, version: 0, dnssecOk: true, options: [] }
  t.match(parsed(encoded(queryFor('a.', 'A', { rcode: 16, edns }))), { rcode: 16, edns })
  t.match(
    encodeMessage(queryFor('a.', 'A', { rcode: 16 })),
    new Malformed('a number is out of range'),
  )
})

t.test('a message without a wire form', async t => {
  const bad: Message[] = [
    queryFor('a..b', 'A'),
    queryFor('a.', 'TYPE99999'),
    queryFor('a.', 'A', { id: 65_536 }),
    queryFor('a.', 'A', { opcode: 16 }),
    queryFor('a.', 'A', { answers: [{ name: 'a.', class: 1, ttlS: 0, type: 'A', data: '' }] }),
  ]
  for (const value of bad) t.ok(encodeMessage(value) instanceof Malformed)
  const data = 'x'.repeat(40_000)
  const large = { name: 'a.', class: 1, ttlS: 0, type: 'TYPE65', data } as const
  t.match(encodeMessage(queryFor('a.', 'A', { answers: [large, large] })), {
    reason: 'the message is too long',
  })
})

t.test('a real answer: two servers of one zone, compressed by another program', async t => {
  const bytes = Buffer.from(
    '1c2a81800001000200000002' +
      '076578616d706c6503636f6d0000020001' +
      'c00c000200010000003c0006036e7331c00c' +
      'c00c000200010000003c0006036e7332c00c' +
      'c029000100010000003c00040a000001' +
      '00002904d0000000000000',
    'hex',
  )
  t.match(parsed(bytes), {
    id: 0x1c2a,
    response: true,
    recursionDesired: true,
    recursionAvailable: true,
    questions: [{ name: 'example.com.', type: 'NS', class: 1 }],
    answers: [
      { name: 'example.com.', type: 'NS', ttlS: 60, data: 'ns1.example.com.' },
      { name: 'example.com.', type: 'NS', ttlS: 60, data: 'ns2.example.com.' },
    ],
    additionals: [{ name: 'ns1.example.com.', type: 'A', data: '10.0.0.1' }],
    edns: { udpSizeBytes: 1232 },
  })
  t.equal(encoded(parsed(bytes)).toString('hex'), bytes.toString('hex'), 'ours is the same')
})
