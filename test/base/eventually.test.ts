/** Values that are there at once, or later. */
import t from 'tap'
import { after, mapEventually } from '../../src/base/eventually.ts'
import { startInSlices, useLoop } from '../../src/base/slices.ts'

t.test('nothing is waited for that is there', async t => {
  t.equal(
    after(1, one => one + 1),
    2,
  )
  const later = after(Promise.resolve(1), one => one + 1)
  t.ok(later instanceof Promise)
  t.equal(await later, 2)
  const pace = { atOnce: 2, look: 1 }
  t.strictSame(
    mapEventually([1, 2, 3], one => one * 2, pace),
    [2, 4, 6],
  )
  t.strictSame(
    mapEventually([], () => 1, pace),
    [],
  )
})

t.test('order is kept, whatever takes longer, and few are under way at a time', async t => {
  const open: (() => void)[] = []
  let most = 0
  const work = (one: number) =>
    one % 2 === 0
      ? one
      : new Promise<number>(resolve => {
          open.push(() => resolve(one))
          most = Math.max(most, open.length)
        })
  const done = mapEventually([1, 2, 3, 4, 5, 6, 7], work, { atOnce: 2, look: 1 })
  let isDone = false
  void Promise.resolve(done).then(() => {
    isDone = true
  })
  while (!isDone) {
    open.pop()?.()
    await new Promise(setImmediate)
  }
  t.strictSame(await done, [1, 2, 3, 4, 5, 6, 7])
  t.equal(most, 2)
})

t.test('a fault of one is that of all', async t => {
  const failing = (one: number) => (one === 2 ? Promise.reject(new Error('no')) : one)
  await t.rejects(Promise.resolve(mapEventually([1, 2], failing, { atOnce: 5, look: 1 })))
})

t.test('the loop is given back once a slice is over', async t => {
  let nowMs = 0
  const waiting: (() => void)[] = []
  const restore = useLoop({ now: () => nowMs, afterPoll: run => void waiting.push(run) })
  t.teardown(restore)
  const seen: number[] = []
  const step = (item: number): void => {
    seen.push(item)
    nowMs += 1
  }
  const done = startInSlices([0, 1, 2, 3, 4, 5], step, 2)
  t.strictSame(seen, [0, 1], 'two milliseconds at a time')
  waiting.pop()!()
  await null
  await null
  t.strictSame(seen, [0, 1, 2, 3])
  waiting.pop()!()
  await done
  t.strictSame(seen, [0, 1, 2, 3, 4, 5], 'what is last needs no further turn')
  nowMs = 0
  t.equal(
    startInSlices([1], () => {}),
    undefined,
  )
})
