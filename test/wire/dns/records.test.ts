/** Records: every type there and back, and what each specification says of its form. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { NameReader } from '../../../src/wire/dns/names.ts'
import { type DnsRecord, readRecord, writeRecordBody } from '../../../src/wire/dns/records.ts'
import { Sink } from '../../../src/wire/dns/sink.ts'
import { propertyRuns } from '../../run/budget.ts'
import { reasonOf, record } from './arbitraries.ts'

const owner = { name: 'a.', class: 1, ttlS: 60 }

function write(value: DnsRecord): Buffer {
  const sink = new Sink(undefined, 65_535)
  sink.name(value.name, false)
  writeRecordBody(sink, value)
  return sink.take()
}

/** The record whose bytes these are, or why there is none. */
function read(bytes: Buffer): DnsRecord | string | undefined {
  let value: DnsRecord | undefined
  const reason = reasonOf(() => {
    value = readRecord(new NameReader(bytes), 0).record
  })
  return reason ?? value
}

const dataOf = (value: object): string =>
  write({ ...owner, ...value } as DnsRecord)
    .subarray(11)
    .toString('latin1')

const ofData = (type: number, data: string, size = data.length) => {
  const head = Buffer.from([1, 97, 0, 0, type, 0, 1, 0, 0, 0, 60, 0, size])
  return read(Buffer.concat([head, Buffer.from(data, 'latin1')]))
}

t.test('any record of any type survives', async () => {
  fc.assert(
    fc.property(record, value => isDeepStrictEqual(read(write(value)), value)),
    { numRuns: 10 * propertyRuns() },
  )
})

t.test('data as the specifications lay it out', async t => {
  t.equal(dataOf({ type: 'A', data: '10.0.0.1' }), '\0\x04\x0a\0\0\x01')
  t.equal(dataOf({ type: 'AAAA', data: '::1' }), `\0\x10${'\0'.repeat(15)}\x01`)
  t.equal(dataOf({ type: 'TXT', data: ['a=b', ''] }), '\0\x05\x03a=b\0')
  const srv = { priority: 1, weight: 2, port: 80, target: 'b.' }
  t.equal(dataOf({ type: 'SRV', data: srv }), '\0\x09\0\x01\0\x02\0\x50\x01b\0')
  t.equal(dataOf({ type: 'MX', data: { preference: 5, exchange: '.' } }), '\0\x03\0\x05\0')
})

t.test(
  'RFC 1035 3.3.14: a TXT record is one or more strings, each of 255 bytes at most',
  async t => {
    t.equal(dataOf({ type: 'TXT', data: [] }), '\0\x01\0')
    const long = write({ ...owner, type: 'TXT', data: ['x'.repeat(600)] })
    t.match(read(long), { data: ['x'.repeat(255), 'x'.repeat(255), 'x'.repeat(90)] })
    t.equal(ofData(16, ''), 'a TXT record holds no string')
    t.equal(ofData(16, '\x03ab'), 'a character-string is cut off')
  },
)

t.test('RFC 2181 8: a TTL with the top bit set is read as zero', async t => {
  const bytes = write({ ...owner, type: 'A', data: '1.2.3.4' })
  bytes[7] = 0x80
  t.match(read(bytes), { ttlS: 0 })
})

t.test('types that are not known, and classes other than IN, keep their raw data', async t => {
  t.match(ofData(200, 'xyz'), { type: 'TYPE200', data: 'xyz' })
  const chaos = write({ ...owner, type: 'A', data: '1.2.3.4' })
  chaos[6] = 3
  t.same(read(chaos), { ...owner, class: 3, type: 'TYPE1', data: '\x01\x02\x03\x04' })
})

t.test('data that is shorter or longer than its fields', async t => {
  t.equal(ofData(1, 'abc'), 'an address is cut off')
  t.equal(ofData(28, 'abcd'), 'an address is cut off')
  t.equal(ofData(2, '\x01b\0x'), 'a name in data is not well formed')
  t.equal(ofData(33, '\0\0\0\0\0\0'), 'an SRV record is cut off')
  t.equal(ofData(15, '\0\0'), 'an MX record is cut off')
  t.equal(ofData(6, `\0\0${'\0'.repeat(19)}`), 'an SOA record is not well formed')
  t.equal(ofData(6, '\0\x01'), 'an SOA record is not well formed')
  t.equal(ofData(1, 'abcd', 5), 'the data of a record is cut off')
  t.equal(read(Buffer.from([0, 0, 1])), 'a record is cut off')
  t.equal(read(Buffer.from([5, 0, 1])), 'an owner name is not well formed')
})

t.test('values without a wire form', async t => {
  const bad: object[] = [
    { type: 'A', data: '::1' },
    { type: 'A', data: 'x' },
    { type: 'AAAA', data: '1.2.3.4' },
    { type: 'NS', data: 'a..b' },
    { type: 'SRV', data: { priority: 0, weight: 0, port: 65_536, target: '.' } },
    { type: 'SRV', data: { priority: 0, weight: 0.5, port: 1, target: '.' } },
    { type: 'TYPE41', data: '' },
    { type: 'TYPE70000', data: '' },
    { type: 'TYPE65', data: 'x'.repeat(65_536) },
    { type: 'A', data: '1.2.3.4', ttlS: -1 },
    { type: 'A', data: '1.2.3.4', ttlS: 2 ** 31 },
    { type: 'A', data: '1.2.3.4', ttlS: Number.NaN },
  ]
  for (const value of bad) {
    const said = JSON.stringify(value).slice(0, 60)
    t.type(
      reasonOf(() => dataOf(value)),
      'string',
      said,
    )
  }
})
