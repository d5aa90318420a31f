/** Assembling answers: choice, order, sizes, what is dropped first; EDNS; a real client. */
import { execFile } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { isDeepStrictEqual, promisify } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import {
  buildTemplate,
  type DnsRecord,
  HEADER_SIZE_BYTES,
  type Message,
  newQuestion,
  Rcode,
  readQuestion,
  type TemplateContent,
  type WriteOptions,
  writeBare,
} from '../../../src/wire/dns/mod.ts'
import { propertyRuns } from '../../run/budget.ts'
import { absent, clientFile } from '../../run/clients.ts'
import { encoded, parsed, queryFor, record, textName } from './arbitraries.ts'

const question = newQuestion()
const out = Buffer.alloc(65_535)
const name = 'web.service.consul.'
const udp: WriteOptions = {
  maxSizeBytes: 512,
  maxAnswers: 4_096,
  wantedAnswers: 0,
  recursionAvailable: false,
  markTruncated: false,
  random: -1,
}
const tcp: WriteOptions = { ...udp, maxSizeBytes: 65_523 }
const empty: TemplateContent = {
  rcode: 0,
  authoritative: true,
  compress: true,
  answers: [],
  authorities: [],
}
const soa: DnsRecord = {
  name: 'consul.',
  class: 1,
  ttlS: 0,
  type: 'SOA',
  data: {
    mname: 'ns.consul.',
    rname: 'hostmaster.consul.',
    serial: 1,
    refreshS: 3600,
    retryS: 600,
    expireS: 86_400,
    minimumS: 0,
  },
}
const edns = { udpSizeBytes: 1232, version: 0, dnssecOk: false, options: [] }

const a = (owner: string, data: string): DnsRecord => {
  return { name: owner, class: 1, ttlS: 0, type: 'A', data }
}
const addressOf = (i: number): string => `10.0.${i >> 8}.${i & 255}`

/** `count` answers of A. */
function hosts(count: number): TemplateContent {
  const answers = Array.from({ length: count }, (_, i) => {
    return { record: a(name, addressOf(i)), additionals: [] }
  })
  return { ...empty, answers }
}

/** `count` answers of SRV, each with one additional A of 16 bytes. */
function services(count: number): TemplateContent {
  const answers = Array.from({ length: count }, (_, i): TemplateContent['answers'][0] => {
    const target = `${i.toString(16).padStart(8, '0')}.addr.dc1.consul.`
    const data = { priority: 1, weight: 1, port: 8080, target }
    const record: DnsRecord = { name, class: 1, ttlS: 0, type: 'SRV', data }
    return { record, additionals: [a(target, addressOf(i))] }
  })
  return { ...empty, answers }
}

/** One answer, in bytes and parsed, and whether it was cut. */
function answer(content: TemplateContent, options: WriteOptions, changes: Partial<Message> = {}) {
  const query = encoded(queryFor(name, 'A', changes))
  readQuestion(query, question)
  const template = buildTemplate(question.key, content)
  const size = template.write(out, query, question, options)
  const bytes = Buffer.from(out.subarray(0, size))
  return { size, bytes, message: parsed(bytes), wasCut: template.wasCut }
}

t.test('header: id, RD and CD are those of the query, AD is not', async t => {
  const asked = { id: 0xbeef, recursionDesired: true, checkingDisabled: true, authenticData: true }
  const { message } = answer(hosts(1), { ...udp, recursionAvailable: true }, asked)
  t.match(message, { ...asked, response: true, opcode: 0, authenticData: false, truncated: false })
  t.match(message, { authoritative: true, recursionAvailable: true })
  const other = { id: 1, recursionDesired: false, checkingDisabled: false }
  const negative = { ...empty, authoritative: false, rcode: 3 }
  t.match(answer(negative, udp, other).message, { ...other, authoritative: false, rcode: 3 })
})

t.test('the letters of the question come back as asked, in owners too', async t => {
  const query = encoded(queryFor('wEb.SERVICE.consul.', 'A'))
  readQuestion(query, question)
  const template = buildTemplate(question.key, hosts(2))
  const message = parsed(out.subarray(0, template.write(out, query, question, udp)))
  t.match(message.questions, [{ name: 'wEb.SERVICE.consul.' }])
  t.same(new Set(message.answers.map(one => one.name)), new Set(['wEb.SERVICE.consul.']))
})

t.test('of two questions the first is answered and repeated', async t => {
  const query = encoded({
    ...queryFor(name, 'A'),
    questions: [
      { name, type: 'A', class: 1 },
      { name: 'other.', type: 'A', class: 1 },
    ],
  })
  readQuestion(query, question)
  const template = buildTemplate(question.key, hosts(1))
  const message = parsed(out.subarray(0, template.write(out, query, question, udp)))
  t.same(message.questions, [{ name, type: 'A', class: 1 }])
})

t.test('size: answers that fit exactly, and one byte less', async t => {
  const full = 12 + 24 + 10 * 16
  t.match(answer(hosts(10), { ...udp, maxSizeBytes: full }), { size: full, wasCut: false })
  const less = answer(hosts(10), { ...udp, maxSizeBytes: full - 1 })
  t.match(less, { size: full - 16, wasCut: true, message: { truncated: false } })
  const pair = 2 + 10 + 6 + 26 + 16
  const both = 12 + 24 + 2 * pair
  t.equal(answer(services(2), { ...udp, maxSizeBytes: both }).size, both)
  const one = answer(services(2), { ...udp, maxSizeBytes: both - 1 })
  t.equal(one.size, 12 + 24 + pair, 'an answer goes with its additional')
  t.equal(one.message.additionals.length, 1)
})

t.test('OPT is counted before anything else', async t => {
  const full = 12 + 24 + 10 * 16
  const { size, wasCut } = answer(hosts(10), { ...udp, maxSizeBytes: full + 10 }, { edns })
  t.ok(wasCut)
  t.equal(size, full - 16 + 11)
  t.equal(answer(hosts(10), { ...udp, maxSizeBytes: full + 11 }, { edns }).wasCut, false)
})

t.test('authority is dropped first, whole', async t => {
  const content = { ...hosts(10), authorities: [soa, a('consul.', '10.1.1.1')] }
  const whole = answer(content, udp)
  t.equal(whole.message.authorities.length, 2)
  const less = answer(content, { ...udp, maxSizeBytes: whole.size - 1 })
  t.match(less, { wasCut: false, message: { authorities: [] } })
  t.equal(less.message.answers.length, 10)
  const cut = answer(content, { ...udp, maxAnswers: 3 })
  t.match(cut, { wasCut: true, message: { authorities: [] } }, 'nor beside a cut')
})

t.test('sections stand in their order: answers, authority, additionals', async t => {
  const { message } = answer({ ...services(2), authorities: [soa] }, udp)
  t.same(
    message.answers.map(one => one.type),
    ['SRV', 'SRV'],
  )
  t.same(message.authorities, [soa])
  t.same(
    message.additionals.map(one => one.data),
    ['10.0.0.0', '10.0.0.1'],
  )
})

t.test('there is always one answer, with those of its additionals that fit', async t => {
  const text = (size: number): DnsRecord => {
    return { name, class: 1, ttlS: 0, type: 'TXT', data: Array(size).fill('x'.repeat(99)) }
  }
  const first = { record: text(3), additionals: [text(1), text(2), a(name, '10.0.0.1')] }
  const content = { ...empty, answers: [first], authorities: [soa] }
  const some = answer(content, udp).message
  t.same([some.answers.length, some.additionals.length, some.authorities.length], [1, 1, 0])
  const huge = { ...empty, answers: [{ record: text(8), additionals: [a(name, '10.0.0.1')] }] }
  const alone = answer(huge, { ...udp, markTruncated: true })
  t.equal(alone.size, 12 + 24 + 12 + 800)
  t.match(alone, { wasCut: false, message: { truncated: false, additionals: [] } })
  const never = { ...empty, answers: [{ record: text(655), additionals: [] }] }
  t.match(answer(never, tcp), { wasCut: true, message: { answers: [] } }, 'above 64 KiB')
})

t.test('TC only where asked for, and only for a cut', async t => {
  const marked = { ...udp, markTruncated: true }
  t.equal(answer(hosts(100), marked).message.truncated, true)
  t.equal(answer(hosts(100), udp).message.truncated, false)
  t.equal(answer(hosts(3), marked).message.truncated, false)
  t.equal(answer(hosts(4), { ...marked, maxAnswers: 3 }).message.truncated, true)
  const limited = answer(hosts(4), { ...marked, wantedAnswers: 3, maxAnswers: 3 })
  t.match(limited, { wasCut: false, message: { truncated: false } }, 'a limit is no cut')
  t.equal(limited.message.answers.length, 3)
})

t.test(
  'TCP: 4,096 addresses or 1,024 SRV, below 64 KiB; pointers do not reach further',
  async t => {
    const many = answer(hosts(5_000), tcp)
    t.ok(many.size <= 65_523)
    t.equal(many.message.answers.length, Math.floor((65_523 - 36) / 16))
    const srv = answer(services(2_000), { ...tcp, maxAnswers: 1_024 })
    t.ok(srv.size <= 65_523)
    t.ok(srv.message.answers.length > 900)
    t.equal(srv.message.additionals.length, srv.message.answers.length)
    for (const [i, one] of srv.message.additionals.entries()) {
      const target = srv.message.answers[i]?.data as { target: string }
      if (one.name !== target.target) t.fail(`additional ${i} is owned by ${one.name}`)
    }
    t.ok(srv.bytes.length > 0x4000 + 44 * 16, 'some targets stood out of reach')
  },
)

t.test('a chosen order: every answer is as likely, and nothing is left behind', async t => {
  const query = encoded(queryFor(name, 'A'))
  readQuestion(query, question)
  const template = buildTemplate(question.key, hosts(10))
  const chosen = new Map<string, number>()
  const write = (random: number) => {
    const size = template.write(out, query, question, { ...udp, maxAnswers: 3, random })
    return parsed(out.subarray(0, size)).answers.map(one => String(one.data))
  }
  const seeds = Array.from({ length: 5_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0)
  for (const seed of seeds) {
    const picked = write(seed)
    if (new Set(picked).size !== 3) t.fail('three different ones')
    for (const [place, one] of picked.entries()) {
      chosen.set(`${place} ${one}`, (chosen.get(`${place} ${one}`) ?? 0) + 1)
    }
  }
  t.equal(chosen.size, 30, 'each answer at each place')
  // 500 expected; five standard deviations either way.
  t.ok(Math.min(...chosen.values()) > 394, `least ${Math.min(...chosen.values())}`)
  t.ok(Math.max(...chosen.values()) < 606, `most ${Math.max(...chosen.values())}`)
  t.same(write(7), write(7), 'the same number gives the same choice')
  t.same(write(-1), ['10.0.0.0', '10.0.0.1', '10.0.0.2'], 'none: as built')
})

t.test('RFC 6891: OPT comes back with the size, DO and the upper bits of the code', async t => {
  const { message } = answer(hosts(1), udp, { edns: { ...edns, dnssecOk: true } })
  t.same(message.edns, { ...edns, dnssecOk: true })
  t.equal(answer(hosts(1), udp).message.edns, undefined, 'only if asked with')
})

t.test('RFC 7871 7.2.1: the subnet comes back, its scope 0', async t => {
  const option = { code: 8, data: '\0\x01\x18\0\x0a\x01\x02' }
  const cookie = { code: 10, data: 'abcdefgh' }
  const { message } = answer(hosts(1), udp, { edns: { ...edns, options: [cookie, option] } })
  t.same(message.edns?.options, [option])
})

t.test('answers without records', async t => {
  const bare = (bytes: Buffer) => {
    const rcode = readQuestion(bytes, question)
    return parsed(out.subarray(0, writeBare(out, bytes, question, rcode, true)))
  }
  const version = bare(encoded(queryFor(name, 'A', { edns: { ...edns, version: 1 } })))
  t.match(version, { rcode: Rcode.badVers, questions: [{ name }], edns: { version: 0 } })
  const notify = bare(encoded(queryFor(name, 'A', { opcode: 4, id: 77 })))
  t.match(notify, { id: 77, opcode: 4, rcode: Rcode.notImp, questions: [], response: true })
  t.match(bare(Buffer.alloc(12)), { rcode: Rcode.refused, recursionAvailable: true })
  const broken = encoded(queryFor(name, 'A')).subarray(0, 20)
  t.match(bare(broken), { rcode: Rcode.formErr, questions: [] })
})

const content: fc.Arbitrary<TemplateContent> = fc.record({
  rcode: fc.integer({ min: 0, max: 15 }),
  authoritative: fc.boolean(),
  compress: fc.boolean(),
  answers: fc.array(fc.record({ record, additionals: fc.array(record, { maxLength: 3 }) }), {
    maxLength: 12,
  }),
  authorities: fc.array(record, { maxLength: 2 }),
})
const options: fc.Arbitrary<WriteOptions> = fc.record({
  maxSizeBytes: fc.oneof(fc.constantFrom(512, 1232), fc.integer({ min: 512, max: 4_096 })),
  maxAnswers: fc.integer({ min: 1, max: 12 }),
  wantedAnswers: fc.integer({ min: 0, max: 12 }),
  recursionAvailable: fc.boolean(),
  markTruncated: fc.boolean(),
  random: fc.integer({ min: -1, max: 0xffffffff }),
})
const texts = (records: readonly DnsRecord[]): string[] =>
  records.map(one => JSON.stringify(one).toLowerCase())
const isWithin = (part: string[], whole: string[]): boolean =>
  part.every(one => whole.includes(one))

t.test(
  'any content under any options: it parses, keeps its bounds, and invents nothing',
  async () => {
    const shape = fc.record({ asked: textName, hasEdns: fc.boolean(), content, options })
    fc.assert(
      fc.property(shape, ({ asked, hasEdns, content, options }) => {
        const query = encoded(queryFor(asked, 'TYPE255', hasEdns ? { edns } : {}))
        readQuestion(query, question)
        // Some owners are the question's name, some additionals the target of their answer.
        const answers = content.answers.map((one, i) => {
          return i % 2 === 0 ? { ...one, record: { ...one.record, name: asked } } : one
        })
        const template = buildTemplate(question.key, { ...content, answers })
        const size = template.write(out, query, question, options)
        const bytes = Buffer.from(out.subarray(0, size))
        const again = template.write(out, query, question, options)
        const message = parsed(bytes)
        const kept = texts(message.answers)
        const possible = Math.min(answers.length, options.wantedAnswers || answers.length)
        const extras = texts(message.additionals)
        const needed = answers.filter(one => kept.includes(texts([one.record])[0] ?? ''))
        return (
          again === size &&
          bytes.equals(out.subarray(0, again)) &&
          (size <= options.maxSizeBytes || (kept.length === 1 && extras.length === 0)) &&
          kept.length <= Math.min(possible, options.maxAnswers) &&
          (kept.length > 0 || answers.length === 0) &&
          template.wasCut === kept.length < possible &&
          message.truncated === (template.wasCut && options.markTruncated) &&
          isDeepStrictEqual(message.edns, hasEdns ? edns : undefined) &&
          isWithin(kept, texts(answers.map(one => one.record))) &&
          isWithin(extras, texts(needed.flatMap(one => one.additionals))) &&
          (message.authorities.length === 0 ||
            isDeepStrictEqual(texts(message.authorities), texts(content.authorities)))
        )
      }),
      { numRuns: 10 * propertyRuns() },
    )
  },
)

t.test('kept answers have all their additionals, each once', async () => {
  const sizes = fc.integer({ min: 512, max: 3_000 })
  const seeds = fc.integer({ min: 0, max: 0xffffffff })
  const targets = fc.array(fc.nat(9), { minLength: 2, maxLength: 60 })
  fc.assert(
    fc.property(sizes, seeds, targets, (maxSizeBytes, random, nodes) => {
      const answers = nodes.map((node, i): TemplateContent['answers'][0] => {
        const target = `n${node}.node.dc1.consul.`
        const data = { priority: 1, weight: 1, port: i, target }
        const record: DnsRecord = { name, class: 1, ttlS: 0, type: 'SRV', data }
        return { record, additionals: [a(target, addressOf(node))] }
      })
      const { size, message } = answer({ ...empty, answers }, { ...udp, maxSizeBytes, random })
      const wanted = message.answers.map(one => (one.data as { target: string }).target)
      const owners = message.additionals.map(one => one.name)
      return size <= maxSizeBytes && isDeepStrictEqual(owners, [...new Set(wanted)])
    }),
    { numRuns: propertyRuns() },
  )
})

/** Answers every query with `content` built for its key, on a free port of loopback. */
async function serve(content: TemplateContent, options: WriteOptions) {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (query, from) => {
    const rcode = readQuestion(query, question)
    const size =
      rcode === Rcode.noError
        ? buildTemplate(question.key, content).write(out, query, question, options)
        : writeBare(out, query, question, rcode, false)
    socket.send(Buffer.from(out.subarray(0, size)), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

t.test('dig reads what is assembled', { skip: absent('dig') }, async t => {
  const socket = await serve({ ...services(3), authorities: [soa] }, { ...udp, random: 5 })
  t.teardown(() => socket.close())
  const dig = async (...words: string[]): Promise<string> => {
    const common = ['@127.0.0.1', '-p', String(socket.address().port), '+tries=1', '+norecurse']
    const run = promisify(execFile)
    return (await run(clientFile('dig'), [...common, ...words], { encoding: 'utf8' })).stdout
  }
  const answers = await dig('Web.Service.consul', 'SRV', '+subnet=10.1.2.0/24')
  t.match(answers, 'status: NOERROR')
  t.match(answers, /flags: qr aa; QUERY: 1, ANSWER: 3, AUTHORITY: 1, ADDITIONAL: 4/)
  t.match(answers, /CLIENT-SUBNET: 10.1.2.0\/24\/0/)
  t.match(answers, /Web.Service.consul.\s+0\s+IN\s+SRV\s+1 1 8080 0000000[012].addr.dc1.consul./)
  t.match(answers, /00000002.addr.dc1.consul. 0\s+IN\s+A\s+10.0.0.2/)
  t.match(answers, /SOA\s+ns.consul. hostmaster.consul. 1 3600 600 86400 0/)
  t.notMatch(answers, /WARNING|malformed|extra/i)
  t.match(await dig('+noednsneg', '+edns=1', name), 'status: BADVERS')
  t.match(await dig('+opcode=NOTIFY', name), 'status: NOTIMP')
})

t.test('a template answers its own question only', async t => {
  const query = encoded(queryFor(name, 'A'))
  readQuestion(query, question)
  const template = buildTemplate(question.key, hosts(1))
  question.endOffset = HEADER_SIZE_BYTES
  t.throws(() => template.write(out, query, question, udp), /its own question/)
})
