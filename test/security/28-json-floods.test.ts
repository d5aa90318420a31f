/**
 * Class 28: JSON that is deep, or of very many parts, and bodies that are parsed before anybody
 * asked whether the request is let in (CVE-2025-6203, CVE-2025-12044).
 */
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import { NO_RATES } from '../../src/http/admission.ts'
import { declaredPaths } from '../http/declared.ts'
import { startFace } from '../http/harness.ts'
import { connectRaw } from '../http/wire.ts'
import { propertyRuns } from '../run/budget.ts'

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const objects = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

/** Every operation that reads a JSON body; `{x}` filled. */
const jsonWrites = declaredPaths.flatMap(({ path, operations }) =>
  Object.entries(operations).flatMap(([method, operation]) => {
    const body = 'body' in operation ? operation.body : undefined
    const takesJson = typeof body === 'object' && body !== null && 'shape' in body
    return takesJson ? [{ method, path: path.replaceAll(/\{\w+\}/g, 'a') }] : []
  }),
)

t.test('every endpoint: bodies that are deep, or wide, are refused and cost nobody', async t => {
  const { client } = await startFace(t, { acl: { defaultPolicy: 'allow' } })
  t.ok(jsonWrites.length > 15, `${jsonWrites.length} operations`)
  const room = limits.httpBodySizeBytes - 100
  const many = (part: string): string => part.repeat(Math.floor(room / part.length))
  const attacks: Record<string, string> = {
    'one too deep': nested(limits.jsonDepth + 1),
    'objects one too deep': objects(limits.jsonDepth + 1),
    'as deep as fits': nested(room / 2),
    'never closed': many('['),
    'objects never closed': many('{"a":'),
    'a field nobody knows, too deep': `{"Nobody":${nested(limits.jsonDepth)}}`,
    'very many texts': `[${many('"",')}""]`,
    'very many fields': `{${Array.from({ length: 40_000 }, (_, i) => `"f${i}":1`).join(',')}}`,
    'the same field very often': `{${many('"x":1,')}"x":1}`,
    'a number of many digits': `{"x":${'9'.repeat(room)}}`,
    'a text of many escapes': `{"x":"${many('\\u0000')}"}`,
    'the name of a prototype': `{"__proto__":{"Name":"x"},"constructor":{"prototype":{}}}`,
  }
  for (const [what, body] of Object.entries(attacks)) {
    for (const { method, path } of jsonWrites) {
      const { status } = await client.raw(method, path, Buffer.from(body))
      // A session's body is read loosely, as Consul does: fields that nobody knows pass.
      const mayPass = path === '/v1/session/create' && !/deep|closed|texts/.test(what)
      const isFine = mayPass ? status < 500 : status >= 400 && status < 500
      t.ok(isFine, `${what}: ${method} ${path}: ${status}`)
    }
    t.equal((await client.get('/v1/status/leader')).status, 200)
  }
})

t.test('near miss: as deep as is taken', async t => {
  const { client } = await startFace(t)
  const entry = (depth: number): Buffer =>
    Buffer.from(`{"Kind":"proxy-defaults","Name":"global","Config":{"c":${objects(depth)}}}`)
  // Two levels stand around it.
  const taken = await client.raw('PUT', '/v1/config', entry(limits.jsonDepth - 2))
  t.equal(taken.status, 200, taken.text)
  const deeper = await client.raw('PUT', '/v1/config', entry(limits.jsonDepth - 1))
  t.equal(deeper.status, 400)
  t.match(deeper.text, /max depth/)
})

t.test('whether a request is let in is settled before its body is parsed, or read', async t => {
  const bad = Buffer.from('{'.repeat(100_000))
  const rates = { ...NO_RATES, mode: 'enforcing', writePerSecond: 0.000_1 } as const
  const rated = await startFace(t, { rates })
  for (const { method, path } of jsonWrites.filter(each => !/^\/v1\/agent\//.test(each.path))) {
    const { status, text } = await rated.client.raw(method, path, bad)
    if (method === 'GET') continue
    t.equal(status, 503, `${method} ${path}`)
    t.match(text, 'Rate limit reached')
  }
  const shut = await startFace(t, { blockEndpoints: ['/v1/'], allowWriteFrom: ['10.0.0.0/8'] })
  for (const { method, path } of jsonWrites) {
    const raw = await connectRaw(t, shut)
    raw.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n{`)
    t.match(await raw.closed(), /^HTTP\/1\.1 403 /, `${method} ${path}: nobody waits for the rest`)
  }
})

t.test('generated: any JSON is refused by its depth, and is never a fault of ours', async t => {
  const faults: string[] = []
  const log: LiveLog = {
    ...silentLog,
    error: (text, fields) => void faults.push(`${text} ${JSON.stringify(fields)}`),
  }
  const { client } = await startFace(t, { log, acl: { defaultPolicy: 'allow' } })
  const { json } = fc.letrec<{ json: unknown }>(tie => ({
    json: fc.oneof(
      { maxDepth: 12, depthSize: 'large' },
      fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null)),
      fc.array(tie('json'), { maxLength: 4 }),
      fc.dictionary(
        fc.oneof(fc.string(), fc.constantFrom('Name', 'ID', 'Check', 'Meta')),
        tie('json'),
        { maxKeys: 4 },
      ),
    ),
  }))
  const property = fc.asyncProperty(
    json,
    fc.integer({ min: 0, max: 90 }),
    fc.constantFrom(...jsonWrites),
    async (value, depth, { method, path }) => {
      const text = '['.repeat(depth) + JSON.stringify(value) + ']'.repeat(depth)
      const { status } = await client.raw(method, path, Buffer.from(text))
      return faults.length === 0 && (depth <= limits.jsonDepth || (status >= 400 && status < 500))
    },
  )
  await fc.assert(property, { numRuns: 3 * propertyRuns() })
  t.same(faults, [])
})
