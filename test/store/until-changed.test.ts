/** A wait of a loop ends by a change, by time or by its signal, and leaves nothing behind. */
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { untilChanged } from '../../src/store/until-changed.ts'
import { Scopes } from '../../src/store/wait.ts'
import { FakeClock, settled } from '../fake/clock.ts'

const targets = [{ scope: 'a' }, { table: 't', key: 'k' }] as const

function start() {
  const clock = new FakeClock()
  const scopes = new Scopes()
  const stopping = new AbortController()
  let isOver = false
  const wait = (delayMs = 1_000): void => {
    isOver = false
    void untilChanged({ scopes, clock }, targets, delayMs, stopping.signal).then(() => {
      isOver = true
    })
  }
  return { clock, scopes, stopping, wait, isOver: () => isOver }
}

t.test('a change of any target', async t => {
  const { scopes, wait, isOver } = start()
  for (const change of [() => scopes.touch('a', revision(2)), () => scopes.touchKey('t', 'k')]) {
    wait()
    await settled()
    t.equal(isOver(), false)
    t.equal(scopes.waiting, 2)
    change()
    await settled()
    t.equal(isOver(), true)
    t.equal(scopes.waiting, 0)
  }
})

t.test('time', async t => {
  const { clock, scopes, wait, isOver } = start()
  wait(50)
  await clock.advance(49)
  await settled()
  t.equal(isOver(), false)
  await clock.advance(1)
  await settled()
  t.equal(isOver(), true)
  t.equal(scopes.waiting, 0)
})

t.test('the signal, before and during the wait', async t => {
  const { scopes, stopping, wait, isOver } = start()
  wait()
  stopping.abort()
  await settled()
  t.equal(isOver(), true)
  t.equal(scopes.waiting, 0)
  wait()
  await settled()
  t.equal(isOver(), true)
})

t.test('where too many wait, time alone ends it', async t => {
  const { clock, scopes, wait, isOver } = start()
  Object.defineProperty(scopes, 'waiting', { get: () => limits.waiters })
  wait(10)
  scopes.touch('a', revision(2))
  await settled()
  t.equal(isOver(), false)
  await clock.advance(10)
  await settled()
  t.equal(isOver(), true)
})
