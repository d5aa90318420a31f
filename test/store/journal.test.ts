/**
 * Records of the audit journal: their form, their chain, and the book of what is there.
 */
import fc from 'fast-check'
import t from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import {
  chainFault,
  chainOver,
  decodeRecord,
  framed,
  JOURNAL_START,
  JournalBook,
  type JournalMark,
  type JournalRecord,
  sealRecord,
  stampOf,
  unframed,
} from '../../src/store/journal.ts'
import { plain } from '../fake/record.ts'
import { propertyRuns } from '../run/budget.ts'

const AT = wallMs(1_700_000_000_123)
const body = (value: object): Buffer => Buffer.from(JSON.stringify(value), 'utf8')

const mark = fc.record({
  sequence: fc.nat(2 ** 40),
  chain: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes)),
})
const value = fc.record({ name: fc.string({ unit: 'grapheme' }), more: fc.jsonValue() })
const time = fc.integer({ min: 0, max: 4_102_444_800_000 }).map(wallMs)

t.test('a record is its fields behind its number and its time', async t => {
  const record = sealRecord(
    body({ name: 'é', n: 1 }),
    { sequence: 41, chain: Buffer.alloc(32, 7) },
    AT,
  )
  t.equal(
    record.text.toString('utf8'),
    '{"v":1,"seq":42,"time":"2023-11-14T22:13:20.123Z","name":"é","n":1}',
  )
  t.same(stampOf(record.text), { sequence: 42, timeMs: AT })
  t.throws(() => sealRecord(body({}), JOURNAL_START, AT), { name: 'AssertionError' })
  t.throws(() => sealRecord(Buffer.from('"text"'), JOURNAL_START, AT), { name: 'AssertionError' })
})

t.test('what is stored is read back', async t => {
  const property = fc.property(mark, value, time, (after, fields, timeMs) => {
    const record = sealRecord(body(fields), after, timeMs)
    const read = decodeRecord(record.sequence, record.stored)!
    return (
      JSON.stringify(read) === JSON.stringify(plain(record)) &&
      chainOver(after.chain, read.text).equals(read.chain) &&
      chainFault(after, read) === undefined &&
      decodeRecord(record.sequence + 1, record.stored) === undefined
    )
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('it is')
})

t.test('records that are sealed behind each other are those that are sealed alone', async t => {
  const text = fc.string({ unit: 'grapheme', maxLength: 200 })
  const large = fc.nat(70_000).map(count => 'é'.repeat(count))
  const one = fc.tuple(fc.oneof({ weight: 9, arbitrary: text }, large), fc.boolean(), time)
  const property = fc.property(
    mark,
    fc.array(one, { minLength: 1, maxLength: 40 }),
    (floor, all) => {
      const book = new JournalBook(floor)
      let alone: JournalRecord | undefined
      const together: JournalRecord[] = []
      for (const [name, isText, timeMs] of all) {
        const said = JSON.stringify({ name })
        alone = plain(sealRecord(body({ name }), alone ?? floor, timeMs))
        together.push(book.seal(isText ? said : Buffer.from(said), timeMs))
        if (JSON.stringify(plain(together.at(-1)!)) !== JSON.stringify(alone)) return false
      }
      const block = framed(together)
      if (!block.equals(framed(together.map(plain)))) return false
      book.note(together)
      return (
        JSON.stringify(unframed(block)) === JSON.stringify(together.map(({ stored }) => stored)) &&
        JSON.stringify(book.head) ===
          JSON.stringify({ sequence: alone?.sequence, chain: alone?.chain })
      )
    },
  )
  fc.assert(property, { numRuns: Math.min(propertyRuns(), 200) })
  t.pass('they are')
  const [a, b, c] = chained(3) as [JournalRecord, JournalRecord, JournalRecord]
  const book = new JournalBook()
  const [first, , third] = [0, 1, 2].map(i => book.seal(body({ i }), wallMs(AT + i)))
  t.same(framed([first!, third!]), framed([a, c]), 'one that lies between is not taken along')
  t.same(framed([first!, b, third!]), framed([a, b, c]), 'one of elsewhere is')
  t.equal(unframed(framed([a, b]).subarray(0, -1)), undefined)
  t.throws(() => book.seal('"text"', AT), { name: 'AssertionError' })
})

t.test('any changed byte of a stored record is found, and any cut', async t => {
  const record = sealRecord(body({ name: 'x'.repeat(50) }), JOURNAL_START, AT)
  const stored = record.stored
  t.ok(decodeRecord(1, stored))
  for (let at = 0; at < stored.length; at++) {
    for (const mask of [1, 0x80, 0xff]) {
      const changed = Buffer.from(stored)
      changed[at]! ^= mask
      if (decodeRecord(1, changed) !== undefined) t.fail(`byte ${at} changed by ${mask}`)
    }
    if (decodeRecord(1, stored.subarray(0, at)) !== undefined) t.fail(`cut at ${at}`)
  }
  for (let size = 0; size < 200; size++) {
    if (decodeRecord(0, Buffer.alloc(size)) !== undefined) t.fail(`${size} zeroes`)
  }
})

t.test('a record that is missing, changed or moved is named', async t => {
  const [a, b, c, d] = chained(4) as [JournalRecord, JournalRecord, JournalRecord, JournalRecord]
  t.equal(chainFault(JOURNAL_START, a), undefined)
  t.equal(chainFault(a, b), undefined)
  t.equal(chainFault(a, c), 'record 2 is missing')
  t.equal(chainFault(a, d), 'records 2 to 3 are missing')
  const other = sealRecord(body({ name: 'forged' }), a, AT)
  t.match(chainFault(other, c), /^record 3 does not stand on the one before it/)
})

function chained(count: number): JournalRecord[] {
  const records: JournalRecord[] = []
  let after: JournalMark = JOURNAL_START
  for (let i = 0; i < count; i++) {
    const record = sealRecord(body({ i }), after, wallMs(AT + i))
    records.push(record)
    after = record
  }
  return records
}

t.test('the book: what is sealed, what is durable, what is left after a trim', async t => {
  const book = new JournalBook()
  t.same(book.head, JOURNAL_START)
  const first = book.seal(body({ i: 0 }), AT)
  const second = book.seal(body({ i: 1 }), AT)
  t.equal(book.head.sequence, 0, 'not durable yet')
  t.equal(chainFault(first, second), undefined)
  book.note([first])
  t.throws(() => book.note([first]), { name: 'AssertionError' }, 'in order')
  book.note([second])
  t.same(book.head, { sequence: 2, chain: second.chain })
  t.equal(book.sizeBytes, first.text.length + second.text.length)
  t.equal(book.floorFor(2), undefined, 'the segment is not whole below it')
  t.same(book.floorFor(3), { sequence: 2, chain: second.chain })
  book.trimmed(book.floorFor(3)!)
  t.same([book.floor.sequence, book.sizeBytes], [2, 0])
  book.trimmed(JOURNAL_START)
  t.equal(book.floor.sequence, 2)
})

t.test('the book: by size and by age, in segments, and no more at a time than a batch', async t => {
  const book = new JournalBook()
  const count = limits.journalTrimRecords + 3 * limits.journalSegmentRecords
  for (const record of chained(count)) book.note([record])
  const below = book.excess(0, wallMs(0))
  t.equal(below, count + 1)
  const floor = book.floorFor(below)!
  t.equal(floor.sequence, limits.journalTrimRecords)
  book.trimmed(floor)
  t.equal(book.excess(book.sizeBytes, wallMs(0)), 0)
  const half = book.excess(book.sizeBytes / 2, wallMs(0))
  t.equal((half - 1) % limits.journalSegmentRecords, 0)
  const isOld = wallMs(AT + floor.sequence + limits.journalSegmentRecords)
  t.equal(book.excess(book.sizeBytes, isOld), floor.sequence + limits.journalSegmentRecords + 1)
})

t.test('the book: what became durable together is never parted', async t => {
  const book = new JournalBook()
  const records = chained(limits.journalSegmentRecords + 10)
  book.note(records.slice(0, limits.journalSegmentRecords - 1))
  book.note(records.slice(limits.journalSegmentRecords - 1))
  t.equal(book.floorFor(limits.journalSegmentRecords + 1), undefined)
  t.equal(book.floorFor(records.length + 1)!.sequence, records.length)
})

t.test('the book: goes on from where it was opened', async t => {
  const [, , third, fourth] = chained(4)
  const book = new JournalBook({ sequence: 2, chain: third!.previousChain })
  book.note([third!])
  t.equal(book.seal(body({ i: 3 }), wallMs(AT + 3)).chain.equals(fourth!.chain), true)
})
