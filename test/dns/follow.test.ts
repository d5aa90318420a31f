/** Host names as addresses: where they lead, through our own names and through recursors. */
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import type { DnsConfig } from '../../src/dns/config.ts'
import type { DnsRecord } from '../../src/wire/dns/mod.ts'
import { ask, configWith, openRegistry, respond, textOf } from './support.ts'
import { a, startUpstream } from './upstream.ts'

/** The names that the recursor knows. */
const known: Readonly<Record<string, readonly DnsRecord[]>> = {
  'outside.example. A': [a('outside.example.', '192.0.2.1'), a('outside.example.', '192.0.2.2')],
  'outside.example. AAAA': [a('outside.example.', '2001:db8::1')],
  'chain.example. A': [
    { name: 'chain.example.', class: 1, ttlS: 9, type: 'CNAME', data: 'end.example.' },
    a('end.example.', '192.0.2.3'),
  ],
  'wide.example. A': Array.from({ length: 12 }, (_, i) => a('wide.example.', `192.0.2.${i}`)),
}

async function start(t: Test, dns: Partial<DnsConfig['dns']> = {}) {
  const registry = openRegistry()
  t.teardown(() => registry.store.close())
  await registry.put(
    { node: 'one', address: '10.0.0.1' },
    { node: 'named', address: 'outside.example', meta: { k: 'v' } },
    { node: 'gone', address: 'gone.example' },
    { node: 'one', service: { name: 'chain', port: 1, address: 'chain.example' } },
    { node: 'one', service: { name: 'wide', port: 1, address: 'wide.example.' } },
    { node: 'one', service: { name: 'web', port: 80, address: 'Outside.Example' } },
    { node: 'one', service: { name: 'alias', port: 81, address: 'chain.service.consul' } },
    { node: 'one', service: { name: 'ours', port: 82, address: 'one.node.consul' } },
    { node: 'one', service: { name: 'circle', port: 83, address: 'circle.service.dc1.consul' } },
    { node: 'one', service: { name: 'two', id: 'a', port: 1, address: 'outside.example' } },
    { node: 'one', service: { name: 'two', id: 'b', port: 1, address: 'chain.example' } },
    { node: 'one', service: { name: 'lost', port: 1, address: 'gone.example' } },
  )
  const upstream = await startUpstream(t, ({ questions }) => {
    const [question] = questions
    const answers = known[`${question?.name.toLowerCase()} ${question?.type}`]
    return answers === undefined ? { rcode: 3 } : { answers }
  })
  const config = configWith({ recursors: [upstream], ...dns })
  return { registry, upstream, responder: respond(registry, config, systemClock) }
}

t.test('an alias and what it stands for, in this order', async t => {
  const { responder, upstream } = await start(t)
  const table: Record<string, string[]> = {
    'named.node.consul A': ['CNAME outside.example.', 'A 192.0.2.1', 'A 192.0.2.2'],
    'named.node.consul AAAA': ['CNAME outside.example.', 'AAAA 2001:db8::1'],
    'named.node.consul CNAME': ['CNAME outside.example.'],
    'chain.service.consul A': ['CNAME chain.example.', 'CNAME end.example.', 'A 192.0.2.3'],
    'web.service.consul A': ['CNAME Outside.Example.', 'A 192.0.2.1', 'A 192.0.2.2'],
    'alias.service.consul A': [
      'CNAME chain.service.consul.',
      'CNAME chain.example.',
      'CNAME end.example.',
      'A 192.0.2.3',
    ],
    'ours.service.consul A': ['CNAME one.node.consul.', 'A 10.0.0.1'],
    'lost.service.consul A': ['CNAME gone.example.'],
    'gone.node.consul A': ['CNAME gone.example.'],
  }
  for (const [question, expected] of Object.entries(table)) {
    const answer = await ask(responder, question, { sizeBytes: 1_232 })
    t.strictSame(textOf(answer), expected, question)
    t.match(answer, { authoritative: true, recursionAvailable: true })
  }
  const before = upstream.asked.length
  await ask(responder, 'web.service.consul A')
  t.equal(upstream.asked.length, before + 1, 'it is asked for each time')
})

t.test('TXT and ANY of a node with a host name', async t => {
  const { responder } = await start(t)
  t.strictSame(textOf(await ask(responder, 'named.node.consul ANY', { sizeBytes: 1_232 })), [
    'CNAME outside.example.',
    'A 192.0.2.1',
    'A 192.0.2.2',
    'AAAA 2001:db8::1',
    'TXT "k=v"',
  ])
  t.strictSame(textOf(await ask(responder, 'named.node.consul TXT')), ['TXT "k=v"'])
})

t.test('without EDNS few records are taken over', async t => {
  const { responder } = await start(t, { udpAnswerLimit: 8 })
  const plain = await ask(responder, 'wide.service.consul A')
  t.equal(plain.answers.length, 1 + limits.dnsFollowedPlainRecords)
  const edns = await ask(responder, 'wide.service.consul A', { sizeBytes: 1_232 })
  t.equal(edns.answers.length, 13)
})

t.test('a target of SRV comes with its addresses', async t => {
  const { responder } = await start(t)
  const { answers, additionals } = await ask(responder, 'web.service.consul SRV', {
    sizeBytes: 1_232,
  })
  t.match(answers, [{ data: { target: 'Outside.Example.', port: 80 } }])
  t.strictSame(
    additionals.map(({ type, data }) => `${type} ${data}`),
    ['A 192.0.2.1', 'A 192.0.2.2', 'AAAA 2001:db8::1'],
  )
  const lost = await ask(responder, 'lost.service.consul SRV')
  t.match(lost.answers, [{ data: { target: 'gone.example.' } }])
})

t.test('of several aliases one goes out, each at times', async t => {
  const { responder } = await start(t)
  const seen = new Set<string>()
  for (let i = 0; i < 64; i++) {
    const said = textOf(await ask(responder, 'two.service.consul A', { sizeBytes: 1_232 }))
    seen.add(said.join(', '))
  }
  t.strictSame([...seen].sort(), [
    'CNAME chain.example., CNAME end.example., A 192.0.2.3',
    'CNAME outside.example., A 192.0.2.1, A 192.0.2.2',
  ])
})

t.test('names of ours that lead in a circle end', async t => {
  const { responder, upstream } = await start(t)
  const said = textOf(await ask(responder, 'circle.service.consul A', { sizeBytes: 1_232 }))
  t.equal(said[0], 'CNAME circle.service.dc1.consul.')
  t.ok(said.length <= 1 + limits.dnsFollowedLevels, said.join())
  t.equal(upstream.asked.length, 0)
})

t.test('no recursors, or none that answers: the alias alone, at once', async t => {
  const { registry } = await start(t)
  const alone = respond(registry)
  t.strictSame(textOf(await ask(alone, 'web.service.consul A')), ['CNAME Outside.Example.'])
  t.strictSame(textOf(await ask(alone, 'ours.service.consul A')), [
    'CNAME one.node.consul.',
    'A 10.0.0.1',
  ])
  const seen = new Set<string>()
  for (let i = 0; i < 64; i++) {
    seen.add(textOf(await ask(alone, 'two.service.consul A', { sizeBytes: 1_232 })).join())
  }
  t.strictSame([...seen].sort(), ['CNAME chain.example.', 'CNAME outside.example.'], 'one of two')
  const silent = await startUpstream(t, () => undefined)
  const config = configWith({ recursors: [silent], recursorTimeoutMs: 100 })
  const waiting = respond(registry, config, systemClock)
  t.strictSame(textOf(await ask(waiting, 'web.service.consul A')), ['CNAME Outside.Example.'])
})
