/**
 * The server round the declared paths: methods, unknown and unclean paths, bounds on sizes and
 * times, and connections that are lost.
 */
import diagnostics from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { startFace } from './harness.ts'
import { connectRaw } from './wire.ts'

t.test('a method that a path does not have is 405 and names those that it has', async t => {
  const { client } = await startFace(t)
  for (const method of ['POST', 'PATCH', 'HEAD']) {
    const answered = await client.raw(method, '/v1/catalog/nodes')
    t.equal(answered.status, 405, method)
    t.equal(answered.headers.allow, 'OPTIONS,GET')
    if (method !== 'HEAD') t.equal(answered.text, `method ${method} not allowed`)
  }
  const onRegister = await client.raw('GET', '/v1/agent/service/register')
  t.equal(onRegister.status, 405, 'a service of that name is not meant')
  t.equal((await client.raw('GET', '/v1/agent/join/x')).status, 405, 'PUT only, as it is now')
})

t.test('who else works in the same process hears of each request', async t => {
  let asked = 0
  const { client } = await startFace(t, {
    asked: () => asked++,
    blockEndpoints: ['/v1/kv/secret'],
  })
  const before = asked
  t.equal((await client.raw('GET', '/v1/status/leader')).status, 200)
  t.equal((await client.raw('GET', '/v1/kv/secret')).status, 403)
  t.equal((await client.raw('GET', '/v1/nosuch')).status, 404)
  t.equal(asked - before, 3)
})

t.test('trap 36: OPTIONS lists the methods', async t => {
  const { client } = await startFace(t)
  const answered = await client.raw('OPTIONS', '/v1/kv/a')
  t.equal(answered.status, 200)
  t.equal(answered.text, '')
  t.equal(answered.headers.allow, 'OPTIONS,GET,PUT,DELETE')
  t.equal((await client.raw('OPTIONS', '/v1/catalog/nodes')).headers.allow, 'OPTIONS,GET')
})

t.test('HEAD has no body, and the connection goes on', async t => {
  const face = await startFace(t)
  const raw = await connectRaw(t, face)
  raw.write('HEAD /v1/catalog/nodes HTTP/1.1\r\nHost: x\r\n\r\n')
  raw.write('GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n')
  const text = await raw.received(/"127\.0\.0\.1:8300"/)
  t.match(text, /^HTTP\/1\.1 405 [^{]*?\r\n\r\nHTTP\/1\.1 200 /s)
})

t.test('paths that are not there', async t => {
  const { client } = await startFace(t)
  const unknown = await client.raw('GET', '/v1/nosuch')
  t.equal(unknown.status, 404)
  t.equal(unknown.text, 'Invalid URL path: not a recognized HTTP API endpoint\n')
  const elsewhere = await client.raw('GET', '/nosuch')
  t.equal(elsewhere.status, 404)
  const hint = "if attempting to use the HTTP API, ensure the path starts with '/v1/'"
  t.equal(elsewhere.text, `Invalid URL path: ${hint}\n`)
  const enterprise = ['/v1/namespaces', '/v1/partitions', '/v1/operator/area', '/v1/acl/oidc/x']
  for (const path of enterprise) {
    t.equal((await client.raw('GET', path)).status, 404, `${path} exists in Enterprise alone`)
  }
  const unprintable = await client.raw('GET', '/v1/%01')
  t.equal(unprintable.status, 400)
  t.equal(unprintable.text, '')
  t.equal((await client.raw('GET', '/v1/kv/a%01')).status, 400)
  t.equal((await client.raw('GET', '/v1/kv/a%zz')).status, 400)
})

t.test('trap 35: / without a UI is a page that says so', async t => {
  const { client } = await startFace(t)
  const answered = await client.raw('GET', '/')
  t.equal(answered.status, 200)
  t.match(answered.text, /UI is disabled/)
})

t.test('trap 29: unclean paths are redirected, escaped slashes are data', async t => {
  const { client } = await startFace(t)
  const redirects = {
    '/v1/kv//a': '/v1/kv/a',
    '/v1/kv/a/../b': '/v1/kv/b',
    '/v1/kv/a/./b?raw=1&x=//': '/v1/kv/a/b?raw=1&x=//',
    '//v1/catalog/nodes': '/v1/catalog/nodes',
    '/v1/kv/a/..': '/v1/kv/',
    '/v1//nosuch/../kv/x': '/v1/kv/x',
  }
  for (const [path, location] of Object.entries(redirects)) {
    for (const method of ['GET', 'PUT']) {
      const answered = await client.raw(method, path)
      t.equal(answered.status, 307, `${method} ${path}`)
      t.equal(answered.headers.location, location)
    }
  }
  await client.put('/v1/kv/a%2F%2Fb', 'x')
  t.equal((await client.get('/v1/kv/a%2F%2Fb')).json[0].Key, 'a//b')
})

t.test('bodies of any content type, in chunks, and on GET', async t => {
  const face = await startFace(t)
  const { client } = face
  const types = ['application/json', 'application/x-www-form-urlencoded', 'text/plain', '', 'odd']
  for (const type of types) {
    const put = await client.put('/v1/kv/typed', `as ${type}`, {
      headers: { 'Content-Type': type },
    })
    t.equal(put.text, 'true', type)
    t.equal((await client.get('/v1/kv/typed?raw')).text, `as ${type}`)
  }
  const withBody = await client.send('GET', '/v1/kv/typed?raw', 'ignored')
  t.equal(withBody.text, 'as odd')
  const deleted = await client.send('DELETE', '/v1/kv/typed', 'ignored')
  t.equal(deleted.text, 'true')

  const raw = await connectRaw(t, face)
  raw.write('PUT /v1/kv/chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  raw.write('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n')
  await raw.received(/true/)
  t.equal((await client.get('/v1/kv/chunked?raw')).text, 'abcde')
})

t.test('trap 09: a body beyond the bound is 413 in words that clients match', async t => {
  const face = await startFace(t)
  const { client } = face
  const bound = limits.kvValueSizeBytes
  t.equal((await client.put('/v1/kv/full', Buffer.alloc(bound, 'a'))).text, 'true', 'at the bound')
  const over = await client.raw('PUT', '/v1/kv/over', Buffer.alloc(bound + 1, 'a'))
  t.equal(over.status, 413)
  t.match(over.text, `Request body(${bound + 1} bytes) too large, max size: ${bound} bytes.`)
  t.match(over.text, 'Value exceeds')
  t.equal((await client.get('/v1/kv/over')).status, 404)
  const huge = await client.raw('PUT', '/v1/kv/over', Buffer.alloc(8 * bound, 'a'))
  t.equal(huge.status, 413, 'also when the client is still sending')
  const agent = await client.raw('PUT', '/v1/agent/service/register', 'x'.repeat(bound + 1))
  t.equal(agent.status, 413)

  const raw = await connectRaw(t, face)
  raw.write('PUT /v1/kv/over HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`
  for (let sent = 0; sent <= bound; sent += 65_536) raw.write(chunk)
  t.match(await raw.received(/exceeds/), /^HTTP\/1\.1 413 /, 'counted as it streams')
  t.equal((await client.get('/v1/kv/over')).status, 404)
})

t.test('a Content-Length that lies writes nothing of the lie', async t => {
  const face = await startFace(t)
  const { client } = face
  const short = await connectRaw(t, face)
  short.write('PUT /v1/kv/lie HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
  short.socket.end()
  await short.closed()
  t.equal((await client.get('/v1/kv/lie')).status, 404, 'less came than was said')

  const long = await connectRaw(t, face)
  long.write('PUT /v1/kv/lie HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcdef')
  t.match(await long.closed(), /HTTP\/1\.1 400 /, 'the rest is no request')
  const stored = await client.get('/v1/kv/lie?raw')
  t.match(stored.text, /^(abc)?$/, 'more came than was said')

  const both = await connectRaw(t, face)
  both.write('PUT /v1/kv/both HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n')
  both.write('Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n')
  t.match(await both.closed(), /^HTTP\/1\.1 400 /, 'two lengths are a smuggler')
  t.equal((await client.get('/v1/kv/both')).status, 404)
})

t.test('garbage is 400 or a closed connection, and others go on', async t => {
  const face = await startFace(t)
  for (const garbage of ['\x00\x01\x02\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n']) {
    const raw = await connectRaw(t, face)
    raw.write(garbage)
    const text = await raw.closed()
    t.match(text, /^(HTTP\/1\.1 (400|505) |$)/, JSON.stringify(garbage))
  }
  const large = await connectRaw(t, face)
  large.write(`GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(70_000)}\r\n\r\n`)
  t.match(await large.closed(), /^HTTP\/1\.1 431 /)
  t.equal((await face.client.get('/v1/status/leader')).status, 200)
})

t.test('trap 06: no time-out of the server cuts a poll of ten minutes', async t => {
  const face = await startFace(t)
  let server: Server | undefined
  const see = (message: unknown): void => {
    server = (message as { server: Server }).server
  }
  diagnostics.subscribe('http.server.request.start', see)
  t.teardown(() => diagnostics.unsubscribe('http.server.request.start', see))
  await face.client.get('/v1/status/leader')
  const longestMs = limits.queryWaitMaxMs * (1 + 1 / 16)
  t.equal(server!.timeout, 0, 'sockets that are silent')
  t.ok(server!.requestTimeout > longestMs, 'requests that are under way')
  t.equal(server!.headersTimeout, limits.httpHeaderReadTimeoutMs)
  t.equal(server!.keepAliveTimeout, limits.httpIdleTimeoutMs)
})

t.test('trap 06: a client that goes away frees its waiter', async t => {
  const face = await startFace(t)
  const { client } = face
  const { index } = await client.get('/v1/kv/a')
  const gone = new AbortController()
  const blocked = client.get(`/v1/kv/a?index=${index}&wait=600s`, { signal: gone.signal })
  await face.waiting(1)
  gone.abort()
  await t.rejects(blocked)
  await face.waiting(0)
})

t.test('trap 28: gzip only when asked', async t => {
  const { client } = await startFace(t)
  for (let i = 0; i < 30; i++) await client.put(`/v1/kv/many/${i}`, 'value '.repeat(10))
  const path = '/v1/kv/many?recurse'
  const plain = await client.get(path)
  t.equal(plain.headers['content-encoding'], undefined)
  for (const accepted of ['gzip', 'deflate, gzip;q=0.5', 'gzip, br']) {
    const zipped = await client.raw('GET', path, undefined, {
      headers: { 'Accept-Encoding': accepted },
    })
    t.equal(zipped.headers['content-encoding'], 'gzip', accepted)
    t.equal(zipped.headers.vary, 'Accept-Encoding')
    t.equal(gunzipSync(zipped.bytes).toString(), plain.text)
    t.equal(zipped.index, plain.index)
  }
  for (const refused of ['identity', 'gzip;q=0', 'deflate', 'notgzip']) {
    const sent = { headers: { 'Accept-Encoding': refused } }
    const answered = await client.get(path, sent)
    t.equal(answered.headers['content-encoding'], undefined, refused)
    t.equal(answered.text, plain.text)
  }
})

t.test("listens on several addresses; a busy port is the system's error", async t => {
  const { http, host, port, client } = await startFace(t)
  await t.rejects(http.listen(host, port), { code: 'EADDRINUSE', port })
  const second = await http.listen(host, 0)
  t.not(second.port, port)
  const answer = await fetch(`http://${second.host}:${second.port}/v1/status/leader`)
  t.equal(await answer.text(), '"127.0.0.1:8300"')
  t.equal((await client.get('/v1/status/leader')).status, 200)
})
