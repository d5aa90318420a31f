/**
 * Both forms of the metrics: names, filters, and what Prometheus is told.
 */
import t from 'tap'
import { METRICS_INTERVAL_MS, Metrics } from '../../src/base/metrics.ts'
import {
  isShown,
  type MetricNaming,
  metricsSummary,
  prometheusText,
} from '../../src/base/metrics-forms.ts'
import { FakeClock } from '../fake/clock.ts'

const naming: MetricNaming = {
  prefix: 'consul',
  hostName: 'host-1.lan',
  prefixFilter: [],
  filterDefault: true,
}

t.test('the summary has what an interval held, and the host in the names of gauges', async t => {
  const clock = new FakeClock()
  const metrics = new Metrics(clock)
  metrics.start()
  t.teardown(() => metrics.stop())
  metrics.gauge('raft.applied_index', 'revision', () => 7)
  metrics.gauge('broken', 'no number', () => Number.NaN)
  metrics.counter('raft.apply', 'writes').add(2)
  const sample = metrics.sample('api.http', 'times', { method: 'GET' })
  sample.add(2)
  sample.add(4)
  metrics.counter('idle', 'nothing')
  const first = metricsSummary(metrics, naming)
  t.match(first.Timestamp, /^2023-11-14 22:13:\d0 \+0000 UTC$/)
  const expected = {
    Gauges: [
      { Name: 'consul.host-1.lan.broken', Value: 0, Labels: {} },
      { Name: 'consul.host-1.lan.raft.applied_index', Value: 7, Labels: {} },
    ],
    Points: [],
    Counters: [
      {
        Name: 'consul.raft.apply',
        Count: 1,
        Rate: 0.2,
        Sum: 2,
        Min: 2,
        Max: 2,
        Mean: 2,
        Stddev: 0,
        Labels: {},
      },
    ],
    Samples: [
      {
        Name: 'consul.api.http',
        Count: 2,
        Rate: 0.6,
        Sum: 6,
        Min: 2,
        Max: 4,
        Mean: 3,
        Stddev: Math.SQRT2,
        Labels: { method: 'GET' },
      },
    ],
  }
  t.same({ ...first, Timestamp: undefined }, { Timestamp: undefined, ...expected })
  await clock.advance(METRICS_INTERVAL_MS)
  t.same(metricsSummary(metrics, naming).Samples, expected.Samples, 'the interval that ended')
  await clock.advance(METRICS_INTERVAL_MS)
  t.same(metricsSummary(metrics, naming).Samples, [])
})

t.test('the longest begin of a name decides whether it is shown', async t => {
  const filter = { ...naming, prefixFilter: ['-consul.raft', '+consul.raft.apply', '-x'] }
  t.equal(isShown(filter, 'consul.raft.commitTime'), false)
  t.equal(isShown(filter, 'consul.raft.apply'), true)
  t.equal(isShown(filter, 'consul.rpc.query'), true)
  t.equal(isShown({ ...filter, filterDefault: false }, 'consul.rpc.query'), false)
  const metrics = new Metrics(new FakeClock())
  metrics.counter('raft.apply', 'a').add()
  metrics.counter('raft.other', 'a').add()
  t.match(metricsSummary(metrics, filter).Counters, [{ Name: 'consul.raft.apply' }])
})

t.test('Prometheus gets totals, help, types and escaped labels', async t => {
  const metrics = new Metrics(new FakeClock())
  metrics.gauge('members.servers', 'servers', () => 1, { datacenter: 'a"b\\c\nd' })
  metrics.counter('raft.apply', 'one\nline').add(3)
  metrics.sample('api.http', 'times', { path: 'v1.kv._' }).add(8)
  metrics.sample('api.http', 'times', { path: 'v1.txn' }).add(8)
  const text = prometheusText(metrics, { ...naming, hostName: undefined }, 60_000)
  for (const line of [
    '# HELP consul_members_servers servers',
    '# TYPE consul_members_servers gauge',
    'consul_members_servers{datacenter="a\\"b\\\\c\\nd"} 1',
    '# HELP consul_raft_apply one\\nline',
    '# TYPE consul_raft_apply counter',
    'consul_raft_apply 3',
    '# TYPE consul_api_http summary',
    'consul_api_http_sum{path="v1.kv._"} 8',
    'consul_api_http_count{path="v1.txn"} 1',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.match(text, /^consul_api_http\{path="v1.kv._",quantile="0.99"\} [78]\.\d+$/m)
  t.equal(text.match(/# TYPE consul_api_http /g)?.length, 1, 'one head for all its series')
  t.ok(text.endsWith('\n'))
  t.match(prometheusText(metrics, naming, 60_000), 'consul_host_1_lan_members_servers{')
})

t.test('what was idle for the retention time is left out', async t => {
  const clock = new FakeClock()
  const metrics = new Metrics(clock)
  metrics.start()
  t.teardown(() => metrics.stop())
  metrics.counter('raft.apply', 'writes').add()
  metrics.counter('never', 'never')
  await clock.advance(METRICS_INTERVAL_MS)
  t.match(prometheusText(metrics, naming, 30_000), '\nconsul_raft_apply 1\n')
  t.notMatch(prometheusText(metrics, naming, 30_000), 'never')
  await clock.advance(4 * METRICS_INTERVAL_MS)
  t.equal(prometheusText(metrics, naming, 30_000), '')
})
