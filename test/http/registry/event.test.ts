/**
 * The paths of events. On every engine.
 */
import { request } from 'node:http'
import t from 'tap'
import { onEveryEngine } from '../engines.ts'
import { startFace } from '../harness.ts'

onEveryEngine(t, async (t, newStore) => {
  t.test('fire and list', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const empty = await client.get('/v1/event/list')
    t.strictSame([empty.json, empty.index], [[], 1])
    const { json: fired } = await client.put('/v1/event/fire/deploy', 'v1')
    t.match(fired, {
      ID: /^[0-9a-f-]{36}$/,
      Name: 'deploy',
      Payload: Buffer.from('v1').toString('base64'),
      ...{ NodeFilter: '', ServiceFilter: '', TagFilter: '', Version: 1, LTime: 0 },
    })
    const bare = await client.put('/v1/event/fire/other?node=^alpha$')
    t.match(bare.json, { Payload: null, NodeFilter: '^alpha$' })
    await client.put('/v1/event/fire/elsewhere?node=^beta$')
    await client.put('/v1/event/fire/nowhere?service=web&tag=x')
    const { json } = await client.get('/v1/event/list')
    t.strictSame(
      json.map(({ Name }: { Name: string }) => Name),
      ['deploy', 'other'],
    )
    t.strictSame(json[0], { ...fired, LTime: json[0].LTime })
    t.ok(json[0].LTime < json[1].LTime)
    t.equal((await client.get('/v1/event/list?name=other')).json.length, 1)
    t.equal((await client.get('/v1/event/list?node=^beta$')).json.length, 1)
  })

  t.test('trap 12: blocks while the index is the same, whatever their order', async t => {
    const { client, waiting } = await startFace(t, { open: newStore(t) })
    const indexOf = async (query = ''): Promise<string> =>
      String((await client.get(`/v1/event/list${query}`)).headers['x-consul-index'])
    const blocked = client.get('/v1/event/list?index=1&wait=60s')
    await waiting(1)
    const { ID } = (await client.put('/v1/event/fire/a')).json
    const woken = await blocked
    t.equal(woken.json.length, 1)
    const [high, low] = [ID.replaceAll('-', '').slice(0, 16), ID.replaceAll('-', '').slice(16)]
    t.equal(woken.headers['x-consul-index'], String(BigInt(`0x${high}`) ^ BigInt(`0x${low}`)))
    const index = await indexOf()
    for (const other of ['1', String(BigInt(index) / 2n), '18446744073709551615']) {
      t.equal((await client.get(`/v1/event/list?index=${other}&wait=60s`)).status, 200, other)
    }
    const again = client.get(`/v1/event/list?index=${index}&wait=60s`)
    await waiting(1)
    await client.put('/v1/kv/unrelated', 'x')
    await client.put('/v1/event/fire/b')
    t.equal((await again).json.length, 2)
    t.not(await indexOf(), index)
    t.equal(await indexOf('?name=a'), index, 'of a name alone it is of its last event')
    const named = client.get(`/v1/event/list?name=a&index=${index}&wait=60s`)
    await waiting(1)
    await client.put('/v1/event/fire/b')
    await client.put('/v1/event/fire/a')
    t.equal((await named).json.length, 2)
    const timedOut = await client.get(`/v1/event/list?index=${await indexOf()}&wait=10ms`)
    t.equal(timedOut.headers['x-consul-index'], await indexOf())
  })

  t.test('what cannot be fired', async t => {
    const { client, store } = await startFace(t, { open: newStore(t) })
    const { revision } = store.status()
    const bad: [string, string, number, string | RegExp][] = [
      ['', '', 400, 'Missing name'],
      ['e?tag=x', '', 500, 'Cannot provide tag filter without service filter'],
      ['e?node=(', '', 500, /^Invalid node filter: error parsing regexp/],
      ['e?service=(', '', 500, /^Invalid service filter: error parsing regexp/],
      ['e?service=a&tag=(', '', 500, /^Invalid tag filter: error parsing regexp/],
      ['e', 'x'.repeat(101), 413, /^Request body\(101 bytes\) too large, max size: 100 bytes/],
      ['e'.repeat(400), 'x'.repeat(100), 500, /^user event exceeds .* 512 bytes/],
    ]
    for (const [path, body, status, text] of bad) {
      const answered = await client.put(`/v1/event/fire/${path}`, body)
      t.equal(answered.status, status, path.slice(0, 40))
      t.match(answered.text, text, path.slice(0, 40))
    }
    t.equal(store.status().revision, revision, 'nothing was written')
    t.equal((await client.put('/v1/event/fire/e', 'x'.repeat(100))).status, 200)
  })
})

t.test('a payload that comes in chunks is counted as it comes', async t => {
  const { client, host, port } = await startFace(t)
  const status = await new Promise((resolve, reject) => {
    const sending = request({ host, port, method: 'PUT', path: '/v1/event/fire/e' }, answer => {
      answer.resume()
      resolve(answer.statusCode)
    })
    sending.on('error', reject)
    sending.write('x'.repeat(60))
    sending.end('x'.repeat(60))
  })
  t.equal(status, 413)
  t.strictSame((await client.get('/v1/event/list')).json, [])
})

t.test('an event for a service reaches the agent that has it', async t => {
  const { client } = await startFace(t)
  await client.put('/v1/agent/service/register', { Name: 'web', Tags: ['v1'] })
  await client.put('/v1/event/fire/a?service=web&tag=v1')
  await client.put('/v1/event/fire/b?service=web&tag=v2')
  const { json } = await client.get('/v1/event/list')
  t.strictSame(
    json.map(({ Name }: { Name: string }) => Name),
    ['a'],
  )
})
