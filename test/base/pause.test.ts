/** A pause ends by time or by its signal, and leaves no timer behind. */
import t from 'tap'
import { pause } from '../../src/base/pause.ts'
import { FakeClock, settled } from '../fake/clock.ts'

function start(delayMs: number, stopping = new AbortController()) {
  const clock = new FakeClock()
  let isOver = false
  void pause(clock, delayMs, stopping.signal).then(() => {
    isOver = true
  })
  return { clock, stopping, isOver: () => isOver }
}

t.test('time', async t => {
  const { clock, isOver } = start(50)
  await clock.advance(49)
  await settled()
  t.equal(isOver(), false)
  await clock.advance(1)
  await settled()
  t.equal(isOver(), true)
})

t.test('the signal, during the pause and before it', async t => {
  const { stopping, isOver } = start(50)
  await settled()
  t.equal(isOver(), false)
  stopping.abort()
  await settled()
  t.equal(isOver(), true)
  const again = start(50, stopping)
  await settled()
  t.equal(again.isOver(), true)
})
