/**
 * Counting: what an interval holds, what is kept over it, and the bound on the number of series.
 */
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { Counter, METRICS_INTERVAL_MS, Metrics } from '../../src/base/metrics.ts'
import { FakeClock } from '../fake/clock.ts'

t.test('an interval holds what was counted in it; the total goes on', async t => {
  const clock = new FakeClock()
  const metrics = new Metrics(clock)
  metrics.start()
  t.teardown(() => metrics.stop())
  const writes = metrics.counter('kvs.apply', 'writes')
  writes.add()
  writes.add(3)
  t.match(writes.now, { count: 2, sum: 4, sumOfSquares: 10, min: 1, max: 3 })
  await clock.advance(METRICS_INTERVAL_MS)
  t.match(writes.now, { count: 0, sum: 0, min: 0, max: 0 })
  t.match(writes.last, { count: 2, sum: 4, min: 1, max: 3 })
  writes.add(-5)
  t.match(writes.now, { count: 1, sum: -5, min: -5, max: -5 })
  t.same(writes.total, { count: 3, sum: -1 })
  await clock.advance(2 * METRICS_INTERVAL_MS)
  t.equal(writes.last.count, 0)
  t.same(writes.total, { count: 3, sum: -1 })
})

t.test('intervals end on the tens of seconds of the wall clock', async t => {
  const clock = new FakeClock()
  clock.setWall(3_000)
  const metrics = new Metrics(clock)
  metrics.start()
  t.teardown(() => metrics.stop())
  const ends: number[] = []
  const stop = metrics.onInterval(() => ends.push(clock.wall()))
  t.equal(metrics.shown.startedMs % METRICS_INTERVAL_MS, 0, 'the first counts from its begin')
  await clock.advance(2 * METRICS_INTERVAL_MS)
  t.same(
    ends.map(ms => ms % METRICS_INTERVAL_MS),
    [0, 0],
  )
  t.equal(metrics.shown.startedMs, ends[1]! - METRICS_INTERVAL_MS, 'the last whole one is shown')
  stop()
  await clock.advance(METRICS_INTERVAL_MS)
  t.equal(ends.length, 2)
})

t.test('quantiles are within a tenth of the truth', async t => {
  const metrics = new Metrics(new FakeClock())
  const sample = metrics.sample('api.http', 'times')
  t.same(sample.quantile(0.5), Number.NaN)
  for (let value = 1; value <= 1_000; value++) sample.add(value / 10)
  for (const part of [0.5, 0.9, 0.99]) {
    const wanted = part * 100
    t.ok(Math.abs(sample.quantile(part) - wanted) / wanted < 0.1, `${part}`)
  }
  sample.add(0)
  sample.add(Number.MAX_VALUE)
  t.ok(sample.quantile(0) < 0.002)
  t.ok(sample.quantile(1) > 1e8, 'what is beyond the buckets counts to the outermost')
})

t.test('values of an interval come with their numbers', async t => {
  const clock = new FakeClock()
  const metrics = new Metrics(clock)
  metrics.start()
  t.teardown(() => metrics.stop())
  const sample = metrics.sample('api.http', 'times')
  for (let i = 0; i < 5; i++) sample.add(8)
  t.same([...sample.lastValues()], [])
  await clock.advance(METRICS_INTERVAL_MS)
  const values = [...sample.lastValues()]
  t.equal(values.length, 1)
  t.equal(values[0]?.count, 5)
  t.ok(Math.abs((values[0]?.value ?? 0) - 8) < 0.5)
  await clock.advance(METRICS_INTERVAL_MS)
  t.same([...sample.lastValues()], [])
})

t.test('the same name and labels are the same series', async t => {
  const metrics = new Metrics(new FakeClock())
  const one = metrics.counter('rpc.query', 'reads', { method: 'GET' })
  t.equal(metrics.counter('rpc.query', 'reads', { method: 'GET' }), one)
  t.not(metrics.counter('rpc.query', 'reads', { method: 'PUT' }), one)
  metrics.gauge('raft.applied_index', 'revision', () => 1)
  metrics.gauge('raft.applied_index', 'revision', () => 2)
  t.equal(metrics.all().length, 3, 'a gauge that is given again replaces the old one')
})

t.test('series beyond the bound count and are not shown', async t => {
  const metrics = new Metrics(new FakeClock())
  for (let i = 0; i < limits.metricSeries; i++) metrics.counter('one', 'x', { i: String(i) })
  const extra = metrics.counter('one', 'x', { i: 'too many' })
  extra.add()
  t.equal(extra.now.count, 1)
  t.equal(metrics.all().length, limits.metricSeries)
  t.notOk(metrics.all().includes(extra))
  t.ok(metrics.all().every(series => series instanceof Counter))
})

t.test('many at a time are as many one by one', async t => {
  const metrics = new Metrics(new FakeClock())
  const [many, each] = [metrics.sample('many', ''), metrics.sample('each', '')]
  for (const [value, times] of [
    [3, 4],
    [0.5, 2],
    [90, 1],
  ] as const) {
    many.add(value, times)
    for (let i = 0; i < times; i++) each.add(value)
  }
  t.strictSame(many.now, each.now)
  t.equal(many.quantile(0.5), each.quantile(0.5))
  t.equal(many.quantile(0.2), each.quantile(0.2))
})
