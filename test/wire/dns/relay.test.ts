/** Queries sent on and answers passed back: what changes and what must not; hostile answers. */
import fc from 'fast-check'
import t from 'tap'
import {
  isAnswerTo,
  type Message,
  newQuestion,
  readQuestion,
  relayQuery,
  writeRelayed,
} from '../../../src/wire/dns/mod.ts'
import { propertyRuns } from '../../run/budget.ts'
import { encoded, message, parsed, queryFor, record } from './arbitraries.ts'

const question = newQuestion()
const out = Buffer.alloc(65_535)
const edns = { udpSizeBytes: 1_232, version: 0, dnssecOk: true, options: [] }
const name = 'wWw.example.'

/** A query as it came and as it goes on. */
function sent(changes: Partial<Message> = {}) {
  const query = encoded(queryFor(name, 'A', { id: 1, ...changes }))
  readQuestion(query, question)
  return { query, on: relayQuery(query, question, { id: 2, udpSizeBytes: 1_400 }) }
}

t.test('a query goes on with its letters and bits, under another id', async t => {
  const bits = { recursionDesired: false, authenticData: true, checkingDisabled: true }
  t.match(parsed(sent({ ...bits, edns }).on), {
    ...bits,
    id: 2,
    response: false,
    questions: [{ name }],
    edns: { udpSizeBytes: 1_400, dnssecOk: true, options: [] },
  })
  t.equal(parsed(sent().on).edns, undefined)
})

t.test('what answers a query: its id, its question in any case', async t => {
  const { on } = sent()
  const good: Message = { ...parsed(on), response: true }
  const [one] = good.questions
  const answers = (changes: Partial<Message>): boolean =>
    isAnswerTo(on, encoded({ ...good, ...changes }))
  t.ok(answers({}))
  t.ok(answers({ questions: [{ ...one!, name: 'WWW.EXAMPLE.' }] }))
  t.ok(answers({ rcode: 1, questions: [] }), 'an error may leave it out')
  t.notOk(answers({ questions: [] }))
  t.notOk(answers({ rcode: 3, questions: [] }), 'that a name is absent is said of a name')
  t.notOk(answers({ id: 1 }))
  t.notOk(answers({ response: false }))
  t.notOk(answers({ opcode: 5 }))
  t.notOk(answers({ questions: [one!, one!] }))
  t.notOk(answers({ questions: [{ ...one!, name: 'vww.example.' }] }))
  t.notOk(answers({ questions: [{ ...one!, name: 'ww.example.' }] }))
  t.notOk(answers({ questions: [{ ...one!, type: 'AAAA' }] }))
  t.notOk(answers({ questions: [{ ...one!, class: 3 }] }))
  t.notOk(isAnswerTo(on, encoded(good).subarray(0, 20)))
  t.notOk(isAnswerTo(on, Buffer.alloc(0)))
})

t.test('property: records come back as they are, or are left out from the end', async t => {
  const sections = fc.record({
    answers: fc.array(record, { maxLength: 8 }),
    authorities: fc.array(record, { maxLength: 4 }),
    additionals: fc.array(record, { maxLength: 4 }),
    isSigned: fc.boolean(),
    sizeBytes: fc.integer({ min: 512, max: 4_096 }),
    asksEdns: fc.boolean(),
  })
  fc.assert(
    fc.property(sections, ({ isSigned, sizeBytes, asksEdns, ...records }) => {
      const { query, on } = sent(asksEdns ? { edns } : {})
      const given: Message = { ...parsed(on), ...records, response: true, authenticData: isSigned }
      const { edns: _, ...bare } = given
      const bytes = encoded(asksEdns ? { ...given, edns } : bare)
      const size = writeRelayed(out, query, question, bytes, sizeBytes)
      t.ok(size <= sizeBytes)
      const back = parsed(out.subarray(0, size))
      const all = (one: Message) => [...one.answers, ...one.authorities, ...one.additionals]
      const whole = all(parsed(bytes))
      t.strictSame(all(back), whole.slice(0, all(back).length))
      t.equal(back.id, 1)
      t.equal(
        back.truncated,
        back.answers.length + back.authorities.length <
          records.answers.length + records.authorities.length,
      )
      t.equal(back.authenticData, asksEdns && isSigned)
      t.equal(back.edns !== undefined, asksEdns)
      t.ok(back.recursionAvailable && !back.authoritative)
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('property: whatever is in an answer, what goes back is whole', async t => {
  const damaged = fc.tuple(message, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }))
  fc.assert(
    fc.property(damaged, fc.boolean(), ([given, flips], hasEdns) => {
      const { query, on } = sent(hasEdns ? { edns } : {})
      const bytes = encoded({ ...given, questions: parsed(on).questions })
      for (const [at, value] of flips) if (at > question.endOffset) bytes[at % bytes.length] = value
      const size = writeRelayed(out, query, question, bytes, 1_232)
      t.ok(size <= 1_232)
      if (size > 0) t.equal(out.readUInt16BE(0), 1)
    }),
    { numRuns: propertyRuns() },
  )
})
