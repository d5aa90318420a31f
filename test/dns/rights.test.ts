/**
 * Answers by rights: what the agent's token for DNS may not see does not exist, says so to who
 * understands it, and is seen again, or no more, with the very next query.
 */
import t, { type Test } from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { everybody, type Lack, type Who } from '../../src/base/who.ts'
import { Responder } from '../../src/dns/responder.ts'
import { type DnsRights, openRights } from '../../src/dns/rights.ts'
import { put } from '../../src/store/store.ts'
import { queries } from '../../src/store/tables/query.ts'
import { FakeClock } from '../fake/clock.ts'
import { only, queryRow } from '../registry/rules.ts'
import {
  answerLater,
  ask,
  askDirectly,
  openRegistry,
  optionsFor,
  queryOf,
  textOf,
  ticking,
} from './support.ts'

/** Rights that a test changes. */
class Changing implements DnsRights {
  #who: Who
  readonly #watching = new Set<() => void>()
  readonly lacks: Lack[] = []
  seerOf: DnsRights['seerOf'] = openRights.seerOf

  constructor(who: Who) {
    this.#who = who
  }

  who(): Who {
    return this.#who
  }

  watch(changed: () => void): () => void {
    this.#watching.add(changed)
    return () => this.#watching.delete(changed)
  }

  note(lack: Lack): void {
    this.lacks.push(lack)
  }

  become(who: Who): void {
    this.#who = who
    for (const changed of this.#watching) changed()
  }

  get watched(): number {
    return this.#watching.size
  }
}

async function start(t: Test, who: Who) {
  const registry = openRegistry(new FakeClock())
  t.teardown(() => registry.store.close())
  await registry.put(
    { node: 'one', address: '10.0.0.1', service: { name: 'web', port: 80 } },
    { node: 'two', address: '10.0.0.2', service: { name: 'web', port: 80 } },
    { node: 'three', address: '10.0.0.3', service: { name: 'db', address: '10.0.1.3', port: 81 } },
  )
  const row = queryRow('00000000-0000-4000-8000-000000000001', { name: 'saved' })
  await registry.store.write(() => ({ txn: [put(queries, row.id, row)], answer: undefined }))
  const rights = new Changing(who)
  const responder = new Responder(optionsFor(registry, undefined, new FakeClock(), rights))
  const asked = async (question: string): Promise<string[]> =>
    textOf(await ask(responder, question, { sizeBytes: 4_096 })).sort()
  return { registry, rights, responder, asked }
}

const EXTENDED_ERROR = 15
const PROHIBITED = 18

/** The code and the text of the extended error of an answer. */
function extendedErrorOf({ edns }: ReturnType<typeof askDirectly>): [number, string] | undefined {
  const data = edns?.options.find(({ code }) => code === EXTENDED_ERROR)?.data
  if (data === undefined) return undefined
  const bytes = Buffer.from(data)
  return [bytes.readUInt16BE(0), bytes.toString('utf8', 2)]
}

t.test('nodes and services are seen by the rights on them', async t => {
  const { rights, asked } = await start(t, everybody)
  const cases: readonly [Who, Record<string, string[]>][] = [
    [
      everybody,
      {
        'web.service.consul A': ['A 10.0.0.1', 'A 10.0.0.2'],
        'one.node.consul A': ['A 10.0.0.1'],
        'saved.query.consul A': ['A 10.0.0.1', 'A 10.0.0.2'],
        '3.1.0.10.in-addr.arpa PTR': ['PTR db.service.dc1.consul.'],
        '1.0.0.10.in-addr.arpa PTR': ['PTR one.node.dc1.consul.'],
      },
    ],
    [
      only('service:read web', 'node:read one'),
      {
        'web.service.consul A': ['A 10.0.0.1'],
        '_web._tcp.service.consul SRV': ['SRV 1 1 80 one.node.dc1.consul.'],
        'db.service.consul A': ['NXDOMAIN'],
        'one.node.consul A': ['A 10.0.0.1'],
        'two.node.consul A': ['NXDOMAIN'],
        'saved.query.consul A': ['A 10.0.0.1'],
        '3.1.0.10.in-addr.arpa PTR': ['NXDOMAIN'],
        '2.0.0.10.in-addr.arpa PTR': ['NXDOMAIN'],
      },
    ],
    [only('service:read'), { 'web.service.consul A': ['NXDOMAIN'] }],
    [
      only('node:read'),
      { 'web.service.consul A': ['NXDOMAIN'], 'two.node.consul A': ['A 10.0.0.2'] },
    ],
    [only(), { 'saved.query.consul A': ['NXDOMAIN'], 'consul SOA': ['SOA'] }],
  ]
  for (const [who, expected] of cases) {
    rights.become(who)
    for (const [question, answers] of Object.entries(expected)) {
      const got = (await asked(question)).map(one => (one.startsWith('SOA') ? 'SOA' : one))
      t.strictSame(got, answers, `${question} with ${who.rights}`)
    }
  }
})

t.test('a right that is lost is lost for kept answers too, and one that is won is won', async t => {
  const { rights, responder, asked } = await start(t, everybody)
  t.strictSame(await asked('one.node.consul A'), ['A 10.0.0.1'])
  t.ok(responder.kept.present > 0)
  rights.become(only())
  t.equal(responder.kept.present, 0, 'nothing is kept for rights that nobody has')
  t.strictSame(await asked('one.node.consul A'), ['NXDOMAIN'])
  rights.become(only('node:read one'))
  t.strictSame(await asked('one.node.consul A'), ['A 10.0.0.1'])
  responder.stop()
  t.equal(rights.watched, 0)
})

t.test('an answer that was being made as the right was lost is not given', async t => {
  const { registry, rights } = await start(t, everybody)
  const responder = new Responder(optionsFor(registry, undefined, ticking(), rights))
  const later = answerLater(responder, queryOf('web.service.consul A'), 'udp')
  rights.become(only())
  const answer = await later
  t.equal(answer![3]! & 15, 3, 'NXDOMAIN')
})

t.test('who sent EDNS is told that it was rights, and the lack is kept under that id', async t => {
  const { rights, responder } = await start(t, only('node:read'))
  const edns = { sizeBytes: 1_232 }
  const denied = askDirectly(responder, 'web.service.consul A', edns)
  t.equal(denied.rcode, 3)
  const [code, text] = extendedErrorOf(denied) ?? []
  t.equal(code, PROHIBITED)
  const [lack] = rights.lacks
  t.match(lack, { operation: 'DNS A', name: 'web.service.consul.', outcome: 'filtered', count: 2 })
  t.match(lack?.lacking, [{ resource: 'service', capability: 'read', name: 'web' }])
  t.equal(text, `not permitted, request ${lack?.id}`)
  const plain = askDirectly(responder, 'web.service.consul A')
  t.equal(plain.rcode, 3)
  t.equal(plain.edns, undefined)
  t.equal(extendedErrorOf(askDirectly(responder, 'none.service.consul A', edns)), undefined)
  t.equal(extendedErrorOf(askDirectly(responder, 'two.node.consul A', edns)), undefined)
  t.equal(extendedErrorOf(askDirectly(responder, 'web.service.consul A', edns))?.[0], PROHIBITED)
  const small = askDirectly(responder, 'web.service.consul A', { sizeBytes: 512 })
  t.equal(small.authorities.length, 1, 'there is room for the SOA beside it')
})

t.test('a query with a token of its own shows what that may see', async t => {
  const { rights, asked } = await start(t, only('node:read', 'service:read'))
  rights.seerOf = () => only('service:read', 'node:read two')
  t.strictSame(await asked('saved.query.consul A'), ['A 10.0.0.2'])
  rights.seerOf = () => new Refusal(403, 'ACL not found')
  t.strictSame(await asked('saved.query.consul A'), ['NXDOMAIN'])
})
