/** Events of a watch by revision, however etcd cuts its answers. */
import fc from 'fast-check'
import t from 'tap'
import { Assembler } from '../../../src/store/etcd/assembler.ts'
import type { Int64, WatchEvent } from '../../../src/store/etcd/client.ts'
import { propertyRuns } from '../../run/budget.ts'

const int64 = (value: number): Int64 => ({
  toNumber: () => value,
  toString: () => String(value),
  isZero: () => value === 0,
})

const event = (at: number, key: string): WatchEvent => ({
  type: 'PUT',
  kv: {
    key: Buffer.from(key),
    value: Buffer.alloc(0),
    createRevision: int64(at),
    modRevision: int64(at),
    version: int64(1),
    lease: int64(0),
  },
})

t.test('assembler: any cut gives the same revisions, each once and whole', async t => {
  const counts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 })
  const cuts = fc.array(fc.boolean(), { minLength: 24, maxLength: 24 })
  fc.assert(
    fc.property(counts, cuts, (sizes, isCut) => {
      const events = sizes.flatMap((size, i) =>
        Array.from({ length: size }, (_, j) => event((i + 1) * 3, `${i}/${j}`)),
      )
      const pieces: WatchEvent[][] = [[]]
      events.forEach((one, i) => {
        if (isCut[i] && pieces.at(-1)!.length > 0) pieces.push([])
        pieces.at(-1)!.push(one)
      })
      const assembler = new Assembler(2)
      const whole = pieces.flatMap((piece, i) =>
        assembler.push({ events: piece, fragment: i < pieces.length - 1 }),
      )
      t.same(
        whole.map(({ at, events: { length } }) => [at, length]),
        sizes.map((size, i) => [(i + 1) * 3, size]),
      )
    }),
    { numRuns: propertyRuns() },
  )
})

t.test('assembler: a revision is held back until the next one begins or etcd says so', async t => {
  const assembler = new Assembler(0)
  t.same(assembler.push({ events: [event(1, 'a')], fragment: true }), [])
  const [first] = assembler.push({ events: [event(1, 'b'), event(2, 'c')], fragment: true })
  t.match(first, { at: 1, events: { length: 2 } })
  t.match(assembler.push({ events: [event(2, 'd')], fragment: false }), [{ at: 2 }])
})

t.test('assembler: going back in time is noticed', async t => {
  for (const [first, second] of [
    [5, 5],
    [5, 4],
  ] as const) {
    const assembler = new Assembler(4)
    assembler.push({ events: [event(first, 'a')], fragment: false })
    const push = () => assembler.push({ events: [event(second, 'b')], fragment: false })
    t.throws(push, { code: 'damaged' })
  }
  t.throws(() => new Assembler(4).push({ events: [event(4, 'a')], fragment: false }))
})
