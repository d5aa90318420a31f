/** The secrets over HTTP: verbs, headers, bodies and errors as Vault's clients know them. */
import { once } from 'node:events'
import { connect } from 'node:net'
import tap, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { Metrics } from '../../../src/base/metrics.ts'
import { Admission, NO_RATES, type RequestRates } from '../../../src/http/admission.ts'
import { InFlight } from '../../../src/http/secrets/in-flight.ts'
import { createSecretsFace } from '../../../src/http/secrets/server.ts'
import { openSecrets, ROOT_TOKEN } from '../../secrets/harness.ts'
import { testRuntime } from '../../secrets/ports.ts'
import { boundsOfTests } from '../harness.ts'

tap.test('a secret is written and read', async t => {
  const { ask } = await openFace(t)
  const written = await ask('PUT', '/v1/plain/a', { body: '{"password":"x"}' })
  t.equal(written.status, 204)
  const read = await ask('GET', '/v1/plain/a')
  t.equal(read.status, 200)
  t.equal(read.headers.get('cache-control'), 'no-store')
  t.equal(read.headers.get('content-type'), 'application/json')
  t.match(await read.json(), { data: { password: 'x' }, request_id: /^[0-9a-f-]{36}$/ })
  const listed = await ask('GET', '/v1/plain?list=true')
  t.match(await listed.json(), { data: { keys: ['a'] } })
})

tap.test('LIST and SCAN are verbs, and what HTTP knows besides is none', async t => {
  const { ask } = await openFace(t)
  await ask('PUT', '/v1/plain/a/b', { body: '{"a":1}' })
  const listed = await ask('LIST', '/v1/plain')
  t.match(await listed.json(), { data: { keys: ['a/'] } })
  t.match(await (await ask('LIST', '/v1/plain/a/')).json(), { data: { keys: ['b'] } })
  t.not((await ask('SCAN', '/v1/plain')).status, 400, 'it reaches the mount')
  for (const method of ['LINK', 'SEARCH', 'PROPFIND', 'LOCK']) {
    const response = await ask(method, '/v1/plain')
    t.equal(response.status, 405, method)
    t.equal(await response.text(), '{"errors":[]}')
  }
})

tap.test('HEAD is for health alone', async t => {
  const { ask } = await openFace(t)
  const health = await ask('HEAD', '/v1/sys/health?activecode=299', { token: '' })
  t.equal(health.status, 299)
  t.equal(await health.text(), '')
  t.equal((await ask('HEAD', '/v1/sys/health?activecode=x', { token: '' })).status, 400)
  t.equal((await ask('HEAD', '/v1/sys/mounts')).status, 405)
})

tap.test('bodies have bounds of depth and number, and keep their digits', async t => {
  const { ask } = await openFace(t)
  const deep = `{"a":${'['.repeat(100)}${']'.repeat(100)}}`
  const refused = await ask('PUT', '/v1/plain/a', { body: deep })
  t.equal(refused.status, 400)
  t.match(await refused.text(), /error parsing JSON: more than 64 lists and objects/)
  await ask('PUT', '/v1/plain/a', { body: '{"n":18446744073709551617,"__proto__":{"x":1}}' })
  const read = await (await ask('GET', '/v1/plain/a')).text()
  t.match(read, '"n":18446744073709551617')
  t.match(read, '"__proto__":{"x":1}')
})

tap.test('what curl sends as a form is JSON, and a form is a form', async t => {
  const { ask } = await openFace(t)
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
  await ask('POST', '/v1/plain/json', { body: ' {"a":1}', headers })
  t.match(await (await ask('GET', '/v1/plain/json')).json(), { data: { a: 1 } })
  await ask('POST', '/v1/plain/form', { body: 'a=1&b=x%20y&b=z', headers })
  t.match(await (await ask('GET', '/v1/plain/form')).json(), { data: { a: '1', b: 'x y,z' } })
})

tap.test('what is refused says why', async t => {
  const { ask } = await openFace(t)
  const cases: [string, string, object, number, RegExp][] = [
    ['GET', '/v1/plain/a/..%2fb', {}, 400, /relative paths not supported/],
    ['PUT', '/v1/plain/a/', { body: '{"a":1}' }, 400, /cannot write to a path ending in '\/'/],
    ['PUT', '/v1/plain/a', { body: '{"a":' }, 400, /error parsing JSON/],
    ['PATCH', '/v1/plain/a', { body: '{}' }, 415, /PATCH requires Content-Type/],
    ['GET', '/elsewhere', {}, 404, /\{"errors":\[\]\}/],
    ['GET', '/v1/plain/a?list=maybe', {}, 400, /\{"errors":\[\]\}/],
    ['GET', '/v1/plain/a', { token: 'nobody' }, 403, /invalid token/],
    ['GET', '/v1/plain/a', { token: '' }, 403, /1 error occurred:\\n\\t\* permission denied\\n\\n/],
  ]
  for (const [method, path, more, status, text] of cases) {
    const response = await ask(method, path, more)
    t.equal(response.status, status, `${method} ${path}`)
    t.match(await response.text(), text)
  }
})

tap.test('pages of other origins are answered as it is set', async t => {
  const { ask } = await openFace(t)
  const headers = { Origin: 'https://web.example' }
  t.equal((await ask('GET', '/v1/sys/mounts', { headers })).headers.get('vary'), null)
  await ask('PUT', '/v1/sys/config/cors', { body: '{"allowed_origins":"https://web.example"}' })
  const allowed = await ask('GET', '/v1/sys/mounts', { headers })
  t.equal(allowed.headers.get('access-control-allow-origin'), 'https://web.example')
  const refused = await ask('GET', '/v1/sys/mounts', { headers: { Origin: 'https://x' } })
  t.equal(refused.status, 403)
  t.match(await refused.json(), { errors: ['origin not allowed'] })
  const first = { ...headers, 'Access-Control-Request-Method': 'PUT' }
  const preflight = await ask('OPTIONS', '/v1/sys/mounts', { headers: first, token: '' })
  t.equal(preflight.status, 204)
  t.match(preflight.headers.get('access-control-allow-methods'), 'PUT')
})

tap.test('what goes on is sent as it comes, and requests are known while they are', async t => {
  const { ask } = await openFace(t)
  const log = await ask('GET', '/v1/sys/monitor')
  t.equal(log.headers.get('content-type'), 'text/plain; charset=utf-8')
  const reader = log.body!.getReader()
  t.equal(Buffer.from((await reader.read()).value!).toString(), '[INFO]  hello\n')
  const { data } = (await (await ask('GET', '/v1/sys/in-flight-req')).json()) as {
    readonly data: Record<string, { readonly request_path: string }>
  }
  const paths = Object.values(data).map(each => each.request_path)
  t.strictSame(paths.sort(), ['/v1/sys/in-flight-req', '/v1/sys/monitor'])
  await reader.cancel()
})

tap.test('the rates of the configuration hold here too, but for who is well', async t => {
  const rates = { ...NO_RATES, mode: 'enforcing' as const, readPerSecond: 0.2, writePerSecond: 0.1 }
  const { ask, denials } = await openFace(t, rates)
  t.equal((await ask('PUT', '/v1/plain/a', { body: '{"a":1}' })).status, 204)
  const refused = await ask('PUT', '/v1/plain/a', { body: '{"a":' })
  t.equal(refused.status, 503, 'before its body is looked at')
  t.match(await refused.json(), { errors: ['Rate limit reached, try again later'] })
  const reads = [await ask('LIST', '/v1/plain'), await ask('GET', '/v1/plain/a')]
  t.strictSame(
    reads.map(({ status }) => status),
    [200, 200],
  )
  const turnedAway = await ask('LIST', '/v1/plain?x=secret-1')
  t.equal(turnedAway.status, 429, 'a list is a read')
  t.match(denials.explain(turnedAway.headers.get('x-request-id') ?? ''), {
    ...{ path: 'LIST /v1/plain', reason: /^turned away with 429: Rate limit/, accessor: '' },
  })
  t.equal((await ask('GET', '/v1/sys/health')).status, 200)
})

tap.test('a reload changes how many requests and connections are let in', async t => {
  const { ask, face, port } = await openFace(t)
  const given = { body: '{"a":1}' }
  t.equal((await ask('PUT', '/v1/plain/a', given)).status, 204)
  const rates = { ...NO_RATES, mode: 'enforcing' as const, writePerSecond: 0 }
  face.setLimits({ rates, connectionsPerClient: -1 })
  t.equal((await ask('PUT', '/v1/plain/a', given)).status, 503)
  t.equal((await ask('GET', '/v1/plain/a')).status, 200)
  face.setLimits({ rates: NO_RATES, connectionsPerClient: 1 })
  const [one, other] = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  t.teardown(() => [one, other].map(socket => socket.destroy()))
  const [refused] = (await once(other, 'data')) as [Buffer]
  t.match(refused.toString('latin1'), /^HTTP\/1.1 429 /)
  face.setLimits({ rates: NO_RATES, connectionsPerClient: -1 })
  t.equal((await ask('PUT', '/v1/plain/a', given)).status, 204)
})

tap.test('a rate limit speaks before a long body is read, and counts it once', async t => {
  const { ask } = await openFace(t)
  const limit = { path: 'plain/', rate: 3, interval: '1h' }
  await ask('PUT', '/v1/sys/quotas/rate-limit/few', { body: JSON.stringify(limit) })
  const long = JSON.stringify({ a: 'x'.repeat(5_000) })
  t.equal((await ask('PUT', '/v1/plain/a', { body: long })).status, 204)
  t.equal((await ask('PUT', '/v1/plain/a', { body: `${long}{` })).status, 400)
  t.equal((await ask('GET', '/v1/plain/a')).status, 200)
  t.equal((await ask('PUT', '/v1/plain/a', { body: `${long}{` })).status, 429, 'as it is no JSON')
  t.equal((await ask('PUT', '/v1/plain/a', { body: '{' })).status, 400, 'a short one is read')
  t.equal((await ask('PUT', '/v1/plain/a', { body: '{"a":1}' })).status, 429)
  t.equal((await ask('GET', '/v1/sys/health')).status, 200)
})

interface Sent {
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: string
}

async function openFace(t: Test, requestRates: RequestRates = NO_RATES) {
  const metrics = new Metrics(systemClock)
  const inFlight = new InFlight(systemClock, metrics)
  const runtime = testRuntime({ inFlight: () => inFlight.all() })
  const test = await openSecrets(t, { ports: { runtime } })
  await test.mount('kv', 'plain/')
  const { denials, secrets } = test
  const log = silentLog
  const rates = { blockEndpoints: [], allowWriteFrom: [], rates: requestRates }
  const face = createSecretsFace({
    ...boundsOfTests,
    ...{ secrets, denials, log, inFlight, random: systemRandom },
    admission: new Admission({ clock: systemClock, log, metrics, ...rates }),
  })
  t.teardown(() => face.close())
  const { port } = await face.listen('127.0.0.1', 0)
  const ask = (
    method: string,
    path: string,
    { body, headers = {}, token = ROOT_TOKEN }: Sent = {},
  ) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: { ...(token === '' ? {} : { 'X-Vault-Token': token }), ...headers },
      ...(body === undefined ? {} : { body }),
    })
  return { ask, denials, face, port }
}

tap.test('what cannot be read of where requests come from is one bad answer', async t => {
  const lines: string[] = []
  const log = { ...silentLog, error: (text: string) => void lines.push(text) }
  const cors = (): never => {
    throw new Error('a row cannot be opened')
  }
  const test = await openSecrets(t)
  const face = createSecretsFace({
    ...boundsOfTests,
    secrets: { cors, rate: () => undefined, handle: request => test.secrets.handle(request) },
    ...{ log, random: systemRandom },
    admission: new Admission({
      ...{ clock: systemClock, log, metrics: new Metrics(systemClock) },
      ...{ blockEndpoints: [], allowWriteFrom: [], rates: NO_RATES },
    }),
  })
  t.teardown(() => face.close())
  const { port } = await face.listen('127.0.0.1', 0)
  const ask = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${port}/v1/auth/token/lookup-self`, { headers })
  const origin = { Origin: 'https://web.example' }
  // Beside each other: the first is begun as it comes, the others in a later turn.
  const answers = await Promise.all([ask(origin), ask(origin), ask(origin)])
  t.strictSame(
    answers.map(({ status }) => status),
    [500, 500, 500],
  )
  t.strictSame(new Set(lines), new Set(['a request failed']))
  t.equal((await ask({})).status, 403)
})
