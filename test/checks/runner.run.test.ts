import t, { type Test } from 'tap'
import type { Random } from '../../src/base/clock.ts'
import { limits } from '../../src/base/limits.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import {
  type CheckKind,
  type CheckResult,
  defineCheck,
  networkBounds,
} from '../../src/checks/define.ts'
import { CheckRunner } from '../../src/checks/runner.run.ts'
import { ttlCheck } from '../../src/checks/ttl.ts'
import type { LocalCheck } from '../../src/store/tables/local.ts'
import { FakeClock } from '../fake/clock.ts'
import { toolsWith } from './support.ts'

/** How a target behaves at its n-th run: a result, at once or late, or it hangs. */
type Behaviour = (id: string, run: number) => CheckResult['status'] | 'hang' | { lateMs: number }

interface World {
  readonly clock: FakeClock
  readonly runner: CheckRunner
  /** What checks said, in order, as `id status output`. */
  readonly said: string[]
  /** When which target was asked, in ms since the start. */
  readonly asked: { id: string; atMs: number }[]
  /** Runs under way now, and at most so far. */
  readonly running: { now: number; most: number }
  overlaps: number
}

function world(behave: Behaviour, random: Partial<Random> = { fraction: () => 0 }): World {
  const clock = new FakeClock()
  const startMs = clock.monotonic()
  const runs = new Map<string, number>()
  const active = new Set<string>()
  const running = { now: 0, most: 0 }
  const asked: World['asked'] = []
  const said: string[] = []
  const kind: CheckKind = defineCheck({
    kind: 'fake',
    schema: { isAskedBy: () => true, fields: ['tcp'] },
    bounds: networkBounds,
    startsPrograms: false,
    run({ definition: { tcp: id = '' } }, _tools, report) {
      const run = runs.get(id) ?? 0
      runs.set(id, run + 1)
      asked.push({ id, atMs: clock.monotonic() - startMs })
      if (active.has(id)) made.overlaps++
      active.add(id)
      running.now++
      running.most = Math.max(running.most, running.now)
      let isOver = false
      const over = (): void => {
        if (isOver) return
        isOver = true
        active.delete(id)
        running.now--
      }
      const end = (result: CheckResult): void => {
        over()
        report(result)
      }
      const behaviour = behave(id, run)
      if (typeof behaviour === 'object') {
        clock.after(behaviour.lateMs, () => end({ status: 'passing', output: 'late' }))
      } else if (behaviour !== 'hang') end({ status: behaviour, output: `run ${run}` })
      return {
        end(why) {
          over()
          if (why === 'timeout') report({ status: 'critical', output: 'timed out' })
        },
      }
    },
  })
  const runner = new CheckRunner({
    kinds: [ttlCheck, kind],
    timeouts: new Timeouts(clock),
    random: random as Random,
    tools: toolsWith(),
    outputMaxSizeBytes: limits.checkOutputSizeBytes,
    onResult: (id, { status, output }) => said.push(`${id} ${status} ${output}`),
  })
  const made: World = { clock, runner, said, asked, running, overlaps: 0 }
  return made
}

const check = (id: string, more: Partial<LocalCheck> = {}): LocalCheck => ({
  checkId: id,
  name: id,
  notes: '',
  kind: 'fake',
  serviceId: '',
  definition: { tcp: id, intervalMs: 10_000 },
  ttlMs: 0,
  successBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  outputMaxSizeBytes: 0,
  ...more,
})

/** Starts a check that has said nothing yet. */
const start = ({ runner }: World, one: LocalCheck): void => runner.start(one, 'critical')

const ttl = (id: string, ttlMs: number): LocalCheck =>
  check(id, { kind: 'ttl', ttlMs, definition: { ttlMs } })

/** The times of one check's runs, in whole seconds. */
const secondsOf = ({ asked }: World, id: string): number[] =>
  asked.filter(one => one.id === id).map(({ atMs }) => Math.round(atMs / 1000))

t.test('a check runs at its interval, from a random moment on', async t => {
  const w = world(() => 'passing', { fraction: () => 0.5 })
  start(w, check('a'))
  await w.clock.advance(36_000)
  t.same(secondsOf(w, 'a'), [5, 15, 25, 35])
  t.same(w.said.slice(0, 2), ['a passing run 0', 'a passing run 1'])
})

t.test('intervals below the least one are raised', async t => {
  const w = world(() => 'passing')
  start(w, check('a', { definition: { tcp: 'a', intervalMs: 10 } }))
  await w.clock.advance(4_500)
  t.equal(w.asked.length, 5)
})

t.test('a slow target is not asked again before it answered', async t => {
  const w = world(() => ({ lateMs: 15_000 }))
  start(w, check('a', { definition: { tcp: 'a', intervalMs: 10_000, timeoutMs: 60_000 } }))
  await w.clock.advance(51_000)
  t.same(secondsOf(w, 'a'), [0, 25, 50])
  t.equal(w.overlaps, 0)
})

t.test('a hanging target is given up after the time-out', async t => {
  const w = world(() => 'hang')
  start(w, check('default'))
  start(w, check('short', { definition: { tcp: 'short', intervalMs: 2_000 } }))
  const own = { tcp: 'own', intervalMs: 10_000, timeoutMs: 500 }
  start(w, check('own', { definition: own }))
  const none = { tcp: 'none', intervalMs: 2_000, timeoutMs: -1 }
  start(w, check('none', { definition: none }))
  await w.clock.advance(600)
  t.same(w.said, ['own critical timed out'])
  await w.clock.advance(1_600)
  const both = ['short critical timed out', 'none critical timed out']
  t.same(w.said, ['own critical timed out', ...both])
  await w.clock.advance(8_000)
  t.ok(w.said.includes('default critical timed out'))
})

t.test('thresholds stand between results and what is said', async t => {
  const results = ['passing', 'critical', 'passing', 'critical', 'critical', 'passing'] as const
  const w = world((_id, run) => results[run] ?? 'passing')
  start(w, check('a', { successBeforePassing: 2, failuresBeforeCritical: 2 }))
  await w.clock.advance(71_000)
  t.same(w.said, [
    'a passing run 0',
    'a passing run 2',
    'a critical run 4',
    'a passing run 6',
    'a passing run 7',
  ])
})

t.test('a stopped check says nothing any more, whatever it was doing', async t => {
  const w = world(id => (id === 'hanging' ? 'hang' : 'passing'))
  for (const id of ['hanging', 'resting']) start(w, check(id))
  start(w, ttl('ttl', 20_000))
  await w.clock.advance(1_000)
  w.said.length = 0
  t.equal(w.running.now, 1)
  for (const id of ['hanging', 'resting', 'ttl', 'unknown']) w.runner.stop(id)
  await w.clock.advance(60_000)
  t.same(w.said, [])
  t.equal(w.running.now, 0)
  start(w, check('again'))
  start(w, ttl('ttl', 20_000))
  w.runner.stopAll()
  await w.clock.advance(60_000)
  t.same(w.said, [])
})

t.test('a check that is started again is the new one alone', async t => {
  const w = world(id => (id === 'old' ? 'hang' : 'passing'))
  start(w, check('a', { definition: { tcp: 'old', intervalMs: 10_000 } }))
  await w.clock.advance(1_000)
  start(w, check('a', { definition: { tcp: 'new', intervalMs: 10_000 } }))
  await w.clock.advance(11_000)
  t.same(w.said, ['a passing run 0', 'a passing run 1'])
})

t.test('TTL: silence for too long is critical, once; a report starts the time over', async t => {
  const w = world(() => 'passing')
  start(w, ttl('a', 10_000))
  await w.clock.advance(9_000)
  w.runner.heard('a', 'fine')
  await w.clock.advance(9_000)
  t.same(w.said, [])
  await w.clock.advance(2_000)
  const expired = 'a critical TTL expired (last output before timeout follows): fine'
  t.same(w.said, [expired])
  await w.clock.advance(60_000)
  t.same(w.said, [expired])
  w.runner.heard('a')
  await w.clock.advance(11_000)
  t.same(w.said, [expired, expired])
  w.runner.heard('unknown')
})

t.test('kinds that nobody runs are left alone', async t => {
  const w = world(() => 'passing')
  start(w, check('_node_maintenance', { kind: 'maintenance' }))
  await w.clock.advance(60_000)
  t.same(w.said, [])
})

t.test('2,000 checks on one runner', async t => {
  let seed = 0
  const fraction = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed / 2 ** 31
  }
  const w = world(() => ({ lateMs: 100 }), { fraction })
  for (let i = 0; i < 2_000; i++) start(w, check(`c${i}`))
  await w.clock.advance(10_200)
  t.equal(new Set(w.asked.map(({ id }) => id)).size, 2_000, 'each ran within its interval')
  // 200 a second for 100 ms each, in ticks of 20 ms: about 20 to 30 at a time.
  t.ok(w.running.most < 100, `spread: ${w.running.most} at a time at most`)
  await w.clock.advance(20_000)
  t.ok(w.asked.length >= 5_900, `${w.asked.length} runs in three intervals`)
  t.equal(w.overlaps, 0)
})

t.test('targets that hang do not hold up the others', async t => {
  await bulkhead(t, 3_000)
})

/** So many hang, and ten thousand answer: those are asked at their intervals. */
async function bulkhead(t: Test, hanging: number): Promise<void> {
  const w = world((id, run) => (id.startsWith('h') && run >= 0 ? 'hang' : 'passing'))
  const short = { intervalMs: 10_000, timeoutMs: 10_000 }
  for (let i = 0; i < hanging; i++) {
    start(w, check(`h${i}`, { definition: { ...short, tcp: `h${i}` } }))
  }
  await w.clock.advance(60_000)
  t.ok(w.running.most <= limits.checksInFlight, `${w.running.most} runs at a time at most`)
  start(w, check('good'))
  const before = w.asked.length
  await w.clock.advance(31_000)
  const good = w.asked.slice(before).filter(({ id }) => id === 'good')
  t.equal(good.length, 4, 'asked at its interval')
  t.ok(
    w.said.some(text => text.startsWith('h2999 critical')),
    'and each hanging one was noticed',
  )
  w.runner.stopAll()
  t.equal(w.running.now, 0)
}

t.test('thousands that are over at once do not pile up on the stack', async t => {
  const w = world(id => (id.startsWith('h') ? 'hang' : 'critical'))
  // The first ones take all places, so that the others wait and are then run in one go.
  for (let i = 0; i < limits.checksInFlight; i++) start(w, check(`h${i}`))
  for (let i = 0; i < 20_000; i++) start(w, check(`c${i}`))
  await w.clock.advance(9_900)
  t.same(w.said, [])
  await w.clock.advance(200)
  t.ok(w.said.filter(text => text.startsWith('c')).length >= 20_000)
  w.runner.stopAll()
})
