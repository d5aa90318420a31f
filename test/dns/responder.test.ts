/** One query, one answer: sizes and cuts, flags, EDNS, TTLs, rotation, staleness, bad packets. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import type { DnsConfig } from '../../src/dns/config.ts'
import { LATER, NONE, type Via } from '../../src/dns/responder.ts'
import { CheckStatus } from '../../src/store/tables/check.ts'
import type { DnsRecord, Message } from '../../src/wire/dns/mod.ts'
import { FakeClock } from '../fake/clock.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { mutated, type Stock } from '../fuzz/mutate.ts'
import { propertyRuns, reached, untilBudget } from '../run/budget.ts'
import { message as anyMessage, encoded, parsed, queryFor } from '../wire/dns/arbitraries.ts'
import {
  answerLater,
  answerTo,
  ask,
  askDirectly,
  configWith,
  openRegistry,
  queryOf,
  respond,
  shared,
  type TestRegistry,
  textOf,
  ticking,
} from './support.ts'

const out = Buffer.alloc(65_535)

function start(t: Test): TestRegistry {
  const registry = openRegistry()
  t.teardown(() => registry.store.close())
  return registry
}

/** A registry with a service of `count` instances, each with an address of its own. */
async function withInstances(t: Test, count: number): Promise<TestRegistry> {
  const registry = start(t)
  const entries = Array.from({ length: count }, (_, i) => ({
    node: `n${i % 100}`,
    address: `10.1.0.${i % 100}`,
    service: { name: 'web', id: `web-${i}`, address: `10.0.${i >> 8}.${i & 255}`, port: 1_000 + i },
  }))
  await registry.put(...entries)
  return registry
}

function send(responder: ReturnType<typeof respond>, changes: Partial<Message>): Message {
  const query = encoded(queryFor('web.service.consul', 'A', changes))
  return parsed(out.subarray(0, answerTo(responder, query, out, 'udp')))
}

const edns = (udpSizeBytes: number) => ({ udpSizeBytes, version: 0, dnssecOk: false, options: [] })
const ttlsOf = (records: readonly DnsRecord[]) => [...new Set(records.map(({ ttlS }) => ttlS))]

t.test('truncation: size, instances, type, transport → answers', async t => {
  const table: readonly {
    count: number
    type: 'A' | 'SRV'
    size?: number
    tcp?: boolean
    limit?: number
    expected: number
  }[] = [
    { count: 2, type: 'A', expected: 2 },
    { count: 3, type: 'A', expected: 3 },
    { count: 4, type: 'A', expected: 3 },
    { count: 20, type: 'A', limit: 5, expected: 5 },
    { count: 20, type: 'A', limit: 8, expected: 8 },
    { count: 20, type: 'A', limit: 20, expected: 8 },
    { count: 20, type: 'A', limit: 0, expected: 1 },
    { count: 20, type: 'SRV', limit: 20, expected: 7 },
    { count: 20, type: 'A', size: 512, expected: 3 },
    { count: 20, type: 'A', size: 100, expected: 3 },
    { count: 20, type: 'A', size: 513, expected: 20 },
    { count: 60, type: 'A', size: 513, expected: 29 },
    { count: 60, type: 'A', size: 1_232, expected: 60 },
    { count: 60, type: 'SRV', size: 1_232, expected: 19 },
    { count: 2_000, type: 'A', size: 65_535, expected: 2_000 },
    { count: 2_000, type: 'SRV', size: 65_535, expected: 924 },
    { count: 60, type: 'A', tcp: true, expected: 60 },
    { count: 2_000, type: 'A', tcp: true, expected: 2_000 },
    { count: 2_000, type: 'SRV', tcp: true, expected: 925 },
  ]
  const registries = new Map<number, TestRegistry>()
  for (const { count, type, size, tcp, limit = 3, expected } of table) {
    const registry = registries.get(count) ?? (await withInstances(t, count))
    registries.set(count, registry)
    for (const enableTruncate of [false, true]) {
      const config = configWith({ udpAnswerLimit: limit, enableTruncate, nodeMetaTxt: false })
      const responder = respond(registry, config)
      const transport = tcp ? 'tcp' : 'udp'
      const asking = { transport, ...(size === undefined ? {} : { sizeBytes: size }) } as const
      const message = askDirectly(responder, `web.service.consul ${type}`, asking)
      const what = `${count} × ${type}, ${size ?? 'no'} EDNS, ${transport}, limit ${limit}`
      const isCut = expected < count
      t.equal(message.answers.length, expected, what)
      t.equal(message.truncated, isCut && enableTruncate && !tcp, `${what}: TC`)
      t.equal(responder.stats.cut, isCut ? 1 : 0, `${what}: counted`)
      t.equal(message.additionals.length, type === 'SRV' ? expected : 0, `${what}: additionals`)
    }
  }
})

t.test('TCP carries 1024 SRV answers at most', async t => {
  const registry = start(t)
  const instance = (i: number) => ({ name: 'web', id: `${i}`, port: i })
  const entries = Array.from({ length: 1_100 }, (_, i) => ({ node: 'n', service: instance(i) }))
  await registry.put({ node: 'n', address: '10.0.0.1' }, ...entries)
  const responder = respond(registry, configWith({ enableTruncate: true }))
  const message = askDirectly(responder, 'web.service.consul SRV', { transport: 'tcp' })
  t.equal(message.answers.length, 1_024)
  t.equal(message.additionals.length, 1)
  t.equal(message.truncated, false)
})

t.test('a large answer that takes longer is the same', async t => {
  const responder = respond(await withInstances(t, 100), configWith({}), ticking())
  const query = queryOf('web.service.consul SRV', 65_535)
  t.equal(answerTo(responder, query, out, 'udp'), LATER)
  const answer = parsed((await answerLater(responder, query, 'udp'))!)
  t.equal(answer.answers.length, 100)
  t.equal(answer.id, 0x1234)
  t.ok(answerTo(responder, query, out, 'udp') > 0, 'and then it is kept')
})

t.test('one answer at least, however large', async t => {
  const registry = start(t)
  const meta = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'v'.repeat(200)]))
  await registry.put({ node: 'one', address: '10.0.0.1', meta })
  const responder = respond(registry)
  const a = askDirectly(responder, 'one.node.consul A')
  t.equal(a.answers.length, 1)
  t.equal(a.additionals.length, 2, 'as much of the meta as fits')
  t.ok(askDirectly(responder, 'one.node.consul TXT').answers.length >= 1)
})

t.test('a_record_limit bounds addresses, never SRV, and is no cut', async t => {
  const registry = await withInstances(t, 20)
  const responder = respond(registry, configWith({ aRecordLimit: 2 }))
  const sizeBytes = 4_096
  t.equal(askDirectly(responder, 'web.service.consul A', { sizeBytes }).answers.length, 2)
  t.equal(askDirectly(responder, 'web.service.consul SRV', { sizeBytes }).answers.length, 20)
  t.equal(responder.stats.cut, 0)
})

t.test('every instance is seen over many queries, and in every place', async t => {
  const COUNT = 10
  const registry = await withInstances(t, COUNT)
  const responder = respond(registry)
  for (const type of ['A', 'SRV']) {
    const first = new Map<string, number>()
    for (let i = 0; i < 400; i++) {
      const [text = ''] = textOf(askDirectly(responder, `web.service.consul ${type}`))
      first.set(text, (first.get(text) ?? 0) + 1)
    }
    t.equal(first.size, COUNT, `${type}: each was the first one`)
    t.ok(Math.max(...first.values()) < 100, `${type}: none of them mostly`)
  }
})

t.test('addresses once each, SRV once for a node, address and port', async t => {
  const registry = start(t)
  const put = (node: string, id: string, port: number, address = '') =>
    registry.put({ node, address: '10.0.0.1', service: { name: 'web', id, port, address } })
  await put('one', 'a', 80)
  await put('one', 'b', 80)
  await put('one', 'c', 81)
  await put('two', 'd', 80, '10.0.0.1')
  await put('six', 'e', 80, 'FD00::1')
  await put('six', 'f', 80, 'fd00:0::1')
  const responder = respond(registry)
  const sizeBytes = 4_096
  const texts = (type: string) =>
    textOf(askDirectly(responder, `web.service.consul ${type}`, { sizeBytes })).sort()
  t.strictSame(texts('A'), ['A 10.0.0.1'])
  t.strictSame(texts('AAAA'), ['AAAA fd00::1'])
  t.strictSame(texts('SRV'), [
    'SRV 1 1 80 0a000001.addr.dc1.consul.',
    'SRV 1 1 80 fd000000000000000000000000000001.addr.dc1.consul.',
    'SRV 1 1 80 fd000000000000000000000000000001.addr.dc1.consul.',
    'SRV 1 1 80 one.node.dc1.consul.',
    'SRV 1 1 81 one.node.dc1.consul.',
  ])
})

t.test('additionals: the address of each target, and its node\u2019s meta', async t => {
  const registry = start(t)
  const node = { node: 'One', address: '10.0.0.1', meta: { zone: 'a' } }
  await registry.put({ ...node, service: { name: 'web', id: 'a', port: 80 } })
  await registry.put({ ...node, service: { name: 'web', id: 'b', port: 81, address: '10.1.0.1' } })
  const additionals = (question: string, config: DnsConfig = configWith({})) => {
    const message = askDirectly(respond(registry, config), question, { sizeBytes: 4_096 })
    const texts = message.additionals.map(({ name, type, data }) => `${name} ${type} ${data}`)
    return [...new Set(texts)].sort()
  }
  t.strictSame(additionals('web.service.consul SRV'), [
    '0a010001.addr.dc1.consul. A 10.1.0.1',
    'One.node.dc1.consul. A 10.0.0.1',
    'One.node.dc1.consul. TXT zone=a',
  ])
  t.strictSame(additionals('oNe.node.consul A'), ['oNe.node.consul. TXT zone=a'])
  t.strictSame(additionals('web.service.consul A'), [])
  const without = configWith({ nodeMetaTxt: false })
  t.strictSame(additionals('one.node.consul A', without), [])
  t.equal(additionals('web.service.consul SRV', without).length, 2)
  t.strictSame(textOf(askDirectly(respond(registry, without), 'one.node.consul TXT')), [
    'TXT "zone=a"',
  ])
})

t.test('health: critical is out, a warning by only_passing, weights by state', async t => {
  const registry = start(t)
  const weights = { passing: 10, warning: 3 }
  const put = (node: string, status?: CheckStatus) =>
    registry.put({
      node,
      address: '10.0.0.1',
      service: { name: 'web', port: 80, weights },
      ...(status && { status }),
    })
  await put('bare')
  await put('good', CheckStatus.passing)
  await put('warned', CheckStatus.warning)
  await put('bad', CheckStatus.critical)
  await put('sick')
  await registry.put({ node: 'sick', status: CheckStatus.critical })
  const targets = (onlyPassing: boolean) =>
    textOf(
      askDirectly(respond(registry, configWith({ onlyPassing })), 'web.service.consul SRV', {
        sizeBytes: 4_096,
      }),
    ).sort()
  const passing = ['SRV 1 10 80 bare.node.dc1.consul.', 'SRV 1 10 80 good.node.dc1.consul.']
  t.strictSame(targets(false), [...passing, 'SRV 1 3 80 warned.node.dc1.consul.'])
  t.strictSame(targets(true), passing)
})

t.test('an address that is the very name that was asked for', async t => {
  const registry = start(t)
  const service = { name: 'web', port: 80, address: 'WEB.service.consul' }
  await registry.put({ node: 'one', address: '10.0.0.1', service })
  const responder = respond(registry)
  t.strictSame(textOf(askDirectly(responder, 'web.service.consul A')), ['A 10.0.0.1'])
  t.strictSame(textOf(await ask(responder, 'web.service.dc1.consul A')), [
    'CNAME WEB.service.consul.',
    'A 10.0.0.1',
  ])
})

t.test('TTLs: of nodes, of services, of negative answers', async t => {
  const registry = start(t)
  await registry.put({
    node: 'one',
    address: '10.0.0.1',
    meta: { a: 'b' },
    service: { name: 'web', port: 80 },
  })
  const soa = { refreshSeconds: 1, retrySeconds: 2, expireSeconds: 3, minTtlSeconds: 9 }
  const config = configWith({ nodeTtlMs: 5_000, serviceTtlMs: { 'w*': 7_000 }, soa })
  const responder = respond(registry, config)
  const sizeBytes = 4_096
  const table: Record<string, number> = {
    'one.node.consul A': 5,
    'web.service.consul SRV': 7,
    'no.service.consul A': 9,
    'consul SOA': 9,
  }
  for (const [question, ttlS] of Object.entries(table)) {
    const { answers, authorities, additionals } = askDirectly(responder, question, { sizeBytes })
    t.strictSame(ttlsOf([...answers, ...authorities, ...additionals]), [ttlS], question)
  }
})

t.test('the question is echoed letter by letter, in owners too, and so are id and RD', async t => {
  const registry = await withInstances(t, 2)
  for (const disableCompression of [false, true]) {
    const responder = respond(registry, configWith({ disableCompression }))
    for (const name of ['web.service.consul.', 'WeB.sErViCe.CoNsUl.']) {
      const query = encoded(queryFor(name, 'A', { id: 4_711, recursionDesired: true }))
      const answer = parsed(out.subarray(0, answerTo(responder, query, out, 'udp')))
      t.equal(answer.id, 4_711)
      t.ok(answer.response && answer.authoritative && answer.recursionDesired)
      t.notOk(answer.recursionAvailable)
      t.equal(answer.questions[0]?.name, name)
      t.strictSame([...new Set(answer.answers.map(each => each.name))], [name])
    }
  }
})

t.test('EDNS: an OPT for an OPT, subnets echoed with scope 0, versions', async t => {
  const responder = respond(await withInstances(t, 2))
  t.equal(send(responder, {}).edns, undefined)
  t.strictSame(send(responder, { edns: edns(1_232) }).edns, edns(1_232))
  t.equal(send(responder, { edns: { ...edns(1_232), dnssecOk: true } }).edns?.dnssecOk, true)
  const subnet = { code: 8, data: '\0\x01\x18\0\x0a\x01\x02' }
  const cookie = { code: 10, data: '12345678' }
  const options = [subnet, cookie]
  t.strictSame(send(responder, { edns: { ...edns(1_232), options } }).edns?.options, [subnet])
  t.equal(send(responder, { edns: { ...edns(1_232), version: 1 } }).rcode, 16)
})

t.test(
  'what gets no records: opcode, no question, other domains, transfers, later forms',
  async t => {
    const responder = respond(await withInstances(t, 1))
    t.equal(send(responder, { opcode: 5 }).rcode, 4)
    t.equal(send(responder, { questions: [] }).rcode, 5)
    const table: Record<string, string> = {
      'web.example A': 'REFUSED',
      '. A': 'REFUSED',
      'version.bind TXT': 'REFUSED',
      'web.service.consul TYPE252': 'REFUSED',
      'web.service.consul TYPE251': 'REFUSED',
      'web.service.consul TYPE250': 'REFUSED',
      'consul TYPE252': 'REFUSED',
      '0.0.10.in-addr.arpa PTR': 'REFUSED',
      'a.connect.consul A': 'NOTIMP',
    }
    for (const [question, code] of Object.entries(table)) {
      const message = askDirectly(responder, question)
      t.strictSame(textOf(message), [code], question)
      t.notOk(message.authoritative)
    }
    t.equal(responder.stats.refused, 2 + Object.keys(table).length)
  },
)

t.test('a listener has settings of its own, and they change with the configuration', async t => {
  const responder = respond(
    await withInstances(t, 10),
    configWith({ listeners: { '127.0.0.2': { udpAnswerLimit: 5, enableTruncate: true } } }),
  )
  const query = queryOf('web.service.consul A')
  const own = responder.via('udp', '127.0.0.2')
  const count = (via: Via) => {
    const answer = parsed(out.subarray(0, responder.answer(query, out, via, '')))
    return [answer.answers.length, answer.truncated]
  }
  const other = responder.via('udp', '127.0.0.1')
  t.strictSame(
    [count(own), count(other)],
    [
      [5, true],
      [3, false],
    ],
  )
  t.strictSame(count(responder.via('tcp', '127.0.0.2')), [10, false])
  responder.configure(configWith({ udpAnswerLimit: 7, enableTruncate: true }).dns)
  t.strictSame(
    [count(own), count(other)],
    [
      [7, true],
      [7, true],
    ],
  )
})

t.test('a node without an address of that kind: its metadata, and the SOA', async t => {
  const registry = start(t)
  await registry.put({
    node: 'one',
    address: '10.0.0.1',
    meta: { 'a`=b': 'c`d', 'rfc1035-x': '`' },
  })
  const responder = respond(registry)
  const message = askDirectly(responder, 'one.node.consul AAAA', { sizeBytes: 1_232 })
  t.match(message, { rcode: 0, answers: [], authorities: [{ type: 'SOA' }] })
  t.strictSame(
    message.additionals.map(({ name, data }) => [name, data]),
    [
      ['one.node.consul.', ['a```=b=c``d']],
      ['one.node.consul.', ['`']],
    ],
  )
  t.strictSame(askDirectly(responder, 'one.node.consul SRV').additionals, [])
  const bare = respond(registry, configWith({ nodeMetaTxt: false }))
  t.strictSame(askDirectly(bare, 'one.node.consul AAAA').additionals, [])
})

t.test('the domain: SOA with its servers beside it, in small letters', async t => {
  const registry = start(t)
  const server = (node: string, address: string) => {
    return { node, address, service: { name: 'consul', port: 8_300 } }
  }
  await registry.put(
    ...[server('One', '10.0.0.1'), server('no_label', '10.0.0.2'), server('n3', '10.0.0.3')],
    ...[server('n4', '10.0.0.4'), server('n5', '10.0.0.5')],
  )
  const responder = respond(registry)
  const { answers, authorities, additionals } = askDirectly(responder, 'consul SOA')
  t.strictSame(
    answers.map(({ type }) => type),
    ['SOA'],
  )
  const names = ['n3', 'n4', 'n5'].map(name => `${name}.node.dc1.consul.`)
  t.strictSame(
    authorities.map(({ data }) => data),
    names,
  )
  t.strictSame(
    additionals.map(({ name }) => name),
    names,
  )
  await registry.remove('n3')
  const later = askDirectly(responder, 'consul NS').answers.map(({ data }) => data)
  t.strictSame(later.sort(), [...names.slice(1), 'one.node.dc1.consul.'])
})

t.test('a_record_limit holds for all that gives addresses, never for SRV', async t => {
  const responder = respond(await withInstances(t, 10), configWith({ aRecordLimit: 2 }))
  for (const [type, count] of Object.entries({ A: 2, ANY: 2, TXT: 2, SRV: 10 })) {
    const { answers, truncated } = askDirectly(responder, `web.service.consul ${type}`, {
      sizeBytes: 4_096,
    })
    t.equal(answers.length, count, type)
    t.notOk(truncated)
  }
})

t.test('only the first question counts', async t => {
  const responder = respond(await withInstances(t, 1))
  const questions = ['web.service.consul.', 'no.service.consul.'].map(name => ({
    name,
    type: 'A' as const,
    class: 1,
  }))
  const answer = send(responder, { questions })
  t.equal(answer.answers.length, 1)
  t.equal(answer.questions.length, 1)
})

t.test('responses and crumbs get no answer', async t => {
  const responder = respond(start(t))
  const answer = encoded(queryFor('web.service.consul', 'A', { response: true }))
  t.equal(answerTo(responder, answer, out, 'udp'), NONE)
  for (let size = 0; size < 12; size++) {
    t.equal(answerTo(responder, Buffer.alloc(size), out, 'udp'), NONE)
  }
  t.equal(responder.stats.malformed, 13)
})

t.test('a shared store: stale answers are right, unless the configuration says not', async t => {
  const { world, registry } = shared(await withInstances(t, 1))
  const query = queryOf('web.service.consul A')
  const allowed = respond(registry)
  t.ok(answerTo(allowed, query, out, 'udp') > 0)
  t.equal(world.confirmed, 0)
  const strict = respond(registry, configWith({ allowStale: false }))
  for (let times = 1; times <= 2; times++) {
    t.equal(answerTo(strict, query, out, 'udp'), LATER)
    t.equal(parsed((await answerLater(strict, query, 'udp'))!).answers.length, 1)
    t.equal(world.confirmed, times)
  }
  world.confirm = async () => {
    throw new Error('no quorum')
  }
  t.equal(parsed((await answerLater(strict, query, 'udp'))!).rcode, 2)
  t.equal(strict.stats.failed, 1)
  t.equal(world.confirmed, 3)
  t.ok(answerTo(allowed, query, out, 'udp') > 0, 'without a quorum as well')
})

t.test('a shared store: what is older than max_stale is confirmed first', async t => {
  const { world, registry } = shared(await withInstances(t, 1))
  const clock = new FakeClock()
  const responder = respond(registry, configWith({ maxStaleMs: 5_000 }), clock)
  const query = queryOf('web.service.consul A')
  t.ok(answerTo(responder, query, out, 'udp') > 0)
  await clock.advance(5_000)
  t.ok(answerTo(responder, query, out, 'udp') > 0, 'at the bound')
  await clock.advance(1)
  t.equal(answerTo(responder, query, out, 'udp'), LATER)
  await answerLater(responder, query, 'udp')
  t.equal(world.confirmed, 1)
  t.ok(answerTo(responder, query, out, 'udp') > 0, 'fresh again')
})

t.test('queries that wait are bounded', async t => {
  const { registry, world } = shared(await withInstances(t, 1))
  world.confirm = () => new Promise(() => {})
  const responder = respond(registry, configWith({ allowStale: false }))
  const query = queryOf('web.service.consul A')
  for (let i = 0; i < limits.dnsWaiting; i++) void answerLater(responder, query, 'udp')
  t.equal(await answerLater(responder, query, 'udp'), undefined)
  t.equal(responder.stats.dropped, 1)
})

t.test('arbitrary packets are answered well-formed or not at all', async t => {
  const responder = respond(await withInstances(t, 3))
  const given = Buffer.alloc(65_535)
  let slowestMs = 0
  const check = (query: Buffer, transport: 'udp' | 'tcp'): void => {
    query.copy(given)
    const startedMs = systemClock.monotonic()
    const size = answerTo(responder, query, out, transport)
    slowestMs = Math.max(slowestMs, systemClock.monotonic() - startedMs)
    if (query.compare(given, 0, query.length) !== 0) throw new Error('the query was written to')
    if (size === NONE) return
    const answer = parsed(out.subarray(0, size))
    if (!answer.response || answer.id !== query.readUInt16BE(0)) throw new Error('no answer to it')
  }
  const count = propertyRuns()
  const first = Math.floor(Math.random() * 2 ** 31)
  const cases = await untilBudget('rounds of DNS packets', 10_000, round => {
    for (let i = 0; i < count; i++) {
      const seed = first + round * count + i
      const draw = seeded(seed)
      const packet = packetOf(draw)
      try {
        check(packet, draw.pick(['udp', 'tcp']))
      } catch (error) {
        throw new Error(`packet ${packet.toString('hex')} of seed ${seed}`, { cause: error })
      }
    }
  })
  reached('DNS packets', cases * count)
  t.ok(responder.kept.sizeBytes < 67_108_864)
  t.comment(`the slowest took ${slowestMs.toFixed(2)} ms`)
})

/** Messages of every kind, as they are sent to us. Making one costs far more than answering it. */
const anyMessages: Stock = {
  inputs: fc
    .sample(anyMessage, { numRuns: 2_000 })
    .map(one => encoded({ ...one, response: false })),
  pieces: [],
}
const goodQueries = [
  'web.service.consul A',
  'web.service.consul SRV',
  '_web._tcp.consul SRV',
  'n1.node.dc1.consul TXT',
  'consul NS',
  '1.0.0.10.in-addr.arpa PTR',
].map(question => queryOf(question, 0))

/** Noise, a message that may be damaged, or a good query in which little is. */
function packetOf(draw: Draw): Buffer {
  switch (draw.below(3)) {
    case 0: {
      const noise = Buffer.allocUnsafe(draw.below(601))
      for (let at = 0; at < noise.length; at++) noise[at] = draw.below(256)
      return noise
    }
    case 1:
      return draw.chance(50) ? draw.pick(anyMessages.inputs) : mutated(draw, anyMessages)
    default:
      return damagedQuery(draw)
  }
}

/** A good query in which some bytes were changed, or the end is missing. */
function damagedQuery(draw: Draw): Buffer {
  const query = Buffer.from(draw.pick(goodQueries))
  // The size that EDNS advertises: OPT is the last eleven bytes.
  query.writeUInt16BE(draw.below(65_536), query.length - 8)
  for (let flips = draw.below(5); flips > 0; flips--) {
    const at = draw.below(61)
    if (at < query.length) query[at] = draw.below(256)
  }
  const cut = draw.below(81)
  return query.subarray(0, Math.max(12, query.length - (cut > 20 ? 0 : cut)))
}
