/**
 * The registry's tables: rows survive their codecs, keys lie where they are looked for, and every
 * range that a rule reads is guarded.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { revision } from '../../../src/base/brand.ts'
import { fromText } from '../../../src/base/bytes.ts'
import { guardsOf } from '../../../src/store/recorder.ts'
import { type AnyTable, indexStart } from '../../../src/store/table.ts'
import { CheckStatus, checks } from '../../../src/store/tables/check.ts'
import { type KvRow, kv } from '../../../src/store/tables/kv.ts'
import { registryTables } from '../../../src/store/tables/mod.ts'
import { fold, nodeGuard, onNode, scope, underNode } from '../../../src/store/tables/names.ts'
import { nodes, servicesOn } from '../../../src/store/tables/node.ts'
import { services, splitTag } from '../../../src/store/tables/service.ts'
import { sessions } from '../../../src/store/tables/session.ts'
import { TableSet } from '../../../src/store/tables.ts'
import type { Version } from '../../../src/store/view.ts'
import {
  checkRow,
  nodeRow,
  putCheck,
  putNode,
  putService,
  putSession,
  serviceRow,
  viewOf,
} from '../../registry/rules.ts'
import { propertyRuns } from '../../run/budget.ts'

t.test('each table is declared once, and none lies inside another', async t => {
  t.ok(new TableSet(registryTables))
  t.equal(new Set(registryTables.map(({ name }) => name)).size, registryTables.length)
})

t.test('rows survive their codec', async t => {
  const row: fc.Arbitrary<KvRow> = fc.record(
    {
      value: fc.uint8Array({ maxLength: 50 }).map(bytes => Buffer.from(bytes)),
      flags: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      session: fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
      lockIndex: fc.nat({ max: 2 ** 47 }),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(row, one => {
      const read = kv.codec.decode(kv.codec.encode(one))
      return read.value.equals(one.value) && t.strictSame({ ...read, value: one.value }, one)
    }),
  )
  const plain: [AnyTable, unknown][] = [
    [nodes, nodeRow('n', { meta: { a: 'b' } })],
    [services, serviceRow('n', 's', { tags: ['a'], meta: { a: 'b' } })],
    [checks, checkRow('n', 'c', { serviceTags: ['a'], definition: { ttlMs: 1 } })],
  ]
  for (const [table, one] of plain) {
    t.strictSame(table.codec.decode(table.codec.encode(one)), one, table.name)
    t.strictSame(table.intern(one), one, 'shared parts say the same')
  }
})

/** Two rows, and the second once more with these fields of the first. */
function alike(a: object, b: object, fields: readonly PropertyKey[]): object {
  return Object.fromEntries(
    Object.entries(b).map(([field, value]) => [
      field,
      fields.includes(field) ? a[field as keyof typeof a] : value,
    ]),
  )
}

t.test('indexes and scopes follow from the fields that they say', async t => {
  const one = fc.constantFrom('a', 'B', 'b', '', '10.0.0.1')
  const service = fc
    .record({ name: one, tags: fc.array(one, { maxLength: 3 }), address: one, kind: one })
    .chain(more => fc.tuple(one, one).map(([node, id]) => serviceRow(node, id, more)))
  const status = fc.constantFrom('passing' as const, 'warning' as const)
  const check = fc
    .record({ serviceId: one, serviceName: one, status, output: one })
    .chain(more => fc.tuple(one, one).map(([node, id]) => checkRow(node, id, more)))
  const entry = fc.record({
    value: fc.uint8Array({ maxLength: 2 }).map(bytes => Buffer.from(bytes)),
    flags: fc.bigInt({ min: 0n, max: 2n }),
    session: one,
    lockIndex: fc.nat({ max: 2 }),
  })
  const reader = { get: () => undefined, find: () => [], prefix: () => [] }
  const rows: [AnyTable, fc.Arbitrary<object>][] = [
    [services, service],
    [checks, check],
    [kv, entry],
  ]
  for (const [table, row] of rows) {
    const property = fc.property(row, row, (a, b) => {
      for (const { fields, values } of Object.values(table.indexes)) {
        const c = fields === undefined ? a : alike(a, b, fields as PropertyKey[])
        assert.deepEqual(values(c, 'k'), values(a, 'k'))
      }
      const c = table.scopeFields === undefined ? a : alike(a, b, table.scopeFields)
      assert.deepEqual(table.scopes(c, 'k', reader), table.scopes(a, 'k', reader))
    })
    fc.assert(property, { numRuns: propertyRuns() })
    t.pass(table.name)
  }
})

t.test('a value that was read does not hold the page that it was read with', async t => {
  const page = Buffer.alloc(1_000)
  const row = { value: Buffer.from('v'), flags: 0n, session: '', lockIndex: 0 }
  const at = page.subarray(100, 100 + kv.codec.encode(row).copy(page, 100))
  t.not(kv.codec.decode(at).value.buffer, page.buffer)
})

const text = fc.string({ unit: fc.constantFrom('a', 'B', '/', '\0', 'é', '\u00ff'), maxLength: 6 })

t.test('what is on a node lies under it, and under no other', async t => {
  fc.assert(
    fc.property(text, text, text, (node, id, other) => {
      const key = onNode(node, id)
      const isUnder =
        key.startsWith(underNode(node)) && nodeGuard(key) === nodeGuard(underNode(node))
      return isUnder && key.startsWith(underNode(other)) === (fold(node) === fold(other))
    }),
  )
  t.equal(onNode('N', 'Id'), onNode('n', 'Id'), 'nodes without case')
  t.not(onNode('n', 'id'), onNode('n', 'Id'), 'ids with case')
  t.equal(scope.service('Web'), scope.service('web'))
})

t.test('a guard is what the keys that it stands for begin with', async t => {
  for (const table of registryTables.filter(({ guard }) => guard !== undefined)) {
    fc.assert(
      fc.property(text, text, (node, id) => {
        const key = table === kv ? fromText(node) : onNode(node, id)
        return key.startsWith(table.guard!(key))
      }),
    )
  }
  t.strictSame(
    ['a', 'a/b', 'a/b/c', '', '/'].map(key => kv.guard!(key)),
    ['a', 'a', 'a', '', ''],
    'keys of one first segment share one',
  )
})

t.test('names and tags come out of their index as they went in', async t => {
  fc.assert(
    fc.property(text, fc.uniqueArray(text, { maxLength: 3 }), (name, tags) => {
      const values = services.indexes.tag!.values(serviceRow('n', 's', { name, tags }), '')
      const wanted = tags.length === 0 ? [{ name, tag: '' }] : tags.map(tag => ({ name, tag }))
      return t.strictSame(values.map(splitTag), wanted)
    }),
  )
})

const view = (): Version =>
  viewOf(
    putNode('n'),
    putService('n', 's1', { name: 'Web' }),
    putService('n', 's2', { name: 'db' }),
    putNode('empty'),
  )

t.test('what a change touches', async t => {
  const reader = view()
  t.strictSame(servicesOn('N', reader), ['Web', 'db'])
  const touched: [AnyTable, unknown, string[]][] = [
    [nodes, nodeRow('empty'), ['catalog', 'nodes', 'node/empty']],
    [
      nodes,
      nodeRow('n'),
      ['catalog', 'nodes', 'node/n', 'service/web', 'health/web', 'service/db', 'health/db'],
    ],
    [
      services,
      serviceRow('n', 's1', { name: 'Web' }),
      ['catalog', 'services', 'service/web', 'health/web', 'node/n'],
    ],
    [
      services,
      serviceRow('n', 'gone'),
      ['catalog', 'services', 'service/gone', 'health/gone', 'node/n', 'service-extinction'],
    ],
    [checks, checkRow('N', 'c'), ['catalog', 'checks', 'node-checks/n', 'health/web', 'health/db']],
    [
      checks,
      checkRow('n', 'c', { serviceId: 's1', serviceName: 'Web' }),
      ['catalog', 'checks', 'node-checks/n', 'health/web', 'checks/web'],
    ],
    [sessions, putSession('id', 'N').row, ['sessions', 'session/id', 'node-sessions/n']],
  ]
  for (const [table, row, names] of touched) {
    t.strictSame(table.scopes(row, '', reader), names, table.name)
  }
})

t.test('where rules look for rows', async t => {
  const reader = viewOf(
    putNode('n', { id: 'uuid' }),
    putCheck('n', 'c', { serviceId: 's', status: CheckStatus.critical }),
    putCheck('n', 'of-node'),
    putSession('one', 'N', { nodeChecks: ['c', 'c'], serviceChecks: [{ id: 'd', namespace: '' }] }),
  )
  const keys = (cells: readonly { key: string }[]): string[] => cells.map(({ key }) => key)
  t.strictSame(keys(reader.find(nodes, 'id', 'uuid')), ['n'])
  t.strictSame(keys(reader.find(checks, 'instance', onNode('n', 's'))), [onNode('n', 'c')])
  t.strictSame(keys(reader.find(checks, 'instance', onNode('n', ''))), [onNode('n', 'of-node')])
  t.strictSame(reader.distinct(checks, 'failing'), ['critical'], 'who passes is not in it')
  for (const id of ['c', 'd']) {
    t.strictSame(keys(reader.find(sessions, 'check', onNode('n', id))), ['one'])
  }
  t.strictSame(keys(reader.find(sessions, 'node', 'n')), ['one'])
  t.equal(reader.newest(nodes), revision(1))
})

t.test('whoever writes a row puts a guard for each range that it lies in', async t => {
  const guards = guardsOf(checks, onNode('n', 'c'), checkRow('n', 'c', { serviceId: 's' }))
  t.strictSame(
    guards.map(({ index, value }) => [index, value]),
    [
      ['', underNode('n').slice(0, -indexStart('').length)],
      ['instance', onNode('n', 's')],
    ],
  )
})
