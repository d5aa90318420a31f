/** Work is done as it comes while its turn has time, and in its order behind that. */
import tap from 'tap'
import { Turns } from '../../src/base/turns.ts'

const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Work that takes a time each, by a clock of the test's. */
function open(turnMs: number, eachMs: number) {
  let nowMs = 0
  const done: number[] = []
  const turns = new Turns<number>(
    work => {
      done.push(work)
      nowMs += eachMs
    },
    () => nowMs,
    turnMs,
  )
  return { turns, done }
}

tap.test('what a turn has time for is done at once', async t => {
  const { turns, done } = open(10, 3)
  for (let i = 0; i < 9; i++) turns.take(i)
  t.strictSame(done, [0, 1, 2, 3], 'the fourth begins within the time')
  t.equal(turns.waiting, 5)
  await nextTurn()
  t.strictSame(done, [0, 1, 2, 3, 4, 5, 6, 7])
  turns.take(9)
  t.strictSame(done.length, 8, 'nobody overtakes what waits')
  await nextTurn()
  t.strictSame(done, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.equal(turns.waiting, 0)
  await nextTurn()
  turns.take(10)
  t.equal(done.at(-1), 10)
})

tap.test('each turn has its own time', async t => {
  const { turns, done } = open(10, 6)
  for (let turn = 0; turn < 3; turn++) {
    turns.take(1)
    turns.take(2)
    t.equal(turns.waiting, 0)
    await nextTurn()
  }
  t.equal(done.length, 6)
})

tap.test('others have their turn between', async t => {
  const { turns, done } = open(1, 1)
  const order: string[] = []
  for (let i = 0; i < 3; i++) turns.take(i)
  setImmediate(() => order.push(`other after ${done.length}`))
  await nextTurn()
  await nextTurn()
  t.strictSame(order, ['other after 2'])
  t.equal(done.length, 3)
})
