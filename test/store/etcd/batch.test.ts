/** What shares one transaction of etcd's, and in what shape. */
import t from 'tap'
import { toBuffer } from '../../../src/base/bytes.ts'
import { limits } from '../../../src/base/limits.ts'
import { isAlone, packAlone, packShared, takeShared } from '../../../src/store/etcd/batch.ts'
import type { RequestOp } from '../../../src/store/etcd/client.ts'
import { type Draft, putOp, unmoved } from '../../../src/store/etcd/draft.ts'
import { Keyspace } from '../../../src/store/etcd/keys.ts'
import { testTables } from '../../conformance/store.ts'

const keys = new Keyspace('p', testTables)
const generation = { number: 1, clusterId: 'c', indexOffset: 0, revision: 7 }

function draftOf(rows: readonly string[], touched: readonly string[], lease = ''): Draft {
  return {
    generation,
    compares: rows.map(key => unmoved(toBuffer(key), 1)),
    rows: rows.map(key => putOp(key, Buffer.from('v'), lease)),
    touched,
    footprint: { modes: new Map(), ranges: [] },
    need: 'data',
    isTraceless: false,
    sizeBytes: rows.length * 100,
  }
}

const keyOf = (op: RequestOp): string => ('requestPut' in op ? `${op.requestPut.key}` : '?')

/** Every key that is written anywhere in the operations. */
const flat = (ops: readonly RequestOp[]): string[] =>
  ops.flatMap(op => ('requestTxn' in op ? flat(op.requestTxn.success) : [keyOf(op)]))

/** etcd adds up the widths from the top down. */
const width = (compares: number, ops: readonly RequestOp[]): number =>
  Math.max(compares, ops.length) +
  Math.max(
    0,
    ...ops.map(op =>
      'requestTxn' in op ? width(op.requestTxn.compare?.length ?? 0, op.requestTxn.success) : 0,
    ),
  )

t.test('batch: guards that several put stand beside them, once', async t => {
  const drafts = [draftOf(['a'], ['g', 'h']), draftOf(['b'], ['g']), draftOf(['c'], ['i'])]
  const { compare, success } = packShared(drafts, keys)
  t.same(
    compare.map(({ key }) => `${key}`),
    ['p/system/generation'],
  )
  t.same(
    success.slice(0, 3).map(op => 'requestTxn' in op && flat(op.requestTxn.success)),
    [['a', 'h'], ['b'], ['c', 'i']],
  )
  t.same(flat(success.slice(3)), ['g'])
  const all = flat(success)
  t.equal(new Set(all).size, all.length, 'no key is written twice')
})

t.test('batch: no more than etcd takes', async t => {
  const plain = Array.from({ length: 300 }, (_, i) => draftOf([`k${i}`], ['g']))
  t.equal(takeShared(plain), limits.etcdTxnWidth - 2)
  const guarded = Array.from({ length: 300 }, (_, i) => draftOf([`k${i}`], [`g${i % 40}`]))
  const heavy = Array.from({ length: 300 }, (_, i) => ({
    ...draftOf([`k${i}`], []),
    sizeBytes: 2e5,
  }))
  t.equal(takeShared(heavy), 5)
  const huge = { ...draftOf(['k'], []), sizeBytes: limits.etcdTxnSizeBytes }
  t.equal(takeShared([huge, huge]), 1)
  const wide = Array.from({ length: 300 }, (_, i) => {
    const rows = Array.from({ length: 60 }, (_, row) => `k${i}/${row}`)
    return draftOf(rows, [`g${i}`])
  })
  for (const drafts of [plain, guarded, wide]) {
    const taken = drafts.slice(0, takeShared(drafts))
    const { compare, success } = packShared(taken, keys)
    const withHead = [...success, putOp('head', Buffer.alloc(0))]
    t.ok(width(compare.length + 1, withHead) <= 128, `${width(compare.length + 1, withHead)}`)
  }
  const flipped = { ...draftOf(['k'], []), generation: { ...generation, revision: 9 } }
  t.equal(takeShared([plain[0]!, flipped, plain[1]!]), 1, 'all are of one generation')
})

t.test('batch: what goes alone', async t => {
  t.notOk(isAlone(draftOf(['a'], ['g'])))
  t.ok(isAlone(draftOf(['a'], [], '42')), 'it hangs on a lease')
  const many = Array.from({ length: 4_096 }, (_, i) => `k${i}`)
  t.ok(isAlone(draftOf(many, [])))
  const { compare, success } = packAlone(draftOf(many, ['g']), keys)
  t.same(flat(success), [...many, 'g'])
  t.equal(compare.length, 4_097)
})
