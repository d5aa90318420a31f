/**
 * What outlives a restart, on the engines that keep anything.
 */
import t from 'tap'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

onEveryEngine(t, async (t, newStore, durable) => {
  if (!durable) return
  t.test('trap 31: services of the agent and what their checks said', async t => {
    const open = newStore(t)
    const before = await startFace(t, { open })
    await before.client.put('/v1/agent/service/register', {
      Name: 'web',
      Port: 80,
      Checks: [{ TTL: '1h' }, { TTL: '1h' }],
    })
    await before.client.put('/v1/agent/check/pass/service:web:1?note=fine')
    const { ID } = (await before.client.put('/v1/session/create', { TTL: '1h' })).json
    await before.client.put(`/v1/kv/lock?acquire=${ID}`, 'mine')
    const paths = [
      '/v1/agent/services',
      '/v1/agent/checks',
      '/v1/catalog/nodes',
      '/v1/health/service/web',
      '/v1/kv/?recurse',
      '/v1/session/list',
    ]
    const texts = await Promise.all(paths.map(path => before.client.get(path)))
    await before.stop()

    const after = await startFace(t, { open })
    for (const [i, path] of paths.entries()) {
      const answered = await after.client.get(path)
      t.strictSame(answered.json, texts[i]!.json, path)
      t.ok(answered.index >= texts[i]!.index, 'the index does not go back')
    }
    const checks = (await after.client.get('/v1/agent/checks')).json
    t.match(checks['service:web:1'], { Status: 'passing', Output: 'fine' })
    t.equal((await after.client.put(`/v1/session/renew/${ID}`)).status, 200)
    const again = await after.client.put('/v1/agent/check/fail/service:web:1')
    t.equal(again.status, 200, 'its TTL goes on')
  })

  t.test('a watcher that was cut off finds what it missed', async t => {
    const open = newStore(t)
    const before = await startFace(t, { open })
    await before.client.put('/v1/kv/w/a', 'x')
    const { index } = await before.client.get('/v1/kv/w/?recurse')
    await before.client.put('/v1/kv/w/b', 'x')
    await before.client.delete('/v1/kv/w/b')
    await before.stop()
    const after = await startFace(t, { open })
    const missed = await after.client.get(`/v1/kv/w/?recurse&index=${index}&wait=600s`)
    t.equal(missed.json.length, 1)
    t.ok(missed.index > index, 'also a deletion')
  })
})

t.test('a stop answers who waits', async t => {
  const face = await startFace(t)
  const { client } = face
  const { index } = await client.get('/v1/kv/a')
  const blocked = client.get(`/v1/kv/a?index=${index}&wait=600s`)
  await face.waiting(1)
  const closed = face.http.close()
  face.store.scopes.wakeEverybody()
  t.equal((await blocked).index, index)
  await closed
  await t.rejects(client.get('/v1/kv/a'), 'nobody listens any more')
})
