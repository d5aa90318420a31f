/** The reader of questions: what is answered, refused, dropped; EDNS; arbitrary bytes. */
import fc from 'fast-check'
import t from 'tap'
import {
  DROP,
  labelsOf,
  lowerName,
  Malformed,
  nameFromText,
  newQuestion,
  parseMessage,
  Rcode,
  readQuestion,
} from '../../../src/wire/dns/mod.ts'
import { propertyRuns } from '../../run/budget.ts'
import { bytes, encoded, message, queryFor, textName } from './arbitraries.ts'

const question = newQuestion()
const hex = (digits: string): Buffer => Buffer.from(digits.replaceAll(' ', ''), 'hex')

/** A query whose parts are written by hand. */
function query(counts: [number, number, number, number], body: string, flags = 0x0100): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(flags, 2)
  for (const [i, count] of counts.entries()) head.writeUInt16BE(count, 4 + 2 * i)
  return Buffer.concat([head, Buffer.from(body, 'latin1')])
}

const name = '\x03Web\x06consul\0'
const asked = `${name}\0\x01\0\x01`
const opt = (data = '', version = 0): string =>
  `\0\0\x29\x10\0\0${String.fromCharCode(version)}\0\0\0${String.fromCharCode(data.length)}${data}`
const withOpt = (data: string): number =>
  readQuestion(query([1, 0, 0, 1], asked + opt(data)), question)

t.test('queries as dig 9.18 sends them', async t => {
  const plain = '515b 0120 0001 0000 0000 0000 03776562077365727669636506636f6e73756c00 0021 0001'
  t.equal(readQuestion(hex(plain), question), Rcode.noError)
  t.match(question, {
    endOffset: 36,
    typeCode: 33,
    classCode: 1,
    key: '\x03web\x07service\x06consul\0\0\x21\0\x01',
    hasEdns: false,
    udpSizeBytes: 512,
    dnssecOk: false,
    subnetOffset: 0,
    cookieOffset: 0,
  })
  const cookie =
    '3aa6 0120 0001 0000 0000 0001 03576562077365727669636506636f6e73756c00 0001 0001' +
    '00 0029 04d0 00000000 000c 000a 0008 e0b728507075de92'
  t.equal(readQuestion(hex(cookie), question), Rcode.noError)
  t.match(question, {
    key: '\x03web\x07service\x06consul\0\0\x01\0\x01',
    hasEdns: true,
    udpSizeBytes: 1232,
    dnssecOk: false,
    cookieOffset: 51,
    cookieSizeBytes: 8,
  })
  const dnssec =
    '2a3b 0120 0001 0000 0000 0001 045f776562045f74637006636f6e73756c00 0021 0001' +
    '00 0029 1000 00008000 0000'
  t.equal(readQuestion(hex(dnssec), question), Rcode.noError)
  t.match(question, { udpSizeBytes: 4096, dnssecOk: true, cookieOffset: 0, cookieSizeBytes: 0 })
  t.same(labelsOf(question.key), ['_web', '_tcp', 'consul'])
  const subnet =
    '4927 0120 0001 0000 0000 0001 03576562077365727669636506636f6e73756c00 0001 0001' +
    '00 0029 04d0 00000000 000b 0008 0007 0001 18 00 0a0102'
  t.equal(readQuestion(hex(subnet), question), Rcode.noError)
  t.match(question, { subnetOffset: 51, subnetSizeBytes: 7 })
  const version = '3ea0 0120 0001 0000 0000 0001 00 0002 0001 00 0029 04d0 00010000 0000'
  t.equal(readQuestion(hex(version), question), Rcode.badVers)
  t.match(question, { hasEdns: true, key: '\0\0\x02\0\x01', endOffset: 17 })
  const notify = 'd067 2120 0001 0000 0000 0000 00 0001 0001'
  t.equal(readQuestion(hex(notify), question), Rcode.notImp)
})

t.test('any query is read as parseMessage reads it', async () => {
  const names = fc.tuple(textName, fc.constantFrom('A', 'SRV', 'TYPE255', 'TYPE16730'))
  fc.assert(
    fc.property(names, message, ([name, type], other) => {
      // Neither the options nor the version are of the kinds that are judged here.
      const options = other.edns?.options.map(option => ({ ...option, code: 65_001 })) ?? []
      const edns = other.edns && { ...other.edns, version: 0, options }
      const { answers, additionals } = other
      const value = queryFor(name, type, { answers, additionals, ...(edns && { edns }) })
      const rcode = readQuestion(encoded(value), question)
      const lower = lowerName(nameFromText(name) ?? '')
      return (
        rcode === Rcode.noError &&
        question.key.slice(0, -4) === lower &&
        question.endOffset === 12 + question.key.length &&
        question.hasEdns === (edns !== undefined) &&
        question.dnssecOk === (edns?.dnssecOk ?? false) &&
        question.udpSizeBytes === Math.max(512, edns?.udpSizeBytes ?? 0)
      )
    }),
    { numRuns: 5 * propertyRuns() },
  )
})

t.test('letters of the name are lowered, bytes of type and class are not', async t => {
  t.equal(readQuestion(query([1, 0, 0, 0], '\x02A[\0\0\x41\x41\x42'), question), Rcode.noError)
  t.equal(question.key, '\x02a[\0\0\x41\x41\x42')
  t.equal(question.typeCode, 65)
  t.equal(question.classCode, 0x4142)
})

t.test('what gets no answer: less than a header, and responses', async t => {
  t.equal(readQuestion(Buffer.alloc(0), question), DROP)
  t.equal(readQuestion(query([1, 0, 0, 0], '').subarray(0, 11), question), DROP)
  t.equal(readQuestion(query([1, 0, 0, 0], asked, 0x8100), question), DROP)
})

t.test('RFC 1035 4.1.1: opcodes other than a standard query', async t => {
  for (let opcode = 1; opcode < 16; opcode++) {
    t.equal(readQuestion(query([1, 0, 0, 0], asked, opcode << 11), question), Rcode.notImp)
  }
  t.match(question, { endOffset: 12, key: '', hasEdns: false })
})

t.test('no question is refused; of two the first counts', async t => {
  t.equal(readQuestion(query([0, 0, 0, 0], ''), question), Rcode.refused)
  const two = query([2, 0, 0, 1], `${asked}\x01x\xc0\x0c\0\x02\0\x01${opt()}`)
  t.equal(readQuestion(two, question), Rcode.noError)
  t.match(question, { key: asked.toLowerCase(), hasEdns: true, endOffset: 12 + asked.length })
  const half = query([2, 0, 0, 0], `${asked}\x01x\0\0\x02`)
  t.equal(readQuestion(half, question), Rcode.formErr)
  t.equal(question.endOffset, 12 + asked.length, 'the first can still be repeated')
})

t.test('a name in the question that is none', async t => {
  const label = `\x3f${'a'.repeat(63)}`
  const fits = `${label.repeat(3)}\x3d${'b'.repeat(61)}\0`
  const rcodeOf = (name: string) =>
    readQuestion(query([1, 0, 0, 0], `${name}\0\x01\0\x01`), question)
  t.equal(rcodeOf(fits), Rcode.noError, '255 bytes')
  t.equal(rcodeOf(`${label.repeat(3)}\x3e${'b'.repeat(62)}\0`), Rcode.formErr, '256 bytes')
  t.equal(rcodeOf(`\x40${'a'.repeat(64)}\0`), Rcode.formErr, 'a label of 64 bytes')
  t.equal(rcodeOf('\xc0\x0c'), Rcode.formErr, 'a pointer to itself')
  t.equal(rcodeOf('\x01a\xc0\x02'), Rcode.formErr, 'a pointer into the header')
  t.equal(rcodeOf('\x80a\0'), Rcode.formErr, 'a reserved kind of label')
  t.match(question, { endOffset: 12, key: '' }, 'nothing of it is kept')
  t.equal(rcodeOf('.'), Rcode.formErr, 'a label that runs out of the packet')
  t.equal(readQuestion(query([1, 0, 0, 0], '\x01a\0\0\x01\0'), question), Rcode.formErr)
  t.equal(readQuestion(query([1, 0, 0, 0], '\x01a'), question), Rcode.formErr)
})

t.test('RFC 6891 6.2.3: "Values lower than 512 MUST be treated as equal to 512"', async t => {
  const bytes = query([1, 0, 0, 1], asked + opt())
  bytes.writeUInt16BE(511, bytes.length - 8)
  t.equal(readQuestion(bytes, question), Rcode.noError)
  t.equal(question.udpSizeBytes, 512)
})

t.test('RFC 6891 6.1.1: one OPT, owned by the root, among the additionals', async t => {
  const rcodeOf = (counts: [number, number, number, number], body: string) =>
    readQuestion(query(counts, asked + body), question)
  t.equal(rcodeOf([1, 0, 0, 2], opt() + opt()), Rcode.formErr, 'two')
  t.equal(rcodeOf([1, 1, 0, 0], opt()), Rcode.formErr, 'among the answers')
  t.equal(rcodeOf([1, 0, 1, 0], opt()), Rcode.formErr, 'among the authorities')
  t.equal(rcodeOf([1, 0, 0, 1], `\xc0\x0c${opt().slice(1)}`), Rcode.formErr, 'owned')
  const other = '\xc0\x0c\0\x10\0\x01\0\0\0\0\0\x02\x01x'
  t.equal(rcodeOf([1, 1, 0, 2], other + other + opt()), Rcode.noError, 'behind other records')
  t.ok(question.hasEdns)
  t.equal(rcodeOf([1, 0, 0, 2], other + opt().slice(0, -1)), Rcode.formErr, 'cut off')
  t.equal(rcodeOf([1, 0, 0, 1], ''), Rcode.formErr, 'promised, not there')
  t.equal(rcodeOf([1, 0, 0, 0], 'more'), Rcode.noError, 'bytes behind are passed over')
})

t.test('RFC 6891 6.1.3: a version that we do not know is BADVERS, whatever it holds', async t => {
  const bytes = query([1, 0, 0, 1], asked + opt('\0', 1))
  t.equal(readQuestion(bytes, question), Rcode.badVers)
  t.ok(question.hasEdns)
})

t.test('options that are malformed, and those that are not known', async t => {
  t.equal(withOpt('\0\x63\0\x01x'), Rcode.noError)
  t.equal(withOpt('\0\x63\0'), Rcode.formErr)
  t.equal(withOpt('\0\x63\0\x02x'), Rcode.formErr)
})

t.test('RFC 7873 5.2.2: a cookie of 8 bytes, or 16 to 40', async t => {
  const rcodes = Array.from({ length: 43 }, (_, size) =>
    withOpt(`\0\x0a\0${String.fromCharCode(size)}${'c'.repeat(size)}`),
  )
  const good = rcodes.flatMap((rcode, size) => (rcode === Rcode.noError ? [size] : []))
  t.same(good, [8, ...Array.from({ length: 25 }, (_, i) => 16 + i)])
})

t.test('RFC 7871 6: the client subnet', async t => {
  const subnet = (data: string) => withOpt(`\0\x08\0${String.fromCharCode(data.length)}${data}`)
  t.equal(subnet('\0\x01\x18\0\x0a\x01\x02'), Rcode.noError, '10.1.2.0/24')
  t.equal(subnet('\0\x01\x14\0\x0a\x01\xf0'), Rcode.noError, '10.1.240.0/20')
  t.equal(subnet('\0\x02\x38\0\x20\x01\x0d\xb8\0\0\0'), Rcode.noError, '2001:db8::/56')
  t.equal(subnet('\0\x01\0\0'), Rcode.noError, 'no address')
  t.equal(subnet('\0\0\0\0'), Rcode.noError, 'no address and no family')
  t.match(question, { subnetSizeBytes: 4 })
  t.equal(subnet('\0\x01\x18\0\x0a\x01'), Rcode.formErr, 'too few octets')
  t.match(question, { subnetOffset: 0, subnetSizeBytes: 0 })
  t.equal(subnet('\0\x01\x18\0\x0a\x01\x02\x03'), Rcode.formErr, 'too many octets')
  t.equal(subnet('\0\x01\x14\0\x0a\x01\x01'), Rcode.formErr, 'bits beyond the prefix')
  t.equal(subnet('\0\x01\x18\x01\x0a\x01\x02'), Rcode.formErr, 'a scope in a query')
  t.equal(subnet('\0\x01\x21\0\x0a\x01\x02\x03\x04'), Rcode.formErr, 'a prefix of 33')
  t.equal(subnet('\0\x03\0\0'), Rcode.formErr, 'no such family')
  t.equal(subnet('\0\x01\0'), Rcode.formErr, 'cut off')
})

t.test(
  'arbitrary and mutilated bytes: a code, bounded offsets, and no state left over',
  async () => {
    const noise = bytes(0, 200).map(text => Buffer.from(text, 'latin1'))
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 })
    const mutilated = fc.tuple(message, flips).map(([value, changes]) => {
      const bytes = encoded({ ...value, response: false, opcode: 0 })
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte
      return bytes
    })
    const codes: number[] = [DROP, ...Object.values(Rcode)]
    fc.assert(
      fc.property(fc.oneof(noise, mutilated), bytes => {
        const rcode = readQuestion(bytes, question)
        const fresh = newQuestion()
        readQuestion(bytes, fresh)
        const whole = question.key.length === question.endOffset - 12
        const inside =
          question.subnetOffset + question.subnetSizeBytes <= bytes.length &&
          question.cookieOffset + question.cookieSizeBytes <= bytes.length &&
          (question.endOffset <= bytes.length || rcode !== Rcode.noError)
        const same = JSON.stringify(fresh) === JSON.stringify(question)
        // What the strict reader takes as a query of one question, this one takes too.
        const strict = parseMessage(bytes)
        const isPlain =
          !(strict instanceof Malformed) &&
          !strict.response &&
          strict.opcode === 0 &&
          strict.questions.length > 0 &&
          bytes[12]! < 0xc0 &&
          strict.edns === undefined
        return codes.includes(rcode) && whole && inside && same && (!isPlain || rcode === 0)
      }),
      { numRuns: 20 * propertyRuns() },
    )
  },
)

t.test('the greediest packet is walked once', async t => {
  // 65,535 bytes of records of 11 bytes, all of them counted.
  const records = '\0\0\x10\0\x01\0\0\0\0\0\0'.repeat(5_955)
  const bytes = query([1, 0, 0, 5_955], asked + records)
  t.ok(bytes.length <= 65_535)
  t.equal(readQuestion(bytes, question), Rcode.noError)
  bytes.writeUInt16BE(65_535, 6)
  t.equal(readQuestion(bytes, question), Rcode.formErr)
})
