/** Messages of etcd by hand, held against the library that reads the same contracts. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { codecOf } from '../../../src/base/io/proto.ts'
import {
  decodeRange,
  decodeTxn,
  decodeWatch,
  encodeRange,
  encodeTxn,
} from '../../../src/store/etcd/codec.ts'
import type {
  EtcdCompare,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../../../src/store/etcd/messages.ts'
import { propertyRuns } from '../../run/budget.ts'

const library = (type: string) => codecOf('etcd/rpc.proto', `etcdserverpb.${type}`, 'foreign')
const runs = { numRuns: propertyRuns() }

const bytes = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 300 }).map(each => Buffer.from(each)) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 900, max: 9_000 }).map(size => Buffer.alloc(size, 'x')),
  },
)
const revision = fc.oneof(
  fc.nat(),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 2 ** 32, 2 ** 53 - 1),
)
/** What is compared with may be below any. */
const compared = fc.oneof(revision, fc.constantFrom(-1, -128, -(2 ** 53) + 1))
const id = fc
  .oneof(fc.constantFrom('1', '9223372036854775807'), fc.bigInt(1n, 2n ** 63n - 1n))
  .map(String)
const optional = <T, const N extends string>(name: N, value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined }).map(given => (given === undefined ? {} : { [name]: given }))
const joined = <T>(...parts: fc.Arbitrary<object>[]): fc.Arbitrary<T> =>
  fc.tuple(...parts).map(each => Object.assign({}, ...each))

const range = joined<RangeRequest>(
  bytes.map(key => ({ key })),
  optional('rangeEnd', bytes),
  optional('limit', fc.nat()),
  optional('revision', revision),
  optional('sortOrder', fc.constantFrom('ASCEND', 'DESCEND')),
  optional('sortTarget', fc.constantFrom('KEY', 'MOD')),
  optional('keysOnly', fc.boolean()),
)
const compare = joined<EtcdCompare>(
  bytes.map(key => ({ key })),
  optional('rangeEnd', bytes),
  fc.constantFrom('EQUAL', 'LESS').map(result => ({ result })),
  fc.oneof(
    compared.map(modRevision => ({ target: 'MOD', modRevision })),
    compared.map(createRevision => ({ target: 'CREATE', createRevision })),
  ),
)
const put = joined<object>(fc.record({ key: bytes, value: bytes }), optional('lease', id))
const { txn } = fc.letrec<{ txn: TxnRequest; op: RequestOp }>(tie => ({
  op: fc.oneof(
    { maxDepth: 2 },
    put.map(requestPut => ({ requestPut }) as RequestOp),
    range.map(requestRange => ({ requestRange })),
    joined<{ key: Buffer }>(
      bytes.map(key => ({ key })),
      optional('rangeEnd', bytes),
    ).map(requestDeleteRange => ({ requestDeleteRange })),
    tie('txn').map(requestTxn => ({ requestTxn })),
  ),
  txn: joined<TxnRequest>(
    optional('compare', fc.array(compare, { maxLength: 3 })),
    fc.array(tie('op'), { maxLength: 3 }).map(success => ({ success })),
    optional('failure', fc.array(tie('op'), { maxLength: 2 })),
  ),
}))

t.test('requests: the library reads the same from our bytes as from its own', async () => {
  const [ofRange, ofTxn] = [await library('RangeRequest'), await library('TxnRequest')]
  const read = (codec: typeof ofRange, encoded: Buffer): unknown => codec.decode(encoded)
  fc.assert(
    fc.property(range, request => {
      assert.deepEqual(read(ofRange, encodeRange(request)), read(ofRange, ofRange.encode(request)))
    }),
    runs,
  )
  fc.assert(
    fc.property(txn, request => {
      assert.deepEqual(read(ofTxn, encodeTxn(request)), read(ofTxn, ofTxn.encode(request)))
    }),
    runs,
  )
})

const header = fc.record({ clusterId: id, memberId: id, revision, raftTerm: revision })
const some = { maxLength: 5 }
const kv = fc.record({
  ...{ key: bytes, value: bytes, lease: fc.oneof(fc.constant('0'), id) },
  ...{ createRevision: revision, modRevision: revision, version: revision },
})
const ranged = fc.record({ header, kvs: fc.array(kv, some), more: fc.boolean(), count: revision })
const { done } = fc.letrec<{ done: object; response: object }>(tie => ({
  response: fc.oneof(
    { maxDepth: 2 },
    ranged.map(responseRange => ({ responseRange })),
    fc.record({ responsePut: fc.record({ header }) }),
    fc.record({ responseDeleteRange: fc.record({ header, deleted: revision }) }),
    tie('done').map(responseTxn => ({ responseTxn })),
  ),
  done: fc.record({
    ...{ header, succeeded: fc.boolean() },
    responses: fc.array(tie('response'), { maxLength: 4 }),
  }),
}))
const watched = fc.record({
  ...{ header, watchId: fc.nat(), created: fc.boolean(), canceled: fc.boolean() },
  ...{ compactRevision: revision, cancelReason: fc.string(), fragment: fc.boolean() },
  events: fc.array(fc.record({ type: fc.constantFrom('PUT', 'DELETE'), kv }), some),
})

/** What we read of an answer, numbers as their digits: both sides carry them their own way. */
function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return value
  if (Array.isArray(value)) return value.map(plain)
  if ('isZero' in value) return `${(value as { isZero(): boolean }).isZero()} ${String(value)}`
  const unread = ['raftTerm', 'count', 'watchId', 'responsePut', 'responseDeleteRange']
  const fields = Object.entries(value).filter(([name]) => !unread.includes(name))
  return Object.fromEntries(fields.map(([name, each]) => [name, plain(each)]))
}

const answers = [
  ['RangeResponse', ranged, decodeRange],
  ['TxnResponse', done, decodeTxn],
  ['WatchResponse', watched, decodeWatch],
] as const

for (const [type, arbitrary, decode] of answers) {
  t.test(`${type}: read as the library reads it`, async () => {
    const codec = await library(type)
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<object>, answer => {
        const encoded = codec.encode(answer)
        assert.deepEqual(plain(decode(encoded)), plain(codec.decode(encoded)))
      }),
      runs,
    )
  })

  t.test(`${type}: bytes that are cut or changed are read or refused, nothing else`, async () => {
    const codec = await library(type)
    const spoilt = fc.tuple(arbitrary as fc.Arbitrary<object>, fc.nat(), fc.nat(255), fc.boolean())
    fc.assert(
      fc.property(spoilt, ([answer, at, byte, isCut]) => {
        const encoded = codec.encode(answer)
        if (encoded.length === 0) return
        const place = at % encoded.length
        encoded[place] = byte
        try {
          decode(isCut ? encoded.subarray(0, place) : encoded)
        } catch (error) {
          assert.ok(error instanceof RangeError)
        }
      }),
      runs,
    )
  })
}

t.test('fields that a newer etcd adds are passed over', async t => {
  const codec = await library('RangeResponse')
  const known = codec.encode({ kvs: [{ key: Buffer.from('k'), modRevision: 7 }], more: true })
  const added = ['f801ff01', 'f9010102030405060708', 'fa0103616263', 'fd0101020304']
  for (const field of added) {
    const answer = decodeRange(Buffer.concat([Buffer.from(field, 'hex'), known]))
    t.equal(answer.kvs[0]?.modRevision.toNumber(), 7, field)
    t.equal(answer.more, true)
  }
  t.throws(
    () => decodeRange(Buffer.from('fb01', 'hex')),
    RangeError,
    'a group, which nobody writes',
  )
})

t.test('what no answer names is zero', async t => {
  const watch = decodeWatch(Buffer.alloc(0))
  t.equal(watch.header.revision.toNumber(), 0)
  t.equal(watch.compactRevision.isZero(), true)
  t.same(watch.events, [])
  t.throws(() => decodeWatch(Buffer.from('5a020801', 'hex')), RangeError, 'an event of no key')
})
