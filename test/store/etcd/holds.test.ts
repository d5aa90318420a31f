/** Who waits for whom among the writes of one server. */
import fc from 'fast-check'
import t from 'tap'
import { type Footprint, type Holder, Holds, type Mode } from '../../../src/store/etcd/holds.ts'

interface Write extends Holder {
  isUnderWay: boolean
  readonly footprint: Footprint
}

const footprint = (modes: Record<string, Mode>, ...ranges: [string, string][]): Footprint => ({
  modes: new Map(Object.entries(modes)),
  ranges: ranges.map(([from, to]) => ({ from, to })),
})

function writes(...footprints: Footprint[]): { holds: Holds<Write>; all: Write[] } {
  const holds = new Holds<Write>()
  const all = footprints.map((one, sequence) => ({ sequence, isUnderWay: false, footprint: one }))
  for (const write of all) holds.hold(write, write.footprint)
  return { holds, all }
}

t.test('holds: which modes stand in each other’s way', async t => {
  const conflicts: [Mode, Mode, boolean][] = [
    ['read', 'read', false],
    ['touch', 'touch', false],
    ['read', 'touch', true],
    ['touch', 'read', true],
    ['read', 'write', true],
    ['write', 'read', true],
    ['touch', 'write', true],
    ['write', 'touch', true],
    ['write', 'write', true],
  ]
  for (const [first, second, isConflict] of conflicts) {
    const { holds, all } = writes(footprint({ k: first }), footprint({ k: second }))
    t.equal(holds.before(all[1]!), isConflict ? all[0] : undefined, `${first}, then ${second}`)
    t.equal(holds.before(all[0]!), undefined, 'the first one waits for nobody')
  }
})

t.test('holds: a range that is read, and keys within it', async t => {
  const range = footprint({}, ['b', 'd'])
  for (const [key, mode, isConflict] of [
    ['a', 'write', false],
    ['b', 'touch', true],
    ['c', 'write', true],
    ['c', 'read', false],
    ['d', 'write', false],
  ] as const) {
    const one = writes(range, footprint({ [key]: mode }))
    t.equal(one.holds.before(one.all[1]!), isConflict ? one.all[0] : undefined)
    const other = writes(footprint({ [key]: mode }), range)
    t.equal(other.holds.before(other.all[1]!), isConflict ? other.all[0] : undefined)
  }
  const own = writes(footprint({ c: 'write' }, ['b', 'd']))
  t.equal(own.holds.before(own.all[0]!), undefined, 'nobody waits for himself')
})

t.test('holds: what is under way comes first, whoever called first', async t => {
  const { holds, all } = writes(footprint({ k: 'write' }), footprint({ k: 'write' }))
  all[1]!.isUnderWay = true
  t.equal(holds.before(all[0]!), all[1])
  holds.release(all[1]!)
  t.equal(holds.before(all[0]!), undefined)
})

const conflict = (a: Footprint, b: Footprint): boolean => {
  const touches = (one: Footprint, key: string): boolean =>
    one.modes.has(key) && one.modes.get(key) !== 'read'
  const reads = (one: Footprint, key: string): boolean =>
    (one.modes.has(key) && one.modes.get(key) !== 'touch') ||
    one.ranges.some(({ from, to }) => key >= from && key < to)
  const writesIt = (one: Footprint, key: string): boolean => one.modes.get(key) === 'write'
  return [...new Set([...a.modes.keys(), ...b.modes.keys()])].some(
    key =>
      (touches(a, key) && reads(b, key)) ||
      (touches(b, key) && reads(a, key)) ||
      (touches(a, key) && touches(b, key) && (writesIt(a, key) || writesIt(b, key))),
  )
}

t.test('holds: found where there is one, and only there', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const mode = fc.constantFrom<Mode>('read', 'touch', 'write')
  const one = fc.record({
    modes: fc.dictionary(key, mode, { maxKeys: 3 }),
    range: fc.option(fc.tuple(key, key)),
    isUnderWay: fc.boolean(),
    isReleased: fc.boolean(),
    again: fc.option(fc.dictionary(key, mode, { maxKeys: 3 })),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 8 }), given => {
      const holds = new Holds<Write>()
      const held = new Map<Write, Footprint>()
      given.forEach(({ modes, range, isUnderWay, isReleased, again }, sequence) => {
        const first = footprint(modes, ...(range === null ? [] : [range]))
        const write = { sequence, isUnderWay, footprint: first }
        holds.hold(write, first)
        const last = again === null ? first : footprint(again)
        holds.hold(write, last)
        held.set(write, last)
        if (isReleased) {
          holds.release(write)
          held.delete(write)
        }
      })
      for (const [write, own] of held) {
        const before = [...held].filter(
          ([other, theirs]) =>
            other !== write &&
            (other.isUnderWay || other.sequence < write.sequence) &&
            conflict(own, theirs),
        )
        const found = holds.before(write)
        if (before.length === 0 ? found !== undefined : !before.some(([one]) => one === found)) {
          return false
        }
      }
      return true
    }),
    { numRuns: 1_000 },
  )
})
