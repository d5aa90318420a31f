/**
 * npm's `consul`, unchanged, over all that is served, its watches included.
 *
 * Its declared types leave out what every answer has, so answers are taken as they come.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Consul from 'consul'
import t, { type Test } from 'tap'
import { shape, startDaemon } from './daemon.ts'
import { until } from './process.ts'

/** Plain JSON: fields are looked at one by one. */
// biome-ignore lint/suspicious/noExplicitAny: answers of a foreign client, checked by comparing
type Json = any

/** What this client makes of the answers `false` and `null`. */
const NO = undefined

const daemon = await startDaemon(t)
const agent = { host: '127.0.0.1', port: daemon.httpPort }
const consul: Json = new Consul(agent)
t.teardown(() => consul.destroy())

/** A server to be checked; answers with the status that it is told. */
async function startTarget(t: Test) {
  let status = 200
  const server = createServer((_, response) => response.writeHead(status).end('fine'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, answer: (next: number) => (status = next) }
}

/** The status that a call failed with. */
const faultOf = (call: Promise<unknown>): Promise<number | undefined> =>
  call.then(
    () => undefined,
    error => error.statusCode,
  )

/** What a watch sees: every change in order, and every error. */
function watch(t: Test, method: unknown, options: Json) {
  const seen: Json[] = []
  const errors: unknown[] = []
  const watcher = consul.watch({ method, options: { wait: '10s', ...options } })
  watcher.on('change', (data: Json) => seen.push(data))
  watcher.on('error', (error: unknown) => errors.push(error))
  t.teardown(() => watcher.end())
  return { seen, errors, watcher }
}

t.test('status', async t => {
  const leader = await consul.status.leader()
  t.match(leader, /^127\.0\.0\.1:\d+$/)
  const peers: string[] = await consul.status.peers()
  t.equal(peers.length, shape().servers)
  t.ok(peers.includes(leader))
})

t.test('agent', async t => {
  const target = await startTarget(t)
  const self = await consul.agent.self()
  const node = self.Config.NodeName
  const members: Json[] = await consul.agent.members()
  t.equal(members.length, shape().members)
  t.match(
    members.find(({ Name }) => Name === node),
    { Status: 1 },
  )
  await consul.agent.service.register({
    name: 'js',
    id: 'js1',
    address: '127.0.0.1',
    port: 4321,
    tags: ['a'],
    meta: { version: '2' },
    checks: [
      { http: target.url, interval: '1s', timeout: '2s' },
      { ttl: '1h', status: 'passing' },
    ],
  })
  const service = (await consul.agent.services()).js1
  t.match(service, { ID: 'js1', Service: 'js', Port: 4321, Tags: ['a'], Meta: { version: '2' } })
  const status = async (id: string) => (await consul.agent.checks())[id]?.Status
  t.equal(await status('service:js1:2'), 'passing', 'a check begins as registered')
  await until('HTTP check passes', async () => (await status('service:js1:1')) === 'passing')
  target.answer(503)
  await until('HTTP check fails', async () => (await status('service:js1:1')) === 'critical')
  for (const [verb, state] of [
    ['fail', 'critical'],
    ['warn', 'warning'],
    ['pass', 'passing'],
  ]) {
    await consul.agent.check[verb as string]({ id: 'service:js1:2', note: `note ${verb}` })
    t.equal(await status('service:js1:2'), state)
  }
  await consul.agent.check.register({ name: 'mine', ttl: '1h', notes: 'of the node' })
  t.match((await consul.agent.check.list()).mine, { Status: 'critical', Notes: 'of the node' })
  await consul.agent.check.deregister('mine')
  t.equal(await faultOf(consul.agent.check.pass('mine')), 404)
  await consul.agent.service.maintenance({ id: 'js1', enable: true, reason: 'why' })
  t.match((await consul.agent.checks())['_service_maintenance:js1'], { Notes: 'why' })
  await consul.agent.service.maintenance({ id: 'js1', enable: false })
  await consul.agent.maintenance(true)
  t.equal(await status('_node_maintenance'), 'critical')
  await consul.agent.maintenance(false)
  await consul.agent.service.deregister('js1')
  t.same(await consul.agent.services(), {})
  t.same(await consul.agent.checks(), {})
  const again = await consul.agent.service.deregister('js1').catch((error: Json) => error)
  t.match(again.response.body, /Unknown service ID "js1"/)
})

t.test('catalog', async t => {
  t.same(await consul.catalog.datacenters(), ['dc1'])
  await consul.catalog.register({
    node: 'ext',
    address: '10.0.0.9',
    nodemeta: { rack: 'r1' },
    service: { id: 'db1', service: 'db', tags: ['primary'], port: 5432, meta: { v: '1' } },
    checks: [{ name: 'db health', checkid: 'db1-health', serviceid: 'db1', status: 'passing' }],
  })
  const nodes = await consul.catalog.node.list()
  t.match(
    nodes.find((node: Json) => node.Node === 'ext'),
    { Address: '10.0.0.9', Datacenter: 'dc1', Meta: { rack: 'r1' } },
  )
  t.same((await consul.catalog.service.list()).db, ['primary'])
  t.match(await consul.catalog.service.nodes('db'), [
    { Node: 'ext', ServiceID: 'db1', ServicePort: 5432, NodeMeta: { rack: 'r1' } },
  ])
  t.same(await consul.catalog.service.nodes({ service: 'db', tag: 'nope' }), [])
  t.same(Object.keys((await consul.catalog.node.services('ext')).Services), ['db1'])
  t.equal(await consul.catalog.node.services('nobody'), NO)
})

t.test('health', async t => {
  t.match(await consul.health.service({ service: 'db', passing: true, tag: 'primary' }), [
    { Node: { Node: 'ext' }, Service: { ID: 'db1' }, Checks: [{ CheckID: 'db1-health' }] },
  ])
  t.same(await consul.health.service('nobody'), [])
  t.match(await consul.health.checks('db'), [{ CheckID: 'db1-health', Status: 'passing' }])
  t.match(await consul.health.node('ext'), [{ CheckID: 'db1-health' }])
  const passing = await consul.health.state('passing')
  t.ok(passing.some((check: Json) => check.CheckID === 'serfHealth'))
  t.same(await consul.health.state('warning'), [])
})

t.test('a watch of a service sees each change of its health, in order', async t => {
  const check = (status: string) =>
    consul.catalog.register({
      node: 'ext',
      address: '10.0.0.9',
      check: { name: 'db health', checkid: 'db1-health', serviceid: 'db1', status },
    })
  const { seen, errors } = watch(t, consul.health.service, { service: 'db', passing: true })
  await until('first answer', () => seen.length === 1)
  await check('critical')
  await until('change', () => seen.length === 2)
  await check('passing')
  await until('change back', () => seen.length === 3)
  t.same(
    seen.map(list => list.length),
    [1, 0, 1],
  )
  t.same(errors, [])
  await consul.catalog.deregister('ext')
  await until('the node goes', () => seen.length === 4)
  t.same(seen[3], [])
})

t.test('kv', async t => {
  t.equal(await consul.kv.get('js/none'), undefined)
  t.equal(await consul.kv.set('js/a', 'one'), true)
  t.match(await consul.kv.get('js/a'), { Key: 'js/a', Value: 'one', Flags: 0, LockIndex: 0 })
  await consul.kv.set({ key: 'js/b/1', value: Buffer.from([0, 255, 128]), flags: 7 })
  await consul.kv.set('js/b/2', '')
  const raw = await consul.kv.get({ key: 'js/b/1', raw: true })
  t.same(raw, Buffer.from([0, 255, 128]))
  t.match(await consul.kv.get('js/b/2'), { Value: null })
  const under = await consul.kv.get({ key: 'js/b/', recurse: true })
  t.same(
    under.map((entry: Json) => [entry.Key, entry.Flags]),
    [
      ['js/b/1', 7],
      ['js/b/2', 0],
    ],
  )
  t.same(await consul.kv.keys('js/'), ['js/a', 'js/b/1', 'js/b/2'])
  t.same(await consul.kv.keys({ key: 'js/', separator: '/' }), ['js/a', 'js/b/'])
  t.equal(await faultOf(consul.kv.keys('nothing/')), 404)
  const { ModifyIndex } = await consul.kv.get('js/a')
  t.equal(await consul.kv.set({ key: 'js/a', value: 'x', cas: 0 }), NO)
  t.equal(await consul.kv.set({ key: 'js/a', value: 'two', cas: ModifyIndex }), true)
  t.equal(await consul.kv.set({ key: 'js/a', value: 'x', cas: ModifyIndex }), NO)
  t.equal(await consul.kv.del({ key: 'js/a', cas: ModifyIndex }), NO)
  t.equal(await consul.kv.del('js/a'), true)
  t.equal(await consul.kv.get('js/a'), undefined)
})

t.test('a watch of a prefix sees creation, change and deletion', async t => {
  const { seen, errors } = watch(t, consul.kv.get, { key: 'js/b/', recurse: true })
  await until('first answer', () => seen.length === 1)
  await consul.kv.set('js/b/3', 'x')
  await until('creation', () => seen.length === 2)
  await consul.kv.set('elsewhere', 'x')
  await consul.kv.set('js/b/3', 'y')
  await until('change', () => seen.length === 3)
  await consul.kv.del({ key: 'js/b/', recurse: true })
  await until('deletion', () => seen.length === 4)
  const values = seen.map(list => list?.map((entry: Json) => `${entry.Key}=${entry.Value}`))
  t.same(values[2].at(-1), 'js/b/3=y')
  t.equal(values[3], undefined, 'nothing is left')
  t.same(errors, [])
})

t.test('sessions and locks', async t => {
  const { Config } = await consul.agent.self()
  const { ID: id } = await consul.session.create({ name: 'one', ttl: '3600s', lockdelay: '0s' })
  const other = await consul.session.create()
  t.match(await consul.session.info(id), { ID: id, Name: 'one', TTL: '3600s', LockDelay: 0 })
  t.equal((await consul.session.list()).length, 2)
  t.equal((await consul.session.node(Config.NodeName)).length, 2)
  t.match(await consul.session.renew(id), [{ ID: id }])
  t.equal(await consul.kv.set({ key: 'js/lock', value: 'a', acquire: id }), true)
  t.equal(await consul.kv.set({ key: 'js/lock', value: 'b', acquire: other.ID }), NO)
  t.match(await consul.kv.get('js/lock'), { Session: id, LockIndex: 1, Value: 'a' })
  const { seen } = watch(t, consul.kv.get, { key: 'js/lock' })
  await until('first answer', () => seen.length === 1)
  await consul.session.destroy(id)
  await until('the lock is gone', () => seen.length === 2)
  t.equal(seen[1].Session, undefined)
  t.equal(await consul.kv.set({ key: 'js/lock', value: 'b', acquire: other.ID }), true)
  t.equal(await consul.kv.set({ key: 'js/lock', value: 'c', release: other.ID }), true)
  t.equal(await consul.session.info(id), undefined)
  t.equal(await faultOf(consul.session.renew(id)), 404)
  const short = await consul.session.create({ ttl: '1s' }).catch((error: Json) => error)
  t.match(short.response.body, /Invalid Session TTL/)
})

t.test('a session ends when nobody renews it', async t => {
  const words = ['-hcl=session_ttl_min = "1s"']
  const short = await startDaemon(t, { engine: 'memory', words })
  const client: Json = new Consul({ host: '127.0.0.1', port: short.httpPort })
  t.teardown(() => client.destroy())
  const { ID: id } = await client.session.create({ ttl: '1s', behavior: 'delete' })
  t.equal(await client.kv.set({ key: 'mine', value: 'x', acquire: id }), true)
  await until('it ended', async () => (await client.session.info(id)) === undefined)
  t.equal(await client.kv.get('mine'), undefined, 'and took its key along')
})

t.test('transactions', async t => {
  const value = Buffer.from('one').toString('base64')
  const done = await consul.transaction.create([
    { KV: { Verb: 'set', Key: 'js/txn', Value: value } },
    { KV: { Verb: 'get', Key: 'js/txn' } },
  ])
  t.match(done, { Results: [{ KV: { Value: null } }, { KV: { Value: value } }], Errors: null })
  const failing = [{ KV: { Verb: 'cas', Key: 'js/txn', Index: 1 } }]
  const failed: Json = await consul.transaction.create(failing).catch((error: Json) => error)
  t.equal(failed.statusCode, 409)
  t.match(failed.response.body, {
    Errors: [{ OpIndex: 0, What: 'failed to set key "js/txn", index is stale' }],
  })
  await consul.kv.del('js/txn')
})

t.test('events, and a watch of them', async t => {
  const { seen, errors } = watch(t, consul.event.list, { name: 'js' })
  await until('first answer', () => seen.length === 1)
  const fired = await consul.event.fire('js', 'now')
  t.match(fired, { Name: 'js', Version: 1 })
  // An index that is lower than the last one is a reset to this client: it then asks once more.
  await until('the event', () => seen.at(-1).length === 1)
  t.match(seen.at(-1), [{ ID: fired.ID, Payload: Buffer.from('now').toString('base64') }])
  await consul.event.fire({ name: 'js', node: '^elsewhere$' })
  await consul.event.fire('other')
  await consul.event.fire('js')
  await until('the next of its name', () => seen.at(-1).length === 2)
  t.same(errors, [])
})

t.test('prepared queries', async t => {
  await consul.agent.service.register({ name: 'js-asked', port: 7, tags: ['v1'] })
  const { ID: id } = await consul.query.create({
    name: 'js-query',
    service: { service: 'js-asked', onlypassing: true, tags: ['v1'], near: '_agent' },
    dns: { ttl: '10s' },
  })
  t.match(await consul.query.get(id), { ID: id, Name: 'js-query', DNS: { TTL: '10s' } })
  t.equal((await consul.query.list()).length, 1)
  const found = await consul.query.execute('js-query')
  t.match(found, { Service: 'js-asked', Nodes: [{ Service: { Port: 7 } }], Failovers: 0 })
  // This client takes the answer for a list, which it never was.
  t.equal(await consul.query.explain('js-query'), undefined)
  await consul.query.update({ query: id, name: 'js-query', service: { service: 'none' } })
  t.same((await consul.query.execute(id)).Nodes, [])
  await consul.query.destroy(id)
  t.equal(await faultOf(consul.query.execute('js-query')), 404)
  await consul.agent.service.deregister('js-asked')
})

t.test('default deny: the token of the client, of one call, and one that is revoked', async t => {
  const words = ['-hcl=acl { enabled = true default_policy = "deny" }']
  const guarded = await startDaemon(t, { engine: 'memory', words })
  const clientWith = (token?: string): Json => {
    const defaults = token === undefined ? {} : { defaults: { token } }
    const made: Json = new Consul({ host: '127.0.0.1', port: guarded.httpPort, ...defaults })
    t.teardown(() => made.destroy())
    return made
  }
  const nobody = clientWith()
  t.equal(await faultOf(nobody.kv.get('a')), 403)
  t.equal(await faultOf(nobody.agent.self()), 403)
  t.same(await nobody.catalog.service.list(), {})
  const { SecretID: secret, Policies: policies } = await nobody.acl.bootstrap()
  t.match(policies, [{ Name: 'global-management' }])
  t.equal(await faultOf(nobody.acl.bootstrap()), 403)
  const root = clientWith(secret)
  t.match(await root.acl.replication(), { Enabled: false })
  t.equal(await root.kv.set('a', 'one'), true)
  t.match(await nobody.kv.get({ key: 'a', token: secret }), { Value: 'one' })
  // This client has no calls for tokens: they are made as everybody makes them.
  const ask = async (method: string, url: string, body: object = {}): Promise<Json> =>
    JSON.parse((await guarded.ask(method, `/v1/acl/${url}?token=${secret}`, body)).text)
  const rules = 'key_prefix "" { policy = "read" } service "web" { policy = "write" }'
  const policy = await ask('PUT', 'policy', { Name: 'p', Rules: rules })
  const token = await ask('PUT', 'token', { Policies: [{ ID: policy.ID }] })
  const reader = clientWith(token.SecretID)
  t.match(await reader.kv.get('a'), { Value: 'one' })
  t.equal(await faultOf(reader.kv.set('a', 'two')), 403)
  await reader.agent.service.register('web')
  t.equal(await faultOf(reader.agent.service.register('db')), 403)
  t.same(Object.keys(await reader.agent.services()), ['web'])
  t.equal(await faultOf(reader.session.create()), 403)
  const seen: Json[] = []
  const errors: Json[] = []
  const watcher = reader.watch({ method: reader.kv.get, options: { key: 'a', wait: '60s' } })
  watcher.on('change', (data: Json) => seen.push(data))
  watcher.on('error', (error: Json) => errors.push(error))
  t.teardown(() => watcher.end())
  await until('first answer', () => seen.length === 1)
  t.equal(await ask('DELETE', `token/${token.AccessorID}`), true)
  await until('the watch is refused', () => errors.length > 0)
  t.equal(errors[0].statusCode, 403)
  t.match(errors[0].response.body, 'ACL not found')
  t.equal(await faultOf(reader.kv.get('a')), 403)
})
