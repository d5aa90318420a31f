/**
 * Which requests are let in: blocked paths, networks that may write, rates, sizes; and that they
 * are refused before anything of them is parsed or done.
 */

import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Admission, NO_RATES, type RequestRates } from '../../src/http/admission.ts'
import { FakeClock } from '../fake/clock.ts'
import { startFace } from './harness.ts'
import { connectRaw } from './wire.ts'

const RATE_TEXT = 'Rate limit reached, try again later'

t.test('blocked endpoints are 403, also in other spellings', async t => {
  const blockEndpoints = ['/v1/kv/secret', '/v1/agent/members', '/v1/health']
  const { client } = await startFace(t, { blockEndpoints })
  const blocked = [
    ...['/v1/kv/secret', '/v1/kv/secret/x?raw', '/v1/kv/%73ecret', '/v1/kv/sec%72et/a'],
    ...['/v1/agent/members', '/v1/health/state/any', '/v1/health/service/web?index=1'],
  ]
  for (const path of blocked) {
    const { status, text } = await client.raw('GET', path)
    t.same([status, text], [403, 'Endpoint is blocked by agent configuration'], path)
  }
  const other = await client.raw('PUT', '/v1/kv/secret/a', 'x')
  t.equal(other.status, 403)
  t.equal((await client.raw('GET', '/v1/kv/public')).status, 404)
  t.equal((await client.raw('GET', '/v1/agent/self')).status, 200)
  t.equal((await client.raw('GET', '/v1/kv//secret')).status, 307, 'its clean path is blocked')
})

t.test('writes only from the networks that may', async t => {
  const outside = await startFace(t, { allowWriteFrom: ['10.0.0.0/8'] })
  const revision = outside.store.view().revision
  for (const method of ['PUT', 'DELETE', 'POST']) {
    const { status, text } = await outside.client.raw(method, '/v1/kv/a', 'x')
    t.same([status, text], [403, 'Access is restricted'], method)
  }
  t.equal(outside.store.view().revision, revision)
  t.equal((await outside.client.raw('GET', '/v1/kv/a')).status, 404)
  t.equal((await outside.client.raw('OPTIONS', '/v1/kv/a')).status, 200)
  const inside = await startFace(t, { allowWriteFrom: ['10.0.0.0/8', '127.0.0.0/8'] })
  t.equal((await inside.client.put('/v1/kv/a', 'x')).text, 'true')
})

t.test('rates: reads 429, writes 503, and the agent’s own paths are free', async t => {
  const clock = new FakeClock()
  const rates = { ...NO_RATES, mode: 'enforcing', readPerSecond: 0.2, writePerSecond: 0.1 } as const
  const { client, store, http, metrics } = await startFace(t, { clock, rates })
  t.equal((await client.get('/v1/kv/a')).status, 404)
  t.equal((await client.get('/v1/kv/a')).status, 404)
  const read = await client.raw('GET', '/v1/kv/a')
  t.same([read.status, read.text], [429, RATE_TEXT])
  t.equal((await client.put('/v1/kv/a', 'x')).text, 'true', 'writes have a bucket of their own')
  const revision = store.view().revision
  const write = await client.raw('PUT', '/v1/kv/a', 'y')
  t.same([write.status, write.text], [503, RATE_TEXT])
  const body = await client.raw('PUT', '/v1/catalog/register', 'this is no JSON')
  t.equal(body.status, 503, 'a body is not parsed before')
  t.equal(store.view().revision, revision)
  for (const path of ['/v1/agent/self', '/v1/status/leader']) {
    t.equal((await client.raw('GET', path)).status, 200, path)
  }
  clock.elapse(5_000)
  t.equal((await client.get('/v1/kv/a')).text.includes('"a"'), true, 'time brings more')
  t.equal((await client.raw('GET', '/v1/kv/a')).status, 429)
  const off = { ...NO_RATES, mode: 'disabled', readPerSecond: 0, writePerSecond: 0 } as const
  http.setLimits({ rates: off, connectionsPerClient: 0 })
  t.equal((await client.get('/v1/kv/a')).status, 200, 'they can be changed')
  const counted = metrics.all().filter(({ name }) => name === 'rpc.rate_limit.exceeded')
  t.equal(counted.length, 2)
})

t.test('permissive: nothing is refused, and the log says it, rarely', async t => {
  const clock = new FakeClock()
  const lines: string[] = []
  const note = (message: string): void => void lines.push(message)
  const log = { ...silentLog, warn: note, error: note }
  const rates = { ...NO_RATES, mode: 'permissive', readPerSecond: 0, writePerSecond: 0 } as const
  const { client } = await startFace(t, { clock, log, rates })
  for (let i = 0; i < 5; i++) t.equal((await client.get('/v1/kv/a')).status, 404)
  t.same(lines, ['more requests than limits.request_limits'])
  clock.elapse(60_000)
  await client.get('/v1/kv/a')
  t.equal(lines.length, 2)
})

t.test('the bound of bodies comes before the rate', async t => {
  const rates = { ...NO_RATES, mode: 'enforcing', readPerSecond: 0, writePerSecond: 0 } as const
  const { client } = await startFace(t, { bounds: { bodySizeBytes: 100 }, rates })
  const large = await client.raw('PUT', '/v1/catalog/register', 'x'.repeat(101))
  t.equal(large.status, 413)
  t.match(large.text, 'too large')
  t.equal((await client.raw('PUT', '/v1/catalog/register', 'x'.repeat(100))).status, 503)
})

t.test('paths that cannot be printed, and keys that proxies would change', async t => {
  const strict = await startFace(t)
  t.equal((await strict.client.raw('PUT', '/v1/kv/a%01', 'x')).status, 400)
  t.equal((await strict.client.raw('PUT', '/v1/kv/a%2F..%2Fb', 'x')).status, 400)
  const loose = await startFace(t, { takesUnprintable: true, takesAnyKey: true })
  for (const key of ['a%01', 'a%2F..%2Fb', '%20a%20']) {
    t.equal((await loose.client.put(`/v1/kv/${key}`, 'x')).text, 'true', key)
    t.equal((await loose.client.get(`/v1/kv/${key}?raw`)).text, 'x', key)
  }
})

const HUGE = [
  ['Content-Length: 1099511627776', ''],
  ['Transfer-Encoding: chunked', '100000\r\n'],
  ['Content-Length: 300000000', ''],
] as const

t.test('a huge body is refused on every kind of path', async t => {
  const { host, port, client } = await startFace(t)
  const paths = ['/v1/kv/a', '/v1/catalog/register', '/v1/agent/check/register', '/v1/no/such']
  await flood(t, { host, port }, paths)
  t.equal((await client.get('/v1/kv/a')).status, 404)
})

/** Sends the begin of each huge body until it is told to stop. */
async function flood(
  t: Test,
  at: { host: string; port: number },
  paths: readonly string[],
): Promise<void> {
  const piece = Buffer.alloc(0x100000, 'x')
  for (const path of paths) {
    for (const [header, start] of HUGE) {
      const connection = await connectRaw(t, at)
      connection.write(`PUT ${path} HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n${start}`)
      connection.write(piece)
      const answer = await connection.received(/^HTTP\/1\.1 \d+/)
      t.match(answer, /^HTTP\/1\.1 (413|404)/, `${path} ${header}`)
      connection.socket.destroy()
    }
  }
}

t.test('a false or double length is refused', async t => {
  const { host, port } = await startFace(t)
  const wrong = [
    'Content-Length: -1',
    'Content-Length: 1e3',
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 5\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: gzip',
  ]
  for (const header of wrong) {
    const connection = await connectRaw(t, { host, port })
    connection.write(`PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\nabcdefg`)
    t.match(await connection.received(/^HTTP\/1\.1 \d+/), /^HTTP\/1\.1 4\d\d/, header)
  }
})

t.test('a flood of headers is refused', async t => {
  const { host, port } = await startFace(t)
  const connection = await connectRaw(t, { host, port })
  connection.write(`GET /v1/kv/a HTTP/1.1\r\n${'a: b\r\n'.repeat(20_000)}`)
  t.match(await connection.received(/^HTTP\/1\.1 \d+/), '431')
})

t.test('hundreds of half-open connections leave the others alone', async t => {
  const { host, port, client } = await startFace(t)
  for (let i = 0; i < 500; i++) {
    const connection = await connectRaw(t, { host, port })
    if (i % 2 === 0) connection.write('PUT /v1/kv/a HTTP/1.1\r\nContent-Length: 100\r\n\r\nx')
  }
  t.equal((await client.put('/v1/kv/b', 'x')).text, 'true')
})

t.test('one client may not have all of it', async t => {
  const clock = new FakeClock()
  const rates: RequestRates = {
    ...{ mode: 'enforcing', readPerSecond: -1, writePerSecond: -1 },
    ...{ clientReadPerSecond: 0.2, clientWritePerSecond: 0.1 },
  }
  const { client, http } = await startFace(t, { clock, rates })
  const self = '/v1/agent/self'
  for (let i = 0; i < 2; i++) t.equal((await client.get(self)).status, 200)
  const read = await client.raw('GET', self)
  t.same([read.status, read.text], [429, RATE_TEXT], 'also of the agent’s own paths')
  t.equal((await client.put('/v1/kv/a', 'x')).text, 'true')
  t.equal((await client.raw('PUT', '/v1/kv/a', 'y')).status, 503)
  clock.elapse(5_000)
  t.equal((await client.get(self)).status, 200)
  http.setLimits({ rates: NO_RATES, connectionsPerClient: 0 })
  for (let i = 0; i < 5; i++) t.equal((await client.get(self)).status, 200)
})

t.test('clients are counted apart, and forgotten when there are too many', async t => {
  const clock = new FakeClock()
  const rates: RequestRates = { ...NO_RATES, mode: 'enforcing', clientReadPerSecond: 0.1 }
  const admission = new Admission({
    ...{ clock, log: silentLog, metrics: new Metrics(clock), rates },
    ...{ blockEndpoints: [], allowWriteFrom: [] },
  })
  const ask = (remoteAddress: string): number =>
    admission.refuse({ method: 'GET', url: '/', socket: { remoteAddress } } as IncomingMessage)
      ?.status ?? 200
  t.strictSame([ask('10.0.0.1'), ask('10.0.0.1'), ask('::ffff:10.0.0.1')], [200, 429, 429])
  t.strictSame([ask('10.0.0.2'), ask('2001:db8::1'), ask('2001:db8::2')], [200, 200, 429])
  t.equal(ask('2001:db8:0:1::1'), 200, 'another network')
  for (let i = 0; i < limits.ratedClients; i++) ask(`10.1.${i >> 8}.${i & 255}`)
  t.equal(ask('10.0.0.1'), 200, 'forgotten')
})
