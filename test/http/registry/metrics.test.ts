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

t.test('certificates: how long each is good for, and how grave that is', async t => {
  const nowMs = Date.now()
  const DAY_MS = 86_400_000
  const certificate = (days: number) => ({
    use: 'https',
    path: '/c.pem',
    serial: `${days}`,
    subject: 'CN=web',
    issuer: 'CN=ca',
    notAfter: new Date(nowMs + days * DAY_MS + 60_000),
  })
  const { client } = await startFace(t, {
    certificates: [-2, 0, 6, 7, 29, 30, 365].map(certificate),
  })
  const { json } = await client.get('/v1/agent/metrics/certificates')
  const told = json.certificates.map(
    (each: { days_remaining: number; severity: string; severity_score: number }) =>
      `${each.days_remaining} ${each.severity} ${each.severity_score}`,
  )
  t.same(told, [
    '-2 CRITICAL 90',
    '0 CRITICAL 90',
    '6 CRITICAL 90',
    '7 WARNING 50',
    '29 WARNING 50',
    '30 INFO 10',
    '365 INFO 10',
  ])
  t.same(json.summary, {
    total: 7,
    by_severity: { CRITICAL: 3, WARNING: 2, INFO: 2 },
    by_type: { agent: 7 },
  })
  t.match(json.certificates[0], { type: 'agent', subject: 'CN=web', path: '/c.pem', id: '-2' })
  const { client: bare } = await startFace(t)
  t.same((await bare.get('/v1/agent/metrics/certificates')).json.certificates, [])
})
