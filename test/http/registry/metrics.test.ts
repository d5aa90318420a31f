/**
 * The metrics endpoints: both forms, and the refusal while Prometheus is off.
 */
import t from 'tap'
import { startFace } from '../harness.ts'

t.test('JSON by default, with what was counted', async t => {
  const { client, metrics } = await startFace(t)
  metrics.counter('raft.apply', 'writes').add()
  metrics.gauge('members.servers', 'servers', () => 1, { datacenter: 'dc1' })
  const { json } = await client.get('/v1/agent/metrics')
  t.match(json.Timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC$/)
  t.ok(json.Counters.some((one: { Name: string }) => one.Name === 'consul.raft.apply'))
  const servers = { Name: 'consul.alpha.members.servers', Labels: { datacenter: 'dc1' }, Value: 1 }
  t.ok(json.Gauges.some((one: object) => t.match(one, servers)))
  t.same(json.Points, [])
})

t.test('Prometheus by parameter and by media type', async t => {
  const { client, metrics } = await startFace(t, { prometheusRetentionMs: 60_000 })
  metrics.counter('raft.apply', 'writes').add()
  const asked = await client.get('/v1/agent/metrics?format=prometheus')
  t.equal(asked.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.match(asked.text, '\nconsul_raft_apply 1\n')
  for (const accept of [
    'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    'text/plain; version=0.0.4',
  ]) {
    const { text } = await client.get('/v1/agent/metrics', { headers: { accept } })
    t.match(text, '# TYPE consul_raft_apply counter', accept)
  }
  const { headers } = await client.get('/v1/agent/metrics', { headers: { accept: '*/*' } })
  t.equal(headers['content-type'], 'application/json')
})

t.test('415 with the reason while nothing is kept for Prometheus', async t => {
  const { client } = await startFace(t)
  const refused = await client.get('/v1/agent/metrics?format=prometheus')
  t.equal(refused.status, 415)
  t.equal(refused.headers['x-consul-reason'], refused.text)
  t.match(refused.text, 'Prometheus is not enabled')
})

t.test('requests and writes are counted under the names of Consul', async t => {
  const { client, metrics } = await startFace(t)
  await client.put('/v1/kv/a/b', 'x')
  await client.get('/v1/kv/a/b')
  await client.get('/v1/kv/none')
  await client.get('/v1/agent/self')
  await client.put('/v1/session/create')
  const { json } = await client.get('/v1/agent/metrics')
  const countOf = (list: string, name: string, labels = {}): number =>
    json[list].find((one: { Name: string; Labels: object }) => {
      const hasLabels = JSON.stringify(one.Labels) === JSON.stringify(labels)
      return one.Name === `consul.${name}` && hasLabels
    })?.Count
  t.equal(countOf('Samples', 'api.http', { method: 'GET', path: 'v1.kv._' }), 2)
  t.equal(countOf('Samples', 'api.http', { method: 'PUT', path: 'v1.kv._' }), 1)
  t.equal(countOf('Samples', 'api.http', { method: 'GET', path: 'v1.agent.self' }), 1)
  t.equal(countOf('Samples', 'kvs.apply'), 1)
  t.equal(countOf('Samples', 'session.apply'), 1)
  t.equal(countOf('Counters', 'rpc.query'), 2)
  t.equal(countOf('Counters', 'rpc.request'), 4)
  const labels = metrics.all().flatMap(one => Object.values(one.labels))
  t.notOk(
    labels.some(label => label.includes('a/b') || label.includes('none')),
    'no key of a client',
  )
})
