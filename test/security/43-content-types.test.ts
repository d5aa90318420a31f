/**
 * Class 43: what a client says of its body or of where it comes from, which our HTTP library or we
 * might believe: a Content-Type that skips the check of the body, a forwarded address that opens a
 * door (CVE-2025-32442, CVE-2026-25223, CVE-2026-33806, CVE-2026-3635, CVE-2026-16732).
 */
import fc from 'fast-check'
import t from 'tap'
import { startFace } from '../http/harness.ts'
import { propertyRuns } from '../run/budget.ts'

const TYPES = [
  'application/json',
  'application/json; charset=utf-8',
  'application/json ; a',
  'application/json;',
  'application/json;;',
  'application/json\t;x',
  'application/json\t',
  ' application/json',
  'application/json, text/plain',
  'APPLICATION/JSON',
  'Application/Json; Charset="utf-8"',
  'application/json; charset=utf-16',
  'application/jsonx',
  'application/x-json',
  'application/vnd.api+json',
  'application/problem+json',
  'application',
  'application/',
  '/json',
  '/',
  ';',
  ',',
  '*',
  '*/*',
  'text/plain',
  'text/html',
  'text/json',
  'text/xml',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  'application/octet-stream',
  'application/x-ndjson',
  'application/grpc',
  'application/msgpack',
  'application/xml',
  'image/png',
  'json',
  'undefined',
  'null',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'application/__proto__',
  'a/b; __proto__=x',
  '\u00e9/\u00e9',
  '\u00a0application/json',
  'application/json\u00a0',
  'application\\json',
  '"application/json"',
  "'application/json'",
  '(application/json)',
  'application/json#',
  'application/json?',
  'application/json/x',
  'application/json%20',
  '%61pplication/json',
  `application/json; ${'x'.repeat(4_000)}`,
]

t.test('a body is held against its declaration whatever its type is said to be', async t => {
  t.ok(TYPES.length >= 60, `${TYPES.length} forms`)
  const { client } = await startFace(t)
  const write = (type: string, body: string, path = '/v1/agent/service/register') =>
    client.raw('PUT', path, Buffer.from(body), { headers: { 'Content-Type': type } })
  for (const [at, type] of TYPES.entries()) {
    const bad = await write(type, '{"Name":"bad","Nobody":1}')
    t.equal(bad.status, 400, `a field that nobody knows: ${type}`)
    t.equal((await write(type, '{"Name":7}')).status, 400, `a number for a name: ${type}`)
    t.equal((await write(type, 'Name=bad')).status, 400, `a form: ${type}`)
    const good = await write(type, JSON.stringify({ Name: `good-${at}` }))
    t.equal(good.status, 200, `one that is well: ${type}`)
  }
  const { json } = await client.get('/v1/agent/services')
  t.same(Object.keys(json).sort(), TYPES.map((_, at) => `good-${at}`).sort())
  const nothing = await client.raw('PUT', '/v1/agent/service/register', Buffer.from(''))
  t.equal(nothing.status, 400)
})

/** Where a request says that it comes from. */
const forged = (address: string): Record<string, string>[] => [
  { 'X-Forwarded-For': address },
  { 'X-Forwarded-For': `${address}, 127.0.0.1` },
  { 'x-forwarded-for': `127.0.0.1, ${address}` },
  { Forwarded: `for=${address};host=localhost;proto=https` },
  { 'X-Real-IP': address },
  { 'X-Client-IP': address },
  { 'True-Client-IP': address },
  { 'X-Forwarded-Host': 'localhost', 'X-Forwarded-Proto': 'https' },
  { 'X-Forwarded-Port': '8501', 'X-Forwarded-Prefix': '/v1/status' },
  { 'X-Original-URL': '/v1/status/leader', 'X-Rewrite-URL': '/v1/status/leader' },
  { 'X-HTTP-Method-Override': 'GET', 'X-Method-Override': 'GET' },
]

t.test('where a request says that it comes from opens nothing', async t => {
  const { client } = await startFace(t, { allowWriteFrom: ['10.0.0.0/8'] })
  const plain = await client.raw('PUT', '/v1/kv/a', Buffer.from('x'))
  t.equal(plain.status, 403)
  for (const headers of forged('10.1.2.3')) {
    const { status } = await client.raw('PUT', '/v1/kv/a', Buffer.from('x'), { headers })
    t.equal(status, 403, JSON.stringify(headers))
  }
  const open = await startFace(t, { allowWriteFrom: ['127.0.0.0/8'] })
  for (const headers of forged('192.0.2.1')) {
    const { status } = await open.client.raw('PUT', '/v1/kv/a', Buffer.from('x'), { headers })
    t.equal(status, 200, `nor does it close anything: ${JSON.stringify(headers)}`)
  }
  const shut = await startFace(t, { blockEndpoints: ['/v1/kv'] })
  for (const headers of forged('127.0.0.1')) {
    const { status } = await shut.client.raw('GET', '/v1/kv/a', Buffer.from(''), { headers })
    t.equal(status, 403, JSON.stringify(headers))
  }
})

t.test('generated: no header but Content-Length and Transfer-Encoding changes a body', async t => {
  const { client } = await startFace(t)
  const name = fc.oneof(
    fc.constantFrom('Content-Type', 'Content-Encoding', 'Accept', 'X-Forwarded-For', 'Expect-X'),
    fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,15}$/),
  )
  const value = fc.oneof(fc.constantFrom(...TYPES), fc.stringMatching(/^[ -~]{0,30}$/))
  const own = ['content-length', 'transfer-encoding', 'connection', 'host', 'expect', 'upgrade']
    .concat('x-consul-token', 'x-consul-namespace', 'x-consul-partition', 'authorization')
    .concat('cache-control', 'te', 'trailer', 'keep-alive', 'proxy-connection')
  let count = 0
  const property = fc.asyncProperty(
    fc.array(fc.tuple(name, value), { maxLength: 6 }),
    async pairs => {
      const headers = Object.fromEntries(
        pairs.filter(([each]) => !own.includes(each.toLowerCase())),
      )
      const id = `g${count++}`
      const put = (body: object) =>
        client.raw('PUT', '/v1/agent/service/register', Buffer.from(JSON.stringify(body)), {
          headers,
        })
      const bad = await put({ Name: id, Nobody: 1 })
      const good = await put({ Name: id })
      return bad.status === 400 && good.status === 200
    },
  )
  await fc.assert(property, { numRuns: propertyRuns() })
})
