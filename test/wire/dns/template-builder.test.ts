/** Building templates: what is shared, what is left out, what points where. */
import t from 'tap'
import { limits } from '../../../src/base/limits.ts'
import {
  type AnswerTemplate,
  buildTemplate,
  type DnsRecord,
  type Message,
  newQuestion,
  readQuestion,
  TemplateBuilder,
  type TemplateContent,
  type WriteOptions,
} from '../../../src/wire/dns/mod.ts'
import { encoded, parsed, queryFor } from './arbitraries.ts'

const question = newQuestion()
const out = Buffer.alloc(65_535)
const options: WriteOptions = {
  maxSizeBytes: 65_523,
  maxAnswers: 4_096,
  wantedAnswers: 0,
  recursionAvailable: false,
  markTruncated: false,
  random: -1,
}
const empty: TemplateContent = {
  rcode: 0,
  authoritative: true,
  compress: true,
  answers: [],
  authorities: [],
}

const a = (name: string, data: string): DnsRecord => ({ name, class: 1, ttlS: 0, type: 'A', data })
const txt = (name: string, text: string): DnsRecord => {
  return { name, class: 1, ttlS: 0, type: 'TXT', data: [text] }
}
const srv = (name: string, port: number, target: string): DnsRecord => {
  const data = { priority: 1, weight: 1, port, target }
  return { name, class: 1, ttlS: 0, type: 'SRV', data }
}

/** Builds for `name` and gives the whole answer, as bytes and parsed. */
function answer(name: string, content: Partial<TemplateContent>) {
  const query = encoded(queryFor(name, 'SRV'))
  readQuestion(query, question)
  const template = buildTemplate(question.key, { ...empty, ...content })
  const bytes = Buffer.from(out.subarray(0, template.write(out, query, question, options)))
  return { template, bytes, message: parsed(bytes) }
}

t.test('RFC 2782: "name compression is not to be used for this field"', async t => {
  const target = 'n1.node.dc1.consul.'
  const { bytes } = answer('web.service.consul.', {
    answers: [
      { record: srv('web.service.consul.', 80, target), additionals: [a(target, '10.0.0.1')] },
    ],
  })
  const text = bytes.subarray(12 + 24).toString('latin1')
  const full = '\x02n1\x04node\x03dc1\x06consul\0'
  t.equal(text.slice(0, 38), `\xc0\x0c\0\x21\0\x01\0\0\0\0\0\x1a\0\x01\0\x01\0\x50${full}`)
  t.equal(text.slice(38), '\xc0\x36\0\x01\0\x01\0\0\0\0\0\x04\x0a\0\0\x01', 'owner: the target')
})

t.test('other names point into the question, and nowhere else', async t => {
  const soa = {
    mname: 'ns.consul.',
    rname: 'hostmaster.CONSUL.',
    serial: 1,
    refreshS: 3600,
    retryS: 600,
    expireS: 86_400,
    minimumS: 0,
  }
  const { bytes, message } = answer('x.service.consul.', {
    rcode: 3,
    authorities: [{ name: 'consul.', class: 1, ttlS: 0, type: 'SOA', data: soa }],
  })
  t.match(message, { rcode: 3, authoritative: true, authorities: [{ name: 'consul.' }] })
  const text = bytes.subarray(12 + 22).toString('latin1')
  t.equal(text.slice(0, 2), '\xc0\x16')
  t.equal(text.slice(12, 30), '\x02ns\xc0\x16\x0ahostmaster\xc0\x16'.slice(0, 18))
})

t.test('equal additionals of several answers are held and sent once', async t => {
  const target = 'n1.node.dc1.consul.'
  const name = 'web.service.consul.'
  const extras = [a(target, '10.0.0.1'), txt(target, 'x=1')]
  const { template, message } = answer(name, {
    answers: [80, 81].map(port => ({ record: srv(name, port, target), additionals: extras })),
  })
  t.equal(template.answerCount, 2)
  t.same(message.additionals, extras)
})

t.test('a record without a wire form is left out: an answer with its additionals', async t => {
  const name = 'web.service.consul.'
  const long = `${'n'.repeat(64)}.node.consul.`
  const { template, message } = answer(name, {
    answers: [
      { record: srv(name, 1, long), additionals: [a(long, '10.0.0.1'), a('b.', '10.0.0.2')] },
      { record: srv(name, 2, 'b.'), additionals: [a('b.', 'x'), a('b.', '10.0.0.2')] },
      { record: srv(name, 70_000, 'b.'), additionals: [] },
    ],
    authorities: [a('..', '10.0.0.1')],
  })
  t.equal(template.unencodable, 4)
  t.equal(template.answerCount, 1)
  t.same(message.answers, [srv(name, 2, 'b.')])
  t.same(message.additionals, [a('b.', '10.0.0.2')])
  t.same(message.authorities, [])
})

t.test(
  'without compression names are whole, owners still with the letters of the query',
  async t => {
    const name = 'Web.Service.consul.'
    const target = 'n1.node.dc1.consul.'
    const { bytes, message } = answer(name, {
      compress: false,
      answers: [
        {
          record: srv('web.service.consul.', 80, target),
          additionals: [a(target, '10.0.0.1'), txt('web.service.consul.', 'x')],
        },
      ],
      authorities: [a('consul.', '10.0.0.2')],
    })
    t.notOk(bytes.includes(0xc0), 'no pointer')
    t.same(message.answers, [srv(name, 80, target)])
    t.same(message.additionals, [a(target, '10.0.0.1'), txt(name, 'x')])
    t.same(message.authorities, [a('consul.', '10.0.0.2')])
  },
)

t.test('a chain of aliases keeps its order and its names', async t => {
  const name = 'n1.node.consul.'
  const answers: DnsRecord[] = [
    { name, class: 1, ttlS: 0, type: 'CNAME', data: 'host.example.' },
    a('host.example.', '10.0.0.1'),
  ]
  const { message } = answer(name, {
    answers: answers.map(record => ({ record, additionals: [] })),
  })
  t.same(message.answers, answers)
})

t.test('in slices or at once, the template is the same', async t => {
  const name = 'web.service.consul.'
  const answers = Array.from({ length: 50 }, (_, i) => ({
    record: srv(name, i, `n${i}.node.consul.`),
    additionals: [a(`n${i}.node.consul.`, `10.0.0.${i}`)],
  }))
  const once = answer(name, { answers })
  const builder = new TemplateBuilder(question.key, empty)
  for (const one of answers) builder.addAnswer(one)
  const template: AnswerTemplate = builder.finish()
  const query = encoded(queryFor(name, 'SRV'))
  const size = template.write(out, query, question, options)
  t.same(out.subarray(0, size), once.bytes)
  t.equal(template.sizeBytes, once.template.sizeBytes)
  t.ok(template.sizeBytes > once.bytes.length, 'it counts what it holds')
})

t.test('the bound of a template: records beyond it are left out and counted', async t => {
  const query = encoded(queryFor('a.', 'TXT'))
  readQuestion(query, question)
  const builder = new TemplateBuilder(question.key, empty)
  const data = Array(200).fill('x'.repeat(255))
  const record: DnsRecord = { name: 'a.', class: 1, ttlS: 0, type: 'TXT', data }
  const sizeBytes = 2 + 10 + 200 * 256
  const fits = Math.floor(limits.dnsTemplateSizeBytes / sizeBytes)
  for (let i = 0; i < fits + 1; i++) builder.addAnswer({ record, additionals: [] })
  const template = builder.finish()
  t.match(template, { answerCount: fits, unencodable: 1 })
})

t.test('the root and the shortest question', async t => {
  const { message } = answer('.', {
    answers: [{ record: a('.', '10.0.0.1'), additionals: [a('.', '10.0.0.2')] }],
  })
  const expected: Partial<Message> = {
    answers: [a('.', '10.0.0.1')],
    additionals: [a('.', '10.0.0.2')],
  }
  t.match(message, expected)
})
