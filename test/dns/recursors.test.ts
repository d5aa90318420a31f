/** Names that are not ours: passed on, failed over, passed back; and what is not believed. */
import dgram from 'node:dgram'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import type { DnsConfig } from '../../src/dns/config.ts'
import { LATER, Responder } from '../../src/dns/responder.ts'
import { createDnsFace } from '../../src/dns/server.ts'
import type { Message } from '../../src/wire/dns/mod.ts'
import { settled } from '../fake/clock.ts'
import { encoded, parsed, queryFor } from '../wire/dns/arbitraries.ts'
import { openExample } from './example.ts'
import {
  answerLater,
  answerTo,
  ask,
  askUdp,
  configWith,
  optionsFor,
  queryOf,
  respond,
  textOf,
} from './support.ts'
import { a, startUpstream, type Upstream } from './upstream.ts'

const registry = await openExample()
t.teardown(() => registry.store.close())
const out = Buffer.alloc(65_535)
const TIMEOUT_MS = 150

const withRecursors = (
  recursors: readonly Pick<Upstream, 'host' | 'port'>[],
  rest: Partial<DnsConfig['dns']> = {},
) =>
  respond(registry, configWith({ recursors, recursorTimeoutMs: TIMEOUT_MS, ...rest }), systemClock)

/** A responder whose recursor says this, and what it was asked. */
async function withOne(t: Test, say: Parameters<typeof startUpstream>[1]) {
  const upstream = await startUpstream(t, say)
  return { upstream, responder: withRecursors([upstream]) }
}

/** Asks by bytes of the test's own. */
async function send(
  responder: ReturnType<typeof respond>,
  changes: Partial<Message>,
  transport: 'udp' | 'tcp' = 'udp',
  name = 'Www.Example.',
): Promise<Message> {
  const query = encoded(queryFor(name, 'A', changes))
  if (answerTo(responder, query, out, transport) !== LATER) throw new Error('answered at once')
  return parsed((await answerLater(responder, query, transport))!)
}

t.test('an answer comes back with id, letters and records; ours with RA as well', async t => {
  const { responder, upstream } = await withOne(t, query => ({
    answers: [a(query.questions[0]!.name, '192.0.2.1')],
    authoritative: true,
  }))
  const answer = await send(responder, { id: 4_711, recursionDesired: true })
  t.match(answer, { id: 4_711, response: true, rcode: 0, authoritative: false })
  t.ok(answer.recursionAvailable && answer.recursionDesired)
  t.equal(answer.questions[0]?.name, 'Www.Example.')
  t.strictSame(answer.answers, [a('Www.Example.', '192.0.2.1')])
  t.not(upstream.asked[0]?.query.id, 4_711, 'the id that went out is another')
  t.equal(upstream.asked[0]?.query.questions[0]?.name, 'Www.Example.')
  const own = await ask(responder, 'web.service.consul A')
  t.ok(own.recursionAvailable && own.authoritative)
  t.equal(upstream.asked.length, 1)
})

t.test('our domains, zone transfers and addresses that we know are never passed on', async t => {
  const { responder, upstream } = await withOne(t, () => ({ rcode: 3 }))
  const table: Record<string, string> = {
    'absent.service.consul A': 'NXDOMAIN',
    'absent.consul A': 'NXDOMAIN',
    'consul NS': 'NS one.node.dc1.consul.',
    'web.connect.consul A': 'NOTIMP',
    'www.example TYPE252': 'REFUSED',
    'www.example TYPE251': 'REFUSED',
    '1.0.0.10.in-addr.arpa PTR': 'PTR one.node.dc1.consul.',
  }
  for (const [question, expected] of Object.entries(table)) {
    t.strictSame(textOf(await ask(responder, question)), [expected], question)
  }
  t.strictSame(upstream.asked, [])
})

t.test('an address that we do not know is asked for, and absent without recursors', async t => {
  const { responder, upstream } = await withOne(t, query => ({
    answers: [{ name: query.questions[0]!.name, class: 1, ttlS: 5, type: 'PTR', data: 'far.' }],
  }))
  const question = '9.9.9.10.in-addr.arpa PTR'
  t.strictSame(textOf(await ask(responder, question)), ['PTR far.'])
  t.equal(upstream.asked.length, 1)
  t.strictSame(textOf(await ask(responder, '9.9.10.in-addr.arpa PTR')), ['PTR far.'])
  const alone = await ask(respond(registry), question)
  t.match(alone, { rcode: 3, authoritative: true, recursionAvailable: false })
  t.match(alone.authorities, [{ type: 'SOA', name: 'consul.' }])
})

t.test('RD, CD, AD and DO go out as asked; AD comes back to those who know it', async t => {
  const { responder, upstream } = await withOne(t, query => ({
    authenticData: true,
    answers: [a(query.questions[0]!.name, '192.0.2.1')],
  }))
  const edns = { udpSizeBytes: 4_096, version: 0, dnssecOk: true, options: [] }
  const signed = await send(responder, { edns, checkingDisabled: true })
  t.match(signed, { authenticData: true, checkingDisabled: true, edns })
  t.match(upstream.asked[0]?.query, {
    checkingDisabled: true,
    recursionDesired: true,
    edns: { dnssecOk: true, udpSizeBytes: limits.dnsRecursorUdpSizeBytes },
  })
  const plain = await send(responder, { recursionDesired: false })
  t.match(plain, { authenticData: false, recursionDesired: false })
  t.equal(plain.edns, undefined)
  t.equal(upstream.asked[1]?.query.edns, undefined)
  t.equal(upstream.asked[1]?.query.recursionDesired, false)
  t.equal((await send(responder, { authenticData: true })).authenticData, true)
})

t.test("an asker's subnet and cookie stay here", async t => {
  const { responder, upstream } = await withOne(t, () => ({ rcode: 3 }))
  const subnet = { code: 8, data: '\0\x01\x18\0\x0a\x01\x02' }
  const options = [subnet, { code: 10, data: '12345678' }]
  const edns = { udpSizeBytes: 1_232, version: 0, dnssecOk: false, options }
  const answer = await send(responder, { edns })
  t.strictSame(upstream.asked[0]?.query.edns?.options, [])
  t.strictSame(answer.edns?.options, [subnet])
})

t.test('failover: silence, refusals, nobody there; then SERVFAIL with RA', async t => {
  const silent = await startUpstream(t, () => undefined)
  const failing = await startUpstream(t, () => ({ rcode: 2 }))
  const refusing = await startUpstream(t, () => ({ rcode: 5, questions: [] }))
  const good = await startUpstream(t, query => ({
    answers: [a(query.questions[0]!.name, '192.0.2.9')],
  }))
  const nobody = { host: '127.0.0.1', port: await unusedPort() }
  const responder = withRecursors([silent, failing, refusing, nobody, good])
  t.strictSame(textOf(await ask(responder, 'www.example A')), ['A 192.0.2.9'])
  t.equal(silent.asked.length + failing.asked.length + refusing.asked.length, 3)
  t.match(responder.stats.recursors, { asked: 1, serverFailed: 4, failed: 0 })
  const hopeless = withRecursors([silent, failing, nobody])
  const answer = await ask(hopeless, 'www.example A', { sizeBytes: 1_232 })
  t.match(answer, { rcode: 2, recursionAvailable: true, authoritative: false })
  t.equal(answer.questions.length, 1)
  t.match(hopeless.stats, { failed: 1, recursors: { failed: 1 } })
})

t.test('that none of them answers is logged once while it lasts', async t => {
  let isUp = false
  const upstream = await startUpstream(t, () => ({ rcode: isUp ? 3 : 2 }))
  const warnings: string[] = []
  const log = { ...silentLog, warn: (text: string) => void warnings.push(text) }
  const config = configWith({ recursors: [upstream] })
  const responder = new Responder({ ...optionsFor(registry, config), log })
  for (const isWell of [false, false, true, false]) {
    isUp = isWell
    await ask(responder, 'www.example A')
  }
  t.strictSame(warnings, ['no recursor answers', 'no recursor answers'])
})

t.test('NXDOMAIN is an answer: nobody else is asked', async t => {
  const first = await startUpstream(t, () => ({ rcode: 3 }))
  const second = await startUpstream(t, () => ({}))
  const answer = await ask(withRecursors([first, second]), 'www.example A')
  t.match(answer, { rcode: 3, recursionAvailable: true })
  t.equal(second.asked.length, 0)
})

t.test('strategies: always the first, or any', async t => {
  const both = [await startUpstream(t, () => ({})), await startUpstream(t, () => ({}))]
  const inOrder = withRecursors(both)
  for (let i = 0; i < 20; i++) await ask(inOrder, 'www.example A')
  t.equal(both[1]?.asked.length, 0)
  const anyOrder = withRecursors(both, { recursorStrategy: 'random' })
  for (let i = 0; i < 64; i++) await ask(anyOrder, 'www.example A')
  t.ok(
    both.every(({ asked }) => asked.length > 20 / 2),
    'each was the first at times',
  )
})

t.test('an answer that was cut over UDP is fetched over TCP, and cut for the asker', async t => {
  const addresses = Array.from({ length: 60 }, (_, i) => `192.0.2.${i}`)
  const { responder, upstream } = await withOne(t, (query, transport) => {
    const { name } = query.questions[0]!
    if (transport === 'udp') return { truncated: true }
    return { answers: addresses.map(address => a(name, address)) }
  })
  const whole = await ask(responder, 'www.example A', { transport: 'tcp' })
  t.equal(whole.answers.length, 60)
  t.notOk(whole.truncated)
  t.strictSame(
    upstream.asked.map(({ transport }) => transport),
    ['udp', 'tcp'],
  )
  const query = queryOf('www.example A')
  answerTo(responder, query, out, 'udp')
  const plain = (await answerLater(responder, query, 'udp'))!
  t.ok(plain.length <= 512)
  t.equal(parsed(plain).answers.length, 30)
  t.ok(parsed(plain).truncated, 'whatever enable_truncate says: these are no choice of ours')
  t.equal((await ask(responder, 'www.example A', { sizeBytes: 1_232 })).answers.length, 60)
  t.equal(responder.stats.cut, 1)
})

t.test('additionals that do not fit are left out without TC', async t => {
  const { responder } = await withOne(t, query => ({
    answers: [a(query.questions[0]!.name, '192.0.2.1')],
    additionals: Array.from({ length: 50 }, (_, i) => a(`n${i}.with.a.long.name.`, '192.0.2.2')),
    edns: { udpSizeBytes: 512, version: 0, dnssecOk: false, options: [] },
  }))
  const answer = await send(responder, {})
  t.equal(answer.answers.length, 1)
  t.ok(answer.additionals.length > 5 && answer.additionals.length < 50)
  t.notOk(answer.truncated)
  t.equal(answer.edns, undefined, 'OPT belongs to one hop')
})

t.test('what is not the answer is passed over, what is no message is a failure', async t => {
  const good = (query: Message): Message => ({
    ...query,
    response: true,
    answers: [a(query.questions[0]!.name, '192.0.2.1')],
  })
  const { responder } = await withOne(t, query => {
    const other = { name: 'evil.example.', type: 'A' as const, class: 1 }
    const forged = { ...good(query), answers: [a('www.example.', '203.0.113.66')] }
    return [
      encoded({ ...forged, id: query.id ^ 1 }),
      encoded({ ...forged, questions: [other] }),
      encoded({ ...forged, questions: [query.questions[0]!, other] }),
      encoded({ ...forged, questions: [] }),
      encoded({ ...forged, response: false }),
      encoded({ ...forged, opcode: 4 }),
      Buffer.alloc(5),
      encoded(good(query)),
    ]
  })
  t.strictSame(textOf(await send(responder, {})), ['A 192.0.2.1'])
  const { responder: broken } = await withOne(t, (query, _, bytes) => {
    const answer = encoded(good(query))
    return bytes.length === 0 ? undefined : [answer.subarray(0, answer.length - 3)]
  })
  t.strictSame(textOf(await send(broken, {})), ['SERVFAIL'])
})

t.test('what others send to our port is not believed', async t => {
  let sentFrom = 0
  const forger = dgram.createSocket('udp4')
  forger.bind(0, '127.0.0.1')
  await once(forger, 'listening')
  t.teardown(() => forger.close())
  const udp = dgram.createSocket('udp4')
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  t.teardown(() => udp.close())
  // The recursor tells the forger everything but cannot lend him its address.
  udp.on('message', (data, from) => {
    sentFrom = from.port
    const query = parsed(data)
    const forged = { ...query, response: true, answers: [a('www.example.', '203.0.113.66')] }
    forger.send(encoded(forged), from.port, '127.0.0.1')
  })
  const told = withRecursors([{ host: '127.0.0.1', port: udp.address().port }])
  t.strictSame(textOf(await send(told, {})), ['SERVFAIL'])
  t.ok(sentFrom > 0)
})

t.test('ids and ports are not to be foreseen', async t => {
  const ids = new Set<number>()
  const { responder } = await withOne(t, query => {
    ids.add(query.id)
    return { rcode: 3 }
  })
  for (let i = 0; i < 100; i++) await ask(responder, `n${i}.example A`)
  t.ok(ids.size > 90, `${ids.size} of 100 differ`)
  const sorted = [...ids]
  t.notOk(sorted.every((id, i) => i === 0 || id === sorted[i - 1]! + 1))
})

t.test('equal questions under way go out once; too many are answered SERVFAIL', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  const asked: Buffer[] = []
  const udp = dgram.createSocket('udp4')
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  t.teardown(() => udp.close())
  udp.on('message', async (data, from) => {
    asked.push(data)
    await held
    udp.send(encoded({ ...parsed(data), response: true, rcode: 3 }), from.port, from.address)
  })
  const recursor = { host: '127.0.0.1', port: udp.address().port }
  const responder = withRecursors([recursor], { recursorTimeoutMs: 60_000 })
  const equal = Array.from({ length: 50 }, () => ask(responder, 'www.example A'))
  const others: Promise<Message>[] = []
  while (others.length < limits.dnsRecursing - 1) {
    others.push(ask(responder, `n${others.length}.example A`))
    // A socket holds some hundreds of datagrams.
    if (others.length % 50 === 0) await until(() => asked.length > others.length - 10)
  }
  const oneMore = await ask(responder, 'one.more.example A')
  t.match(oneMore, { rcode: 2, recursionAvailable: true })
  t.equal(responder.stats.recursors.refused, 1)
  release()
  for (const answer of await Promise.all([...equal, ...others])) {
    if (answer.rcode !== 3) t.fail(`rcode ${answer.rcode}`)
  }
  t.equal(asked.length, limits.dnsRecursing)
  t.equal((await ask(responder, 'one.more.example A')).rcode, 3, 'room again')
})

t.test('nothing is left of questions that nobody answered', async t => {
  const sockets = (): number =>
    process.getActiveResourcesInfo().filter(kind => /UDP|TCPSocket|ConnectWrap/.test(kind)).length
  const silent = await startUpstream(t, () => undefined)
  const cutting = await startUpstream(t, (_, transport) =>
    transport === 'udp' ? { truncated: true } : undefined,
  )
  const before = sockets()
  const responder = withRecursors([silent, cutting], { recursorTimeoutMs: 50 })
  const asked = Array.from({ length: 40 }, (_, i) => ask(responder, `n${i}.example A`))
  for (const answer of await Promise.all(asked)) t.equal(answer.rcode, 2)
  await until(() => sockets() <= before)
  t.ok(sockets() <= before, `${sockets()} sockets, ${before} before`)
})

t.test('the face goes on with other recursors when it is told to', async t => {
  const first = await startUpstream(t, () => ({ rcode: 3 }))
  const face = createDnsFace(optionsFor(registry))
  t.teardown(() => face.close())
  const { port } = await face.listen('127.0.0.1', 0)
  const code = async (): Promise<string> =>
    textOf(parsed(await askUdp(port, queryOf('www.example A')))).join()
  t.equal(await code(), 'REFUSED')
  face.configure(configWith({ recursors: [first] }).dns)
  t.equal(await code(), 'NXDOMAIN')
  face.configure(configWith({}).dns)
  t.equal(await code(), 'REFUSED')
})

/** Resolves when it holds, or after a while. */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2_000 && !holds(); tries++) await settled(2)
}

async function unusedPort(): Promise<number> {
  const socket = dgram.createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>(resolve => socket.close(() => resolve()))
  return port
}
