/** Transactions as etcd gets them: compares, guards and shape. */
import t from 'tap'
import { revision } from '../../../src/base/brand.ts'
import { toBuffer } from '../../../src/base/bytes.ts'
import { limits } from '../../../src/base/limits.ts'
import { isAlone } from '../../../src/store/etcd/batch.ts'
import type { EtcdCompare, RequestOp } from '../../../src/store/etcd/client.ts'
import { draft, nested, putOp } from '../../../src/store/etcd/draft.ts'
import { Keyspace } from '../../../src/store/etcd/keys.ts'
import { Recorder } from '../../../src/store/recorder.ts'
import { del, type Op, put } from '../../../src/store/store.ts'
import type { Cell } from '../../../src/store/table.ts'
import { Version } from '../../../src/store/view.ts'
import { blobs, colds, type Thing, testTables, things } from '../../conformance/store.ts'

const keys = new Keyspace('p', testTables)
const generation = { number: 3, clusterId: 'c', indexOffset: 0, revision: 7 }
const thing = (group: string): Thing => ({ group, tags: ['t'], size: 1 })

/** A view at revision 20 with things `a` (revision 10) and `b` (11, on a lease). */
function view(): Version {
  const version = new Version(testTables)
  const add = (key: string, at: number, lease: string): void => {
    const cell = { key, row: thing('g'), modRevision: at, createRevision: at, lease }
    version.apply(things, key, { ...cell, createIndex: at } as unknown as Cell<Thing>, revision(at))
  }
  add('a', 10, '')
  add('b', 11, '99')
  version.revision = revision(20)
  return version
}

function drafted(read: (record: Recorder) => unknown, ...txn: Op[]) {
  const record = new Recorder(view())
  read(record)
  const { compares, rows, touched } = draft(record, txn, keys, generation)
  const ops = [...rows.map(opText), ...touched.map(key => `put ${key}`)]
  return { compares: compares.map(compareText), ops }
}

function compareText({ key, rangeEnd, result, modRevision }: EtcdCompare): string {
  const span = rangeEnd === undefined ? '' : `..${rangeEnd.toString('latin1')}`
  return `${key}${span} ${result} ${modRevision}`.replaceAll('\u0000', '+')
}

function opText(op: RequestOp): string {
  if ('requestPut' in op) return `put ${op.requestPut.key}`
  if ('requestDeleteRange' in op) return `delete ${op.requestDeleteRange.key}`
  return 'other'
}

t.test('draft: what was read is compared, what is written is read', async t => {
  const { compares, ops } = drafted(
    record => {
      record.get(things, 'a')
      record.find(things, 'group', 'g')
      record.prefix(blobs, 'x/')
      record.prefix(blobs, 'x')
    },
    put(things, 'b', thing('h')),
    put(blobs, 'x/1', Buffer.from('1')),
  )
  t.same(compares.sort(), [
    'p/3/guard/blobs//x LESS 21',
    'p/3/guard/blobs//x..p/3/guard/blobs//y LESS 21',
    'p/3/guard/things/group/g LESS 21',
    'p/3/test/blob/x/1 EQUAL 0',
    'p/3/test/thing/a EQUAL 10',
    'p/3/test/thing/b EQUAL 11',
  ])
  t.same(ops, [
    'put p/3/test/thing/b',
    'put p/3/test/blob/x/1',
    'put p/3/guard/things/group/g',
    'put p/3/guard/things/group/h',
    'put p/3/guard/blobs//x',
  ])
})

t.test('draft: deletions', async t => {
  const { ops } = drafted(() => {}, del(things, 'a'), del(things, 'absent'))
  t.same(ops, [
    'delete p/3/test/thing/a',
    'put p/3/guard/things/deleted',
    'put p/3/guard/things/group/g',
  ])
  t.same(
    drafted(() => {}, del(things, 'absent')),
    { compares: [], ops: [] },
  )
})

t.test('draft: too many compares are folded, those of leased rows stay', async t => {
  const many = Array.from({ length: 100 }, (_, i) => `k${String(i).padStart(2, '0')}`)
  const { compares } = drafted(
    record => {
      for (const key of many) record.get(blobs, key)
      for (const key of many) record.find(things, 'group', key)
      for (const key of ['a', 'b']) record.get(things, key)
    },
    put(things, 'a', thing('g')),
  )
  t.same(compares.sort(), [
    'p/3/guard/blobs/deleted LESS 21',
    'p/3/guard/things/group/k00..p/3/guard/things/group/k99+ LESS 21',
    'p/3/test/blob/k00..p/3/test/blob/k99+ LESS 21',
    'p/3/test/thing/a EQUAL 10',
    'p/3/test/thing/b EQUAL 11',
  ])
  const leased = drafted(
    record => {
      for (const key of [...many, 'a', 'b']) record.get(things, key)
    },
    put(things, 'a', thing('g')),
  )
  t.ok(leased.compares.includes('p/3/test/thing/b EQUAL 11'))
  t.equal(leased.compares.length, 3)
})

t.test('draft: limits', async t => {
  const heavy = Array.from({ length: 14 }, (_, i) => put(blobs, `k${i}`, Buffer.alloc(100_000)))
  t.throws(() => drafted(() => {}, ...heavy), { code: 'limit' })
  const large = put(blobs, 'k', Buffer.alloc(limits.rowSizeBytes - 'test/blob/k'.length - 1))
  t.ok(
    drafted(() => {}, large),
    'the largest row fits',
  )
})

t.test('draft: packed so that no level is too wide', async t => {
  const all = (count: number) =>
    Array.from({ length: count }, (_, i) => putOp(`k${i}`, Buffer.alloc(0)))
  const widths = (ops: readonly RequestOp[]): number =>
    ops.length +
    Math.max(0, ...ops.map(op => ('requestTxn' in op ? widths(op.requestTxn.success) : 0)))
  const flat = (ops: readonly RequestOp[]): RequestOp[] =>
    ops.flatMap(op => ('requestTxn' in op ? flat(op.requestTxn.success) : [op]))
  for (const count of [1, 64, 65, 2_048, 2_049, 4_096, 20_000]) {
    const ops = all(count)
    const packed = nested(ops)
    t.ok(packed.length <= limits.etcdTxnWidth)
    t.ok(widths(packed) <= 128, `${count}: ${widths(packed)}`)
    t.same(flat(packed), ops)
  }
})

t.test('draft: cold rows are written blindly, deletions last', async t => {
  const row = { group: 'c', tags: [], size: 1 }
  const record = new Recorder(view())
  const txn = [del(colds, 'a'), put(colds, 'b', row), put(blobs, 'k/1', Buffer.from('1'))]
  const drafted = draft(record, txn, keys, generation)
  t.same(
    drafted.rows.map(op => 'requestPut' in op && op.requestPut.key.toString()),
    ['p/~cold/3/test/cold/b', 'p/3/test/blob/k/1', false],
  )
  t.same(
    drafted.compares.map(({ key }) => key.toString()),
    ['p/3/test/blob/k/1'],
  )
  t.same([...drafted.footprint.modes.keys()].filter(key => key.includes('~cold')).length, 2)
  t.equal(drafted.isTraceless, false)
  const blind = draft(new Recorder(view()), [del(colds, 'a')], keys, generation)
  t.same(blind.touched, [])
  t.equal(blind.isTraceless, true)
  t.equal(isAlone(blind), true, 'nothing tells of it afterwards but its lane')
  const leased = [{ ...put(colds, 'a', row), lease: 'l' }]
  t.throws(() => draft(new Recorder(view()), leased, keys, generation), /hangs on a lease/)
})

t.test('keys: generations do not touch each other', async t => {
  const inside = (key: string): boolean =>
    keys
      .otherGenerations(1)
      .some(
        ({ from, to }) =>
          Buffer.compare(toBuffer(key), from) >= 0 && Buffer.compare(toBuffer(key), to) < 0,
      )
  const others = ['p/0/x', 'p/2/x', 'p/10/x', 'p/10/guard/x', 'p/999/x']
  for (const key of [...others, 'p/~cold/0/x', 'p/~cold/2/x', 'p/~cold/10/x'])
    t.ok(inside(key), key)
  const own = ['p/1/x', 'p/1/guard/x', 'p/~cold/1/x', 'p/system/generation', 'p/system/head/x']
  for (const key of [...own, 'q/2/x', 'q/~cold/2/x']) {
    t.notOk(inside(key), key)
  }
})
