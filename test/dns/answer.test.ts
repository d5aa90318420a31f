/** Kept answers: how long they hold, what they stand on, how many there can be. */
import t, { type Test } from 'tap'
import type { Clock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { Answerer } from '../../src/dns/answer.ts'
import type { Kept } from '../../src/dns/cache.ts'
import { Meter } from '../../src/dns/meter.ts'
import { Recursors } from '../../src/dns/recursors.ts'
import { CheckStatus } from '../../src/store/tables/check.ts'
import { newQuestion, readQuestion } from '../../src/wire/dns/mod.ts'
import { FakeClock, settled } from '../fake/clock.ts'
import { untilBudget } from '../run/budget.ts'
import {
  answerTo,
  askDirectly,
  configWith,
  openRegistry,
  optionsFor,
  queryOf,
  respond,
  type TestRegistry,
  textOf,
  ticking,
} from './support.ts'

const web = (node: string, address: string, status?: CheckStatus) => ({
  node,
  address: '10.9.9.9',
  service: { name: 'web', id: `web-${node}`, address, port: 80 },
  ...(status === undefined ? {} : { status }),
})

function start(t: Test, config = configWith({}), clock: Clock = new FakeClock()) {
  const registry = openRegistry(clock)
  t.teardown(() => registry.store.close())
  const responder = respond(registry, config, clock)
  const ask = (question: string): string[] =>
    textOf(askDirectly(responder, question, { sizeBytes: 4_096 })).sort()
  return { registry, responder, ask }
}

t.test('the next query sees a change', async t => {
  const { registry, responder, ask } = start(t)
  const steps: readonly [() => Promise<void>, string[]][] = [
    [async () => {}, ['NXDOMAIN']],
    [() => registry.put(web('one', '10.0.0.1')), ['A 10.0.0.1']],
    [() => registry.put(web('two', '10.0.0.2')), ['A 10.0.0.1', 'A 10.0.0.2']],
    [() => registry.put(web('two', '10.0.0.3')), ['A 10.0.0.1', 'A 10.0.0.3']],
    [() => registry.put(web('one', '10.0.0.1', CheckStatus.critical)), ['A 10.0.0.3']],
    [() => registry.put({ node: 'two', status: CheckStatus.critical }), ['NXDOMAIN']],
    [() => registry.put({ node: 'two', status: CheckStatus.warning }), ['A 10.0.0.3']],
    [() => registry.put(web('one', '10.0.0.1', CheckStatus.passing)), ['A 10.0.0.1', 'A 10.0.0.3']],
    [() => registry.remove('two'), ['A 10.0.0.1']],
    [() => registry.remove('one', 'web-one'), ['NXDOMAIN']],
    [() => registry.put(web('one', '10.0.0.7')), ['A 10.0.0.7']],
  ]
  for (const [change, expected] of steps) {
    await change()
    t.strictSame(ask('web.service.consul A'), expected)
    const { made } = responder.stats
    t.strictSame(ask('web.service.consul A'), expected, 'and again')
    if (expected[0] !== 'NXDOMAIN') t.equal(responder.stats.made, made, 'from what was kept')
  }
})

t.test('a node without a service of its own: its address, and that it comes and goes', async t => {
  const { registry, ask } = start(t)
  t.strictSame(ask('one.node.consul A'), ['NXDOMAIN'])
  await registry.put({ node: 'one', address: '10.0.0.1' })
  t.strictSame(ask('one.node.consul A'), ['A 10.0.0.1'])
  await registry.put({ node: 'One', address: '10.0.0.2' })
  t.strictSame(ask('one.node.consul A'), ['A 10.0.0.2'])
  await registry.remove('one')
  t.strictSame(ask('one.node.consul A'), ['NXDOMAIN'])
})

t.test('a node that moves takes its services along', async t => {
  const { registry, ask } = start(t)
  await registry.put({ node: 'one', address: '10.0.0.1', service: { name: 'web', port: 80 } })
  t.strictSame(ask('web.service.consul A'), ['A 10.0.0.1'])
  await registry.put({ node: 'one', address: '10.0.0.2' })
  t.strictSame(ask('web.service.consul A'), ['A 10.0.0.2'])
})

t.test('a tag that comes and goes', async t => {
  const { registry, ask } = start(t)
  const tagged = (...tags: string[]) => ({
    node: 'one',
    address: '10.0.0.1',
    service: { name: 'web', tags },
  })
  await registry.put(tagged('a'))
  t.strictSame(ask('b.web.service.consul A'), ['NXDOMAIN'])
  await registry.put(tagged('b'))
  t.strictSame(ask('b.web.service.consul A'), ['A 10.0.0.1'])
  t.strictSame(ask('a.web.service.consul A'), ['NXDOMAIN'])
})

t.test('a restored store starts over: nothing kept before it is given out', async t => {
  const { registry, ask } = start(t)
  await registry.put(web('one', '10.0.0.1'))
  t.strictSame(ask('web.service.consul A'), ['A 10.0.0.1'])
  await registry.store.restore({ rows: [], index: 1, verify: () => {} })
  t.strictSame(ask('web.service.consul A'), ['NXDOMAIN'])
})

t.test('unrelated changes leave an answer alone', async t => {
  const { registry, responder, ask } = start(t)
  await registry.put(web('one', '10.0.0.1'))
  ask('web.service.consul A')
  const { made } = responder.stats
  await registry.put({ node: 'far', address: '10.0.0.8', service: { name: 'other' } })
  ask('web.service.consul A')
  t.equal(responder.stats.made, made)
})

t.test("the serial of an SOA is the time's second, in answers of all kinds", async t => {
  const clock = new FakeClock()
  const { responder, registry } = start(t, configWith({}), clock)
  const serial = (question: string) => {
    const { answers, authorities } = askDirectly(responder, question)
    const [record] = [...answers, ...authorities]
    return record?.type === 'SOA' ? record.data.serial : undefined
  }
  await registry.put(web('one', '10.0.0.1'))
  for (const question of ['consul SOA', 'no.such.consul A', 'web.service.consul AAAA']) {
    for (const step of ['first', 'a second later']) {
      t.equal(serial(question), Math.floor(clock.wall() / 1_000), `${question}: ${step}`)
      t.equal(serial(question), Math.floor(clock.wall() / 1_000), `${question}: ${step}, kept`)
      await clock.advance(1_000)
    }
  }
})

t.test('classes do not multiply what is kept', async t => {
  const { registry } = start(t)
  await registry.put(web('one', '10.0.0.1'))
  const responder = respond(registry)
  const query = queryOf('web.service.consul A')
  const out = Buffer.alloc(65_535)
  for (let classCode = 0; classCode < 65_536; classCode += 17) {
    query.writeUInt16BE(classCode, query.length - 2)
    t.ok(answerTo(responder, query, out, 'udp') > query.length)
  }
  t.strictSame({ ...responder.kept, sizeBytes: 0 }, { present: 1, others: 0, sizeBytes: 0 })
})

t.test('names that somebody invents push out no honest answer', async t => {
  const { registry } = start(t)
  await registry.put(web('one', '10.0.0.1'), { node: 'one', service: { name: 'consul' } })
  const responder = respond(registry)
  const honest = [
    'web.service.consul A',
    'web.service.consul SRV',
    'one.node.consul A',
    'consul NS',
  ]
  for (const question of honest) askDirectly(responder, question)
  const { made } = responder.stats
  const forms = [
    (i: number) => `x${i}.consul A`,
    (i: number) => `x${i}.service.consul SRV`,
    (i: number) => `x${i}.web.service.consul A`,
    (i: number) => `x${i}.node.dc1.consul A`,
    (i: number) => `${i.toString(16).padStart(8, '0')}.addr.dc1.consul A`,
    (i: number) => `web.service.consul TYPE${1_000 + (i % 60_000)}`,
    (i: number) => `x${i}.example A`,
    (i: number) => `x${i}.query.consul A`,
    (i: number) => `web.service.dc${i}.consul A`,
  ]
  const out = Buffer.alloc(65_535)
  const asked = await untilBudget('names invented by an asker of DNS', 1_000_000, i => {
    answerTo(responder, queryOf(forms[i % forms.length]!(i)), out, 'udp')
  })
  t.equal(responder.stats.made - made, asked, 'none of them was asked before')
  t.equal(responder.kept.present, honest.length)
  t.ok(responder.kept.others <= limits.dnsNegativeEntries)
  t.ok(responder.kept.sizeBytes < 16_777_216)
  for (const question of honest) askDirectly(responder, question)
  t.equal(responder.stats.made - made, asked, 'honest answers were kept all the time')
})

t.test('what has no form in the DNS is left out and counted', async t => {
  const { registry, responder, ask } = start(t)
  await registry.put(
    { node: 'a'.repeat(64), address: '10.0.0.1', service: { name: 'web', port: 80 } },
    { node: 'one', address: '10.0.0.2', service: { name: 'web', port: 70_000 } },
    { node: 'two', address: '10.0.0.3', service: { name: 'web', port: 80 } },
  )
  t.strictSame(ask('web.service.consul SRV'), ['SRV 1 1 80 two.node.dc1.consul.'])
  t.equal(responder.stats.unencodable, 2)
})

t.test('a large service is answered in slices', async t => {
  const INSTANCES = 200
  const registry = openRegistry()
  t.teardown(() => registry.store.close())
  const entries = Array.from({ length: INSTANCES }, (_, i) => web(`node-${i}`, `10.0.0.${i}`))
  await registry.put(...entries)
  const answerer = new Answerer(answererOptions(registry, configWith({}), ticking()))
  const question = newQuestion()
  readQuestion(queryOf('web.service.consul A'), question)
  const countOf = (found: unknown) => (found as Kept).template.answerCount

  const first = answerer.find(question)
  t.type(first, Promise, 'nothing is kept: it has to be waited for')
  t.equal(answerer.find(question), first, 'and is made once')
  t.equal(countOf(await first), INSTANCES)
  t.equal(countOf(answerer.find(question)), INSTANCES)

  await registry.put(web('one more', '10.0.1.1'))
  t.equal(countOf(answerer.find(question)), INSTANCES, 'the last one, until the next is made')
  await made(answerer, question, INSTANCES + 1)

  await removeAll(registry, INSTANCES)
  t.equal(countOf(answerer.find(question)), 1, 'a small one at once')
})

function answererOptions(...given: Parameters<typeof optionsFor>) {
  const options = optionsFor(...given)
  const { recursors: counts } = new Meter(options.metrics, 'here')
  const recursors = new Recursors(options, counts)
  return { ...options, recursors, counts: { made: 0, unencodable: 0 } }
}

async function made(answerer: Answerer, question: ReturnType<typeof newQuestion>, count: number) {
  for (let tries = 0; tries < 100; tries++) {
    const found = answerer.find(question)
    if (typeof found === 'object' && 'template' in found && found.template.answerCount === count) {
      return
    }
    await settled()
  }
  t.fail(`no answer with ${count}`)
}

async function removeAll(registry: TestRegistry, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => registry.remove(`node-${i}`)))
}
