/**
 * Class 37: what somebody stored or sent is shown by a browser as a page (CVE-2020-25864,
 * CVE-2024-10086, CVE-2026-33758). Every answer says its type, forbids to guess another, and is
 * text or JSON, whatever it repeats; a value of the KV store is sandboxed besides.
 */
import fc from 'fast-check'
import t from 'tap'
import { declaredPaths } from '../http/declared.ts'
import { type Face, startFace } from '../http/harness.ts'
import { connectRaw } from '../http/wire.ts'
import { propertyRuns } from '../run/budget.ts'

const PAGE = '<html><script>alert(1)</script></html>'
const IN_PATH = encodeURIComponent(PAGE)
const TYPES = [
  ...['application/json', 'text/plain', 'text/plain; charset=utf-8', 'application/gzip'],
  ...['application/x-gzip', 'application/octet-stream', 'text/plain; version=0.0.4; charset=utf-8'],
]

interface Seen {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly bytes: Buffer
}

/** What is wrong with an answer, for a browser. */
function faultsOf({ status, headers, bytes }: Seen): string[] {
  const type = headers['content-type']
  const faults: string[] = []
  if (headers['x-content-type-options'] !== 'nosniff') faults.push('may be guessed')
  if (bytes.length > 0 && type === undefined) faults.push('of no type')
  if (type !== undefined && !TYPES.includes(String(type))) faults.push(`of type ${type}`)
  if (headers['set-cookie'] !== undefined) faults.push('a cookie')
  const location = headers.location
  if (location !== undefined && !/^\/(?![/\\])/.test(String(location)))
    faults.push(`sends to ${location}`)
  return faults.map(fault => `${status}: ${fault}`)
}

/** Sends a request that no client would. */
async function raw(t: Parameters<typeof connectRaw>[0], face: Face, text: string): Promise<Seen> {
  const connection = await connectRaw(t, face)
  connection.write(text)
  const answer = await connection.closed()
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  const lines = head
    .split('\r\n')
    .slice(1)
    .map(line => line.split(': ', 2) as [string, string])
  const headers = Object.fromEntries(lines.map(([name, value]) => [name.toLowerCase(), value]))
  return { status: Number(head.slice(9, 12)), headers, bytes: Buffer.from(body) }
}

t.test('attack: every path, with a page in its path, its query and its body', async t => {
  const { client } = await startFace(t)
  const wrong: string[] = []
  let answers = 0
  for (const { path, operations } of declaredPaths) {
    for (const method of [...Object.keys(operations), 'HEAD', 'PATCH', 'OPTIONS']) {
      if (/monitor|metrics\/stream|feed\/|agent\/leave|snapshot|pprof/.test(path)) continue
      const url = path.replaceAll(/\{\w+\}/g, IN_PATH)
      for (const [query, body] of [
        ['', ''],
        [`?dc=${IN_PATH}&filter=${IN_PATH}&wait=${IN_PATH}`, PAGE],
        [`?ns=${IN_PATH}`, JSON.stringify({ Name: PAGE, Kind: PAGE, [PAGE]: PAGE })],
        [`?near=${IN_PATH}&source=${IN_PATH}`, `["${PAGE}"]`],
      ]) {
        const answer = await client.raw(method, url + query, method === 'GET' ? undefined : body)
        answers++
        wrong.push(...faultsOf(answer).map(fault => `${method} ${path}${query}: ${fault}`))
      }
    }
  }
  t.ok(answers > 1_000, `${answers} answers`)
  t.strictSame(wrong, [])
})

t.test('attack: a value that is a page, raw, listed and through every form', async t => {
  const { client } = await startFace(t)
  await client.put(`/v1/kv/${IN_PATH}`, PAGE)
  const { headers, text } = await client.raw('GET', `/v1/kv/${IN_PATH}?raw`)
  t.equal(text, PAGE, 'near miss: it is what was stored')
  t.equal(headers['content-type'], 'text/plain')
  t.equal(headers['content-security-policy'], 'sandbox')
  t.equal(headers['x-content-type-options'], 'nosniff')
  for (const query of ['', '?recurse', '?keys', '?raw&index=1', '?pretty']) {
    const answer = await client.raw('GET', `/v1/kv/${IN_PATH}${query}`, undefined, {
      headers: { Accept: 'text/html', 'Accept-Encoding': 'gzip' },
    })
    t.strictSame(faultsOf(answer), [], query)
    if (!query.includes('raw')) t.equal(answer.headers['content-type'], 'application/json')
  }
})

t.test('attack: what is answered before there is a path', async t => {
  const face = await startFace(t, {
    allowWriteFrom: ['192.0.2.0/24'],
    blockEndpoints: ['/v1/blocked'],
  })
  const close = 'Host: x\r\nConnection: close\r\n\r\n'
  for (const text of [
    ...[
      '/',
      '/ui/',
      `/${PAGE}`,
      '//x',
      '/v1/none',
      '/v1/blocked',
      '/v1/kv/%zz',
      '/v1/kv/a/../b',
    ].map(path => `GET ${path.replaceAll(/[<> ]/g, encodeURIComponent)} HTTP/1.1\r\n${close}`),
    `PUT /v1/kv/a HTTP/1.1\r\nContent-Length: 1\r\n${close}x`,
    `GET /x#y HTTP/1.1\r\n${close}`,
  ]) {
    const answer = await raw(t, face, text)
    t.strictSame(faultsOf(answer), [], text)
  }
})

t.test('generated: whatever is stored and asked for', async t => {
  const { client } = await startFace(t)
  const bytes = fc.oneof(
    fc.constantFrom(
      PAGE,
      '<!doctype html>',
      '%PDF-1.4',
      'GIF89a',
      '<?xml version="1.0"?>',
      '\ufeff<svg/>',
    ),
    fc.string({ unit: 'binary', maxLength: 40 }),
  )
  await fc.assert(
    fc.asyncProperty(bytes, fc.constantFrom('raw', 'recurse', 'keys', ''), async (value, query) => {
      await client.raw('PUT', '/v1/kv/x', value)
      const answer = await client.raw('GET', `/v1/kv/x?${query}`)
      return faultsOf(answer).length === 0
    }),
    { numRuns: propertyRuns() },
  )
})
