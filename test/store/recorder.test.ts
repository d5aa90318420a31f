/** What a rule read, as the recorder noted it. */
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { guardsOf, Recorder } from '../../src/store/recorder.ts'
import { type Cell, defineTable, jsonCodec, type Table } from '../../src/store/table.ts'
import { Version } from '../../src/store/view.ts'

interface Row {
  readonly group: string
  readonly tag: string
}

const rows = defineTable<Row>({
  name: 'rows',
  prefix: 'test/row/',
  codec: jsonCodec(),
  guard: key => key.split('/', 1)[0]!,
  indexes: {
    group: { guarded: true, values: row => [row.group] },
    tag: { guarded: false, values: row => [row.tag] },
  },
})
const bare = defineTable<Row>({ name: 'bare', prefix: 'test/bare/', codec: jsonCodec() })

function cell(key: string, row: Row, at: number): Cell<Row> {
  const zero = revision(at)
  return {
    ...{ key, row, createRevision: zero, modRevision: zero, version: 1, lease: '' },
    ...{ createIndex: 1, modifyIndex: 1, sum: at },
  } as Cell<Row>
}

function versionOf(...cells: [Table<Row>, string, Row][]): Version {
  const version = new Version([rows, bare])
  cells.forEach(([table, key, row], i) => {
    version.apply(table, key, cell(key, row, i + 1), revision(i + 1))
  })
  version.revision = revision(cells.length)
  return version
}

const a: Row = { group: 'g', tag: 'x' }
const version = (): Version => versionOf([rows, 'p/1', a], [rows, 'p/2', a], [bare, 'k', a])

t.test('recorder: answers as the view does, and keeps what was asked', async t => {
  const view = version()
  const record = new Recorder(view)
  t.equal(record.revision, 3)
  t.equal(record.get(rows, 'p/1'), view.get(rows, 'p/1'))
  t.equal(record.get(bare, 'absent'), undefined)
  t.same(record.prefix(rows, 'p/', 1), view.prefix(rows, 'p/', 1))
  t.same(record.find(rows, 'group', 'g'), view.find(rows, 'group', 'g'))
  t.same(record.find(rows, 'group', 'g', 1).length, 1)
  t.same(record.distinct(rows, 'group'), ['g'])
  t.same([...record.keys.keys()], ['test/row/p/1', 'test/bare/absent'])
  t.same(
    [...record.ranges.values()].map(({ index, value, wide }) => [index, value, wide]),
    [
      ['', 'p', false],
      ['group', 'g', false],
      ['group', '', true],
    ],
  )
})

t.test('recorder: a prefix inside one guard, and one that covers several', async t => {
  const record = new Recorder(version())
  for (const prefix of ['', 'p', 'p/', 'p/1']) record.prefix(rows, prefix)
  t.same(
    [...record.ranges.values()].map(({ value, wide }) => [value, wide]),
    [
      ['', true],
      ['p', true],
      ['p', false],
    ],
  )
})

t.test('recorder: a range without a guard is a fault of the rule', async t => {
  const record = new Recorder(version())
  t.throws(() => record.prefix(bare, ''), { name: 'AssertionError' })
  t.throws(() => record.find(rows, 'tag', 'x'), { name: 'AssertionError' })
  t.throws(() => record.distinct(rows, 'tag'), { name: 'AssertionError' })
  t.throws(() => record.find(rows, 'none', 'x'), { name: 'AssertionError' })
})

t.test('recorder: holds while the answers are the same rows', async t => {
  const reads: ((record: Recorder) => unknown)[] = [
    record => record.get(rows, 'p/1'),
    record => record.get(rows, 'new'),
    record => record.prefix(rows, 'p/').sort(() => -1),
    record => record.find(rows, 'group', 'g'),
    record => record.distinct(rows, 'group'),
  ]
  const changes: [string, Row | undefined, boolean[]][] = [
    ['q/1', { group: 'g', tag: 'x' }, [true, true, true, false, true]],
    ['q/1', { group: 'h', tag: 'x' }, [true, true, true, true, false]],
    ['p/1', a, [false, true, false, false, true]],
    ['p/2', undefined, [true, true, false, false, true]],
    ['new', { group: 'g', tag: 'x' }, [true, false, true, false, true]],
  ]
  for (const [key, row, wanted] of changes) {
    const view = version()
    const records = reads.map(read => {
      const record = new Recorder(view.cut(undefined))
      read(record)
      return record
    })
    t.ok(records.every(record => record.holdsIn(view)))
    view.apply(rows, key, row && cell(key, row, 4), revision(4))
    view.revision = revision(4)
    t.same(
      records.map(record => record.holdsIn(view)),
      wanted,
      `${key} ${row?.group}`,
    )
  }
})

t.test('recorder: a row lies in the ranges of its guards', async t => {
  t.same(
    guardsOf(rows, 'p/1', a).map(({ index, value }) => [index, value]),
    [
      ['', 'p'],
      ['group', 'g'],
    ],
  )
  t.same(guardsOf(bare, 'k', a), [])
})
