/**
 * The way of a request: headers of every answer, consistency, parameters that all reads share,
 * tokens, and what faults of ours look like.
 */
import t from 'tap'
import { OperatingCode, OperatingError, type Outcome, Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import {
  type Access,
  access,
  everybody,
  type Lack,
  nothingUnmet,
  type Who,
} from '../../src/base/who.ts'
import type { Client } from './client.ts'
import { openMemory } from './engines.ts'
import { startFace, until } from './harness.ts'
import { connectRaw } from './wire.ts'

const READS = ['/v1/catalog/nodes', '/v1/health/state/any', '/v1/kv/?keys', '/v1/session/list']

t.test('trap 01: every read carries index, leader and last contact together', async t => {
  const { client } = await startFace(t)
  for (const path of [...READS, '/v1/kv/none', '/v1/catalog/node/none']) {
    const { headers } = await client.get(path)
    t.match(headers['x-consul-index'], /^[1-9]\d*$/, path)
    t.equal(headers['x-consul-knownleader'], 'true')
    t.equal(headers['x-consul-lastcontact'], '0')
    t.equal(headers['x-consul-query-backend'], 'blocking-query')
  }
})

t.test('trap 34: the default policy is on every answer', async t => {
  const { client } = await startFace(t, { responseHeaders: { 'X-Site': 'one' } })
  const answers = [
    await client.get('/v1/status/leader'),
    await client.put('/v1/kv/a', 'x'),
    await client.get('/v1/kv/a?raw'),
    await client.raw('GET', '/v1/nosuch'),
    await client.raw('POST', '/v1/kv/a'),
    await client.get('/v1/kv/'),
    await client.raw('OPTIONS', '/v1/kv/a'),
  ]
  for (const { headers } of answers) {
    t.equal(headers['x-consul-default-acl-policy'], 'allow')
    t.equal(headers['x-site'], 'one', 'as do headers of the configuration')
  }
})

t.test('consistency: echoed by catalog and health, refused where it conflicts', async t => {
  const { client } = await startFace(t)
  const modes = { '': 'leader', stale: 'stale', consistent: 'consistent', leader: 'leader' }
  for (const [mode, effective] of Object.entries(modes)) {
    const { headers } = await client.get(`/v1/catalog/nodes?${mode}`)
    t.equal(headers['x-consul-effective-consistency'], effective, mode)
  }
  t.equal(
    (await client.get('/v1/kv/?keys&stale')).headers['x-consul-effective-consistency'],
    undefined,
  )
  for (const [query, other] of Object.entries({ stale: '', cached: '', 'max_stale=1s': 'stale' })) {
    const refused = await client.get(`/v1/catalog/nodes?consistent&${query}`)
    t.equal(refused.status, 400)
    const text = `Cannot specify ?${other || query} with ?consistent, conflicting semantics.`
    t.equal(refused.text, text)
  }
})

const effectiveOf = async (client: Client, url: string) =>
  (await client.get(url)).headers['x-consul-effective-consistency']

t.test('a bound on age makes a read stale, and discovery has one of its own', async t => {
  const { client } = await startFace(t)
  t.equal(await effectiveOf(client, '/v1/catalog/nodes?max_stale=10s'), 'stale')
  t.equal(await effectiveOf(client, '/v1/catalog/nodes?max_stale=0s'), 'leader')
  const discovery = await startFace(t, { discoveryMaxStaleMs: 10_000 })
  const effective: Record<string, string> = {
    '/v1/catalog/nodes': 'stale',
    '/v1/health/service/web?index=1&wait=1ms': 'stale',
    '/v1/catalog/nodes?leader': 'leader',
    '/v1/catalog/nodes?consistent': 'consistent',
    '/v1/health/state/any?stale': 'stale',
  }
  for (const [url, mode] of Object.entries(effective)) {
    t.equal(await effectiveOf(discovery.client, url), mode, url)
  }
})

t.test('on a shared store a view that is older than it may be is not answered from', async t => {
  const store = await openMemory()
  let asked = 0
  const readIndex = store.readIndex.bind(store)
  Object.defineProperty(store, 'supports', { value: { ...store.supports, shared: true } })
  store.readIndex = () => {
    asked++
    return readIndex()
  }
  const age = { ageMs: () => 400, isDegraded: false }
  const { client } = await startFace(t, { open: async () => store, age })
  const asks = async (query: string) => {
    asked = 0
    const { headers } = await client.raw('GET', `/v1/catalog/nodes?${query}`)
    const { 'x-consul-lastcontact': contact, 'x-consul-knownleader': known } = headers
    return [headers['x-consul-effective-consistency'], contact, known, asked]
  }
  t.strictSame(await asks('stale'), ['stale', '400', 'true', 0])
  t.strictSame(await asks('stale&max_stale=10s'), ['stale', '400', 'true', 0])
  t.strictSame(await asks(''), ['leader', '0', 'true', 1])
  age.ageMs = () => 10_001
  age.isDegraded = true
  t.strictSame(await asks('stale&max_stale=10s'), ['leader', '0', 'true', 1])
  t.strictSame(await asks('stale'), ['stale', '10001', 'false', 0])
})

t.test(
  'on a shared store each default read is confirmed, be its question known or not',
  async t => {
    const store = await openMemory()
    let asked = 0
    let meanwhile = async (): Promise<unknown> => undefined
    const readIndex = store.readIndex.bind(store)
    Object.defineProperty(store, 'supports', { value: { ...store.supports, shared: true } })
    store.readIndex = async () => {
      asked++
      await meanwhile()
      return readIndex()
    }
    let isKnown = true
    const nobody = new Refusal(403, 'ACL not found')
    const authenticate = (token: string): Who | Refusal =>
      token === '' || isKnown ? { ...everybody, rights: token } : nobody
    // Whose age is given asks for no point by itself, which would be counted along.
    const age = { ageMs: () => 0, isDegraded: false }
    const open = async () => store
    const { client } = await startFace(t, { open, age, authority: { authenticate } })
    const headers = { 'X-Consul-Token': 'some' }
    const read = async () => {
      const { status, text } = await client.raw('GET', '/v1/kv/a?raw', '', { headers })
      return [status, text, asked]
    }
    await client.put('/v1/kv/a', 'x')
    asked = 0
    t.strictSame(await read(), [200, 'x', 1])
    t.strictSame(await read(), [200, 'x', 2], 'and once it is known')
    meanwhile = () => client.put('/v1/kv/a', 'y')
    t.strictSame(await read(), [200, 'y', 3], 'what was written before the answer is in it')
    meanwhile = async () => {
      isKnown = false
    }
    t.strictSame(await read(), [403, 'ACL not found', 4], 'whose token went meanwhile is refused')
    isKnown = true
    meanwhile = () => Promise.reject(new OperatingError(OperatingCode.unavailable, 'no etcd'))
    t.match(await read(), [500, /No cluster leader/, 5])
  },
)

t.test('a read that may be stale is asked anew when its view is young again', async t => {
  const store = await openMemory()
  Object.defineProperty(store, 'supports', { value: { ...store.supports, shared: true } })
  const age = { ageMs: () => 20_000, isDegraded: false }
  const options = { discoveryMaxStaleMs: 10_000, age }
  const { client } = await startFace(t, { open: async () => store, ...options })
  const url = '/v1/health/service/web'
  t.equal(await effectiveOf(client, url), 'leader')
  t.equal(await effectiveOf(client, url), 'leader')
  age.ageMs = () => 1_000
  t.equal(await effectiveOf(client, url), 'stale')
  age.ageMs = () => 20_000
  t.equal(await effectiveOf(client, url), 'leader')
})

t.test('cached tells whether the answer was there; it is as new either way', async t => {
  const { client } = await startFace(t)
  const of = async (url: string, headers = {}) => {
    const answered = await client.get(url, { headers })
    const { 'x-cache': cache, age, 'x-consul-query-backend': backend } = answered.headers
    return [cache, age, backend]
  }
  const url = '/v1/health/service/web?cached'
  t.strictSame(await of(url), ['MISS', undefined, 'streaming'])
  t.strictSame(await of(url), ['HIT', '0', 'streaming'])
  t.strictSame(await of(url, { 'Cache-Control': 'max-age=5' }), ['HIT', '0', 'streaming'])
  t.equal((await client.get(url, { headers: { 'Cache-Control': 'max-age=x' } })).status, 400)
  await client.put('/v1/agent/service/register', { Name: 'web' })
  t.strictSame(await of(url), ['MISS', undefined, 'streaming'], 'what changed is made anew')
  t.equal((await client.get(url)).json.length, 1)
  t.strictSame(await of('/v1/health/service/web'), [undefined, undefined, 'blocking-query'])
  t.strictSame(await of(`${url}&near=_agent`), ['MISS', undefined, 'blocking-query'])
  for (const path of ['/v1/catalog/services', '/v1/catalog/service/web']) {
    t.strictSame(await of(`${path}?cached`), ['MISS', undefined, 'blocking-query'], path)
    t.strictSame(await of(`${path}?cached`), ['HIT', '0', 'blocking-query'], path)
  }
  t.equal((await of('/v1/catalog/datacenters?cached'))[0], 'MISS')
  t.equal((await of('/v1/session/list?cached'))[0], undefined, 'not where Consul caches nothing')
  const off = await startFace(t, { usesCache: false })
  const { headers } = await off.client.get(url)
  t.equal(headers['x-cache'], undefined)
  t.equal(headers['x-consul-query-backend'], 'blocking-query')
})

t.test('who waits for the health of a service is told of a stream', async t => {
  const { client } = await startFace(t)
  const { index } = await client.get('/v1/health/service/web')
  const url = `/v1/health/service/web?index=${index}&wait=1ms`
  const backendOf = async (url: string) => (await client.get(url)).headers['x-consul-query-backend']
  t.equal(await backendOf(url), 'streaming')
  t.equal(await backendOf(`${url}&near=_agent`), 'blocking-query')
  t.equal(await backendOf('/v1/health/service/web'), 'blocking-query', 'headers are not mixed up')
  t.equal(await backendOf(`/v1/health/checks/web?index=${index}&wait=1ms`), 'blocking-query')
})

t.test('parameters that every read takes', async t => {
  const { client } = await startFace(t)
  const refused: Record<string, [number, string]> = {
    'index=x': [400, 'Invalid index'],
    'wait=10': [400, 'Invalid wait time'],
    'max_stale=1': [400, 'Invalid max_stale value "1"'],
    'dc=elsewhere': [500, 'No path to datacenter'],
    'filter=None==a': [
      500,
      'Failed to create boolean expression evaluator: Selector "None" is not valid',
    ],
    'ns=a': [400, 'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'],
    'tag=%zz': [500, ''],
  }
  for (const path of ['/v1/catalog/nodes', '/v1/health/service/web']) {
    for (const [query, [status, text]] of Object.entries(refused)) {
      const answered = await client.get(`${path}?${query}`)
      t.equal(answered.status, status, query)
      t.equal(answered.text, text)
    }
  }
  for (const fine of ['dc=dc1', 'dc=', 'ns=default', 'near=_agent', 'near=nobody', 'segment=x']) {
    t.equal((await client.get(`/v1/catalog/nodes?${fine}`)).json.length, 1, fine)
  }
})

t.test('headers are looked at also where the URL was answered before', async t => {
  const { client } = await startFace(t)
  const path = '/v1/catalog/nodes'
  for (let i = 0; i < 2; i++) t.equal((await client.get(path)).status, 200)
  const asked = (headers: Record<string, string>) => client.get(path, { headers })
  t.equal((await asked({ 'X-Consul-Namespace': 'a' })).status, 400)
  t.equal((await asked({ 'X-Consul-Partition': 'a' })).status, 400)
  t.equal((await asked({ 'X-Consul-Namespace': 'default' })).status, 200)
  t.equal((await asked({ 'Cache-Control': 'max-age=x' })).text, 'Invalid Cache-Control header.')
  t.equal((await asked({ 'Cache-Control': 'max-age=10' })).status, 200)
})

t.test('who may less is not answered what others were', async t => {
  let who: Who = everybody
  const { client } = await startFace(t, { authority: { authenticate: () => who } })
  await client.put('/v1/kv/secret', 'x')
  t.equal((await client.get('/v1/kv/secret?raw')).text, 'x')
  who = { accessor: 'a1', rights: 'none', may: () => false }
  const denied = await client.get('/v1/kv/secret?raw')
  t.equal(denied.status, 403)
  const words = "token with AccessorID 'a1' lacks permission 'key:read' on \"secret\""
  t.equal(denied.text, `Permission denied: ${words}`)
  t.strictSame((await client.get('/v1/catalog/nodes')).json, [], 'lists are filtered')
  who = { ...who, accessor: 'anonymous' }
  t.match((await client.get('/v1/kv/secret')).text, /^Permission denied: anonymous token lacks/)
})

t.test('pretty: by parameter, or always', async t => {
  const { client } = await startFace(t)
  await client.put('/v1/kv/a', 'x')
  t.match((await client.get('/v1/kv/a?pretty')).text, /^\[\n {4}\{\n {8}"LockIndex": 0,/)
  t.match((await client.get('/v1/agent/version?pretty')).text, /^\{\n {4}"SHA"/)
  t.match((await client.get('/v1/kv/a')).text, /^\[\{"LockIndex":0,/)
  const dev = await startFace(t, { pretty: true })
  t.match((await dev.client.get('/v1/status/leader')).text, /^"127.0.0.1:8300"\n$/)
  t.equal((await dev.client.get('/v1/kv/none')).text, '')
})

t.test('a store that fails: reads say so in their headers, writes what became of them', async t => {
  let fault: OperatingError | undefined
  const store = await openMemory()
  const { write } = store
  store.write = async decide => {
    if (fault !== undefined) throw fault
    return write.call(store, decide) as never
  }
  const { client } = await startFace(t, { open: async () => store })
  const faults: [OperatingCode, Outcome, number, RegExp][] = [
    [OperatingCode.unavailable, 'none', 500, /^No cluster leader/],
    [OperatingCode.busy, 'none', 429, /^because$/],
    [OperatingCode.limit, 'none', 413, /too large.*Value exceeds/],
    [OperatingCode.stopped, 'unknown', 500, /^because$/],
  ]
  for (const [code, outcome, status, text] of faults) {
    fault = new OperatingError(code, 'because', outcome)
    const answered = await client.raw('PUT', '/v1/kv/a', 'x')
    t.equal(answered.status, status, code)
    t.match(answered.text, text)
  }
  fault = undefined
  store.view = () => {
    throw new OperatingError(OperatingCode.unavailable, 'gone')
  }
  const read = await client.raw('GET', '/v1/catalog/nodes')
  t.equal(read.status, 500)
  t.equal(read.text, 'No cluster leader (gone)')
  t.equal(read.headers['x-consul-index'], '1')
  t.equal(read.headers['x-consul-knownleader'], 'false')
  t.equal(read.headers['x-consul-lastcontact'], '0')
})

t.test('a bug is one bad answer, told to the log and not to the client', async t => {
  const logged: unknown[] = []
  const log = { ...silentLog, error: (...all: unknown[]) => void logged.push(all) }
  let isBad = false
  const who: Who = {
    ...everybody,
    may: (_: Access) => {
      if (isBad) throw new Error('a bug, with secrets in it')
      return true
    },
  }
  const { client } = await startFace(t, { authority: { authenticate: () => who }, log })
  isBad = true
  for (const [method, path] of [
    ['GET', '/v1/kv/a'],
    ['GET', '/v1/catalog/nodes'],
    ['PUT', '/v1/kv/a'],
    ['GET', '/v1/agent/self'],
  ] as const) {
    const answered = await client.raw(method, path)
    t.equal(answered.status, 500, path)
    t.equal(answered.text, 'internal error')
  }
  t.equal(logged.length, 4)
  isBad = false
  t.equal((await client.get('/v1/catalog/nodes')).status, 200)
})

t.test('the same of an answer that was waited for', async t => {
  let isBad = false
  let wake = (): void => {}
  const authority = {
    authenticate(): Who {
      if (isBad) throw new Error('a bug')
      return everybody
    },
    watch(_who: Who, changed: () => void) {
      wake = changed
      return () => {}
    },
  }
  const { client, waiting } = await startFace(t, { authority })
  const asking = client.raw('GET', '/v1/kv/a?index=999999&wait=60s')
  await waiting(1)
  isBad = true
  wake()
  const { status, text } = await asking
  isBad = false
  t.equal(status, 500)
  t.equal(text, 'internal error')
  t.equal((await client.get('/v1/catalog/nodes')).status, 200)
})

t.test('each request has an id, on every answer', async t => {
  const { client } = await startFace(t)
  const ids = new Set<string>()
  const paths = ['/v1/status/leader', '/v1/catalog/nodes', '/v1/catalog/nodes', '/v1/kv/none']
  const reads = [...paths, '/nosuch'].map(path => ['GET', path] as const)
  const asked = [...reads, ['PUT', '/v1/kv/a'] as const]
  for (const [method, path] of asked) {
    const { headers } = await client.raw(method, path)
    const id = String(headers['x-request-id'])
    t.match(id, /^[0-9a-f-]{13}-[0-9a-z]+$/, path)
    ids.add(id)
  }
  t.equal(ids.size, asked.length, 'each another one')
})

t.test(
  'what a request lacked is noted, and a filtered list says so to who shows a token',
  async t => {
    const lacks: Lack[] = []
    let who: Who = everybody
    const authority = { authenticate: () => who, note: (lack: Lack) => void lacks.push(lack) }
    const { client } = await startFace(t, { authority })
    for (const key of ['a/open', 'a/secret']) await client.put(`/v1/kv/${key}`, 'x')
    t.strictSame(lacks, [])
    const may = ({ name }: Access): boolean => !name.includes('secret')
    who = { accessor: 'a1', rights: 'some', may }
    const denied = await client.get('/v1/kv/a/secret')
    const [refused] = lacks.splice(0)
    const operation = 'GET /v1/kv/{key}'
    const { lacking, ...rest } = refused!
    t.strictSame(rest, {
      id: denied.headers['x-request-id'],
      who,
      operation,
      name: 'a/secret',
      outcome: 'refused',
      count: 1,
      unmet: nothingUnmet,
    })
    t.strictSame(lacking, [access('read', 'key', 'a/secret')])
    for (const _ of ['rendered', 'kept', 'known by its URL']) {
      const listed = await client.get('/v1/kv/a/?keys')
      t.strictSame(listed.json, ['a/open'])
      t.equal(listed.headers['x-consul-results-filtered-by-acls'], 'true')
      const [filtered] = lacks.splice(0)
      t.equal(filtered?.outcome, 'filtered')
      t.equal(filtered?.id, listed.headers['x-request-id'])
      t.strictSame(filtered?.lacking, [access('read', 'key', 'a/secret')])
    }
    const whole = await client.get('/v1/kv/a/open?recurse')
    t.equal(whole.headers['x-consul-results-filtered-by-acls'], undefined, 'nothing was left out')
    who = { ...who, accessor: 'anonymous' }
    const anonymous = await client.get('/v1/kv/a/?keys')
    t.equal(anonymous.headers['x-consul-results-filtered-by-acls'], undefined)
    t.equal(lacks.length, 1, 'noted all the same')
  },
)

t.test('a token that nobody has is refused, but where no right is asked for', async t => {
  const authority = {
    authenticate: (token: string) => (token === '' ? everybody : new Refusal(403, 'ACL not found')),
  }
  const { client } = await startFace(t, { authority })
  const headers = { 'X-Consul-Token': 'nosuch' }
  for (const [method, path] of [
    ['GET', '/v1/kv/a'],
    ['PUT', '/v1/kv/a'],
    ['GET', '/v1/agent/self'],
  ] as const) {
    const answered = await client.raw(method, path, '', { headers })
    t.strictSame([answered.status, answered.text], [403, 'ACL not found'], path)
  }
  t.equal((await client.raw('GET', '/v1/status/leader', '', { headers })).status, 200)
  for (const given of ['token=nosuch', 'a=b&token=nosuch']) {
    t.equal((await client.get(`/v1/catalog/nodes?${given}`)).status, 403, given)
  }
  const bearer = { Authorization: 'bearer nosuch' }
  t.equal((await client.raw('GET', '/v1/kv/a', '', { headers: bearer })).status, 403)
})

t.test('who loses a right while it waits does not wait on', async t => {
  let who: Who | Refusal = { accessor: 'a1', rights: 'all', may: () => true }
  const watching = new Set<() => void>()
  const authority = {
    authenticate: () => who,
    watch: (_who: Who, changed: () => void) => {
      watching.add(changed)
      return () => void watching.delete(changed)
    },
  }
  const change = (now: Who | Refusal): void => {
    who = now
    for (const changed of watching) changed()
  }
  const { client, waiting } = await startFace(t, { authority })
  await client.put('/v1/kv/a/secret', 'x')
  const wait = async (path: string) => {
    const { headers } = await client.get(path)
    const index = headers['x-consul-index']!
    const asking = client.get(`${path}${path.includes('?') ? '&' : '?'}index=${index}&wait=60s`)
    await waiting(1)
    t.equal(watching.size, 1)
    return { index: Number(index), asking }
  }
  const one = await wait('/v1/kv/a/secret')
  change({ accessor: 'a1', rights: 'none', may: () => false })
  t.equal((await one.asking).status, 403)
  change({ accessor: 'a1', rights: 'all', may: () => true })
  const list = await wait('/v1/kv/a/?keys')
  await client.put('/v1/kv/other', 'x')
  // Keys may be listed; whether they are shown is another right.
  change({ accessor: 'a1', rights: 'none', may: ({ capability }) => capability === 'list' })
  const filtered = await list.asking
  t.equal(filtered.status, 404, 'nothing is left of it')
  t.ok(Number(filtered.headers['x-consul-index']) > list.index, 'and the index tells of a change')
  change({ accessor: 'a1', rights: 'all', may: () => true })
  const gone = await wait('/v1/kv/a/?keys')
  change(new Refusal(403, 'ACL not found'))
  t.strictSame([(await gone.asking).status, (await gone.asking).text], [403, 'ACL not found'])
  t.equal(watching.size, 0, 'nothing is watched for long')
})

t.test('who left before his question was begun waits for nothing', async t => {
  const pending = Promise.withResolvers<void>()
  let asked = 0
  const ready = () => (++asked === 1 ? pending.promise : undefined)
  const face = await startFace(t, { authority: { ready } })
  const gone = await connectRaw(t, face)
  gone.write('GET /v1/kv/none?index=999999 HTTP/1.1\r\nHost: x\r\n\r\n')
  await until(() => asked === 1)
  gone.socket.resetAndDestroy()
  await face.client.get('/v1/status/leader')
  pending.resolve()
  await face.client.get('/v1/status/leader')
  t.equal(face.rooms.asker.waiting, 0)
})
