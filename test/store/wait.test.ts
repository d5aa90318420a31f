/**
 * Waiting: exactly what changed wakes exactly who waits on it, once, and never after a cancel.
 */
import fc from 'fast-check'
import t from 'tap'
import { revision } from '../../src/base/brand.ts'
import { limits } from '../../src/base/limits.ts'
import { Scopes, type Target, type Waiter } from '../../src/store/wait.ts'
import { settled } from '../fake/clock.ts'
import { propertyRuns } from '../run/budget.ts'

const NAMES = ['s1', 's2']
const KEYS = ['', 'a', 'a/b', 'a/b/c', 'b', '\u00ff']

const target: fc.Arbitrary<Target> = fc.oneof(
  fc.record({ scope: fc.constantFrom(...NAMES) }),
  fc.record({ table: fc.constantFrom('t1', 't2'), key: fc.constantFrom(...KEYS) }),
  fc.record({ table: fc.constantFrom('t1', 't2'), prefix: fc.constantFrom(...KEYS) }),
)
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ wait: target }) },
  { weight: 2, arbitrary: fc.record({ touch: fc.constantFrom(...NAMES) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      table: fc.constantFrom('t1', 't2'),
      key: fc.constantFrom(...KEYS),
    }),
  },
  { weight: 2, arbitrary: fc.record({ cancel: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.constant('reset' as const) },
  { weight: 1, arbitrary: fc.constant('settle' as const) },
)

interface Waited {
  readonly target: Target
  readonly waiter: Waiter
  state: 'waiting' | 'touched' | 'cancelled'
  woken: number
}

const isOn = (on: Target, table: string, key: string): boolean =>
  'table' in on && on.table === table && ('key' in on ? on.key === key : key.startsWith(on.prefix))

t.test('model: waits, touches and cancels in any order', async t => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
    const scopes = new Scopes()
    const all: Waited[] = []
    let at = 0
    const touched = (matches: (on: Target) => boolean): void => {
      for (const one of all) {
        if (one.state === 'waiting' && matches(one.target)) one.state = 'touched'
      }
    }
    const isRight = (): boolean =>
      all.every(({ state, woken }) => woken === (state === 'touched' ? 1 : 0)) &&
      scopes.waiting === all.filter(({ state }) => state === 'waiting').length
    for (const one of steps) {
      if (one === 'settle') {
        await settled(2)
        if (!isRight()) return false
      } else if (one === 'reset') {
        scopes.reset(revision(++at))
        touched(() => true)
      } else if ('wait' in one) {
        const waited: Waited = {
          target: one.wait,
          waiter: scopes.wait(one.wait, () => {
            waited.woken++
          }),
          state: 'waiting',
          woken: 0,
        }
        all.push(waited)
      } else if ('touch' in one) {
        scopes.touch(one.touch, revision(++at))
        touched(on => 'scope' in on && on.scope === one.touch)
      } else if ('cancel' in one) {
        const chosen = all[one.cancel % Math.max(1, all.length)]
        chosen?.waiter.cancel()
        // Also one that was touched, as long as it was not told.
        if (chosen !== undefined && chosen.woken === 0) chosen.state = 'cancelled'
      } else {
        scopes.touchKey(one.table, one.key)
        touched(on => isOn(on, one.table, one.key))
      }
    }
    await settled(2)
    return isRight()
  })
  await fc.assert(property, { numRuns: propertyRuns() })
  t.pass('equal')
})

t.test('a scope answers with its newest touch, an unknown one with the floor', async t => {
  const scopes = new Scopes()
  scopes.reset(revision(5))
  t.equal(scopes.newest('a'), 5)
  t.equal(scopes.known('a'), undefined)
  scopes.touch('a', revision(7))
  const known = scopes.known('a')!
  t.equal(known.revision, 7)
  scopes.touch('a', revision(6))
  t.equal(known.revision, 7, 'never back')
  scopes.touch('old', revision(2))
  t.equal(scopes.newest('old'), 5, 'never below the floor')
  const waiter = scopes.wait({ scope: 'b' }, () => t.fail('woken'))
  t.equal(scopes.known('b'), undefined, 'waiting makes nothing known')
  t.equal(scopes.newest('b'), 5)
  waiter.cancel()
  scopes.reset(revision(9))
  t.ok(known.revision > 1_000, 'what was kept beside an answer is outdated for good')
  t.equal(scopes.newest('a'), 9)
})

t.test('scopes are bounded, and no index goes back when they are forgotten', async t => {
  const scopes = new Scopes()
  let woken = false
  scopes.touch('first', revision(1))
  scopes.wait({ scope: 'waited' }, () => {
    woken = true
  })
  const kept = scopes.known('first')!
  for (let i = 0; i < limits.scopes; i++) scopes.touch(`s${i}`, revision(i + 2))
  t.equal(scopes.known('first'), undefined, 'the oldest are forgotten')
  t.ok(scopes.newest('first') >= 1)
  t.ok(kept.revision > limits.scopes, 'and an answer kept beside it is outdated')
  const newest = limits.scopes - 1
  t.equal(scopes.newest(`s${newest}`), newest + 2)
  t.ok(scopes.newest('never seen') >= scopes.newest('first'))
  t.equal(woken, false)
  scopes.touch('waited', revision(limits.scopes + 5))
  await settled(2)
  t.equal(woken, true, 'who waits is never forgotten')
})

t.test('ten thousand waiters on one scope are woken in slices', async t => {
  const scopes = new Scopes()
  let woken = 0
  for (let i = 0; i < 10_000; i++) scopes.wait({ scope: 'a' }, () => woken++)
  scopes.touch('a', revision(1))
  t.equal(woken, 0, 'never inside the touch')
  t.equal(scopes.waiting, 0)
  for (let i = 0; i < 1_000 && woken < 10_000; i++) await settled(1)
  t.equal(woken, 10_000)
})

t.test('changes of a scope are counted at its mark, whatever they are', async t => {
  const scopes = new Scopes()
  scopes.touch('a', revision(1))
  scopes.touch('b', revision(1))
  const [a, b] = [scopes.known('a')!, scopes.known('b')!]
  t.equal(a.mark, 0, 'nobody asked for it')
  scopes.mark(a)
  scopes.mark(b)
  scopes.mark(a)
  t.strictSame([a.mark, b.mark], [1, 2])
  const counts = (): readonly number[] => [...scopes.marks.subarray(1, 3)]
  t.strictSame(counts(), [0, 0])
  scopes.touch('a', revision(2))
  t.strictSame(counts(), [1, 0])
  scopes.touch('a', revision(2))
  t.strictSame(counts(), [1, 0], 'nothing changed')
  scopes.raise(revision(3))
  t.strictSame(counts(), [2, 1])
  scopes.forget('b')
  t.strictSame(counts(), [2, 2])
  scopes.reset(revision(9))
  t.strictSame(counts(), [3, 2], 'what was forgotten counts no more')
  t.equal(scopes.marks[0], 0, 'no scope has the first place')
  for (let i = 0; i < limits.scopeMarks; i++) scopes.touch(`s${i}`, revision(10))
  for (let i = 0; i < limits.scopeMarks; i++) scopes.mark(scopes.known(`s${i}`)!)
  t.ok(scopes.known('s9')!.mark > 0)
  t.equal(scopes.known(`s${limits.scopeMarks - 3}`)!.mark, 1, 'places are shared where they end')
})
