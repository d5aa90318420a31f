/**
 * Classes 43 and 37, for the secrets: what a client says of its body or of where it comes from
 * (CVE-2025-32442, CVE-2026-25223, CVE-2026-3635, CVE-2026-16732), and what a browser would take
 * for a page (CVE-2020-25864, CVE-2024-10086, CVE-2026-33758).
 */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { openSecretsFace } from '../http/secrets/face.ts'
import { propertyRuns } from '../run/budget.ts'

const FORWARDS = [
  ...['X-Forwarded-For', 'X-Real-IP', 'Forwarded', 'X-Client-IP', 'X-Forwarded', 'Via'],
  ...['X-Cluster-Client-IP', 'CF-Connecting-IP', 'True-Client-IP', 'X-Remote-Addr', 'Client-IP'],
  ...['X-Original-Forwarded-For', 'Forwarded-For', 'X-Forwarded-Host', 'X-ProxyUser-Ip'],
]
const FROM = '10.9.8.7'
const VALUES = [FROM, `${FROM}, 127.0.0.1`, `127.0.0.1, ${FROM}`, `for=${FROM};proto=https`]

async function openBound(test: Test) {
  const face = await openSecretsFace(test)
  const make = async (cidr: string): Promise<string> => {
    await face.secrets.post(`auth/token/roles/r`, { token_bound_cidrs: cidr })
    const got = await face.secrets.post('auth/token/create/r', { policies: 'default' })
    return got.body.auth.client_token
  }
  const [far, near] = [await make(`${FROM}/32`), await make('127.0.0.1/32')]
  const self = async (token: string, headers: readonly string[]) => {
    face.asked.length = 0
    const { status } = await face.send('GET', '/v1/auth/token/lookup-self', { token, headers })
    return { status, remote: face.asked[0]?.facts.remote }
  }
  return { face, far, near, self }
}

t.test('attack: sixty ways to say that one comes from elsewhere', async t => {
  const { face, far, near, self } = await openBound(t)
  const lines = FORWARDS.flatMap(name => VALUES.map(value => `${name}: ${value}`))
  t.ok(lines.length >= 60, `${lines.length} forms`)
  for (const line of lines) {
    t.strictSame(await self(far, [line]), { status: 403, remote: '127.0.0.1' }, line)
  }
  t.equal((await self(near, lines)).status, 200, 'near miss: who comes from there')
  t.notMatch(JSON.stringify(await face.records()), FROM)
})

t.test('generated: any of them together, in any case', async t => {
  const { far, self } = await openBound(t)
  const line = fc.tuple(
    fc.constantFrom(...FORWARDS, ...FORWARDS.map(name => name.toLowerCase())),
    fc.array(fc.constantFrom(...VALUES, '', 'unknown', '::1', 'x'), { minLength: 1, maxLength: 4 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), async lines => {
      const got = await self(
        far,
        lines.map(([name, values]) => `${name}: ${values.join(', ')}`),
      )
      return got.status === 403 && got.remote === '127.0.0.1'
    }),
    { numRuns: propertyRuns() },
  )
})

const TYPES = [
  ...['application/json', 'application/json; charset=utf-16', 'application/json\t;x', 'text/plain'],
  ...['application/jsonx', 'application', '/', ';', '', '*/*', 'text/html', 'multipart/form-data'],
  ...['multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'application/grpc'],
  ...[
    'application/x-www-form-urlencoded; charset=x',
    '__proto__',
    'constructor',
    'a/b; __proto__=x',
  ],
  ...['application/octet-stream', 'application/merge-patch+json', 'APPLICATION/JSON', ' json'],
]

t.test('attack: no type of a body has its fields unread', async t => {
  const face = await openSecretsFace(t)
  for (const type of TYPES) {
    const headers = [`Content-Type: ${type}`]
    const wrong = '{"ttl":{"a":1}}'
    const refused = await face.send('POST', '/v1/auth/token/create', { headers, body: wrong })
    t.equal(refused.status, 400, type)
    t.match(refused.body, /Field validation failed/, type)
    const broken = await face.send('POST', '/v1/plain/a', { headers, body: '{"a":' })
    t.match(broken, { status: 400, body: '{"errors":["error parsing JSON"]}' }, type)
    const taken = await face.send('POST', '/v1/plain/a', { headers, body: '{"a":1}' })
    t.equal(taken.status, 204, `near miss: ${type}`)
  }
})

const PAGE = '<html><script>alert(1)</script></html>'
const SAFE =
  /^content-type: (application\/json|text\/plain; (version=0\.0\.4; )?charset=utf-8)\r?$/im
const NOSNIFF = /^x-content-type-options: nosniff\r?$/im
const NO_STORE = /^cache-control: no-store\r?$/im

t.test('attack: a page in each part of a request is no page in the answer', async t => {
  const face = await openSecretsFace(t)
  const inPath = encodeURIComponent(PAGE)
  const body = JSON.stringify({ [PAGE]: PAGE, type: PAGE, policy: PAGE, path: PAGE })
  await face.send('POST', '/v1/plain/page', { body })
  for (const path of [
    ...['plain/page', `plain/${inPath}`, `sys/mounts/${inPath}`, `sys/policies/acl/${inPath}`],
    ...[inPath, `${inPath}/a`, `sys/internal/explain/${inPath}`, 'sys/health', 'sys/seal-status'],
    ...[
      'sys/wrapping/unwrap',
      `plain/page?help=${inPath}`,
      `plain/page?list=${inPath}`,
      'sys/metrics',
    ],
    ...[`auth/${inPath}/login`, 'sys/metrics?format=prometheus', 'sys/internal/specs/openapi', ''],
  ]) {
    for (const method of ['GET', 'LIST', 'POST', 'DELETE', 'OPTIONS', 'PROPFIND', 'PATCH']) {
      for (const token of [undefined, '', PAGE]) {
        const headers = [`X-Vault-Namespace: ${token === '' ? PAGE : ''}`, `Origin: ${PAGE}`]
        const sent = {
          headers,
          body: method === 'GET' ? '' : body,
          ...(token === undefined ? {} : { token }),
        }
        const { head, status } = await face.send(method, `/v1/${path}`, sent)
        const what = `${method} ${path}: ${status}`
        if (status !== 204) t.match(head, SAFE, what)
        t.match(head, NOSNIFF, what)
        t.match(head, NO_STORE, what)
        t.notMatch(head, /access-control-allow-origin/i, what)
      }
    }
  }
})
