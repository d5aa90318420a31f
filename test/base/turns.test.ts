/** One piece is begun as it comes; what a turn has no time for waits; what is known goes ahead. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import tap from 'tap'
import { Turns } from '../../src/base/turns.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Work that takes a time each, by a clock of the test's. */
function open(turnMs: number, eachMs: number, besideOthersMs = turnMs) {
  let nowMs = 0
  const done: string[] = []
  const note = (text: string): void => {
    done.push(text)
    nowMs += eachMs
  }
  const turns = new Turns<number, number>(
    { begin: work => note(`begin ${work}`), end: known => note(`end ${known}`) },
    () => nowMs,
    { turnMs, besideOthersMs, othersStayMs: 100 },
  )
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { turns, done, pass }
}

tap.test('the first is begun as it comes, the others as far as a turn has time', async t => {
  const { turns, done } = open(10, 3)
  for (let i = 0; i < 9; i++) turns.begin(i)
  t.strictSame(done, ['begin 0'])
  t.equal(turns.waiting, 8)
  await nextTurn()
  t.strictSame(done.length, 5, 'the fourth begins within the time')
  turns.begin(9)
  t.equal(done.length, 5, 'nobody overtakes what waits')
  await nextTurn()
  await nextTurn()
  t.strictSame(
    done,
    Array.from({ length: 10 }, (_, i) => `begin ${i}`),
  )
  t.equal(turns.waiting, 0)
  turns.begin(10)
  t.equal(done.at(-1), 'begin 10', 'and then one is begun as it comes again')
})

tap.test('short work and long are begun by turns', async t => {
  const { turns, done } = open(10, 3)
  for (let i = 0; i < 6; i++) turns.begin(i)
  for (let i = 6; i < 9; i++) turns.begin(i, true)
  await nextTurn()
  t.strictSame(done, ['begin 0', 'begin 6', 'begin 1', 'begin 7', 'begin 2'])
  turns.begin(9)
  turns.begin(10, true)
  await nextTurn()
  await nextTurn()
  t.strictSame(
    done.slice(5),
    [8, 3, 10, 4, 5, 9].map(i => `begin ${i}`),
  )
  t.equal(turns.waiting, 0)
})

tap.test('of work that takes a whole turn each kind has its own', async t => {
  const { turns, done } = open(1, 5)
  for (let i = 0; i < 3; i++) turns.begin(i)
  turns.begin(3, true)
  turns.begin(4, true)
  await nextTurn()
  t.strictSame(done, ['begin 0', 'begin 3'])
  await nextTurn()
  t.strictSame(done.slice(2), ['begin 1'], 'short work does not keep the others from theirs')
  await nextTurn()
  await nextTurn()
  t.strictSame(done.slice(3), ['begin 4', 'begin 2'])
})

tap.test('what is known goes ahead of what was not begun, and all of it waits', async t => {
  const { turns, done } = open(10, 3)
  turns.begin(0)
  turns.begin(1)
  turns.begin(2)
  turns.end(0)
  turns.end(7)
  t.strictSame(done, ['begin 0'])
  await nextTurn()
  t.strictSame(done.slice(1), ['end 0', 'end 7', 'begin 1', 'begin 2'])
})

tap.test('what takes longer than a turn is done one at a time', async t => {
  const { turns, done } = open(1, 5)
  turns.end(0)
  turns.end(1)
  turns.begin(2)
  for (let turn = 1; turn <= 3; turn++) {
    await nextTurn()
    t.equal(done.length, turn)
  }
  t.strictSame(done, ['end 0', 'end 1', 'begin 2'])
})

tap.test('what comes to be known as it is begun ends in the next turn', async t => {
  const done: string[] = []
  const turns: Turns<number, number> = new Turns(
    {
      begin(work: number) {
        done.push(`begin ${work}`)
        turns.end(work)
      },
      end: (known: number) => done.push(`end ${known}`),
    },
    () => 0,
    { turnMs: 1, besideOthersMs: 1, othersStayMs: 1 },
  )
  for (let i = 0; i < 3; i++) turns.begin(i)
  await nextTurn()
  t.strictSame(done, ['begin 0', 'end 0', 'begin 1', 'begin 2'])
  await nextTurn()
  t.strictSame(done.slice(4), ['end 1', 'end 2'])
})

tap.test('turns are short while others are there, and for a while after', async t => {
  const { turns, done, pass } = open(10, 3, 1)
  const each = async (): Promise<number> => {
    const before = done.length
    for (let i = 0; i < 9; i++) turns.end(i)
    await nextTurn()
    const count = done.length - before
    while (turns.waiting > 0) await nextTurn()
    return count
  }
  t.equal(await each(), 4, 'nobody is there')
  turns.makeWay()
  t.equal(await each(), 1, 'somebody asked')
  t.equal(await each(), 1, 'he may ask again')
  turns.makeWay()
  pass(99)
  t.equal(await each(), 1, 'it is counted from the last time')
  pass(100)
  t.equal(await each(), 4, 'he is gone')
})

tap.test('others have their turn between', async t => {
  const { turns, done } = open(1, 1)
  const order: string[] = []
  for (let i = 0; i < 3; i++) turns.begin(i)
  setImmediate(() => order.push(`other after ${done.length}`))
  await nextTurn()
  await nextTurn()
  t.strictSame(order, ['other after 2'])
  t.equal(done.length, 3)
})

tap.test('what was done is let go of, also while something waits all the time', async t => {
  const ROUNDS = 2_000
  const KEPT_AT_MOST = 200
  const known: WeakRef<object>[] = []
  const make = (): object => {
    const work = { bytes: new Uint8Array(1_000) }
    known.push(new WeakRef(work))
    return work
  }
  let nowMs = 0
  let turns: Turns<object, object>
  const steps = {
    begin(work: object) {
      nowMs += 1
      turns.end(work)
    },
    end: () => {},
  }
  turns = new Turns(steps, () => nowMs, { turnMs: 1, besideOthersMs: 1, othersStayMs: 0 })
  for (let i = 0; i < 10; i++) turns.begin(make(), i % 2 === 0)
  for (let i = 0; i < ROUNDS; i++) {
    turns.begin(make(), i % 2 === 0)
    await nextTurn()
    if (turns.waiting === 0) t.fail('nothing waits')
  }
  collect()
  const kept = known.filter(work => work.deref() !== undefined).length
  t.ok(kept < KEPT_AT_MOST, `${kept} of ${known.length} are kept`)
})
