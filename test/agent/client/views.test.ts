/** Reads of an agent without a store: from what it keeps, else by a server; with rights. */
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { ClientViews, viewKinds } from '../../../src/agent/client/views.ts'
import { OwnTokens } from '../../../src/agent/tokens.ts'
import { systemClock, systemRandom } from '../../../src/base/clock.ts'
import { RpcError } from '../../../src/base/io/grpc.ts'
import { silentLog } from '../../../src/base/log.ts'
import { plainSealer } from '../../../src/base/sealer.ts'
import { Timeouts } from '../../../src/base/timeouts.ts'
import { type Authority, everybody } from '../../../src/base/who.ts'
import type { HttpViews } from '../../../src/http/views.ts'
import type { ServerChannel } from '../../../src/rpc/channels.ts'
import type { ViewAnswer, ViewRequest } from '../../../src/store/replica/messages.ts'
import type { AclOptions } from '../../http/acl.ts'
import { ROOT } from '../../http/acl.ts'
import type { Answered, Client } from '../../http/client.ts'
import { type Face, startFace, until } from '../../http/harness.ts'
import { DirectWay, publish } from '../../store/replica/world.ts'

const ACL = { defaultPolicy: 'deny', keyListPolicy: false } as const
const NO_TOKENS = {
  ...{ default: '', agent: '', agent_recovery: '', replication: '', dns: '' },
  config_file_service_registration: '',
}

/** A channel to the publisher of this process. */
const channelBy = (way: DirectWay): Pick<ServerChannel, 'open'> => ({
  open(_method, listener) {
    const upstream = way.connect({
      onAnswer: (answer: ViewAnswer) => listener.onMessage(answer as never),
      onEnd: reason => listener.onEnd(new RpcError('UNAVAILABLE', reason, true)),
    })
    return {
      serverId: '',
      send: question => upstream.send(question as unknown as ViewRequest),
      cancel: () => upstream.close(),
    }
  },
})

/** An authority that can be spread. */
const boundOf = (authority: Authority): Authority => ({
  defaultPolicy: authority.defaultPolicy,
  authenticate: token => authority.authenticate(token),
  ready: token => authority.ready?.(token),
  watch: (who, changed) => authority.watch(who, changed),
  note: lack => authority.note(lack),
})

interface Agents {
  readonly server: Face
  /** Asks the agent that is none. */
  readonly client: Client
  readonly views: ClientViews
  /** How many requests a server was given. */
  forwarded(): number
  cut(): void
}

interface AgentOptions {
  readonly acl?: AclOptions
  readonly agentToken?: string
  readonly discoveryMaxStaleMs?: number
}

async function startAgents(t: Test, options: AgentOptions = {}): Promise<Agents> {
  const { acl, agentToken = '' } = options
  const server = await startFace(t, acl === undefined ? {} : { acl })
  const publisher = publish(server.store, systemClock, server.authority, viewKinds(ACL))
  const way = new DirectWay(publisher)
  let count = 0
  const forward: HttpViews['forward'] = (message, response) => {
    count++
    if (way.isCut) {
      response.writeHead(500, { 'X-Consul-KnownLeader': 'false', 'X-Consul-LastContact': '0' })
      response.end('No known Consul servers')
      return
    }
    const { method, url, headers } = message
    const { host, port } = server
    const onward = request({ host, port, method, path: url, headers }, answer => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    onward.end()
  }
  const views = new ClientViews({
    ...{ channel: channelBy(way), clock: systemClock, random: systemRandom, log: silentLog },
    timeouts: new Timeouts(systemClock),
    tokens: new OwnTokens({
      ...{ configured: { ...NO_TOKENS, agent: agentToken }, dataDir: undefined },
      ...{ sealer: plainSealer, log: silentLog },
    }),
    acl: acl && { ...ACL, downPolicy: 'extend-cache', tokenTtlMs: 30_000 },
    recoverer: everybody,
  })
  const agent = await startFace(t, {
    views: views.http(forward),
    authority: boundOf(views.authority),
    ...(options.discoveryMaxStaleMs === undefined
      ? {}
      : { discoveryMaxStaleMs: options.discoveryMaxStaleMs }),
  })
  views.start()
  t.teardown(async () => {
    await views.close()
    publisher.close()
  })
  return { server, client: agent.client, views, forwarded: () => count, cut: () => way.cut() }
}

const register = async (client: Client, node: string, name: string, port = 80): Promise<void> => {
  const body = { Node: node, Address: '10.0.0.1', Service: { Service: name, Port: port } }
  const check = { CheckID: `c-${name}`, Name: 'c', Status: 'passing', ServiceID: name }
  const answer = await client.put('/v1/catalog/register', { ...body, Check: check })
  if (answer.status !== 200) throw new Error(answer.text)
}

/** Without a look at the headers: while no server is there no leader is known. */
const rawOf = (client: Client, path: string, headers = {}): Promise<Answered> =>
  client.raw('GET', path, undefined, { headers })

/** The paths that are answered from what is kept, as a server answers them. */
const PATHS = [
  '/v1/health/service/web',
  '/v1/health/service/web?passing',
  '/v1/health/service/absent',
  '/v1/health/checks/web',
  '/v1/health/node/one',
  '/v1/health/node/absent',
  '/v1/catalog/service/web',
  '/v1/catalog/service/web?filter=ServicePort==80',
  '/v1/catalog/services',
  '/v1/catalog/node/one',
  '/v1/catalog/node/absent',
  '/v1/catalog/node-services/one',
]

const withMode = (path: string, mode: string): string =>
  `${path}${path.includes('?') ? '&' : '?'}${mode}`

const meta = ({ headers }: Answered) => ({
  known: headers['x-consul-knownleader'],
  contact: Number(headers['x-consul-lastcontact']),
  cache: headers['x-cache'],
  age: headers.age,
})

t.test(
  'stale reads are answered here as a server answers them, also while none is there',
  async t => {
    const { server, client, forwarded, cut } = await startAgents(t)
    await register(server.client, 'one', 'web')
    await register(server.client, 'two', 'web', 81)
    await register(server.client, 'one', 'db')
    for (const path of PATHS) {
      const expected = await server.client.get(withMode(path, 'stale'))
      const answer = await client.get(withMode(path, 'stale'))
      t.equal(answer.status, expected.status, path)
      t.same(answer.json, expected.json, path)
      t.equal(answer.index, expected.index, `the index of ${path}`)
      t.equal(meta(answer).known, 'true')
      t.ok(meta(answer).contact < 5_000)
    }
    t.equal(forwarded(), 0)
    cut()
    await until(async () => meta(await rawOf(client, `${PATHS[0]}?stale`)).known === 'false')
    for (const path of PATHS) {
      const expected = await server.client.get(withMode(path, 'stale'))
      const answer = await rawOf(client, withMode(path, 'stale'))
      t.same(answer.json, expected.json, `${path}, while no server is there`)
      t.equal(meta(answer).known, 'false')
    }
    t.equal(forwarded(), 0)
    const other = await rawOf(client, '/v1/health/service/unheard?stale')
    t.equal(other.status, 500, 'what nobody asked for before is not known')
  },
)

t.test('all other reads are for servers', async t => {
  const { server, client, forwarded } = await startAgents(t)
  await register(server.client, 'one', 'web')
  const paths = [
    '/v1/health/service/web',
    '/v1/health/service/web?consistent',
    '/v1/health/service/web?stale&near=one',
    '/v1/catalog/nodes?stale',
    '/v1/catalog/services?stale&node-meta=a:b',
    '/v1/kv/a?stale',
  ]
  for (const [at, path] of paths.entries()) {
    t.equal((await client.get(path)).status, path.includes('kv') ? 404 : 200, path)
    t.equal(forwarded(), at + 1, path)
  }
  t.equal((await client.get('/v1/health/service/web?stale&consistent')).status, 400)
  t.equal((await client.get('/v1/health/service/?stale')).status, 400)
})

t.test('cached reads tell whether the answer was here, and how old it is', async t => {
  const { server, client, forwarded, cut } = await startAgents(t)
  await register(server.client, 'one', 'web')
  const path = '/v1/health/service/web?cached'
  t.match(meta(await client.get(path)), { cache: 'MISS', age: undefined })
  t.match(meta(await client.get(path)), { cache: 'HIT', age: '0' })
  t.equal(forwarded(), 0)
  const headers = { 'Cache-Control': 'must-revalidate' }
  await until(async () => {
    await client.get(path, { headers })
    return forwarded() > 0
  })
  cut()
  const within = { 'Cache-Control': 'max-age=3600' }
  t.match(meta(await rawOf(client, path, within)), { cache: 'HIT' })
  await until(async () => Number(meta(await rawOf(client, path)).age) >= 1)
  const now = { 'Cache-Control': 'max-age=0' }
  t.equal((await rawOf(client, path, now)).status, 500, 'too old, and no server')
  const some = { 'Cache-Control': 'max-age=0, stale-if-error=3600' }
  t.match(meta(await rawOf(client, path, some)), { cache: 'HIT' })
})

t.test('what is older than max_stale or discovery_max_stale is for servers', async t => {
  const { server, client, forwarded, cut } = await startAgents(t, { discoveryMaxStaleMs: 60_000 })
  await register(server.client, 'one', 'web')
  const path = '/v1/health/service/web'
  t.equal((await client.get(path)).status, 200)
  t.equal(forwarded(), 0, 'the configuration says that it may be old')
  t.equal((await client.get(`${path}?leader`)).status, 200)
  t.equal(forwarded(), 1)
  cut()
  t.equal((await rawOf(client, `${path}?max_stale=1h`)).status, 200)
  await until(async () => (await rawOf(client, `${path}?max_stale=300ms`)).status === 500)
  t.equal((await rawOf(client, path)).status, 200)
})

t.test('a blocking query waits on what is kept', async t => {
  const { server, client } = await startAgents(t)
  await register(server.client, 'one', 'web')
  const path = '/v1/health/service/web?stale'
  const first = await client.get(path)
  const waiting = client.get(`${path}&index=${first.index}&wait=60s`)
  await register(server.client, 'two', 'web')
  const second = await waiting
  t.equal(second.json.length, 2)
  t.ok(second.index > first.index)
  const over = await client.get(`${path}&index=${second.index}&wait=10ms`)
  t.equal(over.index, second.index)
})

const token = async ({ client }: Face, name: string, rules: string): Promise<string> => {
  const root = client.as(ROOT)
  await root.put('/v1/acl/policy', { Name: name, Rules: rules })
  const made = await root.put('/v1/acl/token', { Policies: [{ Name: name }] })
  return made.json.SecretID
}

t.test('each sees what he may, by what servers say of his token', async t => {
  const { server, client, forwarded, cut } = await startAgents(t, { acl: {}, agentToken: 'nobody' })
  const root = server.client.as(ROOT)
  await register(root, 'one', 'web')
  await register(root, 'two', 'web')
  const nodeOne = 'node "one" { policy = "read" } service_prefix "" { policy = "read" }'
  const all = 'node_prefix "" { policy = "read" } service_prefix "" { policy = "read" }'
  const tokens = {
    one: await token(server, 'one', nodeOne),
    all: await token(server, 'all', all),
    none: await token(server, 'none', ''),
  }
  const path = '/v1/health/service/web?stale'
  const look = async (): Promise<void> => {
    for (const [name, seen] of [
      ['one', ['one']],
      ['all', ['one', 'two']],
      ['none', []],
    ] as const) {
      const { json } = await rawOf(client.as(tokens[name]), path)
      t.same(
        json.map(({ Node }: { Node: { Node: string } }) => Node.Node),
        seen,
        name,
      )
    }
    t.same((await rawOf(client, path)).json, [], 'without a token')
    t.equal((await rawOf(client.as('stranger'), path)).text, 'ACL not found')
  }
  await look()
  const waiting = client.as(tokens.one).get(`${path}&index=100000&wait=60s`)
  const [{ AccessorID }] = (await root.get('/v1/acl/tokens')).json.filter(
    ({ SecretID }: { SecretID: string }) => SecretID === tokens.one,
  )
  await root.delete(`/v1/acl/token/${AccessorID}`)
  t.equal((await waiting).text, 'ACL not found', 'who waited is told of the end of his token')
  tokens.one = await token(server, 'again', nodeOne)
  await look()
  cut()
  await look()
  t.equal(forwarded(), 0)
})

t.test('a blocking query wakes when a server has restored an archive', async t => {
  const { server, client, views } = await startAgents(t)
  await register(server.client, 'one', 'web')
  const path = '/v1/health/service/web?stale'
  t.equal((await client.get(path)).json.length, 1)
  const archive = (await server.client.get('/v1/snapshot')).bytes
  await register(server.client, 'two', 'web')
  await until(async () => (await client.get(path)).json.length === 2)
  const before = await client.get(path)
  const waiting = client.get(`${path}&index=${before.index}&wait=60s`)
  const absent = client.get(`/v1/health/service/db?stale&index=${before.index}&wait=60s`)
  await until(async () => views.replica.scopes.waiting >= 2)
  t.equal((await server.client.put('/v1/snapshot', archive)).status, 200)
  const after = await waiting
  t.same(
    after.json.map(({ Node }: { Node: { Node: string } }) => Node.Node),
    ['one'],
    'it tells what the store is now',
  )
  t.ok(after.index > before.index, `${after.index} after ${before.index}`)
  t.ok((await absent).index > before.index, 'what was never there is told of too')
  await register(server.client, 'three', 'web')
  const later = await client.get(`${path}&index=${after.index}&wait=60s`)
  t.equal(later.json.length, 2, 'and what comes afterwards is heard of')
  t.ok(later.index > after.index)
})
