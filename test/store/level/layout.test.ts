/**
 * Records of the level engine: what is encoded is decoded, and any change to one is found.
 */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { type Revision, revision } from '../../../src/base/brand.ts'
import {
  CHAIN_START,
  chainAfter,
  decodeHead,
  decodeLog,
  decodeRow,
  encodeHead,
  encodeLog,
  encodeRow,
  fullKeyOf,
  type Head,
  logKey,
  recordSum,
  rowKey,
  rowRange,
} from '../../../src/store/level/layout.ts'
import { ROOM_SIZE_BYTES } from '../../../src/store/local.ts'
import { rowSum } from '../../../src/store/table.ts'
import { propertyRuns, untilBudget } from '../../run/budget.ts'

const byte = fc.integer({ min: 0, max: 255 }).map(n => String.fromCharCode(n))
const bytes = fc.string({ unit: byte, maxLength: 40 })
const at = fc.integer({ min: 1, max: 2 ** 40 }).map(revision)
const value = fc.uint8Array({ maxLength: 60 }).map(array => Buffer.from(array))
const write = fc
  .record({
    at,
    fullKey: bytes,
    value: fc.option(value, { nil: undefined }),
    createRevision: at,
    version: fc.nat(),
    lease: fc.string({ maxLength: 36, unit: 'grapheme-ascii' }),
  })
  .map(one => ({ ...one, sum: one.value === undefined ? 0 : rowSum(one.fullKey, one.value) }))
const log = fc.record({
  first: at,
  last: at,
  previousChain: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(array => Buffer.from(array)),
  writes: fc.array(write, { maxLength: 5 }),
  touched: fc
    .array(fc.tuple(fc.string({ unit: 'grapheme' }), at), { maxLength: 5 })
    .map(entries => new Map<string, Revision>(entries)),
})
const runs = { numRuns: propertyRuns() }

t.test('rows', async t => {
  const property = fc.property(write, value, (one, body) => {
    const row = { ...one, sum: rowSum(one.fullKey, body) }
    const roomy = Buffer.concat([Buffer.alloc(ROOM_SIZE_BYTES + one.lease.length), body])
    if (!encodeRow({ ...row, roomy }, body).equals(encodeRow(row, body))) return false
    const decoded = decodeRow(encodeRow(row, body), bytes => rowSum(one.fullKey, bytes))!
    const { createRevision, modRevision, version, lease } = decoded.header
    return (
      decoded.value.equals(body) &&
      createRevision === one.createRevision &&
      modRevision === one.at &&
      version === one.version &&
      lease === one.lease &&
      decoded.recordSum === recordSum({ ...decoded.header, sum: row.sum })
    )
  })
  fc.assert(property, runs)
  t.pass('as they were')
})

t.test('a row under another key, or with another header, has another sum', async t => {
  const property = fc.property(write, value, at, (one, body, other) => {
    const row = { ...one, value: body, sum: rowSum(one.fullKey, body) }
    const record = encodeRow(row, body)
    if (decodeRow(record, bytes => rowSum(`${one.fullKey}x`, bytes)) !== undefined) return false
    if (other === one.at) return true
    const header = { ...one, modRevision: one.at }
    return recordSum(header) !== recordSum({ ...header, modRevision: other })
  })
  fc.assert(property, runs)
  t.pass('it has')
})

t.test('log records and their chain', async t => {
  const property = fc.property(log, one => {
    const encoded = encodeLog(one)
    const decoded = decodeLog(logKey(one.first), encoded)!
    const writes = one.writes.map(write => ({ ...write, sum: 0 }))
    if (!isDeepStrictEqual(decoded, { ...one, writes })) return false
    if (decodeLog(logKey(one.first + 1), encoded) !== undefined) return false
    const next = { ...one, previousChain: chainAfter(one.previousChain) }
    return (
      chainAfter(encoded).length === 32 && !chainAfter(encodeLog(next)).equals(chainAfter(encoded))
    )
  })
  fc.assert(property, runs)
  t.pass('as they were')
})

const head: Head = {
  format: 1,
  clusterId: 'cluster',
  generation: 3,
  indexOffset: 100,
  revision: 12,
  chain: CHAIN_START.toString('hex'),
  sum: 99,
  rows: 7,
  logFloor: 2,
  logFloorChain: CHAIN_START.toString('hex'),
}

t.test('any changed byte of any record is found', async t => {
  const records: [string, (record: Buffer) => unknown, Buffer][] = []
  records.push(['head', decodeHead, encodeHead(head)])
  for (const one of fc.sample(write, { seed: 1, numRuns: 20 })) {
    const body = one.value ?? Buffer.from('body')
    const record = encodeRow({ ...one, sum: rowSum(one.fullKey, body) }, body)
    records.push(['row', got => decodeRow(got, bytes => rowSum(one.fullKey, bytes)), record])
  }
  for (const one of fc.sample(log, { seed: 1, numRuns: 20 })) {
    records.push(['log', got => decodeLog(logKey(one.first), got), encodeLog(one)])
  }
  for (const [kind, decode, record] of records) {
    t.not(decode(record), undefined, `${kind} is whole`)
    for (let at = 0; at < record.length; at++) {
      for (const mask of [1, 0x80, 0xff]) {
        const changed = Buffer.from(record)
        changed[at]! ^= mask
        if (decode(changed) !== undefined) t.fail(`${kind} with byte ${at} changed by ${mask}`)
      }
      if (decode(record.subarray(0, at)) !== undefined) t.fail(`${kind} cut at ${at}`)
    }
  }
})

t.test('noise is no record, nor are zeroes', async t => {
  for (let size = 0; size < 200; size++) {
    const zeroes = Buffer.alloc(size)
    if (decodeHead(zeroes) ?? decodeLog(logKey(0), zeroes)) t.fail(`${size} zeroes`)
  }
  const noise = fc.uint8Array({ maxLength: 300 })
  const count = await untilBudget('records of noise', 200_000, index => {
    const [sample] = fc.sample(noise, { seed: index, numRuns: 1 })
    const record = Buffer.from(sample!)
    if (decodeHead(record) ?? decodeLog(logKey(1), record) ?? decodeRow(record, () => 0)) {
      throw new Error(`seed ${index} is taken for a record`)
    }
  })
  t.ok(count > 0)
})

t.test('keys lie in order, generations apart', async t => {
  const property = fc.property(fc.nat(2 ** 20), bytes, bytes, (generation, a, b) => {
    const [from, to] = rowRange(generation)
    const [one, other] = [rowKey(generation, a), rowKey(generation, b)]
    const order = a < b ? -1 : a > b ? 1 : 0
    const isInside = one.compare(from) >= 0 && one.compare(to) < 0
    return fullKeyOf(one) === a && one.compare(other) === order && isInside
  })
  fc.assert(property, runs)
  t.ok(logKey(255).compare(logKey(256)) < 0)
})
