/** What an agent that is no server sends on: whole exchanges through real sockets on both sides. */

import { once } from 'node:events'
import { createServer as createHttpServer, request } from 'node:http'
import { createServer } from 'node:net'
import t from 'tap'
import { Forwarder, registryHalf } from '../../../src/agent/client/forward.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Timeouts } from '../../../src/base/timeouts.ts'
import { until } from '../../http/harness.ts'
import { EDGE, startEdge, startServer } from './world.ts'

t.test("reads, writes, refusals and unknown paths are the servers'", async t => {
  const server = await startServer(t)
  const { client } = await startEdge(t, [server])
  const value = 'v'.repeat(200_000)
  t.equal((await client.put('/v1/kv/some%2Fkey?flags=3', value)).text, 'true')
  t.equal((await server.face.client.get('/v1/kv/some/key?raw')).text, value)
  const got = await client.get('/v1/kv/some/key')
  t.equal(got.json[0].Flags, 3)
  t.ok(got.index > 0)
  t.equal(got.headers['x-consul-knownleader'], 'true')
  t.equal((await client.get('/v1/kv/none')).status, 404)
  await client.put('/v1/kv/plain', 'y'.repeat(5_000))
  const zipped = await client.raw('GET', '/v1/kv/plain', undefined, {
    headers: { 'accept-encoding': 'gzip' },
  })
  t.equal(zipped.headers['content-encoding'], 'gzip')
  t.equal((await client.raw('GET', '/v1/none')).status, 404)
  t.equal((await client.raw('GET', '/v1/kv//a')).headers.location, '/v1/kv/a')
  t.equal((await client.raw('PATCH', '/v1/kv/a')).status, 405)
  t.equal((await client.raw('OPTIONS', '/v1/kv/a')).headers.allow, 'OPTIONS,GET,PUT,DELETE')
  t.match(await client.raw('PUT', '/v1/kv/a', 'x'.repeat(600_000)), {
    status: 413,
    text: /Value exceeds/,
  })
  t.equal((await client.get('/v1/kv/?keys')).json.length, 2, 'the connection lives on')
  t.equal((await client.raw('GET', '/elsewhere')).status, 404)
  t.equal((await client.raw('GET', '/')).status, 200)
  await until(async () => (await client.get(`/v1/catalog/node/${EDGE}`)).json !== null)
  const session = await client.put('/v1/session/create', { NodeChecks: [] })
  const { json } = await client.get(`/v1/session/info/${session.json.ID}`)
  t.equal(json[0].Node, EDGE, 'the agent that was asked has the node')
})

t.test('what is long passes through in bounded pieces, both ways', async t => {
  const server = await startServer(t)
  const { client } = await startEdge(t, [server])
  for (let i = 0; i < 30; i++) await client.put(`/v1/kv/big/${i}`, Buffer.alloc(300_000, i))
  const archive = await client.raw('GET', '/v1/snapshot')
  t.equal(archive.status, 200)
  await client.delete('/v1/kv/big/?recurse')
  t.equal((await client.raw('PUT', '/v1/snapshot', archive.bytes)).status, 200)
  t.equal((await client.get('/v1/kv/big/29?raw')).bytes.length, 300_000)
})

t.test('a blocking query wakes, and ends on the server when its client leaves', async t => {
  const server = await startServer(t)
  const { client } = await startEdge(t, [server])
  await client.put('/v1/kv/w', 'one')
  const { index } = await client.get('/v1/kv/w')
  const waiting = client.get(`/v1/kv/w?index=${index}&wait=60s`)
  await server.face.waiting(1)
  await client.put('/v1/kv/w', 'two')
  t.ok((await waiting).index > index)
  const leaving = new AbortController()
  const left = client.get('/v1/kv/w?index=99999&wait=60s', { signal: leaving.signal })
  await server.face.waiting(1)
  leaving.abort()
  await t.rejects(left)
  await server.face.waiting(0)
})

t.test('who leaves in the middle of a body leaves nothing behind', async t => {
  const server = await startServer(t)
  const { port, client } = await startEdge(t, [server])
  const sending = request({
    ...{ host: '127.0.0.1', port, method: 'PUT', path: '/v1/snapshot' },
    headers: { 'content-length': 50_000_000 },
  })
  sending.on('error', () => {})
  sending.write(Buffer.alloc(400_000))
  await until(() => sending.writableLength === 0)
  sending.destroy()
  await until(async () => (await client.get('/v1/kv/?keys')).status === 200)
})

t.test('without servers it is said as Consul says it, and local paths go on', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  const { client } = edge
  await client.put('/v1/kv/a', '1')
  edge.channel.learn([])
  const none = await client.raw('GET', '/v1/kv/a')
  t.equal(`${none.status} ${none.text}`, '500 No known Consul servers')
  t.equal(none.headers['x-consul-knownleader'], 'false')
  t.equal(none.headers['x-consul-index'], '1')
  const written = await client.raw('PUT', '/v1/kv/a', '2')
  t.equal(`${written.status} ${written.text}`, '500 No known Consul servers')
  t.equal(written.headers['x-consul-index'], undefined)
  t.equal((await client.get('/v1/agent/self')).json.Config.NodeName, EDGE)
})

t.test('another server is asked when one surely did not handle it', async t => {
  const server = await startServer(t)
  const { port } = await server.rpc.server.listen('127.0.0.1', 0)
  const refusing = createServer(socket => socket.destroy())
  refusing.listen(0, '127.0.0.1')
  await once(refusing, 'listening')
  t.teardown(() => refusing.close())
  const dead = refusing.address() as { port: number }
  const edge = await startEdge(t, [server])
  edge.channel.learn([
    { nodeId: 'dead', address: `127.0.0.1:${dead.port}` },
    { nodeId: 'live', address: `127.0.0.1:${port}` },
  ])
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => edge.client.put(`/v1/kv/k${at}`, 'x')),
  )
  t.strictSame(new Set(answers.map(({ text }) => text)), new Set(['true']))
})

t.test('a server that goes away in the middle: reads go on elsewhere, writes say so', async t => {
  const server = await startServer(t)
  const edge = await startEdge(t, [server])
  await edge.client.put('/v1/kv/w', 'one')
  const { index } = await edge.client.get('/v1/kv/w')
  const blocked = edge.client.raw('GET', `/v1/kv/w?index=${index}&wait=60s`)
  await server.face.waiting(1)
  await server.cut()
  const { status, text } = await blocked
  t.equal(status, 500)
  t.match(text, /No known Consul servers|rpc error/)
})

t.test('for who left before, no server is asked, and no place is taken', async t => {
  let asked = 0
  const forwarder = new Forwarder({
    channel: {
      servers: ['one'] as never,
      open() {
        asked++
        throw new Error('nobody is to be asked')
      },
    },
    ...{ clock: systemClock, timeouts: new Timeouts(systemClock) },
    metrics: new Metrics(systemClock),
    ...{ node: EDGE, half: registryHalf(() => ''), awaySinceMs: () => undefined },
    responseHeaders: () => ({}),
  })
  const gone = Promise.withResolvers<void>()
  const server = createHttpServer((message, response) => {
    response.once('close', () => {
      forwarder.send(message, response, () => t.fail('nobody is answered'))
      gone.resolve()
    })
    message.socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  request({ host: '127.0.0.1', port, agent: false })
    .end()
    .on('error', () => {})
  await gone.promise
  t.equal(forwarder.size, 0)
  t.equal(asked, 0)
})
