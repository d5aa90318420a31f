/**
 * The texts of rows: whatever a row says, its text has the promised shape, order and content.
 */
import fc from 'fast-check'
import t from 'tap'
import { publicIndex, revision } from '../../../src/base/brand.ts'
import {
  agentServiceShape,
  checkShape,
  contentHashOf,
  createWire,
  healthShape,
  instanceShape,
  nodeShape,
  serviceShape,
  sessionShape,
} from '../../../src/http/registry/wire.ts'
import { list, map, type Shape, text as textShape } from '../../../src/http/shape.ts'
import type { Cell } from '../../../src/store/table.ts'
import { type CheckRow, CheckStatus } from '../../../src/store/tables/check.ts'
import type { NodeRow } from '../../../src/store/tables/node.ts'
import type { ServiceRow } from '../../../src/store/tables/service.ts'
import type { SessionRow } from '../../../src/store/tables/session.ts'

const wire = createWire('dc1')
const any = fc.string({ unit: 'grapheme' })
const texts = fc.dictionary(any, any, { maxKeys: 3, noNullPrototype: true })
const int = fc.integer({ min: 0, max: 70_000 })

const node: fc.Arbitrary<NodeRow> = fc.record({
  node: any,
  id: any,
  address: any,
  taggedAddresses: texts,
  meta: texts,
})

const service: fc.Arbitrary<ServiceRow> = fc.record({
  node: any,
  id: any,
  name: any,
  kind: fc.constantFrom('', 'odd'),
  tags: fc.array(any, { maxLength: 3 }),
  address: any,
  taggedAddresses: fc.dictionary(any, fc.record({ address: any, port: int }), {
    maxKeys: 2,
    noNullPrototype: true,
  }),
  meta: texts,
  port: int,
  ports: fc.array(fc.record({ name: any, port: int, isDefault: fc.boolean() }), { maxLength: 2 }),
  socketPath: any,
  weights: fc.record({ passing: int, warning: int }),
  enableTagOverride: fc.boolean(),
  connectNative: fc.boolean(),
  agentOwned: fc.boolean(),
})

const check: fc.Arbitrary<CheckRow> = fc.record({
  node: any,
  checkId: any,
  name: any,
  status: fc.constantFrom(...Object.values(CheckStatus)),
  notes: any,
  output: any,
  serviceId: any,
  serviceName: any,
  serviceTags: fc.array(any, { maxLength: 2 }),
  type: any,
  interval: any,
  timeout: any,
  definition: fc.record(
    {
      http: any,
      header: fc.dictionary(any, fc.array(any)),
      tlsSkipVerify: fc.boolean(),
      intervalMs: fc.integer({ min: 1, max: 1e9 }),
      scriptArgs: fc.array(any),
    },
    { requiredKeys: [] },
  ),
  agentOwned: fc.boolean(),
})

const session: fc.Arbitrary<SessionRow> = fc.record({
  id: any,
  name: any,
  node: any,
  lockDelayMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
  behavior: fc.constantFrom('release', 'delete'),
  ttl: any,
  ttlMs: int,
  nodeChecks: fc.array(any),
  serviceChecks: fc.array(fc.record({ id: any, namespace: any }), { maxLength: 2 }),
})

const cellOf = <R>(row: R): Cell<R> => ({
  key: 'k',
  row,
  createRevision: revision(3),
  modRevision: revision(9),
  version: 2,
  lease: '',
  createIndex: publicIndex(3),
  modifyIndex: publicIndex(9),
  sum: 0,
})

/** Rows of this kind have texts of this shape, the same each time, with fields in its order. */
function promised<R>(
  name: string,
  rows: fc.Arbitrary<R>,
  shape: Shape<unknown>,
  render: (row: R) => string,
): void {
  t.test(name, async t => {
    const order = Object.keys((shape.schema as { properties: object }).properties)
    fc.assert(
      fc.property(rows, row => {
        const text = render(row)
        const json = JSON.parse(text)
        t.strictSame(shape.check(json, '$'), [])
        const names = Object.keys(json)
        t.strictSame(
          names,
          order.filter(one => names.includes(one)),
          'in order',
        )
        return text === render(row)
      }),
      { numRuns: 60 },
    )
  })
}

const pair = fc.tuple(node, service)
promised('nodes', node, nodeShape, row => wire.node(cellOf(row)))
promised('services', service, serviceShape, row => wire.service(cellOf(row)))
promised('checks', check, checkShape, row => wire.check(cellOf(row)))
promised('sessions', session, sessionShape, row => wire.session(cellOf(row)))
promised('services of the agent', service, agentServiceShape, row =>
  wire.agentService(row, contentHashOf(row)),
)
promised('instances', pair, instanceShape, ([n, s]) =>
  wire.instance({ node: cellOf(n), service: cellOf(s) }),
)
promised('health', fc.tuple(node, service, fc.array(check)), healthShape, ([n, s, checks]) =>
  wire.health({ node: cellOf(n), service: cellOf(s), checks: checks.map(cellOf) }),
)

t.test('what is read back is what was stored', async t => {
  fc.assert(
    fc.property(node, service, check, (n, s, c) => {
      t.match(JSON.parse(wire.node(cellOf(n))), { Node: n.node, CreateIndex: 3, ModifyIndex: 9 })
      t.strictSame(JSON.parse(wire.node(cellOf(n))).Meta, n.meta)
      t.strictSame(JSON.parse(wire.service(cellOf(s))).Tags, s.tags)
      t.equal(JSON.parse(wire.check(cellOf(c))).Output, c.output)
      t.equal(JSON.parse(wire.agentCheck(c)).ModifyIndex, 0)
      const tags = JSON.parse(`{${wire.serviceTags({ name: s.name, tags: s.tags })}}`)
      t.strictSame(map(list(textShape)).check(tags, '$'), [])
    }),
    { numRuns: 40 },
  )
})

t.test('a content hash is of the content alone', async () => {
  fc.assert(
    fc.property(service, service, (a, b) => {
      const said = (row: ServiceRow): string => wire.agentService(row)
      return (contentHashOf(a) === contentHashOf(b)) === (said(a) === said(b))
    }),
    { numRuns: 100 },
  )
})
