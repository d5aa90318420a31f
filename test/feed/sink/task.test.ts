/** The machine of a sink's task: pace, comparing, refusals, and what is left once all is quiet. */
import fc from 'fast-check'
import t from 'tap'
import {
  type Act,
  type AppliedHow,
  firstState,
  nextAct,
  onApplied,
  onBusy,
  onCompared,
  onLost,
  onRendered,
  onState,
  phaseOf,
  retryAfterMs,
  type TaskPace,
  type TaskState,
} from '../../../src/feed/sink/task.ts'
import { propertyRuns } from '../../run/budget.ts'

const pace: TaskPace = {
  bufferMinMs: 100,
  bufferMaxMs: 1_000,
  retryMinMs: 1_000,
  retryMaxMs: 8_000,
  verifyMs: 0,
}

const changed = { revision: 1, isTrigger: true, notBeforeMs: 0 }
const wanted = (digest: string) => ({ kind: 'wanted', digest }) as const

/** A task whose target has `a`, at the time 0. */
function settled(): TaskState {
  let state = onRendered(onState(firstState(true), changed, 0), wanted('a'))
  state = onCompared(onBusy(state, 'comparing'), { digest: 'a', how: 'same', retryMs: 0 }, 0)
  return state
}

const act = (state: TaskState, nowMs: number, more: Partial<TaskPace> = {}): string => {
  const found: Act = nextAct(state, { ...pace, ...more }, nowMs)
  return found.act === 'wait' ? `wait ${found.untilMs}` : found.act
}

t.test(
  'the first state is compared at once, and applied only where the target differs',
  async t => {
    const waiting = firstState(true)
    t.same([phaseOf(waiting), act(waiting, 0)], ['waiting', 'rest'])
    const first = onState(waiting, changed, 5)
    t.equal(act(first, 5), 'render')
    const looked = onRendered(first, wanted('a'))
    t.equal(act(looked, 5), 'compare')
    const busy = onBusy(looked, 'comparing')
    t.same([phaseOf(busy), act(busy, 5)], ['comparing', 'rest'])
    const same = onCompared(busy, { digest: 'a', how: 'same', retryMs: 0 }, 6)
    t.same([phaseOf(same), act(same, 6)], ['current', 'rest'])
    const differs = onCompared(busy, { digest: 'a', how: 'differs', retryMs: 0 }, 6)
    t.equal(act(differs, 6), 'apply')
    const applied = onApplied(
      onBusy(differs, 'applying'),
      { digest: 'a', how: 'applied', retryMs: 0 },
      7,
    )
    t.same([phaseOf(applied), act(applied, 7)], ['current', 'rest'])
  },
)

t.test('a change waits for its quiet time, a row of them for the longest delay', async t => {
  let state = onState(settled(), changed, 1_000)
  t.same([phaseOf(state), act(state, 1_000)], ['buffering', 'wait 1100'])
  state = onState(state, changed, 1_090)
  t.equal(act(state, 1_100), 'wait 1190')
  for (let nowMs = 1_150; nowMs < 2_000; nowMs += 50) state = onState(state, changed, nowMs)
  t.equal(act(state, 1_999), 'wait 2000')
  t.equal(act(state, 2_000), 'render')
})

t.test('what is no longer the newest is not begun, unless a schedule holds the newest', async t => {
  const refused = onApplied(
    onBusy(onRendered(onState(settled(), changed, 0), wanted('b')), 'applying'),
    { digest: 'b', how: 'refused', retryMs: 1_000 },
    0,
  )
  t.equal(act(onState(refused, changed, 990), 1_000), 'wait 1090', 'it would be tried again now')
  const tomorrow = { ...changed, notBeforeMs: 86_400_000 }
  t.equal(act(onState(refused, tomorrow, 990), 1_000), 'apply')
})

t.test('what comes to the same is nothing to do', async t => {
  const state = onRendered(onState(settled(), changed, 10), wanted('a'))
  t.same([phaseOf(state), act(state, 10)], ['current', 'rest'])
})

t.test('a schedule holds changes back until its time', async t => {
  const state = onState(settled(), { ...changed, notBeforeMs: 60_000 }, 10)
  t.equal(act(state, 2_000), 'wait 60000')
  t.equal(act(onState(state, { ...changed, notBeforeMs: 120_000 }, 59_000), 60_000), 'render')
})

t.test('changes that it does not go by wait for one that it goes by', async t => {
  const other = onState(settled(), { ...changed, isTrigger: false, revision: 7 }, 10)
  t.same([act(other, 5_000), other.revision], ['rest', 7])
  t.equal(act(onState(other, changed, 6_000), 6_100), 'render')
  const first = onState(firstState(true), { ...changed, isTrigger: false }, 0)
  t.equal(act(first, 0), 'render', 'but the first state is always looked at')
})

t.test(
  'a refusal is not tried again until the backoff is over, or the state is another',
  async t => {
    const asked = onRendered(onState(settled(), changed, 0), wanted('b'))
    t.equal(act(asked, 200), 'apply')
    const said = { digest: 'b', how: 'refused' as AppliedHow, retryMs: 5_000 }
    const refused = onApplied(onBusy(asked, 'applying'), said, 300)
    t.same([phaseOf(refused), refused.has, act(refused, 300)], ['rejected', 'a', 'wait 5300'])
    t.equal(act(refused, 5_300), 'apply')
    const again = onRendered(onState(refused, changed, 400), wanted('b'))
    t.equal(act(again, 500), 'wait 5300', 'the same state is the same refusal')
    const other = onRendered(onState(refused, changed, 400), wanted('c'))
    t.equal(act(other, 500), 'apply')
    const back = onRendered(onState(refused, changed, 400), wanted('a'))
    t.same([phaseOf(back), act(back, 500)], ['current', 'rest'], 'it has what it had')
  },
)

t.test('a target that failed is compared before anything else', async t => {
  const asked = onRendered(onState(settled(), changed, 0), wanted('b'))
  const said = { digest: 'b', how: 'failed' as AppliedHow, retryMs: 2_000 }
  const failed = onApplied(onBusy(asked, 'applying'), said, 300)
  t.same([failed.has, act(failed, 300), act(failed, 2_300)], [undefined, 'wait 2300', 'compare'])
  const back = onRendered(onState(failed, changed, 400), wanted('a'))
  t.equal(act(back, 400), 'compare', 'it may be neither here nor there')
})

t.test('nothing is done while the feed is lost, nor while the task is disabled', async t => {
  const state = onLost(onState(settled(), changed, 0), 'no server')
  t.same([phaseOf(state), act(state, 60_000)], ['lost', 'rest'])
  t.equal(act(onState(state, changed, 60_000), 60_000), 'render', 'it waited long enough')
  const off = onState(firstState(false), changed, 0)
  t.same([phaseOf(off), act(off, 60_000)], ['disabled', 'rest'])
})

t.test('what is held or cannot be rendered leaves the target as it is', async t => {
  const held = onRendered(onState(settled(), changed, 0), { kind: 'held', reason: 'too few' })
  t.same([phaseOf(held), act(held, 60_000)], ['held', 'rest'])
  const refused = onRendered(onState(settled(), changed, 0), {
    kind: 'refused',
    problem: 'no port',
  })
  t.same([phaseOf(refused), act(refused, 60_000)], ['unrenderable', 'rest'])
})

t.test('a target that should be right is compared again', async t => {
  const state = settled()
  t.equal(act(state, 0, { verifyMs: 30_000 }), 'wait 30000')
  t.equal(act(state, 30_000, { verifyMs: 30_000 }), 'compare')
  const lost = onCompared(
    onBusy(state, 'comparing'),
    { digest: 'a', how: 'differs', retryMs: 0 },
    1,
  )
  t.equal(act(lost, 30_000, { verifyMs: 30_000 }), 'apply')
})

t.test('retries come later each time, up to a bound, a little by chance', async t => {
  const delays = [0, 1, 2, 3, 4, 1_000].map(failures => retryAfterMs(failures, pace, 0.5))
  t.same(delays, [1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
  t.same([retryAfterMs(0, pace, 0), retryAfterMs(0, pace, 1)], [875, 1_125])
})

/** What happens to a simulated task: changes, losses, and what its target says next. */
type Happening =
  | { readonly what: 'change'; readonly digest: string; readonly isTrigger: boolean }
  | { readonly what: 'held' | 'broken' | 'lost' | 'found' }
  | { readonly what: 'pass'; readonly ms: number }
  | { readonly what: 'mood'; readonly mood: 'takes' | 'refuses' | 'fails' | 'half' }
  /** Somebody else changes the target. */
  | { readonly what: 'drift' }

const digests = ['a', 'b', 'c']
/** A target never takes this one. */
const BAD = 'bad'

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    what: fc.constant('change' as const),
    digest: fc.constantFrom(...digests, BAD),
    isTrigger: fc.boolean(),
  }),
  fc.record({ what: fc.constantFrom('held' as const, 'broken', 'lost', 'found') }),
  fc.record({ what: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 5_000 }) }),
  fc.record({
    what: fc.constant('mood' as const),
    mood: fc.constantFrom('takes' as const, 'refuses', 'fails', 'half'),
  }),
  fc.record({ what: fc.constant('drift' as const) }),
)

/** How long a comparison takes, and an application. */
const WORK_MS = 50

/** A task in a world whose work takes a while, during which anything may come. */
class World {
  nowMs = 0
  state = firstState(true)
  /** What the newest state comes to. */
  newest: 'none' | 'held' | 'broken' | string = 'none'
  target = 'old'
  mood: 'takes' | 'refuses' | 'fails' | 'half' = 'takes'
  isLost = false
  revision = 0
  work: { readonly endMs: number; run(): void } | undefined
  /** What may not happen. */
  readonly wrong: string[] = []
  readonly verifyMs = 30_000

  happen(one: Happening): void {
    if (one.what === 'pass') this.pass(one.ms)
    else if (one.what === 'mood') this.mood = one.mood
    else if (one.what === 'drift') this.target = 'drifted'
    else if (one.what === 'lost') {
      this.isLost = true
      this.state = onLost(this.state, 'lost')
    } else if (one.what === 'found') this.come(true)
    else {
      this.newest = one.what === 'change' ? one.digest : one.what
      if (!this.isLost) this.come(one.what !== 'change' || one.isTrigger)
    }
  }

  come(isTrigger: boolean): void {
    this.isLost = false
    if (this.newest === 'none') return
    const how = { revision: ++this.revision, isTrigger, notBeforeMs: 0 }
    this.state = onState(this.state, how, this.nowMs)
  }

  /** Lets time pass, doing what is to be done. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms
    for (;;) {
      const found = nextAct(this.state, { ...pace, verifyMs: this.verifyMs }, this.nowMs)
      if (found.act === 'render') this.render()
      else if (found.act === 'compare' || found.act === 'apply') this.begin(found.act)
      else {
        const waitMs = found.act === 'wait' ? found.untilMs : Number.POSITIVE_INFINITY
        const nextMs = Math.min(waitMs, this.work?.endMs ?? Number.POSITIVE_INFINITY)
        if (nextMs > endMs) break
        this.nowMs = nextMs
        if (this.work !== undefined && this.work.endMs <= nextMs) {
          const { run } = this.work
          this.work = undefined
          run()
        }
      }
    }
    this.nowMs = endMs
  }

  render(): void {
    if (this.isLost) this.wrong.push('looked at while lost')
    const newest = this.newest
    if (newest === 'held') this.state = onRendered(this.state, { kind: 'held', reason: '' })
    else if (newest === 'broken')
      this.state = onRendered(this.state, { kind: 'refused', problem: '' })
    else this.state = onRendered(this.state, wanted(newest))
  }

  begin(what: 'compare' | 'apply'): void {
    const { rendered, feed } = this.state
    if (rendered?.kind !== 'wanted') throw new Error('nothing to do')
    if (feed.kind !== 'whole') this.wrong.push(`${what} while lost`)
    if (this.work !== undefined) this.wrong.push('two at a time')
    const { digest } = rendered
    this.state = onBusy(this.state, what === 'compare' ? 'comparing' : 'applying')
    const retryMs = retryAfterMs(this.state.failures, pace, 0.5)
    const run = (): void => {
      this.state =
        what === 'compare'
          ? onCompared(this.state, { digest, how: this.compared(digest), retryMs }, this.nowMs)
          : onApplied(this.state, { digest, how: this.applied(digest), retryMs }, this.nowMs)
    }
    this.work = { endMs: this.nowMs + WORK_MS, run }
  }

  compared(digest: string): 'same' | 'differs' | 'failed' {
    if (this.mood === 'fails') return 'failed'
    return this.target === digest ? 'same' : 'differs'
  }

  applied(digest: string): AppliedHow {
    if (this.mood === 'fails') return 'failed'
    if (this.mood === 'half') {
      this.target = 'half'
      return 'failed'
    }
    if (this.mood === 'refuses' || digest === BAD) return 'refused'
    this.target = digest
    return 'applied'
  }
}

t.test('property: once things are quiet the target has the newest state that it takes', async t => {
  const property = fc.property(fc.array(happening, { maxLength: 60 }), happenings => {
    const world = new World()
    for (const one of happenings) world.happen(one)
    world.mood = 'takes'
    world.pass(120_000)
    const kept = world.target
    // The feed is there, and whatever was gathered counts.
    world.come(true)
    world.pass(120_000)
    // A target that is right is compared now and then: not in the middle of that.
    if (world.work !== undefined) world.pass(WORK_MS)
    if (world.wrong.length > 0) throw new Error(world.wrong.join())
    const { newest, target } = world
    if (newest === 'none') return target === kept
    if (newest === BAD || newest === 'held' || newest === 'broken') return target === kept
    return target === newest && phaseOf(world.state) === 'current'
  })
  fc.assert(property, { numRuns: propertyRuns() })
  t.pass('held')
})
