/**
 * How rows and index entries lie: envelopes, sums, and keys that sort as they must.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  type AnyTable,
  defineTable,
  indexKey,
  indexStart,
  indexValue,
  jsonCodec,
  NO_KEPT_INDEXES,
  rawCodec,
  rowSum,
  seal,
  sealBehind,
  unseal,
} from '../../src/store/table.ts'
import { kv } from '../../src/store/tables/kv.ts'
import { propertyRuns } from '../run/budget.ts'

const byte = fc.integer({ min: 0, max: 255 }).map(n => String.fromCharCode(n))
// Zero and 0xff often: they are what the escaping is about.
const bytes = fc.string({ unit: fc.oneof(byte, fc.constantFrom('\u0000', '\u00ff', 'a')) })
const index = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 48 - 1 }))
const runs = { numRuns: 5 * propertyRuns() }

t.test('what is sealed is unsealed', async t => {
  const property = fc.property(fc.uint8Array(), index, index, (body, createIndex, modifyIndex) => {
    const sealed = seal(Buffer.from(body), { createIndex, modifyIndex })
    const { body: got, kept } = unseal(sealed)
    return got.equals(body) && kept.createIndex === createIndex && kept.modifyIndex === modifyIndex
  })
  fc.assert(property, runs)
  t.equal(seal(Buffer.from('ab'), NO_KEPT_INDEXES).length, 3, 'one byte for most rows')
  t.throws(() => unseal(Buffer.from([2, 1])), /row format 2 is not known/)
  t.throws(() => unseal(Buffer.alloc(0)), /row format 0 is not known/)
  t.throws(() => unseal(Buffer.from([0x31, 1])), RangeError)
})

t.test('a row that is encoded behind room is the same as one that is sealed', async t => {
  const json = defineTable({ name: 'json', prefix: 'json/', codec: jsonCodec<unknown>() })
  const raw = defineTable({ name: 'raw', prefix: 'raw/', codec: rawCodec })
  const kvRow = fc.record({
    value: fc.uint8Array().map(array => Buffer.from(array)),
    flags: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    session: fc.constantFrom('', 'a-session'),
    lockIndex: fc.nat(),
  })
  const rowOf = fc.oneof(
    fc.tuple(fc.constant(json), fc.jsonValue()),
    fc.tuple(
      fc.constant(raw),
      fc.uint8Array().map(array => Buffer.from(array)),
    ),
    fc.tuple(fc.constant(kv), kvRow),
  )
  const rooms = fc.nat({ max: 60 })
  const property = fc.property(
    rowOf,
    rooms,
    index,
    index,
    ([table, row], room, created, changed) => {
      const kept = { createIndex: created, modifyIndex: changed }
      const behind = sealBehind<unknown>(room, table as AnyTable, row, kept)
      const { codec } = table as AnyTable
      return behind.subarray(room).equals(seal(codec.encode(row), kept))
    },
  )
  fc.assert(property, runs)
  t.pass('equal')
})

t.test(
  'index entries sort by value, then by key, and no value is mistaken for another',
  async t => {
    const property = fc.property(bytes, bytes, bytes, bytes, (value, key, otherValue, otherKey) => {
      const [one, other] = [indexKey(value, key), indexKey(otherValue, otherKey)]
      const order = value === otherValue ? compare(key, otherKey) : compare(value, otherValue)
      if (compare(one, other) !== order) return false
      if (indexValue(one) !== value) return false
      return other.startsWith(indexStart(value)) === (otherValue === value)
    })
    fc.assert(property, runs)
    t.pass('as they must')
  },
)

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

t.test("a row's sum tells its key and each of its bytes", async t => {
  const property = fc.property(
    bytes,
    fc.uint8Array({ minLength: 1 }),
    fc.nat(),
    (key, body, at) => {
      const value = Buffer.from(body)
      const changed = Buffer.from(body)
      changed[at % changed.length]! ^= 1 + (at % 255)
      return (
        rowSum(key, value) === rowSum(key, Buffer.from(body)) &&
        rowSum(key, changed) !== rowSum(key, value) &&
        rowSum(`${key}a`, value) !== rowSum(key, value)
      )
    },
  )
  fc.assert(property, runs)
  t.pass('it does')
})

t.test('what a declaration leaves out has its default', async t => {
  const table = defineTable<Buffer>({ name: 'a', prefix: 'a/', codec: rawCodec })
  t.match(table, { indexes: {}, guard: undefined, tombstones: false, internal: false })
  const empty = { get: () => undefined, find: () => [], prefix: () => [] }
  t.same(table.scopes(Buffer.alloc(0), '', empty), [])
  t.throws(() => defineTable({ name: 'a', prefix: 'a', codec: rawCodec }), /ends with a slash/)
  const codec = jsonCodec<{ a: number }>()
  t.same(codec.decode(codec.encode({ a: 1 })), { a: 1 })
})

t.test('a cold table has nothing that views would have to know its rows for', async t => {
  const spec = { name: 'a', prefix: 'a/', codec: rawCodec, isCold: true }
  t.equal(defineTable(spec).isCold, true)
  const more = [{ indexes: {} }, { scopes: () => [] }, { guard: () => '' }, { tombstones: true }]
  for (const one of more) t.throws(() => defineTable({ ...spec, ...one }), /a cold table has/)
})
