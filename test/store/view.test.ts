/**
 * Views against plain maps: every answer of every version, also of those that were cut long ago.
 */
import fc from 'fast-check'
import t from 'tap'
import { publicIndex, type Revision, revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { type Cell, defineTable, rawCodec } from '../../src/store/table.ts'
import { addSums, Version } from '../../src/store/view.ts'
import { propertyRuns, untilBudget } from '../run/budget.ts'

interface Row {
  readonly groups: readonly string[]
}

const rows = defineTable<Row>({
  name: 'rows',
  prefix: 'rows/',
  codec: { encode: () => Buffer.alloc(0), decode: () => ({ groups: [] }) },
  indexes: { group: { guarded: false, values: row => row.groups } },
  tombstones: true,
})
const plain = defineTable<Buffer>({ name: 'plain', prefix: 'plain/', codec: rawCodec })

const cellOf = <R>(key: string, row: R, at: Revision): Cell<R> => ({
  key,
  row,
  createRevision: at,
  modRevision: at,
  version: 1,
  lease: '',
  createIndex: publicIndex(at),
  modifyIndex: publicIndex(at),
  sum: (at * 2_654_435_761) % 2 ** 32,
})

const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The same as a Version, the slow way. */
class Model {
  readonly rows = new Map<string, Cell<Row>>()
  readonly gone = new Map<string, Revision>()
  newest = 0
  sum = 0

  copy(): Model {
    const copy = new Model()
    for (const [key, cell] of this.rows) copy.rows.set(key, cell)
    for (const [key, at] of this.gone) copy.gone.set(key, at)
    copy.newest = this.newest
    copy.sum = this.sum
    return copy
  }

  apply(key: string, cell: Cell<Row> | undefined, at: Revision): void {
    this.sum = addSums(this.sum, (cell?.sum ?? 0) - (this.rows.get(key)?.sum ?? 0))
    this.newest = at
    if (cell === undefined) {
      this.rows.delete(key)
      this.gone.set(key, at)
    } else {
      this.rows.set(key, cell)
      this.gone.delete(key)
    }
  }

  keys(prefix: string): string[] {
    return [...this.rows.keys()].filter(key => key.startsWith(prefix)).sort(byBytes)
  }

  level(prefix: string, separator: string): string[] {
    const names = this.keys(prefix).map(key => {
      const cut = key.indexOf(separator, prefix.length)
      return key.slice(prefix.length, cut === -1 ? undefined : cut + separator.length)
    })
    return [...new Set(names)]
  }

  found(group: string): string[] {
    return this.keys('').filter(key => this.rows.get(key)!.row.groups.includes(group))
  }
}

const PREFIXES = ['', 'a', 'b/', 'b/1', '\u00ff', '\u00ff\u00ff', 'zz']
const GROUPS = ['', 'g', 'g\u0000', 'g\u0000/a', 'g/b', 'h', '\u00ff']

function differs(version: Version, model: Model): string {
  const keysOf = (cells: readonly Cell<Row>[]): string => cells.map(cell => cell.key).join('\n')
  for (const prefix of PREFIXES) {
    const wanted = model.keys(prefix)
    if (keysOf(version.prefix(rows, prefix)) !== wanted.join('\n')) return `prefix ${prefix}`
    const some = version.prefix(rows, prefix, 3)
    if (keysOf(some) !== wanted.slice(0, 3).join('\n')) return `prefix ${prefix}, limited`
    for (const separator of ['/', '\u00ff', '\u0000', '1']) {
      const names = model.level(prefix, separator)
      if (version.level(rows, prefix, separator).join('\n') !== names.join('\n')) {
        return `level ${prefix} by ${separator}`
      }
      for (const after of ['', 'b/', 'b/2x', '1', names[2] ?? 'a']) {
        const behind = names.filter(name => name > after).slice(0, 2)
        const page = version.level(rows, prefix, separator, { after, limit: 2 })
        if (page.join('\n') !== behind.join('\n')) return `level ${prefix} behind ${after}`
      }
    }
    const gone = [...model.gone].filter(([key]) => key.startsWith(prefix)).map(([, at]) => at)
    if (version.newestTombstone(rows, prefix) !== Math.max(0, ...gone)) return `gone ${prefix}`
  }
  for (const group of GROUPS) {
    const wanted = model.found(group)
    if (keysOf(version.find(rows, 'group', group)) !== wanted.join('\n')) return `find ${group}`
    const some = version.find(rows, 'group', group, 2)
    if (keysOf(some) !== wanted.slice(0, 2).join('\n')) return `find ${group}, limited`
  }
  for (const separator of ['\u0000', 'g', '/', '\u00ff']) {
    for (const prefix of ['', 'g', 'h']) {
      const found = version.distinct(rows, 'group', prefix).map(value => {
        const cut = value.indexOf(separator, prefix.length)
        return value.slice(prefix.length, cut === -1 ? undefined : cut + separator.length)
      })
      const names = version.distinctLevel(rows, 'group', prefix, separator)
      if (names.join('|') !== [...new Set(found)].join('|')) return `values ${prefix} ${separator}`
    }
  }
  const groups = [...new Set([...model.rows.values()].flatMap(cell => cell.row.groups))]
  if (version.distinct(rows, 'group').join() !== groups.sort(byBytes).join()) return 'distinct'
  if (version.count(rows) !== model.rows.size) return 'count'
  if (version.rows !== model.rows.size || version.sum !== model.sum) return 'sum'
  if (version.newest(rows) !== model.newest) return 'newest'
  for (const [key, cell] of model.rows) if (version.get(rows, key) !== cell) return `get ${key}`
  return ''
}

const key = fc.oneof(
  fc.integer({ min: 0, max: 400 }).map(n => `b/${n}`),
  fc.constantFrom('a', 'a\u0000', '\u00ff', '\u00ff\u00ff\u0001', ''),
)
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ key, groups: fc.subarray(GROUPS) }) },
  { weight: 4, arbitrary: fc.record({ gone: key }) },
  { weight: 1, arbitrary: fc.constant('cut' as const) },
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function runAgainstModel(steps: readonly Step[]): string {
  const head = new Version([rows, plain])
  const model = new Model()
  const cuts: [Version, Model][] = []
  let durable: Version | undefined
  let at = 0
  for (const one of steps) {
    if (one === 'cut') {
      durable = head.cut(durable)
      cuts.push([durable, model.copy()])
      continue
    }
    const now = revision(++at)
    const changed = 'gone' in one ? one.gone : one.key
    if ('gone' in one && !model.rows.has(changed)) continue
    const cell = 'gone' in one ? undefined : cellOf(changed, { groups: one.groups }, now)
    head.apply(rows, changed, cell, now)
    model.apply(changed, cell, now)
  }
  for (const [i, [version, then]] of [...cuts, [head, model] as const].entries()) {
    const difference = differs(version, then)
    if (difference !== '') return `version ${i} of ${cuts.length}: ${difference}`
  }
  return ''
}

t.test('every version answers as a plain map of its time', async t => {
  const steps = fc.array(step, { maxLength: 60, size: 'max' })
  const property = fc.property(steps, steps => runAgainstModel(steps) === '')
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test('a level of large folders costs one look for each of them', async t => {
  const version = new Version([plain])
  const keys = Array.from({ length: 10 }, (_, folder) =>
    Array.from({ length: 5_000 }, (_, at) => `kv/${folder}/${String(at).padStart(5, '0')}`),
  ).flat()
  version.load(
    plain,
    keys.map(key => cellOf(key, Buffer.alloc(0), revision(1))),
  )
  let looks = 0
  const { indexOf } = String.prototype
  String.prototype.indexOf = function (this: string, ...given: [string, number?]): number {
    looks++
    return indexOf.apply(this, given)
  }
  let names: string[]
  try {
    names = version.level(plain, 'kv/', '/')
  } finally {
    String.prototype.indexOf = indexOf
  }
  t.strictSame(
    names,
    Array.from({ length: 10 }, (_, folder) => `${folder}/`),
  )
  t.equal(looks, 10)
})

t.test('large versions, so that trees have several levels', async t => {
  const steps = fc.array(step, { minLength: 2_000, maxLength: 6_000, size: 'max' })
  const count = await untilBudget('large views against maps', 300, index => {
    const [sample] = fc.sample(steps, { seed: index, numRuns: 1 })
    const difference = runAgainstModel(sample!)
    if (difference !== '') throw new Error(`seed ${index}: ${difference}`)
  })
  t.ok(count > 0)
})

t.test('a table that is loaded at once answers as one that was written row by row', async t => {
  const loaded = fc.uniqueArray(fc.tuple(key, fc.array(fc.constantFrom(...GROUPS))), {
    selector: ([name]) => name,
    maxLength: 300,
    size: 'max',
  })
  const property = fc.property(loaded, fc.array(step), (entries, steps) => {
    const [version, model] = [new Version([rows, plain]), new Model()]
    const cells = entries
      .toSorted(([a], [b]) => byBytes(a, b))
      .map(([key, groups], i) => cellOf(key, { groups }, revision(i + 1)))
    version.load(rows, cells)
    for (const cell of cells) model.apply(cell.key, cell, cell.modRevision)
    if (differs(version, model) !== '') return false
    const cut = version.cut(undefined)
    const then = model.copy()
    let at = cells.length
    for (const one of steps) {
      if (one === 'cut' || 'gone' in one) continue
      const cell = cellOf(one.key, { groups: one.groups }, revision(++at))
      version.apply(rows, one.key, cell, cell.modRevision)
      model.apply(one.key, cell, cell.modRevision)
    }
    return differs(version, model) === '' && differs(cut, then) === ''
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test('a large table is loaded in steps, none of which looks at more than some rows', async t => {
  const COUNT = 20_000
  let asked = 0
  const counted = defineTable<Row>({
    ...{ name: 'counted', prefix: 'counted/', codec: rows.codec },
    indexes: {
      group: {
        guarded: false,
        values: row => {
          asked++
          return row.groups
        },
      },
    },
  })
  // In the index they stand in another order.
  const groupOf = (at: number): string => `group ${(at * 7_919) % COUNT}`
  const cells = Array.from({ length: COUNT }, (_, at) =>
    cellOf(`row ${String(at).padStart(6, '0')}`, { groups: [groupOf(at), 'all'] }, revision(1)),
  )
  const version = new Version([counted])
  let [steps, most, before] = [0, 0, 0]
  for (const _ of version.loading(counted, cells)) {
    most = Math.max(most, asked - before)
    before = asked
    steps++
  }
  t.ok(most > 0 && most <= 256, `${most} rows in a step`)
  // As many for the rows of an index, the pieces of two trees, and the runs of a sort.
  t.ok(steps > COUNT / 256 + COUNT / 512, `${steps} steps`)
  t.same(version.prefix(counted, ''), cells)
  t.same(version.find(counted, 'group', 'all'), cells)
  for (const at of [0, 1, COUNT - 1]) {
    t.same(version.find(counted, 'group', groupOf(at)), [cells[at]])
  }
  t.equal(version.sum, cells.map(({ sum }) => sum).reduce(addSums, 0))
  t.equal(version.rows, COUNT)
  for (const { key } of cells) version.apply(counted, key, undefined, revision(2))
  t.equal(version.count(counted), 0)
  t.same(version.distinct(counted, 'group'), [])
})

t.test('the first row under a value is looked for anew once a row changed', async t => {
  const version = new Version([rows])
  const put = (key: string, groups: readonly string[] | undefined, at: number): void => {
    const cell = groups && cellOf(key, { groups }, revision(at))
    version.apply(rows, key, cell, revision(at))
  }
  const first = (group: string): string | undefined => version.find(rows, 'group', group, 1)[0]?.key
  t.equal(first('g'), undefined)
  put('b', ['g'], 1)
  t.equal(first('g'), 'b')
  put('a', ['g', 'h'], 2)
  t.equal(first('g'), 'a')
  t.equal(first('h'), 'a', 'another value')
  const cut = version.cut(undefined)
  put('a', undefined, 3)
  t.equal(first('g'), 'b')
  t.equal(cut.find(rows, 'group', 'g', 1)[0]?.key, 'a', 'an older version keeps its own')
  version.find(rows, 'group', 'g', 1).length = 0
  t.equal(first('g'), 'b', 'what was given is not kept')
  const loaded = new Version([rows])
  t.equal(loaded.find(rows, 'group', 'g', 1).length, 0)
  loaded.load(rows, [cellOf('c', { groups: ['g'] }, revision(1))])
  t.equal(loaded.find(rows, 'group', 'g', 1)[0]?.key, 'c')
})

t.test('a cut shares the tables that did not change', async t => {
  const head = new Version([rows, plain])
  head.apply(plain, 'a', cellOf('a', Buffer.from('1'), revision(1)), revision(1))
  const first = head.cut(undefined)
  head.apply(rows, 'b', cellOf('b', { groups: [] }, revision(2)), revision(2))
  const second = head.cut(first)
  t.equal(second.get(plain, 'a'), first.get(plain, 'a'))
  t.equal(first.get(rows, 'b'), undefined)
  t.ok(second.get(rows, 'b'))
  t.equal(head.cut(second).count(rows), 1)
})

t.test('tombstones are bounded: what is collected raises the floor', async t => {
  const version = new Version([rows])
  let at = 0
  for (let i = 0; i < limits.tombstones; i++)
    version.apply(rows, `k${i}`, undefined, revision(++at))
  t.equal(version.newestTombstone(rows, 'k0'), 1)
  t.equal(version.floor(rows), 0)
  version.apply(rows, 'one more', undefined, revision(++at))
  t.equal(version.newestTombstone(rows, ''), 0)
  t.equal(version.floor(rows), at)
  t.equal(version.newest(rows), at)
  version.setFloor(revision(5))
  t.equal(version.floor(rows), at, 'a floor does not go back')
})

t.test('sums stay in their range, whatever is added and taken', async t => {
  const part = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  const property = fc.property(fc.array(part), parts => {
    const sum = parts.reduce(addSums, 0)
    const back = parts.reduce((left, one) => addSums(left, -one), sum)
    return back === 0 && sum >= 0 && sum < 2 ** 48
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.equal(addSums(2 ** 48 - 1, 1), 0)
  t.equal(addSums(0, -1), 2 ** 48 - 1)
})

t.test('tables and indexes that are not there are a mistake of the caller', async t => {
  const version = new Version([rows])
  t.throws(() => version.get(plain, 'a'), /table plain is not part of this store/)
  t.throws(() => version.find(rows, 'nope', 'a'), /table rows has no index nope/)
  t.throws(() => new Version([rows, rows]), /a table is declared once/)
})

t.test('an era lasts as long as no row of its kind changes', async t => {
  const kinds = defineTable<Buffer>({
    ...{ name: 'kinds', prefix: 'kinds/', codec: rawCodec },
    eras: { kinds: ['a', 'b'], kindOf: key => (key[0] === '-' ? undefined : key[0]) },
  })
  const head = new Version([kinds])
  const put = (key: string, at: number): void => {
    head.apply(kinds, key, cellOf(key, Buffer.alloc(0), revision(at)), revision(at))
  }
  const eras = (version: Version): object[] => [version.era(kinds, 'a'), version.era(kinds, 'b')]
  const [a, b] = eras(head)
  t.not(a, b)
  const empty = head.cut(undefined)
  put('-x', 1)
  const other = head.cut(empty)
  t.ok(eras(other)[0] === a && eras(other)[1] === b, 'rows of no kind')
  put('a1', 2)
  const written = head.cut(other)
  t.ok(eras(written)[0] !== a && eras(written)[1] === b)
  t.ok(eras(other)[0] === a, 'what was cut before stays')
  t.ok(eras(head)[0] === eras(written)[0], 'a cut is of the same era')
  head.apply(kinds, 'a1', undefined, revision(3))
  t.not(eras(head)[0], eras(written)[0], 'a row that went is a change')
  t.not(eras(head)[0], a)
  const loaded = new Version([kinds])
  const before = eras(loaded)
  loaded.load(kinds, [cellOf('a1', Buffer.alloc(0), revision(1))])
  t.ok(eras(loaded).every((era, i) => era !== before[i]))
  t.throws(() => head.era(kinds, 'c'), /no rows of the kind c/)
})
