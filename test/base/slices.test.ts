/**
 * The sliced runner: everything is done once and in order, and the loop is given back.
 */
import t from 'tap'
import { inSlices, longestSlice, resetLongestSlice, Slicer, slice } from '../../src/base/slices.ts'
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
