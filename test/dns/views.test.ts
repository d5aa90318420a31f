/** DNS on an agent that keeps a part of a store: a server's answers, also while none is there. */
import t, { type Test } from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import type { DnsConfig } from '../../src/dns/config.ts'
import { forms } from '../../src/dns/form/mod.ts'
import { Responder } from '../../src/dns/responder.ts'
import type { DnsViews } from '../../src/dns/views.ts'
import { queryKind } from '../../src/registry/query-interest.ts'
import { Asker } from '../../src/store/ask.ts'
import type { Follows, Replica } from '../../src/store/replica/engine.ts'
import { catalogInterests } from '../../src/store/replica/kinds.ts'
import { put } from '../../src/store/store.ts'
import { queries } from '../../src/store/tables/query.ts'
import { queryRow } from '../registry/rules.ts'
import { DirectWay, publish, replicaBy } from '../store/replica/world.ts'
import { openExample } from './example.ts'
import { ask, askDirectly, configWith, optionsFor, textOf } from './support.ts'

const NOBODY: Follows = { id: '', token: '' }
const KINDS = [...catalogInterests, queryKind]

const viewsOf = (replica: Replica): DnsViews => ({
  ensure: interests => replica.ensure(interests, NOBODY),
})

async function openAgent(t: Test, dns: Partial<DnsConfig['dns']> = {}) {
  const registry = await openExample()
  const publisher = publish(registry.store, systemClock, undefined, KINDS)
  const way = new DirectWay(publisher)
  const replica = replicaBy(way, systemClock, { kinds: KINDS })
  const asker = new Asker(replica, new Timeouts(systemClock), replica)
  const config = configWith(dns)
  const responder = new Responder({
    ...optionsFor({ asker }, config),
    views: viewsOf(replica),
  })
  t.teardown(async () => {
    responder.stop()
    await replica.close()
    publisher.close()
    await registry.store.close()
  })
  return { registry, publisher, way, replica, responder }
}

t.test('every form gives what it gives on a server, also once no server is there', async t => {
  const { way, replica, responder } = await openAgent(t)
  const examples = forms.flatMap(({ examples }) => examples)
  for (const isCut of [false, true]) {
    if (isCut) way.cut()
    for (const { ask: question, gives } of examples) {
      const message = await ask(responder, question)
      const expected = typeof gives === 'string' ? [gives] : [...gives]
      t.same(textOf(message).sort(), expected.sort(), `${question} ${isCut ? 'cut' : ''}`)
    }
  }
  t.equal(replica.isConnected, false)
})

t.test('a name that was asked for once is answered without asking a server', async t => {
  const { way, responder } = await openAgent(t)
  t.equal(textOf(await ask(responder, 'web.service.consul A')).length, 2)
  const { requests } = way
  for (let i = 0; i < 10; i++) t.equal(askDirectly(responder, 'web.service.consul A').rcode, 0)
  t.equal(way.requests, requests)
})

t.test('what changes shows, and what nobody asked for fails while no server is there', async t => {
  const { registry, way, replica, responder } = await openAgent(t)
  t.same(textOf(await ask(responder, 'down.service.consul A')), ['NXDOMAIN'])
  await registry.put({ node: 'one', service: { name: 'down', id: 'd2', port: 2 } })
  await until(() => replica.view().revision === registry.store.view().revision)
  t.same(textOf(await ask(responder, 'down.service.consul A')), ['A 10.0.0.1'])
  await registry.remove('one', 'd2')
  await until(() => replica.view().revision === registry.store.view().revision)
  t.same(textOf(await ask(responder, 'down.service.consul A')), ['NXDOMAIN'])
  way.cut()
  t.same(textOf(await ask(responder, 'down.service.consul A')), ['NXDOMAIN'])
  t.same(textOf(await ask(responder, 'external.service.consul A')), ['SERVFAIL'])
  t.same(textOf(await ask(responder, 'unheard.service.consul A')), ['SERVFAIL'])
})

t.test('a query with a token of its own is for servers alone', async t => {
  const { registry, responder } = await openAgent(t)
  const row = queryRow('held', { name: 'held', token: 'sealed' })
  const service = { ...row.service, service: 'web' }
  await registry.store.write(() => ({
    txn: [put(queries, 'held', { ...row, service })],
    answer: undefined,
  }))
  t.same(textOf(await ask(responder, 'held.query.consul A')), ['SERVFAIL'])
})

t.test('an older view than max_stale allows, or one at all, is not answered from', async t => {
  const { way, responder } = await openAgent(t, { maxStaleMs: 50 })
  t.equal(textOf(await ask(responder, 'web.service.consul A')).length, 2)
  way.cut()
  await until(async () => textOf(await ask(responder, 'web.service.consul A'))[0] === 'SERVFAIL')
  t.pass('it failed once it was too old')
})

t.test('without allow_stale each answer stands on what a server confirmed', async t => {
  const { registry, way, responder } = await openAgent(t, { allowStale: false })
  for (let port = 1; port < 20; port++) {
    await registry.put({ node: 'two', service: { name: 'fresh', port } })
    const [answer] = textOf(await ask(responder, 'fresh.service.consul SRV'))
    t.match(answer, `SRV 1 1 ${port} `)
  }
  way.cut()
  t.same(textOf(await ask(responder, 'web.service.consul A')), ['SERVFAIL'])
})

/** Waits for what comes by itself. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 100_000; turn++) {
    if (await holds()) return
    await new Promise(resolve => setImmediate(resolve))
  }
  throw new Error('it did not come')
}
