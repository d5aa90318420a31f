/** Tasks at work: what a target is asked for, when, and what their status says. */
import t, { type Test } from 'tap'
import { silentLog } from '../../../src/base/log.ts'
import { TargetRefusal } from '../../../src/feed/sink/declare.ts'
import { SinkTask } from '../../../src/feed/sink/task.run.ts'
import { SinkTasks } from '../../../src/feed/sink/tasks.run.ts'
import { FakeClock, settled } from '../../fake/clock.ts'
import { FakeFeed, FakeTarget, fakeKind, taskOf } from './fakes.ts'

const random = { uuid: () => '', fraction: () => 0.5, bytes: () => Buffer.alloc(0) }

function worldOf() {
  const [clock, feed, target] = [new FakeClock(), new FakeFeed(), new FakeTarget()]
  const logged: string[] = []
  const warn = (message: string, fields?: object): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`)
  }
  const ports = {
    ...{ clock, random, log: { ...silentLog, warn } },
    portsOf: (task: string) => ({
      ...{ task, clock, random },
      addressesOf: async () => [],
      mayReach: () => true,
      run: async () => ({ what: 'fault' as const, text: 'none' }),
      variable: () => undefined,
    }),
  }
  return { clock, feed, target, logged, ports, kind: fakeKind(target) }
}

async function start(t: Test, given: Readonly<Record<string, unknown>> = {}) {
  const world = worldOf()
  const definition = taskOf(world.kind, { services: ['web'], verify_interval: 0, ...given })
  const task = new SinkTask(definition, { ...world.ports, follow: world.feed })
  t.teardown(() => task.stop())
  task.start()
  const asked = (): string[] => world.target.asked.splice(0)
  return { ...world, task, asked }
}

t.test('the first state is compared; a target that has it is left alone', async t => {
  const { clock, feed, target, task, asked } = await start(t)
  target.has = 'web:80'
  t.equal(task.status().phase, 'waiting')
  t.match(task.status().detail, /waits for web/)
  feed.service('web', 80)
  await clock.advance(0)
  t.same(asked(), ['plan web:80'])
  const status = task.status()
  t.same([status.phase, status.appliedRevision, status.counts.applied], ['current', 1, 0])
  t.same(
    status.events.map(({ what }) => what),
    ['started', 'in order'],
  )
})

t.test('changes are gathered, the newest one is applied, and the same is applied once', async t => {
  const { clock, feed, target, task, asked } = await start(t)
  feed.service('web', 80)
  await clock.advance(0)
  t.same(asked(), ['plan web:80', 'apply web:80'])
  feed.service('web', 80, 81)
  await clock.advance(100)
  feed.service('web', 80, 81, 82)
  t.equal(task.status().phase, 'buffering')
  t.type(task.status().nextTryAtMs, 'number')
  await clock.advance(199)
  t.same(asked(), [])
  await clock.advance(1)
  t.same(asked(), ['apply web:80,81,82'])
  t.match(task.status().summary, /web:80,81,82 at here after web:80/)
  feed.service('web', 80, 81, 82)
  await clock.advance(5_000)
  t.same([asked(), task.status().counts.unchanged], [[], 1])
  t.equal(target.has, 'web:80,81,82')
})

t.test('what comes while one is applied waits, and only the newest of it is applied', async t => {
  const { clock, feed, target, asked } = await start(t)
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  let open = (): void => {}
  target.gate = new Promise(resolve => {
    open = resolve
  })
  feed.service('web', 81)
  await clock.advance(200)
  feed.service('web', 82)
  await clock.advance(500)
  feed.service('web', 83)
  await clock.advance(500)
  t.same(asked(), ['apply web:81'], 'one at a time')
  open()
  await clock.advance(200)
  t.same(asked(), ['apply web:83'])
})

t.test('a refusal is told, the last good state stays, and it is tried again later', async t => {
  const { clock, feed, target, task, asked, logged } = await start(t)
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  target.says = new TargetRefusal('line 3 is wrong', true, 'put back')
  feed.service('web', 81)
  await clock.advance(200)
  t.same(asked(), ['apply web:81'])
  const status = task.status()
  t.equal(status.phase, 'rejected')
  t.match(status.detail, /line 3 is wrong \(put back\)/)
  t.match(status, { appliedRevision: 1, lastError: { revision: 2 }, counts: { refused: 1 } })
  t.match(logged.join(), /could not be applied.*line 3/)
  await clock.advance(999)
  t.same(asked(), [])
  await clock.advance(1)
  t.same(asked(), ['apply web:81'])
  target.says = undefined
  await clock.advance(2_000)
  t.same([asked(), task.status().phase], [['apply web:81'], 'current'])
})

t.test('what never can be taken is not tried again until the state is another one', async t => {
  const { clock, feed, target, task, asked } = await start(t)
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  target.says = new TargetRefusal('never', false)
  feed.service('web', 81)
  await clock.advance(3_600_000)
  t.same([asked(), task.status().nextTryAtMs], [['apply web:81'], undefined])
  target.says = undefined
  feed.service('web', 82)
  await clock.advance(200)
  t.same(asked(), ['apply web:82'])
})

t.test('a target that throws or hangs may be neither here nor there: it is compared', async t => {
  const { clock, feed, target, task, asked } = await start(t, { timeout: '2s' })
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  target.says = 'throws'
  feed.service('web', 81)
  await clock.advance(200)
  t.match(task.status().lastError?.text, /a fault of the target/)
  target.says = 'hangs'
  await clock.advance(1_000)
  t.same(asked(), ['apply web:81', 'plan web:81', 'apply web:81'])
  await clock.advance(2_000 + 5_000)
  t.match(task.status().lastError?.text, /took longer than 2000 ms/)
  target.says = undefined
  await clock.advance(2_000)
  t.same([asked(), target.has], [['plan web:81', 'apply web:81'], 'web:81'])
})

t.test('a state that cannot be rendered, or with too few instances, is not applied', async t => {
  const { clock, feed, target, task, asked } = await start(t, { min_instances: 2 })
  feed.service('web', 80, 81)
  await clock.advance(0)
  asked()
  feed.service('web', 80, -81)
  await clock.advance(200)
  t.same([task.status().phase, asked()], ['held', []])
  t.match(task.status().detail, /"web" has 1 usable instances of the 2/)
  feed.service('web', 80, 666)
  await clock.advance(200)
  t.match(task.status(), { phase: 'unrenderable', detail: /port 666 is not taken/ })
  feed.service('web', 80, 667)
  await clock.advance(200)
  t.match(task.status(), { phase: 'unrenderable', detail: /a fault of the kind/ })
  t.equal(target.has, 'web:80,81')
  t.same(asked(), [])
})

t.test('nothing is applied while any part of the feed is lost', async t => {
  const { clock, feed, target, task, asked } = await start(t, { kv: ['lb/'] })
  feed.service('web', 80)
  await clock.advance(1_000)
  t.same([asked(), task.status().phase], [[], 'waiting'], 'not all of it came')
  feed.kv('lb/', { 'lb/a': '1' })
  await clock.advance(0)
  t.same(asked(), ['plan web:80;lb/=1', 'apply web:80;lb/=1'])
  feed.service('web', 81)
  feed.lose('kv/lb/', 'no server')
  await clock.advance(60_000)
  t.match(task.status(), { phase: 'lost', detail: /kv "lb\/": no server/ })
  feed.service('web', 82)
  await clock.advance(60_000)
  t.same([asked(), target.has], [[], 'web:80;lb/=1'])
  feed.kv('lb/', { 'lb/a': '2' })
  await clock.advance(200)
  t.same(asked(), ['apply web:82;lb/=2'])
  t.same(
    task
      .status()
      .events.map(({ what }) => what)
      .slice(-3),
    ['feed lost', 'feed back', 'applied'],
  )
})

t.test('a condition: changes of services wait for one of keys', async t => {
  const { clock, feed, asked } = await start(t, { kv: ['go'], condition: 'kv' })
  feed.service('web', 80)
  feed.kv('go', {})
  await clock.advance(0)
  asked()
  feed.service('web', 81)
  await clock.advance(60_000)
  t.same(asked(), [])
  feed.kv('go', { go: '1' })
  await clock.advance(200)
  t.same(asked(), ['apply web:81;go=1'])
})

t.test('a schedule: changes wait for its time', async t => {
  const { clock, feed, asked } = await start(t, { schedule: '*/10 * * * *' })
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  feed.service('web', 81)
  const leftMs = 600_000 - (clock.wall() % 600_000)
  await clock.advance(leftMs - 1)
  t.same(asked(), [])
  await clock.advance(1)
  t.same(asked(), ['apply web:81'])
})

t.test('a target is compared while nothing changes, and mended', async t => {
  const { clock, feed, target, task, asked } = await start(t, { verify_interval: '30s' })
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  await clock.advance(30_000)
  t.same(asked(), ['plan web:80'])
  target.has = 'nothing'
  await clock.advance(30_000)
  t.same([asked(), target.has], [['plan web:80', 'apply web:80'], 'web:80'])
  t.same(
    task
      .status()
      .events.map(({ what }) => what)
      .slice(-2),
    ['drifted', 'applied'],
  )
})

t.test('a target that asks for it is applied again', async t => {
  const { clock, feed, target, task, asked } = await start(t)
  target.againMs = 500
  feed.service('web', 80)
  await clock.advance(0)
  asked()
  await clock.advance(500)
  target.againMs = undefined
  await clock.advance(500)
  await clock.advance(60_000)
  t.same(asked(), ['apply web:80', 'apply web:80'])
  t.equal(task.status().counts.applied, 1)
})

t.test(
  'a plan that somebody asks for touches nothing, and says why where there is none',
  async t => {
    const { clock, feed, target, task } = await start(t, { min_instances: 1 })
    t.match(await task.plan(), { how: 'lost', text: /waits for web/ })
    feed.service('web', 80)
    await clock.advance(0)
    feed.service('web', 81)
    t.match(await task.plan(), { changes: ['web:80 → web:81'], summary: /web:81/, revision: 2 })
    t.equal(target.has, 'web:80')
    feed.service('web')
    t.match(await task.plan(), { how: 'held', text: /has 0 usable/ })
  },
)

t.test('a disabled task follows nothing', async t => {
  const { feed, task } = await start(t, { enabled: false })
  t.same([feed.followed.size, task.status().phase], [0, 'disabled'])
})

t.test('status is bounded', async t => {
  const { clock, feed, target, task } = await start(t)
  target.says = new TargetRefusal('x'.repeat(10_000), true)
  for (let port = 1; port < 100; port++) {
    feed.service('web', port)
    await clock.advance(200)
  }
  t.equal(task.status().events.length, 50)
  t.equal(task.status().lastError?.text.length, 2_001)
})

t.test('a new configuration: what did not change goes on, the rest is taken over', async t => {
  const { clock, feed, target, ports, kind } = worldOf()
  const tasks = new SinkTasks({ ...ports, followAs: feed.as })
  t.teardown(() => tasks.stop())
  const one = (given: object, name: string) =>
    taskOf(kind, { services: ['web'], ...given }, 'local', name)
  await tasks.configure([one({}, 'a'), one({ token: 'b-token' }, 'b')])
  t.same(feed.tokens, ['', 'b-token'])
  const [a, b] = [tasks.get('a'), tasks.get('b')]
  await tasks.configure([one({}, 'a'), one({ token: 'b-token', timeout: '1s' }, 'b'), one({}, 'c')])
  t.equal(tasks.get('a'), a)
  t.not(tasks.get('b'), b)
  t.same(
    tasks.all().map(({ definition }) => definition.name),
    ['a', 'b', 'c'],
  )
  t.equal(target.closed, 1)
  await tasks.stop()
  t.same([target.closed, tasks.all()], [4, []])
  await settled()
  t.equal(clock.timers, 0)
})
