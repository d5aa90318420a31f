/**
 * Where servers that look compatible are not: each trap once, on the wire of the real daemon.
 *
 * docs/compatibility.md names these tests row by row; those of what comes later are missing here.
 */
import { request } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { absent } from '../run/clients.ts'
import { startEtcd } from '../store/etcd/member.ts'
import { type Answer, shape, startDaemon } from './daemon.ts'
import { until } from './process.ts'

const daemon = await startDaemon(t, { words: ['-node=here'] })
const { ask, read } = daemon

interface Entry {
  readonly Key: string
  readonly LockIndex: number
  readonly Session?: string
  readonly ModifyIndex: number
}

const indexOf = (answer: Answer): number => Number(answer.headers['x-consul-index'])
const entryOf = async (key: string): Promise<Entry> => (await read<Entry[]>(`/v1/kv/${key}`))[0]!
const put = (url: string, body?: string | object) => ask('PUT', url, body)
const idOf = (answer: Answer): string => JSON.parse(answer.text).ID

t.test('1: every query answer has all three meta headers', async t => {
  const urls = ['/v1/kv/none', '/v1/catalog/nodes', '/v1/health/state/any', '/v1/session/list']
  for (const url of urls) {
    const { headers } = await ask('GET', url)
    t.match(headers, { 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '0' }, url)
    t.match(headers['x-consul-index'], /^[1-9]\d*$/, url)
  }
})

t.test('2: the index is never 0, also on 404', async t => {
  const missing = await ask('GET', '/v1/kv/none')
  t.equal(missing.status, 404)
  t.equal(missing.text, '')
  t.ok(indexOf(missing) > 0)
})

t.test('3: an unknown node is null, unknown anything else an empty list', async t => {
  t.equal((await ask('GET', '/v1/catalog/node/nobody')).text.trim(), 'null')
  const empty = ['/v1/catalog/service/none', '/v1/health/service/none', '/v1/health/node/nobody']
  for (const url of empty) t.same(await read(url), [], url)
})

t.test('4: an equal write changes no index', async t => {
  const service = { Node: 'ext', Address: '10.0.0.9', Service: { Service: 'db', Port: 1 } }
  await put('/v1/kv/same?flags=1', 'x')
  await put('/v1/catalog/register', service)
  const before = [await ask('GET', '/v1/kv/same'), await ask('GET', '/v1/catalog/service/db')]
  await put('/v1/kv/same?flags=1', 'x')
  await put('/v1/catalog/register', service)
  const after = [await ask('GET', '/v1/kv/same'), await ask('GET', '/v1/catalog/service/db')]
  t.same(after.map(indexOf), before.map(indexOf))
})

t.test('5: a deletion wakes who waits on the prefix, with a higher index', async t => {
  await put('/v1/kv/tree/a', 'x')
  await put('/v1/kv/tree/b', 'x')
  const index = indexOf(await ask('GET', '/v1/kv/tree/?recurse'))
  const waiting = ask('GET', `/v1/kv/tree/?recurse&index=${index}&wait=60s`)
  await ask('DELETE', '/v1/kv/tree/b')
  const woken = await waiting
  t.ok(indexOf(woken) > index)
  t.equal(JSON.parse(woken.text).length, 1)
})

t.test('6: a client that goes away frees its waiter', async t => {
  await put('/v1/kv/left', 'x')
  const index = indexOf(await ask('GET', '/v1/kv/left'))
  const socket = connect(daemon.httpPort, '127.0.0.1')
  socket.write(`GET /v1/kv/left?index=${index}&wait=10m HTTP/1.1\r\nHost: a\r\n\r\n`)
  await new Promise(resolve => setTimeout(resolve, 100))
  socket.destroy()
  const next = await put('/v1/kv/left', 'y')
  t.equal(next.text, 'true', 'and the daemon goes on')
})

t.test('7: instances stand in the same order in catalog and health', async t => {
  for (const [node, id] of ['b2', 'a2', 'b1', 'a1'].map(name => [...name])) {
    const Service = { ID: `${id}`, Service: 'ordered' }
    await put('/v1/catalog/register', { Node: `n${node}`, Address: '10.0.0.1', Service })
  }
  const catalog = await read<{ Node: string; ServiceID: string }[]>('/v1/catalog/service/ordered')
  const health = await read<{ Node: { Node: string }; Service: { ID: string } }[]>(
    '/v1/health/service/ordered',
  )
  const order = ['na 1', 'na 2', 'nb 1', 'nb 2']
  t.same(
    catalog.map(({ Node, ServiceID }) => `${Node} ${ServiceID}`),
    order,
  )
  t.same(
    health.map(({ Node, Service }) => `${Node.Node} ${Service.ID}`),
    order,
  )
})

t.test('8: several ports of a service, both ways', async t => {
  const Ports = [
    { Name: 'http', Port: 80, Default: true },
    { Name: 'admin', Port: 81 },
  ]
  await put('/v1/agent/service/register', { Name: 'many', Ports })
  const [instance] = await read<{ ServicePort: number; ServicePorts: object[] }[]>(
    '/v1/catalog/service/many',
  )
  t.equal(instance?.ServicePort, 80, 'the default one is the port of older clients')
  t.match(instance?.ServicePorts, [{ Port: 80 }, { Port: 81 }])
  const both = await put('/v1/agent/service/register', { Name: 'many', Port: 1, Ports })
  t.equal(both.status, 400, 'one form or the other')
  await put('/v1/agent/service/deregister/many')
})

t.test('9: the text of 413 has what Vault and Terraform look for', async t => {
  const large = await put('/v1/kv/large', 'x'.repeat(524_289))
  t.equal(large.status, 413)
  t.match(large.text, /too large/)
  t.match(large.text, /Value exceeds/)
})

t.test('10: what is missing is ACL not found, and an unknown secret 403', async t => {
  const secret = 'aaaaaaaa-0000-4000-8000-000000000001'
  const tokens = `tokens { initial_management = "${secret}" }`
  const words = [`-hcl=acl { enabled = true default_policy = "deny" ${tokens} }`]
  const guarded = await startDaemon(t, { engine: 'memory', words })
  const id = '7b3d1f0e-3a44-4a3c-9a55-0123456789ab'
  for (const [path, what] of [
    [`token/${id}`, 'token'],
    [`policy/${id}`, 'policy'],
    ['policy/name/none', 'policy'],
    [`role/${id}`, 'role'],
    ['role/name/none', 'role'],
    [`binding-rule/${id}`, 'binding rule'],
    ['auth-method/none', 'auth method'],
  ]) {
    const missing = await guarded.ask('GET', `/v1/acl/${path}?token=${secret}`)
    const text = `Requested ${what} does not exist: ACL not found`
    t.same([missing.status, missing.text.trim()], [404, text], String(path))
  }
  for (const path of ['/v1/acl/token/self', '/v1/kv/a', '/v1/kv/?keys', '/v1/catalog/services']) {
    const mark = path.includes('?') ? '&' : '?'
    const unknown = await guarded.ask('GET', `${path}${mark}token=${id}`)
    t.same([unknown.status, unknown.text], [403, 'ACL not found'], path)
  }
})

t.test('11: with ACLs off their endpoints answer 401', async t => {
  const { status, text } = await ask('GET', '/v1/acl/tokens')
  t.same([status, text], [401, 'ACL support disabled'])
})

t.test('12: the index of events has no order: it is compared for equality', async t => {
  t.equal(indexOf(await ask('GET', '/v1/event/list')), 1)
  const blocked = ask('GET', '/v1/event/list?index=1&wait=60s')
  await put('/v1/event/fire/first', 'x')
  t.equal(JSON.parse((await blocked).text).length, 1)
  const index = BigInt((await ask('GET', '/v1/event/list')).headers['x-consul-index'] as string)
  for (const other of [1n, index / 2n, 2n ** 64n - 1n]) {
    const answer = await ask('GET', `/v1/event/list?index=${other}&wait=60s`)
    t.equal(answer.headers['x-consul-index'], String(index), 'at once, higher or lower')
  }
  const again = ask('GET', `/v1/event/list?index=${index}&wait=60s`)
  const id = idOf(await put('/v1/event/fire/second')).replaceAll('-', '')
  const own = BigInt(`0x${id.slice(0, 16)}`) ^ BigInt(`0x${id.slice(16)}`)
  t.equal((await again).headers['x-consul-index'], String(own))
})

t.test('13: a LockDelay number below 1000 is seconds', async t => {
  const delays = [5, 999, 1_000, 2_000_000_000, '3s']
  const found: number[] = []
  for (const LockDelay of delays) {
    const id = idOf(await put('/v1/session/create', { LockDelay }))
    const [session] = await read<{ LockDelay: number }[]>(`/v1/session/info/${id}`)
    found.push(session?.LockDelay ?? -1)
    await put(`/v1/session/destroy/${id}`)
  }
  t.same(found, [5e9, 999e9, 1_000, 2e9, 3e9])
})

t.test('14: an empty list of checks replaces the default one', async t => {
  const checksOf = async (body: string | object) => {
    const id = idOf(await put('/v1/session/create', body))
    const [session] = await read<{ NodeChecks: string[] | null }[]>(`/v1/session/info/${id}`)
    await put(`/v1/session/destroy/${id}`)
    return session?.NodeChecks ?? []
  }
  t.same(await checksOf(''), ['serfHealth'])
  t.same(await checksOf({ Checks: [] }), [])
  t.same(await checksOf({ NodeChecks: [] }), [])
})

t.test('15: body keys in any case and in snake_case, nested ones too', async t => {
  const body = {
    name: 'cased',
    PORT: 8,
    enable_tag_override: true,
    check: { ttl: '1h', deregister_critical_service_after: '90m' },
  }
  t.equal((await put('/v1/agent/service/register', body)).status, 200)
  const services = await read<Record<string, object>>('/v1/agent/services')
  t.match(services.cased, { Port: 8, EnableTagOverride: true })
  await put('/v1/agent/service/deregister/cased')
})

t.test('16: flags keep all their 64 bits', async t => {
  await put('/v1/kv/flags?flags=18446744073709551615', 'x')
  t.match((await ask('GET', '/v1/kv/flags')).text, '"Flags":18446744073709551615,')
  t.equal((await put('/v1/kv/flags?flags=18446744073709551616', 'x')).status, 500)
})

t.test('17: an empty value is null, and no session is no field', async t => {
  await put('/v1/kv/empty', '')
  const { text } = await ask('GET', '/v1/kv/empty')
  t.match(text, '"Value":null')
  t.notMatch(text, 'Session')
})

t.test('19: health of the agent has a status of its own', async t => {
  await put('/v1/agent/service/register', { Name: 'well', Check: { TTL: '1h' } })
  const statusOf = async (verb: string) => {
    await put(`/v1/agent/check/${verb}/service:well`)
    const byId = await ask('GET', '/v1/agent/health/service/id/well?format=text')
    const byName = await ask('GET', '/v1/agent/health/service/name/well')
    return [byId.status, byName.status, byId.text]
  }
  t.same(await statusOf('pass'), [200, 200, 'passing'])
  t.same(await statusOf('warn'), [429, 429, 'warning'])
  t.same(await statusOf('fail'), [503, 503, 'critical'])
  t.equal((await ask('GET', '/v1/agent/health/service/id/none')).status, 404)
  await put('/v1/agent/service/deregister/well')
})

t.test('23: what Nomad reads in agent/self', async t => {
  const self = await read<Record<string, Record<string, unknown>>>('/v1/agent/self')
  t.match(self.Config, { NodeName: 'here', Datacenter: 'dc1', Server: shape().isServer })
  const { DebugConfig = {} } = self
  t.equal(typeof DebugConfig.DNSPort, 'number')
  const [address] = DebugConfig.DNSAddrs as string[]
  t.match(address, /^(tcp|udp):\/\/127\.0\.0\.1:\d+$/)
  t.equal(DebugConfig.ConnectEnabled, false)
  t.equal(typeof DebugConfig.GRPCPort, 'number')
  t.equal(typeof DebugConfig.GRPCTLSPort, 'number')
})

t.test('24: the version is one that clients can compare', async t => {
  const { Config } = await read<{ Config: { Version: string } }>('/v1/agent/self')
  t.match(Config.Version, /^1\.(1[4-9]|[2-9]\d)\.\d+$/)
})

t.test('25: each of PUT and POST only where Consul takes it', async t => {
  const taken = { '/v1/acl/bootstrap': 'PUT', '/v1/acl/login': 'POST', '/v1/acl/logout': 'POST' }
  const later = { '/v1/peering/token': 'POST', '/v1/peering/establish': 'POST' }
  for (const [url, method] of Object.entries({ ...taken, ...later })) {
    const { status } = await ask(method, url, '{}')
    t.equal(status, Object.hasOwn(taken, url) ? 401 : 501, `${method} ${url} is known`)
    const other = await ask(method === 'PUT' ? 'POST' : 'PUT', url, '{}')
    t.match(other, { status: 405, headers: { allow: `OPTIONS,${method}` } }, `no other ${url}`)
  }
})

t.test('26: seperator, as some clients spell it', async t => {
  await put('/v1/kv/sep/a/1', 'x')
  t.same(await read('/v1/kv/sep/?keys&seperator=/'), ['sep/a/'])
})

t.test('27: several tags must all be there', async t => {
  const Service = { Service: 'tagged', Tags: ['a', 'b'] }
  await put('/v1/catalog/register', { Node: 'ext', Address: '10.0.0.9', Service })
  const count = async (query: string) =>
    (await read<object[]>(`/v1/health/service/tagged?${query}`)).length
  t.equal(await count('tag=a&tag=b'), 1)
  t.equal(await count('tag=a&tag=c'), 0)
  t.equal(await count('tag=A'), 1, 'compared without case')
})

t.test('28: gzip only when asked for', async t => {
  const encoding = (headers: Record<string, string>) =>
    new Promise(resolve => {
      const { httpPort: port } = daemon
      const path = '/v1/kv/?recurse'
      const asked = request({ port, path, headers, agent: false }, response => {
        response.resume()
        resolve(response.headers['content-encoding'])
      })
      asked.end()
    })
  await put('/v1/kv/long', 'x'.repeat(10_000))
  t.equal(await encoding({}), undefined)
  t.equal(await encoding({ 'Accept-Encoding': 'gzip' }), 'gzip')
})

t.test('29: key paths: escapes once, unclean ones redirected, no traversal', async t => {
  await put('/v1/kv/a%2Fb%2520c', 'x')
  t.equal((await entryOf('a/b%2520c')).Key, 'a/b%20c')
  const unclean = await put('/v1/kv/a//b', 'x')
  t.equal(unclean.status, 307)
  t.equal(unclean.headers.location, '/v1/kv/a/b')
  t.equal((await ask('GET', '/v1/kv/a/../b')).status, 307)
  t.equal((await put('/v1/kv/a%2F..%2Fb', 'x')).status, 400)
})

t.test('29b: unknown fields are refused, but not in a session', async t => {
  for (const url of ['/v1/agent/service/register', '/v1/agent/check/register']) {
    const { status, text } = await put(url, { Name: 'x', Nonsense: 1 })
    t.equal(status, 400, url)
    t.match(text, /^Request decode failed: json: unknown field "Nonsense"/)
  }
  const nested = { Name: 'x', Check: { TTL: '1s', Nonsense: 1 } }
  t.equal((await put('/v1/agent/service/register', nested)).status, 400)
  const created = await put('/v1/session/create', { Nonsense: 1 })
  t.equal(created.status, 200)
  await put(`/v1/session/destroy/${idOf(created)}`)
})

t.test('29c: a bad filter is 500, not 400', async t => {
  for (const filter of ['Node ==', 'Nothing == "x"', 'Node is empty']) {
    for (const url of ['/v1/catalog/nodes', '/v1/health/state/any', '/v1/agent/checks']) {
      const { status, text } = await ask('GET', `${url}?filter=${encodeURIComponent(filter)}`)
      t.equal(status, 500, `${url} ${filter}`)
      t.match(text, /^Failed to create boolean expression evaluator: /)
    }
  }
})

t.test('32: the end of a node ends its sessions', async t => {
  await put('/v1/catalog/register', { Node: 'gone', Address: '10.0.0.8' })
  const id = idOf(await put('/v1/session/create', { Node: 'gone', Checks: [], LockDelay: '0s' }))
  await put(`/v1/kv/held?acquire=${id}`, 'x')
  t.equal((await entryOf('held')).Session, id)
  await put('/v1/catalog/deregister', { Node: 'gone' })
  t.same(await read(`/v1/session/info/${id}`), [])
  t.equal((await entryOf('held')).Session, undefined)
})

t.test('33: release keeps the lock index, a plain write takes it away', async t => {
  const id = idOf(await put('/v1/session/create', ''))
  await put(`/v1/kv/fenced?acquire=${id}`, 'a')
  await put(`/v1/kv/fenced?release=${id}`, 'b')
  t.equal((await entryOf('fenced')).LockIndex, 1)
  await put(`/v1/kv/fenced?acquire=${id}`, 'c')
  t.equal((await entryOf('fenced')).LockIndex, 2)
  await put('/v1/kv/fenced', 'd')
  t.match(await entryOf('fenced'), { LockIndex: 0, Session: id })
  await put(`/v1/session/destroy/${id}`)
})

t.test('34: every answer names the default policy', async t => {
  const urls = ['/v1/status/leader', '/v1/kv/none', '/v1/nonsense', '/v1/agent/self', '/']
  for (const url of urls) {
    t.equal((await ask('GET', url)).headers['x-consul-default-acl-policy'], 'allow', url)
  }
})

t.test('35: / says that there is no web interface, as it does where that is off', async t => {
  const { status, headers, text } = await ask('GET', '/')
  t.equal(status, 200)
  t.match(headers['content-type'], /^text\/plain/)
  t.match(text, /UI is disabled/)
})

t.test('36: OPTIONS and wrong methods name the right ones', async t => {
  const options = await ask('OPTIONS', '/v1/kv/a')
  t.equal(options.status, 200)
  t.equal(options.headers.allow, 'OPTIONS,GET,PUT,DELETE')
  const wrong = await ask('POST', '/v1/kv/a')
  t.match([wrong.status, wrong.text], [405, /^method POST not allowed/])
  const old = await ask('GET', '/v1/agent/check/pass/x')
  t.equal(old.status, 405)
})

t.test('39: agent/services can be filtered, as Nomad does', async t => {
  await put('/v1/agent/service/register', { ID: '_nomad-task-1', Name: 'a', Meta: { x: 'y' } })
  await put('/v1/agent/service/register', { ID: 'other', Name: 'a' })
  const found = async (filter: string) =>
    Object.keys(await read(`/v1/agent/services?filter=${encodeURIComponent(filter)}`))
  t.same(await found('ID matches "^_nomad-"'), ['_nomad-task-1'])
  t.same(await found('Service == a and Meta.x != y'), ['other'])
  for (const id of ['_nomad-task-1', 'other']) await put(`/v1/agent/service/deregister/${id}`)
})

t.test('40: an unknown node to be near to is no error, and near is no stream', async t => {
  t.equal((await ask('GET', '/v1/catalog/nodes?near=nobody')).status, 200)
  const backend = async (query: string) =>
    (await ask('GET', `/v1/health/service/consul?${query}`)).headers['x-consul-query-backend']
  t.equal(await backend('index=1'), 'streaming')
  t.equal(await backend('index=1&near=nobody'), 'blocking-query')
})

t.test('what comes later says so', async t => {
  for (const url of ['/v1/peerings', '/v1/connect/ca/roots']) {
    const { status, text } = await ask('GET', url)
    t.match([status, text], [501, /^not served yet: /], url)
  }
  const unknown = await ask('GET', '/v1/nonsense')
  t.equal(unknown.status, 404)
})

t.test('a long poll outlives the usual time-outs of servers', async t => {
  await put('/v1/kv/poll', 'x')
  const index = indexOf(await ask('GET', '/v1/kv/poll'))
  const answer = await ask('GET', `/v1/kv/poll?index=${index}&wait=6s`)
  t.match(answer, { status: 200, headers: { 'x-consul-index': String(index) } })
})

t.test('sessions of the tests above are gone', async t => {
  await until('none', async () => (await read<object[]>('/v1/session/list')).length === 0)
  t.pass()
})

t.test('37: 415 for Prometheus while its retention time is 0, with the reason', async t => {
  const refused = await ask('GET', '/v1/agent/metrics?format=prometheus')
  t.equal(refused.status, 415)
  t.match(refused.headers['x-consul-reason'], /^Prometheus is not enabled/)
  t.equal((await ask('GET', '/v1/agent/metrics')).status, 200)
})

t.test('38: a configuration entry comes back as it was written', async t => {
  const Sources = [{ Name: 'api', Action: 'allow', Precedence: 9, Type: 'consul' }]
  const written = { Kind: 'service-intentions', Name: 'db', Sources, Meta: { a_b: 'c' } }
  t.equal((await put('/v1/config', written)).text.trim(), 'true')
  const { text } = await ask('GET', '/v1/config/service-intentions/db')
  const { Hash, CreateIndex, ModifyIndex, ...rest } = JSON.parse(text)
  t.same(rest, written)
  t.ok(Hash > 2 ** 53, 'its hash needs 64 bits')
  t.equal((await put('/v1/config', text)).text.trim(), 'true', 'it can be sent back')
  const again = await ask('GET', '/v1/config/service-intentions/db')
  t.equal(again.text, text, 'and is the same')
})

t.test(
  '18: autopilot health is 429 with its whole body while nothing can be written',
  {
    skip: absent('etcd'),
  },
  async t => {
    const etcd = await startEtcd(t)
    const words = [`-hcl=store { etcd { endpoints = ["${etcd.endpoint}"] } }`]
    const { ask } = await startDaemon(t, { engine: 'etcd', words })
    const health = () => ask('GET', '/v1/operator/autopilot/health')
    t.equal((await health()).status, 200)
    await etcd.kill()
    await until('the store is missed', async () => (await health()).status === 429)
    const { Healthy, Servers } = JSON.parse((await health()).text)
    t.equal(Healthy, false)
    t.match(Servers, [
      { Healthy: false, SerfStatus: 'alive', Voter: true, LastContact: /^[\d.]+m?s$/ },
    ])
    await etcd.start()
    await until('it is heard again', async () => (await health()).status === 200)
  },
)
