/**
 * The age of a view: what it counts from, when it is too old, and that it ends.
 */
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { Freshness } from '../../src/store/freshness.ts'
import { FakeClock } from '../fake/clock.ts'

function world(shared = true) {
  const clock = new FakeClock()
  let answerMs = 0
  let isDown = false
  let asked = 0
  const store = {
    supports: { durable: true, shared, transactionOps: 1 },
    readIndex: () => {
      asked++
      const isLost = isDown
      return new Promise<ReturnType<typeof revision>>((resolve, reject) => {
        clock.after(answerMs, () => (isLost ? reject(new Error('down')) : resolve(revision(1))))
      })
    },
  }
  const age = new Freshness(store, clock)
  return {
    ...{ clock, age },
    asked: () => asked,
    slow: (ms: number) => {
      answerMs = ms
    },
    down: (is: boolean) => {
      isDown = is
    },
  }
}

t.test('it counts from when the read was sent', async t => {
  const { clock, age, slow, down } = world()
  age.start()
  await clock.advance(1)
  t.equal(age.ageMs(), 1)
  slow(40)
  await clock.advance(limits.viewConfirmMs + 38)
  t.ok(age.ageMs() >= limits.viewConfirmMs)
  await clock.advance(10)
  t.ok(age.ageMs() <= 50 && age.ageMs() >= 40, `${age.ageMs()}`)
  t.equal(age.isDegraded, false)
  down(true)
  await clock.advance(limits.viewDegradedMs + 400)
  t.equal(age.isDegraded, true)
  down(false)
  await clock.advance(limits.viewConfirmMs + 100)
  t.equal(age.isDegraded, false)
  age.stop()
  await clock.advance(1_000)
  t.equal(clock.timers, 0)
})

t.test('where nobody else writes nothing is asked, and nothing is old', async t => {
  const { clock, age, asked } = world(false)
  age.start()
  await clock.advance(10_000)
  t.same([asked(), age.ageMs(), age.isDegraded, clock.timers], [0, 0, false, 0])
})
