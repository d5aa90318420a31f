/**
 * DNS packets: the reader of whole messages, and the responder on a registry of every kind of
 * entry. Any packet is refused or answered with a message that is whole and meant for it.
 */
import fc from 'fast-check'
import t from 'tap'
import { forms } from '../../src/dns/form/mod.ts'
import { LATER, NONE } from '../../src/dns/responder.ts'
import {
  encodeMessage,
  isAnswerTo,
  Malformed,
  type Message,
  newQuestion,
  parseMessage,
  Rcode,
  readQuestion,
  relayQuery,
  writeRelayed,
} from '../../src/wire/dns/mod.ts'
import { openExample } from '../dns/example.ts'
import { answerLater, answerTo, configWith, queryOf, respond } from '../dns/support.ts'
import type { Draw } from '../fake/random.ts'
import { untilBudget } from '../run/budget.ts'
import { encoded, message, parsed, queryFor } from '../wire/dns/arbitraries.ts'
import { casesOf } from './cases.ts'
import { mutated, type Stock } from './mutate.ts'

const HEADER_SIZE_BYTES = 12
const PLAIN_SIZE_BYTES = 512
const hex = (bytes: Buffer): string => bytes.toString('hex')

/** Pointers to the question and beyond, the root, the longest label, OPT, and odd counts. */
const pieces = [
  'c00c',
  'c00e',
  'c000',
  'ffff',
  '00',
  '3f',
  '40',
  '000029ffff00000000',
  '0001',
  '00fb',
]
  .concat('0000290200000000000c0008000800010800', '05676f6f676c6503636f6d00')
  .map(text => Buffer.from(text, 'hex'))

const messages: Stock = {
  inputs: fc.sample(message, { seed: 1, numRuns: 300 }).map(one => encoded(one)),
  pieces,
}

t.test('whole messages', async t => {
  const count = await untilBudget(
    'DNS messages',
    500_000,
    casesOf({ make: draw => mutated(draw, messages), run: holdMessage, show: hex }),
  )
  t.ok(count > 0)
})

/** What is read can be written, and reads the same again. */
function holdMessage(bytes: Buffer): void {
  const read = parseMessage(bytes)
  if (read instanceof Malformed) return
  const text = JSON.stringify(read)
  if ((reread(read, false) ?? text) !== text) throw new Error('it reads otherwise')
  // A name that points at an earlier one takes on its letters.
  const compressed = reread(read, true) ?? text
  if (compressed.toLowerCase() !== text.toLowerCase()) throw new Error('it is written otherwise')
}

/** Undefined where the message is too long: a pointer to a name takes less room than the name. */
function reread(read: Message, compress: boolean): string | undefined {
  const again = encodeMessage(read, compress)
  if (!(again instanceof Malformed)) return JSON.stringify(parseMessage(again))
  if (again.reason === 'the message is too long') return undefined
  throw new Error(`it cannot be written: ${again.reason}`)
}

interface Asked {
  readonly query: Buffer
  readonly transport: 'udp' | 'tcp'
}

t.test('queries', async t => {
  const registry = await openExample()
  const config = configWith(
    { enableTruncate: true, udpAnswerLimit: 8 },
    { altDomain: 'alt.example' },
  )
  const responder = respond(registry, config)
  const out = Buffer.alloc(65_535)
  const make = (draw: Draw): Asked => ({
    query: mutated(draw, queries),
    transport: draw.pick(['udp', 'tcp']),
  })
  const run = ({ query, transport }: Asked): void | Promise<void> => {
    const given = Buffer.from(query)
    const size = answerTo(responder, query, out, transport)
    if (!query.equals(given)) throw new Error('the query was changed')
    if (size !== LATER) return holdAnswer(query, transport, size === NONE ? undefined : size, out)
    return answerLater(responder, query, transport).then(answer => {
      holdAnswer(query, transport, answer?.length, answer ?? out)
    })
  }
  const show = ({ query, transport }: Asked): string => `${transport} ${hex(query)}`
  const count = await untilBudget('DNS queries', 2_000_000, casesOf({ make, run, show }))
  t.ok(count > 0)
  t.ok(responder.stats.made > 0)
  await registry.store.close()
})

t.test('answers of recursors', async t => {
  const query = encoded(queryFor('www.example.com.', 'A', { edns }))
  const asked = newQuestion()
  readQuestion(query, asked)
  const sent = relayQuery(query, asked, { id: 0x4711, udpSizeBytes: 1_232 })
  const { id, questions } = parsed(sent)
  const answers: Stock = {
    inputs: fc
      .sample(message, { seed: 2, numRuns: 300 })
      .map(one => encoded({ ...one, id, questions, response: true, opcode: 0, rcode: 0 })),
    pieces,
  }
  const out = Buffer.alloc(65_535)
  let passed = 0
  const run = ({ bytes, sizeBytes }: { bytes: Buffer; sizeBytes: number }): void => {
    if (!isAnswerTo(sent, bytes)) return
    const size = writeRelayed(out, query, asked, bytes, sizeBytes)
    if (size === 0) return
    passed++
    if (size > sizeBytes) throw new Error('too long')
    if (out.readUInt16BE(0) !== query.readUInt16BE(0)) throw new Error('whose answer is it?')
    const end = asked.endOffset
    if (query.compare(out, 12, end, 12, end) !== 0) throw new Error('another question')
    holdRecords(out.subarray(0, size), end)
  }
  const make = (draw: Draw) => ({
    bytes: mutated(draw, answers),
    sizeBytes: draw.pick([512, 1_232, 65_523]),
  })
  const show = ({ bytes }: { bytes: Buffer }): string => hex(bytes)
  await untilBudget('answers of recursors', 1_000_000, casesOf({ make, run, show }))
  t.ok(passed > 0)
})

/** The records behind the question are as many as the header says, and fill the message. */
function holdRecords(bytes: Buffer, start: number): void {
  let at = start
  const count = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  for (let i = 0; i < count; i++) {
    while (bytes[at]! > 0 && bytes[at]! < 0xc0) at += 1 + bytes[at]!
    at += bytes[at] === 0 ? 1 : 2
    at += 10 + bytes.readUInt16BE(at + 8)
  }
  if (at !== bytes.length) throw new Error('its records do not fill it')
}

const examples = forms.flatMap(form => form.examples).map(({ ask }) => ask)
const subnet = { code: 8, data: '\0\x01\x18\0\x0a\0\0' }
const cookie = { code: 10, data: '12345678' }
const edns = { udpSizeBytes: 1_232, version: 0, dnssecOk: true, options: [subnet, cookie] }
const queries: Stock = {
  inputs: [
    ...examples.map(ask => queryOf(ask)),
    ...examples.map(ask => queryOf(ask, 4_096)),
    encoded(queryFor('web.service.consul.', 'SRV', { edns })),
    encoded(queryFor('WEB.service.alt.example.', 'A', { edns, recursionDesired: false })),
    encoded(queryFor('1.0.0.10.in-addr.arpa.', 'PTR')),
    encoded(queryFor('www.example.com.', 'A')),
    ...hostile(),
  ],
  pieces: [
    ...pieces,
    ...['\x07service', '\x06consul\0', '\x04node', '\x05_http', '\x04_tcp'].map(toBytes),
  ],
}

/** Much of something: questions, records behind them, names in circles, options of EDNS. */
function hostile(): Buffer[] {
  const question = { name: 'web.service.consul.', type: 'A' as const, class: 1 }
  const many = encoded(
    queryFor('web.service.consul.', 'A', { questions: Array(200).fill(question) }),
  )
  const options = Array.from({ length: 500 }, (_, i) => ({ code: 65_001 + (i % 500), data: 'x' }))
  const wide = encoded(
    queryFor('web.service.consul.', 'A', { edns: { ...edns, udpSizeBytes: 65_535, options } }),
  )
  const good = queryOf('web.service.consul A')
  // Names of additionals that point to themselves, at each other, into the header.
  const circles = [0x0c, good.length, good.length + 2, 0x00].map(target => {
    const looped = Buffer.concat([good, Buffer.alloc(24)])
    looped.writeUInt16BE(2, 10)
    looped.writeUInt16BE(0xc000 | target, good.length)
    looped.writeUInt16BE(0xc000 | good.length, good.length + 12)
    return looped
  })
  return [many, wide, ...circles]
}

function toBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** `sizeBytes` undefined: there was no answer. */
function holdAnswer(
  query: Buffer,
  transport: string,
  sizeBytes: number | undefined,
  out: Buffer,
): void {
  const isResponse = query.length >= HEADER_SIZE_BYTES && (query[2]! & 0x80) !== 0
  const isDropped = query.length < HEADER_SIZE_BYTES || isResponse
  if ((sizeBytes === undefined) !== isDropped) throw new Error('answered, or not, against the rule')
  if (sizeBytes === undefined) return
  const bytes = out.subarray(0, sizeBytes)
  const answer = parseMessage(bytes)
  if (answer instanceof Malformed) throw new Error(`the answer is malformed: ${answer.reason}`)
  if (answer.id !== query.readUInt16BE(0) || !answer.response)
    throw new Error('whose answer is it?')
  const [question] = answer.questions
  const questionEnd = question === undefined ? HEADER_SIZE_BYTES : endOfName(bytes) + 4
  if (
    !bytes
      .subarray(HEADER_SIZE_BYTES, questionEnd)
      .equals(query.subarray(HEADER_SIZE_BYTES, questionEnd))
  ) {
    throw new Error('it answers another question')
  }
  const records = [...answer.answers, ...answer.authorities, ...answer.additionals]
  if (answer.rcode === Rcode.noError && question === undefined) throw new Error('no question')
  if (answer.rcode !== Rcode.noError && answer.answers.length > 0)
    throw new Error('both yes and no')
  const roomBytes = Math.max(PLAIN_SIZE_BYTES, answer.edns?.udpSizeBytes ?? 0)
  // A single record that is too long for the room goes out alone.
  if (transport === 'udp' && sizeBytes > roomBytes && records.length > 1)
    throw new Error('too long')
}

function endOfName(bytes: Buffer): number {
  let at = HEADER_SIZE_BYTES
  while (bytes[at]! > 0) at += 1 + bytes[at]!
  return at + 1
}
