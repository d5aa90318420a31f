/**
 * The sliced runner: everything is done once and in order, and the loop is given back.
 */
import t from 'tap'
import {
  finishInSlices,
  inSlices,
  keptInSlices,
  longestSlice,
  resetLongestSlice,
  Slicer,
  slice,
  sortInSlices,
  useLoop,
} from '../../src/base/slices.ts'
import { settled } from '../fake/clock.ts'

const spin = (ms: number): void => {
  const until = performance.now() + ms
  while (performance.now() < until);
}

t.test('all items, in order, and others run in between', async t => {
  const seen: number[] = []
  let others = 0
  const other = setInterval(() => others++, 1)
  await inSlices(Array.from({ length: 640 }).keys(), item => {
    seen.push(item)
    if (item % 16 === 0) spin(1)
  })
  clearInterval(other)
  t.same(seen, [...Array.from({ length: 640 }).keys()])
  t.ok(others > 3, `the loop was given back ${others} times`)
  await inSlices([], () => t.fail('there is nothing to do'))
  await t.rejects(
    inSlices([1], () => {
      throw new Error('a step is wrong')
    }),
    /a step is wrong/,
  )
})

t.test('queued jobs run soon, in order, and spread over turns', async t => {
  const slicer = new Slicer()
  const seen: string[] = []
  slicer.each([1, 2, 3], item => seen.push(`a${item}`))
  slicer.each([], () => t.fail('nothing'))
  slicer.each([1, 2], item => {
    seen.push(`b${item}`)
    if (item === 1) slicer.each([1], () => seen.push('c'))
  })
  t.same(seen, [], 'never before it returns')
  await settled(2)
  t.same(seen, ['a1', 'a2', 'a3', 'b1', 'b2', 'c'])
  let done = 0
  slicer.each(Array.from({ length: 320 }), () => {
    if (done++ % 16 === 0) spin(1)
  })
  await new Promise(resolve => setImmediate(resolve))
  t.ok(done > 0 && done < 320, `${done} in the first turn`)
  for (let i = 0; i < 100 && done < 320; i++) await settled(1)
  t.equal(done, 320)
})

t.test('the longest slice is known', async t => {
  resetLongestSlice()
  t.equal(longestSlice(), 0)
  t.equal(
    slice(() => {
      spin(3)
      return 'result'
    }),
    'result',
  )
  t.ok(longestSlice() >= 3)
})

t.test('long lists are sorted as short ones are, and equal items keep their order', async t => {
  const compare = (one: [number, number], other: [number, number]) => one[0] - other[0]
  for (const length of [0, 1, 511, 512, 513, 5_000]) {
    const items = Array.from({ length }, (_, at): [number, number] => [(at * 7919) % 97, at])
    const sorted = await sortInSlices(items, compare)
    t.same(sorted, items.toSorted(compare), `${length} items`)
  }
})

t.test('a bench finds the longest slice in whatever process it is loaded into', t => {
  const found = Reflect.get(globalThis, Symbol.for('gatehouse.slices'))
  let nowMs = 0
  const back = useLoop({ now: () => nowMs, afterPoll: run => void setImmediate(run) })
  t.teardown(back)
  found.resetLongestSlice()
  t.equal(longestSlice(), 0)
  slice(() => {
    nowMs += 7
  })
  t.equal(found.longestSlice(), 7)
  t.end()
})

t.test('a generator is run to its end in slices', async t => {
  let others = 0
  const other = setInterval(() => others++, 1)
  function* work(): Generator<undefined, string> {
    for (let i = 0; i < 640; i++) {
      if (i % 16 === 0) spin(1)
      yield undefined
    }
    return 'done'
  }
  t.equal(await finishInSlices(work()), 'done')
  clearInterval(other)
  t.ok(others > 3, `the loop was given back ${others} times`)
})

t.test('what a slow test keeps is found in slices too', async t => {
  let others = 0
  const other = setInterval(() => others++, 1)
  const slowly = (item: number): boolean => {
    spin(3)
    return item % 3 === 0
  }
  t.same(await keptInSlices(Array.from({ length: 12 }).keys(), slowly), [0, 3, 6, 9])
  clearInterval(other)
  t.ok(others > 3, `the loop was given back ${others} times`)
})
