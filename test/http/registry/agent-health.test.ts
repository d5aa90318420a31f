/**
 * The health of the agent's own services as status codes.
 */
import t from 'tap'
import { startFace } from '../harness.ts'

t.test('trap 19: 200, 429, 503 by the worst check; 404 for none', async t => {
  const { client } = await startFace(t)
  for (const ID of ['w1', 'w2']) {
    await client.put('/v1/agent/service/register', { ID, Name: 'web', Check: { TTL: '1m' } })
  }
  const say = (verb: string, id: string) => client.put(`/v1/agent/check/${verb}/service:${id}`)
  const byId = (id: string, sent?: object) =>
    client.get(`/v1/agent/health/service/id/${id}`, sent as { headers: Record<string, string> })
  const byName = (query = '') => client.get(`/v1/agent/health/service/name/web${query}`)
  const text = { headers: { Accept: 'text/plain' } }

  const steps: [string, string, number, string][] = [
    ['pass', 'passing', 200, 'passing'],
    ['warn', 'warning', 429, 'warning'],
    ['fail', 'critical', 503, 'critical'],
  ]
  await say('pass', 'w2')
  for (const [verb, status, code, word] of steps) {
    await say(verb, 'w1')
    const one = await byId('w1')
    t.equal(one.status, code, verb)
    t.equal(one.headers['x-consul-reason'], word)
    t.match(one.json, {
      AggregatedStatus: status,
      Service: { ID: 'w1' },
      Checks: [{ CheckID: 'service:w1', Status: status }],
    })
    t.strictSame([(await byId('w1', text)).status, (await byId('w1', text)).text], [code, word])
    const all = await byName()
    t.equal(all.status, code)
    t.equal(all.json.length, 2)
    t.equal((await byName('?format=text')).text, word)
    t.equal((await byId('w2')).status, 200)
  }

  await say('pass', 'w1')
  await client.put('/v1/agent/maintenance?enable=true')
  t.match((await byId('w1')).json, { AggregatedStatus: 'maintenance' }, 'of the whole node')
  t.strictSame(
    [(await byId('w1', text)).status, (await byId('w1', text)).text],
    [503, 'maintenance'],
  )
  await client.put('/v1/agent/maintenance?enable=false')
  await client.put('/v1/agent/service/maintenance/w1?enable=true')
  t.equal((await byId('w1')).status, 503)
  t.equal((await byId('w2')).status, 200)
  t.equal((await byName('?format=text')).text, 'maintenance')

  const unknown = await byId('none')
  t.equal(unknown.status, 404)
  t.strictSame(unknown.json, { AggregatedStatus: 'critical', Service: null, Checks: null })
  t.equal((await byId('none', text)).text, 'ServiceId none not found')
  t.equal((await byId('%C3%A9', text)).text, 'ServiceId é not found')
  const noName = await client.get('/v1/agent/health/service/name/none')
  t.strictSame([noName.status, noName.text], [404, '[]'])
  t.equal(noName.headers['x-consul-reason'], 'ServiceName none Not Found')
  const empty = await client.get('/v1/agent/health/service/id/')
  t.strictSame([empty.status, empty.text], [500, 'Missing serviceID'])
})
