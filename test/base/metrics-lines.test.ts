/**
 * The lines of statsd and DogStatsD: names, tags, and values with their rates.
 */
import t from 'tap'
import { Metrics } from '../../src/base/metrics.ts'
import { dogstatsdLines, statsdLines } from '../../src/base/metrics-lines.ts'
import { FakeClock } from '../fake/clock.ts'

const naming = { prefix: 'consul', hostName: 'h1', prefixFilter: [], filterDefault: true }

function counted(): Metrics {
  const metrics = new Metrics(new FakeClock())
  metrics.gauge('raft.last_index', 'revision', () => 7)
  metrics.gauge('broken', 'no number', () => Number.NaN)
  metrics.counter('raft.apply', 'writes').add(3)
  metrics.counter('raft.apply', 'writes').add(2)
  const times = metrics.sample('api.http', 'times', { method: 'GET', path: 'v1.kv._ :x' })
  for (let i = 0; i < 4; i++) times.add(8)
  times.add(1_000)
  metrics.counter('idle', 'nothing')
  metrics.endInterval()
  return metrics
}

t.test('statsd: labels are words of the name, equal values stand once', async t => {
  t.same(statsdLines(counted(), naming), [
    'consul.api.http.GET.v1.kv.___x:8.35419|ms|@0.250000',
    'consul.api.http.GET.v1.kv.___x:980.586|ms',
    'consul.raft.apply:5|c',
    'consul.h1.raft.last_index:7|g',
  ])
})

t.test('DogStatsD: labels, tags and the host are tags', async t => {
  const tags = ['env:test']
  t.same(dogstatsdLines(counted(), naming, tags), [
    'consul.api.http:8.35419|ms|@0.250000|#method:GET,path:v1.kv.___x,env:test,host:h1',
    'consul.api.http:980.586|ms|#method:GET,path:v1.kv.___x,env:test,host:h1',
    'consul.raft.apply:5|c|#env:test,host:h1',
    'consul.raft.last_index:7|g|#env:test,host:h1',
  ])
  const bare = { ...naming, hostName: undefined }
  t.ok(dogstatsdLines(counted(), bare, []).includes('consul.raft.apply:5|c'))
})

t.test('the filter counts here too', async t => {
  const filter = { ...naming, prefixFilter: ['+consul.raft'], filterDefault: false }
  t.same(statsdLines(counted(), filter), ['consul.raft.apply:5|c'])
})
