/**
 * Prepared queries as names, beyond the form's examples: TTL, order, and what changes at once.
 */
import t from 'tap'
import type { Responder } from '../../../src/dns/responder.ts'
import { type Op, put } from '../../../src/store/store.ts'
import { coordinates } from '../../../src/store/tables/coordinate.ts'
import { type QueryRow, queries } from '../../../src/store/tables/query.ts'
import { queryRow } from '../../registry/rules.ts'
import {
  askDirectly,
  configWith,
  openRegistry,
  respond,
  type TestRegistry,
  textOf,
} from '../support.ts'

const query = (name: string, more: Partial<QueryRow> = {}, near = ''): Op => {
  const row = queryRow(name, { name, ...more })
  return put(queries, name, { ...row, service: { ...row.service, service: 'web', near } })
}

const at = (node: string, x: number): Op =>
  put(coordinates, node, {
    node,
    coordinate: { vec: [x, 0, 0, 0, 0, 0, 0, 0], error: 1, adjustment: 0, height: 0 },
  })

async function registryWith(...ops: Op[]): Promise<TestRegistry> {
  const registry = openRegistry()
  for (const n of [1, 2, 3, 4, 5]) {
    await registry.put({ node: `n${n}`, address: `10.0.0.${n}`, service: { name: 'web', port: n } })
  }
  await registry.store.write(() => ({ txn: ops, answer: undefined }))
  return registry
}

const addresses = (responder: Responder, name: string, type = 'A'): string[] =>
  textOf(askDirectly(responder, `${name}.query.consul ${type}`, { sizeBytes: 4_096 }))

t.test('the TTL is the query’s, else that of its service', async t => {
  const registry = await registryWith(query('own', { dnsTtl: '1m30s' }), query('bare'))
  t.teardown(() => registry.store.close())
  const responder = respond(registry, configWith({ serviceTtlMs: { 'we*': 7_000 } }))
  const ttls = (name: string): number[] =>
    askDirectly(responder, `${name}.query.consul A`).answers.map(({ ttlS }) => ttlS)
  t.strictSame([...new Set(ttls('own'))], [90])
  t.strictSame([...new Set(ttls('bare'))], [7])
})

t.test('nearest first, every time', async t => {
  const near = [at('n1', 9), at('n2', 5), at('n3', 0), at('n4', 1), at('n5', 2)]
  const registry = await registryWith(query('near', {}, 'n3'), query('any'), ...near)
  t.teardown(() => registry.store.close())
  const responder = respond(registry)
  const wanted = [3, 4, 5, 2, 1].map(n => `A 10.0.0.${n}`)
  for (let times = 0; times < 10; times++) t.strictSame(addresses(responder, 'near'), wanted)
  t.match(addresses(responder, 'near', 'SRV')[0], 'n3.node')
  const firsts = Array.from({ length: 200 }, () => addresses(responder, 'any')[0])
  t.equal(new Set(firsts).size, 5, 'and in any order where nothing is to be near')
  const limited = respond(registry, configWith({ aRecordLimit: 2 }))
  t.strictSame(addresses(limited, 'near'), wanted.slice(0, 2))
  t.equal(addresses(limited, 'near', 'SRV').length, 5)
})

t.test('near to where nothing is known: in any order', async t => {
  const registry = await registryWith(query('near', {}, 'elsewhere'), query('ip', {}, '_ip'))
  t.teardown(() => registry.store.close())
  const responder = respond(registry)
  for (const name of ['near', 'ip']) {
    const firsts = Array.from({ length: 200 }, () => addresses(responder, name)[0])
    t.equal(new Set(firsts).size, 5, name)
  }
})

t.test('a change of the query, of health or of the catalog is seen at once', async t => {
  const registry = await registryWith(query('q'))
  t.teardown(() => registry.store.close())
  const responder = respond(registry, configWith({ onlyPassing: true }))
  t.equal(addresses(responder, 'q').length, 5)
  t.strictSame(addresses(responder, 'renamed'), ['NXDOMAIN'])
  t.match(responder.kept, { present: 0, others: 1 }, 'that there is none is kept')
  await registry.put({ node: 'n1', status: 'critical' }, { node: 'n2', status: 'warning' })
  t.equal(addresses(responder, 'q').length, 4, 'and only_passing is not the query’s')
  await registry.remove('n3')
  t.equal(addresses(responder, 'q').length, 3)
  await registry.store.write(() => ({ txn: [query('renamed')], answer: undefined }))
  t.equal(addresses(responder, 'renamed').length, 3)
})
