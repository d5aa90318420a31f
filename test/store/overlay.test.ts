/**
 * The overlay against the view that has the operations for true, whatever is asked of either.
 */
import t from 'tap'
import { publicIndex, revision } from '../../src/base/brand.ts'
import { committedCell, Overlay } from '../../src/store/overlay.ts'
import { Recorder } from '../../src/store/recorder.ts'
import { del, type Op, put } from '../../src/store/store.ts'
import { type Cell, defineTable, jsonCodec } from '../../src/store/table.ts'
import { type Reader, Version } from '../../src/store/view.ts'
import { type Draw, seeded } from '../fake/random.ts'

interface Row {
  readonly group: string
  readonly tags: readonly string[]
}

const rows = defineTable<Row>({
  name: 'rows',
  prefix: 'test/row/',
  codec: jsonCodec(),
  guard: key => key.split('/', 1)[0]!,
  indexes: {
    group: { guarded: true, values: row => [row.group] },
    tag: { guarded: true, values: row => row.tags },
  },
})

const KEYS = ['a/1', 'a/2', 'a/3', 'ab', 'b/1', 'b/2', 'c']
const WORDS = ['g', 'gg', 'h']

const op = (draw: Draw): Op => {
  const key = draw.pick(KEYS)
  if (draw.chance(35)) return del(rows, key)
  const tags = WORDS.filter(() => draw.chance(40))
  return put(rows, key, { group: draw.pick(WORDS), tags })
}

/** The view after an operation, as an engine would make it. */
function apply(version: Version, { key, row }: Op): void {
  const at = revision(version.revision + 1)
  const before = version.get(rows, key)
  const indexes = {
    createIndex: before?.createIndex ?? publicIndex(at),
    modifyIndex: publicIndex(at),
  }
  const after = row && {
    ...{ key, row: row as Row, lease: '', sum: 0, version: (before?.version ?? 0) + 1 },
    ...{ createRevision: before?.createRevision ?? at, modRevision: at, ...indexes },
  }
  version.apply(rows, key, after as Cell<Row> | undefined, at)
  version.revision = at
}

const asks: readonly ((view: Reader) => unknown[])[] = [
  ...KEYS.map(key => (view: Reader) => [view.get(rows, key)?.row]),
  ...['', 'a', 'a/', 'b/', 'z'].flatMap(prefix =>
    [undefined, 1, 2].map(limit => (view: Reader) => shown(view.prefix(rows, prefix, limit))),
  ),
  ...['', 'a', 'a/', 'z'].flatMap(prefix =>
    [{}, { limit: 1 }, { after: 'a/' }, { after: 'a', limit: 2 }].map(
      page => (view: Reader) => view.level(rows, prefix, '/', page),
    ),
  ),
  ...['group', 'tag'].flatMap(index => [
    ...WORDS.flatMap(value =>
      [undefined, 1].map(limit => (view: Reader) => shown(view.find(rows, index, value, limit))),
    ),
    ...['', 'g', 'gg'].map(prefix => (view: Reader) => view.distinct(rows, index, prefix)),
    ...['', 'g'].map(prefix => (view: Reader) => view.distinctLevel(rows, index, prefix, 'g')),
  ]),
]

const shown = (cells: readonly Cell<Row>[]): unknown[] => cells.map(({ key, row }) => [key, row])

t.test('answers as if the operations were committed', async t => {
  for (let seed = 0; seed < 400; seed++) {
    const draw = seeded(seed)
    const stored = new Version([rows])
    for (let count = draw.below(12); count > 0; count--) apply(stored, op(draw))
    const wanted = stored.cut(undefined)
    const overlay = new Overlay(new Recorder(stored))
    const ops = Array.from({ length: draw.below(8) }, () => op(draw))
    for (const one of ops) {
      overlay.apply([one])
      apply(wanted, one)
      for (const ask of asks) {
        if (JSON.stringify(ask(overlay)) === JSON.stringify(ask(wanted))) continue
        t.strictSame(ask(overlay), ask(wanted), `seed ${seed}`)
        return
      }
    }
    const last = new Map(ops.map(one => [one.key, one.row]))
    t.strictSame(new Map(overlay.ops.map(({ key, row }) => [key, row])), last, `seed ${seed}`)
  }
})

t.test('what is not committed has no index that anything equals', async t => {
  const stored = new Version([rows])
  apply(stored, put(rows, 'old', { group: 'g', tags: [] }))
  const overlay = new Overlay(stored)
  overlay.apply([
    put(rows, 'old', { group: 'h', tags: [] }),
    put(rows, 'new', { group: 'h', tags: [] }),
  ])
  const [old, fresh] = ['old', 'new'].map(key => overlay.get(rows, key)!)
  t.not(fresh!.modifyIndex, fresh!.modifyIndex)
  t.equal(old!.createIndex, 1)
  const at = { revision: revision(7), index: publicIndex(9) }
  t.match(committedCell(fresh!, at), { createIndex: 9, modifyIndex: 9, modRevision: 7 })
  t.match(committedCell(old!, at), { createIndex: 1, modifyIndex: 9, createRevision: 1 })
  t.equal(committedCell(stored.get(rows, 'old')!, at), stored.get(rows, 'old'))
})

t.test('what it reads is noted below, so that the compares are made of it', async t => {
  const stored = new Version([rows])
  apply(stored, put(rows, 'a/1', { group: 'g', tags: [] }))
  const record = new Recorder(stored)
  const overlay = new Overlay(record)
  overlay.apply([del(rows, 'a/1')])
  t.same(overlay.prefix(rows, 'a/'), [])
  t.same([...record.keys.keys()], ['test/row/a/1'], 'every key that it writes')
  t.same(
    [...record.ranges.values()].map(({ value }) => value),
    ['a'],
  )
})

t.test('cold rows pass through it, and are read by nobody', async t => {
  const cold = defineTable<Row>({
    ...{ name: 'cold', prefix: 'test/cold/', codec: jsonCodec(), isCold: true },
  })
  const record = new Recorder(new Version([rows, cold]))
  const overlay = new Overlay(record)
  const put1 = put(cold, 'a', { group: 'g', tags: [] })
  overlay.apply([put1, del(cold, 'b')])
  overlay.apply([del(cold, 'a')])
  t.same(
    overlay.ops.map(({ key, row }) => [key, row]),
    [
      ['a', undefined],
      ['b', undefined],
    ],
  )
  t.equal(record.keys.size, 0, 'nothing is compared')
  t.throws(() => overlay.get(cold, 'a'), /cold/)
  t.throws(() => overlay.get(cold, 'c'), /cold/)
})
