/**
 * Class 35: a setting that somebody writes over the API names a file, and its content comes back in
 * an error, a certificate or a policy (CVE-2026-2808). No body has a field for a file; and where a
 * text or an address is expected, the name of a file is that text, or refused.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { freshFolder } from '../fake/folder.ts'
import { ROOT } from '../http/acl.ts'
import { declaredPaths } from '../http/declared.ts'
import { startFace } from '../http/harness.ts'
import { propertyRuns } from '../run/budget.ts'

const CANARY = 'c4n4ry-of-a-file'

/** Names of fields in a schema, however deep. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties = {} } = schema as { properties?: object }
  return [...Object.keys(properties), ...Object.values(schema).flatMap(fieldsOf)]
}

const A_FILE = /file|path|dir|folder|location|include|import/i

/** What sounds like it, and is none that is opened. */
const ALLOWED: Readonly<Record<string, string>> = {
  SocketPath: 'where clients of a service find its socket; told, never opened here',
  Path: 'the path of a URL, in what proxies are told',
  PathExact: 'the path of a URL that intentions compare',
  PathPrefix: 'the same',
  PathRegex: 'the same',
  LocalPathPort: 'a port',
  ListenerPort: 'a port',
  Paths: 'paths of URLs, in what proxies are told',
  Direction: 'a word',
  DisableRedirects: 'whether a check follows any',
  LocalBindSocketPath: 'told to proxies',
  LocalServiceSocketPath: 'told to proxies',
}

t.test('no body has a field that names a file', async t => {
  const found = declaredPaths.flatMap(({ path, operations }) =>
    Object.entries(operations).flatMap(([method, operation]) => {
      const body = 'body' in operation ? operation.body : undefined
      if (body === undefined || !('shape' in body)) return []
      return fieldsOf(body.shape.schema).map(field => ({ field, at: `${method} ${path}` }))
    }),
  )
  t.ok(found.length > 200, `${found.length} fields`)
  const wrong = found.filter(({ field }) => A_FILE.test(field) && !Object.hasOwn(ALLOWED, field))
  t.strictSame([...new Set(wrong.map(({ field, at }) => `${field}: ${at}`))], [])
  for (const name of ['CAFile', 'ca_path', 'KeyDir', 'Include']) t.match(name, A_FILE, 'near miss')
})

/** Ways to name a file where a text or an address belongs. */
const namesOf = (path: string): string[] => [
  ...[path, `file://${path}`, `FILE://${path}`, `file:${path}`, `@${path}`, `<${path}`],
  ...[`unix://${path}`, `data:text/plain;base64,eA==`, `https://x${path}`, `\${file("${path}")}`],
]

t.test('attack: files instead of rules, keys, addresses and values', async t => {
  const path = join(freshFolder(t), 'file')
  writeFileSync(path, CANARY)
  const { client } = await startFace(t, { acl: {} })
  const root = client.as(ROOT)
  let taken = 0
  for (const name of namesOf(path)) {
    const config = (fields: object): object => ({ Name: 'm', Type: 'jwt', Config: fields })
    const bodies: readonly (readonly [path: string, body: object | string])[] = [
      ['/v1/acl/policy', { Name: `p${taken}`, Rules: name }],
      [
        '/v1/acl/condition/c',
        { Expression: name, Level: 'advisory', Operations: [{ Resource: 'key' }] },
      ],
      ['/v1/acl/auth-method', config({ JWKSURL: name })],
      ['/v1/acl/auth-method', config({ JWKSURL: 'https://x.example', JWKSCACert: name })],
      ['/v1/acl/auth-method', config({ OIDCDiscoveryURL: name })],
      [
        '/v1/acl/auth-method',
        config({ OIDCDiscoveryURL: 'https://x.example', OIDCDiscoveryCACert: name }),
      ],
      ['/v1/acl/auth-method', config({ JWTValidationPubKeys: [name] })],
      ['/v1/agent/check/register', { Name: 'c', HTTP: name, Interval: '10s' }],
      [
        '/v1/agent/service/register',
        { Name: 's', SocketPath: name, Check: { HTTP: name, Interval: '10s' } },
      ],
      ['/v1/config', { Kind: 'service-defaults', Name: 'x', Meta: { a: name } }],
      ['/v1/kv/a', name],
    ]
    for (const [at, body] of bodies) {
      const { status, text } = await root.raw('PUT', at, body)
      if (status === 200) taken++
      t.ok(status < 500 || !/internal error/.test(text), `${at} ${name}: ${status}`)
      t.notMatch(text, CANARY, `${at} ${name}`)
    }
  }
  for (const at of [
    '/v1/acl/policies',
    '/v1/acl/auth-methods',
    '/v1/agent/checks',
    '/v1/kv/?recurse',
  ]) {
    t.notMatch((await root.raw('GET', at)).text, CANARY, at)
  }
  t.ok(taken > 0, 'near miss: a text is a text')
})

t.test('generated: whatever names a file in the settings of an auth method', async t => {
  const path = join(freshFolder(t), 'file')
  writeFileSync(path, CANARY)
  const { client } = await startFace(t, { acl: {} })
  const root = client.as(ROOT)
  const field = fc.constantFrom('JWKSURL', 'JWKSCACert', 'OIDCDiscoveryURL', 'OIDCDiscoveryCACert')
  const value = fc.tuple(
    fc.constantFrom('', 'file:', 'file://', '/..', '//', ' '),
    fc.constant(path),
  )
  await fc.assert(
    fc.asyncProperty(field, value, field, value, async (one, a, other, b) => {
      const Config = { [one]: a.join(''), [other]: b.join('') }
      const { status, text } = await root.raw('PUT', '/v1/acl/auth-method', {
        ...{ Name: 'm', Type: 'jwt', Config },
      })
      return status !== 200 && !text.includes(CANARY)
    }),
    { numRuns: propertyRuns() },
  )
})
